"""A column's value as BigQuery loads it from a line of JSON.

Belongs here: values. Not here: types of columns (``bigquery_schema.py``), lines and jobs (``bigquery_session.py``).
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import orjson

from vcon_platform.projections.values import ColumnType, Misfit, python_value

_LARGEST_NUMERIC = Decimal(10) ** 29
_NINE_PLACES = Decimal("1e-9")
_DEEPEST_JSON = 500


def value(found: Any, column_type: ColumnType) -> Any:
    """A value as it stands in a line of JSON; None stays None. Numerics are rounded to nine decimal places, which is
    BigQuery's NUMERIC. Raises :class:`Misfit`."""
    fit = python_value(found, column_type)
    if fit is None:
        return None
    if isinstance(fit, list) and column_type.endswith("[]"):
        if any(item is None for item in fit):
            raise Misfit("an element is empty, which BigQuery's arrays do not hold")
        return [_plain(item) for item in fit]
    if column_type == "jsonb":
        return _json(fit)
    return _plain(fit)


def _plain(fit: Any) -> Any:
    match fit:
        case bool() | float() | str():
            return fit
        case int():
            return str(fit)  # a JSON number would lose digits beyond 2^53
        case Decimal():
            rounded = fit.quantize(_NINE_PLACES) if abs(fit) < _LARGEST_NUMERIC else fit
            if abs(rounded) >= _LARGEST_NUMERIC:
                raise Misfit("a number of more than 29 digits before the point")
            return format(rounded.normalize(), "f")
        case date():  # a time too
            return fit.isoformat()
    raise Misfit("of no type that BigQuery takes")


def _json(fit: Any) -> str:
    """JSON as text, parsed by the MERGE: so its numbers are BigQuery's affair, and a text is no object."""
    level, depth = [fit], 0
    while level := [each for one in level for each in _inner(one)]:
        depth += 1
        if depth > _DEEPEST_JSON - 2:
            raise Misfit(f"nested deeper than {_DEEPEST_JSON}, which BigQuery's JSON does not hold")
    return orjson.dumps(fit).decode()


def _inner(one: Any) -> list[Any]:
    members = one.values() if isinstance(one, dict) else one if isinstance(one, list) else ()
    return [each for each in members if isinstance(each, dict | list)]
