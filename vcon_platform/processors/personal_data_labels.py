"""What personal data is called, and text with marks in its place.

Belongs here: the words that processors and the detector share. Not here: finding (``personal_data.py``), which compiles
some hundred patterns when it is imported, and so is imported by whoever looks for something only then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

Label = Literal[
    "PERSON",
    "LOCATION",
    "PHONE",
    "EMAIL",
    "CARD",
    "BANK",
    "NATIONAL_ID",
    "ID",
    "BIRTH_DATE",
    "SECRET",
    "IP",
    "NAME",
    "CUSTOM",
]
"""The kinds of personal data. ID: any other number or code that stands for somebody or something of his (accounts,
policies, orders, and every long number nobody explains). NAME: a proper noun that nothing tells more about, often a
name or a town the model does not know, sometimes a product. CUSTOM: what the options name."""

LABELS: tuple[Label, ...] = get_args(Label)


@dataclass(frozen=True, slots=True)
class Line:
    """One turn: what was said, and by whom (a party, a voice, anything that can be compared; None: nobody knows)."""

    text: str
    who: object = None


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start`` to ``end`` of a line are personal data of the kind ``label``."""

    start: int
    end: int
    label: Label


def masked(text: str, spans: Sequence[Span], mark: str) -> str:
    """The text with a mark in the place of each span, put together from what lies between the spans: nothing of a span
    is ever in it. ``{label}`` in ``mark`` is the span's kind."""
    parts: list[str] = []
    done = 0
    for span in spans:
        parts += [text[done : span.start], mark.replace("{label}", span.label)]
        done = span.end
    return "".join([*parts, text[done:]])
