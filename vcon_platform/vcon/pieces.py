"""What every reader of transcripts makes, :class:`Piece` and :class:`Word`, and how it reads single values.

Belongs here: numbers, times, names as vendors write them. Not here: the shapes around them (``transcripts.py``,
``plain.py``, ``captions.py``). A value that cannot be read is None; nothing raises.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from vcon_platform.vcon.dates import read_date

MOST_CHANNELS = 256
"""Channels that are told apart; more than any recorder writes."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word. Times in seconds from the start of the dialog, confidence from 0 to 1; None: not said."""

    text: str
    start: float | None
    end: float | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Piece:
    """One turn as the transcript has it. ``at`` (seconds since 1970) is set, and ``start`` not, where it gives a time
    of day; ``end`` is then the turn's length."""

    text: str
    party: int | None = None
    speaker: str | None = None
    channel: int | None = None
    start: float | None = None
    end: float | None = None
    confidence: float | None = None
    words: tuple[Word, ...] = ()
    at: float | None = None


def first(source: Mapping[str, Any], *names: str) -> Any:
    """The first of these members that is there and not null."""
    for name in names:
        if (value := source.get(name)) is not None:
            return value
    return None


def text_of(value: Any) -> str:
    """A string without the space around it; "" for anything else."""
    return value.strip() if isinstance(value, str) else ""


def number(value: Any) -> float | None:
    """A number that is one: not NaN, not true, not negative. Numbers in strings count."""
    if value.__class__ is float:  # each word of a transcript has three of them
        return value if 0 <= value < math.inf else None
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str) and len(value) > 40:
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and found >= 0 else None


_CLOCK = re.compile(r"(?:(\d{1,3}):)?(\d{1,3}):(\d{1,2}(?:[.,]\d{1,6})?)", re.ASCII)


def clock_seconds(value: str) -> float | None:
    """``12:34``, ``1:02:03.5`` or ``01:02:03,500`` in seconds."""
    found = _CLOCK.fullmatch(value)
    if found is None:
        return None
    return round(int(found[1] or 0) * 3600 + int(found[2]) * 60 + float(found[3].replace(",", ".")), 6)


def offset(value: Any) -> float | None:
    """A place in the recording in seconds, as number or as clock."""
    seconds = number(value)
    return clock_seconds(value.strip()) if seconds is None and isinstance(value, str) and len(value) < 20 else seconds


def moment(value: Any) -> float | None:
    """A time of day, in seconds since 1970."""
    found = read_date(value, UTC) if isinstance(value, str) and "-" in value else None
    return None if found is None else found.seconds


def index(value: Any) -> int | None:
    """A small index, also as the only element of a list or as digits."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    found = number(value)
    return int(found) if found is not None and found == int(found) and found < 1_000_000 else None


def channel(value: Any) -> int | None:
    """A channel's number, counted from 0."""
    found = index(value)
    return found if found is not None and found < MOST_CHANNELS else None


def name(value: Any) -> str | None:
    """A speaker's name: text, or a number as Deepgram and WTF write it."""
    if isinstance(value, dict):
        value = first(value, "name", "label", "id")
    if isinstance(value, str):
        return value.strip()[:200] or None
    found = index(value)
    return None if found is None else str(found)


def confidence(value: Any) -> float | None:
    """From 0 to 1."""
    found = number(value)
    return found if found is not None and found <= 1 else None


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; what else is in it is passed over."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
