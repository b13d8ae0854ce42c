"""Queues and leases: every job is in exactly one place, whoever dies when."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.support import eventually
from vcon_platform.store import keys
from vcon_platform.store.jobs import DeadJob, read_dead_job
from vcon_platform.store.leases import Queues


@pytest.fixture
def queues(redis_client: Redis) -> Queues:
    return Queues(redis_client)


def _lease(queues: Queues, owner: str = "run-1", batch_id: str = "batch-1", limit: int = 10) -> list[str]:
    jobs, _ = queues.lease("recall", batch_id=batch_id, owner=owner, limit=limit)
    return [job.vcon_uuids[0] for job in jobs]


def test_jobs_are_leased_in_the_order_they_came(queues: Queues) -> None:
    queues.push("recall", ["a", "b", "c"])
    assert _lease(queues, limit=2) == ["a", "b"]
    assert queues.depth("recall") == 1


def test_asking_again_for_a_leased_batch_gives_the_same_jobs(queues: Queues) -> None:
    queues.push("recall", ["a", "b", "c"])
    _lease(queues, limit=2)
    assert _lease(queues, limit=2) == ["a", "b"]
    assert queues.depth("recall") == 1


def test_a_batch_that_is_handed_back_stands_at_the_front_again(queues: Queues) -> None:
    queues.push("recall", ["a", "b", "c"])
    _lease(queues, limit=2)
    assert queues.hand_back("batch-1", owner="run-1") == 2
    assert _lease(queues, batch_id="batch-2") == ["a", "b", "c"]


def test_handing_back_does_not_count_as_an_attempt(queues: Queues) -> None:
    queues.push("recall", ["a"])
    _lease(queues)
    queues.hand_back("batch-1", owner="run-1")
    [job], _ = queues.lease("recall", batch_id="batch-2", owner="run-2", limit=1)
    assert job.attempts == 1


def test_only_the_owner_can_hand_back_beat_or_close(queues: Queues) -> None:
    queues.push("recall", ["a"])
    _lease(queues)
    assert queues.hand_back("batch-1", owner="run-9") == -1
    assert not queues.beat("batch-1", owner="run-9")
    assert queues.close("batch-1", owner="run-9") == -1
    assert queues.beat("batch-1", owner="run-1")


def test_a_lease_that_nobody_prolongs_gives_its_jobs_back_and_counts_the_attempt(redis_client: Redis) -> None:
    queues = Queues(redis_client, lease_ms=50)
    queues.push("recall", ["a"])
    _lease(queues)
    eventually(lambda: queues.expire() == {"batch-1": 1}, message="the lease ends")
    [job], _ = queues.lease("recall", batch_id="batch-2", owner="run-2", limit=1)
    assert (job.vcon_uuids, job.attempts) == (("a",), 2)


def test_a_lease_that_is_prolonged_does_not_expire(queues: Queues) -> None:
    queues.push("recall", ["a"])
    _lease(queues)
    assert queues.expire() == {}


def test_a_batch_can_be_taken_over_and_its_old_owner_is_shut_out(queues: Queues) -> None:
    queues.push("recall", ["a", "b"])
    _lease(queues)
    assert [job.vcon_uuids[0] for job in queues.take_over("batch-1", owner="run-2")] == ["a", "b"]
    assert not queues.beat("batch-1", owner="run-1")


def test_nothing_is_left_to_take_over_of_a_batch_that_was_handed_back(queues: Queues) -> None:
    queues.push("recall", ["a"])
    _lease(queues)
    queues.hand_back("batch-1", owner="run-1")
    assert queues.take_over("batch-1", owner="run-2") == []
    assert queues.depth("recall") == 1


def test_a_batch_with_jobs_left_in_it_is_not_closed(queues: Queues) -> None:
    queues.push("recall", ["a"])
    _lease(queues)
    assert queues.close("batch-1", owner="run-1") == 1
    assert queues.hand_back("batch-1", owner="run-1") == 1


def test_what_outside_software_pushed_is_a_job_when_it_names_uuids(queues: Queues, redis_client: Redis) -> None:
    redis_client.rpush(keys.queue("recall"), b'{"job_type":"vcon_uuid","vcon_uuid":["a"]}')
    assert _lease(queues) == ["a"]


def test_what_is_no_job_is_put_aside_and_told(queues: Queues, redis_client: Redis) -> None:
    redis_client.rpush(keys.queue("recall"), b'{"id":"1","vcon_uuid":"a"}')
    jobs, refused = queues.lease("recall", batch_id="b", owner="r", limit=5)
    assert jobs == []
    assert "must be a list of uuids" in str(refused[0])
    assert redis_client.llen("dead:recall:refused") == 1
    assert queues.close("b", owner="r") == 0


def test_redriving_leases_the_jobs_that_failed_in_these_runs_and_no_others(queues: Queues, redis_client: Redis) -> None:
    queues.push("recall", ["a", "b", "c"])
    jobs, _ = queues.lease("recall", batch_id="run-1", owner="run-1", limit=3)
    for job, run in zip(jobs, ("run-1", "run-1", "run-7"), strict=True):
        dead = DeadJob(job=job, code="x", error="broken", processor="p", batch_id=run, run_id=run)
        redis_client.rpush(keys.dead("recall"), dead.to_bytes())
    redriven = queues.redrive("recall", failed_in={"run-1"}, batch_id="run-2", owner="run-2")
    assert [job.vcon_uuids[0] for job in redriven] == ["a", "b"]
    assert [dead.job.vcon_uuids[0] for dead in queues.dead("recall")] == ["c"]
    assert queues.redrive("recall", failed_in={"run-1"}, batch_id="run-3", owner="run-3") == []


def test_a_dead_job_reads_back_as_it_was_written(queues: Queues) -> None:
    queues.push("recall", ["a"])
    [job], _ = queues.lease("recall", batch_id="b", owner="r", limit=1)
    dead = DeadJob(job=job, code="PermanentError", error="broken", processor="transcribe", batch_id="b", run_id="r")
    assert read_dead_job(dead.to_bytes()) == dead
    assert orjson.loads(dead.to_bytes())["failure"]["attempts"] == 1


_ACTIONS = st.lists(
    st.tuples(st.sampled_from(["push", "lease", "hand_back", "take_over", "settle", "expire"]), st.integers(0, 3)),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_ACTIONS)
def test_no_history_of_hand_overs_loses_or_doubles_a_job(redis_client: Redis, actions: list[tuple[str, int]]) -> None:
    """Whatever happens in which order, a job is in a queue, in one batch, or settled: exactly one of them."""
    redis_client.flushdb()
    queues = Queues(redis_client, lease_ms=60_000)
    pushed: list[str] = []
    settled: list[str] = []
    for number, (action, which) in enumerate(actions):
        batch_id, owner = f"batch-{which}", f"run-{which}"
        if action == "push":
            pushed.append(f"v{number}")
            queues.push("recall", [f"v{number}"])
        elif action == "lease":
            queues.lease("recall", batch_id=batch_id, owner=owner, limit=2)
        elif action == "hand_back":
            queues.hand_back(batch_id, owner=owner)
        elif action == "take_over":
            queues.take_over(batch_id, owner=owner)
        elif action == "settle":
            for job in queues.take_over(batch_id, owner=owner):
                redis_client.hdel(keys.batch_jobs(batch_id), job.id)
                settled.append(job.vcon_uuids[0])
            queues.close(batch_id, owner=owner)
        else:
            redis_client.zadd(keys.LEASES, {batch_id: 1}, xx=True)
            queues.expire()
    entries = [*redis_client.lrange(keys.queue("recall"), 0, -1)]
    for which in range(4):
        entries += redis_client.hvals(keys.batch_jobs(f"batch-{which}"))
    where = [orjson.loads(entry)["vcon_uuid"][0] for entry in entries] + settled
    assert sorted(where) == sorted(pushed)
