"""``summarise``: a text, or notes whose action items name the turns they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tests.fakes.model_api import completion, fake_openai
from tests.fakes.services import Service
from tests.processors.conversation_support import asked, call, long_call, made, question, questions, run
from vcon_platform.processors.base import NotApplicable, PermanentError
from vcon_platform.processors.summarise import Summarise
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.translations import translation_body
from vcon_platform.vcon.turns import turns

SUMMARY = "A bill was wrong; a new one comes by Friday."


def notes(*lines: int, **members: Any) -> str:
    told = {
        "summary": SUMMARY,
        "reason": "A wrong bill.",
        "outcome": "A new bill is sent.",
        "resolved": True,
        "topics": ["billing"],
        "action_items": [{"who": "agent", "what": "send a new bill", "when": "Friday", "lines": list(lines)}],
    }
    return orjson.dumps({**told, **members}).decode()


def say(request: dict[str, Any]) -> str:
    told = question(request)
    if "unspeakable" in str(request):
        return "" if "response_format" not in request else "No."
    if "response_format" not in request:
        return f"{SUMMARY}\n"
    if told.combines:
        return notes(*(number for each in told.answers for item in each["action_items"] for number in item["lines"]))
    return notes(told.lines[-1].number)


@pytest.fixture(scope="module")
def served() -> Iterator[Service]:
    with fake_openai(say) as fake:
        yield fake


@pytest.fixture(autouse=True)
def service(served: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with asked(monkeypatch, served) as fake:
        yield fake


TestSummariseStandard = processor_tests(Summarise, example_io=call)
TestSummariseNotesStandard = processor_tests(
    Summarise, example_io=call, options={"form": "notes"}, failing_io=lambda: call((0, "unspeakable"))
)


def test_a_text_is_the_body() -> None:
    analysis = made(run(Summarise))
    told = {name: analysis[name] for name in ("type", "dialog", "product", "schema", "encoding", "body")}
    assert told == {
        "type": "summary",
        "dialog": 0,
        "product": "summarise",
        "schema": "text",
        "encoding": "none",
        "body": SUMMARY,
    }


def test_notes_name_the_turns_that_say_so(service: Service) -> None:
    service.next.append(completion(notes(2, 0, 2)))
    body = made(run(Summarise, form="notes"))["body"]
    [item] = body["action_items"]
    assert item == {
        "who": "agent",
        "what": "send a new bill",
        "when": "Friday",
        "turns": [
            {"dialog": 0, "turn": 0, "party": 0, "start": 0.0, "end": 5.0},
            {"dialog": 0, "turn": 2, "party": 0, "start": 20.0, "end": 25.0},
        ],
    }
    assert (body["summary"], body["resolved"]) == (SUMMARY, True)


@pytest.mark.parametrize("bad", [notes(4), notes(-1), notes(), notes(1, summary=" ")])
def test_what_no_turn_says_is_asked_for_again(service: Service, bad: str) -> None:
    service.next.append(completion(bad))
    assert made(run(Summarise, form="notes"))["repaired"] is True
    assert len(service.asked) == 2


def test_what_no_turn_says_twice_fails(service: Service) -> None:
    service.next.extend([completion(notes(99))] * 2)
    with pytest.raises(PermanentError, match="numbers in lines that no message has"):
        run(Summarise, form="notes")


def test_nothing_promised_is_no_fault(service: Service) -> None:
    service.next.append(completion(notes(action_items=[], resolved=None)))
    assert made(run(Summarise, form="notes"))["body"]["action_items"] == []


def test_a_long_conversation_is_summed_up_from_its_parts(service: Service) -> None:
    io = run(Summarise, long_call(), form="notes", context_tokens=2600, max_tokens=300)
    *parts, whole = questions(service)
    assert len(parts) > 1
    assert whole.combines
    places = [place["turn"] for place in made(io)["body"]["action_items"][0]["turns"]]
    assert places == [part.lines[-1].number for part in parts]
    assert made(io)["parts"] == len(parts)
    assert made(io)["usage"]["prompt_tokens"] == 20 * len(service.asked)


def test_the_whole_may_not_name_what_no_part_named(service: Service) -> None:
    first = [completion(notes(0)), completion(notes(39))]
    service.next.extend([*first, completion(notes(5)), completion(notes(0))])
    io = run(Summarise, long_call(), form="notes", context_tokens=2800, max_tokens=300)
    assert len(service.asked) == 4
    assert made(io)["repaired"] is True


def test_length_language_and_focus_are_in_the_task(service: Service) -> None:
    run(Summarise, length="short", language="de", focus="Say which {product}.")
    [told] = questions(service)
    assert "one or two sentences" in told.task
    assert told.task.endswith("Say which {product}. Write in the language of the BCP 47 tag de.")


def test_it_is_summarised_once_for_each_question(service: Service) -> None:
    io = run(Summarise)
    with pytest.raises(NotApplicable, match="before"):
        run(Summarise, io)
    run(Summarise, io, length="long")
    assert len(service.asked) == 2


def test_a_translation_may_be_read(service: Service) -> None:
    io = call()
    body = translation_body("de", "en", turns(io.vcon), {1: "Meine Rechnung ist falsch."})
    io.vcon.append("analysis", {"type": "translation", "body": body})
    run(Summarise, io, translation="de")
    [told] = questions(service)
    assert told.task
    assert any("Rechnung" in each["content"] for each in told.request["messages"])


def test_only_some_may_be_asked_about(service: Service) -> None:
    with pytest.raises(NotApplicable, match="sampling_rate"):
        run(Summarise, sampling_rate=0)
    assert service.asked == []
