"""Conversations for notebooks: what was said as a pandas DataFrame.

Belongs here: the columns and their types. Not here: what a turn is (``turns.py``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from vcon_platform.vcon.dialogs import array, started_at
from vcon_platform.vcon.turns import Turn, turns

if TYPE_CHECKING:
    import pandas as pd

    from vcon_platform.vcon.document import Vcon

_DTYPES = {
    "dialog": "Int64",
    "turn": "Int64",
    "party": "Int64",
    "name": "string",
    "role": "string",
    "speaker": "string",
    "channel": "Int64",
    "at": "datetime64[us, UTC]",
    "start": "Float64",
    "end": "Float64",
    "text": "string",
    "confidence": "Float64",
    "vendor": "string",
}


def turns_frame(vcon: Vcon) -> pd.DataFrame:
    """One row per turn, in the order in which they were said.

    ``dialog`` and ``party`` are indexes into the document, ``turn`` counts within the dialog; ``name`` and ``role`` are
    the party's, ``speaker`` is what the transcript calls the voice. ``start`` and ``end`` are seconds from the dialog's
    start, ``at`` is the moment in UTC. What is not known is missing, and a conversation of which nothing is known to
    have been said gives a frame without rows.
    """
    import pandas as pd

    parties, dialogs = array(vcon.data, "parties"), array(vcon.data, "dialog")
    rows = [_row(turn, parties, dialogs) for turn in turns(vcon, words=False)]
    return pd.DataFrame({name: pd.Series([row[name] for row in rows], dtype=kind) for name, kind in _DTYPES.items()})


def _row(turn: Turn, parties: list[dict[str, Any]], dialogs: list[dict[str, Any]]) -> dict[str, Any]:
    party = {} if turn.party is None else parties[turn.party]
    return {
        "dialog": turn.dialog,
        "turn": turn.turn,
        "party": turn.party,
        "name": _text(party.get("name")),
        "role": _text(party.get("role")),
        "speaker": turn.speaker,
        "channel": turn.channel,
        "at": None if turn.dialog is None else _moment(dialogs[turn.dialog], turn.start),
        "start": turn.start,
        "end": turn.end,
        "text": turn.text,
        "confidence": turn.confidence,
        "vendor": turn.vendor,
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _moment(dialog: dict[str, Any], seconds: float | None) -> datetime | None:
    begin = started_at(dialog)
    try:
        return None if begin is None else datetime.fromtimestamp(begin + (seconds or 0.0), UTC)
    except (OverflowError, ValueError, OSError):
        return None
