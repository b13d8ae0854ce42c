"""Which runs Dagster has under way, by a tag of ours."""

import dagster as dg

UNDER_WAY = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def under_way(instance: dg.DagsterInstance, tag: str, values: list[str]) -> set[str]:
    """Those of ``values`` that some unfinished run carries under ``tag``. One query."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY, tags={tag: values}))
    return {run.tags[tag] for run in runs if tag in run.tags}
