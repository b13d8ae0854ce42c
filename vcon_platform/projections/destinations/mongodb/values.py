"""Values as BSON has them.

Belongs here: what a fitted value becomes, and what BSON cannot hold. Not here: documents (``destination.py``).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from vcon_platform.projections.values import ColumnType, Misfit, python_value


def bson_value(value: Any, column_type: ColumnType) -> Any:
    """A value as BSON has it. Raises Misfit also for what BSON cannot hold."""
    return _as_bson(python_value(value, column_type))


def _as_bson(value: Any) -> Any:
    if isinstance(value, Decimal):
        from bson.decimal128 import Decimal128

        try:
            return Decimal128(value)
        except ArithmeticError:
            raise Misfit("has more digits than a Decimal128 of 34") from None
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), UTC)
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        raise Misfit("holds a whole number beyond 64 bits")
    if isinstance(value, list):
        return [_as_bson(item) for item in value]
    if isinstance(value, dict):
        return {name: _as_bson(item) for name, item in value.items()}
    return value
