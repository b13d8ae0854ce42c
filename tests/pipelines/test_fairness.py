"""Weighted fair queueing over many looks at the queues."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.pipelines.fairness import Backlog, FairShare

PLENTY = 10**9


class Machine:
    """Serves queues look by look: ``slots`` runs at once, one per queue, each busy for as long as its jobs take."""

    def __init__(self, weights: Mapping[str, int], *, full: int = 1000, slots: int = 2, rate: int = 500) -> None:
        self.weights, self.full, self.slots, self.rate = weights, full, slots, rate
        self.times: Mapping[str, float] = {}
        self.clock = 0.0
        self.waiting: Counter[str] = Counter(dict.fromkeys(weights, PLENTY))
        self.served: Counter[str] = Counter()
        self.busy: dict[str, float] = {}
        self.portions: dict[str, int] = {}

    def look(self) -> None:
        self.busy = {name: left - 1 for name, left in self.busy.items() if left > 1}
        share = FairShare(
            [Backlog(name, self.weights[name], depth, self.full) for name, depth in self.waiting.items() if depth],
            self.times,
            self.clock,
        )
        for name in share.order():
            if name in self.busy or len(self.busy) >= self.slots or share.ahead_of(name):
                continue
            taken = min(share.portion(name), self.waiting[name])
            self.portions[name] = share.portion(name)
            self.busy[name] = taken / self.rate
            self.waiting[name] -= taken
            self.served[name] += taken
            share.charge(name, taken)
        self.times, self.clock = share.times, share.clock


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_three_queues_are_drained_in_proportion_to_their_weights(slots: int) -> None:
    machine = Machine({"a": 1, "b": 4, "c": 2}, slots=slots)
    for _ in range(300):
        machine.look()
    least = machine.served["a"]
    assert machine.served["b"] / least == pytest.approx(4, rel=0.05)
    assert machine.served["c"] / least == pytest.approx(2, rel=0.05)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=5), st.integers(1, 3))
def test_whatever_the_weights_each_gets_its_proportion(weights: list[int], slots: int) -> None:
    machine = Machine({str(number): weight for number, weight in enumerate(weights)}, slots=slots)
    for _ in range(800):
        machine.look()
    normal = [machine.served[name] / weight for name, weight in machine.weights.items()]
    granule = 1000 / min(weights)  # one run of the lightest
    assert max(normal) - min(normal) <= 2 * granule


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=2, max_size=5))
def test_none_starves(weights: list[int]) -> None:
    machine = Machine({str(number): weight for number, weight in enumerate(weights)}, slots=1, rate=1000)
    for _ in range(sum(weights) * 1000 // 100 // max(weights) + 100):
        machine.look()
    assert all(machine.served[name] for name in machine.weights)


def test_one_alone_gets_full_batches_at_every_look() -> None:
    machine = Machine({"a": 1, "b": 1000}, rate=1000)
    machine.waiting["b"] = 0
    for _ in range(10):
        machine.look()
    assert machine.served == {"a": 10 * machine.full}


def test_a_queue_that_one_run_empties_holds_nobody_back() -> None:
    share = FairShare([Backlog("busy", 1, PLENTY, 100), Backlog("trickle", 1, 3, 100)], {"busy": 9000.0}, 0.0)
    assert share.ahead_of("busy") is None
    assert share.portion("busy") == 100


def test_a_queue_that_was_idle_has_no_credit() -> None:
    machine = Machine({"a": 1, "b": 1}, slots=1, rate=1000)
    machine.waiting["b"] = 0
    for _ in range(50):
        machine.look()
    machine.waiting["b"], before = PLENTY, machine.served["a"]
    for _ in range(10):
        machine.look()
    assert machine.served["a"] - before == pytest.approx(machine.served["b"], abs=machine.full)


def test_emptying_a_queue_for_a_moment_is_not_rewarded() -> None:
    ahead = FairShare([Backlog("other", 1, PLENTY, 100)], {"flicker": 500.0, "other": 100.0}, 100.0)
    again = FairShare([Backlog("other", 1, PLENTY, 100), Backlog("flicker", 1, PLENTY, 100)], ahead.times, ahead.clock)
    assert again.order() == ["other", "flicker"]


def test_portions_shrink_in_proportion_while_there_is_contention() -> None:
    machine = Machine({"a": 1, "b": 4, "c": 2}, full=10_000)
    for _ in range(50):
        machine.look()
    assert machine.portions == {"a": 2_500, "b": 10_000, "c": 5_000}


def test_nobody_waits_for_a_queue_that_is_busy_for_long() -> None:
    slow, fast = Backlog("slow", 1, PLENTY, 100, waited_for=False), Backlog("fast", 1, PLENTY, 100)
    assert FairShare([slow, fast], {"fast": 9000.0}, 0.0).ahead_of("fast") is None


def test_one_that_is_ahead_by_more_than_its_portion_waits_for_the_one_behind() -> None:
    behind, ahead = Backlog("behind", 1, PLENTY, 100), Backlog("ahead", 1, PLENTY, 100)
    assert FairShare([behind, ahead], {"ahead": 101.0}, 0.0).ahead_of("ahead") == "behind"
    assert FairShare([behind, ahead], {"ahead": 100.0}, 0.0).ahead_of("ahead") is None
