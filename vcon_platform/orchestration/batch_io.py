"""The IO manager between a pipeline's ops: in memory within a process, written down for the run that may follow.

Dagster's own ones do not fit: ``fs_io_manager`` pickles every output for ever, ``mem_io_manager`` breaks
re-execution from failure. The value of an op is the run id that holds the batch; what is stored is its checkpoint.
"""

from typing import Any

import dagster as dg

from vcon_platform.orchestration.holding import held_by
from vcon_platform.store.checkpoints import Checkpoints


class Carried(dg.Config):
    """What an op receives: the run and step that wrote the batch down last."""

    run_id: str
    step: str


class BatchIOManager(dg.IOManager):
    """Writes the batch down after each op; gives the next op the place where it was written."""

    def handle_output(self, context: dg.OutputContext, obj: Any) -> None:  # noqa: ARG002 - the batch itself is in hand
        """Write down what this run holds. An empty batch is not worth a file."""
        held = held_by(context.run_id)
        if held is not None and held.batch.items:
            objects = context.resources.object_store.objects()
            Checkpoints(objects).save(context.run_id, context.step_key, held.batch.to_bytes())

    def load_input(self, context: dg.InputContext) -> Carried:
        """Where the upstream op wrote the batch down: in this run, or in the one that this run continues."""
        upstream = context.upstream_output
        if upstream is None:
            raise dg.DagsterInvariantViolationError("a batch comes from an op of the same pipeline")
        return Carried(run_id=_written_by(upstream), step=upstream.step_key)


def _written_by(upstream: dg.OutputContext) -> str:
    """The run that made this output; none of ours when Dagster no longer knows (``prune.py``). Then nothing is in
    hand, and settle redrives what failed."""
    try:
        return upstream.run_id
    except dg.DagsterInvariantViolationError:
        return "unknown"


@dg.io_manager(required_resource_keys={"object_store"})
def batch_io(_context: dg.InitResourceContext) -> BatchIOManager:
    """The resource under which pipelines' ops find the IO manager."""
    return BatchIOManager()
