"""Queues and leases: how jobs get from a queue into a batch and out of it, with nothing ever in between.

A lease belongs to a *batch*, which outlives the run that opened it: a run that continues after a crash takes the
batch over (its owner changes, and commits of the old owner are refused from then on). A batch whose owner stops
beating gives its jobs back to the front of their queue when the lease ends. Each hand-over is one Lua script.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from vcon_platform.store import keys, scripts
from vcon_platform.store.jobs import DeadJob, Job, JobRefused, new_job, read_dead_job, read_job

if TYPE_CHECKING:
    from redis import Redis


class Queues:
    """All queues of one Redis. ``lease_ms``: how long a batch stays leased without a heartbeat."""

    def __init__(self, client: Redis, lease_ms: int = 60_000) -> None:
        self._client = client
        self._lease_ms = lease_ms
        self._lease = scripts.script(client, "lease")
        self._beat = scripts.script(client, "beat")
        self._hand_back = scripts.script(client, "hand_back")
        self._close = scripts.script(client, "close")
        self._redrive = scripts.script(client, "redrive")

    def push(self, queue: str, vcon_uuids: Sequence[str]) -> int:
        """Append one job per vCon; gives the queue's length."""
        entries = [new_job(uuid).to_bytes() for uuid in vcon_uuids]
        if not entries:
            return self.depth(queue)
        return self._client.rpush(keys.queue(queue), *entries)

    def depth(self, queue: str) -> int:
        """How many jobs wait in a queue."""
        return self._client.llen(keys.queue(queue))

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
        return set(_uuids_in(cast("list[bytes]", self._client.lrange(keys.queue(queue), 0, -1))))

    def lease(self, queue: str, *, batch_id: str, owner: str, limit: int) -> tuple[list[Job], list[JobRefused]]:
        """Move up to ``limit`` jobs into a batch leased to ``owner``. Asked again for a batch that exists, it changes
        the owner and gives what the batch still holds. What is no job is taken out and told."""
        answer = self._lease(
            keys=[keys.queue(queue), keys.batch(batch_id), keys.batch_jobs(batch_id), keys.LEASES],
            args=[batch_id, owner, queue, limit, self._lease_ms],
        )
        jobs: list[Job] = []
        refused: list[JobRefused] = []
        for position in range(0, len(answer), 3):
            job_id, raw, attempts = answer[position : position + 3]
            try:
                jobs.append(read_job(raw, job_id=job_id.decode(), attempts=int(attempts)))
            except JobRefused as error:
                # Keep the strange entry where somebody can look at it.
                self._client.rpush(keys.dead(f"{queue}:refused"), raw)
                self._client.hdel(keys.batch_jobs(batch_id), job_id)
                refused.append(error)
        jobs.sort(key=lambda job: job.id)
        return jobs, refused

    def take_over(self, batch_id: str, *, owner: str) -> list[Job]:
        """Take a batch over from a run that died; empty if nothing is left of it or its jobs were handed back."""
        queue = cast("bytes | None", self._client.hget(keys.batch(batch_id), "queue"))
        if queue is None:
            return []
        jobs, _ = self.lease(queue.decode(), batch_id=batch_id, owner=owner, limit=0)
        return jobs

    def beat(self, batch_id: str, *, owner: str) -> bool:
        """Prolong a lease. False: it is not this owner's any more."""
        return bool(self._beat(keys=[keys.batch(batch_id), keys.LEASES], args=[batch_id, owner, self._lease_ms]))

    def hand_back(self, batch_id: str, *, owner: str) -> int:
        """Give what is left of a batch back to the front of its queue, not counting this as an attempt."""
        return int(
            self._hand_back(
                keys=[keys.batch(batch_id), keys.batch_jobs(batch_id), keys.LEASES], args=[batch_id, owner, "1"]
            )
        )

    def close(self, batch_id: str, *, owner: str) -> int:
        """Forget a batch in which every job has its outcome; gives how many have none yet (-1: not the owner)."""
        return int(
            self._close(keys=[keys.batch(batch_id), keys.batch_jobs(batch_id), keys.LEASES], args=[batch_id, owner])
        )

    def expire(self) -> dict[str, int]:
        """Hand back every batch whose lease has ended: batch id to number of jobs."""
        seconds, micros = self._client.time()
        due = cast("list[bytes]", self._client.zrangebyscore(keys.LEASES, 0, seconds * 1000 + micros // 1000))
        handed: dict[str, int] = {}
        for raw in due:
            batch_id = raw.decode()
            count = int(
                self._hand_back(
                    keys=[keys.batch(batch_id), keys.batch_jobs(batch_id), keys.LEASES], args=[batch_id, "", "0"]
                )
            )
            if count >= 0:
                handed[batch_id] = count
        return handed

    def dead(self, pipeline: str) -> list[DeadJob]:
        """The dead queue of a pipeline, oldest first."""
        return [read_dead_job(raw) for raw in cast("list[bytes]", self._client.lrange(keys.dead(pipeline), 0, -1))]

    def redrive(self, pipeline: str, *, failed_in: set[str], batch_id: str, owner: str) -> list[Job]:
        """Lease the dead jobs that failed in these batches or runs again, as a batch of ``owner``."""
        raws = cast("list[bytes]", self._client.lrange(keys.dead(pipeline), 0, -1))
        chosen = {}
        arguments: list[str | bytes | int] = [batch_id, owner, pipeline, self._lease_ms]
        for raw in raws:
            entry = read_dead_job(raw)
            if {entry.batch_id, entry.run_id} & failed_in:
                chosen[entry.job.id] = entry.job
                arguments += [raw, entry.job.id, entry.job.to_bytes()]
        if not chosen:
            return []
        moved = self._redrive(
            keys=[keys.dead(pipeline), keys.batch(batch_id), keys.batch_jobs(batch_id), keys.LEASES], args=arguments
        )
        return [chosen[job_id.decode()] for job_id in moved]


def _uuids_in(entries: Iterable[bytes]) -> Iterator[str]:
    """The vCons that these entries name; what is no job names none."""
    for raw in entries:
        with suppress(JobRefused):
            yield from read_job(raw, job_id="", attempts=0).vcon_uuids
