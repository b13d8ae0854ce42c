"""Translate, summarise, sentiment, scorecard: what a service may do to them, at the wire, through the real client."""

from __future__ import annotations

import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.fakes.model_api import completion, fake_openai, refusal
from tests.fakes.services import Answer, Service
from tests.processors.conversation_support import asked, call, run
from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import PermanentError, Processor, TransientError
from vcon_platform.processors.scorecard import Scorecard
from vcon_platform.processors.sentiment import Sentiment
from vcon_platform.processors.summarise import Summarise
from vcon_platform.processors.translate import Translate

ALL: tuple[type[Processor[Any]], ...] = (Translate, Summarise, Sentiment, Scorecard)
FAULTS: dict[str, tuple[Answer, type[PlatformError]]] = {
    "a refused key": (refusal(401, "invalid_api_key"), PermanentError),
    "a limit": (refusal(429, "rate_limit_exceeded", Retry_After="3"), TransientError),
    "an outage": (refusal(503), TransientError),
    "a body that breaks off": (replace(completion("All is well."), cut=True), TransientError),
    "a body that is no JSON": (Answer(200, b"<html>busy</html>"), TransientError),
    "no answer in time": (Answer(silent=True), TransientError),
    "an answer that was cut off": (completion('{"overall": ', finish="length"), PermanentError),
    "an answer that was declined": (completion(None, refusal="I cannot."), PermanentError),
}
CASES = [
    (processor, fault)
    for processor in ALL
    for fault in FAULTS
    if (processor, fault) != (Summarise, "an answer that was cut off")  # a text is kept, as the next test has it
]


@pytest.fixture(scope="module")
def served() -> Iterator[Service]:
    with fake_openai("{}") as fake:
        yield fake


@pytest.fixture(autouse=True)
def service(served: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with asked(monkeypatch, served) as fake:
        yield fake


@pytest.mark.parametrize(("processor", "fault"), CASES)
def test_a_fault_is_told_for_what_it_is_and_changes_nothing(
    processor: type[Processor[Any]], fault: str, service: Service
) -> None:
    answer, kind = FAULTS[fault]
    service.next.append(answer)
    io = call()
    if answer.silent:
        io.context = replace(io.context, deadline=time.monotonic() + 0.3)
    before = deepcopy(io.vcon.data)
    with pytest.raises(kind):
        run(processor, io)
    assert (io.vcon.data, io.vcon.changes, io.parameters) == (before, [], {})


def test_a_summary_that_breaks_off_says_so(service: Service) -> None:
    service.next.append(completion("A bill was", finish="length"))
    assert run(Summarise).vcon.analysis[-1]["truncated"] is True


@pytest.mark.parametrize("processor", ALL)
def test_nothing_that_people_said_is_in_an_error(processor: type[Processor[Any]], service: Service) -> None:
    service.next.append(refusal(400, "odd", message="you said 'my name is Zebedee'"))
    with pytest.raises(PlatformError) as raised:
        run(processor, call((0, "My name is Zebedee")))
    assert "Zebedee" not in str(raised.value)
