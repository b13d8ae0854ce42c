"""A running platform as the end-to-end tests see it: from outside, through its files, tables, UI and processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import psutil
from redis import Redis
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import ProgrammingError

from tests.support import eventually
from vcon_platform.demo.samples import Sample, drop_into_spool
from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.orchestration.naming import PIPELINE_TAG
from vcon_platform.services.dagster_client import DagsterClient, RunState
from vcon_platform.services.environment import child_environment
from vcon_platform.services.stack import Stack
from vcon_platform.store.connection import connect
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.leases import Queues
from vcon_platform.store.opening import open_store

PATIENCE = 150.0


class Platform:
    """Questions to a running stack."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.settings = stack.settings
        self.dagster = DagsterClient(stack.webserver_url)

    @cached_property
    def redis(self) -> Redis:
        return connect(self.settings.redis_url())

    @cached_property
    def documents(self) -> DocumentStore:
        return open_store(self.settings, client=self.redis).documents

    @cached_property
    def queues(self) -> Queues:
        return Queues(self.redis)

    @cached_property
    def engine(self) -> Engine:
        return create_engine(self.settings.postgres_url(), pool_pre_ping=True)  # tests kill Postgres

    @property
    def spool(self) -> Path:
        return self.settings.data_dir / "freeswitch" / "spool"

    @property
    def archive(self) -> Path:
        return self.settings.data_dir / "freeswitch" / "archive"

    def end_calls(self, samples: Sequence[Sample]) -> list[str]:
        """The switch writes these calls; their vCons' uuids."""
        drop_into_spool(self.spool, samples)
        return [sample.vcon_uuid() for sample in samples]

    def rows(self, table: str, uuids: Sequence[str]) -> list[dict[str, Any]]:
        """The rows of these conversations."""
        statement = text(f'SELECT * FROM "{table}" WHERE uuid = ANY(:uuids) ORDER BY created_at')
        try:
            with self.engine.connect() as connection:
                return [dict(row) for row in connection.execute(statement, {"uuids": list(uuids)}).mappings()]
        except ProgrammingError:
            return []

    def verdicts(self, uuids: Sequence[str]) -> dict[str, str]:
        """uuid to verdict, as the table calls has it; fails if a conversation has two rows."""
        rows = self.rows("calls", uuids)
        assert len({row["uuid"] for row in rows}) == len(rows)
        return {row["uuid"]: row["verdict"] for row in rows}

    def until_landed(self, uuids: Sequence[str]) -> dict[str, str]:
        """Wait until each of these has its row in calls, and in recalls if it is done; the verdicts."""

        def landed() -> dict[str, str]:
            verdicts = self.verdicts(uuids)
            done = {uuid for uuid, verdict in verdicts.items() if verdict == "done"}
            recalls = {row["uuid"] for row in self.rows("recalls", uuids)}
            return verdicts if len(verdicts) == len(uuids) and done == recalls else {}

        return eventually(landed, PATIENCE, 0.5, f"{len(uuids)} calls have their rows")

    def story(self, uuid: str) -> list[LedgerEvent]:
        """What the ledger says of a conversation, oldest first."""
        ledger = Ledger(self.engine)
        ship_all(self.redis, ledger)
        return ledger.events_of(uuid)

    def kinds(self, uuid: str) -> list[EventKind]:
        """The kinds of its events."""
        return [event.event for event in self.story(uuid)]

    def pipeline_runs(self) -> list[RunState]:
        """Runs of the pipeline recall, newest first."""
        return self.dagster.runs({PIPELINE_TAG: "recall"}, limit=100)

    def until_finished(self, run_id: str) -> str:
        """Wait for a run's end; its status."""
        return eventually(
            lambda: (state := self.dagster.run(run_id)).finished and state.status, PATIENCE, 0.5, f"run {run_id} ends"
        )  # type: ignore[return-value]

    def run_worker(self) -> psutil.Process:
        """The process of the run that holds a batch now, as its own event log names it."""
        keys: list[bytes] = list(self.redis.keys("batch:*"))  # type: ignore[arg-type]
        [batch] = [key for key in keys if key.count(b":") == 1]  # not its jobs, nor their order
        run_id = self.redis.hget(batch, "owner")
        assert isinstance(run_id, bytes)
        told = self.dagster.query(
            "query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection { events { "
            "... on EngineEvent { message } } } } } }",
            id=run_id.decode(),
        )
        found = re.search(r"Executing steps in process \(pid: (\d+)\)", str(told))
        assert found, told
        return psutil.Process(int(found[1]))

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``vcon-platform`` as a user of this installation would."""
        environment = child_environment(self.settings, {"PATH": os.environ["PATH"], "HOME": "/tmp", "COLUMNS": "200"})
        return subprocess.run(
            [str(Path(sys.executable).parent / "vcon-platform"), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
