"""Queues and leases: every job is in exactly one place, whoever dies when."""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
from redis import Redis

from tests.support import child, eventually
from vcon_platform.store import keys
from vcon_platform.store.jobs import DeadJob, LastError, new_job, read_dead_job
from vcon_platform.store.leases import LEASED_AT_ONCE, Queues


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


def test_a_large_lease_holds_every_job_once_and_in_order(queues: Queues) -> None:
    names = [f"v{number}" for number in range(2 * LEASED_AT_ONCE + 7)]
    queues.push("recall", names)
    assert _lease(queues, limit=10_000) == names
    assert [job.vcon_uuids[0] for job in queues.take_over("batch-1", owner="run-2")] == names
    assert queues.hand_back("batch-1", owner="run-2") == len(names)
    assert _lease(queues, batch_id="batch-2", limit=10_000) == names


def test_an_answer_that_was_lost_does_not_cost_jobs_or_attempts(queues: Queues, redis_client: Redis) -> None:
    queues.push("recall", ["a", "b", "c"])
    _lease(queues, limit=1)
    more = {"urgent_only": False, "have": 1}
    first = queues._leased("recall", "batch-1", "run-1", 1, **more)  # type: ignore[arg-type]
    again = queues._leased("recall", "batch-1", "run-1", 1, **more)  # type: ignore[arg-type]
    assert (first, queues.depth("recall")) == (again, 1)


def test_who_lost_the_batch_meanwhile_gets_no_more_into_it(queues: Queues) -> None:
    queues.push("recall", ["a", "b"])
    _lease(queues, limit=1)
    queues.take_over("batch-1", owner="run-2")
    assert queues._leased("recall", "batch-1", "run-1", 1, urgent_only=False, have=1) == []
    assert queues.depth("recall") == 1


def test_two_entries_of_one_id_stay_two_jobs(queues: Queues, redis_client: Redis) -> None:
    entry = new_job("a").to_bytes()
    redis_client.rpush(keys.queue("recall"), entry, entry)
    assert _lease(queues) == ["a", "a"]
    assert queues.hand_back("batch-1", owner="run-1") == 2
    assert _lease(queues, batch_id="batch-2") == ["a", "a"]


@pytest.mark.parametrize("entry", [b'{"job_type":"vcon_uuid","vcon_uuid":["a"]}', b' {"vcon_uuid": ["a"], "id": 7}'])
def test_the_attempts_of_a_strangers_job_are_counted(redis_client: Redis, entry: bytes) -> None:
    queues = Queues(redis_client, lease_ms=1)
    redis_client.rpush(keys.queue("recall"), entry)
    _lease(queues)
    eventually(lambda: queues.expire() == {"batch-1": 1}, interval=0.005)
    [job], _ = queues.lease("recall", batch_id="batch-2", owner="run-2", limit=1)
    assert (job.vcon_uuids, job.attempts) == (("a",), 2)


@pytest.mark.parametrize("entry", [b"", b"nonsense", b"[]", b'"x"', b"{}", b"7", b'{"id":"1",', b"[" * 2000])
def test_an_entry_that_is_not_json_is_put_aside_and_stops_no_other(
    queues: Queues, redis_client: Redis, entry: bytes
) -> None:
    redis_client.rpush(keys.queue("recall"), entry)
    queues.push("recall", ["a"])
    jobs, refused = queues.lease("recall", batch_id="b", owner="r", limit=5)
    assert ([job.vcon_uuids for job in jobs], len(refused)) == ([("a",)], 1)
    assert redis_client.lrange("dead:recall:refused", 0, -1) == [entry]


def test_members_that_a_stranger_uses_otherwise_are_ignored(queues: Queues, redis_client: Redis) -> None:
    entry = {"vcon_uuid": ["a"], "priority": 9, "not_before": "soon", "dedupe": [], "last_error": "x", "more": {}}
    redis_client.rpush(keys.queue("recall"), orjson.dumps(entry))
    [job], _ = queues.lease("recall", batch_id="b", owner="r", limit=5)
    assert (job.priority, job.not_before, job.dedupe, job.last_error) == ("normal", 0.0, "", None)


# --- put back --------------------------------------------------------------------------------------------------


def test_a_job_that_is_put_back_waits_for_its_time_with_what_befell_it(queues: Queues, redis_client: Redis) -> None:
    queues.push("recall", [new_job("a", priority="urgent", parameters={"p": 1})])
    [job], _ = queues.lease("recall", batch_id="b", owner="r", limit=1)
    error = LastError("busy", "come again", "transcribe", "r", 5.0)
    assert queues.put_back("b", owner="r", jobs=[job.again(error, time.time() + 60)], events=[b'{"n":1}']) == 1
    assert queues.close("b", owner="r") == 0
    state = queues.state(["recall"])["recall"]
    assert (state.later, state.due, queues.depth("recall"), redis_client.xlen(keys.OUTBOX)) == (1, 0, 0, 1)
    [waiting] = queues.jobs("recall")
    assert (waiting.retries, waiting.priority, waiting.parameters) == (1, "urgent", {"p": 1})
    assert waiting.last_error == LastError("busy", "come again", "transcribe", "r", 5.0, 5.0)


def test_what_is_due_is_leased_by_its_priority_and_a_retry_is_no_fruitless_lease(queues: Queues) -> None:
    queues.push("recall", [new_job("a", priority="urgent")])
    [job], _ = queues.lease("recall", batch_id="b", owner="r", limit=1)
    later = job.again(LastError("busy", "x", None, "r", 5.0), time.time() + 0.05)
    queues.put_back("b", owner="r", jobs=[later])
    queues.push("recall", ["b"])
    eventually(lambda: queues.state(["recall"])["recall"].due, interval=0.01)
    jobs, _ = queues.lease("recall", batch_id="c", owner="r", limit=2)
    assert [(job.vcon_uuids[0], job.attempts, job.retries, job.fruitless) for job in jobs] == [
        ("a", 2, 1, 1),
        ("b", 1, 0, 1),
    ]


def test_only_the_owner_puts_back_and_each_job_once(queues: Queues, redis_client: Redis) -> None:
    queues.push("recall", ["a"])
    jobs, _ = queues.lease("recall", batch_id="b", owner="r", limit=1)
    assert queues.put_back("b", owner="stranger", jobs=jobs) == -1
    assert queues.put_back("b", owner="r", jobs=jobs, events=[b"{}"]) == 1
    assert queues.put_back("b", owner="r", jobs=jobs, events=[b"{}"]) == 0
    assert (queues.depth("recall"), redis_client.xlen(keys.OUTBOX)) == (1, 1)


def test_several_leases_are_prolonged_at_once_and_lost_ones_told(queues: Queues) -> None:
    queues.push("recall", ["a", "b"])
    for batch_id, owner in (("b1", "r"), ("b2", "stranger")):
        queues.lease("recall", batch_id=batch_id, owner=owner, limit=1)
    assert queues.beat_all(["b1", "b2", "b3"], owner="r") == {"b2", "b3"}


# --- the dead --------------------------------------------------------------------------------------------------


def test_a_dead_job_that_was_retried_tells_when_it_failed_first(queues: Queues) -> None:
    job = (
        new_job("a")
        .again(LastError("busy", "x", None, "r1", 5.0), 0.0)
        .again(LastError("busy", "y", None, "r2", 9.0), 0.0)
    )
    dead = DeadJob(job=job, code="x", error="y", processor="p", batch_id="b", run_id="r3", failed_at=12.0)
    assert (dead.first_failed_at, orjson.loads(dead.to_bytes())["failure"]["first_failed_at"]) == (5.0, 5.0)
    assert dead.redriven().last_error == LastError("x", "y", "p", "r3", 12.0, 5.0)


def test_a_redrive_finds_the_pipelines_jobs_in_its_failure_queue_too(queues: Queues, redis_client: Redis) -> None:
    for pipeline in ("recall", "other"):
        dead = DeadJob(
            job=new_job(pipeline), code="x", error="y", processor="p", batch_id="b", run_id="r", pipeline=pipeline
        )
        redis_client.rpush(keys.queue("sad"), dead.to_bytes())
    redriven = queues.redrive("recall", failed_in={"r"}, batch_id="b2", owner="r2", failure_queue="sad")
    assert [job.vcon_uuids for job in redriven] == [("recall",)]
    assert queues.depth("sad") == 1
    queues.hand_back("b2", owner="r2")
    assert queues.depth("recall") == 1


# --- many at once ----------------------------------------------------------------------------------------------


def test_many_who_lease_at_once_get_each_job_once(redis_client: Redis, redis_url: str) -> None:
    names = [f"v{number}" for number in range(600)]
    Queues(redis_client).push("recall", names)

    def lease(number: int) -> list[str]:
        with Redis.from_url(redis_url) as client:
            mine = Queues(client)
            return [name for turn in range(30) for name in _lease(mine, f"r{number}", f"{number}-{turn}", limit=7)]

    with ThreadPoolExecutor(6) as threads:
        leased = list(threads.map(lease, range(6)))
    assert sorted(name for mine in leased for name in mine) == sorted(names)


def test_the_jobs_of_a_process_that_was_killed_are_leased_by_another(
    redis_client: Redis, redis_url: str, tmp_path: Path
) -> None:
    queues = Queues(redis_client, lease_ms=300)
    queues.push("recall", ["a", "b", "c"])
    script = tmp_path / "run.py"
    script.write_text(
        "import sys, redis, time\n"
        "from vcon_platform.store.leases import Queues\n"
        "queues = Queues(redis.Redis.from_url(sys.argv[1]), 300)\n"
        "queues.lease('recall', batch_id='b', owner='dies', limit=2)\n"
        "while queues.beat('b', owner='dies'): time.sleep(0.05)\n"
    )
    root = Path(__file__).parents[2]
    with child([sys.executable, script, redis_url], tmp_path / "log", cwd=root, env={"PYTHONPATH": str(root)}) as run:
        eventually(lambda: queues.depth("recall") == 1, interval=0.02)
        assert queues.expire() == {}
        run.kill()
        eventually(lambda: queues.expire() == {"b": 2}, interval=0.02)
    assert _lease(queues) == ["a", "b", "c"]
