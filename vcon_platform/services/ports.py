"""TCP ports of the loopback interface: free or taken, and by whom."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from vcon_platform.services.errors import ServiceError

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class NeededPort:
    """A port that one of our processes is going to listen on."""

    number: int
    what: str
    setting: str


def is_free(port: int) -> bool:
    """True if nobody listens on ``port`` of the loopback interface (or of all interfaces)."""
    with socket.socket() as probe:
        # As the servers do, so that connections of an earlier process that are only waiting out do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def is_answering(port: int, timeout: float = 1.0) -> bool:
    """True if something accepts connections on ``port``."""
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout):
        return True
    return False


def user_of(port: int) -> str:
    """Who listens on ``port``, as far as this user may know: ``process 123 (name)`` or ``another process``."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections("tcp"):
            if port in connection.laddr and connection.status == psutil.CONN_LISTEN and connection.pid is not None:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return "another process"


def require_free(ports: Iterable[NeededPort]) -> None:
    """Raise one :class:`ServiceError` that names every port that is taken, its user and the cure."""
    wanted = list(ports)
    numbers = [port.number for port in wanted]
    problems = [
        f"Port {port.number} ({port.what}) is in use by {user_of(port.number)}. Stop it, or set {port.setting} "
        "to a free port (environment or .env)."
        for port in wanted
        if not is_free(port.number)
    ]
    problems += [
        f"Port {port.number} is set for several processes; change {port.setting} ({port.what})."
        for index, port in enumerate(wanted)
        if port.number in numbers[:index]
    ]
    if problems:
        raise ServiceError("\n".join(problems))
