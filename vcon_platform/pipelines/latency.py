"""How long many things took, in little memory: counts in steps of ten per cent, from which percentiles are read."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

_STEP = math.log(1.1)
_LEAST = 0.001


@dataclass(slots=True)
class Latencies:
    """Durations in seconds. A percentile is right within ten per cent; below a millisecond it says 1 ms."""

    _counts: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        """One more duration."""
        self._counts[math.ceil(math.log(max(seconds, _LEAST) / _LEAST) / _STEP)] += 1

    def merge(self, other: Latencies) -> None:
        """All that another has."""
        self._counts.update(other._counts)

    def percentile(self, share: float) -> float | None:
        """The duration within which ``share`` (0 to 1) of all were done; None if there was none."""
        left = math.ceil(share * self._counts.total())
        for step, count in sorted(self._counts.items()):
            left -= count
            if left <= 0:
                return _LEAST * math.exp(step * _STEP)
        return None
