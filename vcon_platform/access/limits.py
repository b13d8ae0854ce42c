"""How often a caller may ask. Counted in each process by itself: with several the limit holds for each.

Belongs here: counting. Not here: whose limit is which (``keys.py``).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable

_FORGET = 10_000
"""Callers that are remembered; those who have their whole allowance again are forgotten first."""


class RateLimits:
    """A bucket for each caller that holds two seconds' worth of requests and fills up steadily. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}  # allowance, and when it was so
        self._lock = threading.Lock()

    def wait(self, caller: str, rate: float) -> float:
        """0 if the caller may ask now, else the seconds until they may. ``rate`` 0: no limit."""
        if rate <= 0:
            return 0.0
        room, now = max(1.0, 2 * rate), self._clock()
        with self._lock:
            left, at = self._left.get(caller, (room, now))
            left = min(room, left + (now - at) * rate)
            if left < 1:
                self._left[caller] = (left, now)
                return (1 - left) / rate
            self._left[caller] = (left - 1, now)
            if len(self._left) > _FORGET:
                self._left.pop(next(iter(self._left)))
        return 0.0


def whole_seconds(wait: float) -> int:
    """For ``Retry-After``."""
    return max(1, math.ceil(wait))
