"""The ops of a pipeline's Dagster job: lease, one per processor, settle.

Each is the engine's method of that name between two worlds: Dagster's (config, outputs, retries, interrupts) and ours
(batch, lease, verdicts). What an op tells are counts, never a line per conversation.
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from vcon_platform.orchestration import naming
from vcon_platform.orchestration.batch_io import Carried
from vcon_platform.orchestration.effects_job import deliver_due
from vcon_platform.orchestration.holding import Held, held_by, hold, in_hand, take_up
from vcon_platform.orchestration.op_retries import retried
from vcon_platform.orchestration.options import config_model, options_with
from vcon_platform.orchestration.report import bought_metadata, red, sent_metadata, settled_metadata, step_metadata
from vcon_platform.orchestration.runtime import Runtime, runtime
from vcon_platform.pipelines.batch import Settled
from vcon_platform.pipelines.definition import Definition, Step
from vcon_platform.pipelines.rates import record_rate
from vcon_platform.processors.base import Processor
from vcon_platform.projections.model import Projection

RESOURCES = {"redis", "object_store"}
IO_MANAGER = "batch_io"
MAX_RUNTIME_TAG = "dagster/max_runtime"
SENDING_SECONDS = 20.0
"""For so long a run sends its own effects; what is left then is sent by ``deliver_effects``."""


def run_tags(definition: Definition) -> dict[str, str]:
    """What every run of a pipeline carries, however it was started."""
    tags = {
        naming.PIPELINE_TAG: definition.name,
        naming.VERSION_TAG: definition.version,
        naming.LANE_TAG: "batch",
    }
    if definition.options.run_timeout:
        tags[MAX_RUNTIME_TAG] = str(max(1, round(definition.options.run_timeout)))
    return tags


def docs_of(processor: type[Processor[Any]]) -> str:
    """Where a processor is described."""
    return f"docs/processor-reference.md#{processor.name}"


def _runtime(context: dg.OpExecutionContext, projections: Mapping[str, Projection]) -> Runtime:
    return runtime(context.resources.redis, context.resources.object_store, projections)


def _held(context: dg.OpExecutionContext, run: Runtime, definition: Definition, batch: Carried) -> Held:
    """What this run holds; after a crash, what the run before it wrote down."""
    held = held_by(context.run_id)
    if held is None:
        held = take_up(run, definition, context.run_id, run.checkpoints.load(batch.run_id, batch.step), batch.run_id)
    return held


def _ancestors(context: dg.OpExecutionContext) -> set[str]:
    """The runs that this one repeats or continues."""
    run = context.run
    named = (run.parent_run_id, run.root_run_id, *(run.tags.get(f"dagster/{tag}_run_id") for tag in ("parent", "root")))
    return {run_id for run_id in named if run_id}


def _redriven(context: dg.OpExecutionContext, run: Runtime, definition: Definition, empty: Held) -> Held:
    """The jobs that failed in the runs before this one, leased again and walked through the whole pipeline."""
    empty.release()
    batch = run.engine.redrive(definition, failed_in=_ancestors(context), batch_id=context.run_id, owner=context.run_id)
    held = hold(run, batch)
    with in_hand(run, held) as leased:
        for position, step in enumerate(definition.steps):
            run.engine.step(leased, position, step)
    return held


def _tag(context: dg.OpExecutionContext, definition: Definition) -> None:
    """Give the run what it should carry: one that was started on the asset's page knows nothing of the Dagster job's
    tags, and would neither be counted nor end at its time."""
    missing = {name: value for name, value in run_tags(definition).items() if name not in context.run.tags}
    if missing:
        context.instance.add_run_tags(context.run_id, missing)


def lease_op(definition: Definition, projections: Mapping[str, Projection], inputs: Sequence[str]) -> dg.OpDefinition:
    """Takes a batch out of the queue."""

    class LeaseConfig(dg.Config):
        limit: int = definition.options.batch_size
        urgent_only: bool = False

    @dg.op(
        name=naming.op_name(definition.name, "lease"),
        description="Takes what waits in the pipeline's queue (at most 'limit'; urgent ones first, or only those), "
        "as one batch, and reads its vCons. Re-executing a run leases the jobs that failed in it, and those only.",
        ins={name: dg.In(dg.Nothing) for name in inputs},
        out={"batch": dg.Out(Any, io_manager_key=IO_MANAGER)},
        required_resource_keys=RESOURCES,
    )
    def lease(context: dg.OpExecutionContext, config: LeaseConfig) -> Any:
        run = _runtime(context, projections)
        ancestors, run_id = _ancestors(context), context.run_id
        with retried(context):
            _tag(context, definition)
            if ancestors:
                batch = run.engine.redrive(definition, failed_in=ancestors, batch_id=run_id, owner=run_id)
            else:
                batch = run.engine.open(
                    definition, batch_id=run_id, owner=run_id, limit=config.limit, urgent_only=config.urgent_only
                )
            hold(run, batch)
        yield dg.Output(None, "batch", metadata={"jobs": len(batch.items), "redriven": bool(ancestors)})

    return lease


def step_op(
    definition: Definition, projections: Mapping[str, Projection], position: int, step: Step
) -> dg.OpDefinition:
    """Walks the batch through one processor. Its options are the op's config."""
    config_class = config_model(f"{definition.name}_{step.name}_options", step.options)
    described = step.comment or step.options.label or step.processor.description
    tags = {"dagster/kind": "processor", "vcon/processor": step.processor.name, "vcon/docs": docs_of(step.processor)}
    if step.processor.effects.costs:
        tags["vcon/costs"] = "true"

    @dg.op(
        name=naming.op_name(definition.name, step.name),
        description=f"{described}\n\n{step.processor.title} {step.processor.version}: see {docs_of(step.processor)}.",
        ins={"batch": dg.In(Any, input_manager_key=IO_MANAGER)},
        out={"batch": dg.Out(Any, io_manager_key=IO_MANAGER)},
        required_resource_keys=RESOURCES,
        code_version=step.processor.version,
        tags=tags,
        pool=step.processor.pool_of(step.options),
    )
    def walk(context: dg.OpExecutionContext, config: config_class, batch: Any) -> Any:  # type: ignore[valid-type]
        run, options = _runtime(context, projections), options_with(step.options, config)
        with retried(context):
            held = _held(context, run, definition, batch)
            with in_hand(run, held) as leased:
                report = run.engine.step(leased, position, step, options)
        yield dg.Output(None, "batch", metadata=step_metadata(report))

    return walk


def settle_op(definition: Definition, projections: Mapping[str, Projection]) -> dg.OpDefinition:
    """Commits what became of the batch."""

    @dg.op(
        name=naming.op_name(definition.name, "settle"),
        description="Commits every conversation's outcome with its rows, ledger events and queues, and ends the "
        "lease; then carries out what processors asked for (mails). Turns the run red when a job failed for good.",
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
        metadata = settled_metadata(definition, held.batch.id, settled)
        metadata |= bought_metadata(run.engine.purchasing, context.run_id)
        if not _ancestors(context):
            _tell_rate(context, run, definition, settled, time.monotonic() - held.began)
        if settled.effects:
            metadata |= _sent(context, run)
        yield dg.Output(None, "result", metadata=metadata)
        if settled.failures:
            # After the output, so that the materialization with its counts is kept although the run is red.
            raise red(definition, settled)
        run.checkpoints.forget(context.run_id)

    return settle


def _tell_rate(
    context: dg.OpExecutionContext, run: Runtime, definition: Definition, settled: Settled, seconds: float
) -> None:
    """The batch is settled: what comes after must not make the op begin again."""
    try:
        record_rate(run.client, definition, jobs=settled.counts.total() + settled.retried, seconds=seconds)
    except Exception as error:
        context.log.warning("the rate of this run was not kept: %s", type(error).__name__)


def _sent(context: dg.OpExecutionContext, run: Runtime) -> dict[str, dg.MetadataValue]:
    try:
        return sent_metadata(deliver_due(run.store, context.run_id, SENDING_SECONDS))
    except Exception as error:  # as above; the effects are in the outbox, and housekeeping sees that they wait
        context.log.warning("effects were not sent, and wait for deliver_effects: %s", type(error).__name__)
        return {}
