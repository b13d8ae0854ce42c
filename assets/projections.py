"""Projections: one asset per table and destination, by day. Materializing a day makes the destination hold exactly
the rows it should; the same code serves the landing sensor and a year-long backfill.

Days are told as materialized group by group, as they are done: a backfill that is killed shows what it did. One
destination that fails fails its own asset only; the run's other assets land.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import dagster as dg
from pydantic import Field
from redis.exceptions import RedisError

from assets.projection_checks import check_results, check_specs
from vcon_platform.errors import PlatformError
from vcon_platform.ledger.store import Ledger
from vcon_platform.orchestration import naming
from vcon_platform.orchestration.lineage import lineage_text, table_lineage
from vcon_platform.orchestration.op_retries import retried
from vcon_platform.orchestration.runtime import runtime
from vcon_platform.pipelines.definition import Definition
from vcon_platform.projections.destination import Connections, Destination, destination_kind
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.projections.landing import LandedGroup, land, landing_mark
from vcon_platform.projections.model import Projection
from vcon_platform.projections.renewing import Renewal
from vcon_platform.store.listing import Listing
from vcon_platform.store.rows import RowIndex

NAMED_REJECTS = 20
FRESH = dg.FreshnessPolicy.time_window(warn_window=timedelta(hours=26), fail_window=timedelta(hours=80))
"""A table that did not change in a day is worth a look, one that did not over a long weekend is broken."""


class LandConfig(dg.Config):
    """What the Launchpad offers."""

    complete: bool = Field(
        default=True,
        description="First make the rows that are missing, and those of another version of the declaration. The "
        "sensor's runs never do.",
    )


def projection_asset(
    projection: Projection, kind: str, days: dg.PartitionsDefinition, pipelines: Mapping[str, Definition]
) -> dg.AssetsDefinition:
    """The asset of a projection in its destination of this kind. ``pipelines``: what is known of them, by name."""
    destination_class = destination_kind(kind)
    key = dg.AssetKey(naming.projection_key(projection.name, kind))

    @dg.asset(
        key=key,
        description=projection.description or f"Projection {projection.name} in {destination_class.title or kind}.",
        deps=[dg.AssetKey(naming.pipeline_key(pipeline)) for pipeline in projection.pipelines],
        group_name="projections",
        kinds={kind},
        owners=[projection.owner] if projection.owner.startswith("team:") or "@" in projection.owner else None,
        tags={"grain": projection.grain_name, **({"pii": ""} if any(each.pii for each in projection.columns) else {})},
        code_version=projection.version,
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        freshness_policy=FRESH,
        check_specs=check_specs(projection, key, destination_class),
        output_required=False,  # days are told as they are done
        required_resource_keys={"redis", "object_store", "postgres"},
        metadata=_static_metadata(projection, destination_class, pipelines),
    )
    def rows(context: dg.AssetExecutionContext, config: LandConfig) -> Any:
        groups = []
        with _failing_alone(context, projection, destination_class):
            for group in _land(context, projection, destination_class, config):
                groups.append(group)
                _tell(context, key, projection, group)
        yield from check_results(projection, key, destination_class, groups)

    return rows


def _land(
    context: dg.AssetExecutionContext, projection: Projection, kind: type[Destination], config: LandConfig
) -> Any:
    resources = context.resources
    run = runtime(resources.redis, resources.object_store, {})
    ledger = Ledger(resources.postgres.engine())
    connections = Connections(
        postgres=resources.postgres.engine,
        redis=resources.redis.client,
        objects=resources.object_store.objects,
        data_dir=run.settings.data_dir,
    )
    renewal = Renewal(
        projection,
        run.documents,
        Listing(run.client),
        lambda uuids: ledger.outcomes_of(projection.pipelines, uuids),
    )
    return land(
        projection,
        kind.connect(projection, connections),
        list(context.partition_keys),
        index=RowIndex(run.client),
        documents=run.documents,
        record=ledger.append,
        run_id=context.run_id,
        renewal=renewal,
        complete=config.complete and not _is_sensors(context),
    )


def _is_sensors(context: dg.AssetExecutionContext) -> bool:
    return "dagster/sensor_name" in context.run.tags


@contextmanager
def _failing_alone(
    context: dg.AssetExecutionContext, projection: Projection, destination: type[Destination]
) -> Iterator[None]:
    """Turns what goes wrong with a destination into this asset's failure, and has the sensor leave the destination
    alone for a while. What somebody asked for is tried again at once; the sensor's runs are not: it comes back."""
    try:
        yield
    except (dg.DagsterError, dg.Failure):
        raise
    except Exception as error:
        told = str(error) if isinstance(error, PlatformError) else type(error).__name__
        metadata: dict[str, Any] = {}
        with suppress(RedisError):  # then nothing lands anywhere
            mark = landing_mark(destination, projection)
            trouble = RowIndex(context.resources.redis.client()).failed(projection.name, mark, told)
            metadata = {
                "times_in_a_row": trouble.times,
                "sensor_tries_again": dg.MetadataValue.timestamp(trouble.until),
            }
        refused = isinstance(error, DestinationError) and not isinstance(error, DestinationUnavailable)
        if refused or (metadata and _is_sensors(context)):
            raise dg.Failure(told, metadata=metadata, allow_retries=False) from error
        with retried(context.op_execution_context):
            raise


def _static_metadata(
    projection: Projection, destination: type[Destination], pipelines: Mapping[str, Definition]
) -> dict[str, Any]:
    columns = [
        dg.TableColumn(
            column.name,
            column.type,
            description=column.description or None,
            constraints=dg.TableColumnConstraints(nullable=column.name not in projection.never_empty),
            tags={"pii": "true"} if column.pii else {},
        )
        for column in projection.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/column_lineage": table_lineage(projection),
        "lineage": dg.MetadataValue.md(lineage_text(projection, pipelines)),
        "dagster/table_name": destination.target(projection),
        "dagster/storage_kind": destination.kind,
        "key": ", ".join(projection.key),
        "rows": projection.rows,
    }


def _tell(context: dg.AssetExecutionContext, key: dg.AssetKey, projection: Projection, group: LandedGroup) -> None:
    """One materialization per day; what cannot be told by day stands at the group's last."""
    for day in group.days:
        metadata: dict[str, Any] = {"dagster/partition_row_count": group.landed.rows.get(day, 0)}
        if day == group.days[-1]:
            # Readers of Dagster's metadata take column lineage from what a materialization tells.
            metadata |= {**_group_metadata(group), "dagster/column_lineage": table_lineage(projection)}
        context.log_event(
            dg.AssetMaterialization(
                key, partition=day, metadata=metadata, tags={"dagster/code_version": projection.version}
            )
        )


def _group_metadata(group: LandedGroup) -> dict[str, Any]:
    landed = group.landed
    metadata: dict[str, Any] = {
        "written": len(landed.written),
        "deleted": len(landed.deleted),
        "unchanged": landed.unchanged,
        "rejected": len(landed.rejected),
        "missing": len(landed.missing),
        "rows_on_these_days": sum(landed.rows.values()),
        "seconds": round(group.seconds, 3),
        **landed.told,
    }
    if len(group.days) > 1:
        metadata["days"] = f"{group.days[0]} to {group.days[-1]}"
    if group.renewed.made or group.renewed.failed:
        metadata |= {"made_anew": group.renewed.made, "not_made_anew": group.renewed.failed}
    if landed.rejected:
        metadata["rejected_rows"] = dg.MetadataValue.md(_rejects(landed.rejected))
    return metadata


def _rejects(rejected: Sequence[Any]) -> str:
    lines = [f"- {each.uuid}, column {each.column or '?'}: {each.reason}" for each in rejected[:NAMED_REJECTS]]
    if len(rejected) > NAMED_REJECTS:
        lines.append(f"- and {len(rejected) - NAMED_REJECTS} more")
    return "\n".join(lines)
