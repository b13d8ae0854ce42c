"""A caller: who asks, after the key or token was found good.

Belongs here: what is known of them. Not here: how it was found out (``keys.py``, ``tokens.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vcon_platform.access.scopes import covers
from vcon_platform.errors import PlatformError

OIDC = "oidc:"
"""What the ids of bearers of an identity provider's tokens begin with."""


class NotAllowed(PlatformError):
    """The caller is known, and may not do this."""


class NotKnown(PlatformError):
    """No key, or none that is good."""


@dataclass(frozen=True, slots=True)
class Visible:
    """Which vCons a caller may see: those of one of ``adapters`` (empty: of any) that have all ``tags``
    (``name:value``)."""

    adapters: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """True if nothing is hidden."""
        return not self.adapters and not self.tags

    def shows(self, adapter: str | None, tags: Sequence[str]) -> bool:
        """True if a vCon that came by this adapter and has these tags may be seen."""
        return (not self.adapters or adapter in self.adapters) and set(self.tags) <= set(tags)

    def to_json(self) -> dict[str, Any]:
        """As a key's record keeps it."""
        return {"adapters": list(self.adapters), "tags": list(self.tags)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Visible:
        """Back from a record."""
        return cls(tuple(value.get("adapters") or ()), tuple(value.get("tags") or ()))


EVERYTHING = Visible()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. ``id``: of the key, or the token's subject; what logs and ledger name them by."""

    id: str
    label: str
    scopes: frozenset[str]
    tenant: str = ""
    visible: Visible = EVERYTHING
    rate: float = 0.0
    """Requests per second that they may make; 0: as many as they like."""

    @property
    def alias(self) -> str:
        """What the ledger calls them: a key's id. Of a token's subject, which may be a name, a hash."""
        if not self.id.startswith(OIDC):
            return self.id
        return OIDC + hashlib.sha256(self.id.encode()).hexdigest()[:16]

    def may(self, wanted: str) -> bool:
        """True if their scopes cover this one."""
        return covers(self.scopes, wanted)

    def need(self, *any_of: str) -> None:
        """Raise :class:`NotAllowed` unless they have one of these scopes."""
        if not any(map(self.may, any_of)):
            raise NotAllowed(f"Key {self.id} ({self.label}) lacks the scope {' or '.join(map(repr, any_of))}.")
