"""Projections: one asset per table and destination, by day. Materializing a day makes the destination hold exactly
the rows it should; the same code serves the landing sensor and a year-long backfill."""

from typing import Any

import dagster as dg

from vcon_platform.ledger.store import Ledger
from vcon_platform.orchestration import naming
from vcon_platform.orchestration.op_retries import retried
from vcon_platform.orchestration.runtime import runtime
from vcon_platform.projections.destination import Connections, destination_kind
from vcon_platform.projections.landing import land
from vcon_platform.projections.model import Projection
from vcon_platform.projections.reconcile import Landed
from vcon_platform.store.rows import RowIndex

NAMED_REJECTS = 20


def projection_asset(projection: Projection, kind: str, days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The asset of a projection in its destination of this kind."""
    destination_class = destination_kind(kind)
    target = destination_class.target(projection)

    @dg.asset(
        key=dg.AssetKey(naming.projection_key(projection.name, kind)),
        description=projection.description or f"Projection {projection.name} in {kind}.",
        deps=[dg.AssetKey(naming.pipeline_key(pipeline)) for pipeline in projection.pipelines],
        group_name="projections",
        kinds={kind},
        owners=[projection.owner] if projection.owner.startswith("team:") or "@" in projection.owner else None,
        code_version=projection.version,
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={"redis", "object_store", "postgres"},
        metadata=_static_metadata(projection, target),
    )
    def rows(context: dg.AssetExecutionContext) -> None:
        run = runtime(context.resources.redis, context.resources.object_store, {})
        destination = destination_class.connect(
            projection,
            Connections(
                postgres=context.resources.postgres.engine,
                redis=context.resources.redis.client,
                objects=context.resources.object_store.objects,
                data_dir=run.settings.data_dir,
            ),
        )
        wanted = list(context.partition_keys)
        with retried(context.op_execution_context):
            landed = land(
                projection,
                destination,
                wanted,
                index=RowIndex(run.client),
                documents=run.documents,
                record=Ledger(context.resources.postgres.engine()).append,
                run_id=context.run_id,
            )
        context.add_asset_metadata(_landed_metadata(landed))
        for day in wanted:
            context.add_asset_metadata(
                {"dagster/partition_row_count": dg.MetadataValue.int(landed.rows.get(day, 0))}, partition_key=day
            )

    return rows


def _static_metadata(projection: Projection, target: str) -> dict[str, Any]:
    columns = [
        dg.TableColumn(
            column.name,
            column.type,
            description=column.description or None,
            tags={"pii": "true"} if column.pii else {},
        )
        for column in projection.columns
    ]
    lineage = {
        column.name: [
            dg.TableColumnDep(asset_key=dg.AssetKey(naming.pipeline_key(pipeline)), column_name=member)
            for pipeline in projection.pipelines
            for member in column.reads
        ]
        for column in projection.columns
    }
    return {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/column_lineage": dg.TableColumnLineage(lineage),
        "dagster/table_name": target,
        "rows": projection.rows,
    }


def _landed_metadata(landed: Landed) -> dict[str, dg.MetadataValue]:
    metadata: dict[str, dg.MetadataValue] = {
        "written": dg.MetadataValue.int(len(landed.written)),
        "deleted": dg.MetadataValue.int(len(landed.deleted)),
        "unchanged": dg.MetadataValue.int(landed.unchanged),
        "rejected": dg.MetadataValue.int(len(landed.rejected)),
        "missing": dg.MetadataValue.int(len(landed.missing)),
        "rows_on_these_days": dg.MetadataValue.int(sum(landed.rows.values())),
    }
    if landed.rejected:
        lines = [
            f"- {rejected.uuid}, column {rejected.column or '?'}: {rejected.reason}"
            for rejected in landed.rejected[:NAMED_REJECTS]
        ]
        metadata["rejected_rows"] = dg.MetadataValue.md("\n".join(lines))
    return metadata
