"""The landing sensor: turns days on which rows changed into runs that land them.

Neighbouring days go into one run (a partition range); a run covers every table of one kind of destination that is
behind, so that no slow service holds up the others. A table that a run is landing is left to it, and so are the days of
a backfill that is at work; the next tick sees what is behind by then. A table whose destination failed is left alone
for a while, longer each time.
"""

import time
from collections.abc import Container, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

from vcon_platform.orchestration import naming
from vcon_platform.orchestration.under_way import UNDER_WAY
from vcon_platform.projections.days import day_ranges
from vcon_platform.projections.destination import destination_kind
from vcon_platform.projections.landing import landing_mark
from vcon_platform.projections.model import Projection
from vcon_platform.store.rows import RowIndex

MAX_RUNS = 4
"""Runs asked for per tick: each costs seconds to launch, and they share the database."""


def landing_sensor(projections: Sequence[Projection], job: Any) -> dg.SensorDefinition:
    """The sensor over these projections; ``job`` is the Dagster job that can land any of them."""
    tables = [
        (projection.name, ref.kind, landing_mark(destination_kind(ref.kind), projection))
        for projection in projections
        for ref in projection.destinations
    ]

    @dg.sensor(
        name="landing",
        description="Lands rows within seconds of their change: asks for a run over the days that are behind.",
        job=job,
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"redis"},
    )
    def land(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        index = RowIndex(context.resources.redis.client())
        behind = {(name, kind): days for name, kind, mark in tables if (days := index.behind(name, mark))}
        if not behind:
            return dg.SkipReason("every destination holds what it should")
        waits = _waits(index, [(name, kind, mark) for name, kind, mark in tables if (name, kind) in behind])
        due = _due(behind, waits, _at_work(context.instance))
        if not due:
            return dg.SkipReason("; ".join([*waits.values()]) or "runs are landing rows already")
        return dg.SensorResult(run_requests=_requests(due))

    return land


def _waits(index: RowIndex, tables: Sequence[tuple[str, str, str]]) -> dict[tuple[str, str], str]:
    """The tables that are left alone for a while, each with a sentence that says so."""
    now = time.time()
    found = {}
    for name, kind, mark in tables:
        trouble = index.trouble(name, mark)
        if trouble is not None and trouble.until > now:
            until = datetime.fromtimestamp(trouble.until, UTC)
            found[name, kind] = (
                f"{name}/{kind} failed {trouble.times} times in a row and is tried again at {until:%H:%M:%S} UTC: "
                f"{trouble.reason}"
            )
    return found


def _at_work(instance: dg.DagsterInstance) -> list[dg.DagsterRun]:
    """The runs that land, or are about to, whoever asked for them: the sensor's from when it asks, others (a year's
    backfill) from when they are launched, for they may wait long. Two queries."""
    ours = instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY, tags={naming.LANDING_TAG: "true"}))
    launched = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    theirs = instance.get_runs(dg.RunsFilter(statuses=launched, job_name=IMPLICIT_ASSET_JOB_NAME))
    return [*ours, *theirs]


def _due(
    behind: dict[tuple[str, str], list[str]], waits: Container[tuple[str, str]], runs: Sequence[dg.DagsterRun]
) -> dict[tuple[str, str], list[str]]:
    """The tables and days that a run is to be asked for."""
    due = {}
    for table, days in behind.items():
        key = dg.AssetKey(naming.projection_key(*table))
        at_work = [run.tags for run in runs if key in (run.asset_selection or ())]
        if table not in waits and not any(naming.LANDING_TAG in tags for tags in at_work):
            left = [day for day in days if not any(_covers(tags, day) for tags in at_work)]
            if left:
                due[table] = left
    return due


def _covers(tags: Mapping[str, str], day: str) -> bool:
    first = tags.get(ASSET_PARTITION_RANGE_START_TAG) or tags.get(PARTITION_NAME_TAG) or ""
    last = tags.get(ASSET_PARTITION_RANGE_END_TAG) or first
    return first <= day <= last


def _requests(due: dict[tuple[str, str], list[str]]) -> list[dg.RunRequest]:
    kinds = sorted({kind for _, kind in due})
    most = max(1, MAX_RUNS // len(kinds))
    requests = []
    for wanted in kinds:
        tables = {table: days for table, days in due.items() if table[1] == wanted}
        for first, last in day_ranges(sorted({day for days in tables.values() for day in days}), most):
            keys = [
                dg.AssetKey(naming.projection_key(*table))
                for table, days in tables.items()
                if any(first <= day <= last for day in days)
            ]
            tags = {
                naming.LANDING_TAG: "true",
                ASSET_PARTITION_RANGE_START_TAG: first,
                ASSET_PARTITION_RANGE_END_TAG: last,
            }
            requests.append(dg.RunRequest(asset_selection=keys, tags=tags))
    return requests
