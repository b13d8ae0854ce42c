"""A Redis of its own for a benchmark: the embedded server in a temporary folder."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vcon_platform.services.redis import RedisServer
from vcon_platform.settings import Settings
from vcon_platform.store.opening import Store, open_store


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@contextmanager
def embedded_store() -> Iterator[Store]:
    """A store as in production, with the append-only file on and the search index made, its archive in a local folder;
    gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="vcon-benchmark-"))
    server = RedisServer(folder / "redis", folder / "redis.conf", free_port(), "benchmark")
    server.prepare()
    process = subprocess.Popen(
        [str(part) for part in server.command()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        while server.why_not_ready(process.pid) is not None:
            time.sleep(0.02)
        store = open_store(Settings(_env_file=None, data_dir_setting=folder / "data", redis_url_setting=server.url))
        store.index.ensure()
        yield store
    finally:
        process.terminate()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
