"""Rows of a projection as one file: CSV, NDJSON or Parquet.

Belongs here: from rows to bytes, some at a time. Not here: where rows come from (``reading.py``), files that a landing
keeps (``destinations/files``).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

import orjson

from vcon_platform.projections.destinations.arrow_tables import arrow, arrow_type, sized
from vcon_platform.projections.destinations.files.csv import cell_of, line
from vcon_platform.projections.destinations.files.ndjson import json_line, plain_json
from vcon_platform.projections.model import Projection

if TYPE_CHECKING:
    from collections.abc import Sequence

Rows = Iterator[list[tuple[Any, ...]]]


def write_csv(projection: Projection, rows: Rows, out: IO[bytes], *, safe: bool) -> int:
    """CSV as the destination ``csv`` writes it, without its own columns. ``safe``: what a spreadsheet would run gets a
    ``'`` before it. Gives the number of rows."""
    out.write(line([column.name for column in projection.columns]).encode())
    types = [column.type for column in projection.columns]
    written = 0
    for some in rows:
        out.write(
            "".join(
                [
                    line([cell_of(value, each, safe=safe) for value, each in zip(row, types, strict=True)])
                    for row in some
                ]
            ).encode()
        )
        written += len(some)
    return written


def write_ndjson(projection: Projection, rows: Rows, out: IO[bytes]) -> int:
    """One JSON object per row. Gives the number of rows."""
    names = [column.name for column in projection.columns]
    written = 0
    for some in rows:
        for row in some:
            out.write(json_line(dict(zip(names, map(plain_json, row), strict=True))).encode())
        written += len(some)
    return written


def write_parquet(projection: Projection, rows: Rows, out: IO[bytes]) -> int:
    """Parquet, compressed with zstd. Gives the number of rows. Raises DestinationError where pyarrow is missing."""
    pa = arrow()
    import pyarrow.parquet as pq

    types = [column.type for column in projection.columns]
    schema = pa.schema(
        [
            pa.field(column.name, arrow_type(column.type), metadata={"description": column.description})
            for column in projection.columns
        ]
    )
    written = 0
    with pq.ParquetWriter(out, schema, compression="zstd") as writer:
        for some in rows:
            columns: list[Sequence[Any]] = list(zip(*some, strict=True))
            arrays = [
                pa.array([_arrow(value, each) for value in values], type=field.type)
                for values, each, field in zip(columns, types, schema, strict=True)
            ]
            writer.write_table(pa.table(arrays, schema=schema))
            written += len(some)
    return written


def _arrow(value: Any, column_type: str) -> Any:
    if value is None:
        return None
    if column_type == "jsonb":
        return orjson.dumps(value).decode()
    if column_type == "numeric":
        return sized(value)
    if column_type == "numeric[]":
        return [None if item is None else sized(item) for item in value]
    return value
