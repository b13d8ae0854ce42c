"""Rows into BigQuery: a load job into a table of its own, then one MERGE.

Belongs here: how sets become jobs. Not here: tables (``schema.py``), and calls (``client.py``).

A session collects its rows in a file; when it ends they are loaded into a staging table and merged, once. Rows are
never streamed in: those could not be changed or deleted for up to 90 minutes. The MERGE is one statement, which happens
or does not. The staging table says for each conversation that its rows are to go (everywhere, or on the session's
days), and holds the rows that come: a row of the table matches what says that it goes and is deleted, and what comes
matches nothing and is inserted. So a set is replaced whole whatever stood there, also when somebody had doubled rows by
hand, and running the statement again gives the same table. Only days that hold rows of the conversations are read:
BigQuery charges by the partitions that a statement names.
"""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

import orjson

from vcon_platform.projections.destination import Rejected, Session, Written
from vcon_platform.projections.destinations.bigquery.client import Warehouse
from vcon_platform.projections.destinations.bigquery.options import TableName
from vcon_platform.projections.destinations.bigquery.schema import BOOKKEEPING, type_of
from vcon_platform.projections.destinations.bigquery.values import value
from vcon_platform.projections.errors import DestinationError
from vcon_platform.projections.fitting import fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import count_of

if TYPE_CHECKING:
    from google.cloud.bigquery import SchemaField

    from vcon_platform.projections.rows import RowSet

UUIDS = 10_000
"""Conversations that one statement names at most."""
STAGING_LIVES = timedelta(hours=3)
"""A staging table that a dying process leaves goes by itself after so long."""
_LARGEST_ROW = 90_000_000


def _file() -> IO[bytes]:
    return tempfile.TemporaryFile()  # without a name: nobody else reads it, and it goes with the process


@dataclass(slots=True)
class _Staged:
    """The rows that come: lines of JSON in a file, and where each set's stand in it."""

    file: IO[bytes] = field(default_factory=_file)
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    days: dict[str, str] = field(default_factory=dict)
    end: int = 0

    def put(self, uuid: str, day: str, lines: bytes) -> None:
        self.file.seek(self.end)
        self.file.write(lines)
        self.places[uuid] = (self.end, len(lines))
        self.days[uuid] = day
        self.end += len(lines)

    def drop(self, uuid: str) -> None:
        del self.places[uuid], self.days[uuid]

    def lines(self, gone: Mapping[str, str]) -> tuple[IO[bytes], int]:
        """A file of what is to be loaded, at its beginning, and its size: who goes, then who comes. What was put and
        put again or dropped is left out."""
        file = _file()
        file.writelines(orjson.dumps({"op": how, "uuid": uuid}) + b"\n" for uuid, how in gone.items())
        for start, length in self.places.values():
            self.file.seek(start)
            file.write(self.file.read(length))
        size = file.tell()
        file.seek(0)
        return file, size


class BigQuerySession(Session):
    """See :class:`Session`. Left by an error, nothing was changed."""

    def __init__(self, projection: Projection, days: Sequence[str], warehouse: Warehouse) -> None:
        self._projection = projection
        self._days = list(days)
        self._warehouse = warehouse
        self._table = TableName.of(projection)
        self._told: dict[str, float] = {}
        self._asked: set[str] = set()
        self._standing: dict[str, str] = {}
        self._touched = set(days)
        self._staged = _Staged()
        self._gone: dict[str, str] = {}  # "replace": on every day; "delete": on the session's

    @property
    def told(self) -> Mapping[str, float | str]:
        return self._told

    def write(self, sets: Sequence[RowSet]) -> Written:
        rows, rejected = fitted(self._projection, sets, value)
        standing, now, changed = self._know([each.uuid for each in sets]), datetime.now(UTC).isoformat(), []
        lines: dict[str, list[bytes]] = {each.uuid: [] for each in sets}
        for row in rows:
            cells = {f"c{place}": cell for place, cell in enumerate(row.values) if cell is not None}
            line = orjson.dumps(cells | {"op": "put", "day": row.day, "hash": row.hash, "landed": now}) + b"\n"
            if len(line) > _LARGEST_ROW:
                rejected.append(Rejected(row.uuid, None, "larger than the 100 MB that a row of BigQuery may have"))
                continue
            lines[row.uuid].append(line)
        for each in {each.uuid: each for each in sets}.values():
            before = standing.get(each.uuid)
            if before == each.hash and each.day in self._days:
                continue
            changed.append(each.uuid)
            standing[each.uuid] = each.hash if len(lines[each.uuid]) == len(each.rows) else ""
            self._gone[each.uuid] = "replace"
            self._staged.put(each.uuid, each.day, b"".join(lines[each.uuid]))
        return Written(tuple(changed), tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        standing, found = self._know(uuids), []
        for each in dict.fromkeys(uuids):
            staged = self._staged.days.get(each)
            if each not in standing or (staged is not None and staged not in self._days):
                continue
            if staged is not None:
                self._staged.drop(each)
            else:
                self._gone[each] = "delete"
            del standing[each]
            found.append(each)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._gone:
                self._merge()
        finally:
            self._staged.file.close()
            self._told = self._warehouse.bill()

    def _know(self, uuids: Sequence[str]) -> dict[str, str]:
        """uuid to hash of what stands on the session's days, with its changes, of these at least: "" for a set that is
        not whole, or stands elsewhere too. Asks about each once, and takes down on which days it has rows."""
        new = [each for each in dict.fromkeys(uuids) if each not in self._asked]
        self._asked.update(new)
        statement = (
            f"SELECT {self._uuid}, _day, _row_hash, COUNT(*) FROM {self._table.quoted} "  # noqa: S608 - as below
            f"WHERE {self._uuid} IN UNNEST(@uuids) GROUP BY 1, 2, 3"
        )
        seen: set[str] = set()
        for at in range(0, len(new), UUIDS):
            for each, day, digest, number in self._warehouse.rows(statement, uuids=("STRING", new[at : at + UUIDS])):
                self._touched.add(day.isoformat())
                if each in seen and each in self._standing:
                    self._standing[each] = ""
                elif day.isoformat() in self._days:
                    self._standing[each] = digest if each not in seen and count_of(digest) == number else ""
                seen.add(each)
        return self._standing

    def _merge(self) -> None:
        if not self._staged.places:
            doomed = list(self._gone)
            for at in range(0, len(doomed), UUIDS):
                delete(self._warehouse, self._projection, doomed[at : at + UUIDS], self._days)
            return
        staging = self._table.beside(f"__staging_{uuid.uuid4().hex[:12]}")
        columns = self._staging_columns()
        self._warehouse.create_staging(staging, columns, datetime.now(UTC) + STAGING_LIVES)
        try:
            file, size = self._staged.lines(self._gone)
            with file:
                self._warehouse.load(file, size, staging, columns)
            self._warehouse.change(
                self._statement(staging),
                touched=("DATE", sorted(self._touched)),
                days=("DATE", self._days),
            )
        finally:
            with contextlib.suppress(DestinationError):  # it goes by itself, and must not hide what went wrong
                self._warehouse.drop(staging)

    def _statement(self, staging: TableName) -> str:
        names = [*(f"`{column.name}`" for column in self._projection.columns), *BOOKKEEPING]
        values = [
            f"PARSE_JSON(S.c{place}, wide_number_mode => 'round')" if column.type == "jsonb" else f"S.c{place}"
            for place, column in enumerate(self._projection.columns)
        ]
        return (
            f"MERGE {self._table.quoted} T USING {staging.quoted} S "  # noqa: S608 - names are checked, values are rows
            f"ON T.{self._uuid} = S.uuid AND T._day IN UNNEST(@touched) "
            "AND (S.op = 'replace' OR (S.op = 'delete' AND T._day IN UNNEST(@days))) "
            "WHEN MATCHED THEN DELETE "
            f"WHEN NOT MATCHED AND S.op = 'put' THEN INSERT ({', '.join(names)}) "
            f"VALUES ({', '.join(values)}, S.day, S.hash, S.landed)"
        )

    def _staging_columns(self) -> list[SchemaField]:
        """What the file holds. Its names are not the declaration's, so that none of those can be one of ours."""
        from google.cloud.bigquery import SchemaField

        own = (("op", "STRING"), ("uuid", "STRING"), ("day", "DATE"), ("hash", "STRING"), ("landed", "TIMESTAMP"))
        columns = [SchemaField(name, kind) for name, kind in own]
        for place, column in enumerate(self._projection.columns):
            kind, many = type_of(column)
            kind = "STRING" if kind == "JSON" else kind
            columns.append(SchemaField(f"c{place}", kind, "REPEATED" if many else "NULLABLE"))
        return columns

    @property
    def _uuid(self) -> str:
        return f"`{self._projection.uuid_column}`"


def standing(warehouse: Warehouse, projection: Projection, days: Sequence[str]) -> dict[str, str]:
    """uuid to hash of every set that stands on these days, "" for one that is not whole."""
    statement = (
        f"SELECT `{projection.uuid_column}`, _row_hash, COUNT(*) FROM {TableName.of(projection).quoted} "  # noqa: S608
        "WHERE _day IN UNNEST(@days) GROUP BY 1, 2"
    )
    found: dict[str, str] = {}
    for each, digest, number in warehouse.rows(statement, days=("DATE", list(days))):
        found[each] = "" if each in found or count_of(digest) != number else digest
    return found


def delete(warehouse: Warehouse, projection: Projection, uuids: Sequence[str], days: Sequence[str]) -> int:
    """Remove the rows of these conversations that stand on these days."""
    return warehouse.change(
        f"DELETE FROM {TableName.of(projection).quoted} "  # noqa: S608 - names are checked, values are parameters
        f"WHERE _day IN UNNEST(@days) AND `{projection.uuid_column}` IN UNNEST(@uuids)",
        days=("DATE", list(days)),
        uuids=("STRING", list(uuids)),
    )
