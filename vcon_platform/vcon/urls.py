"""What can be said of an outside url without connecting to anything.

Belongs here: whether the text of a url alone forbids fetching it, whether it carries a key, how it is shown. Not here:
names that resolve to inside addresses, redirects and the fetching itself (``store/fetch.py``): a url that passes here
is not yet a safe one.

The draft wants https. Everything else that a document may name as its url is kept with the document, since it is part
of what came, and is never followed. Hosts are judged as browsers and C libraries read them, not as written: ``0x7f.1``,
``2130706433`` and full-width digits are addresses too.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_PLAIN = re.compile(r"https://([a-z0-9.-]{1,253})(?=/)[^\x00-\x20\x7f\\]*\Z")
"""Most urls there are; the others are taken apart with care."""
_SECRETS = re.compile(
    r"[?&;](?:[^=&;#?]*(?:signature|credential|security-token|accesskeyid)|sig|token|access_token|api_?key|key-pair-id"
    r"|expires|policy)=",
    re.IGNORECASE,
)
_NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)\.?", re.IGNORECASE)
_DOTS = str.maketrans("\u3002\uff0e\uff61", "...")

_INSIDE = (
    *("localhost", "local", "internal", "intranet", "lan", "corp", "home", "private", "localdomain", "arpa"),
    *("test", "example", "invalid", "onion", "alt"),  # reserved by RFC 2606, 6761, 7686, 9476
)
"""Last labels of names that no public resolver answers for, or only with addresses inside."""

_WILDCARD = ("nip.io", "sslip.io", "xip.io", "localtest.me", "lvh.me", "vcap.me", "lacolhost.com", "traefik.me")
"""Public names whose subdomains resolve to whatever address the name spells."""

_NAT64 = IPv6Network("64:ff9b::/96")


def why_blocked(url: str) -> str | None:
    """Why this url is never fetched, as the end of a sentence; None if its text alone forbids nothing."""
    if (plain := _PLAIN.match(url)) is not None:
        return _why_host_blocked(plain[1])
    if _UNSAFE.search(url):
        return "it holds control characters, spaces or backslashes"
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return "its host or port is malformed"
    if parts.scheme.lower() != "https":
        return "it is not an https url"
    if not host:
        return "it names no host"
    if "@" in parts.netloc:
        return "it carries a user name or password"
    return _why_host_blocked(host)


@lru_cache(maxsize=1024)
def _why_host_blocked(host: str) -> str | None:
    if len(host) > 253:
        return "its host is malformed"
    if "%" in host:
        return "its host is percent-encoded or has a zone"
    if not host.isascii():
        host = unicodedata.normalize("NFKC", host.translate(_DOTS)).lower().translate(_DOTS)
    if ":" in host:
        try:
            return None if is_public(ip_address(host)) else "its address is not a public one"
        except ValueError:
            return "its host is malformed"
    if _NUMERIC.fullmatch(host):
        try:
            return None if is_public(IPv4Address(host)) else "its address is not a public one"
        except ValueError:
            return "its host is a number, not a name"
    name = host.removesuffix(".")
    if "." not in name:
        return "its host is a name of the local network"
    if name.rpartition(".")[2] in _INSIDE:
        return "its host is a reserved or internal name"
    if any(name == suffix or name.endswith(f".{suffix}") for suffix in _WILDCARD):
        return "its host resolves to any address one likes"
    return None


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether an address is one on the public internet, looking through the IPv6 forms that carry an IPv4 one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo or (None, None))[1]
        if inner is None and (address in _NAT64 or int(address) >> 32 == 0):
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not address.is_reserved


def is_presigned(url: str) -> bool:
    """Whether the query carries a signature, key or token: whoever sees the url can read what it names."""
    return "?" in url and _SECRETS.search(url) is not None


def names_something(url: str) -> bool:
    """Whether a text could be a url or a path at all: it has a scheme, or a slash, or a dot. A bare word is neither,
    and nobody could ever find what it was to name."""
    return any(mark in url for mark in ":/.")


def masked(url: str) -> str:
    """The url as it may be shown: without user, query and fragment, which may be secrets."""
    shown, *rest = re.split(r"[?#]", url, maxsplit=1)
    scheme, separator, after = shown.partition("://")
    if separator:
        authority, slash, path = after.partition("/")
        shown = f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
    return f"{shown}?***" if rest else shown
