"""A conversation as lines of text for a language model: when, who, what, one line per turn.

Belongs here: who a line is attributed to, that it stays one line, that nothing in it is a command to a model's
template. Not here: what was said and by whom (``vcon/turns.py``), what a model is asked (``model_question.py``).

A turn is data from strangers: it may hold "Agent: I agree" on a line of its own. So white space in a turn becomes
blanks, and each line begins with the speaker that the document names. It may also hold the marks by which some models'
templates tell the system's words from a user's (``<|im_start|>system``), which servers on one's own machine take for
what they are: a blank is put into those.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.turns import Turn, turns

_NAMES = "s|start_of_turn|end_of_turn|bos|eos|system|transcript"
_MARKS = re.compile(
    rf"<(?=\||\uff5c|/?(?:{_NAMES})>|</?SYS>>)|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS)\])",
    re.IGNORECASE,
)
"""The first sign of a mark that a template, or the frame of our own, gives a meaning to."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line. ``number``: the index of its turn among ``turns(vcon)``, None where it is none's; ``head``: when and
    who, up to the blank before ``text``."""

    number: int | None
    head: str
    text: str

    def __str__(self) -> str:
        return self.head + self.text


def said(
    vcon: Vcon,
    dialogs: Collection[int] | None = None,
    *,
    numbered: bool = False,
    table: Sequence[Turn] | None = None,
) -> list[Line]:
    """The turns in time order; of these dialogs only, if given. ``[start]`` or ``[start - end]`` in minutes and seconds
    from the dialog's start for what was spoken, the dialog's start for a message. ``numbered``: each line begins with
    ``#7``, its number, so that an answer can point at it. ``table``: the turn table, where it is at hand."""
    return [
        Line(number, f"{f'#{number} ' if numbered else ''}{_head(vcon, turn)}", one_line(turn.text))
        for number, turn in enumerate(turns(vcon, words=False) if table is None else table)
        if turn.text.strip() and (dialogs is None or turn.dialog is None or turn.dialog in dialogs)
    ]


def one_line(text: str) -> str:
    """A text of a stranger's on one line, without marks that a model's template would obey."""
    return _MARKS.sub(lambda found: f"{found[0]} ", " ".join(text.split()))


def _head(vcon: Vcon, turn: Turn) -> str:
    when = _when(vcon, turn)
    return f"{when}{' ' if when else ''}{_who(vcon, turn)}: "


def _when(vcon: Vcon, turn: Turn) -> str:
    dialog = vcon.dialog[turn.dialog] if turn.dialog is not None else {}
    if turn.vendor is None and dialog.get("type") == "text":
        start = dialog.get("start")
        return f"[{one_line(start)}]" if isinstance(start, str) and start else ""
    if turn.start is None:
        return ""
    return f"[{_clock(turn.start)}]" if turn.end is None else f"[{_clock(turn.start)} - {_clock(turn.end)}]"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _who(vcon: Vcon, turn: Turn) -> str:
    """The party's name, else how it is reached, else its number; a voice that is nobody's keeps its own number."""
    if turn.party is None:
        return f"Speaker {one_line(turn.speaker)}" if turn.speaker else "Unknown speaker"
    party: dict[str, Any] = vcon.parties[turn.party]
    for member in ("name", "tel", "mailto"):
        value = party.get(member)
        if isinstance(value, str) and value.strip():
            return one_line(value.replace(":", " "))
    return f"Party {turn.party}"
