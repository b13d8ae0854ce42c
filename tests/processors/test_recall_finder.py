"""``recall_finder``: whole words and phrases, in whatever was said or written."""

from typing import Any

import pytest

from tests.processors.support import document, io_of
from vcon_platform.processors.base import ProcessorIO
from vcon_platform.processors.recall_finder import RecallFinder, RecallFinderOptions
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


@pytest.mark.parametrize("words", [[], [""], ["  "], ["x" * 101]])
def test_empty_and_endless_words_are_refused(words: list[str]) -> None:
    with pytest.raises(ValueError, match="words"):
        RecallFinderOptions(words=words)
