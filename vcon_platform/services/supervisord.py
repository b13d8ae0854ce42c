"""Our supervisord: its configuration, its start, and a client for its control socket.

It keeps the processes alive, rotates their logs in ``{data_dir}/logs`` and stops them with their children. Which
processes, and in which order, is not decided here (``programs.py``, ``stack.py``).
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from vcon_platform.services.errors import ServiceError
from vcon_platform.services.files import write_private
from vcon_platform.services.programs import Program

#: A Unix socket's path may have 107 bytes, and supervisord first binds a longer, temporary name.
_LONGEST_SOCKET_PATH = 90


def socket_path(data_dir: Path) -> Path:
    """Where the control socket is, or would be."""
    usual = data_dir / "run" / "supervisor.sock"
    with contextlib.suppress(OSError):
        folder = Path((data_dir / "run" / "socket_folder").read_text().strip())
        if folder.is_dir() and folder.stat().st_uid == os.getuid():
            return folder / usual.name
    return usual


def _prepare_socket(data_dir: Path) -> None:
    """Where the data folder's path is too long for a socket, choose a private folder and write it down."""
    if len(os.fsencode(socket_path(data_dir))) > _LONGEST_SOCKET_PATH:
        folder = tempfile.mkdtemp(prefix="vcon-")
        write_private(data_dir / "run" / "socket_folder", f"{folder}\n")


def _value(text: object) -> str:
    return str(text).replace("%", "%%")


def configuration(data_dir: Path, programs: Iterable[Program]) -> str:
    """The text of supervisord.conf. It holds no secret: those are in the environment supervisord is started with."""
    run, logs, sock = data_dir / "run", data_dir / "logs", socket_path(data_dir)
    lines = [
        "[supervisord]",
        f"logfile={_value(logs / 'supervisord.log')}",
        "logfile_maxbytes=5MB",
        "logfile_backups=2",
        f"pidfile={_value(run / 'supervisord.pid')}",
        f"directory={_value(run)}",
        f"childlogdir={_value(logs)}",
        "umask=077",
        "nocleanup=true",
        *(["user=root"] if os.geteuid() == 0 else []),
        "[unix_http_server]",
        f"file={_value(sock)}",
        "chmod=0700",
        "[rpcinterface:supervisor]",
        "supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface",
    ]
    for priority, program in enumerate(programs, start=1):
        lines += [
            f"[program:{program.name}]",
            # For is_configured: not every program has its port in its command.
            f"; port={program.port.number if program.port else None}",
            f"command={_value(shlex.join(program.command))}",
            f"directory={_value(program.directory)}",
            f"priority={priority}",  # shutdown goes backwards
            "autostart=false",  # we start them in order, each when what it needs is ready
            "autorestart=true",
            "startsecs=1",
            "startretries=5",
            f"stopsignal={program.stop_signal}",
            f"stopwaitsecs={program.stop_seconds}",
            f"stopasgroup={str(program.signal_group).lower()}",
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_value(logs / (program.name + '.log'))}",
            "stdout_logfile_maxbytes=10MB",
            "stdout_logfile_backups=3",
            *([f"user={program.user}"] if program.user is not None else []),
        ]
    return "\n".join(lines) + "\n"


def is_configured(data_dir: Path, programs: Iterable[Program]) -> bool:
    """True if the configuration that supervisord was started with is the one for ``programs``."""
    return _config_file(data_dir).read_text() == configuration(data_dir, programs)


def _config_file(data_dir: Path) -> Path:
    return data_dir / "run" / "supervisord.conf"


def spawn(data_dir: Path, programs: Iterable[Program], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start supervisord in a session of its own; it outlives this process. It is not ready yet on return."""
    _prepare_socket(data_dir)
    config = _config_file(data_dir)
    write_private(config, configuration(data_dir, programs))
    with (data_dir / "logs" / "supervisord.out").open("ab") as out:
        return subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisord", "--nodaemon", "--silent", "-c", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=data_dir / "run",
            env=dict(environment),
            start_new_session=True,
        )


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class _UnixTransport(xmlrpc.client.Transport):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__()
        self._path, self._timeout = path, timeout

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002 - there is but one
        return _UnixConnection(self._path, self._timeout)


class SupervisorClient:
    """Talks to the supervisord of a data folder. Methods raise :class:`ServiceError` when it does not answer."""

    def __init__(self, data_dir: Path, timeout: float = 10.0) -> None:
        self._data_dir = data_dir
        self._timeout = timeout

    def _call(self, method: str, *arguments: object) -> Any:
        path = socket_path(self._data_dir)
        proxy = xmlrpc.client.ServerProxy("http://localhost/RPC2", transport=_UnixTransport(path, self._timeout))
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except (OSError, http.client.HTTPException, xmlrpc.client.ProtocolError) as error:
            raise ServiceError(f"The supervisor at {path} does not answer ({type(error).__name__}).") from error

    def process_id(self) -> int | None:
        """supervisord's process id; None when it does not run."""
        if not socket_path(self._data_dir).exists():
            return None
        try:
            return int(self._call("getPID"))
        except ServiceError:
            return None

    def processes(self) -> dict[str, dict[str, Any]]:
        """supervisord's own facts (statename, pid, start, now, ...) by program name."""
        return {str(info["name"]): dict(info) for info in self._call("getAllProcessInfo")}

    def start(self, name: str) -> None:
        """Start a program; nothing happens if it runs already."""
        with contextlib.suppress(xmlrpc.client.Fault):  # ALREADY_STARTED, or it failed: the readiness probe tells
            self._call("startProcess", name, False)

    def shut_down(self) -> None:
        """Ask supervisord to stop everything, last started first, and to leave."""
        with contextlib.suppress(xmlrpc.client.Fault):  # it is about to leave already
            self._call("shutdown")
