"""Helpers shared by the whole suite: waiting, ports, child processes. No fixtures (``conftest.py``)."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from redis import Redis

from vcon_platform.services.identity import Identity

if TYPE_CHECKING:
    from vcon_platform.store.documents import DocumentStore

_pause = threading.Event()  # never set: waiting on it is how this suite lets time pass between two looks


def eventually[T](check: Callable[[], T], timeout: float = 30.0, interval: float = 0.05, message: str = "") -> T:
    """The first truthy value of ``check()``; AssertionError with its last value or error after ``timeout`` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        last: object
        try:
            value = check()
            if value:
                return value
            last = value
        except Exception as error:  # a check may fail while things come up; the last error is shown
            last = error
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {message or check}; last: {last!r}")
        _pause.wait(interval)


def _ports() -> Iterator[int]:
    """Ports below the range that systems hand out by themselves, another thousand for each worker: a port is never
    given twice, nor taken by somebody's outgoing connection before it is used."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw-1").removeprefix("gw")
    first = 20_000 + (int(worker) + 1) % 8 * 1_000
    while True:
        yield from range(first, first + 1_000)


_candidates = _ports()


def document_store(client: Redis, folder: Path) -> DocumentStore:
    """A store of documents whose archive is in ``folder``."""
    from vcon_platform.store.archive import Archive
    from vcon_platform.store.documents import DocumentStore
    from vcon_platform.store.objects import local_objects

    return DocumentStore(client, Archive(local_objects(folder)))


def free_port() -> int:
    """A TCP port that nobody listens on now, and that was not given out lately."""
    for port in _candidates:
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port
    raise AssertionError("unreachable: the candidates go round for ever")


@contextlib.contextmanager
def child(
    command: Sequence[str | Path],
    log: Path,
    *,
    stop_with: signal.Signals = signal.SIGTERM,
    identity: Identity | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | str = "/",
) -> Iterator[subprocess.Popen[bytes]]:
    """Run ``command`` in a process group of its own while the block runs, its output in ``log``; then stop it."""
    arguments = [str(part) for part in command]
    with log.open("ab") as out:
        process = subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=cwd,
            env=None if env is None else dict(env),
            user=None if identity is None else identity.uid,
            group=None if identity is None else identity.gid,
            extra_groups=None if identity is None else [],
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(stop_with)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(5)
