"""Processes of an installation whose supervisor is gone (it was killed): found, and stopped.

They are known by what cannot be faked by accident: supervisord gives all its children, and theirs, its address as an
environment variable; Redis holds the lock of its data folder; Postgres stands in its own.
"""

from __future__ import annotations

import contextlib
import fcntl
import signal
from pathlib import Path

import psutil

from vcon_platform.services.supervisord import socket_path

_VARIABLE = "SUPERVISOR_SERVER_URL"


def leftovers(data_dir: Path) -> list[psutil.Process]:
    """Every process of the installation in ``data_dir`` that still runs. Ask only when its supervisor does not."""
    ours = f"unix://{socket_path(data_dir)}"
    family = {process.pid for process in psutil.Process().parents()} | {psutil.Process().pid}
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.pid not in family and process.environ().get(_VARIABLE) == ours:
                found[process.pid] = process
    # These two overwrite their environment when they set their process title.
    for process_id in (_redis_holding(data_dir / "redis"), *_postgres_in(data_dir)):
        if process_id is not None:
            with contextlib.suppress(psutil.Error):
                found[process_id] = psutil.Process(process_id)
    return list(found.values())


def stop_leftovers(data_dir: Path, seconds: float = 20.0) -> int:
    """Stop them, first politely; return how many there were."""
    processes = leftovers(data_dir)
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.send_signal(signal.SIGINT if process.name() == "postgres" else signal.SIGTERM)
    _, stubborn = psutil.wait_procs(processes, timeout=seconds)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=5)
    return len(processes)


def _redis_holding(folder: Path) -> int | None:
    lock_file = folder / "server.lock"
    try:
        with lock_file.open("r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read().strip() or 0) or None
    except (OSError, ValueError):
        return None
    return None


def _postgres_in(data_dir: Path) -> list[int]:
    homes = [data_dir / "postgres"]
    with contextlib.suppress(OSError):
        homes.append(Path((data_dir / "run" / "postgres_home").read_text().strip()) / "postgres")
    found = []
    for home in homes:
        with contextlib.suppress(OSError, ValueError, IndexError, psutil.Error):
            process_id = int((home / "data" / "postmaster.pid").read_text().split()[0])
            if Path(psutil.Process(process_id).cwd()) == (home / "data").resolve():
                found.append(process_id)
    return found
