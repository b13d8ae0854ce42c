"""Media behind outside urls, fetched when a pipeline needs it, and only where the guard allows it.

Belongs here: what may be fetched, redirects, sizes, times, hashes. Not here: addresses and connections
(``fetch_guard.py``), keeping what was fetched (``media.py``). Nothing here is ever called while a document comes in.

A document from outside names the url, so whoever sent it chooses where this machine connects and how much it reads:
https only, public addresses only, no credentials, cookies or proxies, every redirect judged like the first url. A url
may itself be a key (presigned); no error and no log line ever holds more of it than its host.
"""

from __future__ import annotations

import hashlib
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote, urljoin, urlsplit

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.media import decode_base64url, normal_token
from vcon_platform.vcon.urls import why_blocked

if TYPE_CHECKING:
    import httpcore

    from vcon_platform.store.fetch_guard import Deadline, Resolver

logger = logging.getLogger(__name__)

_URL_LENGTH = 8192
_TRANSIENT = (408, 425, 429, 500, 502, 503, 504)
_REDIRECTS = (301, 302, 303, 307, 308)


class FetchMode(StrEnum):
    """Which outside urls are fetched."""

    OFF = "off"
    VERIFIED = "verified"
    """Only those whose document says what must come: they carry a ``content_hash``."""
    ANY = "any"


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What this installation fetches. ``hosts``: only these (``example.org``: itself; ``.example.org``: whatever is
    below it), empty: any public one. ``seconds``: for the whole fetch, redirects included."""

    mode: FetchMode = FetchMode.VERIFIED
    hosts: tuple[str, ...] = ()
    ports: frozenset[int] = frozenset({443})
    max_bytes: int = 1 << 29
    seconds: float = 300.0
    connect_seconds: float = 10.0
    read_seconds: float = 30.0
    redirects: int = 5


class FetchRefused(PlatformError):
    """The url must not be fetched; nothing was connected to it."""


class FetchFailed(PlatformError):
    """The url did not give its media. ``transient``: it may soon."""

    def __init__(self, message: str, *, transient: bool) -> None:
        super().__init__(message)
        self.transient = transient


class HashMismatch(PlatformError):
    """What came is not what the document says it is. It was thrown away, and nothing may be made from it."""


@dataclass(frozen=True, slots=True)
class _Target:
    """A url that passed: host and port to connect to, and what to ask for."""

    url: str
    host: str
    port: int
    path: str


class Fetcher:
    """Fetches under a policy. ``resolver``, ``address_allowed`` and ``tls`` are for tests only."""

    def __init__(
        self,
        policy: FetchPolicy,
        *,
        resolver: Resolver | None = None,
        address_allowed: Callable[[str], bool] | None = None,
        tls: Callable[[], ssl.SSLContext] | None = None,
    ) -> None:
        self._policy = policy
        self._resolver = resolver
        self._address_allowed = address_allowed
        self._make_tls = tls or _tls

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return self._make_tls()

    def chunks(self, url: str, content_hash: object = None) -> Iterator[bytes]:
        """The bytes behind ``url``, in pieces; whoever takes them must throw them away if this raises, also after the
        last piece, which is when the ``content_hash`` (a token, or several that must all hold) is known to be true.

        Raises :class:`FetchRefused`, :class:`FetchFailed`, :class:`HashMismatch`.
        """
        from vcon_platform.store.fetch_guard import Deadline

        policy = self._policy
        if policy.mode is FetchMode.OFF:
            raise FetchRefused("its body is kept at an outside url, which is not fetched (VCON_FETCH=off)")
        hashes = _hashes(content_hash)
        if policy.mode is FetchMode.VERIFIED and not hashes:
            raise FetchRefused(
                "its body is kept at an outside url without a content_hash that can be checked, so it is not fetched; "
                "add the hash, or allow it with VCON_FETCH=any"
            )
        target = self._target(url)
        deadline = Deadline(policy.seconds)
        for _ in range(policy.redirects + 1):
            with _told(target.host), self._asked(target, deadline) as response:
                if response.status not in _REDIRECTS:
                    yield from self._checked(target.host, response, hashes)
                    return
                target = self._target(_location(target, response))
        raise FetchFailed(f"{target.host} redirects more than {policy.redirects} times", transient=False)

    # --- where to -----------------------------------------------------------------------------------------------

    def _target(self, url: str) -> _Target:
        """Judge a url by its text. Raises :class:`FetchRefused`."""
        reason = "it is too long" if len(url) > _URL_LENGTH else why_blocked(url)
        if reason is not None:
            raise FetchRefused(f"its url is not fetched: {reason}")
        parts = urlsplit(url)
        host = (parts.hostname or "").removesuffix(".")
        import idna

        try:
            if not host.isascii():
                host = idna.encode(host, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            raise FetchRefused("its url is not fetched: its host is malformed") from None
        port = parts.port or 443
        if port not in self._policy.ports:
            raise FetchRefused(f"its url is not fetched: port {port} is not allowed (VCON_FETCH_PORTS)")
        if self._policy.hosts and not any(_is_of(host, allowed) for allowed in self._policy.hosts):
            raise FetchRefused(f"its url is not fetched: {host} is not among the hosts of VCON_FETCH_HOSTS")
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~") + ("?" + _quoted(parts.query) if parts.query else "")
        return _Target(f"https://{parts.netloc}{path}", host, port, path)

    def _addresses(self, target: _Target, deadline: Deadline) -> list[str]:
        """Every address of the host, all of them allowed."""
        from vcon_platform.store import fetch_guard

        resolver = self._resolver or fetch_guard.resolve
        try:
            addresses = list(deadline.within(lambda: resolver(target.host, target.port)))
        except OSError:
            addresses = []
        except UnicodeError:
            raise FetchRefused("its url is not fetched: its host is malformed") from None
        if not addresses:
            raise FetchFailed(f"the name {target.host} cannot be resolved; it is tried again", transient=True)
        if not all(map(self._address_allowed or fetch_guard.address_allowed, addresses)):
            raise FetchRefused(f"its url is not fetched: {target.host} resolves to an address that is not public")
        return addresses

    # --- over the net -------------------------------------------------------------------------------------------

    @contextmanager
    def _asked(self, target: _Target, deadline: Deadline) -> Iterator[httpcore.Response]:
        import httpcore

        from vcon_platform.store.fetch_guard import Pinned

        backend = Pinned(self._addresses(target, deadline), deadline)
        policy = self._policy
        timeouts = {
            "connect": policy.connect_seconds,
            "read": policy.read_seconds,
            "write": policy.read_seconds,
            "pool": policy.connect_seconds,
        }
        named = f"[{target.host}]" if ":" in target.host else target.host
        headers: dict[bytes | str, bytes | str] = {
            "Host": named if target.port == 443 else f"{named}:{target.port}",
            "User-Agent": "vcon-platform",
            "Accept": "*/*",
            "Accept-Encoding": "identity",
            "Connection": "close",
        }
        url = httpcore.URL(scheme=b"https", host=target.host.encode(), port=target.port, target=target.path.encode())
        with (
            httpcore.ConnectionPool(ssl_context=self._tls, network_backend=backend, max_connections=1) as pool,
            pool.stream("GET", url, headers=headers, extensions={"timeout": timeouts}) as response,
        ):
            logger.debug("fetched from %s: status %d", target.host, response.status)
            yield response

    def _checked(self, host: str, response: httpcore.Response, hashes: dict[str, bytes]) -> Iterator[bytes]:
        """The body of an answer that is one, within the size, and with the hashes it must have."""
        if response.status != 200:
            transient = response.status in _TRANSIENT
            then = "it is tried again" if transient else "correct the url, or send the media itself"
            raise FetchFailed(f"{host} answered with status {response.status}; {then}", transient=transient)
        headers = {name.lower(): value for name, value in response.headers}
        if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"", b"identity"):
            raise FetchFailed(f"{host} sends the media compressed though it must not", transient=False)
        length = headers.get(b"content-length", b"0")
        limit = self._policy.max_bytes
        size = int(length) if length.isdigit() and len(length) < 20 else 0
        digests = {name: hashlib.new(name) for name in hashes}
        received = 0
        for chunk in response.iter_stream() if size <= limit else ():
            received += len(chunk)
            if received > limit:
                break
            for digest in digests.values():
                digest.update(chunk)
            yield chunk
        if size > limit or received > limit:
            raise FetchFailed(f"{host} sends more than {limit} bytes (VCON_FETCH_MAX_BYTES)", transient=False)
        if any(digest.digest() != hashes[name] for name, digest in digests.items()):
            raise HashMismatch(
                f"the media from {host} is not what the document's content_hash says; it was thrown away. "
                "Have the sender correct the document or the media"
            )


def _hashes(content_hash: object) -> dict[str, bytes]:
    """Algorithm to digest. Raises :class:`HashMismatch` where two tokens of one algorithm differ: no bytes fit."""
    found: dict[str, bytes] = {}
    for token in content_hash if isinstance(content_hash, list) else [content_hash]:
        normal = normal_token(token) if isinstance(token, str) else None
        if normal is None:
            continue
        name, _, digest = normal.partition("-")
        raw = decode_base64url(digest)
        if found.setdefault(name, raw) != raw:
            raise HashMismatch(f"the document names two different {name} hashes for one media; have it corrected")
    return found


def _is_of(host: str, allowed: str) -> bool:
    allowed = allowed.strip().lower()
    return host.endswith(allowed) if allowed.startswith(".") else host == allowed


def _quoted(query: str) -> str:
    return quote(query, safe="/%:@!$&'()*+,;=~?")


def _location(target: _Target, response: httpcore.Response) -> str:
    for name, value in response.headers:
        if name.lower() == b"location":
            try:
                return urljoin(target.url, value.decode("utf-8"))
            except ValueError:
                break
    raise FetchFailed(f"{target.host} redirects to nowhere", transient=False)


@contextmanager
def _told(host: str) -> Iterator[None]:
    """The net's errors as ours."""
    import httpcore

    from vcon_platform.store.fetch_guard import TimeIsUp

    try:
        yield
    except TimeIsUp:
        raise FetchFailed(
            f"{host} took longer than the whole fetch may (VCON_FETCH_SECONDS); it is tried again", transient=True
        ) from None
    except httpcore.TimeoutException:
        raise FetchFailed(f"{host} does not answer in time; it is tried again", transient=True) from None
    except (httpcore.ConnectError, ssl.SSLError) as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error) or isinstance(error.__cause__, ssl.SSLCertVerificationError):
            raise FetchFailed(f"{host} cannot prove its name (TLS certificate)", transient=False) from None
        raise FetchFailed(f"{host} cannot be reached; it is tried again", transient=True) from None
    except (httpcore.NetworkError, httpcore.ProtocolError):
        raise FetchFailed(f"{host} broke off or does not speak HTTP; it is tried again", transient=True) from None


def _tls() -> ssl.SSLContext:
    """TLS that trusts the roots that come with the platform's own HTTP client, whatever the environment says."""
    import certifi

    return ssl.create_default_context(cafile=certifi.where())
