"""The processes of one installation together: start in order, status, stop. What ``vcon-platform up`` does.

supervisord is the one process this module starts; it starts, watches and restarts the others. So a stack outlives the
command that started it, and every later command finds it by its data folder.
"""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from vcon_platform.services.environment import child_environment
from vcon_platform.services.errors import ServiceError
from vcon_platform.services.files import prepare_data_dir
from vcon_platform.services.leftovers import leftovers, stop_leftovers
from vcon_platform.services.ports import LOOPBACK, is_answering, require_free
from vcon_platform.services.postgres import PostgresServer, create_schemas, embedded_postgres, why_postgres_not_ready
from vcon_platform.services.programs import (
    API,
    CODE_SERVER,
    DAEMON,
    POSTGRES,
    REDIS,
    TITLES,
    WATCHDOG,
    WEBSERVER,
    Program,
    platform_programs,
    postgres_program,
    redis_program,
    write_workspace,
)
from vcon_platform.services.readiness import why_api_not_ready, why_daemon_not_ready, why_webserver_not_ready
from vcon_platform.services.redis import RedisServer, embedded_redis, why_redis_not_ready
from vcon_platform.services.supervisord import SupervisorClient, is_configured, spawn
from vcon_platform.settings import Settings

DEFINITIONS_MODULE = "vcon_platform.definitions"
_POLL_SECONDS = 0.1
#: A process that has been started this often and is still not ready will not be. (supervisord itself gives up only on
#: those that end within a second; importing Dagster takes longer than that.)
_LIVES = 3


@dataclass(frozen=True)
class Progress:
    """One line of a start or stop: ``seconds`` is set when something has become ready."""

    text: str
    seconds: float | None = None


@dataclass(frozen=True)
class ProcessStatus:
    """One process. ``state``: running, starting, stopping, stopped, failed, external, or left over (its supervisor
    was killed)."""

    name: str
    title: str
    state: str
    process_id: int | None = None
    uptime_seconds: int | None = None
    address: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


#: supervisord's state names, as the words above. BACKOFF: it left at once and is about to be started again.
_STATES = {"RUNNING": "running", "STARTING": "starting", "BACKOFF": "failed", "STOPPING": "stopping", "FATAL": "failed"}


class Stack:
    """The processes of the installation that ``settings`` describes."""

    def __init__(self, settings: Settings, definitions_module: str = DEFINITIONS_MODULE) -> None:
        self.settings = settings
        self.definitions_module = definitions_module
        self._client = SupervisorClient(settings.data_dir)
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def webserver_url(self) -> str:
        """Address of the Dagster UI."""
        return f"http://{LOOPBACK}:{self.settings.webserver_port}"

    @property
    def api_url(self) -> str:
        """Address of the REST API."""
        return f"http://{LOOPBACK}:{self.settings.api_port}"

    def is_up(self) -> bool:
        """True if this installation's supervisor runs."""
        return self._client.process_id() is not None

    def up(
        self,
        progress: Callable[[Progress], None] = lambda _: None,
        *,
        services_only: bool = False,
        timeout: float = 180.0,
    ) -> None:
        """Start what does not run yet and return when all of it is ready (``timeout`` seconds per process).

        May be called again, also to widen ``services_only`` to everything. Raises :class:`ServiceError`; what was
        started stays, for its logs and for another try: call :meth:`down` to stop it.
        """
        data_dir = prepare_data_dir(self.settings)
        with self._alone(data_dir):
            redis, postgres = self._servers(progress)
            programs = self._programs(redis, postgres)
            wanted = programs if not services_only else [p for p in programs if p.name in (REDIS, POSTGRES)]
            if wanted:
                self._supervise(programs, wanted, progress)
            self._start(REDIS, redis is not None, progress, timeout, self._redis_probe(redis))
            self._start(POSTGRES, postgres is not None, progress, timeout, self._postgres_probe(postgres))
            create_schemas(self.settings.postgres_url())
            if services_only:
                return
            ports = self.settings
            self._client.start(CODE_SERVER)
            self._client.start(API)
            self._start(CODE_SERVER, True, progress, timeout, lambda: _port_silent(ports.code_server_port))
            self._client.start(WEBSERVER)
            self._client.start(DAEMON)
            self._start(API, True, progress, timeout, lambda: why_api_not_ready(ports.api_port))
            self._start(WEBSERVER, True, progress, timeout, lambda: why_webserver_not_ready(ports.webserver_port))
            self._start(DAEMON, True, progress, timeout, lambda: why_daemon_not_ready(ports.webserver_port))
            self._client.start(WATCHDOG)

    def down(self, progress: Callable[[Progress], None] = lambda _: None, *, timeout: float = 120.0) -> bool:
        """Stop everything, last started first. False if nothing ran. Raises :class:`ServiceError` if it will not
        stop within ``timeout`` seconds."""
        if not self.settings.data_dir.is_dir():
            return False
        with self._alone(prepare_data_dir(self.settings)):
            began = time.monotonic()
            supervisor = self._client.process_id()
            if supervisor is not None:
                progress(Progress("Stopping"))
                self._client.shut_down()
                _wait_until_gone(supervisor, self._child, timeout)
            self._child = None
            count = stop_leftovers(self.settings.data_dir)
            if supervisor is not None or count:
                progress(Progress("Stopped", time.monotonic() - began))
            return supervisor is not None or count > 0

    def status(self) -> list[ProcessStatus]:
        """Every process of the installation, whether it runs or not."""
        alive = self._client.process_id() is not None
        infos = self._client.processes() if alive else {}
        left = {} if alive else {_program_of(process): process.pid for process in leftovers(self.settings.data_dir)}
        return [self._status_of(*known, infos, left) for known in self._known()]

    def failures(self) -> list[ProcessStatus]:
        """The processes that were started and do not stay up."""
        return [status for status in self.status() if status.state == "failed"]

    def log_file(self, name: str) -> Path:
        """The log of a process."""
        return self.settings.data_dir / "logs" / f"{name}.log"

    # -- the parts of up ------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _alone(self, data_dir: Path) -> Iterator[None]:
        with (data_dir / "run" / "up.lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ServiceError(
                    f"Another 'vcon-platform up' or 'down' is at work on {data_dir}. Wait for it, then try again."
                ) from None
            yield

    def _servers(self, progress: Callable[[Progress], None]) -> tuple[RedisServer | None, PostgresServer | None]:
        redis = embedded_redis(self.settings) if self.settings.embedded_redis else None
        postgres = embedded_postgres(self.settings) if self.settings.embedded_postgres else None
        if postgres is not None and postgres.notice is not None:
            progress(Progress(postgres.notice))
        return redis, postgres

    def _programs(self, redis: RedisServer | None, postgres: PostgresServer | None) -> list[Program]:
        return [
            *([redis_program(self.settings, redis)] if redis is not None else []),
            *([postgres_program(self.settings, postgres)] if postgres is not None else []),
            *platform_programs(self.settings, self.definitions_module),
        ]

    def _supervise(self, programs: list[Program], wanted: list[Program], progress: Callable[[Progress], None]) -> None:
        """Have a supervisor that knows ``programs``; prepare those in ``wanted`` that do not run yet."""
        alive = self._client.process_id() is not None
        if not alive and (count := stop_leftovers(self.settings.data_dir)):
            progress(Progress(f"Stopped {count} processes that an earlier, killed supervisor had left behind"))
        if alive and not is_configured(self.settings.data_dir, programs):
            raise ServiceError(
                f"The platform of {self.settings.data_dir} runs with other ports or programs than are set now. Stop it "
                "with 'vcon-platform down', then start it again."
            )
        running = {name for name, info in self._client.processes().items() if info["pid"]} if alive else set()
        missing = [program for program in wanted if program.name not in running]
        require_free(program.port for program in missing if program.port is not None)
        if REDIS in {program.name for program in missing}:
            embedded_redis(self.settings).prepare()
        if POSTGRES in {program.name for program in missing}:
            embedded_postgres(self.settings).prepare()
        write_workspace(self.settings)
        if not alive:
            self._child = spawn(self.settings.data_dir, programs, child_environment(self.settings))
            self._await(
                "the supervisor", lambda: None if self._client.process_id() is not None else "it does not answer", 30
            )

    def _redis_probe(self, server: RedisServer | None) -> Callable[[], str | None]:
        if server is None:
            return lambda: why_redis_not_ready(self.settings.redis_url())
        return lambda: server.why_not_ready(self._process_id(REDIS))

    def _postgres_probe(self, server: PostgresServer | None) -> Callable[[], str | None]:
        if server is None:
            return lambda: why_postgres_not_ready(self.settings.postgres_url())
        return server.why_not_ready

    def _process_id(self, name: str) -> int | None:
        info = self._client.processes().get(name)
        return int(info["pid"]) or None if info else None

    def _start(
        self,
        name: str,
        ours: bool,
        progress: Callable[[Progress], None],
        timeout: float,
        why_not: Callable[[], str | None],
    ) -> None:
        title = TITLES[name]
        began = time.monotonic()
        if not ours:
            if reason := why_not():
                variable = f"{name.upper()}_URL"
                raise ServiceError(
                    f"The {title} that {variable} names cannot be used: {reason}. Mend or unset {variable}."
                )
            progress(Progress(f"{title} of your own is ready", time.monotonic() - began))
            return
        self._client.start(name)
        self._await(title, why_not, timeout, name)
        progress(Progress(f"{title} is ready", time.monotonic() - began))

    def _await(self, title: str, why_not: Callable[[], str | None], timeout: float, name: str | None = None) -> None:
        deadline = time.monotonic() + timeout
        lives: set[int] = set()
        while (reason := why_not()) is not None:
            info = self._client.processes().get(name, {}) if name is not None else {}
            lives.add(info.get("pid", 0))
            failed = info.get("statename") == "FATAL" or len(lives - {0}) > _LIVES
            left = self._child is not None and self._child.poll() is not None
            if failed or left or time.monotonic() > deadline:
                log = self.log_file(name) if name else self.settings.data_dir / "logs" / "supervisord.out"
                what = "does not stay up" if failed or left else f"is not ready after {timeout:g} s: {reason}"
                raise ServiceError(f"{title} {what}. End of {log}:\n{tail(log)}")
            time.sleep(_POLL_SECONDS)

    # -- the parts of status --------------------------------------------------------------------------------------

    def _known(self) -> list[tuple[str, str | None]]:
        ports = self.settings
        return [
            (REDIS, f"{LOOPBACK}:{ports.redis_port}" if ports.embedded_redis else None),
            (POSTGRES, f"{LOOPBACK}:{ports.postgres_port}" if ports.embedded_postgres else None),
            (CODE_SERVER, f"{LOOPBACK}:{ports.code_server_port}"),
            (WEBSERVER, self.webserver_url),
            (DAEMON, ""),
            (WATCHDOG, ""),
            (API, self.api_url),
        ]

    def _status_of(
        self, name: str, address: str | None, infos: dict[str, dict[str, Any]], left: dict[str, int]
    ) -> ProcessStatus:
        title = TITLES[name]
        if address is None:
            return ProcessStatus(name, title, "external")
        if name in left:
            return ProcessStatus(name, title, "left over", left[name], None, address or None)
        info = infos.get(name)
        if info is None or not info["pid"]:
            state = _STATES.get(info["statename"], "stopped") if info else "stopped"
            return ProcessStatus(name, title, state, None, None, address or None)
        state = _STATES.get(info["statename"], "stopped")
        return ProcessStatus(name, title, state, int(info["pid"]), int(info["now"] - info["start"]), address or None)


def tail(log: Path, lines: int = 25) -> str:
    """The last lines of a log; empty if there is none."""
    with contextlib.suppress(OSError):
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    return ""


def _port_silent(port: int) -> str | None:
    return None if is_answering(port) else "it does not accept connections"


def _program_of(process: psutil.Process) -> str:
    try:
        name = process.name()
        if name in (POSTGRES, "redis-server"):
            return POSTGRES if name == POSTGRES else REDIS
        return str(process.environ().get("SUPERVISOR_PROCESS_NAME", ""))
    except psutil.Error:
        return ""


def _wait_until_gone(process_id: int, child: subprocess.Popen[bytes] | None, timeout: float) -> None:
    try:
        if child is not None and child.pid == process_id:
            child.wait(timeout)
        else:
            psutil.Process(process_id).wait(timeout)
    except psutil.NoSuchProcess:
        return
    except (subprocess.TimeoutExpired, psutil.TimeoutExpired):
        raise ServiceError(
            f"The supervisor (process {process_id}) did not stop within {timeout:g} s. End it by 'kill {process_id}'."
        ) from None
