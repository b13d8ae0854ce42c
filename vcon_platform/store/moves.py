"""Jobs that leave a queue without being leased: withdrawn, purged, copied from a feed, brought back from the dead.

Belongs here: moving entries between lists, each in one script together with the ledger events that the caller wants
for it. Not here: leases (``leases.py``), which events those are (``pipelines/queueing.py``).

Every move names the entries as they were read a moment before; the script moves those that are still there. So an
operator who withdraws and a run that leases at the same time never both get a job.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING, cast

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys, scripts
from vcon_platform.store.jobs import PRIORITIES, DeadJob, Job, JobRefused, id_in, new_job, read_dead_job, read_waiting
from vcon_platform.store.waiting import CHUNK, Events, WaitingJobs, array_of, no_events, placed

if TYPE_CHECKING:
    from redis import Redis

MOVED_AT_ONCE = 2_000
"""Entries per call of the script that looks for them in a whole list."""


class MoveRefused(PlatformError):
    """A move that makes no sense, such as of a queue into itself."""


class Moves(WaitingJobs):
    """The queues of one Redis, as operators and feeds see them."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self._move = scripts.script(client, "move")
        self._fan_out = scripts.script(client, "fan_out")
        self._due = scripts.script(client, "due")

    # --- feeds --------------------------------------------------------------------------------------------------

    def fan_out(self, feed: str, targets: Sequence[str], limit: int = 1_000, *, events: Events = no_events) -> int:
        """Copy up to ``limit`` jobs of a feed into every target, and take them out of it; how many left the feed. Each
        copy is a job of its own (new id, origin ``feed:{feed}``). ``events`` is asked for each copy with its target. A
        paused feed gives nothing, nor does one without targets. What is no job goes to ``dead:{feed}:refused``."""
        if feed in targets:
            raise MoveRefused(f"queue {feed!r} cannot feed itself")
        if not targets or feed in self.paused():
            return 0
        self._due(keys=[keys.queue(feed)], args=[limit])
        left = 0
        for priority in PRIORITIES:
            key = keys.entry(feed, priority)
            while left < limit:
                heads = cast("list[bytes]", self._client.lrange(key, 0, min(CHUNK, limit - left) - 1))
                moved = self._copy(feed, key, heads, targets, events) if heads else 0
                left += moved
                if moved < len(heads) or not heads:  # somebody else was there first, or it is empty
                    break
        return left

    def _copy(self, feed: str, key: str, heads: Sequence[bytes], targets: Sequence[str], events: Events) -> int:
        arguments: list[bytes | str | int] = []
        for raw in heads:
            try:
                job = read_waiting(raw)
            except JobRefused:
                arguments += [raw, 1, keys.dead(f"{feed}:refused"), raw, b""]
                continue
            arguments += [raw, len(targets)]
            told: list[bytes] = []
            for target in targets:
                copy = replace(job, id=new_job().id, origin=f"feed:{feed}", not_before=0.0)
                arguments += placed(target, copy)
                told += events(target, copy)
            arguments.append(array_of(told))
        return int(self._fan_out(keys=[key, keys.OUTBOX], args=arguments))

    # --- operators ----------------------------------------------------------------------------------------------

    def withdraw(self, queue: str, job_ids: Collection[str], *, events: Events = no_events) -> list[Job]:
        """Take these jobs out of a queue for good; those that were still there."""
        wanted = set(job_ids)
        return self._take_out(queue, lambda raw: id_in(raw) in wanted, events)

    def purge(self, queue: str, origin: str | None = None, *, events: Events = no_events) -> int:
        """Take all jobs that wait in a queue now out of it for good, or those of one origin; how many. What is no job
        goes too, unless an origin is named."""
        taken = self._take_out(queue, lambda raw: origin is None or _origin_of(raw) == origin, events)
        if origin is None:
            taken += self._take_out(queue, lambda raw: _origin_of(raw) is None, events)
        return len(taken)

    def _take_out(self, queue: str, wanted: Callable[[bytes], bool], events: Events) -> list[Job]:
        """Take out what is ``wanted``; where a job comes due meanwhile it stands elsewhere, so look twice."""
        taken: list[Job] = []
        for _ in range(2):
            chosen = [(key, raw) for key, raw in self._entries(queue) if wanted(raw)]
            if not chosen:
                break
            for key in dict.fromkeys(key for key, _ in chosen):
                entries = [raw for where, raw in chosen if where == key]
                taken += self._moved(key, [(raw, "", b"", _told(events, queue, raw)) for raw in entries])
        return taken

    def _moved(self, key: str, moves: Sequence[tuple[bytes, str, bytes, bytes]]) -> list[Job]:
        """Run the script; the jobs that moved, as they stood in ``key``."""
        jobs: list[Job] = []
        for chunk in batched(moves, MOVED_AT_ONCE):
            answer = self._move(keys=[key, keys.OUTBOX], args=[part for move in chunk for part in move])
            jobs += self._read(chunk[int(position) - 1][0] for position in answer)
        return jobs

    # --- the dead -----------------------------------------------------------------------------------------------

    def dead(self, pipeline: str, start: int = 0, count: int | None = None) -> list[DeadJob]:
        """The dead queue of a pipeline, oldest first."""
        return self._failed(keys.dead(pipeline), start, count)

    def failed(self, queue: str, start: int = 0, count: int | None = None) -> list[DeadJob]:
        """The failed jobs of normal priority that stand in a failure queue, oldest first."""
        return self._failed(keys.queue(queue), start, count)

    def _failed(self, key: str, start: int, count: int | None) -> list[DeadJob]:
        stop = -1 if count is None else start + count - 1
        found: list[DeadJob] = []
        for raw in cast("list[bytes]", self._client.lrange(key, start, stop)):
            with suppress(JobRefused):
                found.append(read_dead_job(raw))
        return found

    def dead_count(self, pipelines: Sequence[str]) -> dict[str, int]:
        """How many jobs of these pipelines are dead."""
        pipeline = self._client.pipeline(transaction=False)
        for name in pipelines:
            pipeline.llen(keys.dead(name))
        return dict(zip(pipelines, pipeline.execute(), strict=True))

    def requeue_dead(
        self, pipeline: str, job_ids: Collection[str] | None = None, *, events: Events = no_events
    ) -> list[Job]:
        """Dead jobs of a pipeline, these or all, begin again at the end of its queue; those that did. What they failed
        of stays on them as ``last_error``."""
        raws = cast("list[bytes]", self._client.lrange(keys.dead(pipeline), 0, -1))
        return self._again(keys.dead(pipeline), pipeline, raws, job_ids, events)

    def requeue_failed(
        self,
        queue: str,
        pipeline: str | None = None,
        job_ids: Collection[str] | None = None,
        *,
        events: Events = no_events,
    ) -> list[Job]:
        """Failed jobs that stand in a failure queue, these or all, begin again at the end of ``pipeline``'s queue, or
        of that in which each failed; those that did. One whose entry does not name its pipeline stays."""
        if pipeline == queue:
            raise MoveRefused(f"the jobs stand in queue {queue!r} already")
        moved: list[Job] = []
        for priority in PRIORITIES:
            key = keys.entry(queue, priority)
            raws = cast("list[bytes]", self._client.lrange(key, 0, -1))
            moved += self._again(key, pipeline, raws, job_ids, events)
        return moved

    def _again(
        self, key: str, pipeline: str | None, raws: Sequence[bytes], job_ids: Collection[str] | None, events: Events
    ) -> list[Job]:
        moves = []
        for raw in raws:
            try:
                dead = read_dead_job(raw)
            except JobRefused:
                continue
            target = pipeline or dead.pipeline
            if not target or keys.queue(target) == key or (job_ids is not None and dead.job.id not in job_ids):
                continue
            job = dead.redriven()
            moves.append((raw, *placed(target, job), array_of(events(target, job))))
        return self._moved(key, moves)


def _told(events: Events, queue: str, raw: bytes) -> bytes:
    try:
        return array_of(events(queue, read_waiting(raw)))
    except JobRefused:
        return b""


def _origin_of(raw: bytes) -> str | None:
    """What brought a job; None for what is no job."""
    try:
        return read_waiting(raw).origin
    except JobRefused:
        return None
