"""Finding words and phrases: whole, in any case, and nothing in them is a pattern."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from vcon_platform.processors.phrases import GAP, Phrase, count_matches, counted, listed, occurs


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
    began = time.process_time()
    assert count_matches(text, ["product product product recall", "a a a a", "product recall"]) == 0
    assert time.process_time() - began < 5


def test_each_phrase_is_counted_as_it_was_written() -> None:
    text = "Cancel it. I want to CANCEL, cancel  my contract."
    assert counted(text, ["Cancel", "cancel my contract", "refund"]) == {"Cancel": 2, "cancel my contract": 1}


@given(
    st.lists(st.sampled_from(["a", "b", "A", "c-d", "?", "\n"]), max_size=40).map(" ".join),
    st.lists(st.sampled_from(["a", "a b", "B", "b a", "c-d", "c"]), min_size=1, max_size=4),
)
def test_the_counts_of_all_phrases_are_all_matches(text: str, phrases: list[str]) -> None:
    assert sum(counted(text, phrases).values()) == count_matches(text, phrases)


def test_a_phrase_occurs_within_a_longer_one_too() -> None:
    assert occurs("the product recall", "recall")


def test_no_phrase_reaches_over_a_gap() -> None:
    assert count_matches(f"the product{GAP}recall", ["product recall"]) == 0


@pytest.mark.parametrize("phrase", ["", "   ", "\x1c", "x" * 101])
def test_a_phrase_has_a_word_and_an_end(phrase: str) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Phrase).validate_python(phrase)


def test_a_phrase_without_a_word_is_found_nowhere() -> None:
    assert count_matches("anything", [" "]) == 0


def test_three_phrases_are_shown_at_most() -> None:
    assert [listed(("a",)), listed(("a", "b", "c", "d", "e"))] == ["a", "a, b, c or 2 more"]
