"""``scorecard``: points with evidence, and what is reckoned from them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from tests.fakes.model_api import completion, fake_openai
from tests.fakes.services import Service
from tests.processors.conversation_support import asked, call, long_call, made, question, questions, run
from vcon_platform.processors.base import PermanentError
from vcon_platform.processors.scorecard import Scorecard, ScorecardOptions, reckoned
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.tags import tags

CRITERIA: list[dict[str, Any]] = [
    {"key": "greeting", "question": "Did the agent\n greet?", "most": 1, "must": True, "always": True},
    {"key": "solution", "question": "Was it {settled}?", "most": 4, "weight": 3},
]


def rating(score: int | None, *lines: int) -> dict[str, Any]:
    return {"reason": "So it is.", "lines": list(lines), "score": score}


def card(greeting: dict[str, Any], solution: dict[str, Any]) -> str:
    return orjson.dumps({"greeting": greeting, "solution": solution}).decode()


def say(request: dict[str, Any]) -> str:
    if "unspeakable" in str(request):
        return "No."
    told = question(request)
    first = {"greeting": 1, "solution": 2}
    wanted = request["response_format"]["json_schema"]["schema"]["required"]
    if told.combines:
        lines = {name: [n for each in told.answers for n in each[name]["lines"]] for name in wanted}
        return orjson.dumps({name: rating(first.get(name, 1), *lines[name]) for name in wanted}).decode()
    return orjson.dumps({name: rating(first.get(name, 1), told.lines[0].number) for name in wanted}).decode()


@pytest.fixture(scope="module")
def served() -> Iterator[Service]:
    with fake_openai(say) as fake:
        yield fake


@pytest.fixture(autouse=True)
def service(served: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with asked(monkeypatch, served) as fake:
        yield fake


def score(io: Any = None, **options: Any) -> Any:
    return run(Scorecard, io, **{"criteria": CRITERIA, **options})


TestScorecardStandard = processor_tests(
    Scorecard,
    example_io=call,
    options={"criteria": CRITERIA, "tag": "scorecard", "pass_mark": 60},
    failing_io=lambda: call((0, "unspeakable")),
)


def test_each_criterion_has_points_a_reason_and_the_turns_that_show_it(service: Service) -> None:
    service.next.append(completion(card(rating(1, 0), rating(3, 2, 3))))
    io = score(who="the clerk")
    body = made(io)["body"]
    assert (body["who"], body["total"], body["passed"]) == ("the clerk", 81.2, True)
    assert body["criteria"][1] == {
        "key": "solution",
        "question": "Was it {settled}?",
        "score": 3,
        "most": 4,
        "weight": 3.0,
        "reason": "So it is.",
        "evidence": [
            {"dialog": 0, "turn": 2, "party": 0, "start": 20.0, "end": 25.0},
            {"dialog": 0, "turn": 3, "party": 1, "start": 30.0, "end": 35.0},
        ],
    }
    assert io.parameters == {"scorecard": {"total": 81.2, "passed": True}, "scorecard_passed": True}


def test_the_criteria_of_its_own_rate_any_call() -> None:
    body = made(run(Scorecard))["body"]
    assert [each["key"] for each in body["criteria"]][:2] == ["greeting", "understanding"]
    assert body["passed"] is None


@pytest.mark.parametrize(
    "bad",
    [
        card(rating(1, 0), rating(3, 9)),
        card(rating(1), rating(0)),
        card(rating(None), rating(1, 1)),
        card(rating(2, 0), rating(1, 1)),
        card(rating(1, 0), rating(-1, 0)),
        orjson.dumps({"greeting": rating(1, 0)}).decode(),
    ],
)
def test_points_that_cannot_be_or_that_no_turn_shows_are_asked_for_again(service: Service, bad: str) -> None:
    service.next.append(completion(bad))
    assert made(score())["repaired"] is True


def test_points_that_no_turn_shows_twice_fail_without_a_word_of_it(service: Service) -> None:
    service.next.extend([completion(card(rating(1, 0), rating(3)))] * 2)
    with pytest.raises(PermanentError, match="/solution has a score and no lines that show it") as raised:
        score()
    assert "So it is" not in str(raised.value)


def test_no_points_and_what_does_not_apply_need_no_turn(service: Service) -> None:
    service.next.append(completion(card(rating(0), rating(None))))
    body = made(score())["body"]
    assert (body["total"], body["passed"]) == (0.0, False)


@pytest.mark.parametrize(
    ("options", "scores", "verdict"),
    [
        ({}, (1, 4), (100.0, True)),
        ({}, (0, 4), (75.0, False)),
        ({}, (1, None), (100.0, True)),
        ({"pass_mark": 80}, (1, 2), (62.5, False)),
        ({"pass_mark": 60}, (1, 2), (62.5, True)),
        ({"pass_mark": 10}, (0, 4), (75.0, False)),
        ({"pass_mark": 10}, (None, None), (None, None)),
    ],
)
def test_totals_marks_and_musts_are_reckoned_here(options: Any, scores: Any, verdict: Any) -> None:
    given = ScorecardOptions(criteria=CRITERIA, **options)
    assert reckoned(given, dict(zip(("greeting", "solution"), scores, strict=True))) == verdict


def test_without_mark_or_must_nothing_is_passed_or_failed() -> None:
    given = ScorecardOptions(criteria=CRITERIA[1:])
    assert reckoned(given, {"solution": 1}) == (25.0, None)


def test_a_failed_card_is_a_parameter_and_a_tag_to_route_by(service: Service) -> None:
    service.next.append(completion(card(rating(0), rating(4, 1))))
    io = score(tag="scorecard")
    assert (io.parameters["scorecard_passed"], tags(io.vcon)) == (False, [("scorecard", "failed")])


def test_a_long_conversation_is_rated_as_a_whole_from_its_parts(service: Service) -> None:
    io = score(long_call(), context_tokens=2600, max_tokens=300)
    *parts, whole = questions(service)
    assert len(parts) > 1
    assert whole.combines
    evidence = [place["turn"] for place in made(io)["body"]["criteria"][1]["evidence"]]
    assert evidence == [part.lines[0].number for part in parts]


def test_a_part_need_not_show_what_always_applies(service: Service) -> None:
    service.next.extend([completion(card(rating(1, 0), rating(1, 1))), completion(card(rating(None), rating(None)))])
    io = score(long_call(), context_tokens=2800, max_tokens=300)
    assert (len(service.asked), made(io).get("repaired")) == (3, None)


def test_what_was_asked_before_is_not_asked_again_and_still_counts(service: Service) -> None:
    io = score()
    io.parameters.clear()
    score(io)
    assert (len(service.asked), len(io.vcon.analysis), io.parameters["scorecard_passed"]) == (1, 2, True)


def test_another_weight_is_another_card_and_costs_nothing(service: Service) -> None:
    io = score()
    score(io, criteria=[CRITERIA[0], {**CRITERIA[1], "weight": 1}])
    assert (len(service.asked), len(io.vcon.analysis)) == (1, 3)


def test_questions_stand_in_the_task_on_one_line_each(service: Service) -> None:
    score()
    [told] = questions(service)
    assert told.task.endswith("- greeting (0 to 1): Did the agent greet?\n- solution (0 to 4): Was it {settled}?")


@pytest.mark.parametrize(
    "criteria",
    [
        [],
        [CRITERIA[0], CRITERIA[0]],
        [{"key": "Not a key", "question": "x"}],
        [{"key": "a", "question": ""}],
        [{"key": "a", "question": "x", "most": 0}],
        [{"key": "a", "question": "x", "weight": 0}],
    ],
)
def test_criteria_that_mean_nothing_are_refused(criteria: Any) -> None:
    with pytest.raises(ValidationError):
        ScorecardOptions(criteria=criteria)
