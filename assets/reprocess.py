"""Reprocessing: one asset per pipeline, by day. Materializing days queues their conversations again, with low priority:
those whose result is missing, or was made by another version of the pipeline."""

from datetime import date
from typing import Any

import dagster as dg
from pydantic import Field

from vcon_platform.ledger.store import Ledger
from vcon_platform.orchestration import naming
from vcon_platform.orchestration.runtime import runtime
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.queueing import QueueFull
from vcon_platform.pipelines.reprocess import Reprocessing, Selection, Survey

GROUP = "reprocess"


class ReprocessConfig(dg.Config):
    """What the Launchpad offers, and 'vcon-platform reprocess'."""

    dry_run: bool = Field(default=False, description="Only say what it would come to; nothing is queued.")
    force: bool = Field(default=False, description="Also those that have a result of the pipeline's present version.")
    missing: bool = Field(default=True, description="Also those that never came to an end in this pipeline.")
    adapter: str = Field(default="", description="Only conversations of this adapter.")
    tag: str = Field(default="", description="Only conversations with this tag, name:value.")
    text: str = Field(default="", description="Only conversations in which these words occur.")


def reprocess_asset(definition: Definition, days: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    """The asset of a pipeline. Not a job by day: Dagster would start one run for each of a year's days."""
    name = definition.name
    key = dg.AssetKey(naming.reprocess_key(name))

    @dg.asset(
        key=key,
        description=f"Reprocess pipeline {name}, by day. Materializing days queues that day's conversations with low "
        "priority where their result is missing or of another version (force: all of them). dry_run: only the "
        "estimate. Progress is told here every minute. Cancelling the run stops queueing; what waits is withdrawn "
        f"with 'vcon-platform queue purge {name} --origin reprocess:ID'. See docs/reprocess.md.",
        group_name=GROUP,
        kinds={"reprocess"},
        code_version=definition.version,
        partitions_def=days,
        backfill_policy=dg.BackfillPolicy.single_run(),
        required_resource_keys={"redis", "object_store", "postgres"},
        output_required=False,  # a day is told as it is done, so that a run that is cancelled has told what it did
        metadata={"pipeline": name, "version": definition.version},
    )
    def reprocess(context: dg.AssetExecutionContext, config: ReprocessConfig) -> Any:
        run = runtime(context.resources.redis, context.resources.object_store, {})
        selection = Selection(**{field: value for field, value in config.model_dump().items() if field != "dry_run"})
        ledger = Ledger(context.resources.postgres.engine())
        identity = context.run.tags.get("dagster/backfill", context.run_id)
        work = Reprocessing(definition, run.store, run.queues, ledger, id=identity)
        wanted = sorted(date.fromisoformat(partition) for partition in context.partition_keys)
        for day in wanted:
            survey = work.survey(day, selection)
            entered = 0
            if not config.dry_run:
                try:
                    entered = work.enter(survey.chosen, wanted[0], wanted[-1])
                except QueueFull as error:
                    raise dg.Failure(f"{day}: {error}", allow_retries=False) from None
            metadata = _metadata(definition, work.origin, survey, entered, dry_run=config.dry_run)
            context.log_event(dg.AssetMaterialization(key, partition=day.isoformat(), metadata=metadata))
        return
        yield  # a generator, so that no output is needed

    return reprocess


def _metadata(definition: Definition, origin: str, survey: Survey, entered: int, *, dry_run: bool) -> dict[str, Any]:
    metadata: dict[str, Any] = {"dry_run": dry_run, "pipeline_version": definition.version, **survey.to_json()}
    if not dry_run:
        metadata["queued"] = entered
        metadata["origin"] = origin
        metadata["withdraw_what_waits"] = f"vcon-platform queue purge {definition.name} --origin {origin}"
    return metadata
