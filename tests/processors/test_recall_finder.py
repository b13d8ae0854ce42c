"""``recall_finder``: whole words and phrases, in whatever was said or written."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.processors.support import document, io_of
from vcon_platform.processors.base import ProcessorIO
from vcon_platform.processors.recall_finder import RecallFinder, RecallFinderOptions, count_matches
from vcon_platform.processors.testing import processor_tests

CALL = "Hello, Green Paws.\n\nHi, I am calling about the product recall of the chewables."


def call(body: Any = CALL) -> ProcessorIO:
    return io_of(document(dialog=[{"type": "recording"}], analysis=[{"type": "transcript", "dialog": 0, "body": body}]))


def run(io: ProcessorIO, **options: Any) -> ProcessorIO:
    return RecallFinder().process(io, RecallFinderOptions(**options))


TestRecallFinderStandard = processor_tests(RecallFinder, example_io=call)


def test_a_conversation_that_speaks_of_a_recall_goes_on() -> None:
    io = run(call())
    assert io.dropped is None
    assert io.parameters["recall_finder"] == {"matches": 1}


def test_one_that_does_not_ends_here_and_says_why() -> None:
    io = run(call("Hello.\n\nI want to return my tickets."))
    assert io.dropped == "the conversation does not mention recall, recalls, recalled or 1 more"
    assert io.parameters["recall_finder"] == {"matches": 0}


def test_without_a_transcript_there_is_nothing_to_search() -> None:
    assert run(io_of(document())).dropped == "no transcript to search"


def test_too_few_matches_are_told_apart_from_none() -> None:
    assert run(call(), min_count=2).dropped == (
        "the conversation mentions recall, recalls, recalled or 1 more 1 of 2 times"
    )


def test_chat_messages_are_searched_too() -> None:
    assert run(io_of(document(dialog=[{"type": "text", "body": "Is my car RECALLED?"}]))).dropped is None


@pytest.mark.parametrize(
    ("text", "phrase", "count"),
    [
        ("Recall! recall, RECALL.", "recall", 3),
        ("recalls and recalling and unrecalled", "recall", 0),
        ("the recall's scope", "recall", 1),
        ("recall_id and recall-id", "recall", 1),
        ("a product\n recall", "product recall", 1),
        ("a product and a recall", "product recall", 0),
        ("RÜCKRUF", "rückruf", 1),
        ("ru\u0308ckruf", "R\u00fcckruf", 1),
        ("die Straße", "STRASSE", 1),
        ("part 1.2 or 1x2", "1.2", 1),
        ("c++ and c", "c++", 1),
        ("リコール の件", "リコール", 1),
    ],
)
def test_words_are_matched_whole_whatever_their_case(text: str, phrase: str, count: int) -> None:
    assert count_matches(text, [phrase]) == count


def test_the_longest_of_overlapping_phrases_counts_once() -> None:
    assert count_matches("the product recall", ["recall", "product recall"]) == 1


@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=20).filter(str.strip), min_size=1, max_size=5))
def test_whatever_a_user_writes_is_a_word_and_no_pattern(text: str, phrases: list[str]) -> None:
    assert count_matches(text, phrases) >= 0


def test_a_hostile_text_takes_no_longer_than_any_other() -> None:
    text = "product " * 200_000 + " " * 200_000
    began = time.perf_counter()
    assert count_matches(text, ["product product product recall", "a a a a", "product recall"]) == 0
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("words", [[], [""], ["  "], ["x" * 101]])
def test_empty_and_endless_words_are_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="words"):
        RecallFinderOptions(words=words)
