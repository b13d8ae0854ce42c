"""The landing sensor: turns days on which rows changed into runs that land them.

Neighbouring days go into one run (a partition range); a run covers every table that is behind. While one is under way
no other is asked for: it lands what is behind by then, and the next tick sees what is not.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.storage.tags import ASSET_PARTITION_RANGE_END_TAG, ASSET_PARTITION_RANGE_START_TAG

from vcon_platform.orchestration import naming
from vcon_platform.orchestration.under_way import under_way
from vcon_platform.projections.days import day_ranges
from vcon_platform.projections.model import Projection
from vcon_platform.store.rows import RowIndex

MAX_RUNS = 4
"""Runs asked for per tick: each costs seconds to launch, and they share the database."""


def landing_sensor(projections: Sequence[Projection], job: Any) -> dg.SensorDefinition:
    """The sensor over these projections; ``job`` is the Dagster job that can land any of them."""
    tables = [(projection.name, ref.kind) for projection in projections for ref in projection.destinations]

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
        behind = {table: days for table in tables if (days := index.behind(*table))}
        if not behind:
            return dg.SkipReason("every destination holds what it should")
        if under_way(context.instance, naming.LANDING_TAG, ["true"]):
            return dg.SkipReason("a run is landing rows already")
        every_day = sorted({day for days in behind.values() for day in days})
        requests = []
        for first, last in day_ranges(every_day, MAX_RUNS):
            wanted = [
                dg.AssetKey(naming.projection_key(*table))
                for table, days in behind.items()
                if any(first <= day <= last for day in days)
            ]
            tags = {
                naming.LANDING_TAG: "true",
                ASSET_PARTITION_RANGE_START_TAG: first,
                ASSET_PARTITION_RANGE_END_TAG: last,
            }
            requests.append(dg.RunRequest(asset_selection=wanted, tags=tags))
        return dg.SensorResult(run_requests=requests)

    return land
