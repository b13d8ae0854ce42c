"""How far reprocessings have come: what still waits of each, is worked on, failed, or came to its end.

Nobody counts jobs as they end, for that would cost each of them: what is left is counted where it stands, now and then.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, cast

import orjson

from vcon_platform.store import keys
from vcon_platform.store.jobs import JobRefused, read_waiting
from vcon_platform.store.leases import Queues

if TYPE_CHECKING:
    from redis import Redis


@dataclass(slots=True)
class Progress:
    """How far a reprocessing has come. ``told``: the counts that were told last, so that only news is told."""

    origin: str
    pipeline: str
    queued: int
    first: str
    last: str
    waiting: int = 0
    leased: int = 0
    dead: int = 0
    told: list[int] = field(default_factory=list)

    @property
    def ended(self) -> int:
        """Those that came to an end, and those that were withdrawn."""
        return max(0, self.queued - self.waiting - self.leased - self.dead)

    @property
    def over(self) -> bool:
        return not self.waiting and not self.leased

    def counts(self) -> dict[str, int]:
        """The figures by name."""
        return {
            "queued": self.queued,
            "waiting": self.waiting,
            "leased": self.leased,
            "failed": self.dead,
            "ended_or_withdrawn": self.ended,
        }


def count(client: Redis, origin: str, pipeline: str, more: int, first: date, last: date) -> None:
    """So many jobs of this reprocessing were queued."""
    about = orjson.dumps({"pipeline": pipeline, "first": first.isoformat(), "last": last.isoformat()})
    commands = client.pipeline(transaction=True)
    commands.hset(keys.REPROCESSING, origin, about)
    commands.hincrby(keys.REPROCESSED, origin, more)
    commands.execute()


def progress(client: Redis, queues: Queues) -> list[Progress]:
    """Every reprocessing that is not over yet, and those that ended since the last :func:`remember`."""
    known = cast("dict[bytes, bytes]", client.hgetall(keys.REPROCESSING))
    if not known:
        return []
    numbers = cast("dict[bytes, bytes]", client.hgetall(keys.REPROCESSED))
    found = []
    counted: dict[str, tuple[Counter[str], Counter[str], Counter[str]]] = {}
    for raw, about in known.items():
        value = orjson.loads(about)
        pipeline, origin = value["pipeline"], raw.decode()
        if pipeline not in counted:
            counted[pipeline] = (
                Counter(_waiting_origins(queues, pipeline)),
                Counter(_leased_origins(client, pipeline)),
                Counter(dead.job.origin for dead in queues.dead(pipeline)),
            )
        waiting, leased, dead = (origins[origin] for origins in counted[pipeline])
        total, told = int(numbers.get(raw, 0)), value.get("told", [])
        found.append(Progress(origin, pipeline, total, value["first"], value["last"], waiting, leased, dead, told))
    return sorted(found, key=lambda each: each.origin)


def _waiting_origins(queues: Queues, pipeline: str) -> Iterator[str]:
    start = 0
    while jobs := queues.jobs(pipeline, start, 10_000):
        yield from (job.origin for job in jobs)
        start += 10_000


def _leased_origins(client: Redis, pipeline: str) -> Iterator[str]:
    for raw in cast("list[bytes]", client.zrange(keys.LEASES, 0, -1)):
        batch_id = raw.decode()
        if client.hget(keys.batch(batch_id), "queue") != pipeline.encode():
            continue
        for entry in cast("list[bytes]", client.hvals(keys.batch_jobs(batch_id))):
            try:
                yield read_waiting(entry).origin
            except JobRefused:
                continue


def remember(client: Redis, told: Progress) -> None:
    """This was told; one that is over is forgotten."""
    if told.over:
        client.hdel(keys.REPROCESSING, told.origin)
        client.hdel(keys.REPROCESSED, told.origin)
        return
    about = {"pipeline": told.pipeline, "first": told.first, "last": told.last, "told": list(told.counts().values())}
    client.hset(keys.REPROCESSING, told.origin, orjson.dumps(about))
