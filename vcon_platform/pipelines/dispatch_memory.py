"""What the dispatcher keeps in Redis from look to look, and what it asks Redis about the runs under way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vcon_platform.pipelines.fairness import FairShare
from vcon_platform.store import keys

if TYPE_CHECKING:
    from redis import Redis


@dataclass(frozen=True, slots=True)
class Remembered:
    """Virtual times since the clock of the look before; ``leased``: the runs that hold a batch."""

    times: Mapping[str, float]
    leased: frozenset[str]
    weights: Mapping[str, int]
    """What an operator gave a queue in place of its definition's weight."""


class DispatchMemory:
    """The dispatcher's memory in one Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def read(self, run_ids: Sequence[str]) -> Remembered:
        """All of it, and which of these runs have leased, in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        pipeline.hgetall(keys.FAIRNESS)
        pipeline.hgetall(keys.WEIGHTS)
        for run_id in run_ids:
            pipeline.exists(keys.batch(run_id))
        kept, weights, *leased = pipeline.execute()
        return Remembered(
            times={name.decode(): float(raw) for name, raw in kept.items()},
            leased=frozenset(run_id for run_id, there in zip(run_ids, leased, strict=True) if there),
            weights={name.decode(): int(raw) for name, raw in weights.items()},
        )

    def keep(self, share: FairShare) -> None:
        """Remember the virtual times. Counted from the clock on, so that they stay small for ever."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.delete(keys.FAIRNESS)
        if times := {name: time - share.clock for name, time in share.times.items() if time > share.clock}:
            pipeline.hset(keys.FAIRNESS, items=[part for pair in times.items() for part in pair])
        pipeline.execute()
