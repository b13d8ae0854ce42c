"""Jobs that are being worked on: which, by whom, and taking one away from its run.

Belongs here: single leased jobs. Not here: leases themselves (``leases.py``), queues (``waiting.py``).

A job that is taken away is worked on to its end all the same, for a run cannot be told to drop one of ten thousand; but
what it made of it is refused at the commit, under the same rule that refuses a run that lost its lease.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from vcon_platform.store import keys, scripts
from vcon_platform.store.connection import explained
from vcon_platform.store.jobs import Job, JobRefused, read_job
from vcon_platform.store.waiting import Events, array_of, no_events

if TYPE_CHECKING:
    from redis import Redis


@dataclass(frozen=True, slots=True)
class InProgress:
    """A leased job. ``owner``: the run that works on it; ``batch_id``: with which others."""

    job: Job
    queue: str
    owner: str
    batch_id: str
    leased_until: float
    """Epoch seconds; the run's heartbeat moves it."""


class Leased:
    """The leased jobs of one Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._release = scripts.script(client, "release")

    def all(self) -> Iterator[InProgress]:
        """Every job that is being worked on now, batch by batch."""
        with explained():
            leases = cast("list[tuple[bytes, float]]", self._client.zrange(keys.LEASES, 0, -1, withscores=True))
            for raw, until in leases:
                yield from self._of(raw.decode(), until / 1000)

    def _of(self, batch_id: str, until: float) -> Iterator[InProgress]:
        owner, queue = cast("list[bytes | None]", self._client.hmget(keys.batch(batch_id), ["owner", "queue"]))
        if owner is None or queue is None:
            return
        jobs = cast("dict[bytes, bytes]", self._client.hgetall(keys.batch_jobs(batch_id)))
        for job_id, entry in jobs.items():
            with suppress(JobRefused):
                job = read_job(entry, job_id=job_id.decode(), attempts=0)
                yield InProgress(job, queue.decode(), owner.decode(), batch_id, until)

    def find(self, job_id: str) -> InProgress | None:
        """One of them."""
        return next((each for each in self.all() if each.job.id == job_id), None)

    def give_back(self, found: InProgress, *, events: Events = no_events) -> bool:
        """Put it at the front of its queue. False: it has ended meanwhile."""
        return self._taken(found, keys.entry(found.queue, found.job.priority), events)

    def forget(self, found: InProgress, *, events: Events = no_events) -> bool:
        """Take it away for good. False: it has ended meanwhile."""
        return self._taken(found, "", events)

    def _taken(self, found: InProgress, key: str, events: Events) -> bool:
        told = array_of(events(found.queue, found.job))
        with explained():
            return bool(
                self._release(
                    keys=[keys.batch_jobs(found.batch_id), keys.OUTBOX, key],
                    args=[found.job.id, found.job.to_bytes(), told],
                )
            )
