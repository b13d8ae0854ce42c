"""A stream run in Dagster: reports with figures, red if a job failed, few events, re-executable."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from dagster._core.errors import DagsterExecutionInterruptedError
from redis import Redis

from tests.orchestration.support import FIND_RECALLS, chats, definitions
from vcon_platform.pipelines import stream as stream_module
from vcon_platform.pipelines.stream import Stream
from vcon_platform.settings import Settings
from vcon_platform.store.leases import Queues

SHORT = "pipeline_options: {lane: stream, stream_seconds: 0.4}" + FIND_RECALLS
WRONG = SHORT.replace("recalls}", "nowhere}")


@pytest.fixture(autouse=True)
def _quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "BEAT_SECONDS", 0.05)


def run(settings: Settings, instance: dg.DagsterInstance, text: str = SHORT, **rest: Any) -> dg.ExecuteInProcessResult:
    """A stream run that nobody follows: it ends at twice its 0.4 seconds."""
    job = definitions(settings, recall=text).resolve_job_def("recall__stream")
    return job.execute_in_process(instance=instance, raise_on_error=False, **rest)


def figures(instance: dg.DagsterInstance) -> dict[str, object]:
    record = instance.get_latest_materialization_event(dg.AssetKey(["pipelines", "recall"]))
    assert record is not None
    assert record.asset_materialization is not None
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def test_a_stream_run_does_what_waits_and_tells_what_became_of_it(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    chats(deployed, "Is there a recall?", "What time is it?")
    assert run(deployed, instance).success
    told = figures(instance)
    assert (told["conversations"], told["done"], told["filtered"], told["micro_batches"]) == (2, 1, 1, 1)
    assert told["seconds_from_queue_to_done_p95"]
    assert Queues(redis_client).depth("recall") == 0


def test_a_run_in_which_nothing_happened_materializes_nothing(deployed: Settings, instance: dg.DagsterInstance) -> None:
    assert run(deployed, instance).success
    assert instance.get_latest_materialization_event(dg.AssetKey(["pipelines", "recall"])) is None


def test_the_number_of_events_does_not_depend_on_the_number_of_conversations(
    deployed: Settings, instance: dg.DagsterInstance
) -> None:
    chats(deployed, *["a recall"] * 300)
    result = run(deployed, instance, SHORT.replace("0.4", "3"))  # all of them, on a busy machine too
    assert figures(instance)["conversations"] == 300
    assert len(instance.all_logs(result.run_id)) < 30


def test_a_run_with_a_failed_conversation_ends_red_and_names_it(
    deployed: Settings, instance: dg.DagsterInstance
) -> None:
    bad, _ = chats(deployed, "a recall", "nothing")
    result = run(deployed, instance, WRONG)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert bad in str(failure.step_failure_data.user_failure_data)


def test_re_executing_a_red_run_redrives_what_failed_in_it(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    chats(deployed, "a recall", "nothing")
    red = run(deployed, instance, WRONG)
    tags = {"dagster/parent_run_id": red.run_id, "dagster/root_run_id": red.run_id}
    assert run(deployed, instance, SHORT, tags=tags).success
    assert figures(instance)["done"] == 1
    assert Queues(redis_client).dead("recall") == []


def test_terminating_a_run_leaves_its_jobs_in_the_queue(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    Queues(redis_client).pause("recall")
    chats(deployed, "a recall", "nothing")

    def interrupt(*_: object, **__: object) -> None:
        raise DagsterExecutionInterruptedError  # what "Terminate" in the UI becomes in the op's thread

    monkeypatch.setattr(Stream, "_report", interrupt)
    monkeypatch.setattr(stream_module, "REPORT_SECONDS", 0.05)
    job = definitions(deployed, recall=SHORT).resolve_job_def("recall__stream")
    with pytest.raises(DagsterExecutionInterruptedError):
        job.execute_in_process(instance=instance)
    assert Queues(redis_client).depth("recall") == 2
    assert redis_client.keys("batch:*") == []


def test_the_batch_job_stays_for_runs_by_hand(deployed: Settings) -> None:
    assert definitions(deployed, recall=SHORT).resolve_job_def("recall").name == "recall"


def test_dagster_neither_retries_a_stream_run_nor_lets_it_live_for_ever(deployed: Settings) -> None:
    tags = definitions(deployed, recall=SHORT).resolve_job_def("recall__stream").tags
    assert (tags["dagster/max_retries"], tags["dagster/max_runtime"]) == ("0", "601")
