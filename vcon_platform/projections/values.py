"""Values of columns: the column types, and fitting a row's JSON value to one.

Belongs here: what every destination must agree on. Not here: how a destination spells a type in its own SQL, and whole
rows (``fitting.py``). A value is fitted to text for what reads SQL or files (:func:`fit`) and to an object for what
takes objects (:func:`python_value`); both refuse the same values, so that no table holds what its neighbour rejects.

Why values are checked here and not by the database: one value that does not fit would otherwise fail the whole
batch it travels in, and the database's message quotes the value, which is personal data.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Literal, cast

import orjson

ColumnType = Literal[
    "text",
    "integer",
    "bigint",
    "numeric",
    "double",
    "boolean",
    "timestamptz",
    "date",
    "jsonb",
    "text[]",
    "bigint[]",
    "numeric[]",
]

_MAX_NUMERIC_EXPONENT = 10_000  # Postgres' numeric ends at 131,072 digits; nobody measures a call with these


class Misfit(ValueError):
    """A value does not fit its column's type. The message does not quote the value."""


def without_nul(value: Any) -> Any:
    """The JSON value with U+0000 removed from every string and member name: Postgres holds it neither in text nor
    in jsonb. The document keeps it; only projections leave it out."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list | tuple):
        return [without_nul(item) for item in value]
    if isinstance(value, dict):
        return {without_nul(str(name)): without_nul(item) for name, item in value.items()}
    return value


def parse_time(text: str) -> datetime:
    """A point in time as vCons write it (RFC 3339; RFC 5322 before 0.0.2), in UTC. One without an offset is taken
    as UTC, so that the same document gives the same row on every machine. Raises :class:`Misfit`."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        try:
            moment = parsedate_to_datetime(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            raise Misfit("not a date and time like 2026-01-31T09:30:00Z") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise Misfit("a time outside the years 1 to 9999") from None


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        raise Misfit("not JSON") from None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return _json(value)


def _whole(bits: int, value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Misfit("not a whole number")
    limit = 1 << (bits - 1)
    if not -limit <= value < limit:
        raise Misfit(f"does not fit into {bits} bits")
    return value


def _numeric(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Misfit("not a number")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise Misfit("not a number") from None
    if not number.is_finite() or abs(number.adjusted()) > _MAX_NUMERIC_EXPONENT:
        raise Misfit("not a finite number of a sensible size")
    return number


def _double(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Misfit("not a number")
    try:
        number = float(value)
    except ValueError:
        raise Misfit("not a number") from None
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise Misfit("not a finite number of a sensible size")
    return number


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Misfit("neither true nor false")
    return value


def _timestamp(value: Any) -> datetime:
    if not isinstance(value, str):
        raise Misfit("not a date and time like 2026-01-31T09:30:00Z")
    return parse_time(value)


def _date(value: Any) -> date:
    if not isinstance(value, str):
        raise Misfit("not a date like 2026-01-31")
    try:
        return date.fromisoformat(value)
    except ValueError:
        return parse_time(value).date()


def _array(element: Callable[[Any], Any], value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise Misfit("not a list")
    return [None if item is None else element(item) for item in value]


def _array_text(element: Callable[[Any], str], value: list[Any]) -> str:
    """Postgres' array literal, each element in quotes (a bare NULL is no text)."""
    inner = ("NULL" if item is None else _quoted(element(item)) for item in value)
    return "{" + ",".join(inner) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _same(value: Any) -> Any:
    return value


def _isoformat(value: date | datetime) -> str:
    return value.isoformat()


def _true_false(value: bool) -> str:
    return "true" if value else "false"


_OBJECTS: dict[str, Callable[[Any], Any]] = {
    "text": _text,
    "integer": partial(_whole, 32),
    "bigint": partial(_whole, 64),
    "numeric": _numeric,
    "double": _double,
    "boolean": _boolean,
    "timestamptz": _timestamp,
    "date": _date,
    "jsonb": _json,  # read back by python_value
    "text[]": partial(_array, _text),
    "bigint[]": partial(_array, partial(_whole, 64)),
    "numeric[]": partial(_array, _numeric),
}
_TEXTS: dict[str, Callable[[Any], str]] = {
    "text": _same,
    "integer": str,
    "bigint": str,
    "numeric": str,
    "double": repr,
    "boolean": _true_false,
    "timestamptz": _isoformat,
    "date": _isoformat,
    "jsonb": _same,
    "text[]": partial(_array_text, _same),
    "bigint[]": partial(_array_text, str),
    "numeric[]": partial(_array_text, str),
}


def fit(value: Any, column_type: ColumnType) -> str | None:
    """The value as the text that every SQL database reads for this type (an array: as Postgres does); None stays None.
    Text is verbatim but for U+0000. Raises :class:`Misfit`."""
    if value is None:
        return None
    if column_type == "text" and value.__class__ is str and value.isascii() and "\0" not in value:  # nearly all
        return value
    if value.__class__ is not int and value.__class__ is not float:
        value = without_nul(value)
    fitted = _TEXTS[column_type](_OBJECTS[column_type](value))
    if not fitted.isascii():
        _refuse_half_pairs(fitted)
    return fitted


def python_value(value: Any, column_type: ColumnType) -> Any:
    """The value as a Python object of this type; None stays None. text: str, integer and bigint: int, numeric:
    Decimal, double: float, boolean: bool, timestamptz: datetime in UTC, date: date, jsonb: what JSON holds, arrays:
    list of these, which may hold None. Text is verbatim but for U+0000. Raises :class:`Misfit`, as :func:`fit` does.
    """
    if value is None:
        return None
    found = _OBJECTS[column_type](without_nul(value))
    if column_type == "jsonb":
        return orjson.loads(found)
    if column_type == "text":
        _refuse_half_pairs(cast("str", found))
    elif column_type == "text[]":
        for item in found:
            _refuse_half_pairs(item or "")
    return found


def _refuse_half_pairs(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Misfit("holds half a surrogate pair, which is no text") from None
