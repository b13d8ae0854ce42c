"""What was sent to a destination that cannot be asked what it holds: a webhook, a log.

Belongs here: remembering, in the platform's Redis, which set of which conversation the other side has acknowledged.
Written after the acknowledgement, never before: a landing that dies in between sends the same again, under the same
idempotency key. If Redis is lost, so is this: everything is sent again, and what was deleted meanwhile is not told. It
is remembered per target, so that a projection that is pointed elsewhere is sent there as a whole.

The values hold ``{number of the change}:{rows}:{hash}``. The number makes an idempotency key that differs when the same
rows come back after others stood there: a receiver that drops what it has seen must not drop that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from vcon_platform.projections.rows import count_of
from vcon_platform.store import keys

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis import Redis

_STEP = 5_000
"""Conversations per script call: a script stops Redis for as long as it runs."""

_PUT = """
-- KEYS: days (uuid to day), counters; ARGV: prefix of the days' hashes, then uuid, day, rows, hash of each
for at = 2, #ARGV, 4 do
  local uuid, day = ARGV[at], ARGV[at + 1]
  local before = redis.call('HGET', KEYS[1], uuid)
  if before and before ~= day then redis.call('HDEL', ARGV[1] .. before, uuid) end
  local change = redis.call('HINCRBY', KEYS[2], 'changes', 1)
  redis.call('HSET', KEYS[1], uuid, day)
  redis.call('HSET', ARGV[1] .. day, uuid, change .. ':' .. ARGV[at + 2] .. ':' .. ARGV[at + 3])
end
"""
_FORGET = """
-- KEYS: days (uuid to day), counters; ARGV: prefix of the days' hashes, then each uuid
for at = 2, #ARGV do
  local before = redis.call('HGET', KEYS[1], ARGV[at])
  if before then
    redis.call('HDEL', ARGV[1] .. before, ARGV[at])
    redis.call('HDEL', KEYS[1], ARGV[at])
    redis.call('HINCRBY', KEYS[2], 'deletions', 1)
  end
end
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the other side has of a conversation: its day, the set's hash, how many of its rows could be sent."""

    day: str
    hash: str
    rows: int
    change: int

    @property
    def whole(self) -> bool:
        """Whether all rows of the set were sent; else some did not fit."""
        return self.rows == count_of(self.hash)


class Memory:
    """What was sent to one target of one projection."""

    def __init__(self, client: Redis, projection: str, kind: str, target: str) -> None:
        digest = hashlib.sha256(target.encode()).hexdigest()[:12]
        base = keys.sent(projection, kind, digest)
        self._client = client
        self._days = f"{base}:days"
        self._counters = f"{base}:counters"
        self._on = f"{base}:on:"
        self._put = client.register_script(_PUT)
        self._forget = client.register_script(_FORGET)

    def of(self, uuids: Sequence[str]) -> dict[str, Sent]:
        """What was sent of these; those of which nothing was are left out."""
        if not uuids:
            return {}
        days = cast("list[bytes | None]", self._client.hmget(self._days, list(uuids)))
        placed = [(uuid, day.decode()) for uuid, day in zip(uuids, days, strict=True) if day is not None]
        pipeline = self._client.pipeline(transaction=False)
        for uuid, day in placed:
            pipeline.hget(self._on + day, uuid)
        found = cast("list[bytes | None]", pipeline.execute())
        return {uuid: _sent(day, value) for (uuid, day), value in zip(placed, found, strict=True) if value is not None}

    def on(self, days: Iterable[str]) -> dict[str, Sent]:
        """What was sent of these days, by uuid."""
        wanted = list(days)
        pipeline = self._client.pipeline(transaction=False)
        for day in wanted:
            pipeline.hgetall(self._on + day)
        return {
            uuid.decode(): _sent(day, value)
            for day, values in zip(wanted, cast("list[Mapping[bytes, bytes]]", pipeline.execute()), strict=True)
            for uuid, value in values.items()
        }

    def days(self) -> list[str]:
        """The days of which something was sent."""
        return sorted({day.decode() for day in cast("list[bytes]", self._client.hvals(self._days))})

    def put(self, sent: Sequence[tuple[str, str, int, str]]) -> None:
        """Remember that the other side has these: uuid, day, number of rows, hash."""
        for at in range(0, len(sent), _STEP):
            parts = [str(part) for each in sent[at : at + _STEP] for part in each]
            self._put(keys=[self._days, self._counters], args=[self._on, *parts])

    def forget(self, uuids: Sequence[str]) -> None:
        """Remember nothing of these any more."""
        for at in range(0, len(uuids), _STEP):
            self._forget(keys=[self._days, self._counters], args=[self._on, *uuids[at : at + _STEP]])

    def deletions(self) -> int:
        """How many conversations were forgotten so far."""
        value = cast("bytes | None", self._client.hget(self._counters, "deletions"))
        return int(value or 0)


def _sent(day: str, value: bytes) -> Sent:
    change, rows, digest = value.decode().split(":", 2)
    return Sent(day=day, hash=digest, rows=int(rows), change=int(change))
