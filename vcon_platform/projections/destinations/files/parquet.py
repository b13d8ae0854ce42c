"""Parquet as a destination: one file per day, typed by Arrow, compressed with zstd, sorted by uuid.

Belongs here: reading and making such a file. Not here: folders and sessions (``base.py``), types
(``../arrow_tables.py``).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from vcon_platform.projections.destination import Connections
from vcon_platform.projections.destinations.arrow_tables import (
    arrow,
    arrow_schema,
    arrow_table,
    arrow_value,
    python_rows,
)
from vcon_platform.projections.destinations.files.base import DailyFilesDestination, Row, now, told
from vcon_platform.projections.errors import SchemaConflict
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType

if TYPE_CHECKING:
    import pyarrow as pa


class ParquetDestination(DailyFilesDestination):
    """Rows in ``day=2026-03-02/rows.parquet``."""

    kind: ClassVar[str] = "parquet"
    title: ClassVar[str] = "Parquet"

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:
        arrow()  # tells what to install before anything is read
        return super().connect(projection, connections)

    @classmethod
    def suffix(cls, projection: Projection) -> str:  # noqa: ARG003
        return ".parquet"

    @classmethod
    def value(cls, projection: Projection) -> Callable[[Any, ColumnType], Any]:  # noqa: ARG003
        return arrow_value

    @classmethod
    def sets_in(cls, projection: Projection, data: bytes) -> Mapping[str, tuple[str, int]]:
        import pyarrow.parquet as pq

        names = [projection.uuid_column, "_row_hash"]
        table = pq.read_table(io.BytesIO(data), columns=names)
        return told(zip(*(table.column(name).to_pylist() for name in names), strict=True))

    @classmethod
    def made(cls, projection: Projection, before: bytes | None, drop: Collection[str], rows: Sequence[Row]) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        table = arrow_table(projection, rows, now())
        if before is not None:
            kept = _kept(projection, pq.read_table(io.BytesIO(before)), drop)
            table = pa.concat_tables([kept, table]).sort_by(projection.uuid_column)
        out = io.BytesIO()
        pq.write_table(table, out, compression="zstd")
        return out.getvalue()

    @classmethod
    def values_in(cls, projection: Projection, data: bytes, names: Sequence[str]) -> Iterable[Sequence[Any]]:  # noqa: ARG003
        import pyarrow.parquet as pq

        file = pq.ParquetFile(io.BytesIO(data))
        there = [name for name in names if name in file.schema_arrow.names]
        table = file.read(columns=there)
        nothing = [None] * table.num_rows
        return zip(*(table.column(name).to_pylist() if name in there else nothing for name in names), strict=True)

    def read(self, projection: Projection, first: str, last: str) -> Iterator[list[tuple[Any, ...]]]:
        import pyarrow.parquet as pq

        for data in self.files(projection, first, last):
            table = _kept(projection, pq.read_table(io.BytesIO(data)), ())
            yield from python_rows(projection, table)


def _kept(projection: Projection, table: pa.Table, drop: Collection[str]) -> pa.Table:
    """The rows of other conversations, in today's columns: a new one is empty, one that is gone is left out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    uuids = table.column(projection.uuid_column)
    table = table.filter(pc.invert(pc.is_in(uuids, value_set=pa.array(list(drop), type=pa.string()))))
    schema = arrow_schema(projection)
    columns = []
    for field in schema:
        if field.name not in table.column_names:
            columns.append(pa.nulls(table.num_rows, field.type))
            continue
        try:
            columns.append(table.column(field.name).cast(field.type))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            raise SchemaConflict(
                f"projection {projection.name}: column {field.name} of a Parquet file holds values that are no "
                f"{field.type}: give the column another name, or delete the day's file and materialise the day again"
            ) from None
    return pa.table(columns, schema=schema)
