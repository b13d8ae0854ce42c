"""Lines of a conversation: one per turn, whatever strangers write into it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors.support import document
from vcon_platform.processors.conversation_lines import one_line, said
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.turns import turns

MARKS = [
    "<|im_start|>",
    "<|eot_id|>",
    "</s>",
    "<s>",
    "[INST]",
    "[/INST]",
    "<<SYS>>",
    "<start_of_turn>",
    "</transcript>",
]


def spoken(*texts: str) -> Vcon:
    dialog = [{"type": "text", "start": "2026-09-01T12:00:00Z", "parties": [0], "body": text} for text in texts]
    return Vcon(document(dialog=dialog, parties=[{"name": "Alice"}]))


@given(st.lists(st.text(max_size=60) | st.sampled_from(MARKS), max_size=8).map("\n".join))
@settings(max_examples=80, deadline=None)
def test_whatever_was_said_stays_one_line_without_marks(text: str) -> None:
    line = one_line(text)
    assert len(line.splitlines()) <= 1
    assert not any(mark.casefold() in line.casefold() for mark in MARKS)


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_only_blanks_are_added_or_changed(text: str) -> None:
    assert "".join(one_line(text).split()) == "".join(text.split())


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_of_a_template_is_broken(mark: str) -> None:
    assert one_line(mark.upper()) != mark.upper()


@pytest.mark.parametrize("harmless", ["a < b", "<b>bold</b>", "[5 - 7]", "<http://x.example>", "<3", "x<y|z"])
def test_what_is_no_mark_stays_as_it_is(harmless: str) -> None:
    assert one_line(harmless) == harmless


def test_numbers_are_indexes_into_the_turn_table() -> None:
    vcon = spoken("One.", "  ", "Three.")
    lines = said(vcon, numbered=True)
    assert [turns(vcon)[line.number].text for line in lines if line.number is not None] == ["One.", "Three."]
    assert [str(line).split()[0] for line in lines] == [f"#{line.number}" for line in lines]
