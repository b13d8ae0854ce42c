"""Sizes: the estimate is not too small, the parts fit, and no word is lost."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.processors.conversation_lines import Line, one_line
from vcon_platform.processors.model_tokens import UNKNOWN, context_of, estimate, parts_of, size

TEXTS = {
    "English": "Good morning, this is Catherine from Northwind; how can I help you with order 4471 today?",
    "digits": "4111 1111 1111 1111, that is until 09/27, and the code is 123.",
    "German": "Guten Tag, mein Name ist Müller, größere Änderungen an der Bestellung wären mir unmöglich.",
    "Polish": "Dzień dobry, chciałbym zgłosić reklamację, ponieważ przesyłka nie dotarła na czas.",
    "Russian": "Здравствуйте, я хотел бы отменить свой заказ, потому что доставка опоздала.",
    "Chinese": "你好我想取消我的订单。因为货物到得太晚了。请帮我处理一下退款的事情。",
    "Hindi": "नमस्ते, मैं अपना ऑर्डर रद्द करना चाहता हूँ क्योंकि डिलीवरी देर से हुई।",
    "emoji": "👍🏽😂🎉 ok 👍🏽😂🎉",
}
CL100K = {
    "English": 22,
    "digits": 27,
    "German": 25,
    "Polish": 33,
    "Russian": 29,
    "Chinese": 34,
    "Hindi": 71,
    "emoji": 22,
}
"""What OpenAI's cl100k_base counts, counted once."""


@pytest.mark.parametrize("language", TEXTS)
def test_the_estimate_is_not_less_than_what_a_model_counts(language: str) -> None:
    assert CL100K[language] <= estimate(TEXTS[language]) <= 3 * CL100K[language]


@given(st.text(max_size=200), st.text(max_size=200))
@settings(max_examples=60, deadline=None)
def test_two_texts_together_are_hardly_less_than_each_for_itself(first: str, second: str) -> None:
    assert estimate(first + " " + second) >= max(estimate(first), estimate(second))


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("gpt-4", 8_192),
        ("gpt-4-1106-preview", 128_000),
        ("gpt-4o-mini", 128_000),
        ("gpt-4.1-mini", 1_047_576),
        ("GPT-5-nano", 400_000),
        ("o3-mini", 200_000),
        ("azure/gpt-4o", 128_000),
        ("meta-llama/Llama-2-70b-chat-hf", 4_096),
        ("meta-llama/Meta-Llama-3.1-8B", 131_072),
        ("our-own-deployment", UNKNOWN),
    ],
)
def test_the_context_of_a_model_is_known_by_its_name(model: str, tokens: int) -> None:
    assert context_of(model) == tokens


words = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=30)
texts = st.lists(words, min_size=1, max_size=120).map(" ".join).map(one_line).filter(bool)
spoken = st.lists(texts, min_size=1, max_size=12).map(
    lambda found: [Line(number, f"#{number} Alice: ", text) for number, text in enumerate(found)]
)


@given(spoken, st.integers(64, 400))
@settings(max_examples=60, deadline=None)
def test_parts_fit_and_hold_every_letter_in_order(lines: list[Line], room: int) -> None:
    parts = parts_of(lines, room)
    assert all(sum(map(size, part)) <= room for part in parts)
    heard: dict[int | None, str] = {}
    for part in parts:
        for line in part:
            heard[line.number] = heard.get(line.number, "") + line.text
    assert {number: text.replace(" ", "") for number, text in heard.items()} == {
        line.number: line.text.replace(" ", "") for line in lines
    }


def test_parts_are_about_equal() -> None:
    lines = [Line(n, "Alice: ", "one two three four five") for n in range(41)]
    sizes = [sum(map(size, part)) for part in parts_of(lines, size(lines[0]) * 20)]
    assert len(sizes) == 3
    assert max(sizes) - min(sizes) <= 2 * size(lines[0])


def test_who_spoke_stands_before_each_piece_of_a_long_turn() -> None:
    [first, second] = [line for part in parts_of([Line(7, "#7 Bob: ", "word " * 70)], 64) for line in part]
    assert (first.head, second.head, first.number, second.number) == ("#7 Bob: ", "#7 Bob: ", 7, 7)


def test_a_name_as_long_as_a_speech_does_not_keep_out_what_was_said() -> None:
    parts = parts_of([Line(0, "x " * 5000, "It was said.")], 100)
    assert " ".join(line.text for part in parts for line in part) == "It was said."
