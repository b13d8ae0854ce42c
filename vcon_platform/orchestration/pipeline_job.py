"""One Dagster job per pipeline definition: lease, one op per processor, settle; and the asset that stands for it.

The graph is an asset as well (``AssetsDefinition.from_graph``), because bare op jobs are invisible in the asset graph:
no lineage, nothing for a projection to depend on. Policy (options, retries, tags) therefore sits on the ops, never on
the Dagster job's config: a run started from the asset page knows nothing of the latter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from vcon_platform.orchestration import naming
from vcon_platform.orchestration.batch_io import Carried
from vcon_platform.orchestration.holding import Held, held_by, hold, in_hand, take_up
from vcon_platform.orchestration.op_retries import retried
from vcon_platform.orchestration.options import config_model, options_with
from vcon_platform.orchestration.report import red, settled_metadata, step_metadata
from vcon_platform.orchestration.runtime import Runtime, runtime
from vcon_platform.pipelines.definition import Definition, Step
from vcon_platform.projections.model import Projection

RESOURCES = {"redis", "object_store"}
IO_MANAGER = "batch_io"


@dataclass(frozen=True, slots=True)
class PipelineParts:
    """What one definition becomes."""

    asset: dg.AssetsDefinition
    job: Any


def build_pipeline(
    definition: Definition, sources: Sequence[Sequence[str]], projections: Mapping[str, Projection]
) -> PipelineParts:
    """The asset and the Dagster job of a pipeline. ``sources``: the asset keys that feed its queue."""
    graph = _graph(definition, sources, projections)
    key = dg.AssetKey(naming.pipeline_key(definition.name))
    asset = dg.AssetsDefinition.from_graph(
        graph,
        keys_by_input_name={naming.input_name(source): dg.AssetKey(source) for source in sources},
        keys_by_output_name={"result": key},
        group_name="pipelines",
        descriptions_by_output_name={"result": _description(definition)},
        metadata_by_output_name={
            "result": {
                "pipeline": definition.name,
                "version": definition.version,
                "processors": " → ".join(step.name for step in definition.steps) or "none",
            }
        },
        code_versions_by_output_name={"result": definition.version},
    )
    tags = {naming.PIPELINE_TAG: definition.name, naming.VERSION_TAG: definition.version}
    if definition.options.run_timeout:
        tags["dagster/max_runtime"] = str(round(definition.options.run_timeout))
    job = dg.define_asset_job(
        definition.name,
        selection=dg.AssetSelection.assets(key),
        description=_description(definition),
        tags=tags,
    )
    return PipelineParts(asset, job)


def _description(definition: Definition) -> str:
    label = definition.options.label or f"Pipeline {definition.name}"
    steps = " → ".join(step.name for step in definition.steps)
    return "\n\n".join(part for part in (f"{label}: {steps}", definition.options.notes) if part)


def _graph(
    definition: Definition, sources: Sequence[Sequence[str]], projections: Mapping[str, Projection]
) -> dg.GraphDefinition:
    inputs = [naming.input_name(source) for source in sources]
    ops = [
        _lease_op(definition, projections, inputs),
        *(_step_op(definition, projections, position, step) for position, step in enumerate(definition.steps)),
        _settle_op(definition, projections),
    ]
    names = ["lease", *(step.name for step in definition.steps), "settle"]
    dependencies: dict[dg.NodeInvocation, dict[str, Any]] = {}
    for index, (op, name) in enumerate(zip(ops, names, strict=True)):
        upstream = {"batch": dg.DependencyDefinition(names[index - 1], "batch")} if index else {}
        dependencies[dg.NodeInvocation(op.name, alias=name)] = upstream
    return dg.GraphDefinition(
        name=naming.graph_name(definition.name),
        description=_description(definition),
        node_defs=ops,
        dependencies=dependencies,
        input_mappings=[
            dg.InputMapping(graph_input_name=name, mapped_node_name="lease", mapped_node_input_name=name)
            for name in inputs
        ],
        output_mappings=[
            dg.OutputMapping(graph_output_name="result", mapped_node_name="settle", mapped_node_output_name="result")
        ],
    )


def _runtime(context: dg.OpExecutionContext, projections: Mapping[str, Projection]) -> Runtime:
    return runtime(context.resources.redis, context.resources.object_store, projections)


def _held(context: dg.OpExecutionContext, run: Runtime, definition: Definition, batch: Carried) -> Held:
    """What this run holds; after a crash, what the run before it wrote down."""
    held = held_by(context.run_id)
    if held is None:
        held = take_up(run, definition, context.run_id, run.checkpoints.load(batch.run_id, batch.step), batch.run_id)
    return held


def _ancestors(context: dg.OpExecutionContext) -> set[str]:
    tags = context.run.tags
    return {tags[tag] for tag in ("dagster/parent_run_id", "dagster/root_run_id") if tag in tags}


def _redriven(context: dg.OpExecutionContext, run: Runtime, definition: Definition, empty: Held) -> Held:
    """The jobs that failed in the runs before this one, leased again and walked through the whole pipeline."""
    empty.release()
    batch = run.engine.redrive(definition, failed_in=_ancestors(context), batch_id=context.run_id, owner=context.run_id)
    held = hold(run, batch)
    with in_hand(run, held) as leased:
        for position, step in enumerate(definition.steps):
            run.engine.step(leased, position, step)
    return held


def _lease_op(definition: Definition, projections: Mapping[str, Projection], inputs: Sequence[str]) -> dg.OpDefinition:
    class LeaseConfig(dg.Config):
        limit: int = definition.options.batch_size

    @dg.op(
        name=naming.op_name(definition.name, "lease"),
        description="Takes what waits in the pipeline's queue, as one batch, and reads its vCons. Re-executing a run "
        "leases the jobs that failed in it, and those only.",
        ins={name: dg.In(dg.Nothing) for name in inputs},
        out={"batch": dg.Out(Any, io_manager_key=IO_MANAGER)},
        required_resource_keys=RESOURCES,
    )
    def lease(context: dg.OpExecutionContext, config: LeaseConfig) -> Any:
        run = _runtime(context, projections)
        ancestors, run_id = _ancestors(context), context.run_id
        with retried(context):
            if ancestors:
                batch = run.engine.redrive(definition, failed_in=ancestors, batch_id=run_id, owner=run_id)
            else:
                batch = run.engine.open(definition, batch_id=run_id, owner=run_id, limit=config.limit)
            hold(run, batch)
        yield dg.Output(None, "batch", metadata={"jobs": len(batch.items), "redriven": bool(ancestors)})

    return lease


def _step_op(
    definition: Definition, projections: Mapping[str, Projection], position: int, step: Step
) -> dg.OpDefinition:
    config_class = config_model(f"{definition.name}_{step.name}_options", step.options)

    @dg.op(
        name=naming.op_name(definition.name, step.name),
        description=step.comment or step.processor.description,
        ins={"batch": dg.In(Any, input_manager_key=IO_MANAGER)},
        out={"batch": dg.Out(Any, io_manager_key=IO_MANAGER)},
        required_resource_keys=RESOURCES,
        code_version=step.processor.version,
        tags={"dagster/kind": "processor"},
    )
    def walk(context: dg.OpExecutionContext, config: config_class, batch: Any) -> Any:  # type: ignore[valid-type]
        run, options = _runtime(context, projections), options_with(step.options, config)
        with retried(context):
            held = _held(context, run, definition, batch)
            with in_hand(run, held) as leased:
                report = run.engine.step(leased, position, step, options)
        yield dg.Output(None, "batch", metadata=step_metadata(report))

    return walk


def _settle_op(definition: Definition, projections: Mapping[str, Projection]) -> dg.OpDefinition:
    @dg.op(
        name=naming.op_name(definition.name, "settle"),
        description="Commits every conversation's outcome with its rows, ledger events and queues, and ends the "
        "lease. Turns the run red when a job failed for good.",
        ins={"batch": dg.In(Any, input_manager_key=IO_MANAGER)},
        out={"result": dg.Out(dg.Nothing)},
        required_resource_keys=RESOURCES,
    )
    def settle(context: dg.OpExecutionContext, batch: Any) -> Any:
        run = _runtime(context, projections)
        with retried(context):
            held = _held(context, run, definition, batch)
            if not held.batch.items and _ancestors(context):
                # "From failure" on a run that settle turned red repeats settle alone: redrive what failed, here.
                held = _redriven(context, run, definition, held)
            with in_hand(run, held) as leased:
                settled = run.engine.settle(definition, leased)
            held.release()
        yield dg.Output(None, "result", metadata=settled_metadata(definition, held.batch.id, settled))
        if settled.failures:
            # After the output, so that the materialization with its counts is kept although the run is red.
            raise red(definition, settled)
        run.checkpoints.forget(context.run_id)

    return settle
