"""One HTTP request to somebody outside, to an address that a definition or this installation names.

Belongs here: where such a request may go, the request itself, and for certain whether it may have arrived. Not here:
what is sent and what an answer means to whoever sent it (``processors/outgoing.py``, ``projections/calling.py``),
fetching what a vCon names (``fetch.py``).

A definition's author need not be trusted with the inside of the network, so a literal address must be https and resolve
to public addresses only, unless its host is one of ``VCON_WEBHOOK_HOSTS``; ``VCON_WEBHOOK_PUBLIC=off`` allows no others
than those. An address that a variable holds was chosen by who runs the installation, and is called wherever it lies.
Names are resolved once and the connection goes to what was judged (``fetch_guard.py``). Redirects are not
followed: what is sent was meant for one address. No error holds more of an address than scheme, host and port, for
paths and queries hold keys.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.urls import why_blocked

if TYPE_CHECKING:
    from vcon_platform.store.fetch_guard import Deadline

HOSTS = "VCON_WEBHOOK_HOSTS"
PUBLIC = "VCON_WEBHOOK_PUBLIC"
MOST_ANSWER = 1 << 20
"""Bytes of an answer that are read at most."""
CONNECT_SECONDS = 10.0
_PASSING = frozenset({408, 425, 429})
_OFF = frozenset({"off", "false", "0", "no"})


class NotCalled(PlatformError):
    """An address that may not be called, or is none. Nothing was sent, and nothing will be at another try."""


class NotReached(PlatformError):
    """Nobody was there. Nothing was sent."""

    transient = True


class Unanswered(PlatformError):
    """The request was sent, and no whole answer came back: it may have arrived or not."""

    transient = True


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes. ``shown``: scheme, host and port. ``inside``: it may resolve to any address. ``trusted``:
    who runs this installation named it, so a key may go there."""

    scheme: str
    host: str
    port: int
    path: str
    inside: bool
    trusted: bool

    @property
    def shown(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        usual = self.port == (443 if self.scheme == "https" else 80)
        return f"{self.scheme}://{host}" + ("" if usual else f":{self.port}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. ``headers`` in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def fine(self) -> bool:
        return 200 <= self.status < 300

    @property
    def passing(self) -> bool:
        """Whether what it refuses for may pass: the same may succeed later."""
        return self.status in _PASSING or self.status >= 500


def literal_address(value: str, place: str) -> Address:
    """The address that a definition or a declaration names in so many words, at this place. Raises
    :class:`NotCalled` saying why it is not called."""
    found = chosen_address(value, place)
    if any(_is_of(found.host, found.port, each) for each in _listed()):
        return found
    if os.environ.get(PUBLIC, "").strip().lower() in _OFF:
        raise NotCalled(f"{place}: host {found.host} is none of those that {HOSTS} allows, and {PUBLIC} is off")
    reason = why_blocked(f"{found.scheme}://{urlsplit(value).netloc}/")
    if reason is not None:
        raise NotCalled(
            f"{place}: is not called: {reason}; for a host inside, set {HOSTS} or write env:NAME for its address"
        )
    return replace(found, inside=False, trusted=False)


def below(address: Address, path: str) -> Address:
    """A place below an address, e.g. ``/entries``."""
    return replace(address, path=address.path.rstrip("/") + path)


def chosen_address(text: str, place: str) -> Address:
    """The address that who runs this installation chose: it may lie anywhere, and a key may go there. Raises
    :class:`NotCalled` naming the place it stands at."""
    try:
        parts = urlsplit(text)
        host, port = (parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        raise NotCalled(f"{place}: is no address: its host or port is malformed") from None
    if parts.scheme not in ("http", "https") or not host or re.search(r"[\x00-\x20\x7f\\]", text):
        raise NotCalled(f"{place}: is no address; write https://host/path")
    if "@" in parts.netloc:
        raise NotCalled(f"{place}: an address must not hold a user name or password; send a header instead")
    if not host.isascii():
        import idna

        try:
            host = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise NotCalled(f"{place}: is no address: its host is malformed") from None
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~?")
    number = port or (443 if parts.scheme == "https" else 80)
    return Address(parts.scheme, host, number, target, inside=True, trusted=True)


def send(
    address: Address,
    *,
    method: str = "POST",
    headers: Mapping[str, str] | None = None,
    content: bytes = b"",
    seconds: float = 30.0,
    most: int = MOST_ANSWER,
) -> Answer:
    """Send a request, and read the answer, whatever its status. ``seconds``: for all of it. ``most``: bytes of the
    answer's body; 0: its status is all that matters.

    Raises :class:`NotReached` or :class:`NotCalled` where nothing was sent, :class:`Unanswered` where it was and no
    whole answer came back."""
    import httpcore

    from vcon_platform.store.fetch_guard import Deadline, Pinned, TimeIsUp

    deadline = Deadline(seconds)
    backend = Pinned(_addresses(address, deadline), deadline)
    timeouts = {"connect": CONNECT_SECONDS, "read": seconds, "write": seconds, "pool": CONNECT_SECONDS}
    sent: dict[bytes | str, bytes | str] = {
        "Host": address.shown.partition("://")[2],
        "User-Agent": "vcon-platform",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    sent.update(_named(headers or {}))
    if content or method != "GET":
        sent["Content-Length"] = str(len(content))
    url = httpcore.URL(
        scheme=address.scheme.encode(), host=address.host.encode(), port=address.port, target=address.path.encode()
    )
    try:
        with (
            httpcore.ConnectionPool(ssl_context=_tls(), network_backend=backend, max_connections=1) as pool,
            pool.stream(method, url, headers=sent, content=content, extensions={"timeout": timeouts}) as response,
        ):
            told = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            body = bytearray()
            for chunk in response.iter_stream() if most else ():
                body += chunk
                if len(body) > most:
                    raise Unanswered(f"{address.shown} answered with more than {most} bytes")
            return Answer(response.status, told, bytes(body))
    except TimeIsUp:
        if not backend.connected:
            raise NotReached(f"{address.shown} cannot be reached within {seconds:g} s") from None
        raise Unanswered(f"{address.shown} did not answer within {seconds:g} s") from None
    except (httpcore.ConnectError, httpcore.ConnectTimeout, ssl.SSLError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise NotCalled(
                f"{address.shown} cannot prove its name (TLS certificate); name a certificate authority of your own by "
                "SSL_CERT_FILE"
            ) from None
        raise NotReached(f"{address.shown} cannot be reached ({type(error).__name__})") from None
    except httpcore.LocalProtocolError:
        raise NotCalled(f"the request to {address.shown} was not sent: a header is none") from None
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise Unanswered(f"{address.shown}: the connection broke ({type(error).__name__})") from None


def _named(headers: Mapping[str, str]) -> list[tuple[bytes | str, bytes | str]]:
    return list(headers.items())


def _addresses(address: Address, deadline: Deadline) -> list[str]:
    """Every address of the host; all of them public, unless it may lie inside."""
    from vcon_platform.store import fetch_guard

    try:
        found = deadline.within(lambda: fetch_guard.resolve(address.host, address.port))
    except (OSError, UnicodeError):
        found = []
    except fetch_guard.TimeIsUp:
        raise NotReached(f"the name {address.host} was not resolved in time") from None
    if not found:
        raise NotReached(f"the name {address.host} cannot be resolved")
    if not address.inside and not all(map(fetch_guard.address_allowed, found)):
        raise NotCalled(
            f"{address.shown} is not called: its name resolves to an address that is not public; for a host inside, "
            f"set {HOSTS}"
        )
    return found


def _listed() -> list[str]:
    return [each.strip().lower() for each in os.environ.get(HOSTS, "").split(",") if each.strip()]


def _is_of(host: str, port: int, allowed: str) -> bool:
    """``example.org``, ``.example.org`` (whatever is below it), ``[::1]:8080``: with a port, that one only."""
    found = re.fullmatch(r"(\[[0-9a-f:.]+\]|[^:]+)(?::(\d+))?", allowed)
    if found is None:
        return False
    name = found[1].strip("[]")
    fits = host.endswith(name) if name.startswith(".") else host == name
    return fits and (found[2] is None or int(found[2]) == port)


def _tls() -> ssl.SSLContext:
    return _context(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", ""))


@cache
def _context(file: str, folder: str) -> ssl.SSLContext:
    """The authorities that the environment names, else those that come with the platform's own HTTP client."""
    if file or folder:
        return ssl.create_default_context()
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
