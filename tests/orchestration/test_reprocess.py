"""Reprocessing in Dagster: choosing days queues what has no result of the present version, and says what it did."""

from __future__ import annotations

from typing import Any

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from redis import Redis

from tests.orchestration.support import FIND_RECALLS, chats, definitions, run
from vcon_platform.settings import Settings
from vcon_platform.store.leases import Queues

DAY = "2026-11-02"
KEY = dg.AssetKey(["reprocess", "recall"])
CHANGED = FIND_RECALLS.replace("recall_finder}", "recall_finder, processor_options: {min_count: 2}}")


def _reprocess(
    settings: Settings, instance: dg.DagsterInstance, text: str = FIND_RECALLS, *, last: str = DAY, **config: Any
) -> Any:
    job = definitions(settings, recall=text).resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance,
        raise_on_error=False,
        asset_selection=[KEY],
        tags={ASSET_PARTITION_RANGE_START_TAG: DAY, ASSET_PARTITION_RANGE_END_TAG: last},
        run_config={"ops": {"reprocess__recall": {"config": config}}},
    )


def _told(instance: dg.DagsterInstance, day: str = DAY) -> dict[str, Any]:
    records = instance.fetch_materializations(dg.AssetRecordsFilter(KEY, asset_partitions=[day]), limit=1).records
    assert records[0].asset_materialization is not None
    return {name: value.value for name, value in records[0].asset_materialization.metadata.items()}


def test_what_has_a_result_of_this_version_is_left_alone(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    chats(deployed, "a recall", "nothing")
    run(definitions(deployed), instance)
    assert _reprocess(deployed, instance).success
    told = _told(instance)
    assert (told["found"], told["have_current_result"], told["queued"]) == (2, 2, 0)
    assert Queues(redis_client).depth("recall") == 0


def test_a_changed_pipeline_makes_its_results_old(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    chats(deployed, "a recall", "nothing")
    run(definitions(deployed), instance)
    result = _reprocess(deployed, instance, CHANGED)
    told = _told(instance)
    assert told["queued"] == 2
    assert told["origin"] == f"reprocess:{result.run_id}"
    assert told["withdraw_what_waits"] == f"vcon-platform queue purge recall --origin reprocess:{result.run_id}"
    jobs = Queues(redis_client).jobs("recall")
    assert [(job.priority, job.origin) for job in jobs] == [("low", f"reprocess:{result.run_id}")] * 2
    run(definitions(deployed, recall=CHANGED), instance)
    _reprocess(deployed, instance, CHANGED)
    assert _told(instance)["queued"] == 0


def test_a_dry_run_only_tells(deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance) -> None:
    chats(deployed, "a recall", queue="elsewhere")
    _reprocess(deployed, instance, dry_run=True)
    told = _told(instance)
    assert (told["dry_run"], told["to_process"], "queued" in told) == (True, 1, False)
    assert Queues(redis_client).depth("recall") == 0


def test_many_days_are_one_run_and_a_materialization_each(deployed: Settings, instance: dg.DagsterInstance) -> None:
    chats(deployed, "a recall", queue="elsewhere")
    _reprocess(deployed, instance, last="2026-11-04")
    assert instance.get_runs_count() == 1
    assert instance.get_materialized_partitions(KEY) == {DAY, "2026-11-03", "2026-11-04"}
    assert [_told(instance, day)["queued"] for day in (DAY, "2026-11-03", "2026-11-04")] == [1, 0, 0]


def test_reprocessing_leaves_room_for_what_arrives(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    chats(deployed, *["a recall"] * 3, queue="elsewhere")
    limited = FIND_RECALLS + "pipeline_options: {max_waiting: 4}\n"
    result = _reprocess(deployed, instance, limited)
    assert not result.success
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert "half of which is for reprocessing" in str(failure.step_failure_data.user_failure_data.description)
    assert Queues(redis_client).depth("recall") == 0
