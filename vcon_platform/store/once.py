"""Requests that are carried out once, however often they come: who is at it, and what the answer was.

A claim ends by itself if its owner dies; whoever comes then goes on in its place. What cannot be done twice without
harm leaves a mark in the same script that does it (``Batch.once``), so the next one knows that it was done.

Belongs here: the records in Redis. Not here: which requests, and what is the same request (``api/idempotency.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from vcon_platform.store import keys, scripts
from vcon_platform.store.connection import explained

if TYPE_CHECKING:
    from redis import Redis

KEEP_SECONDS = 24 * 3600
LEASE_SECONDS = 60.0


class Claimed(StrEnum):
    """What became of a claim."""

    BEGUN = "begun"
    AGAIN = "again"
    """Somebody else began it and died."""
    BUSY = "busy"
    OTHER = "other"
    """The name was given to another request."""
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Claim:
    """``mark``: of one that came true before its owner died. The rest is the answer of one that is done."""

    what: Claimed
    mark: bytes = b""
    status: int = 0
    headers: bytes = b""
    body: bytes = b""


class OnceStore:
    """Requests by name (a hash of who asks and of what they call the request)."""

    def __init__(self, client: Redis, lease_seconds: float = LEASE_SECONDS) -> None:
        self._lease_ms = int(lease_seconds * 1000)
        self._claim = scripts.script(client, "once_claim")
        self._end = scripts.script(client, "once_end")

    def claim(self, name: str, fingerprint: str, owner: str) -> Claim:
        """Claim a request, or prolong the claim. Raises :class:`StoreUnavailable`."""
        with explained():
            what, *rest = self._claim(
                keys=[keys.once(name), keys.once_marks(name)], args=[fingerprint, owner, self._lease_ms, KEEP_SECONDS]
            )
        claimed = Claimed(what.decode())
        if claimed is Claimed.DONE:
            return Claim(claimed, status=int(rest[0]), headers=rest[1], body=rest[2])
        return Claim(claimed, mark=rest[0] if rest else b"")

    def done(self, name: str, owner: str, status: int, headers: bytes, body: bytes) -> bool:
        """Keep the answer. False: the claim is somebody else's by now. Raises :class:`StoreUnavailable`."""
        return self._ended(name, owner, str(status), headers, body)

    def forget(self, name: str, owner: str) -> bool:
        """It may be tried again. Raises :class:`StoreUnavailable`."""
        return self._ended(name, owner, "", b"", b"")

    def _ended(self, name: str, owner: str, status: str, headers: bytes, body: bytes) -> bool:
        with explained():
            return bool(self._end(keys=[keys.once(name), keys.once_marks(name)], args=[owner, status, headers, body]))
