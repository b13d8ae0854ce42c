"""Queues: what waits in them, who may enter, and how much there is of it.

Belongs here: entering jobs, looking at them, pausing a queue. Not here: taking jobs out to move them elsewhere
(``moves.py``), leasing (``leases.py``).

A queue is three lists, one for each priority, and a sorted set of the jobs that wait for a time. The list of normal
jobs has the name and the form of py_vcon_server's queues, so outside software may push and pop there. ``later`` jobs
join the list of their priority when a lease, or a look at the queue's feed, finds that their time has come.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.store import keys, scripts
from vcon_platform.store.jobs import PRIORITIES, Job, JobRefused, new_job, read_job, read_waiting

if TYPE_CHECKING:
    from redis import Redis

CHUNK = 500
"""Jobs per call of a script: a few milliseconds of Redis' time."""


Events = Callable[[str, Job], Sequence[bytes]]
"""Ledger events (JSON each) for a job that enters or leaves this queue."""


def no_events(_: str, __: Job) -> Sequence[bytes]:
    """For moves that need no record."""
    return ()


def array_of(events: Sequence[bytes]) -> bytes:
    """Ledger events as one entry of the outbox; nothing for none."""
    return b"[" + b",".join(events) + b"]" if events else b""


def placed(queue: str, job: Job) -> tuple[str, bytes]:
    """Where a job enters a queue, and as what: an entry of :class:`~vcon_platform.store.commits.Commit`'s pushes."""
    key = keys.later(queue) if job.not_before > time.time() else keys.entry(queue, job.priority)
    return key, job.to_bytes()


@dataclass(frozen=True, slots=True)
class QueueState:
    """What a queue holds. ``later`` wait for their time, ``due`` are those of them whose time has come; ``leased`` are
    being worked on. ``oldest``: when the job was queued that waits longest, by the heads of the lists (epoch s)."""

    urgent: int = 0
    normal: int = 0
    low: int = 0
    later: int = 0
    due: int = 0
    leased: int = 0
    oldest: float | None = None
    paused: bool = False

    @property
    def ready(self) -> int:
        """How many may be leased now."""
        return self.urgent + self.normal + self.low + self.due

    @property
    def waiting(self) -> int:
        """How many there are that nobody works on."""
        return self.urgent + self.normal + self.low + self.later


class WaitingJobs:
    """The queues of one Redis, as those see them who bring jobs."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._push = scripts.script(client, "push")

    # --- entering -----------------------------------------------------------------------------------------------

    def push(self, queue: str, jobs: Sequence[Job | str], *, events: Events = no_events) -> int:
        """Enter jobs at the end of the list of their priority (a text is a plain job for the vCon of that uuid); how
        many entered. One whose ``dedupe`` text a waiting job of the queue has does not. Nobody asks here whether the
        vCons exist. The ``events`` of each stand in the ledger's outbox at the same moment."""
        entered = 0
        for chunk in batched(jobs, CHUNK):
            arguments: list[str | bytes] = []
            for given in chunk:
                job = new_job(given) if isinstance(given, str) else given
                arguments += [*placed(queue, job), array_of(events(queue, job))]
            entered += int(self._push(keys=[keys.OUTBOX], args=arguments))
        return entered

    def pause(self, queue: str) -> bool:
        """Let nothing be leased from a queue until it is resumed; jobs may still enter. False: it was paused."""
        keys.queue(queue)
        return bool(self._client.sadd(keys.PAUSED, queue))

    def resume(self, queue: str) -> bool:
        """End a pause. False: it was not paused."""
        return bool(self._client.srem(keys.PAUSED, queue))

    def paused(self) -> set[str]:
        """The queues that are paused."""
        return {name.decode() for name in cast("set[bytes]", self._client.smembers(keys.PAUSED))}

    # --- looking ------------------------------------------------------------------------------------------------

    def names(self) -> list[str]:
        """The queues that anything ever entered, by name. One that only outside software fills may be missing."""
        return sorted(name.decode() for name in cast("set[bytes]", self._client.smembers(keys.QUEUES)))

    def depth(self, queue: str) -> int:
        """How many jobs of a queue may be leased now."""
        pipeline = self._client.pipeline(transaction=False)
        for priority in PRIORITIES:
            pipeline.llen(keys.entry(queue, priority))
        pipeline.zcount(keys.later(queue), "-inf", time.time())
        return sum(pipeline.execute())

    def waiting(self, queue: str) -> int:
        """How many jobs of a queue nobody works on, those that wait for their time included."""
        pipeline = self._client.pipeline(transaction=False)
        for priority in PRIORITIES:
            pipeline.llen(keys.entry(queue, priority))
        pipeline.zcard(keys.later(queue))
        return sum(pipeline.execute())

    def state(self, queues: Sequence[str]) -> dict[str, QueueState]:
        """What these queues hold, in two round trips for all of them."""
        batches = [raw.decode() for raw in cast("list[bytes]", self._client.zrange(keys.LEASES, 0, -1))]
        pipeline = self._client.pipeline(transaction=False)
        now = time.time()
        pipeline.smembers(keys.PAUSED)
        for batch_id in batches:
            pipeline.hget(keys.batch(batch_id), "queue")
            pipeline.hlen(keys.batch_jobs(batch_id))
        for queue in queues:
            for priority in PRIORITIES:
                pipeline.llen(keys.entry(queue, priority))
                pipeline.lindex(keys.entry(queue, priority), 0)
            pipeline.zcard(keys.later(queue))
            pipeline.zcount(keys.later(queue), "-inf", now)
        replies = iter(pipeline.execute())
        paused = {name.decode() for name in next(replies)}
        leased: dict[str, int] = {}
        for _ in batches:
            name, count = next(replies), next(replies)
            if name is not None:
                leased[name.decode()] = leased.get(name.decode(), 0) + count
        return {queue: _state(replies, leased.get(queue, 0), paused=queue in paused) for queue in queues}

    def jobs(self, queue: str, start: int = 0, count: int = 100) -> list[Job]:
        """Waiting jobs in the order in which they will be leased, those that wait for their time last; entries that are
        no jobs are left out."""
        found: list[bytes] = []
        for priority in PRIORITIES:
            key = keys.entry(queue, priority)
            length = self._client.llen(key)
            if start < length and count:
                found += cast("list[bytes]", self._client.lrange(key, start, start + count - 1))
                count -= min(count, length - start)
            start = max(0, start - length)
        if count:
            found += cast("list[bytes]", self._client.zrange(keys.later(queue), start, start + count - 1))
        return self._read(found)

    def _read(self, entries: Iterable[bytes]) -> list[Job]:
        jobs: list[Job] = []
        for raw in entries:
            with suppress(JobRefused):
                jobs.append(read_waiting(raw))
        return jobs

    def unsettled(self, queue: str) -> set[str]:
        """The vCons whose jobs wait in a queue or are leased from it. One that moves meanwhile is seen."""
        waiting = self._waiting(queue)  # before and after: a job may go into a batch, and out of it, while we look
        for raw in cast("list[bytes]", self._client.zrange(keys.LEASES, 0, -1)):
            batch_id = raw.decode()
            if self._client.hget(keys.batch(batch_id), "queue") == queue.encode():
                entries = cast("list[bytes]", self._client.hvals(keys.batch_jobs(batch_id)))
                waiting.update(_uuids_in(entries))
        return waiting | self._waiting(queue)

    def _waiting(self, queue: str) -> set[str]:
        entries = [raw for _, raw in self._entries(queue)]
        return set(_uuids_in(entries))

    def _entries(self, queue: str) -> list[tuple[str, bytes]]:
        """Everything that waits in a queue, each with the key it stands in."""
        found: list[tuple[str, bytes]] = []
        pipeline = self._client.pipeline(transaction=True)  # at one moment: a job that comes due moves between them
        for priority in PRIORITIES:
            pipeline.lrange(keys.entry(queue, priority), 0, -1)
        pipeline.zrange(keys.later(queue), 0, -1)
        where = [*(keys.entry(queue, priority) for priority in PRIORITIES), keys.later(queue)]
        for key, entries in zip(where, cast("list[list[bytes]]", pipeline.execute()), strict=True):
            found += [(key, raw) for raw in entries]
        return found


def _state(replies: Iterator[Any], leased: int, *, paused: bool) -> QueueState:
    lengths, times = [], []
    for _ in PRIORITIES:
        lengths.append(next(replies))
        if (at := _queued_at(next(replies))) is not None:
            times.append(at)
    later, due = next(replies), next(replies)
    urgent, normal, low = lengths
    return QueueState(urgent, normal, low, later, due, leased, min(times, default=None), paused)


def _queued_at(head: bytes | None) -> float | None:
    """When the job at a head was queued; None where outside software did not say."""
    if head is None:
        return None
    try:
        value = orjson.loads(head)["queued_at"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    return float(value) if isinstance(value, int | float) else None


def _uuids_in(entries: Iterable[bytes]) -> Iterator[str]:
    """The vCons that these entries name; what is no job names none."""
    for raw in entries:
        with suppress(JobRefused):
            yield from read_job(raw, job_id="", attempts=0).vcon_uuids
