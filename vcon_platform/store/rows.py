"""Which rows exist, by projection and day, and which days a destination has not landed yet.

``commit.lua`` keeps, per (projection, day), the uuids with the hashes of their rows and a counter that grows with every
change. A destination is behind on a day when the counter it has landed is not the day's: no mark is ever cleared,
so a change that comes while a landing is under way cannot be missed.

A destination that failed is left alone for a while (:class:`Trouble`), longer each time: it must not be asked every few
seconds, and no other destination waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, cast

from vcon_platform.store import keys, scripts

if TYPE_CHECKING:
    from redis import Redis

FIRST_WAIT = 10.0
LONGEST_WAIT = 600.0
_SCRIPT_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Trouble:
    """A destination failed ``times`` in a row, the last time because of ``reason``; it is left alone ``until`` (s)."""

    times: int
    until: float
    reason: str


class RowIndex:
    """Reads what ``commit.lua`` writes, and remembers how far destinations are."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._forget = scripts.script(client, "forget_rows")

    def behind(self, projection: str, destination: str) -> list[str]:
        """The days (ISO, sorted) on which rows changed since the destination last landed them."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hgetall(keys.generations(projection))
        pipeline.hgetall(keys.landed(projection, destination))
        generations, landed = cast("tuple[Mapping[bytes, bytes], Mapping[bytes, bytes]]", pipeline.execute())
        return sorted(day.decode() for day, generation in generations.items() if landed.get(day) != generation)

    def generations(self, projection: str, days: Sequence[str]) -> dict[str, str]:
        """The counters of these days, to be read *before* the rows and handed to :meth:`landed` after landing."""
        values = (
            cast("list[bytes | None]", self._client.hmget(keys.generations(projection), list(days))) if days else []
        )
        return {day: value.decode() for day, value in zip(days, values, strict=True) if value is not None}

    def sizes(self, projection: str, days: Sequence[str]) -> dict[str, int]:
        """How many conversations have rows on each of these days."""
        pipeline = self._client.pipeline(transaction=False)
        for day in days:
            pipeline.hlen(keys.rows(projection, day))
        return dict(zip(days, cast("list[int]", pipeline.execute()), strict=True))

    def by_day(self, projection: str, days: Iterable[str]) -> dict[str, dict[str, str]]:
        """Day to uuid to hash of every conversation that has rows on these days."""
        wanted = list(days)
        pipeline = self._client.pipeline(transaction=False)
        for day in wanted:
            pipeline.hgetall(keys.rows(projection, day))
        found = cast("list[Mapping[bytes, bytes]]", pipeline.execute())
        return {
            day: {uuid.decode(): digest.decode() for uuid, digest in rows.items()}
            for day, rows in zip(wanted, found, strict=True)
        }

    def rows(self, projection: str, days: Iterable[str]) -> dict[str, str]:
        """uuid to hash of every conversation that has rows on these days."""
        return {uuid: digest for rows in self.by_day(projection, days).values() for uuid, digest in rows.items()}

    def forget(self, projection: str, day: str, stale: Sequence[tuple[str, str, str]]) -> int:
        """Take (uuid, hash here, revision of the vCon or "") off a day; what is not so any more is left. Says how many
        were taken; the day is behind again then."""
        taken = 0
        for chunk in batched(stale, _SCRIPT_CHUNK):
            names = [
                keys.rows(projection, day),
                keys.generations(projection),
                *(keys.meta(uuid) for uuid, _, _ in chunk),
            ]
            taken += cast("int", self._forget(keys=names, args=[day, *(part for each in chunk for part in each)]))
        return taken

    def landed(self, projection: str, destination: str, generations: Mapping[str, str]) -> None:
        """Remember that a destination holds these days as they were at these counters, and that it works."""
        pipeline = self._client.pipeline()
        if generations:
            items = [part for pair in generations.items() for part in pair]
            pipeline.hset(keys.landed(projection, destination), items=items)
        pipeline.delete(keys.landing_trouble(projection, destination))
        pipeline.execute()

    def failed(self, projection: str, destination: str, reason: str, *, now: float | None = None) -> Trouble:
        """Remember that a landing failed, so that the next one waits: ten seconds, doubling to ten minutes."""
        name = keys.landing_trouble(projection, destination)
        times = self._client.hincrby(name, "times", 1)
        wait = min(FIRST_WAIT * 2.0 ** min(times - 1, 16), LONGEST_WAIT)
        until = (time.time() if now is None else now) + wait
        self._client.hset(name, mapping={"until": repr(until), "reason": reason[:500]})
        return Trouble(times, until, reason)

    def trouble(self, projection: str, destination: str) -> Trouble | None:
        """What the last landing failed of; None where it went well."""
        found = cast("Mapping[bytes, bytes]", self._client.hgetall(keys.landing_trouble(projection, destination)))
        if not found:
            return None
        until = float(found.get(b"until", b"0"))
        return Trouble(int(found.get(b"times", b"1")), until, found.get(b"reason", b"").decode())
