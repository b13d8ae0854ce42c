"""Who is served next while several queues have more waiting than one run takes: weighted fair queueing.

Pure: knows queues by name, weight and depth, nothing of Redis or Dagster. Each queue has a *virtual time*: the jobs it
was served, divided by its weight. The queue whose time is least comes first, so that over a while each is served in
proportion to its weight, and none starves. Why it is as it is:

- A queue that was idle enters at the present virtual time: it has no credit for the time it did not need, and would
  otherwise shut the others out until it had caught up.
- While there is contention a run takes a *portion*, smaller by weight, so that proportions show after a few runs and
  not after a few hours.
- A queue that is ahead of another by more than its portion waits even if there is room to run: the one behind may only
  just be busy with its own run. But not for long (``Backlog.waited_for``): a fast queue must not go at the pace of a
  slow one, and room is not left idle for the sake of a proportion.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

LEAST_PORTION = 100
"""Jobs; a run costs seconds whatever it does, so that a low weight is served seldom rather than by the handful."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """A queue in which jobs wait. ``full``: what one run takes of it when it is alone. ``waited_for``: others that are
    ahead may wait for it, because it can be served now or was given a run only just now."""

    name: str
    weight: int
    waiting: int
    full: int
    waited_for: bool = True

    @property
    def contends(self) -> bool:
        """True if one run does not empty it."""
        return self.waiting > self.full


class FairShare:
    """The virtual times of one look at the queues. ``times`` and ``clock`` are what :meth:`times` and :attr:`clock`
    were after the look before."""

    def __init__(self, backlogs: Iterable[Backlog], times: Mapping[str, float], clock: float = 0.0) -> None:
        self._backlogs = {each.name: each for each in backlogs}
        self._clock = clock
        self._times = {name: max(clock, times.get(name, clock)) for name in self._backlogs}
        # Who is idle keeps its time while it is ahead, or emptying a queue for a moment would be rewarded.
        self._idle = {name: time for name, time in times.items() if name not in self._backlogs and time > clock}
        contenders = [each for each in self._backlogs.values() if each.contends]
        self._contended = len(contenders) > 1
        self._heaviest = max((each.weight for each in contenders), default=1)

    @property
    def clock(self) -> float:
        """The virtual time of the queue that is furthest behind; it never goes back."""
        return max(self._clock, min(self._times.values(), default=self._clock))

    @property
    def times(self) -> Mapping[str, float]:
        """The virtual time of every queue that must be remembered until the next look."""
        return {**self._idle, **self._times}

    @property
    def contended(self) -> bool:
        """True if several queues have more waiting than one run of theirs takes."""
        return self._contended

    def order(self) -> list[str]:
        """Who comes first: least virtual time, then greatest weight."""
        return sorted(self._backlogs, key=lambda name: (self._times[name], -self._backlogs[name].weight, name))

    def portion(self, name: str) -> int:
        """Jobs that a run of this queue should take."""
        backlog = self._backlogs[name]
        if not (self._contended and backlog.contends):
            return backlog.full
        share = math.ceil(backlog.full * backlog.weight / self._heaviest)
        return min(backlog.full, max(share, LEAST_PORTION))

    def ahead_of(self, name: str) -> str | None:
        """The queue that this one should wait for; None if it may be served."""
        backlog = self._backlogs[name]
        if not (self._contended and backlog.contends):
            return None
        behind = [
            other.name
            for other in self._backlogs.values()
            if other.contends and other.waited_for and self._times[other.name] < self._times[name]
        ]
        furthest = min(behind, key=lambda other: self._times[other], default=None)
        if furthest is None or self._times[name] - self._times[furthest] <= self.portion(name) / backlog.weight:
            return None
        return furthest

    def charge(self, name: str, jobs: int) -> None:
        """A run was given so many jobs of this queue."""
        self._times[name] += jobs / self._backlogs[name].weight
