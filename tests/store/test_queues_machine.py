"""Any history of a queue, against a model of it: every job in exactly one place, and the order kept."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import ClassVar, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from redis import Redis

from vcon_platform.store import keys
from vcon_platform.store.jobs import PRIORITIES, Priority, new_job
from vcon_platform.store.leases import Queues

FAR = 4_000_000_000.0


class QueueMachine(RuleBasedStateMachine):
    """The model: a list of ids for each priority, those that wait for later, and batches with their ids in order."""

    client: ClassVar[Redis]

    def __init__(self) -> None:
        super().__init__()
        self.client.flushdb()
        self.queues = Queues(self.client)
        self.lists: dict[Priority, list[str]] = {priority: [] for priority in PRIORITIES}
        self.later: list[str] = []
        self.batches: dict[str, tuple[str, list[str]]] = {}
        self.priority: dict[str, Priority] = {}
        self.done: list[str] = []
        self.numbers = itertools.count()

    def _order(self) -> list[str]:
        return [job_id for priority in PRIORITIES for job_id in self.lists[priority]]

    @rule(priority=st.sampled_from(PRIORITIES), count=st.integers(1, 3))
    def push(self, priority: Priority, count: int) -> None:
        jobs = [new_job(f"v{next(self.numbers)}", priority=priority) for _ in range(count)]
        assert self.queues.push("q", jobs) == count
        for job in jobs:
            self.priority[job.id] = priority
            self.lists[priority].append(job.id)

    @rule(priority=st.sampled_from(PRIORITIES))
    def push_for_later(self, priority: Priority) -> None:
        job = new_job(f"v{next(self.numbers)}", priority=priority, not_before=FAR + next(self.numbers))
        self.queues.push("q", [job])
        self.priority[job.id] = priority
        self.later.append(job.id)

    @precondition(lambda self: self.later)
    @rule()
    def its_time_comes(self) -> None:
        """All that waits for later is due at the next lease, in the order of its times."""
        for number, entry in enumerate(cast("list[bytes]", self.client.zrange(keys.later("q"), 0, -1))):
            self.client.zadd(keys.later("q"), {entry: number + 1})
        self.queues._due(keys=[keys.queue("q")], args=[1000])
        for job_id in self.later:
            self.lists[self.priority[job_id]].append(job_id)
        self.later = []

    @rule(limit=st.integers(1, 5), urgent_only=st.booleans())
    def lease(self, limit: int, urgent_only: bool) -> None:
        batch_id = f"b{next(self.numbers)}"
        expected = (self.lists["urgent"] if urgent_only else self._order())[:limit]
        jobs, _ = self.queues.lease("q", batch_id=batch_id, owner="r", limit=limit, urgent_only=urgent_only)
        assert [job.id for job in jobs] == expected
        for job_id in expected:
            self.lists[self.priority[job_id]].remove(job_id)
        if expected:
            self.batches[batch_id] = ("r", list(expected))

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def take_over(self, data: st.DataObject) -> None:
        batch_id = data.draw(st.sampled_from(sorted(self.batches)))
        owner = f"r{next(self.numbers)}"
        assert [job.id for job in self.queues.take_over(batch_id, owner=owner)] == self.batches[batch_id][1]
        self.batches[batch_id] = (owner, self.batches[batch_id][1])

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), died=st.booleans())
    def come_back(self, data: st.DataObject, died: bool) -> None:
        """Handed back by its owner, or because the owner died and the lease ended."""
        batch_id = data.draw(st.sampled_from(sorted(self.batches)))
        owner, held = self.batches.pop(batch_id)
        if died:
            self.client.zadd(keys.LEASES, {batch_id: 1}, xx=True)
            assert self.queues.expire() == {batch_id: len(held)}
        else:
            assert self.queues.hand_back(batch_id, owner=owner) == len(held)
        for priority in PRIORITIES:
            self.lists[priority][:0] = [job_id for job_id in held if self.priority[job_id] == priority]

    @precondition(lambda self: self.batches)
    @rule(data=st.data(), later=st.booleans())
    def put_back(self, data: st.DataObject, later: bool) -> None:
        batch_id = data.draw(st.sampled_from(sorted(self.batches)))
        owner, held = self.batches[batch_id]
        jobs = {job.id: job for job in self.queues.take_over(batch_id, owner=owner)}
        if not held:
            return
        chosen = data.draw(st.sampled_from(held))
        moved = replace(jobs[chosen], not_before=FAR + next(self.numbers) if later else 0.0)
        assert self.queues.put_back(batch_id, owner=owner, jobs=[moved]) == 1
        held.remove(chosen)
        (self.later if later else self.lists[self.priority[chosen]]).append(chosen)

    @precondition(lambda self: self.batches)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """What a commit does to the batch; the last one closes it."""
        batch_id = data.draw(st.sampled_from(sorted(self.batches)))
        owner, held = self.batches[batch_id]
        if held:
            chosen = held.pop(data.draw(st.integers(0, len(held) - 1)))
            self.client.hdel(keys.batch_jobs(batch_id), chosen)
            self.done.append(chosen)
        assert self.queues.close(batch_id, owner=owner) == len(held)
        if not held:
            del self.batches[batch_id]

    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        waiting = [*self._order(), *self.later]
        if not waiting:
            return
        chosen = data.draw(st.lists(st.sampled_from(waiting), unique=True, max_size=3))
        assert sorted(job.id for job in self.queues.withdraw("q", chosen)) == sorted(chosen)
        for job_id in chosen:
            (self.later if job_id in self.later else self.lists[self.priority[job_id]]).remove(job_id)
            self.done.append(job_id)

    @invariant()
    def everything_is_where_the_model_has_it(self) -> None:
        assert [job.id for job in self.queues.jobs("q", 0, 1000)] == [*self._order(), *self.later]
        for batch_id, (_, held) in self.batches.items():
            found = cast("list[bytes]", self.client.hkeys(keys.batch_jobs(batch_id)))
            assert sorted(job_id.decode() for job_id in found) == sorted(held)
        places = [*self._order(), *self.later, *self.done, *(job for _, held in self.batches.values() for job in held)]
        assert sorted(places) == sorted(self.priority)
        assert self.client.zcard(keys.LEASES) == len(self.batches)


@pytest.mark.timeout(120)
def test_no_history_loses_doubles_or_reorders_a_job(redis_client: Redis) -> None:
    QueueMachine.client = redis_client
    run_state_machine_as_test(
        QueueMachine,
        settings=settings(
            max_examples=40, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
