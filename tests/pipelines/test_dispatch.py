"""Which runs one look at the queues starts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.pipelines.support import definition
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.dispatch import CAUTIOUS_LIMIT, Lane, Plan, RunUnderWay, full_batch, plan_batches
from vcon_platform.pipelines.rates import mixed, read_rates, record_rate
from vcon_platform.store.waiting import QueueState


def pipeline(name: str = "recall", **options: Any) -> Definition:
    return definition("mark", name=name, **options)


def under_way(name: str = "recall", lane: Lane = "batch", **rest: Any) -> RunUnderWay:
    return RunUnderWay(f"run-{name}", name, lane, **{"leased": True, **rest})


def plan(*definitions: Definition, runs: list[RunUnderWay] | None = None, most: int = 2, **states: QueueState) -> Plan:
    return plan_of(definitions, states, runs, most)


def plan_of(
    definitions: Iterable[Definition], states: Mapping[str, QueueState], runs: list[RunUnderWay] | None, most: int
) -> Plan:
    definitions = list(definitions)
    known = {each.name: states.get(each.name, QueueState()) for each in definitions}
    return plan_batches(definitions, known, runs or [], rates={}, times={}, max_runs=most)[0]


def shape(planned: Plan) -> list[tuple[str, str, int]]:
    return [(run.definition.name, run.lane, run.limit) for run in planned.runs]


def test_what_waits_gets_a_run() -> None:
    assert shape(plan(pipeline(), recall=QueueState(normal=3))) == [("recall", "batch", 10_000)]


def test_nothing_waiting_starts_nothing_and_has_nothing_to_tell() -> None:
    assert plan(pipeline()) == Plan()


def test_a_paused_queue_gets_no_run() -> None:
    planned = plan(pipeline(), recall=QueueState(normal=3, urgent=1, paused=True))
    assert planned == Plan(notes=["recall: paused, 4 wait"])


def test_jobs_that_wait_for_their_time_get_no_run_before_it() -> None:
    assert plan(pipeline(), recall=QueueState(later=2)).notes == ["recall: 2 wait for their time"]
    assert shape(plan(pipeline(), recall=QueueState(later=2, due=1))) == [("recall", "batch", 10_000)]


def test_a_pipeline_has_no_more_runs_than_it_may() -> None:
    planned = plan(pipeline(), runs=[under_way()], recall=QueueState(normal=812))
    assert planned == Plan(notes=["recall: 812 wait, 1 of 1 runs under way"])


def test_a_pipeline_that_may_have_several_runs_gets_as_many_as_its_jobs_fill() -> None:
    many = pipeline(max_runs=4, batch_size=100)
    assert len(plan(many, most=8, recall=QueueState(normal=250)).runs) == 3


def test_a_run_that_has_not_leased_yet_is_trusted_to_take_its_jobs() -> None:
    twice = pipeline(max_runs=2)
    coming = under_way(limit=10_000, leased=False)
    assert plan(twice, runs=[coming], recall=QueueState(normal=500)).runs == []
    assert len(plan(twice, runs=[under_way(limit=10_000)], recall=QueueState(normal=500)).runs) == 1


def test_all_pipelines_together_have_no_more_runs_than_the_machine_should() -> None:
    names = ["a", "b", "c"]
    planned = plan_of(map(pipeline, names), dict.fromkeys(names, QueueState(normal=1)), None, 2)
    assert len(planned.runs) == 2
    assert planned.notes == ["c: 1 wait, all 2 batch runs are taken (VCON_MAX_BATCH_RUNS)"]


def test_urgent_jobs_get_one_extra_run_while_all_slots_are_busy() -> None:
    planned = plan(pipeline(), runs=[under_way()], recall=QueueState(urgent=2, normal=800))
    assert shape(planned) == [("recall", "urgent", 10_000)]


@pytest.mark.parametrize("leased", [True, False])
def test_a_second_extra_run_is_not_started(leased: bool) -> None:
    runs = [under_way(), under_way(lane="urgent", leased=leased)]
    assert plan(pipeline(), runs=runs, recall=QueueState(urgent=2)).runs == []


def test_urgent_jobs_that_a_new_run_takes_need_no_extra_one() -> None:
    assert shape(plan(pipeline(), recall=QueueState(urgent=2, normal=800))) == [("recall", "batch", 10_000)]


def test_the_pipeline_with_urgent_jobs_comes_first() -> None:
    planned = plan(pipeline("a"), pipeline("b"), most=1, a=QueueState(normal=9), b=QueueState(urgent=1))
    assert shape(planned) == [("b", "batch", 10_000)]


def test_batches_shrink_in_proportion_while_there_is_contention() -> None:
    light, heavy = pipeline("light", weight=1), pipeline("heavy", weight=4)
    planned = plan(light, heavy, light=QueueState(normal=90_000), heavy=QueueState(normal=90_000))
    assert shape(planned) == [("heavy", "batch", 10_000), ("light", "batch", 2_500)]


def test_stream_pipelines_are_none_of_the_batch_lanes_business() -> None:
    assert plan(pipeline(lane="stream"), recall=QueueState(normal=5)) == Plan()


@given(
    st.lists(st.tuples(st.integers(0, 30_000), st.integers(0, 5), st.integers(1, 100), st.integers(1, 4)), max_size=6),
    st.integers(1, 6),
)
@settings(max_examples=60, deadline=None)
def test_a_look_that_comes_twice_starts_nothing_that_finds_nothing(
    queues: list[tuple[int, int, int, int]], most: int
) -> None:
    definitions = [
        pipeline(f"p{number}", weight=weight, max_runs=runs) for number, (_, _, weight, runs) in enumerate(queues)
    ]
    states = {
        f"p{number}": QueueState(normal=normal, urgent=urgent) for number, (normal, urgent, _, _) in enumerate(queues)
    }
    first = plan_of(definitions, states, None, most)
    coming = [RunUnderWay(str(at), run.definition.name, run.lane, limit=run.limit) for at, run in enumerate(first.runs)]
    second = plan_of(definitions, states, coming, most)
    for name, state in states.items():
        planned = [run for run in (*first.runs, *second.runs) if run.definition.name == name]
        assert sum(run.expected for run in planned) <= state.ready
        assert all(run.expected for run in planned)
    assert sum(run.lane == "batch" for run in (*first.runs, *second.runs)) <= most


# --- how large a batch is -------------------------------------------------------------------------------------------


def test_a_run_is_given_about_as_much_as_it_can_do_in_its_time() -> None:
    assert full_batch(pipeline(batch_seconds=60.0), rate=5.0) == 300
    assert full_batch(pipeline(batch_size=200), rate=5.0) == 200
    assert full_batch(pipeline(), rate=0.0001) == 1


def test_an_unknown_rate_makes_dear_processors_begin_small() -> None:
    assert full_batch(definition("mark"), None) == 10_000
    assert full_batch(definition("mark", "network_mark"), None) == CAUTIOUS_LIMIT


def test_a_rate_is_remembered_for_the_version_it_was_measured_on(redis_client: Redis) -> None:
    measured, edited = pipeline(), pipeline(label="another")
    record_rate(redis_client, measured, jobs=4000, seconds=40.0)
    assert read_rates(redis_client, [measured]) == {"recall": 100.0}
    assert read_rates(redis_client, [edited]) == {}


def test_a_short_run_can_raise_a_rate_and_never_lowers_it() -> None:
    assert mixed(100.0, 1, 0.5, at_once=1) == 100.0
    assert mixed(100.0, 200, 0.5, at_once=1) == 400.0
    assert mixed(100.0, 5, 8.0, at_once=1) == 100.0  # a busy machine
    assert mixed(None, 1, 0.5, at_once=1) is None


def test_fewer_jobs_than_are_worked_on_at_once_say_little() -> None:
    assert mixed(100.0, 10, 40.0, at_once=64) == 100.0
    assert mixed(100.0, 640, 40.0, at_once=64) == pytest.approx(58.0)
