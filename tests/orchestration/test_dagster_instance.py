"""The committed dagster.yaml on a real Postgres: it loads, records and watches, in schema ``dagster`` only."""

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg2
import pytest
import sqlalchemy
from dagster._core.instance.config import dagster_instance_config

from tests.support import eventually
from vcon_platform.services.postgres import PostgresServer, libpq_url
from vcon_platform.settings import Settings

numbers = dg.DynamicPartitionsDefinition(name="numbers")


@dg.asset
def source() -> int:
    return 1


@dg.asset(partitions_def=numbers)
def partitioned(context: dg.AssetExecutionContext) -> str:
    return str(context.partition_key)


@dg.op
def say() -> None:
    print("said something")


@dg.job(executor_def=dg.in_process_executor)
def talking() -> None:
    say()


@pytest.fixture
def instance(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """The instance that ``dagster_home/dagster.yaml`` describes, on a database of its own."""
    monkeypatch.setenv("VCON_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("POSTGRES_URL", settings.postgres_url())
    monkeypatch.setenv("DAGSTER_HOME", str(settings.dagster_home))
    monkeypatch.chdir(tmp_path)  # no .env of a developer
    with dg.DagsterInstance.get() as instance:
        yield instance


def test_the_file_is_valid_for_the_installed_dagster(settings: Settings) -> None:
    config, _ = dagster_instance_config(str(settings.dagster_home))
    assert config["run_retries"] == {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}
    assert config["telemetry"]["enabled"] is False
    assert config["nux"]["enabled"] is False
    assert config["sensors"]["use_threads"] is True


def test_the_limits_are_the_ones_dagster_uses(instance: dg.DagsterInstance) -> None:
    queue = instance.get_concurrency_config().run_queue_config
    assert queue is not None
    assert queue.max_concurrent_runs == 25
    assert {(each["key"], each.get("value")): each["limit"] for each in queue.tag_concurrency_limits} == {
        ("vcon/lane", "batch"): 8,
        ("vcon/lane", "urgent"): 4,
        ("vcon/landing", None): 4,
        ("dagster/backfill", None): 2,
    }
    assert instance.run_coordinator.dequeue_interval_seconds == 1  # type: ignore[attr-defined]
    assert instance.run_monitoring_enabled
    assert instance.run_retries_enabled


def test_it_materialises_and_remembers_on_postgres(instance: dg.DagsterInstance) -> None:
    assert dg.materialize([source], instance=instance).success
    instance.add_dynamic_partitions("numbers", ["one", "two"])
    assert dg.materialize([partitioned], instance=instance, partition_key="two").success
    assert instance.get_latest_materialization_event(dg.AssetKey("source")) is not None
    assert instance.get_materialized_partitions(dg.AssetKey("partitioned")) == {"two"}
    assert instance.get_runs_count() == 2


def test_dagsters_tables_are_in_their_own_schema_and_at_the_current_revision(
    instance: dg.DagsterInstance, settings: Settings
) -> None:
    engine = sqlalchemy.create_engine(settings.postgres_url())
    inspector = sqlalchemy.inspect(engine)
    assert {"runs", "event_logs", "alembic_version", "daemon_heartbeats"} <= set(inspector.get_table_names("dagster"))
    assert inspector.get_table_names("public") == []
    engine.dispose()
    for part in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
        assert part is not None
        version = part.alembic_version()
        assert version is not None
        assert version[0] == version[1]


def test_events_are_watched_as_they_are_stored(instance: dg.DagsterInstance) -> None:
    run_id = str(uuid.uuid4())
    seen: list[str] = []
    done = threading.Event()

    def on_event(entry: dg.EventLogEntry, _cursor: str) -> None:
        seen.append(entry.user_message)
        if entry.is_dagster_event and entry.get_dagster_event().event_type is dg.DagsterEventType.RUN_SUCCESS:
            done.set()

    instance.watch_event_logs(run_id, None, on_event)
    assert talking.execute_in_process(instance=instance, run_id=run_id).success
    assert done.wait(30), seen


def test_logs_and_artifacts_go_to_the_data_folder(instance: dg.DagsterInstance, settings: Settings) -> None:
    assert instance.storage_directory().startswith(str(settings.data_dir / "artifacts"))
    result = dg.execute_job(dg.reconstructable(talking_job), instance)
    assert result.success
    written = eventually(lambda: list((settings.data_dir / "compute_logs").rglob("*.out")))
    assert any("said something" in path.read_text() for path in written)


def talking_job() -> dg.JobDefinition:
    """For ``reconstructable``, which wants a function of a module."""
    return talking


def test_connections_are_kept_and_one_that_died_is_replaced_unseen(
    instance: dg.DagsterInstance, postgres_server: PostgresServer, settings: Settings
) -> None:
    assert dg.materialize([source], instance=instance).success
    database = settings.postgres_url().rsplit("/", 1)[1]
    with psycopg2.connect(libpq_url(postgres_server.url())) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s", (database,))
        row = cursor.fetchone()
    connection.close()
    assert row is not None
    assert 1 <= row[0] <= 4, "a pool of a few connections, not one per event"
    assert dg.materialize([source], instance=instance).success
