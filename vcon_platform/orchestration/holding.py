"""What a run holds in its hands: its batch in memory, the lease's heartbeat, and the way back after a crash.

In one process the batch simply passes from op to op. It is also written down after each op (``store/checkpoints``),
so that a run which continues "from failure" in another process takes the batch over as the last finished op left it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vcon_platform.orchestration.runtime import Runtime
from vcon_platform.pipelines.batch import Batch, WrittenBatch, read_batch
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.lease_keeper import LeaseKeeper


@dataclass(slots=True)
class Held:
    """A leased batch and its heartbeat. ``began``: when this process took it (``time.monotonic``)."""

    batch: Batch
    keeper: LeaseKeeper
    began: float = field(default_factory=time.monotonic)

    def release(self) -> None:
        """Stop the heartbeat and forget the batch in this process."""
        self.keeper.stop()
        _HELD.pop(self.batch.owner, None)


_HELD: dict[str, Held] = {}
"""By run id. A process works on one run, tests on a few."""


def hold(runtime: Runtime, batch: Batch) -> Held:
    """Begin to beat for a batch that was just leased."""
    interval = max(0.5, runtime.settings.lease_seconds / 4)
    held = Held(batch, LeaseKeeper(runtime.queues, batch.id, batch.owner, interval))
    held.keeper.start()
    _HELD[batch.owner] = held
    return held


def held_by(run_id: str) -> Held | None:
    """What this run holds in this process."""
    return _HELD.get(run_id)


def take_up(runtime: Runtime, definition: Definition, run_id: str, written: bytes | None, from_run: str) -> Held:
    """Take over the batch that another run wrote down. When nothing was kept, there is nothing in hand."""
    value = read_batch(written) if written else WrittenBatch(from_run, definition.name, definition.version, {})
    return hold(runtime, runtime.engine.resume(definition, value, owner=run_id))


@contextmanager
def in_hand(runtime: Runtime, held: Held) -> Iterator[Batch]:
    """Around an op's work: a cancelled run (an interrupt is a BaseException, and fires no failure hook) gives its jobs
    back at the front of their queue; any other fault of the op as a whole is ``op_retries``' affair, and keeps the
    lease meanwhile."""
    try:
        held.keeper.check()
        yield held.batch
        held.keeper.check()
    except Exception:
        raise
    except BaseException:
        runtime.queues.hand_back(held.batch.id, owner=held.batch.owner)
        held.release()
        raise
