"""The Airtable table of a projection: its fields, their types, what values become.

Belongs here: what a table must look like, and a row as a record's fields. Not here: calling Airtable
(``destination.py``).

Fields that people added are theirs, and records without a ``_row`` too: they are never read, changed or deleted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import orjson

from vcon_platform.projections.destinations.messages import json_value
from vcon_platform.projections.errors import SchemaConflict
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType, Misfit, fit, python_value

ROW, DAY, HASH = "_row", "_day", "_row_hash"
LONGEST = 100_000
"""Characters of a text."""
_EXACT = 1 << 53
"""Whole numbers beyond are no longer exact there."""
_TEXT = {"type": "multilineText"}
_LINE = {"type": "singleLineText"}
_WHOLE = {"type": "number", "options": {"precision": 0}}
_NUMBER = {"type": "number", "options": {"precision": 8}}
_TYPES: dict[ColumnType, dict[str, Any]] = {
    "text": _TEXT,
    "integer": _WHOLE,
    "bigint": _WHOLE,
    "numeric": _NUMBER,
    "double": _NUMBER,
    "boolean": {"type": "checkbox", "options": {"icon": "check", "color": "greenBright"}},
    "timestamptz": {
        "type": "dateTime",
        "options": {"timeZone": "utc", "dateFormat": {"name": "iso"}, "timeFormat": {"name": "24hour"}},
    },
    "date": {"type": "date", "options": {"dateFormat": {"name": "iso"}}},
    "jsonb": _TEXT,
    "text[]": _TEXT,
    "bigint[]": _TEXT,
    "numeric[]": _TEXT,
}
_TAKE = {
    "multilineText": frozenset({"multilineText", "singleLineText", "richText", "email", "url", "phoneNumber"}),
    "singleLineText": frozenset({"singleLineText", "multilineText"}),
    "number": frozenset({"number", "currency", "percent", "duration"}),
    "checkbox": frozenset({"checkbox"}),
    "dateTime": frozenset({"dateTime"}),
    "date": frozenset({"date", "dateTime"}),
}
"""Types that a person may have chosen in place of ours."""


def fields(projection: Projection) -> list[dict[str, Any]]:
    """The fields of the table. The first is its primary one."""
    declared = [
        {"name": column.name, **(_LINE if column.name == projection.uuid_column else _TYPES[column.type])}
        | ({"description": column.description[:20_000]} if column.description else {})
        for column in projection.columns
    ]
    return [{"name": ROW, **_LINE}, *declared, {"name": DAY, **_LINE}, {"name": HASH, **_LINE}]


def missing(projection: Projection, table: str, found: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fields that the table lacks. Raises :class:`SchemaConflict` for one that cannot hold the column's values."""
    types = {field["name"]: field["type"] for field in found["fields"]}
    lacking: list[dict[str, Any]] = []
    for field in fields(projection):
        has = types.get(field["name"])
        if has is None:
            lacking.append(field)
        elif has not in _TAKE[field["type"]]:
            raise SchemaConflict(
                f"field {field['name']} of table {table} is {has}, projection {projection.name} needs {field['type']}: "
                "change the field's type in Airtable, or give the column another name"
            )
    return lacking


def cell(value: Any, column_type: ColumnType) -> Any:
    """A value as a record holds it. Raises Misfit also for what Airtable cannot hold."""
    if column_type in ("jsonb", "text[]", "bigint[]", "numeric[]"):
        found = python_value(value, column_type)
        text = None if found is None else orjson.dumps(json_value(found)).decode()
    elif column_type == "text":
        text = fit(value, column_type)
    else:
        return _plain(python_value(value, column_type))
    if text is not None and len(text) > LONGEST:
        raise Misfit(f"has more than {LONGEST} characters")
    return text


def _plain(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > _EXACT:
        raise Misfit("is a whole number beyond 2^53, which Airtable does not keep exactly")
    if isinstance(value, Decimal):
        number = float(value)
        if not math.isfinite(number):
            raise Misfit("is a number beyond what Airtable holds")
        return number
    if isinstance(value, date | datetime):
        return json_value(value)
    return value
