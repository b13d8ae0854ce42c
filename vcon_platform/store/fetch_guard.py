"""Where a fetch may go, and a connection that goes nowhere else.

Belongs here: which addresses are public, resolving a name once, connecting to exactly the address that was judged
while TLS still proves the name. Not here: what can be told from a url's text alone (``vcon/urls.py``), redirects, sizes
and hashes (``fetch.py``).

Resolving and connecting are one step: a name that is resolved again to connect may answer differently the second time
(DNS rebinding). Every address of a name must be public: one that answers with an inside address beside a public one
has no good reason to.
"""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import httpcore

from vcon_platform.vcon.urls import is_public

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv6Address

Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to the addresses a name has now. Raises OSError."""

_REFUSED = tuple(
    map(
        ipaddress.ip_network,
        (
            "168.63.129.16/32",  # the cloud's own service on Azure hosts
            "192.0.0.0/24",  # protocol assignments, among them a cloud's metadata address
            "192.88.99.0/24",  # relays into 6to4
            "2001::/23",  # protocol assignments, Teredo among them
            "2002::/16",  # 6to4: carries an IPv4 address
            "3fff::/20",  # documentation
        ),
    )
)
_MOMENT = 0.005
_UNICAST6 = ipaddress.IPv6Network("2000::/3")


def address_allowed(address: str) -> bool:
    """Whether a fetch may connect to this address: a public unicast one, and no IPv6 form that carries an IPv4
    address, since where that leads is decided elsewhere."""
    try:
        parsed: IPv4Address | IPv6Address = ipaddress.ip_address(address)
    except ValueError:  # with a zone, or none at all
        return False
    if parsed.version == 6 and parsed not in _UNICAST6:
        return False
    return is_public(parsed) and not any(parsed in network for network in _REFUSED if network.version == parsed.version)


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, each once, in the order the system prefers."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class TimeIsUp(httpcore.TimeoutException):
    """The whole fetch took too long, however busy it was."""


class Deadline:
    """The moment at which a fetch must be over."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def left(self, at_most: float | None = None) -> float:
        """Seconds until then. Raises :class:`TimeIsUp`."""
        left = self._end - time.monotonic()
        if left <= _MOMENT:  # a step that ended with the time ends a moment before it
            raise TimeIsUp("the time is up")
        return left if at_most is None else min(left, at_most)

    def within[T](self, call: Callable[[], T]) -> T:
        """``call()``, given up when the time is up: the system's resolver knows no time-out of ours. The thread then
        ends by itself."""
        done: list[T] = []
        failed: list[BaseException] = []

        def run() -> None:
            try:
                done.append(call())
            except BaseException as error:  # handed to the caller, whatever it is
                failed.append(error)

        thread = threading.Thread(target=run, name="resolve", daemon=True)
        thread.start()
        thread.join(self.left())
        if failed:
            raise failed[0]
        if not done:
            raise TimeIsUp("the name was not resolved in time")
        return done[0]


class Pinned(httpcore.NetworkBackend):
    """Connects to one of these addresses, whatever host it is asked for, and never past the deadline."""

    def __init__(self, addresses: Sequence[str], deadline: Deadline) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._backend = httpcore.SyncBackend()
        self.connected = False
        """Whether there was a connection yet: until then nothing can have been sent."""

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - the name is what must not be resolved again
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection to the first address that takes one."""
        failed: Exception | None = None
        for address in self._addresses:
            try:
                stream = self._backend.connect_tcp(
                    address, port, self._deadline.left(timeout), local_address, socket_options
                )
                self.connected = True
                return _Timed(stream, self._deadline)
            except TimeIsUp:
                raise
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise failed or httpcore.ConnectError("the name has no address")

    def connect_unix_socket(
        self, path: str, timeout: float | None = None, socket_options: Iterable[Any] | None = None
    ) -> httpcore.NetworkStream:
        """Never."""
        del path, timeout, socket_options
        raise httpcore.ConnectError("no local sockets")


class _Timed(httpcore.NetworkStream):
    """A stream of which no single step lasts beyond the deadline: a server that sends a byte now and then, in its
    headers too, never runs into a time-out between two bytes."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._stream.read(max_bytes, self._deadline.left(timeout))
        except httpcore.ReadTimeout:
            self._deadline.left()
            raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        stream = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _Timed(stream, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)
