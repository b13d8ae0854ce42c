"""Which rows exist, by projection and day, and which days a destination has not landed yet.

``commit.lua`` keeps, per (projection, day), the uuids with their row hashes and a counter that grows with every
change. A destination is behind on a day when the counter it has landed is not the day's: no mark is ever cleared,
so a change that comes while a landing is under way cannot be missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from vcon_platform.store import keys

if TYPE_CHECKING:
    from redis import Redis


class RowIndex:
    """Reads what ``commit.lua`` writes."""

    def __init__(self, client: Redis) -> None:
        self._client = client

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

    def rows(self, projection: str, days: Iterable[str]) -> dict[str, str]:
        """uuid to row hash of every row that a projection has on these days."""
        pipeline = self._client.pipeline(transaction=False)
        for day in days:
            pipeline.hgetall(keys.rows(projection, day))
        return {
            uuid.decode(): row_hash.decode()
            for rows in cast("list[Mapping[bytes, bytes]]", pipeline.execute())
            for uuid, row_hash in rows.items()
        }

    def landed(self, projection: str, destination: str, generations: Mapping[str, str]) -> None:
        """Remember that a destination holds these days as they were at these counters."""
        if generations:
            items = [part for pair in generations.items() for part in pair]
            self._client.hset(keys.landed(projection, destination), items=items)
