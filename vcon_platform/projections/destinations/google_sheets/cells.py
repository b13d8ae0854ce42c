"""A column's value as a cell of a spreadsheet.

Belongs here: values. Not here: where the cells are (``tabs.py``).

Everything is written RAW, so a text stays what it is and no "=" begins a formula. A cell's number is a double of which
15 digits are shown: a number with more of them becomes a text, because a long number that is nearly right is wrong.
Dates and times become real dates (days since 1899-12-30, in UTC), so that people can sort, filter and group by them;
those before 1900, where spreadsheets disagree about the calendar, stay texts.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import orjson

from vcon_platform.projections.values import ColumnType, Misfit, python_value

CELL_CHARACTERS = 50_000
"""What a cell holds at most, counted in UTF-16 units."""
DATE_FORMAT = {"type": "DATE", "pattern": "yyyy-mm-dd"}
TIME_FORMAT = {"type": "DATE_TIME", "pattern": "yyyy-mm-dd hh:mm:ss"}

Cell = str | int | float | bool
LongText = Literal["reject", "cut"]
_ZERO = datetime(1899, 12, 30, tzinfo=UTC)
_FIRST = datetime(1900, 3, 1, tzinfo=UTC)
_DIGITS = 15


def cell(value: Any, column_type: ColumnType, long_text: LongText) -> Cell | None:
    """The value as a cell; None stays None (an empty cell). Raises :class:`Misfit`, also for a text longer than
    :data:`CELL_CHARACTERS`, unless it is to be cut."""
    found = python_value(value, column_type)
    if found is None or isinstance(found, bool):
        return found
    if column_type in ("integer", "bigint", "numeric", "double"):
        return number(found)
    if isinstance(found, date):  # datetime is one too
        return serial(found)
    if column_type == "numeric[]":
        found = "[" + ",".join("null" if item is None else str(item) for item in found) + "]"
    elif not isinstance(found, str) or column_type == "jsonb":
        found = orjson.dumps(found).decode()
    return _fitting(found, long_text)


def number(value: Decimal | float) -> Cell:
    """A number where a cell can show it exactly, else its digits as text."""
    if isinstance(value, float):
        return value
    exact = Decimal(value)
    if len(exact.normalize().as_tuple().digits) > _DIGITS or abs(exact.adjusted()) > 300:
        return str(value)
    if exact == exact.to_integral_value() and abs(exact.adjusted()) < _DIGITS:
        return int(exact)
    return float(exact)


def serial(moment: date) -> Cell:
    """A date, or a time in UTC, as a spreadsheet counts: days since 1899-12-30."""
    whole_day = not isinstance(moment, datetime)
    when = moment if isinstance(moment, datetime) else datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
    if when < _FIRST:
        return moment.isoformat()
    days = (when - _ZERO) / timedelta(days=1)
    return int(days) if whole_day else days


def _fitting(text: str, long_text: LongText) -> str:
    if len(text) <= CELL_CHARACTERS // 2:
        return text
    units = text.encode("utf-16-le")
    if len(units) // 2 <= CELL_CHARACTERS:
        return text
    if long_text == "reject":
        raise Misfit(f"longer than the {CELL_CHARACTERS:,} characters that a cell of Google Sheets holds")
    return units[: (CELL_CHARACTERS - 1) * 2].decode("utf-16-le", errors="ignore") + "…"
