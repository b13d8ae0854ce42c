"""Dagster keeps every event of every run for ever: this deletes, by age, what nobody reads any more.

Belongs here: which rows and files go, and when. Not here: the Dagster job (``prune_job.py``); ticks expire by
``retention`` in dagster.yaml, checkpoints by ``housekeeping``.

Rows are chosen by the type of their event, never by run: deleting a run would take its materializations with it. What
shows who made what, when and how it ended (materializations, observations, checks, step failures, start and end of
runs) is never touched, nor are runs, tags and snapshots, which say under which definitions each run worked. Only
finished runs are looked at. What goes is how a run went about it. After that a run of another Dagster job cannot
be re-executed *from failure* (``STEP_OUTPUT`` is gone); a pipeline's can: with nothing in hand it redrives what failed.
"""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import Connection, Engine, text

DETAIL = (
    "ENGINE_EVENT",
    "HANDLED_OUTPUT",
    "LOADED_INPUT",
    "STEP_INPUT",
    "STEP_OUTPUT",
    "RESOURCE_INIT_STARTED",
    "RESOURCE_INIT_SUCCESS",
    "RESOURCE_INIT_FAILURE",
    "STEP_WORKER_STARTING",
    "STEP_WORKER_STARTED",
    "LOGS_CAPTURED",
    "PIPELINE_ENQUEUED",
    "PIPELINE_STARTING",
)
PLANNED = "ASSET_MATERIALIZATION_PLANNED"
"""Only of runs that succeeded: without it a partition that failed would look like one that was never asked for."""
DEBUG_DAYS = 7
BATCH = 2_000
"""Rows per statement: each takes milliseconds and holds no lock that anybody waits for."""

_CHOSEN = """
DELETE FROM dagster.event_logs WHERE id IN (
  SELECT e.id FROM dagster.event_logs e JOIN dagster.runs r ON r.run_id = e.run_id
  WHERE {kind} AND e.timestamp < :before AND r.status = ANY(:ended) ORDER BY e.id LIMIT :batch)
"""
_OF_TYPE = _CHOSEN.format(kind="e.dagster_event_type = :type")
_DEBUG = _CHOSEN.format(kind="""e.dagster_event_type IS NULL AND e.event LIKE '%"level": 10,%'""")
_LOG = _CHOSEN.format(kind="e.dagster_event_type IS NULL")
_SIZE = """
SELECT reltuples::bigint, pg_total_relation_size(oid) FROM pg_class WHERE oid = 'dagster.event_logs'::regclass
"""
_ENDED = ["SUCCESS", "FAILURE", "CANCELED"]


@dataclass(slots=True)
class Pruned:
    """What was deleted: rows by type (``log`` and ``debug`` for log lines), and what is left. ``complete``: False if
    the time was up first; the next run goes on."""

    rows: dict[str, int] = field(default_factory=dict)
    complete: bool = True
    rows_left: int = 0
    bytes_left: int = 0


def prune_events(engine: Engine, *, days: int, seconds: float = 600.0, now: datetime | None = None) -> Pruned:
    """Delete the details of finished runs after ``days``, their log lines after twice as long, debug lines after a
    week, for at most about ``seconds``. A Postgres without Dagster's tables is left as it is."""
    moment = (now or datetime.now(UTC)).replace(tzinfo=None)  # Dagster's column is UTC without a zone
    pruned, until = Pruned(), time.monotonic() + seconds
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if connection.execute(text("SELECT to_regclass('dagster.event_logs')")).scalar() is None:
            return pruned
        old = moment - timedelta(days=days)
        for kind in DETAIL:
            _delete(connection, pruned, kind, _OF_TYPE, old, until)
        _delete(connection, pruned, PLANNED, _OF_TYPE, old, until, ended=["SUCCESS"])
        _delete(connection, pruned, "debug", _DEBUG, moment - timedelta(days=min(days, DEBUG_DAYS)), until)
        _delete(connection, pruned, "log", _LOG, moment - timedelta(days=2 * days), until)
        if pruned.rows:
            connection.execute(text("VACUUM (ANALYZE) dagster.event_logs"))
        pruned.rows_left, pruned.bytes_left = connection.execute(text(_SIZE)).one()
    return pruned


def _delete(
    connection: Connection,
    pruned: Pruned,
    kind: str,
    statement: str,
    before: datetime,
    until: float,
    ended: list[str] = _ENDED,
) -> None:
    values = {"type": kind, "before": before, "ended": ended, "batch": BATCH}
    while time.monotonic() < until:
        count = connection.execute(text(statement), values).rowcount
        if count:
            pruned.rows[kind] = pruned.rows.get(kind, 0) + count
        if count < BATCH:
            return
    pruned.complete = False


def prune_folders(folder: Path, *, days: int, now: float | None = None) -> int:
    """Delete the folders of ``folder`` (one per run) in which nothing was written for ``days``; how many. One that
    cannot be deleted stays for the next time."""
    oldest = (now or time.time()) - days * 86_400
    deleted = 0
    for run in sorted(folder.iterdir()) if folder.is_dir() else ():
        if run.is_dir() and not run.is_symlink() and _newest(run) < oldest:
            shutil.rmtree(run, ignore_errors=True)
            deleted += not run.exists()
    return deleted


def _newest(folder: Path) -> float:
    newest = 0.0
    for path in (folder, *folder.rglob("*")):
        try:
            newest = max(newest, path.stat().st_mtime)
        except FileNotFoundError:
            continue
    return newest
