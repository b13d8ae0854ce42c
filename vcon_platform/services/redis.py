"""The embedded Redis: its configuration, its start command, and how to tell that it is ready.

Does not belong here: who starts and watches the process (``stack.py``), what is stored in it (``store/``).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import redis as client
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError

from vcon_platform.services.binaries import redis_binary, redis_modules
from vcon_platform.services.files import ensure_secret, prepare_data_dir, private_folder, write_private
from vcon_platform.settings import Settings

#: Names under which the needed modules report themselves (MODULE LIST).
REQUIRED_MODULES = frozenset({"ReJSON", "search"})


def _quoted(value: object) -> str:
    escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


@dataclass(frozen=True)
class RedisServer:
    """A Redis of our own on the loopback interface. ``data_dir`` holds the append-only file and the lock."""

    data_dir: Path
    config_file: Path
    port: int
    password: str
    appendonly: bool = True

    @property
    def url(self) -> str:
        """``redis://`` address, with the password."""
        return f"redis://:{quote(self.password)}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        """Make the data folder and write the configuration (mode 0600: it holds the password)."""
        private_folder(self.data_dir)
        lines = [
            "bind 127.0.0.1",
            "protected-mode yes",
            f"port {self.port}",
            f"dir {_quoted(self.data_dir)}",
            f"requirepass {_quoted(self.password)}",
            "daemonize no",
            'logfile ""',  # to stdout, which the supervisor writes to data_dir/logs
            # Everything acknowledged is on the disk before the answer. "everysec" is not enough, even without power
            # cuts: while its sync in the background is slow, Redis answers for up to 2 s before it writes at all.
            f"appendonly {'yes' if self.appendonly else 'no'}",
            "appendfsync always",
            'save ""',
            # Documents are the system of record until archived: a full Redis must refuse, never forget.
            "maxmemory-policy noeviction",
            # What is kept beside a document names it by its hash: 71 characters. With Redis' 64 each would be a hash
            # table, of 670 bytes instead of 290.
            "hash-max-listpack-value 128",
            *(f"loadmodule {_quoted(module)}" for module in redis_modules()),
        ]
        write_private(self.config_file, "\n".join(lines) + "\n")

    def command(self) -> list[str]:
        """The foreground command. Stop it with SIGTERM (it flushes its log and exits with 0)."""
        launcher = [sys.executable, "-m", "vcon_platform.services.redis_launcher", str(self.data_dir / "server.lock")]
        return [*launcher, str(redis_binary()), str(self.config_file)]

    def why_not_ready(self, process_id: int | None) -> str | None:
        """None when the server answers, is ours (``process_id``, if given) and has its modules; else the reason."""
        return why_redis_not_ready(self.url, process_id)


def why_redis_not_ready(url: str, process_id: int | None = None, timeout: float = 2.0) -> str | None:
    """None when the Redis at ``url`` answers within ``timeout`` seconds and has JSON and search; else the reason."""
    connection = client.Redis.from_url(url, socket_timeout=timeout, socket_connect_timeout=timeout)
    try:
        answering = int(connection.info("server")["process_id"])
        if process_id is not None and answering != process_id:
            return f"another Redis (process {answering}) answers on this port"
        names = {_text(module.get("name", module.get(b"name"))) for module in connection.module_list()}
    except BusyLoadingError:
        return "it is loading its data"
    except AuthenticationError:
        return "it refuses the password"
    except RedisError as error:
        return f"it does not answer ({type(error).__name__})"
    finally:
        connection.close()
    missing = REQUIRED_MODULES - names
    return f"it lacks the modules {', '.join(sorted(missing))}" if missing else None


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def embedded_redis(settings: Settings) -> RedisServer:
    """The Redis of this installation; makes its secret and its folders at first use."""
    data_dir = prepare_data_dir(settings)
    return RedisServer(
        data_dir=data_dir / "redis",
        config_file=data_dir / "run" / "redis.conf",
        port=settings.redis_port,
        password=ensure_secret(settings, "redis_password"),
    )
