"""The Dagster job of a pipeline's stream lane: one op that works for minutes and reports now and then.

Not the pipeline's asset: that is the batch job's graph, which also stays for runs by hand, re-execution of a batch and
reprocessing. The stream materializes the same asset, with the figures of a stretch of time.
"""

import sys
from collections.abc import Mapping, Sequence

import dagster as dg

from vcon_platform.orchestration import naming
from vcon_platform.orchestration.report import red, settled_metadata
from vcon_platform.orchestration.runtime import runtime
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.stream import SWITCH_SECONDS, Stream, StreamReport
from vcon_platform.pipelines.succession import OVERTIME, Streams
from vcon_platform.projections.model import Projection

GRACE_SECONDS = 600
"""What Dagster gives a run on top of its time, to finish what it has in hand; then it is terminated."""


def build_stream(
    definition: Definition, projections: Mapping[str, Projection], feeds: Mapping[str, Sequence[Definition]]
) -> dg.JobDefinition:
    """The job. ``feeds``: all feeds of this installation with the pipelines that list them."""
    name = naming.stream_name(definition.name)
    own_feeds = {feed: targets for feed, targets in feeds.items() if feed in definition.options.feeds}

    @dg.op(
        name=f"{name}_op",
        description="Takes jobs within milliseconds of their arrival, walks each through the processors "
        f"({' → '.join(step.name for step in definition.steps) or 'none'}), and reports every half minute. The "
        "dispatcher starts a fresh run in time; this one ends when that works. Re-executing a red run takes up the "
        "jobs that failed in it first.",
        out={"ended": dg.Out(dg.Nothing)},
        required_resource_keys={"redis", "object_store"},
    )
    def stream(context: dg.OpExecutionContext) -> None:
        run = runtime(context.resources.redis, context.resources.object_store, projections)
        sys.setswitchinterval(SWITCH_SECONDS)
        work = Stream(
            run.engine,
            definition,
            Streams(run.client),
            run_id=context.run_id,
            lease_seconds=run.settings.lease_seconds,
            feeds=own_feeds,
            redrive=_ancestors(context),
        )
        total = work.work(lambda report: context.log_event(_materialization(definition, context.run_id, report)))
        context.log.info("%s conversations; ended because: %s", total.settled.counts.total(), work.why_left)
        if total.settled.counts["failed"]:
            raise red(definition, total.settled)

    options = definition.options
    return dg.GraphDefinition(
        name=name,
        description=f"Stream lane of pipeline {definition.name}: a run that stands by.",
        node_defs=[stream],
        dependencies={dg.NodeInvocation(stream.name, alias="stream"): {}},
    ).to_job(
        name=name,
        executor_def=dg.in_process_executor,
        tags={
            naming.PIPELINE_TAG: definition.name,
            naming.VERSION_TAG: definition.version,
            naming.LANE_TAG: "stream",
            "dagster/max_runtime": str(round(OVERTIME * options.stream_seconds + GRACE_SECONDS)),
            "dagster/max_retries": "0",  # the dispatcher starts the next one, whatever became of this
        },
    )


def _ancestors(context: dg.OpExecutionContext) -> set[str]:
    tags = context.run.tags
    return {tags[tag] for tag in ("dagster/parent_run_id", "dagster/root_run_id") if tag in tags}


def _materialization(definition: Definition, run_id: str, report: StreamReport) -> dg.AssetMaterialization:
    metadata = settled_metadata(definition, run_id, report.settled)
    metadata["micro_batches"] = dg.MetadataValue.int(report.batches)
    for name, share in (("p50", 0.5), ("p95", 0.95)):
        if (seconds := report.latencies.percentile(share)) is not None:
            metadata[f"seconds_from_queue_to_done_{name}"] = dg.MetadataValue.float(round(seconds, 3))
    if report.abandoned:
        metadata["micro_batches_given_up"] = dg.MetadataValue.int(report.abandoned)
    return dg.AssetMaterialization(
        asset_key=dg.AssetKey(naming.pipeline_key(definition.name)),
        description=f"Stream lane: {report.settled.counts.total()} conversations",
        metadata=metadata,
    )
