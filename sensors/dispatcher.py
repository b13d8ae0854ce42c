"""The dispatcher: turns what waits in the queues into runs.

One sensor for all pipelines and both lanes. What it decides is in ``pipelines/dispatch.py``; a tick that comes twice,
or late, does no harm.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from vcon_platform.orchestration.dispatching import look
from vcon_platform.orchestration.runtime import runtime
from vcon_platform.pipelines.definition import Definition

NOTED = 20
"""How many pipelines a tick tells of; 'vcon-platform pipelines' has them all."""


def dispatcher_sensor(pipelines: Sequence[Definition], jobs: Sequence[Any]) -> dg.SensorDefinition:
    """The sensor over these pipelines; ``jobs`` are their Dagster jobs, of both lanes."""

    @dg.sensor(
        name="dispatcher",
        description="Starts runs for what waits in the queues: batches by weight, size and priority, and for each "
        "stream a run that stands by. A tick that starts none says what every pipeline waits for.",
        jobs=list(jobs),
        minimum_interval_seconds=1,
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"redis", "object_store"},
    )
    def dispatch(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        run = runtime(context.resources.redis, context.resources.object_store, {})
        looked = look(context.instance, run, pipelines)
        if looked.requests:
            return dg.SensorResult(run_requests=looked.requests)
        more = f"; and {len(looked.notes) - NOTED} more" if len(looked.notes) > NOTED else ""
        return dg.SkipReason("; ".join(looked.notes[:NOTED]) + more if looked.notes else "no jobs wait")

    return dispatch
