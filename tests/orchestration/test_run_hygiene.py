"""What runs leave behind: few rows, and nothing of what people said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from redis import Redis
from sqlalchemy import Engine, create_engine, text

from tests.orchestration.support import chats, definitions, run
from vcon_platform.processors.base import Effects
from vcon_platform.processors.recall_finder import RecallFinder
from vcon_platform.settings import Settings
from vcon_platform.store.leases import Queues

SECRET = "my card is 4111 1111 1111 1111"
FIND = "processors: [{processor_name: recall_finder}]"


@pytest.fixture
def instance(deployed: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """Dagster's records in Postgres, as in production."""
    monkeypatch.setenv("DAGSTER_HOME", str(deployed.dagster_home))
    monkeypatch.chdir(tmp_path)
    with dg.DagsterInstance.get() as instance:
        yield instance


@pytest.fixture
def engine(deployed: Settings) -> Iterator[Engine]:
    made = create_engine(deployed.postgres_url())
    yield made
    made.dispose()


def test_a_run_of_a_thousand_conversations_leaves_at_most_a_tenth_of_a_row_for_each(
    deployed: Settings, instance: dg.DagsterInstance, engine: Engine
) -> None:
    chats(deployed, *["a recall"] * 1000)
    assert run(definitions(deployed), instance).success
    with engine.connect() as connection:
        rows = connection.execute(text("SELECT count(*) FROM dagster.event_logs")).scalar_one()
    assert rows <= 100


FAILING_RUN = """
import dagster as dg
from vcon_platform.definitions import build_definitions
from vcon_platform.processors.recall_finder import RecallFinder

def fails(self, io, options):
    try:
        raise KeyError(io.vcon.data)
    except KeyError as error:
        raise ValueError(f"cannot handle {io.vcon.data}") from error  # as plugins do

def job():
    pipelines = {"recall.yaml": "processors: [{processor_name: recall_finder}]"}
    texts = {"pipelines": pipelines, "projections": {}, "adapters": {}}
    return build_definitions(texts=texts).resolve_job_def("recall")

if __name__ == "__main__":
    RecallFinder.process = fails
    with dg.DagsterInstance.get() as instance:
        assert not dg.execute_job(dg.reconstructable(job), instance).success
"""
"""In a process of its own, as runs are: what this suite does to logging must not hide anything."""


def test_what_people_said_is_nowhere_in_dagsters_records_when_a_processor_fails(
    deployed: Settings, instance: dg.DagsterInstance, engine: Engine, tmp_path: Path
) -> None:
    chats(deployed, SECRET)
    script = tmp_path / "failing_run.py"
    script.write_text(FAILING_RUN)
    told = subprocess.run(
        [sys.executable, str(script)], capture_output=True, check=False, env={**os.environ, "VCON_ENV_FILE": ""}
    )
    assert told.returncode == 0, told.stderr[-2000:]
    written = {path.name: path.read_bytes() for path in deployed.data_dir.rglob("compute_logs/**/*") if path.is_file()}
    everything = b"".join([told.stdout, told.stderr, *written.values(), *_rows(engine)])
    assert b"in fails" in everything, "the trace is there"
    assert not [found for found in (b"4111 1111", b"+15550100") if found in everything]


def _rows(engine: Engine) -> Iterator[bytes]:
    """Every row of Dagster's tables and the ledger's."""
    with engine.connect() as connection:
        query = "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('dagster', 'ledger')"
        for schema, table in list(connection.execute(text(query))):
            for row in connection.execute(text(f'SELECT t::text FROM {schema}."{table}" t')).scalars():
                yield row.encode()


def test_cancelling_a_run_that_waits_for_the_network_gives_its_jobs_back_at_once(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()
    began = threading.Semaphore(0)

    def waits(_: object, io: Any, __: object) -> Any:
        began.release()
        released.wait(60)
        return io

    monkeypatch.setattr(RecallFinder, "process", waits)
    monkeypatch.setattr(RecallFinder, "effects", Effects(network=True))
    uuids = chats(deployed, *["hello"] * 100)
    cancelled: list[float] = []

    def cancel() -> None:
        for _ in range(64):
            began.acquire(timeout=30)
        cancelled.append(time.monotonic())
        os.kill(os.getpid(), signal.SIGINT)  # what "Terminate" in the UI becomes

    threading.Thread(target=cancel, daemon=True).start()
    try:
        assert not run(definitions(deployed, recall=FIND), instance).success
        assert time.monotonic() - cancelled[0] < 15  # a busy machine needs seconds; what waits, a minute
        assert [job.vcon_uuids[0] for job in Queues(redis_client).jobs("recall", 0, 200)] == uuids
    finally:
        released.set()
