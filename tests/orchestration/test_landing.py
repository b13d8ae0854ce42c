"""Tables as assets: what is told of a landing, its checks, and one destination that fails beside one that does not."""

from __future__ import annotations

import time
from typing import Any, cast

import dagster as dg
import pytest
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG
from dagster._core.test_utils import create_run_for_test
from redis import Redis
from sqlalchemy import create_engine, text

from assets.projection_checks import check_results, check_specs
from resources.redis import RedisResource
from tests.orchestration.support import chats, run, texts
from tests.projections.examples import projection
from tests.projections.memory_destination import MemoryDestination
from vcon_platform.definitions import build_definitions
from vcon_platform.orchestration import naming
from vcon_platform.projections.destination import Faults, Rejected
from vcon_platform.projections.destinations.postgres.destination import PostgresDestination
from vcon_platform.projections.landing import LandedGroup
from vcon_platform.projections.reconcile import Landed
from vcon_platform.projections.renewing import Renewed
from vcon_platform.settings import Settings
from vcon_platform.store.rows import RowIndex

DAY = "2026-11-02"
CALLS = dg.AssetKey(["projections", "calls", "postgres"])
RECALLS = dg.AssetKey(["projections", "recalls", "postgres"])


@pytest.fixture
def ended(deployed: Settings, instance: dg.DagsterInstance) -> dg.Definitions:
    """Two conversations went through the pipeline; one speaks of a recall."""
    chats(deployed, "a recall", "nothing")
    every = texts()
    every["projections"] = {name: every["projections"][name] for name in ("calls.yaml", "recalls.yaml")}
    defs = build_definitions(settings=deployed, texts=every)
    assert run(defs, instance).success
    return defs


def _land(defs: dg.Definitions, instance: dg.DagsterInstance, *keys: dg.AssetKey, **tags: str) -> Any:
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        raise_on_error=False,
        asset_selection=list(keys),
        tags={ASSET_PARTITION_RANGE_START_TAG: DAY, ASSET_PARTITION_RANGE_END_TAG: DAY, **tags},
    )


def _told(instance: dg.DagsterInstance, key: dg.AssetKey) -> dict[str, Any]:
    [record] = instance.fetch_materializations(dg.AssetRecordsFilter(key, asset_partitions=[DAY]), limit=1).records
    assert record.asset_materialization is not None
    return {name: value.value for name, value in record.asset_materialization.metadata.items()}


def _tick(defs: dg.Definitions, instance: dg.DagsterInstance) -> Any:
    sensor: Any = defs.resolve_sensor_def("landing")
    resources = {"redis": RedisResource()}
    with dg.build_sensor_context(instance=instance, resources=resources, definitions=defs) as context:
        return sensor.evaluate_tick(context)


def test_a_landing_tells_what_it_did_and_its_checks_pass(ended: dg.Definitions, instance: dg.DagsterInstance) -> None:
    result = _land(ended, instance, CALLS, RECALLS)
    assert result.success
    told = _told(instance, CALLS)
    assert (told["written"], told["rows_on_these_days"], told["dagster/partition_row_count"]) == (2, 2, 2)
    assert _told(instance, RECALLS)["written"] == 1
    checks = {(each.asset_key, each.check_name): each for each in result.get_asset_check_evaluations()}
    assert len(checks) == 10
    assert all(each.passed for each in checks.values())
    assert checks[CALLS, "landed_equals_eligible"].metadata["eligible"].value == 2
    record = instance.get_latest_materialization_event(CALLS)
    assert record is not None
    assert record.asset_materialization is not None
    assert "dagster/code_version" in (record.asset_materialization.tags or {})


def test_a_destination_that_refuses_fails_its_own_asset_only_and_is_left_alone_for_a_while(
    ended: dg.Definitions, instance: dg.DagsterInstance, deployed: Settings, redis_client: Redis
) -> None:
    engine = create_engine(deployed.postgres_url())
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE calls (uuid integer)"))
    result = _land(ended, instance, CALLS, RECALLS, **{"dagster/sensor_name": "landing"})
    assert not result.success
    assert [event.asset_key for event in result.get_asset_materialization_events()] == [RECALLS]
    tick = _tick(ended, instance)
    assert tick.run_requests == []
    assert "calls/postgres failed 1 times in a row" in tick.skip_message
    assert "table public.calls exists and was not made for a projection" in tick.skip_message
    index = RowIndex(redis_client)
    [mark] = [
        key.split(":", 2)[2]
        for key in map(bytes.decode, cast("list[bytes]", redis_client.keys("landed:calls:*:trouble")))
    ]
    name = mark.removesuffix(":trouble")
    assert index.behind("calls", name) == [DAY]
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE calls"))
    index.failed("calls", name, "long ago", now=time.time() - 100)
    [request] = _tick(ended, instance).run_requests
    assert (request.asset_selection, request.tags[naming.LANDING_TAG]) == ([CALLS], "true")
    assert _land(ended, instance, CALLS).success
    assert (index.trouble("calls", name), index.behind("calls", name)) == (None, [])
    assert _tick(ended, instance).skip_message == "every destination holds what it should"
    engine.dispose()


def test_the_days_of_a_backfill_that_is_at_work_are_left_to_it(
    ended: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    def launched(first: str, last: str) -> str:
        run = create_run_for_test(
            instance,
            job_name="__ASSET_JOB",
            status=dg.DagsterRunStatus.STARTED,
            asset_selection=frozenset({CALLS}),
            tags={ASSET_PARTITION_RANGE_START_TAG: first, ASSET_PARTITION_RANGE_END_TAG: last},
        )
        return str(run.run_id)

    first = launched("2025-11-02", DAY)
    [request] = _tick(ended, instance).run_requests
    assert request.asset_selection == [RECALLS]
    instance.delete_run(first)
    launched("2025-11-02", "2026-11-01")
    [request] = _tick(ended, instance).run_requests
    assert set(request.asset_selection) == {CALLS, RECALLS}


def test_checks_say_what_is_wrong_and_block_but_for_what_does_not_fit() -> None:
    calls = projection()
    landed = Landed(
        written=(),
        deleted=(),
        unchanged=3,
        rows={DAY: 3},
        rejected=(Rejected("b", "seconds", "no number"),),
        wrong=("a",),
    )
    group = LandedGroup((DAY,), landed, 3, Renewed(), ("e",), Faults(1, {"uuid": 2}), settled=True, seconds=0.1)
    results = {each.check_name: each for each in check_results(calls, CALLS, PostgresDestination, [group])}
    assert not any(each.passed for each in results.values())
    assert {name for name, each in results.items() if each.severity is dg.AssetCheckSeverity.WARN} == {"types_fit"}
    assert results["landed_equals_eligible"].metadata["wrong_named"].value == "a"
    assert results["types_fit"].metadata["rejected_named"].value == "b, column seconds: no number"
    assert results["no_erased_present"].metadata["erased_named"].value == "e"
    assert results["required_not_null"].metadata["empty uuid"].value == 2
    specs = {each.name: each.blocking for each in check_specs(calls, CALLS, PostgresDestination)}
    assert specs == {name: name != "types_fit" for name in results}
    assert len(check_specs(calls, CALLS, MemoryDestination)) == 3


def test_what_changed_while_it_landed_is_not_told_as_wrong() -> None:
    landed = Landed(written=(), deleted=(), unchanged=1, rows={DAY: 1}, wrong=("a",))
    group = LandedGroup((DAY,), landed, 1, Renewed(), (), None, settled=False, seconds=0.1)
    results = {each.check_name: each for each in check_results(projection(), CALLS, MemoryDestination, [group])}
    assert results["landed_equals_eligible"].passed
    assert results["landed_equals_eligible"].metadata["days_changing_meanwhile"].value == 1


def test_columns_lead_back_to_what_the_pipeline_and_its_processors_wrote(
    ended: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    specs = {spec.key: spec for spec in ended.resolve_all_asset_specs()}
    lineage = specs[RECALLS].metadata["dagster/column_lineage"].deps_by_column
    pipeline = dg.AssetKey(["pipelines", "recall"])
    assert dg.TableColumnDep(pipeline, "analysis.transcript") in lineage["transcript"]
    members = {each.name: each for each in specs[pipeline].metadata["dagster/column_schema"].columns}
    assert members["analysis.transcript"].description == "as captured"  # this pipeline only looks for words
    assert specs[RECALLS].tags["grain"] == "vcon"
    assert "| transcript | analysis.transcript" in specs[RECALLS].metadata["lineage"].value
