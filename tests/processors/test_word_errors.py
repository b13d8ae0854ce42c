"""The yardstick: spelling does not count, words do."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors.word_errors import normal_words, word_errors


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("four one one", "411"),
        ("four-one-one", "4 1 1"),
        ("twenty-one", "21"),
        ("twenty dollars", "$20"),
        ("thirty", "30."),
        ("nineteen oh five", "1905"),
        ("joe at mail dot com", "joe@mail.com"),
        ("Okay, Mr. Ward", "ok mister ward"),
        ("I\u2019m", "I'm"),
        ("1,000", "1000"),
    ],
)
def test_what_sounds_alike_is_alike(one: str, other: str) -> None:
    assert normal_words(one) == normal_words(other)


@pytest.mark.parametrize(
    ("script", "heard", "wrong"),
    [("a b c", "a b c", 0), ("a b c", "a c", 1), ("a b c", "a x b c", 1), ("a b c", "a x c", 1), ("a b", "", 2)],
)
def test_wrong_words_are_counted(script: str, heard: str, wrong: int) -> None:
    assert word_errors(script, heard) == (wrong, len(script.split()))


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_a_text_agrees_with_itself(text: str) -> None:
    assert word_errors(text, text)[0] == 0
