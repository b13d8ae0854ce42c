"""Pruning on a real Postgres: details of old finished runs go, lineage stays, and what can be re-executed is known."""

import os
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import Engine, create_engine, text

from tests.orchestration.support import FIND_RECALLS, chats, definitions
from vcon_platform.orchestration.prune import prune_events, prune_folders
from vcon_platform.orchestration.prune_job import prune
from vcon_platform.settings import Settings, load_settings
from vcon_platform.store.checkpoints import Checkpoints
from vcon_platform.store.objects import open_objects

LATER = datetime.now(UTC) + timedelta(days=40)
"""When what is written today is 40 days old."""
MUCH_LATER = LATER + timedelta(days=40)
FOR_EVER = {"ASSET_MATERIALIZATION", "STEP_FAILURE", "PIPELINE_START", "PIPELINE_SUCCESS", "PIPELINE_FAILURE"}


@dg.asset
def good(context: dg.AssetExecutionContext) -> int:
    context.log.debug("a detail")
    context.log.info("something worth a line")
    return 1


@dg.asset
def bad() -> None:
    raise dg.Failure("no")


@pytest.fixture
def instance(deployed: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    monkeypatch.setenv("DAGSTER_HOME", str(deployed.dagster_home))
    monkeypatch.chdir(tmp_path)
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def engine(deployed: Settings) -> Iterator[Engine]:
    made = create_engine(deployed.postgres_url())
    yield made
    made.dispose()


def _types(engine: Engine) -> Counter[str]:
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT coalesce(dagster_event_type, 'log'), count(*) FROM dagster.event_logs GROUP BY 1")
        )
        return Counter(dict(row._tuple() for row in rows))


def test_young_runs_keep_everything(instance: dg.DagsterInstance, engine: Engine) -> None:
    dg.materialize([good], instance=instance)
    before = _types(engine)
    assert prune_events(engine, days=30).rows == {}
    assert _types(engine) == before


def test_old_details_go_and_lineage_stays(instance: dg.DagsterInstance, engine: Engine) -> None:
    dg.materialize([good, bad], instance=instance, raise_on_error=False)
    before = _types(engine)
    pruned = prune_events(engine, days=30, now=LATER)
    after_pruning = _types(engine)
    assert {kind: after_pruning[kind] for kind in FOR_EVER} == {kind: before[kind] for kind in FOR_EVER}
    assert pruned.complete
    assert pruned.rows["STEP_OUTPUT"] == before["STEP_OUTPUT"] > 0
    assert not {"ENGINE_EVENT", "HANDLED_OUTPUT", "LOGS_CAPTURED", "STEP_OUTPUT"} & set(after_pruning)
    assert instance.get_latest_materialization_event(dg.AssetKey("good")) is not None
    assert instance.get_runs_count() == 1


def test_debug_lines_go_first_and_other_lines_last(instance: dg.DagsterInstance, engine: Engine) -> None:
    dg.materialize([good], instance=instance)
    assert prune_events(engine, days=30, now=datetime.now(UTC) + timedelta(days=8)).rows.keys() == {"debug"}
    assert "log" not in prune_events(engine, days=30, now=LATER).rows
    assert prune_events(engine, days=30, now=MUCH_LATER).rows["log"] == 1


def test_a_failed_partition_still_looks_failed(instance: dg.DagsterInstance, engine: Engine) -> None:
    dg.materialize([good], instance=instance)
    dg.materialize([bad], instance=instance, raise_on_error=False)
    prune_events(engine, days=30, now=LATER)
    assert _types(engine)["ASSET_MATERIALIZATION_PLANNED"] == 1


def test_a_run_that_goes_on_is_left_alone(instance: dg.DagsterInstance, engine: Engine) -> None:
    result = dg.materialize([good], instance=instance)
    with engine.begin() as connection:
        connection.execute(text("UPDATE dagster.runs SET status = 'STARTED' WHERE run_id = :id"), {"id": result.run_id})
    assert prune_events(engine, days=30, now=MUCH_LATER).rows == {}


def test_the_failed_jobs_of_an_old_run_can_still_be_taken_up_by_re_executing_it(
    deployed: Settings, instance: dg.DagsterInstance, engine: Engine
) -> None:
    chats(deployed, "a recall", "nothing")
    red = dg.execute_job(dg.reconstructable(wrong_recall_job), instance)
    assert not red.success
    prune_events(engine, days=30, now=LATER)
    Checkpoints(open_objects(deployed.objects_url)).sweep(timedelta(0))
    from_failure = dg.ReexecutionOptions.from_failure(red.run_id, instance)
    assert dg.execute_job(dg.reconstructable(recall_job), instance, reexecution_options=from_failure).success
    [latest] = instance.fetch_materializations(dg.AssetKey(["pipelines", "recall"]), limit=1).records
    assert latest.asset_materialization is not None
    assert latest.asset_materialization.metadata["done"].value == 1


def recall_job() -> dg.JobDefinition:
    """For ``reconstructable``, which wants a function of a module."""
    return definitions(load_settings()).resolve_job_def("recall")


def wrong_recall_job() -> dg.JobDefinition:
    """The same with a projection that does not exist."""
    return definitions(load_settings(), recall=FIND_RECALLS.replace("recalls}", "nowhere}")).resolve_job_def("recall")


def test_the_job_says_what_it_did_and_how_much_is_left(instance: dg.DagsterInstance, engine: Engine) -> None:
    from resources.postgres import PostgresResource

    dg.materialize([good], instance=instance)
    result = prune.execute_in_process(instance=instance, resources={"postgres": PostgresResource()})
    [output] = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
    metadata = {name: value.value for name, value in output.step_output_data.metadata.items()}
    assert metadata["rows_deleted"] == 0
    assert metadata["complete"] is True
    assert float(str(metadata["megabytes_left"])) > 0


def test_a_postgres_without_dagster_is_left_as_it_is(engine: Engine) -> None:
    assert prune_events(engine, days=30, now=LATER).rows == {}


def test_folders_of_runs_go_when_nothing_was_written_in_them_for_long(tmp_path: Path) -> None:
    for name in ("old", "young"):
        (tmp_path / name / "compute_logs").mkdir(parents=True)
        (tmp_path / name / "compute_logs" / "step.out").write_text("x")
    long_ago = LATER.timestamp() - 80 * 86_400
    for path in (tmp_path / "old" / "compute_logs" / "step.out", tmp_path / "old" / "compute_logs", tmp_path / "old"):
        os.utime(path, (long_ago, long_ago))
    assert prune_folders(tmp_path, days=30) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["young"]
