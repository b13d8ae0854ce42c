"""A column's value as BigQuery loads it from a line of JSON.

Belongs here: values. Not here: types of columns (``schema.py``), lines and jobs (``session.py``).
"""

from __future__ import annotations

from datetime import date
from decimal import Context, Decimal
from typing import Any

import orjson

from vcon_platform.projections.values import ColumnType, Misfit, python_value

_LARGEST_NUMERIC = Decimal(10) ** 29
_NINE_PLACES = Decimal("1e-9")
_EXACT = Context(prec=20_100)
"""More digits than a numeric may have."""


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
        return orjson.dumps(fit).decode()  # parsed by the MERGE, so its numbers are BigQuery's affair
    return _plain(fit)


def _plain(fit: Any) -> Any:
    match fit:
        case bool() | float() | str():
            return fit
        case int():
            return str(fit)  # a JSON number would lose digits beyond 2^53
        case Decimal():
            if abs(fit) >= _LARGEST_NUMERIC:
                raise Misfit("a number of more than 29 digits before the point")
            rounded = _EXACT.quantize(fit, _NINE_PLACES)
            return format(rounded.normalize(_EXACT), "f")
        case date():  # a time too
            return fit.isoformat()
    raise Misfit("of no type that BigQuery takes")
