"""``keyword_filter``: which conversations go on by what was said, and by whom."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.processors.support import document, io_of
from vcon_platform.processors.base import ProcessorIO
from vcon_platform.processors.keyword_filter import KeywordFilter, KeywordFilterOptions
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.translations import translation_body
from vcon_platform.vcon.turns import turns

SAID = [
    {"party": 0, "text": "This call is recorded."},
    {"party": 1, "text": "I want to cancel"},
    {"party": 1, "text": "my contract."},
    {"party": 0, "text": "I can offer a refund."},
]
PARTIES = [{"name": "Alice", "role": "agent"}, {"name": "Bob", "meta": {"role": "customer"}}]


def call(**members: Any) -> ProcessorIO:
    transcript = {"type": "transcript", "dialog": 0, "body": SAID}
    told = {"parties": PARTIES, "dialog": [{"type": "recording"}], "analysis": [transcript], **members}
    return io_of(document(**told))


def run(io: ProcessorIO | None = None, **options: Any) -> ProcessorIO:
    return KeywordFilter().process(io or call(), KeywordFilterOptions(**options))


TestKeywordFilterStandard = processor_tests(KeywordFilter, example_io=call, options={"phrases": ["refund"]})


def test_what_matches_goes_on_and_says_how_often() -> None:
    io = run(phrases=["refund", "CANCEL", "nothing"])
    assert io.dropped is None
    assert io.parameters == {
        "keyword_filter": {"matches": 2, "phrases": {"refund": 1, "CANCEL": 1}},
        "keyword_filter_passed": True,
    }


def test_what_does_not_ends_here_and_says_why() -> None:
    assert run(phrases=["recall"]).dropped == "the conversation does not mention recall"


def test_a_phrase_may_go_on_in_the_next_turn() -> None:
    assert run(phrases=["cancel my contract"]).dropped is None


def test_too_few_matches_are_told_apart_from_none() -> None:
    assert run(phrases=["refund"], min_count=2).dropped == "the conversation mentions refund 1 of 2 times"


def test_all_phrases_may_be_wanted() -> None:
    assert run(phrases=["cancel", "refund"], match="all").dropped is None
    assert run(phrases=["cancel", "recall"], match="all").dropped == "the conversation does not mention recall"


def test_a_phrase_within_another_occurs_as_well() -> None:
    assert run(phrases=["cancel", "cancel my contract"], match="all").dropped is None


def test_the_others_may_be_kept() -> None:
    assert run(phrases=["recall"], keep="others").dropped is None
    assert run(phrases=["refund"], keep="others").dropped == "the conversation mentions refund"


@pytest.mark.parametrize(
    ("who", "goes_on"), [("AGENT", True), ("Alice", True), (0, True), ("customer", False), (1, False)]
)
def test_only_what_a_party_said_counts(who: str | int, goes_on: bool) -> None:
    assert (run(phrases=["refund"], said_by=[who]).dropped is None) is goes_on


def test_a_phrase_does_not_reach_over_what_another_party_said() -> None:
    assert run(phrases=["recorded i can"], said_by=["agent"]).dropped is not None


def test_a_party_that_is_not_there_said_nothing() -> None:
    dropped = run(phrases=["refund"], said_by=["supervisor"]).dropped
    assert dropped == "nothing to search: those parties said nothing that is known"


def test_without_a_transcript_there_is_nothing_to_search() -> None:
    assert run(call(analysis=[]), phrases=["refund"]).dropped == "nothing to search"


def test_only_these_dialogs_are_searched() -> None:
    chat = [{"type": "text", "body": text, "parties": [0]} for text in ("a refund", "a recall")]
    assert run(call(dialog=chat, analysis=[]), phrases=["recall"], input_dialogs="0").dropped is not None
    assert run(call(dialog=chat, analysis=[]), phrases=["recall"], input_dialogs="1").dropped is None


def test_a_translation_is_searched_and_what_has_none_as_it_was_said() -> None:
    io = call()
    body = translation_body("de", "en", turns(io.vcon), {1: "Ich will kündigen"})
    io.vcon.append("analysis", {"type": "translation", "dialog": 0, "body": body})
    assert run(io, phrases=["kündigen", "refund"], match="all", translation="de").dropped is None
    assert run(io, phrases=["cancel"], translation="de").dropped is not None


def test_it_may_only_say_whether_it_passes() -> None:
    io = run(phrases=["recall"], otherwise="go_on", passed="is_recall")
    assert (io.dropped, io.parameters["is_recall"]) == (None, False)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"phrases": []},
        {"phrases": ["x"], "said_by": [-1]},
        {"phrases": ["x"], "said_by": [""]},
        {"phrases": ["x"], "translation": "English please"},
        {"phrases": ["x"], "passed": "{x}"},
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        KeywordFilterOptions(**options)
