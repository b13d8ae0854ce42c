"""Finding personal data: what must be masked however it is said, what must be left, and how well it is found."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors.redaction_set import clean_lines, items, scores
from vcon_platform.processors.personal_data import find
from vcon_platform.processors.personal_data_known import Known, known_of
from vcon_platform.processors.personal_data_labels import LABELS, Line, Span, masked
from vcon_platform.processors.personal_data_numbers import Said, cues_in, numbers
from vcon_platform.processors.personal_data_phrases import FINDERS
from vcon_platform.processors.personal_data_tokens import length_of, luhn, tokens_of

DIGITS = "zero one two three four five six seven eight nine".split()  # noqa: SIM905


def shown(*turns: str | tuple[int, str], **how: object) -> list[str]:
    """The turns with marks. A text alone is said by one voice; (voice, text) by that one."""
    lines = [Line(turn, 0) if isinstance(turn, str) else Line(turn[1], turn[0]) for turn in turns]
    return [masked(line.text, spans, "#") for line, spans in zip(lines, find(lines, **how), strict=True)]  # type: ignore[arg-type]


def test_a_card_that_is_read_out_is_masked_however_it_is_said() -> None:
    for said in (
        "four one one one one one one one one one one one one one one one",
        "4111 1111 1111 1111",
        "4-1-1-1 1111 one one one one eleven eleven",
        "forty-one eleven, eleven eleven, eleven eleven, eleven eleven",
        "four triple one um double one double one okay and then double one double one double one double one",
        "for one one one, 1111, one won one one, 1111",
    ):
        [line] = shown(f"So the number is {said}, got that?")
        assert line == "So the number is #, got that?", said


def test_the_listener_does_not_end_a_number() -> None:
    said = shown(
        (0, "Go ahead."), (1, "4111"), (0, "Mm-hmm."), (1, "11 11"), (0, "Okay, go on."), (1, "1111 11"), (1, "11")
    )
    assert [line for line in said if any(letter.isdigit() for letter in line)] == []


def test_a_listener_who_says_more_does_not_end_it_either() -> None:
    said = shown(
        (1, "four one one one one one"), (0, "Hold on, my screen froze. Carry on."), (1, "one one one one one")
    )
    assert said[0] == said[2] == "#"


def test_a_read_back_is_masked_too() -> None:
    assert shown((1, "five five five"), (0, "five five five?"), (1, "one two one two")) == ["#", "#?", "#"]


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("And the three digits on the back?", "four oh two"),
        ("What's your PIN?", "1234"),
        ("The last four of your social?", "six seven eight nine"),
        ("What is the expiration date?", "oh four twenty seven"),
        ("Is the zip still the same?", "9 0 2 1 0"),
        ("Date of birth?", "the fourth of July nineteen eighty"),
        ("Who am I speaking with?", "Zbigniew Wojcik"),
        ("How do you spell that?", "W O J C I K"),
        ("What's your password?", "purple tractor"),
        ("And your email?", "zed dot w at example dot com"),
    ],
)
def test_the_answer_to_a_question_for_personal_data_is_masked(question: str, answer: str) -> None:
    assert shown((0, question), (1, f"{answer}."))[1] == "#."


@pytest.mark.parametrize("line", clean_lines())
def test_numbers_that_are_nobodys_are_left(line: str) -> None:
    assert shown(line) == [line]


def test_a_name_that_was_found_once_is_masked_everywhere() -> None:
    said = shown((0, "My name is Grace."), (1, "Is it right, Grace, that grace periods exist?"))
    assert said == ["My name is #.", "Is it right, #, that grace periods exist?"]


def test_names_of_the_documents_parties_are_masked_also_misheard_ones() -> None:
    known = known_of({"parties": [{"name": "Katherine Meyers"}, {"name": "Support Agent"}]})
    assert known.names == {"katherine", "meyers"}
    assert shown("so catherine Katharine Meyer of support", known=known) == ["so catherine # of support"]


def test_what_is_to_be_kept_is_kept_and_what_is_named_is_masked() -> None:
    assert shown("Welcome to Acme Bank.", keep=["acme bank"]) == ["Welcome to Acme Bank."]
    assert shown("It is project bluebird again.", words=["Project  Bluebird"]) == ["It is # again."]


def test_kinds_that_are_taken_for_one_another_go_together() -> None:
    assert shown("five five five two six seven one", labels=["CARD"]) == ["#"]
    assert shown("My name is Grace.", labels=["CARD"]) == ["My name is Grace."]


# --- properties ------------------------------------------------------------------------------------------------


def numbers_in(*turns: tuple[int, str]) -> list[str]:
    """The turns with what is a number masked, without the language model."""
    said = [Said(text, who, tokens_of(n, text), cues_in(text)) for n, (who, text) in enumerate(turns)]
    lines = [list(text) for _, text in turns]
    for number, start, end, _ in numbers(said):
        lines[number][start:end] = "#" * (end - start)
    return ["".join(line) for line in lines]


@st.composite
def read_out(draw: st.DrawFn) -> list[tuple[int, str]]:
    """Turns in which a number of 7 to 19 digits is read out, in any grouping and wording, the listener between."""
    digits = draw(st.text("0123456789", min_size=7, max_size=19))
    turns: list[tuple[int, str]] = []
    while digits:
        size = draw(st.integers(1, 8))
        piece, digits = digits[:size], digits[size:]
        how = draw(st.sampled_from(["words", "digits", "spaced", "dashes", "commas"]))
        words = [DIGITS[int(digit)] for digit in piece]
        said = {
            "words": " ".join(words),
            "digits": piece,
            "spaced": " ".join(piece),
            "dashes": "-".join(piece),
            "commas": ", ".join(words),
        }[how]
        turns.append((1, said))
        if digits and draw(st.booleans()):
            turns.append(
                (0, draw(st.sampled_from(["Okay.", "Uh-huh.", "Yes, go ahead.", "Got it, and then?", "Right."])))
            )
    return turns


@settings(max_examples=150, deadline=None)
@given(read_out())
def test_no_digit_of_a_long_number_is_left_wherever_it_is_cut(turns: list[tuple[int, str]]) -> None:
    for (who, _), line in zip(turns, numbers_in(*turns), strict=True):
        if who == 1:
            assert not any(letter.isalnum() for letter in line), turns


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), max_size=4))
def test_masked_text_is_put_together_from_what_lies_between(text: str, cuts: list[tuple[int, int]]) -> None:
    spans, done = [], 0
    for start, length in sorted(cuts):
        if done <= start < len(text):
            done = min(len(text), start + length)
            spans.append(Span(start, done, "ID"))
    left = [
        text[a.end : b.start]
        for a, b in zip([Span(0, 0, "ID"), *spans], [*spans, Span(len(text), 0, "ID")], strict=True)
    ]
    assert masked(text, spans, "\x00") == "\x00".join(left)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text(st.sampled_from("aA1 .,-'@$Ünamefoursix\n\u0661\u200b"), max_size=40), max_size=4))
def test_findings_stay_within_their_lines_whatever_is_said(texts: list[str]) -> None:
    said = [Said(text, None, tokens_of(n, text), cues_in(text)) for n, text in enumerate(texts)]
    for finder in (numbers, *FINDERS):
        for number, start, end, _ in finder(said):
            assert 0 <= start < end <= len(texts[number])


@pytest.mark.parametrize(
    "unit", ["a", "a.", "at a.com ", "A", "Al ", "born 1 ", "who is ", "1 ", "a@", "one-", " ", "twenty "]
)
def test_time_is_linear_in_what_is_said(unit: str) -> None:
    def seconds(times: int) -> float:
        text = unit * times
        said = [Said(text, None, tokens_of(0, text), cues_in(text))]
        began = time.process_time()
        for finder in (numbers, *FINDERS):
            for _ in finder(said):
                pass
        return time.process_time() - began

    seconds(10)
    assert seconds(16_000 // len(unit)) < 16 * max(
        seconds(4_000 // len(unit)), 0.02
    )  # four times as long; 16 if squared


def test_number_words_are_worth_what_they_say() -> None:
    assert [token.digits for token in tokens_of(0, "forty-one eleven double five oh 27")] == [
        "4",
        "",
        "1",
        "11",
        "",
        "55",
        "0",
        "27",
    ]
    assert length_of(tokens_of(0, "three hundred sixty five")) == 3
    assert luhn("4111111111111111")
    assert not luhn("4111111111111112")


# --- how well --------------------------------------------------------------------------------------------------


def test_what_the_labelled_set_marks_is_masked() -> None:
    """A part of the set; benchmarks/redaction.py measures the whole. Numbers, addresses and births must all go."""
    found, _ = scores([item for n, item in enumerate(items()) if n % 8 == 0])
    for (part, label), score in found.items():
        least = 0.95 if label in ("PERSON", "LOCATION", "NAME") or part == "written" else 1.0
        assert score.masked / score.letters >= least, (part, label)


def test_importing_it_loads_no_model() -> None:
    code = (
        "import sys; import vcon_platform.processors.redact_audio, vcon_platform.processors.text_pii_redactor; "
        "print([m for m in 'spacy presidio_analyzer tldextract numpy soundfile av'.split() if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_known_reads_any_document() -> None:
    assert known_of({"parties": [5, {"name": ["a"], "tel": 5, "civicaddress": [1]}, {}]}) == Known()
    assert known_of({}) == Known()
    assert "12 baker street" in known_of({"parties": [{"civicaddress": {"a": "12 Baker  Street"}}]}).phrases
    assert set(LABELS) >= {"CARD", "CUSTOM"}
