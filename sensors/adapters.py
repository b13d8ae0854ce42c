"""One sensor per adapter: looks at the source, stores what is new, and starts no run.

A tick is time-boxed and idempotent: what did not fit is found again at the next one. It emits one materialization of
the source's asset, never one per conversation.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

import dagster as dg

from vcon_platform.adapters.base import Adapter, AdapterError
from vcon_platform.adapters.intake import Intake, Taken
from vcon_platform.orchestration import naming
from vcon_platform.orchestration.runtime import runtime
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.queueing import limits_of, room

TIME_BOX_SECONDS = 30.0
"""Half of what Dagster allows a tick, so that one slow chunk more does not end it."""
NAMED_PROBLEMS = 20


def adapter_sensor(adapter: Adapter, pipelines: Iterable[Definition] = ()) -> dg.SensorDefinition:
    """The sensor of one configured source. ``pipelines``: those that may be short of room (``max_waiting``)."""
    name, queues = adapter.settings.name, adapter.settings.queues
    limits = limits_of(pipelines)

    @dg.sensor(
        name=f"{name}_adapter",
        description=f"{adapter.title}: {adapter.description} New conversations become vCons and enter the queues "
        f"{', '.join(adapter.settings.queues) or '(none)'}.",
        minimum_interval_seconds=1,  # the sensor loop is 5 s whatever is set; 5 sometimes becomes 10
        default_status=dg.DefaultSensorStatus.RUNNING,
        required_resource_keys={"redis", "object_store"},
    )
    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        run = runtime(context.resources.redis, context.resources.object_store, {})
        intake = Intake(run.store, adapter)
        until = time.monotonic() + TIME_BOX_SECONDS
        found = adapter.discover(intake.seen(), datetime.now(UTC))
        try:
            taken = intake.take(
                found,
                remember=True,
                time_is_up=lambda: time.monotonic() > until,
                room=lambda: room(run.queues, queues, limits),
            )
        except AdapterError as error:  # the source itself cannot be used, such as a folder that is not there
            return dg.SkipReason(str(error))
        if taken.full and not taken.looked_at:
            return dg.SkipReason(held_up(taken.full, limits))
        if not taken.created and not taken.revised and not taken.problems:
            return dg.SkipReason("nothing new")
        return dg.SensorResult(
            asset_events=[
                dg.AssetMaterialization(dg.AssetKey(naming.source_key(name)), metadata=source_metadata(taken))
            ]
        )

    return look


def held_up(full: Sequence[str], limits: Mapping[str, int]) -> str:
    """That a source waits because queues have no room."""
    named = " and ".join(f"{queue} ({limits[queue]} jobs wait)" for queue in full)
    return f"no room in the queue {named}; the source is looked at again, nothing is lost"


def source_metadata(taken: Taken) -> dict[str, dg.MetadataValue]:
    """What a look at a source did, in numbers; unreadable records with their reasons."""
    metadata: dict[str, dg.MetadataValue] = {
        "created": dg.MetadataValue.int(taken.created),
        "known": dg.MetadataValue.int(taken.known),
        "revised": dg.MetadataValue.int(taken.revised),
        "unreadable": dg.MetadataValue.int(len(taken.problems)),
    }
    if taken.full:
        metadata["no_room_in"] = dg.MetadataValue.text(", ".join(taken.full))
    if taken.problems:
        lines = [f"- {problem.code}: {problem.message}" for problem in taken.problems[:NAMED_PROBLEMS]]
        metadata["problems"] = dg.MetadataValue.md("\n".join(lines))
    return metadata
