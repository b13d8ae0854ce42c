"""Values of columns: the column types, and fitting a row's JSON value to one.

Belongs here: what every destination must agree on. Not here: how a destination spells a type in its own SQL.

Why values are checked here and not by the database: one value that does not fit would otherwise fail the whole
batch it travels in, and the database's message quotes the value, which is personal data.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import orjson

ColumnType = Literal["text", "integer", "bigint", "numeric", "boolean", "timestamptz", "date", "jsonb"]

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


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return _json(value)


def _whole(bits: int) -> Callable[[Any], str]:
    limit = 1 << (bits - 1)

    def fit(value: Any) -> str:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Misfit("not a whole number")
        if not -limit <= value < limit:
            raise Misfit(f"does not fit into {bits} bits")
        return str(value)

    return fit


def _numeric(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise Misfit("not a number")
    try:
        number = Decimal(value if isinstance(value, str) else repr(value))
    except InvalidOperation:
        raise Misfit("not a number") from None
    if not number.is_finite() or abs(number.adjusted()) > _MAX_NUMERIC_EXPONENT:
        raise Misfit("not a finite number of a sensible size")
    return str(number)


def _boolean(value: Any) -> str:
    if not isinstance(value, bool):
        raise Misfit("neither true nor false")
    return "true" if value else "false"


def _timestamp(value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit("not a date and time like 2026-01-31T09:30:00Z")
    return parse_time(value).isoformat()


def _date(value: Any) -> str:
    if not isinstance(value, str):
        raise Misfit("not a date like 2026-01-31")
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return parse_time(value).date().isoformat()


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value).decode()
    except (TypeError, ValueError):
        raise Misfit("not JSON") from None


_FITS: dict[str, Callable[[Any], str]] = {
    "text": _text,
    "integer": _whole(32),
    "bigint": _whole(64),
    "numeric": _numeric,
    "boolean": _boolean,
    "timestamptz": _timestamp,
    "date": _date,
    "jsonb": _json,
}


def fit(value: Any, column_type: ColumnType) -> str | None:
    """The value as the text that every SQL database reads for this type; None stays None. Text is verbatim but for
    U+0000. Raises :class:`Misfit`."""
    if value is None:
        return None
    fitted = _FITS[column_type](without_nul(value))
    try:
        fitted.encode()
    except UnicodeEncodeError:
        raise Misfit("holds half a surrogate pair, which is no text") from None
    return fitted
