"""Housekeeping: what has to be done every few seconds, minutes or hours, and belongs to no run.

Each duty stands by itself: one that cannot be done is told in the tick and logged, and the others are done. None of
them remembers anything between two ticks, so one that is missed or comes twice does no harm.
"""

import time
from collections.abc import Callable, Iterator

import dagster as dg

from vcon_platform.errors import PlatformError
from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.orchestration import naming
from vcon_platform.orchestration.effects_job import EFFECTS_TAG, PATIENCE_SECONDS, deliver_effects, waited
from vcon_platform.orchestration.ended_runs import fail_lost, hand_back_ended
from vcon_platform.orchestration.pools import set_pool_limits
from vcon_platform.orchestration.runtime import Runtime, runtime
from vcon_platform.orchestration.under_way import under_way
from vcon_platform.pipelines.deliveries import effects_outbox
from vcon_platform.pipelines.reprocess_progress import progress, remember
from vcon_platform.store.media_sweep import sweep as sweep_media
from vcon_platform.store.removing import Remover

Duty = Callable[[dg.SensorEvaluationContext, Runtime], str]

OFTEN = 6
"""Ticks of 5 s: about every half minute."""
SHIP_SECONDS = 15.0
"""What is left after an outage goes with the next ticks: there are other duties, and Dagster ends a tick after 60 s."""
MINUTELY = 12
HOURLY = 720


def _hand_back(context: dg.SensorEvaluationContext, run: Runtime) -> str:
    ended = hand_back_ended(context.instance, run.client, run.queues)
    return f"{ended + sum(run.queues.expire().values())} jobs handed back"


def _ship(context: dg.SensorEvaluationContext, run: Runtime) -> str:
    shipped = ship_all(run.client, Ledger(context.resources.postgres.engine()), within=SHIP_SECONDS)
    return f"{shipped} ledger events shipped"


def _end_lost_runs(context: dg.SensorEvaluationContext, _: Runtime) -> str:
    lost = fail_lost(context.instance)
    return f"runs without a process ended: {', '.join(lost)}" if lost else ""


def _limit_pools(context: dg.SensorEvaluationContext, run: Runtime) -> str:
    changed = set_pool_limits(context.instance, run.settings.pools)
    return f"pool limits set: {', '.join(changed)}" if changed else ""


def _tell_reprocessings(context: dg.SensorEvaluationContext, run: Runtime) -> str:
    """One event a minute and reprocessing, as long as there is news."""
    told = []
    for each in progress(run.client, run.queues):
        if list(each.counts().values()) != each.told or each.over:
            key = dg.AssetKey(naming.reprocess_key(each.pipeline))
            state = "over" if each.over else "under way"
            observed = dg.AssetObservation(
                key,
                description=f"{each.origin}, days {each.first} to {each.last}: {state}",
                metadata={"origin": each.origin, "days": f"{each.first} to {each.last}", **each.counts()},
            )
            context.instance.report_runless_asset_event(observed)
            remember(run.client, each)
            told.append(f"{each.origin} {state}: {each.ended} of {each.queued}")
    return ", ".join(told)


def _sweep_checkpoints(_: dg.SensorEvaluationContext, run: Runtime) -> str:
    return f"{run.checkpoints.sweep()} checkpoints swept"


def _sweep_media(_: dg.SensorEvaluationContext, run: Runtime) -> str:
    swept = sweep_media(run.media.objects, run.client)
    return f"{swept.deleted} media deleted ({swept.bytes} bytes), {swept.set_aside} set aside"


def _finish_removals(_: dg.SensorEvaluationContext, run: Runtime) -> str:
    finished = Remover(run.client, run.store.documents).finish()
    return f"{finished} removals that were cut off finished" if finished else ""


def _ensure_index(_: dg.SensorEvaluationContext, run: Runtime) -> str:
    run.store.index.ensure(wait=0)  # a new version of the index is built in the background
    return ""


DUTIES: tuple[tuple[int, str, Duty], ...] = (
    (1, "jobs of ended runs not handed back", _hand_back),
    (1, "ledger not shipped", _ship),
    (OFTEN, "lost runs not ended", _end_lost_runs),
    (OFTEN, "pool limits not set", _limit_pools),
    (MINUTELY, "progress of reprocessing not told", _tell_reprocessings),
    (HOURLY, "checkpoints not swept", _sweep_checkpoints),
    (HOURLY, "removals not finished", _finish_removals),
    (HOURLY, "media not swept", _sweep_media),
    (HOURLY, "search index not looked at", _ensure_index),
)
"""Every how many ticks, what is told when it cannot be done, and the duty."""


@dg.sensor(
    name="housekeeping",
    description="Hands back the jobs of runs that ended or stopped beating, ends runs without a process, ships ledger "
    "events to Postgres, has effects sent that were left behind, sets pool limits, tells how far reprocessings have "
    "come, deletes old checkpoints and media that no vCon names any more, and brings the search index up to date.",
    job=deliver_effects,
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    required_resource_keys={"redis", "object_store", "postgres"},
)
def housekeeping(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """One tick. What it did stands in the tick's reason."""
    run = runtime(context.resources.redis, context.resources.object_store, {})
    cursor = context.cursor or ""
    tick = int(cursor) if cursor.isdecimal() else 0  # what is no number starts the count again
    told = ", ".join(_told(context, run, tick))
    wanted = [dg.RunRequest(tags={EFFECTS_TAG: "true"})] if tick % OFTEN == 0 and _effects_wait(context, run) else []
    if wanted:
        return dg.SensorResult(run_requests=wanted, cursor=str(tick + 1))
    return dg.SensorResult(skip_reason=told, cursor=str(tick + 1))


def _told(context: dg.SensorEvaluationContext, run: Runtime, tick: int) -> Iterator[str]:
    for every, failed, duty in DUTIES:
        if tick % every == 0 and (said := _done(context, run, failed, duty)):
            yield said


def _done(context: dg.SensorEvaluationContext, run: Runtime, failed: str, duty: Duty) -> str:
    try:
        return duty(context, run)
    except PlatformError as error:
        context.log.warning("%s: %s", failed, error)
        return f"{failed}: {error}"


def _effects_wait(context: dg.SensorEvaluationContext, run: Runtime) -> bool:
    if waited(effects_outbox(run.client), time.time()) < PATIENCE_SECONDS:
        return False
    return not under_way(context.instance, EFFECTS_TAG, ["true"])
