"""Sources: what each adapter captures as it happens (an external asset, materialized by its sensor), and what its
archive holds (partitioned by day; choose days in the UI to fetch them)."""

from datetime import date

import dagster as dg

from vcon_platform.adapters.base import Adapter
from vcon_platform.adapters.intake import Intake
from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.orchestration import naming
from vcon_platform.orchestration.runtime import runtime

GROUP = "sources"


def live_source(adapter: Adapter) -> dg.AssetSpec:
    """What an adapter's sensor captures."""
    return dg.AssetSpec(
        naming.source_key(adapter.settings.name),
        description=f"{adapter.title}: conversations captured as they end.",
        group_name=GROUP,
        kinds={adapter.name},
        metadata={"queues": ", ".join(adapter.settings.queues)},
    )


def history_source(adapter: Adapter, days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """An adapter's archive, by day. Known conversations are skipped, new ones enter the adapter's queues."""
    name = adapter.settings.name

    @dg.asset(
        key=dg.AssetKey(naming.history_key(name)),
        description=f"{adapter.title}: the archive, by day. Materializing days creates the vCons that are not known "
        "yet and queues them; their rows follow by themselves.",
        group_name=GROUP,
        kinds={adapter.name},
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={"redis", "object_store", "postgres"},
    )
    def history(context: dg.AssetExecutionContext) -> None:
        run = runtime(context.resources.redis, context.resources.object_store, {})
        intake = Intake(run.store, adapter)
        for day in context.partition_keys:
            taken = intake.take(adapter.history(date.fromisoformat(day)), remember=False)
            metadata: dict[str, dg.MetadataValue] = {
                "created": dg.MetadataValue.int(taken.created),
                "known": dg.MetadataValue.int(taken.known),
                "unreadable": dg.MetadataValue.int(len(taken.problems)),
            }
            if taken.problems:
                lines = [f"- {problem.code}: {problem.message}" for problem in taken.problems[:20]]
                metadata["problems"] = dg.MetadataValue.md("\n".join(lines))
            context.add_asset_metadata(metadata, partition_key=day)
        ship_all(run.client, Ledger(context.resources.postgres.engine()))

    return history
