"""The processes of an installation: what each one is, how it is started and stopped, and what it needs first.

Does not belong here: how they are watched (``supervisord.py``) or how one knows that they are ready (``readiness.py``).
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from vcon_platform.services.files import write_private
from vcon_platform.services.ports import LOOPBACK, NeededPort
from vcon_platform.services.postgres import PostgresServer
from vcon_platform.services.redis import RedisServer
from vcon_platform.settings import Settings

#: Name of the code location, in our workspace and in workspace.yaml alike.
LOCATION = "vcon_platform"

REDIS, POSTGRES, CODE_SERVER = "redis", "postgres", "code-server"
WEBSERVER, DAEMON, API, WATCHDOG = "webserver", "daemon", "api", "watchdog"

#: What people call them.
TITLES = {
    REDIS: "Redis",
    POSTGRES: "Postgres",
    CODE_SERVER: "Dagster code server",
    WEBSERVER: "Dagster UI",
    DAEMON: "Dagster daemon",
    WATCHDOG: "Watchdog",
    API: "REST API",
}


@dataclass(frozen=True)
class Program:
    """One supervised process."""

    name: str
    command: tuple[str, ...]
    stop_signal: str
    stop_seconds: int
    """How long it may take to stop before it is killed."""
    signal_group: bool
    """Send the stop signal to its children too."""
    directory: Path
    user: str | None = None
    port: NeededPort | None = None


def redis_program(settings: Settings, server: RedisServer) -> Program:
    """The embedded Redis."""
    return Program(
        name=REDIS,
        command=tuple(server.command()),
        stop_signal="TERM",
        stop_seconds=30,
        signal_group=False,
        directory=settings.data_dir / "run",
        port=NeededPort(settings.redis_port, "the embedded Redis", "VCON_REDIS_PORT"),
    )


def postgres_program(settings: Settings, server: PostgresServer) -> Program:
    """The embedded Postgres."""
    return Program(
        name=POSTGRES,
        command=tuple(server.command()),
        stop_signal="INT",  # "fast": on TERM it waits until every client has left
        stop_seconds=30,
        signal_group=False,
        directory=Path("/"),
        user=server.identity.name if server.identity is not None else None,
        port=NeededPort(settings.postgres_port, "the embedded Postgres", "VCON_POSTGRES_PORT"),
    )


def platform_programs(settings: Settings, definitions_module: str) -> list[Program]:
    """Dagster's processes and the REST API, in the order in which they are started."""
    run = settings.data_dir / "run"
    workspace = str(run / "workspace.yaml")
    code_port, web_port, api_port = settings.code_server_port, settings.webserver_port, settings.api_port

    def python(name: str, *arguments: object, port: NeededPort | None = None) -> Program:
        command = (sys.executable, *(str(argument) for argument in arguments))
        # Dagster takes TERM and INT alike; its runs are in the code server's process group and are told as well, so
        # that they hand their leases back. The folder is one without a .env, which Dagster would read.
        return Program(name, command, "TERM", 30, signal_group=True, directory=run, port=port)

    return [
        python(
            CODE_SERVER,
            *("-m", "dagster", "code-server", "start", "-h", LOOPBACK, "-p", code_port, "-m", definitions_module),
            port=NeededPort(code_port, "Dagster's code server", "VCON_CODE_SERVER_PORT"),
        ),
        python(
            API,
            *api_command(api_port, settings.api_workers),
            port=NeededPort(api_port, "the REST API", "VCON_API_PORT"),
        ),
        python(
            WEBSERVER,
            *("-m", "dagster_webserver", "-h", LOOPBACK, "-p", web_port, "-w", workspace),
            port=NeededPort(web_port, "the Dagster UI", "VCON_WEBSERVER_PORT"),
        ),
        python(DAEMON, "-m", "dagster._daemon", "run", "-w", workspace),
        python(WATCHDOG, "-m", "vcon_platform.services.watchdog", web_port),
    ]


def api_command(port: int, workers: int = 1) -> tuple[str, ...]:
    """What Python is told, to serve the REST API by so many processes."""
    serve = ("-m", "uvicorn", "--factory", "vcon_platform.api.serving:serve", "--host", LOOPBACK, "--port", str(port))
    http = ("--http", "vcon_platform.api.joined:JoinedProtocol")
    options = (*http, "--no-access-log", "--no-server-header", "--timeout-graceful-shutdown", "5")
    several = ("--workers", str(workers)) if workers > 1 else ()  # a process that watches over the others
    return (*serve, *options, *several)


def write_workspace(settings: Settings) -> None:
    """Write the workspace that points webserver and daemon at the one code server."""
    server = {"host": LOOPBACK, "port": settings.code_server_port, "location_name": LOCATION}
    text = json.dumps({"load_from": [{"grpc_server": server}]}, indent=2)  # JSON is YAML
    write_private(settings.data_dir / "run" / "workspace.yaml", text + "\n")
