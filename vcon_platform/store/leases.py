"""Leases: how jobs get from a queue into a batch and out of it, with nothing ever in between.

Belongs here: what runs do with queues. Not here: entering and looking (``waiting.py``), what operators and feeds do
(``moves.py``); :class:`Queues` has all of it, as one thing with one connection.

A lease belongs to a *batch*, which outlives the run that opened it: a run that continues after a crash takes the
batch over (its owner changes, and commits of the old owner are refused from then on). A batch whose owner stops
beating gives its jobs back to the front of their queue when the lease ends. Each hand-over is one Lua script; a large
lease is several, into the same batch, so that Redis answers others in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import batched
from typing import TYPE_CHECKING, cast

from vcon_platform.store import keys, scripts
from vcon_platform.store.jobs import Job, JobRefused, read_dead_job, read_job
from vcon_platform.store.moves import Moves
from vcon_platform.store.waiting import CHUNK, array_of, placed

if TYPE_CHECKING:
    from redis import Redis

LEASED_AT_ONCE = 2_000
"""Jobs per call of the script: about 10 ms of Redis' time."""


class Queues(Moves):
    """All queues of one Redis. ``lease_ms``: how long a batch stays leased without a heartbeat."""

    def __init__(self, client: Redis, lease_ms: int = 60_000) -> None:
        super().__init__(client)
        self._lease_ms = lease_ms
        self._lease = scripts.script(client, "lease")
        self._beat = scripts.script(client, "beat")
        self._hand_back = scripts.script(client, "hand_back")
        self._put_back = scripts.script(client, "put_back")
        self._close = scripts.script(client, "close")
        self._redrive = scripts.script(client, "redrive")

    # --- into a batch -------------------------------------------------------------------------------------------

    def lease(
        self, queue: str, *, batch_id: str, owner: str, limit: int, urgent_only: bool = False
    ) -> tuple[list[Job], list[JobRefused]]:
        """Move up to ``limit`` jobs into a batch leased to ``owner``: urgent ones first, then normal, then low ones,
        each in the order they came, and those whose time has come behind them. Asked again for a batch that exists, it
        changes the owner and gives what the batch still holds. What is no job is put aside in ``dead:{queue}:refused``
        and told. A paused queue gives nothing."""
        answer: list[bytes] = []
        have: int | str = ""
        while True:
            most = min(LEASED_AT_ONCE, limit - len(answer) // 3)
            part = self._leased(queue, batch_id, owner, most, urgent_only=urgent_only, have=have)
            answer += part
            have = len(answer) // 3
            if len(part) // 3 != most or have >= limit:  # it ran out, or the batch was there before
                break
        return self._read_leased(queue, batch_id, answer)

    def _leased(
        self, queue: str, batch_id: str, owner: str, most: int, *, urgent_only: bool, have: int | str
    ) -> list[bytes]:
        return cast(
            "list[bytes]",
            self._lease(
                keys=[
                    keys.queue(queue),
                    keys.batch(batch_id),
                    keys.batch_jobs(batch_id),
                    keys.batch_order(batch_id),
                    keys.LEASES,
                ],
                args=[batch_id, owner, queue, most, self._lease_ms, "1" if urgent_only else "", have],
            ),
        )

    def _read_leased(self, queue: str, batch_id: str, answer: Sequence[bytes]) -> tuple[list[Job], list[JobRefused]]:
        jobs: list[Job] = []
        refused: list[JobRefused] = []
        for position in range(0, len(answer), 3):
            job_id, raw, attempts = answer[position : position + 3]
            try:
                jobs.append(read_job(raw, job_id=job_id.decode(), attempts=int(attempts)))
            except JobRefused as error:
                # Keep the strange entry where somebody can look at it.
                pipeline = self._client.pipeline(transaction=True)
                pipeline.rpush(keys.dead(f"{queue}:refused"), raw)
                pipeline.hdel(keys.batch_jobs(batch_id), job_id)
                pipeline.hdel(keys.ATTEMPTS, job_id)
                pipeline.execute()
                refused.append(error)
        return jobs, refused

    def take_over(self, batch_id: str, *, owner: str) -> list[Job]:
        """Take a batch over from a run that died; empty if nothing is left of it or its jobs were handed back."""
        queue = cast("bytes | None", self._client.hget(keys.batch(batch_id), "queue"))
        if queue is None:
            return []
        jobs, _ = self.lease(queue.decode(), batch_id=batch_id, owner=owner, limit=0)
        return jobs

    def redrive(
        self, pipeline: str, *, failed_in: set[str], batch_id: str, owner: str, failure_queue: str | None = None
    ) -> list[Job]:
        """Lease the dead jobs that failed in these batches or runs again, as a batch of ``owner``; with a
        ``failure_queue`` also those of this pipeline that stand there."""
        redriven = self._redriven(keys.dead(pipeline), pipeline, failed_in, batch_id, owner)
        if failure_queue:
            redriven += self._redriven(keys.queue(failure_queue), pipeline, failed_in, batch_id, owner)
        return redriven

    def _redriven(self, key: str, pipeline: str, failed_in: set[str], batch_id: str, owner: str) -> list[Job]:
        chosen: list[tuple[bytes, Job]] = []
        for raw in cast("list[bytes]", self._client.lrange(key, 0, -1)):
            try:
                dead = read_dead_job(raw)
            except JobRefused:
                continue
            if {dead.batch_id, dead.run_id} & failed_in and dead.pipeline in ("", pipeline):
                chosen.append((raw, dead.redriven()))
        moved: list[Job] = []
        for chunk in batched(chosen, CHUNK):
            by_id = {job.id: job for _, job in chunk}
            arguments = [part for raw, job in chunk for part in (raw, job.id, job.priority[0], job.to_bytes())]
            answer = self._redrive(
                keys=[
                    key,
                    keys.batch(batch_id),
                    keys.batch_jobs(batch_id),
                    keys.batch_order(batch_id),
                    keys.LEASES,
                ],
                args=[batch_id, owner, pipeline, self._lease_ms, *arguments],
            )
            moved += [replace(by_id[job_id.decode()], attempts=1) for job_id in answer]
        return moved

    # --- held ---------------------------------------------------------------------------------------------------

    def beat(self, batch_id: str, *, owner: str) -> bool:
        """Prolong a lease. False: it is not this owner's any more."""
        return not self.beat_all([batch_id], owner=owner)

    def beat_all(self, batch_ids: Sequence[str], *, owner: str) -> set[str]:
        """Prolong several leases at once; those that are not this owner's any more."""
        if not batch_ids:
            return set()
        lost = cast("list[bytes]", self._beat(keys=[keys.LEASES], args=[owner, self._lease_ms, *batch_ids]))
        return {batch_id.decode() for batch_id in lost}

    # --- out of a batch -----------------------------------------------------------------------------------------

    def put_back(self, batch_id: str, *, owner: str, jobs: Sequence[Job], events: Sequence[bytes] = ()) -> int:
        """These jobs leave the batch and wait in its queue again, each until its ``not_before``, with ``events`` in the
        ledger's outbox: all in one script. Gives how many moved, -1 if the batch is not this owner's."""
        queue = cast("bytes | None", self._client.hget(keys.batch(batch_id), "queue"))
        if queue is None:
            return -1
        arrays = [array_of(part) for part in batched(events, CHUNK)]
        arguments: list[str | bytes] = []
        for job in jobs:
            arguments += [job.id, *placed(queue.decode(), job)]
        return int(
            self._put_back(
                keys=[keys.batch(batch_id), keys.batch_jobs(batch_id), keys.OUTBOX],
                args=[owner, len(arrays), *arrays, *arguments],
            )
        )

    def hand_back(self, batch_id: str, *, owner: str, attempt: bool = False) -> int:
        """Give what is left of a batch back to the front of its queue. ``attempt``: it counts as one, because the run
        died at it, and may die again."""
        return self._handed_back(batch_id, owner, "0" if attempt else "1")

    def expire(self) -> dict[str, int]:
        """Hand back every batch whose lease has ended: batch id to number of jobs."""
        seconds, micros = self._client.time()
        due = cast("list[bytes]", self._client.zrangebyscore(keys.LEASES, 0, seconds * 1000 + micros // 1000))
        handed: dict[str, int] = {}
        for raw in due:
            batch_id = raw.decode()
            count = self._handed_back(batch_id, "", "0")
            if count >= 0:
                handed[batch_id] = count
        return handed

    def _handed_back(self, batch_id: str, owner: str, uncounted: str) -> int:
        return int(self._hand_back(keys=self._batch_keys(batch_id), args=[batch_id, owner, uncounted]))

    def close(self, batch_id: str, *, owner: str) -> int:
        """Forget a batch in which every job has its outcome; gives how many have none yet (-1: not the owner)."""
        return int(self._close(keys=self._batch_keys(batch_id), args=[batch_id, owner]))

    @staticmethod
    def _batch_keys(batch_id: str) -> list[str]:
        return [keys.batch(batch_id), keys.batch_jobs(batch_id), keys.batch_order(batch_id), keys.LEASES]
