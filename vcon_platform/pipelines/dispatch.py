"""What the dispatcher decides at one look at the queues of the batch lane: which runs to start, how large, and why not.

Pure: depths, runs under way, measured rates and virtual times in, a plan out. Reading all that and starting runs is
the sensor's (``sensors/dispatcher.py``); how a stream run is followed is ``succession.py``'s, whose turn it is,
``fairness.py``'s. Its rules:

- A plan never starts a run for jobs that another run is about to take: what a run that has not leased yet will take is
  no longer counted as waiting. So a look that comes twice, or late, starts nothing that finds nothing.
- Urgent jobs do not wait for a slot: when all are taken, one extra run leases the urgent ones and nothing else.
- A run leases about as much as it can do in ``batch_seconds``: then it ends while its figures are fresh, a cancelled
  one has little to repeat, and others get their turn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.fairness import Backlog, FairShare
from vcon_platform.store.waiting import QueueState

Lane = Literal["batch", "urgent", "stream"]

CAUTIOUS_LIMIT = 200
"""Jobs of a run whose rate is not known and whose processors take money or minutes: a few minutes at worst."""
PATIENCE_SECONDS = 20.0
"""For so long after a queue was given a run others may wait for it, so that proportions come out exactly."""


@dataclass(frozen=True, slots=True)
class RunUnderWay:
    """A run that Dagster has not ended. ``age``: seconds since it was asked for; ``limit``: the most it leases
    (0: not known); ``leased``: it has taken its jobs already; ``started``: its process has begun to work."""

    run_id: str
    pipeline: str
    lane: Lane
    age: float = 0.0
    limit: int = 0
    leased: bool = False
    started: bool = False


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run to start. ``expected``: the jobs that are there for it now."""

    definition: Definition
    lane: Lane
    limit: int
    expected: int


@dataclass(slots=True)
class Plan:
    """``notes``: what each pipeline with anything to tell is doing, for the sensor's tick."""

    runs: list[PlannedRun] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def full_batch(definition: Definition, rate: float | None) -> int:
    """How many jobs a run takes when it need not share: what it does in ``batch_seconds`` at this rate (jobs/s)."""
    options = definition.options
    if rate is None:
        dear = any(step.processor.effects.costs or step.processor.effects.network for step in definition.steps)
        return min(options.batch_size, CAUTIOUS_LIMIT) if dear else options.batch_size
    return max(1, min(options.batch_size, round(rate * options.batch_seconds)))


def plan_batches(
    definitions: Sequence[Definition],
    states: Mapping[str, QueueState],
    runs: Iterable[RunUnderWay],
    *,
    rates: Mapping[str, float],
    times: Mapping[str, float],
    max_runs: int,
    weights: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Plan, FairShare]:
    """The runs to start now, and the virtual times to remember. ``max_runs``: over all pipelines of the batch lane.
    ``weights``: in place of the definitions'."""
    lane = [definition for definition in definitions if definition.options.lane == "batch"]
    look = _Look(lane, states, list(runs), rates, weights)
    share = FairShare(look.backlogs(), times)
    plan = Plan()
    free = max_runs - sum(run.lane == "batch" for run in look.runs)
    # Whoever has urgent jobs comes first; among equals it is whose turn it is.
    for name in sorted(share.order(), key=lambda name: not look.urgent(name)):
        definition = look.definitions[name]
        while look.left[name] > 0:
            why_not = look.no_slot(name, free, max_runs) or _behind(share, name)
            if why_not:
                plan.notes.append(look.note(name, why_not))
                break
            limit = share.portion(name)
            planned = PlannedRun(definition, "batch", limit, min(limit, look.left[name]))
            free -= 1
            share.charge(name, planned.expected)
            look.take(planned)
            plan.runs.append(planned)
        if look.urgent(name) and not look.busy[name, "urgent"]:
            extra = PlannedRun(definition, "urgent", share.portion(name), look.urgent(name))
            look.take(extra)
            plan.runs.append(extra)
    plan.notes += look.idle_notes()
    return plan, share


def _behind(share: FairShare, name: str) -> str:
    other = share.ahead_of(name)
    return f"it is {other}'s turn by weight" if other else ""


class _Look:
    """What is there now, less what the runs of this plan take."""

    def __init__(
        self,
        lane: Sequence[Definition],
        states: Mapping[str, QueueState],
        runs: list[RunUnderWay],
        rates: Mapping[str, float],
        weights: Mapping[str, int],
    ) -> None:
        self._weights = weights
        self.definitions = {definition.name: definition for definition in lane}
        self.runs = [run for run in runs if run.pipeline in self.definitions and run.lane != "stream"]
        self.busy: Counter[tuple[str, Lane]] = Counter((run.pipeline, run.lane) for run in self.runs)
        self._states = states
        self._rates = rates
        self.left = {name: 0 if states[name].paused else states[name].ready for name in self.definitions}
        self._urgent = {name: 0 if states[name].paused else states[name].urgent for name in self.definitions}
        for run in self.runs:
            if not run.leased:
                most = run.limit or self.definitions[run.pipeline].options.batch_size
                self._taken(run.pipeline, run.lane, most)

    def urgent(self, name: str) -> int:
        """Urgent jobs that no run is about to take."""
        return self._urgent[name]

    def backlogs(self) -> list[Backlog]:
        """The queues that may be served."""
        return [
            Backlog(
                name,
                self._weights.get(name, definition.options.weight),
                self.left[name],
                full_batch(definition, self._rates.get(name)),
                waited_for=self._waited_for(definition),
            )
            for name, definition in self.definitions.items()
            if self.left[name]
        ]

    def _waited_for(self, definition: Definition) -> bool:
        mine = [run for run in self.runs if run.pipeline == definition.name and run.lane == "batch"]
        return len(mine) < definition.options.max_runs or any(run.age < PATIENCE_SECONDS for run in mine)

    def no_slot(self, name: str, free: int, max_runs: int) -> str:
        """Why no batch run of this pipeline can start now; empty if one can."""
        own, most = self.busy[name, "batch"], self.definitions[name].options.max_runs
        if own >= most:
            return f"{own} of {most} runs under way"
        if free <= 0:
            return f"all {max_runs} batch runs are taken (VCON_MAX_BATCH_RUNS)"
        return ""

    def take(self, run: PlannedRun) -> None:
        """Count a run of this plan."""
        self.busy[run.definition.name, run.lane] += 1
        self._taken(run.definition.name, run.lane, run.limit)

    def _taken(self, name: str, lane: Lane, limit: int) -> None:
        urgent = min(limit, self._urgent[name])
        self._urgent[name] -= urgent
        self.left[name] = max(0, self.left[name] - (urgent if lane == "urgent" else limit))

    def note(self, name: str, why_not: str) -> str:
        """What is told of a pipeline whose jobs wait."""
        return f"{name}: {self.left[name]} wait, {why_not}"

    def idle_notes(self) -> list[str]:
        """Pipelines that are paused, or whose jobs wait for their time."""
        notes = []
        for name in self.definitions:
            state = self._states[name]
            if state.paused:
                notes.append(f"{name}: paused, {state.ready} wait")
            elif not state.ready and state.later:
                notes.append(f"{name}: {state.later} wait for their time")
        return notes
