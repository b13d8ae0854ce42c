"""Housekeeping: gives back the jobs of runs that died, ships the ledger, sweeps what is old."""

import dagster as dg

from vcon_platform.errors import PlatformError
from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.orchestration.runtime import Runtime, runtime
from vcon_platform.store.media_sweep import sweep as sweep_media

SWEEP_EVERY_TICKS = 720
"""About once an hour at one tick in 5 s."""


@dg.sensor(
    name="housekeeping",
    description="Hands back the jobs of batches whose run stopped beating, ships ledger events to Postgres, "
    "deletes old checkpoints and media that no vCon names any more, and brings the search index up to date.",
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    required_resource_keys={"redis", "object_store", "postgres"},
)
def housekeeping(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """One tick. It never asks for a run; what it did stands in the tick's reason."""
    run = runtime(context.resources.redis, context.resources.object_store, {})
    handed_back = sum(run.queues.expire().values())
    shipped = ship_all(run.client, Ledger(context.resources.postgres.engine()))
    cursor = context.cursor or ""
    tick = int(cursor) if cursor.isdecimal() else 0  # what is no number starts the count again
    told = f"{handed_back} jobs handed back, {shipped} ledger events shipped"
    if tick % SWEEP_EVERY_TICKS == 0:
        told += f", {run.checkpoints.sweep()} checkpoints swept, {_sweep_media(context, run)}"
        run.store.index.ensure(wait=0)  # a new version of the index is built in the background
    context.update_cursor(str(tick + 1))
    return dg.SkipReason(told)


def _sweep_media(context: dg.SensorEvaluationContext, run: Runtime) -> str:
    """A sweep that refuses keeps the rest of the tick from nothing: jobs are handed back all the same."""
    try:
        swept = sweep_media(run.media.objects, run.client)
    except PlatformError as error:
        context.log.warning("media not swept: %s", error)
        return f"media not swept: {error}"
    return f"{swept.deleted} media deleted ({swept.bytes} bytes), {swept.set_aside} set aside"
