"""What runs leave behind: batches of ended runs come back at once, runs without a process are ended."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent, DagsterEventType, EngineEventData
from dagster._core.launcher import DefaultRunLauncher
from redis import Redis

from vcon_platform.orchestration import ended_runs
from vcon_platform.orchestration.ended_runs import fail_lost, hand_back_ended
from vcon_platform.store.leases import Queues
from vcon_platform.vcon.uuids import new_uuid


@dg.job
def anything() -> None: ...


@pytest.fixture
def queues(redis_client: Redis) -> Queues:
    return Queues(redis_client)


def _run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus, **tags: str) -> str:
    named = {name.replace("__", "/"): value for name, value in tags.items()}
    return instance.create_run_for_job(anything, status=status, tags=named).run_id


def _leased(queues: Queues, owner: str, batch_id: str = "") -> None:
    queues.push("sales", [new_uuid(), new_uuid()])
    queues.lease("sales", batch_id=batch_id or owner, owner=owner, limit=2)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS])
def test_a_run_that_is_over_gives_its_batch_back_at_once(
    instance: dg.DagsterInstance, redis_client: Redis, queues: Queues, status: dg.DagsterRunStatus
) -> None:
    _leased(queues, _run(instance, status))
    assert hand_back_ended(instance, redis_client, queues) == 2
    assert queues.depth("sales") == 2
    assert redis_client.keys("batch:*") == []


def test_handing_back_twice_does_it_once(instance: dg.DagsterInstance, redis_client: Redis, queues: Queues) -> None:
    _leased(queues, _run(instance, dg.DagsterRunStatus.CANCELED))
    hand_back_ended(instance, redis_client, queues)
    assert hand_back_ended(instance, redis_client, queues) == 0
    assert queues.depth("sales") == 2


def test_a_run_under_way_and_an_unknown_owner_keep_what_they_hold(
    instance: dg.DagsterInstance, redis_client: Redis, queues: Queues
) -> None:
    _leased(queues, _run(instance, dg.DagsterRunStatus.STARTED))
    _leased(queues, "somebody-else")
    assert hand_back_ended(instance, redis_client, queues) == 0


@pytest.mark.parametrize(("tag", "handed"), [("true", 0), ("false", 2), (None, 0)])
def test_a_failed_run_keeps_its_batch_for_the_one_that_will_continue_it(
    redis_client: Redis, queues: Queues, tag: str | None, handed: int
) -> None:
    with dg.instance_for_test(overrides={"run_retries": {"enabled": True, "max_retries": 2}}) as instance:
        tags = {"dagster__will_retry": tag} if tag else {}
        _leased(queues, _run(instance, dg.DagsterRunStatus.FAILURE, **tags))
        assert hand_back_ended(instance, redis_client, queues) == handed


def test_without_run_retries_a_failed_run_gives_its_batch_back(
    instance: dg.DagsterInstance, redis_client: Redis, queues: Queues
) -> None:
    _leased(queues, _run(instance, dg.DagsterRunStatus.FAILURE))
    assert hand_back_ended(instance, redis_client, queues) == 2


def test_a_run_that_failed_counts_as_an_attempt_of_its_jobs_and_a_cancelled_one_does_not(
    instance: dg.DagsterInstance, redis_client: Redis, queues: Queues
) -> None:
    for status in (dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.FAILURE):
        _leased(queues, _run(instance, status))
        hand_back_ended(instance, redis_client, queues)
    jobs, _ = queues.lease("sales", batch_id="next", owner="next", limit=10)
    assert sorted(job.attempts for job in jobs) == [1, 1, 2, 2]


def test_a_batch_taken_over_belongs_to_the_run_that_took_it(
    instance: dg.DagsterInstance, redis_client: Redis, queues: Queues
) -> None:
    dead = _run(instance, dg.DagsterRunStatus.CANCELED)
    _leased(queues, dead)
    queues.take_over(dead, owner=_run(instance, dg.DagsterRunStatus.STARTED))
    assert hand_back_ended(instance, redis_client, queues) == 0


# --- runs without a process -----------------------------------------------------------------------------------------


def _started(instance: dg.DagsterInstance, pid: int) -> str:
    run = instance.create_run_for_job(anything, status=dg.DagsterRunStatus.STARTED)
    instance.report_engine_event(f"Started process for run (pid: {pid}).", run, EngineEventData.in_process(pid))
    return run.run_id


@pytest.fixture
def launcher(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance in memory runs nothing; this one says that it launches as Dagster does by default."""
    monkeypatch.setattr(type(instance), "run_launcher", property(lambda _: DefaultRunLauncher()))


@pytest.fixture
def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


LATER = time.time() + 3600


@pytest.mark.usefixtures("launcher")
def test_a_started_run_without_a_process_is_ended(instance: dg.DagsterInstance, dead_pid: int) -> None:
    run_id = _started(instance, dead_pid)
    assert fail_lost(instance, LATER) == [run_id]
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.FAILURE


@pytest.mark.usefixtures("launcher")
def test_a_run_that_said_something_just_now_is_left_to_its_code_server(
    instance: dg.DagsterInstance, dead_pid: int
) -> None:
    _started(instance, dead_pid)
    assert fail_lost(instance) == []


@pytest.mark.usefixtures("launcher")
def test_a_run_whose_process_lives_goes_on(instance: dg.DagsterInstance) -> None:
    _started(instance, os.getpid())
    assert fail_lost(instance, LATER) == []


@pytest.mark.usefixtures("launcher")
def test_a_process_that_only_got_the_same_number_is_another(instance: dg.DagsterInstance) -> None:
    assert not ended_runs._lives(os.getpid(), told_at=0.0)


@pytest.mark.usefixtures("launcher")
def test_a_run_that_ends_while_one_looks_is_not_failed(
    instance: dg.DagsterInstance, dead_pid: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = _started(instance, dead_pid)
    looked = ended_runs._is_lost

    def ends_now(of: dg.DagsterInstance, lost: str, now: float) -> bool:
        answer = looked(of, lost, now)
        success = DagsterEvent(event_type_value=DagsterEventType.PIPELINE_SUCCESS.value, job_name="anything")
        of.report_dagster_event(success, run_id=lost)
        return answer

    monkeypatch.setattr(ended_runs, "_is_lost", ends_now)
    assert fail_lost(instance, LATER) == []
    run = instance.get_run_by_id(run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.SUCCESS


def test_other_launchers_look_after_their_runs_themselves(instance: dg.DagsterInstance, dead_pid: int) -> None:
    _started(instance, dead_pid)
    assert fail_lost(instance, LATER) == []
