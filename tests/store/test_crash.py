"""Writers and Redis are killed again and again while documents come in: what was acknowledged is there, whole."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, cast

import orjson
from redis import Redis

from tests.support import child, eventually, free_port
from vcon_platform.services.redis import RedisServer
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.check import Difference, check
from vcon_platform.store.opening import open_store

ROUNDS = 20
WRITERS = 2
ROOT = Path(__file__).parents[2]
_pause = threading.Event()


def _writer(redis_url: str, folder: Path, name: str, log: IO[str]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.store.writers", "ingester", redis_url, str(folder), name]
    return subprocess.Popen(command, stdout=log, cwd=ROOT, text=True)


def test_twenty_kills_lose_nothing_that_was_acknowledged(server_folder: Path, tmp_path: Path) -> None:
    chosen = random.Random(3)
    home = server_folder / "crash"
    server = RedisServer(home / "redis", home / "redis.conf", free_port(), "crash-password")
    home.mkdir(mode=0o700)
    server.prepare()
    told = tmp_path / "told"
    with told.open("a") as log, ExitStack() as redis_runs:

        def start_redis() -> subprocess.Popen[bytes]:
            process = redis_runs.enter_context(child(server.command(), home / "redis.log"))
            eventually(lambda: server.why_not_ready(process.pid) is None, message="Redis is ready", interval=0.02)
            return process

        redis_process = start_redis()
        writers = [_writer(server.url, tmp_path, f"w{number}", log) for number in range(WRITERS)]
        for round_number in range(ROUNDS):
            before = told.stat().st_size
            eventually(lambda before=before: told.stat().st_size > before, message="documents come in")  # type: ignore[misc]
            _pause.wait(chosen.uniform(0, 0.3))  # somewhere in the middle of whatever they are doing
            if round_number % 2:
                redis_process.send_signal(signal.SIGKILL)
                redis_process.wait()
                redis_process = start_redis()
            else:
                victim = chosen.randrange(WRITERS)
                writers[victim].kill()
                writers[victim].wait()
                writers[victim] = _writer(server.url, tmp_path, f"w{victim}-{round_number}", log)
        for writer in writers:
            writer.kill()
            writer.wait()
        _all_there(server.url, tmp_path, told.read_text())


def _all_there(redis_url: str, folder: Path, told: str) -> None:
    lines = [line for line in told.split("\n")[:-1] if line]  # a line that was cut off was not told
    acknowledged = dict(line.split(" ", 1) for line in lines)
    assert len(acknowledged) > ROUNDS
    store = open_store(Settings(_env_file=None, data_dir_setting=folder, redis_url_setting=redis_url))
    documents = store.documents.read(list(acknowledged))
    assert {uuid: vcon.data["subject"] for uuid, vcon in documents.items()} == acknowledged
    _nothing_half(store.client, set(acknowledged))
    found = [each for each in check(store.client, store.archive, store.media) if isinstance(each, Difference)]
    # A document that was archived when its writer died was told to nobody, and is none the less whole.
    assert [each for each in found if each.uuid in acknowledged] == []


def _nothing_half(client: Redis, acknowledged: set[str]) -> None:
    """Document, meta, search inputs, listing, job and event come together."""

    def ids(kind: str) -> set[str]:
        return {key.decode().removeprefix(kind) for key in client.scan_iter(f"{kind}*", count=1000)}

    queued = {orjson.loads(job)["vcon_uuid"][0] for job in client.lrange(keys.queue("recall"), 0, -1)}
    entries = cast("list[tuple[bytes, dict[bytes, Any]]]", client.xrange(keys.OUTBOX))
    recorded = {event["vcon_uuid"] for _, fields in entries for event in orjson.loads(fields[b"events"])}
    listed = {
        member.decode().removeprefix("vcon:") for member in cast("list[bytes]", client.zrange(keys.LISTING, 0, -1))
    }
    documents = ids("vcon:")
    assert documents == ids("meta:") == ids("search:") == queued == recorded == listed
    assert acknowledged <= documents
