"""Dialogs in time: when each began and ended, and all of them in the order in which they took place.

Belongs here: reading ``start`` and ``duration`` of a dialog. Not here: reading one date (``dates.py``), the turns
within a dialog (``turns.py``).

Elements of ``dialog`` stand in the order in which they were written down, which need not be that of the
conversation, and their indexes are what everything else points at. So nothing is ever sorted in place: what is
handed out is the index together with the dialog.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from vcon_platform.vcon.dates import read_date
from vcon_platform.vcon.document import Vcon

LONGEST = 10 * 365 * 86_400.0
"""Seconds. A longer duration is no duration of a dialog."""


def array(data: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """An array of the document. What is no object counts as an empty one: indexes are positions and must not move."""
    value = data.get(name)
    return [item if isinstance(item, dict) else {} for item in value] if isinstance(value, list) else []


def started_at(dialog: Mapping[str, Any]) -> float | None:
    """Seconds since 1970 at which the dialog began; None where it does not say so readably. A start without a zone
    is taken as UTC, so that the same document gives the same order on every machine."""
    start = dialog.get("start")
    moment = read_date(start, UTC) if isinstance(start, str) else None
    return None if moment is None else moment.seconds


def duration(dialog: Mapping[str, Any]) -> float | None:
    """Length in seconds; None where the dialog does not say so, or says something that is no length."""
    value = dialog.get("duration")
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST:
        return None
    return float(value)


def ended_at(dialog: Mapping[str, Any]) -> float | None:
    """Seconds since 1970 at which the dialog ended; None unless it has both a start and a duration."""
    begin, length = started_at(dialog), duration(dialog)
    return None if begin is None or length is None else begin + length


def beginnings(dialogs: Sequence[Mapping[str, Any]]) -> list[tuple[float, float | None]]:
    """Per dialog: the moment that it is sorted by, and its own start. One without a readable start follows the one
    that stands before it."""
    begins: list[tuple[float, float | None]] = []
    latest = 0.0
    for dialog in dialogs:
        start = started_at(dialog)
        latest = latest if start is None else start
        begins.append((latest, start))
    return begins


def in_time_order(vcon: Vcon | Mapping[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """(index, dialog) of every dialog, the earliest first; dialogs of one moment keep the order they stand in."""
    dialogs = array(vcon.data if isinstance(vcon, Vcon) else vcon, "dialog")
    begins = beginnings(dialogs)
    return sorted(enumerate(dialogs), key=lambda entry: begins[entry[0]][0])
