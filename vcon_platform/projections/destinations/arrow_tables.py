"""Rows as Arrow tables: what Parquet files, DuckDB and exports are made of.

Belongs here: how a column type is spelled in Arrow, and values in it. Not here: where a table goes.

pyarrow is an optional package (the extras ``parquet`` and ``duckdb``); nothing here imports it before it is needed.

``numeric`` has a fixed size in Arrow: 20 digits before the point and 18 behind it, which holds every number that JSON's
floats of ordinary size give. What is finer is rounded; what is larger is a misfit.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal, localcontext
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.projections.errors import DestinationError
from vcon_platform.projections.fitting import FittedRow
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType, Misfit, fit, python_value

if TYPE_CHECKING:
    import pyarrow as pa

WHOLE_DIGITS, FRACTION_DIGITS = 20, 18
_STEP = Decimal(1).scaleb(-FRACTION_DIGITS)
_LIMIT = Decimal(10) ** WHOLE_DIGITS


def arrow() -> Any:
    """The module pyarrow. Raises :class:`DestinationError` with the command that installs it."""
    try:
        import pyarrow
    except ImportError:
        raise DestinationError(
            "this needs the package pyarrow, which is not installed: pip install 'vcon-platform[parquet]'"
        ) from None
    return pyarrow


def arrow_type(column_type: ColumnType) -> pa.DataType:
    """Arrow's type of a column type. ``jsonb`` is text: Arrow has no JSON that every reader knows."""
    pa = arrow()
    numeric = pa.decimal128(WHOLE_DIGITS + FRACTION_DIGITS, FRACTION_DIGITS)
    types: dict[ColumnType, Any] = {
        "text": pa.string(),
        "integer": pa.int32(),
        "bigint": pa.int64(),
        "numeric": numeric,
        "double": pa.float64(),
        "boolean": pa.bool_(),
        "timestamptz": pa.timestamp("us", tz="UTC"),
        "date": pa.date32(),
        "jsonb": pa.string(),
        "text[]": pa.list_(pa.string()),
        "bigint[]": pa.list_(pa.int64()),
        "numeric[]": pa.list_(numeric),
    }
    return types[column_type]


def arrow_schema(projection: Projection) -> pa.Schema:
    """The declared columns and the bookkeeping ones, with the descriptions."""
    pa = arrow()
    declared = [
        pa.field(column.name, arrow_type(column.type), metadata={"description": column.description})
        for column in projection.columns
    ]
    own = [
        pa.field("_day", pa.date32()),
        pa.field("_row_hash", pa.string()),
        pa.field("_landed_at", pa.timestamp("us", tz="UTC")),
    ]
    return pa.schema([*declared, *own], metadata={"vcon-platform projection": projection.name})


def arrow_value(value: Any, column_type: ColumnType) -> Any:
    """The value as pyarrow takes it. Raises :class:`Misfit`."""
    if column_type == "jsonb":
        return fit(value, column_type)
    found = python_value(value, column_type)
    if column_type == "numeric" and found is not None:
        return sized(found)
    if column_type == "numeric[]" and found is not None:
        return [None if item is None else sized(item) for item in found]
    return found


def sized(number: Decimal) -> Decimal:
    """The number as Arrow holds it. Raises :class:`Misfit`."""
    if abs(number) >= _LIMIT:
        raise Misfit(f"has more than {WHOLE_DIGITS} digits before the point")
    with localcontext(prec=WHOLE_DIGITS + FRACTION_DIGITS + 2):
        return number.quantize(_STEP)


def arrow_table(projection: Projection, rows: Sequence[FittedRow[Any]], landed_at: datetime) -> pa.Table:
    """These rows (fitted with :func:`arrow_value`) as a table of :func:`arrow_schema`."""
    pa = arrow()
    schema = arrow_schema(projection)
    values: list[list[Any]] = [list(column) for column in zip(*(row.values for row in rows), strict=True)]
    if not rows:
        values = [[] for _ in projection.columns]
    values.append([date.fromisoformat(row.day) for row in rows])
    values.append([row.hash for row in rows])
    values.append([landed_at] * len(rows))
    arrays = [pa.array(column, type=field.type) for column, field in zip(values, schema, strict=True)]
    return pa.table(arrays, schema=schema)


def python_rows(projection: Projection, table: pa.Table, at_once: int = 5_000) -> Iterator[list[tuple[Any, ...]]]:
    """The declared columns of a table as Python values, some rows at a time (:func:`~.values.python_value`)."""
    names = [column.name for column in projection.columns]
    parsed = [column.type == "jsonb" for column in projection.columns]
    for batch in table.select(names).to_batches(max_chunksize=at_once):
        columns = [
            [None if value is None else orjson.loads(value) for value in column.to_pylist()]
            if json
            else column.to_pylist()
            for json, column in zip(parsed, batch.columns, strict=True)
        ]
        yield list(zip(*columns, strict=True))
