"""Become redis-server while holding the data folder's lock.

Redis, unlike Postgres, lets two servers write one data folder. This launcher takes an exclusive lock on a file in
that folder and then *becomes* the server (exec): the descriptor is inherited, so the lock lives exactly as long as
the server does, whoever kills it. Standard library only: it runs before every start.

    python -m vcon_platform.services.redis_launcher LOCK_FILE REDIS_SERVER [ARGUMENT...]
"""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

#: Exit code when another server holds the lock.
ALREADY_RUNNING = 75


def launch(lock_file: str, command: Sequence[str]) -> NoReturn:
    """Lock and exec; exits with :data:`ALREADY_RUNNING` when the lock is held elsewhere."""
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
        sys.stderr.write(
            f"Another Redis server (process {holder}) is using this data folder ({lock_file}). "
            "Stop it with 'vcon-platform down', or set VCON_DATA_DIR to another folder.\n"
        )
        sys.exit(ALREADY_RUNNING)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n".encode())
    os.set_inheritable(descriptor, True)
    os.execv(command[0], list(command))  # noqa: S606 - becoming the server is the point


if __name__ == "__main__":
    launch(sys.argv[1], sys.argv[2:])
