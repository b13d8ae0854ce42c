"""Which runs Dagster has under way, by a tag of ours."""

from collections.abc import Sequence
from typing import cast

import dagster as dg

from vcon_platform.orchestration import naming
from vcon_platform.pipelines.dispatch import Lane, RunUnderWay

UNDER_WAY = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_WORKS = (dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING)
LANES: Sequence[str] = ("batch", "urgent", "stream")


def under_way(instance: dg.DagsterInstance, tag: str, values: list[str]) -> set[str]:
    """Those of ``values`` that some unfinished run carries under ``tag``. One query."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY, tags={tag: values}))
    return {run.tags[tag] for run in runs if tag in run.tags}


def pipeline_runs(instance: dg.DagsterInstance, now: float) -> list[RunUnderWay]:
    """The unfinished runs of pipelines, in every lane. One query; ``leased`` is not known here."""
    records = instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY, tags={naming.LANE_TAG: list(LANES)}))
    return [_run(record, now) for record in records if naming.PIPELINE_TAG in record.dagster_run.tags]


def _run(record: dg.RunRecord, now: float) -> RunUnderWay:
    run = record.dagster_run
    limit = run.tags.get(naming.LIMIT_TAG, "")
    return RunUnderWay(
        run_id=run.run_id,
        pipeline=run.tags[naming.PIPELINE_TAG],
        lane=cast("Lane", run.tags[naming.LANE_TAG]),
        age=max(0.0, now - record.create_timestamp.timestamp()),
        limit=int(limit) if limit.isdecimal() else 0,
        started=run.status in _WORKS,
    )
