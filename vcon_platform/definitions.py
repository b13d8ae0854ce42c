"""The composition root: the one file that knows every room. Production, tests and CLI share ``build_definitions``."""

import dagster as dg

from assets.broken import broken_assets
from assets.days import daily
from assets.projections import projection_asset
from assets.reprocess import reprocess_asset
from assets.sources import history_source, live_source
from resources.object_store import ObjectStoreResource
from resources.postgres import PostgresResource
from resources.redis import RedisResource
from sensors.adapters import adapter_sensor
from sensors.dispatcher import dispatcher_sensor
from sensors.housekeeping import housekeeping
from sensors.landing import landing_sensor
from sensors.prune import prune_schedule
from vcon_platform.orchestration import naming
from vcon_platform.orchestration.batch_io import batch_io
from vcon_platform.orchestration.deployment import read_deployment, read_texts
from vcon_platform.orchestration.effects_job import deliver_effects
from vcon_platform.orchestration.pinning import Texts, pinned
from vcon_platform.orchestration.pipeline_job import build_pipeline
from vcon_platform.orchestration.prune_job import prune
from vcon_platform.orchestration.stream_job import build_stream
from vcon_platform.pipelines.feeding import feeds_of
from vcon_platform.settings import Settings, load_settings


def build_definitions(*, settings: Settings | None = None, texts: Texts | None = None) -> dg.Definitions:
    """Everything this deployment has. ``texts`` stands in for the definition files (tests, a pinned run)."""
    chosen = settings or load_settings()
    deployment = read_deployment(texts if texts is not None else read_texts(chosen), chosen.data_dir)
    days = daily(chosen.partitions_start)
    adapters, projections = list(deployment.adapters.values()), list(deployment.projections.values())
    pipelines = list(deployment.pipelines.pipelines.values())
    parts = [build_pipeline(each, deployment.sources_of(each.name), deployment.projections) for each in pipelines]
    feeds = feeds_of(pipelines)
    streams = [build_stream(each, deployment.projections, feeds) for each in pipelines if each.options.lane == "stream"]
    lanes = [*(part.job for part in parts), *streams]
    known = deployment.pipelines.pipelines
    tables = [projection_asset(each, ref.kind, days, known) for each in projections for ref in each.destinations]
    # Dagster refuses a job over nothing.
    landing = (
        dg.define_asset_job("land_projections", selection=list(tables), tags={naming.LANDING_TAG: "true"})
        if tables
        else None
    )
    return dg.Definitions(
        assets=[
            *(live_source(adapter) for adapter in adapters),
            *(history_source(adapter, days) for adapter in adapters),
            *(part.asset for part in parts),
            *(reprocess_asset(each, days) for each in pipelines),
            *tables,
            *broken_assets(deployment.broken),
        ],
        jobs=[*lanes, *([landing] if landing else []), deliver_effects, prune],
        schedules=[prune_schedule],
        sensors=[
            *(adapter_sensor(adapter, pipelines) for adapter in adapters),
            *([dispatcher_sensor(pipelines, lanes)] if parts else []),
            *([landing_sensor(projections, landing)] if landing else []),
            housekeeping,
        ],
        resources={
            "redis": RedisResource(),
            "postgres": PostgresResource(),
            "object_store": ObjectStoreResource(),
            "batch_io": batch_io,
        },
        # One process per run: a new interpreter per op would cost seconds each, and the batch would leave memory.
        executor=dg.in_process_executor,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """What Dagster loads. A run gets the texts its code server had read (``orchestration/pinning.py``)."""
    settings = load_settings()
    return build_definitions(settings=settings, texts=pinned(lambda: read_texts(settings)))
