"""``delay``: how long a conversation waits. No test waits: the clock is told."""

import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from tests.processors.support import document, io_of
from vcon_platform.processors.base import PermanentError, ProcessorIO
from vcon_platform.processors.delay import Delay, DelayOptions, seconds_left
from vcon_platform.processors.testing import processor_tests

NOON = datetime(2026, 9, 1, 12, 0, 0, tzinfo=UTC)
JOB = f"{int(NOON.timestamp() * 1000):012x}"
JOB = f"{JOB[:8]}-{JOB[8:]}-7000-8000-000000000000"


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    told: list[float] = []
    sleep, ours = time.sleep, threading.get_ident()

    def slept(seconds: float) -> None:  # other tests' servers may be asleep in this process
        if threading.get_ident() == ours:
            told.append(seconds)
        else:
            sleep(seconds)

    monkeypatch.setattr(time, "sleep", slept)
    return told


def call() -> ProcessorIO:
    io = io_of(document())
    io.job_id = JOB
    return io


TestDelayStandard = processor_tests(Delay, example_io=call, options={"seconds": 0})


@pytest.mark.parametrize(
    ("since", "later", "left"),
    [
        ("now", 3, 5),
        ("queued", 3, 2),
        ("queued", 9, 0),
        ("queued", -60, 5),
        ("created", 1.5, 3.5),
        ("created", 5, 0),
    ],
)
def test_it_is_counted_from_where_it_is_told(since: Any, later: float, left: float) -> None:
    now = datetime.fromtimestamp(NOON.timestamp() + later, UTC)
    assert seconds_left(call(), DelayOptions(since=since), now) == left


@pytest.mark.parametrize("since", ["queued", "created"])
def test_what_has_no_known_beginning_waits_in_full(since: Any) -> None:
    io = io_of(document(created_at="Tuesday"))
    io.job_id = "7"
    assert seconds_left(io, DelayOptions(since=since), NOON) == 5


def test_it_waits_and_changes_nothing(slept: list[float]) -> None:
    io = Delay().process(call(), DelayOptions(seconds=7))
    assert (slept, io.vcon.changes, io.dropped) == ([7], [], None)


def test_what_is_old_enough_does_not_wait(slept: list[float]) -> None:
    Delay().process(call(), DelayOptions(since="created"))
    assert slept == []


def test_a_wait_beyond_the_time_limit_is_told_at_once(slept: list[float]) -> None:
    io = call()
    io.context = replace(io.context, deadline=time.monotonic() + 2)
    with pytest.raises(PermanentError, match=r"^/seconds: a wait of 5 s does not fit"):
        Delay().process(io, DelayOptions())
    assert slept == []


@pytest.mark.parametrize(("seconds", "waits"), [(5, True), (0, False)])
def test_conversations_wait_at_the_same_time(seconds: float, waits: bool) -> None:
    assert Delay.waits(DelayOptions(seconds=seconds)) is waits


@pytest.mark.parametrize("seconds", [-1, 3601, "soon"])
def test_no_time_and_too_much_of_it_are_refused(seconds: Any) -> None:
    with pytest.raises(ValidationError):
        DelayOptions(seconds=seconds)
