"""The dispatcher's tick: what it asks Dagster for, and what it tells when it asks for nothing."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from redis import Redis

from resources.object_store import ObjectStoreResource
from resources.redis import RedisResource
from tests.orchestration.support import FIND_RECALLS, chats, definitions
from vcon_platform.orchestration import naming
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.jobs import new_job
from vcon_platform.store.leases import Queues
from vcon_platform.vcon.uuids import new_uuid

STREAM = "pipeline_options: {lane: stream}" + FIND_RECALLS
FED = "pipeline_options: {feeds: [intake]}" + FIND_RECALLS


@pytest.fixture
def queues(redis_client: Redis) -> Queues:
    return Queues(redis_client)


def tick(settings: Settings, instance: dg.DagsterInstance, **pipelines: str) -> Any:
    """One tick of the sensor, as the daemon has it evaluated."""
    defs = definitions(settings, **pipelines)
    sensor = defs.resolve_sensor_def("dispatcher")
    resources = {"redis": RedisResource(), "object_store": ObjectStoreResource()}
    with dg.build_sensor_context(instance=instance, resources=resources, definitions=defs) as context:
        return sensor.evaluate_tick(context)


def asked(result: Any) -> list[tuple[str, dict[str, str], Any]]:
    return [(request.job_name, dict(request.tags), request.run_config) for request in result.run_requests]


def start(instance: dg.DagsterInstance, result: Any, status: dg.DagsterRunStatus) -> list[str]:
    """Create the runs a tick asked for, as the daemon would."""

    @dg.job
    def anything() -> None: ...

    return [
        instance.create_run_for_job(anything, tags=dict(request.tags), status=status).run_id
        for request in result.run_requests
    ]


def push(queues: Queues, queue: str, count: int = 1, priority: Any = "normal") -> None:
    queues.push(queue, [new_job(new_uuid(), priority=priority) for _ in range(count)])


def test_waiting_jobs_are_given_a_run_that_validates(
    deployed: Settings, instance: dg.DagsterInstance, queues: Queues
) -> None:
    push(queues, "recall", 3)
    [(job, tags, config)] = asked(tick(deployed, instance))
    assert job == "recall"
    assert (tags[naming.PIPELINE_TAG], tags[naming.LANE_TAG], tags[naming.LIMIT_TAG]) == ("recall", "batch", "10000")
    assert dg.validate_run_config(definitions(deployed).resolve_job_def("recall"), config)


def test_a_run_that_was_asked_for_does_the_work(
    deployed: Settings, instance: dg.DagsterInstance, queues: Queues
) -> None:
    chats(deployed, "a recall", "nothing")
    [(job, tags, config)] = asked(tick(deployed, instance))
    result = (
        definitions(deployed).resolve_job_def(job).execute_in_process(instance=instance, run_config=config, tags=tags)
    )
    assert result.success
    assert queues.depth("recall") == 0
    assert tick(deployed, instance).skip_message == "no jobs wait"


def test_a_tick_that_comes_twice_asks_for_nothing_again(
    deployed: Settings, instance: dg.DagsterInstance, queues: Queues
) -> None:
    push(queues, "recall", 3)
    start(instance, tick(deployed, instance), dg.DagsterRunStatus.NOT_STARTED)
    again = tick(deployed, instance)
    assert again.run_requests == []


def test_a_tick_without_a_run_says_what_every_pipeline_waits_for(
    deployed: Settings, instance: dg.DagsterInstance, queues: Queues
) -> None:
    push(queues, "recall", 3)
    [run_id] = start(instance, tick(deployed, instance), dg.DagsterRunStatus.STARTED)
    queues.lease("recall", batch_id=run_id, owner=run_id, limit=1)
    queues.pause("other")
    told = tick(deployed, instance, recall=FIND_RECALLS, other=FIND_RECALLS).skip_message
    assert told == "recall: 2 wait, 1 of 1 runs under way; other: paused, 0 wait"


def test_urgent_jobs_get_an_extra_run_that_leases_nothing_else(
    deployed: Settings, instance: dg.DagsterInstance, queues: Queues
) -> None:
    push(queues, "recall", 3)
    [run_id] = start(instance, tick(deployed, instance), dg.DagsterRunStatus.STARTED)
    queues.lease("recall", batch_id=run_id, owner=run_id, limit=1)
    push(queues, "recall", 1, "urgent")
    [(_, tags, config)] = asked(tick(deployed, instance))
    assert tags[naming.LANE_TAG] == "urgent"
    assert config["ops"]["recall__steps"]["ops"]["lease"]["config"]["urgent_only"] is True
    assert dg.validate_run_config(definitions(deployed).resolve_job_def("recall"), config)


def test_a_feed_goes_to_every_pipeline_that_lists_it(
    deployed: Settings, instance: dg.DagsterInstance, queues: Queues
) -> None:
    push(queues, "intake", 2)
    requests = asked(tick(deployed, instance, one=FED, two=FED))
    assert sorted(job for job, _, _ in requests) == ["one", "two"]
    assert [queues.depth(name) for name in ("intake", "one", "two")] == [0, 2, 2]


def test_who_was_served_is_remembered(deployed: Settings, instance: dg.DagsterInstance, queues: Queues) -> None:
    small = "pipeline_options: {batch_size: 200, batch_seconds: 1, weight: %d}" + FIND_RECALLS
    for name in ("a", "b"):
        push(queues, name, 1000)
    pipelines = {"a": small % 1, "b": small % 2}
    limits = {job: tags[naming.LIMIT_TAG] for job, tags, _ in asked(tick(deployed, instance, **pipelines))}
    assert limits == {"a": "100", "b": "200"}
    assert queues._client.hgetall(keys.FAIRNESS) == {}  # both are equally far: 100 jobs per weight


def test_a_stream_gets_a_run_that_stands_by_and_no_second_one(
    deployed: Settings, instance: dg.DagsterInstance, queues: Queues
) -> None:
    first = tick(deployed, instance, recall=STREAM)
    [(job, tags, _)] = asked(first)
    assert (job, tags[naming.LANE_TAG]) == ("recall__stream", "stream")
    start(instance, first, dg.DagsterRunStatus.NOT_STARTED)
    assert tick(deployed, instance, recall=STREAM).skip_message == "recall: a stream run is starting"


def test_a_paused_stream_gets_none(deployed: Settings, instance: dg.DagsterInstance, queues: Queues) -> None:
    queues.pause("recall")
    assert tick(deployed, instance, recall=STREAM).skip_message == "recall: paused, 0 wait"
