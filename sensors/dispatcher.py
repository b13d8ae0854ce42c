"""The dispatcher: turns what waits in the queues into runs, one batch a run.

One sensor for all pipelines. It asks for a run when jobs wait and no run of that pipeline is under way; the run leases
whatever waits by then, so a tick that comes twice, or late, does no harm.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from vcon_platform.orchestration import naming
from vcon_platform.orchestration.runtime import runtime
from vcon_platform.orchestration.under_way import under_way
from vcon_platform.pipelines.definition import Definition


def dispatcher_sensor(pipelines: Sequence[Definition], jobs: Sequence[Any]) -> dg.SensorDefinition:
    """The sensor over these pipelines; ``jobs`` are their Dagster jobs."""

    @dg.sensor(
        name="dispatcher",
        description="Starts a run for every pipeline that has jobs waiting and no run under way.",
        jobs=list(jobs),
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"redis", "object_store"},
    )
    def dispatch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        run = runtime(context.resources.redis, context.resources.object_store, {})
        waiting = {pipeline.name: depth for pipeline in pipelines if (depth := run.queues.depth(pipeline.name))}
        if not waiting:
            return dg.SkipReason("no jobs wait")
        busy = under_way(context.instance, naming.PIPELINE_TAG, list(waiting))
        requests = [
            dg.RunRequest(
                job_name=pipeline.name,
                tags={naming.PIPELINE_TAG: pipeline.name, naming.VERSION_TAG: pipeline.version},
            )
            for pipeline in pipelines
            if pipeline.name in waiting and pipeline.name not in busy
        ]
        if not requests:
            return dg.SkipReason(f"runs are under way for {', '.join(sorted(waiting))}")
        return dg.SensorResult(run_requests=requests)

    return dispatch
