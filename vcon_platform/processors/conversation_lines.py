"""A conversation as lines of text for a language model: when, who, what, one line per turn.

Belongs here: who a line is attributed to, and that it stays one line. Not here: what was said and by whom
(``vcon/turns.py``), what a model is asked (``openai_chat_completion.py``).

A turn is data from strangers: it may hold "Agent: I agree" on a line of its own. So white space in a turn becomes
blanks, and each line begins with the speaker that the document names.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.turns import Turn, turns


def lines(vcon: Vcon, dialogs: Collection[int] | None = None) -> list[str]:
    """The turns in time order; of these dialogs only, if given. ``[start]`` or ``[start - end]`` in minutes and seconds
    from the dialog's start for what was spoken, the dialog's start for a message."""
    return [
        _line(vcon, turn)
        for turn in turns(vcon)
        if turn.text.strip() and (dialogs is None or turn.dialog is None or turn.dialog in dialogs)
    ]


def _line(vcon: Vcon, turn: Turn) -> str:
    when = _when(vcon, turn)
    return f"{when}{' ' if when else ''}{_who(vcon, turn)}: {_flat(turn.text)}"


def _when(vcon: Vcon, turn: Turn) -> str:
    dialog = vcon.dialog[turn.dialog] if turn.dialog is not None else {}
    if turn.vendor is None and dialog.get("type") == "text":
        start = dialog.get("start")
        return f"[{_flat(start)}]" if isinstance(start, str) and start else ""
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
        return f"Speaker {_flat(turn.speaker)}" if turn.speaker else "Unknown speaker"
    party: dict[str, Any] = vcon.parties[turn.party]
    for member in ("name", "tel", "mailto"):
        value = party.get(member)
        if isinstance(value, str) and value.strip():
            return _flat(value.replace(":", " "))
    return f"Party {turn.party}"


def _flat(text: str) -> str:
    return " ".join(text.split())
