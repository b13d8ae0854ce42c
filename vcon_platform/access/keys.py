"""API keys: made once, shown once, kept as a hash.

A key is ``vcp_{id}_{secret}``: the id finds its record, the secret is 256 random bits, so that a plain SHA-256 keeps it
as well as a slow hash would (there is nothing to guess), and is compared in constant time. The prefix lets scanners of
repositories find one that leaked.

Belongs here: making, finding, checking, revoking. Not here: the administrator's key of the first start, a file of the
data folder (``gatekeeper.py``), what a caller may do (``scopes.py``).
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.access.caller import EVERYTHING, Caller, Visible
from vcon_platform.access.scopes import scope
from vcon_platform.errors import PlatformError
from vcon_platform.store import keys
from vcon_platform.store.connection import explained

if TYPE_CHECKING:
    from redis import Redis

_TEXT = re.compile(r"vcp_([a-z2-7]{10})_([A-Za-z0-9_-]{43})")
_LETTERS = "abcdefghijklmnopqrstuvwxyz234567"


class UnknownKey(PlatformError):
    """No key of that id."""


class KeyRefused(PlatformError):
    """A key that cannot be made as asked."""


@dataclass(frozen=True, slots=True)
class Key:
    """What is kept of a key. Moments are RFC 3339 in UTC; ``""``: never."""

    id: str
    label: str
    scopes: tuple[str, ...]
    created_at: str
    tenant: str = ""
    expires_at: str = ""
    revoked_at: str = ""
    visible: Visible = EVERYTHING
    rate: float = 0.0

    def state(self, now: datetime | None = None) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked_at:
            return "revoked"
        if self.expires_at and datetime.fromisoformat(self.expires_at) <= (now or datetime.now(UTC)):
            return "expired"
        return "active"

    def caller(self) -> Caller:
        """Who comes with it."""
        return Caller(self.id, self.label, frozenset(self.scopes), self.tenant, self.visible, self.rate)

    def to_json(self) -> dict[str, Any]:
        """For people and programs; nothing of the secret."""
        return {
            "id": self.id,
            "label": self.label,
            "tenant": self.tenant,
            "scopes": list(self.scopes),
            "visible": self.visible.to_json(),
            "rate": self.rate,
            "created_at": self.created_at,
            "expires_at": self.expires_at or None,
            "revoked_at": self.revoked_at or None,
            "state": self.state(),
        }


class KeyStore:
    """The keys of one Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def create(
        self,
        label: str,
        scopes: Sequence[str],
        *,
        tenant: str = "",
        expires_at: datetime | None = None,
        visible: Visible = EVERYTHING,
        rate: float = 0.0,
    ) -> tuple[Key, str]:
        """A new key and its text, which is kept nowhere. Raises ScopeRefused and :class:`KeyRefused`."""
        if not scopes:
            raise KeyRefused("a key needs at least one scope")
        if not label.strip():
            raise KeyRefused("a key needs a label that says whose it is")
        if expires_at is not None and expires_at.astimezone(UTC) <= datetime.now(UTC):
            raise KeyRefused("the moment at which it would expire has passed")
        if rate < 0:
            raise KeyRefused("a rate is a number of requests per second from 0 (no limit) on")
        key = Key(
            "".join(secrets.choice(_LETTERS) for _ in range(10)),
            label.strip(),
            tuple(dict.fromkeys(map(scope, scopes))),
            _now(),
            tenant,
            expires_at.astimezone(UTC).isoformat(timespec="seconds") if expires_at else "",
            visible=visible,
            rate=rate,
        )
        secret = secrets.token_urlsafe(32)
        with explained():
            if not self._client.hsetnx(keys.API_KEYS, key.id, _record(key, _hash(secret))):
                raise KeyRefused("two keys of one id: try again")
        return key, f"vcp_{key.id}_{secret}"

    def list(self) -> list[Key]:
        """All keys, oldest first, those that are no longer good too."""
        with explained():
            found = cast("dict[bytes, bytes]", self._client.hgetall(keys.API_KEYS))
        return sorted((_read(raw)[0] for raw in found.values()), key=lambda key: (key.created_at, key.id))

    def get(self, id: str) -> Key:
        """One key. Raises :class:`UnknownKey`."""
        found = self._find(id)
        if found is None:
            raise UnknownKey(f"there is no key {id!r}; 'vcon-platform keys list' shows all")
        return found[0]

    def revoke(self, id: str) -> Key:
        """End a key, for good; again is the same. Its record stays. Raises :class:`UnknownKey`."""
        found = self._find(id)
        if found is None:
            raise UnknownKey(f"there is no key {id!r}; 'vcon-platform keys list' shows all")
        key, kept = found
        if not key.revoked_at:
            key = replace(key, revoked_at=_now())
            with explained():
                self._client.hset(keys.API_KEYS, id, _record(key, kept))
        return key

    def check(self, text: str) -> Key | None:
        """The key of this text if it is good now."""
        found = _TEXT.fullmatch(text)
        kept = self._find(found[1]) if found else None
        if found is None or kept is None:
            return None
        key, digest = kept
        same = hmac.compare_digest(_hash(found[2]), digest)
        return key if same and key.state() == "active" else None

    def _find(self, id: str) -> tuple[Key, str] | None:
        with explained():
            raw = cast("bytes | None", self._client.hget(keys.API_KEYS, id))
        return _read(raw) if raw is not None else None


def looks_like_a_key(text: str) -> bool:
    """True for a text in the form of a key."""
    return _TEXT.fullmatch(text) is not None


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _record(key: Key, digest: str) -> bytes:
    return orjson.dumps({**key.to_json(), "sha256": digest})


def _read(raw: bytes) -> tuple[Key, str]:
    value = orjson.loads(raw)
    key = Key(
        value["id"],
        value["label"],
        tuple(value["scopes"]),
        value["created_at"],
        value["tenant"],
        value["expires_at"] or "",
        value["revoked_at"] or "",
        Visible.from_json(value["visible"]),
        value["rate"],
    )
    return key, value["sha256"]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
