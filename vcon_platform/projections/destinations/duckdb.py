"""A DuckDB file as a destination: a table that analysts query without a server.

Belongs here: the file and the rows in it. Not here: the table's statements (``duckdb_table.py``), how values are typed
(``arrow_tables.py``).

A session is one transaction. There is no primary key: DuckDB checks it against rows that the same transaction has
deleted, so replacing a set would fail; that keys are unique follows from replacing sets whole. One process at a time
may write a DuckDB file, and none while another reads it: a landing waits a while, and then the rows follow at the next
try.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel

from vcon_platform.projections.destination import Connections, Destination, Faults, Session, Step, Written
from vcon_platform.projections.destinations.arrow_tables import arrow, arrow_table, arrow_value, python_rows
from vcon_platform.projections.destinations.duckdb_table import (
    DuckDbOptions,
    Refused,
    columns_of,
    creation,
    lacking,
    options_of,
    quoted,
    table_of,
)
from vcon_platform.projections.destinations.files.base import now
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.projections.fitting import fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet, count_of

if TYPE_CHECKING:
    import duckdb

WAIT_SECONDS = 20.0


class DuckDbDestination(Destination):
    """Rows in a table of a DuckDB file."""

    kind: ClassVar[str] = "duckdb"
    title: ClassVar[str] = "DuckDB"
    options: ClassVar[type[BaseModel]] = DuckDbOptions

    def __init__(self, file: Path, wait_seconds: float = WAIT_SECONDS) -> None:
        self._file, self._wait_seconds = file, wait_seconds

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:
        arrow()
        _duckdb()
        return cls(connections.data_dir / options_of(projection).path)

    @classmethod
    def target(cls, projection: Projection) -> str:
        options = options_of(projection)
        return f"{options.path}:{options.schema_name}.{options.table or projection.name}"

    def plan(self, projection: Projection) -> list[Step]:
        if not self._file.exists():  # opening it would make it
            return [Step(statement) for statement in creation(projection)]
        with self._transaction(projection) as cursor:
            try:
                return [Step(statement) for statement in lacking(cursor, projection)]
            except Refused as conflict:
                return [Step(conflict.statement, refused=str(conflict))]

    def ensure(self, projection: Projection) -> None:
        with self._transaction(projection) as cursor:
            for statement in lacking(cursor, projection):
                cursor.execute(statement)

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        uuid = quoted(projection.uuid_column)
        query = (
            f"SELECT {uuid}, min(_row_hash), max(_row_hash), count(*) FROM {table_of(projection)} "  # noqa: S608 - names
            "WHERE _day IN (SELECT unnest(?::DATE[])) GROUP BY 1"
        )
        found = self._asked(projection, query, [list(days)])
        return {uuid: least if least == most and count_of(least) == rows else "" for uuid, least, most, rows in found}

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return _DuckDbSession(projection, days, self._transaction(projection))

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        query = f"DELETE FROM {table_of(projection)} WHERE {quoted(projection.uuid_column)} IN (SELECT unnest(?))"  # noqa: S608
        found = self._asked(projection, f"{query} RETURNING {quoted(projection.uuid_column)}", [list(uuids)])
        if found:
            with self._connection(projection) as connection:
                connection.execute("CHECKPOINT")  # else the rows stay in the write-ahead log
        return list(dict.fromkeys(uuid for (uuid,) in found))

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        query = f"SELECT _day::VARCHAR, count(*) FROM {table_of(projection)} WHERE ? OR _day IN (SELECT unnest(?::DATE[])) GROUP BY 1"  # noqa: S608, E501
        return dict(self._asked(projection, query, [days is None, list(days or ())]))

    def faults(self, projection: Projection, days: Sequence[str]) -> Faults:
        required = projection.never_empty
        empty = ", ".join(f"count(*) FILTER (WHERE {quoted(name)} IS NULL)" for name in required)
        query = (
            f"SELECT count(*) - count(DISTINCT row({', '.join(map(quoted, projection.key))})), {empty} "  # noqa: S608
            f"FROM {table_of(projection)} WHERE _day IN (SELECT unnest(?::DATE[]))"
        )
        for duplicates, *counts in self._asked(projection, query, [list(days)]):
            return Faults(duplicates, {name: count for name, count in zip(required, counts, strict=True) if count})
        return Faults()

    def read(self, projection: Projection, first: str, last: str) -> Iterator[list[tuple[Any, ...]]]:
        if not self._file.exists():
            return
        names = ", ".join(quoted(column.name) for column in projection.columns)
        keys = ", ".join(map(quoted, projection.key))
        query = (
            f"SELECT {names} FROM {table_of(projection)} WHERE _day BETWEEN ?::DATE AND ?::DATE ORDER BY _day, {keys}"  # noqa: S608
        )
        with self._transaction(projection) as cursor:
            cursor.execute("SET TimeZone = 'UTC'")
            if columns_of(cursor, projection):
                yield from python_rows(projection, cursor.sql(query, params=[first, last]).to_arrow_table())

    def _asked(self, projection: Projection, query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        """The rows of an answer; none where the table was never made."""
        if not self._file.exists():
            return []
        with self._transaction(projection) as cursor:
            return cursor.execute(query, values).fetchall() if columns_of(cursor, projection) else []

    @contextmanager
    def _connection(self, projection: Projection) -> Iterator[duckdb.DuckDBPyConnection]:
        """A connection; DuckDB's errors become this room's. Waits for other processes that have the file open."""
        duckdb = _duckdb()
        where = f"projection {projection.name}, {self.target(projection)}"
        until = time.monotonic() + self._wait_seconds
        while True:
            try:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                connection = duckdb.connect(str(self._file))
                break
            except (duckdb.IOException, duckdb.ConnectionException) as error:
                if "lock" not in str(error).lower():
                    raise DestinationError(f"{where}: the file cannot be opened as a DuckDB file; is it one?") from None
                if time.monotonic() > until:
                    raise DestinationUnavailable(
                        f"{where}: another program has the file open; close it there. The rows follow at the next try"
                    ) from None
                time.sleep(0.25)
            except OSError as error:
                raise DestinationError(f"{where}: the folder cannot be made: {error.strerror}") from None
            except duckdb.Error:
                raise DestinationError(f"{where}: the file cannot be opened as a DuckDB file; is it one?") from None
        try:
            yield connection
        except duckdb.TransactionException:
            raise DestinationUnavailable(
                f"{where}: another landing changed the same rows; again at the next try"
            ) from None
        except duckdb.OutOfMemoryException:
            raise DestinationUnavailable(f"{where}: DuckDB ran out of memory; again at the next try") from None
        except duckdb.Error as error:  # its text may quote values
            raise DestinationError(f"{where}: DuckDB refuses ({type(error).__name__}); check the table") from None
        finally:
            connection.close()

    @contextmanager
    def _transaction(self, projection: Projection) -> Iterator[duckdb.DuckDBPyConnection]:
        with self._connection(projection) as connection:
            connection.execute("BEGIN TRANSACTION")
            yield connection  # an error closes the connection, which undoes all
            connection.execute("COMMIT")


class _DuckDbSession(Session):
    """One transaction."""

    def __init__(
        self,
        projection: Projection,
        days: Sequence[str],
        transaction: AbstractContextManager[duckdb.DuckDBPyConnection],
    ) -> None:
        self._projection, self._days, self._transaction = projection, list(days), transaction
        self._table, self._uuid = table_of(projection), quoted(projection.uuid_column)

    def __enter__(self) -> Self:
        self._cursor = self._transaction.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transaction.__exit__(kind, error, trace)

    def write(self, sets: Sequence[RowSet]) -> Written:
        rows, rejected = fitted(self._projection, sets, arrow_value)
        uuids = list({each.uuid: each for each in sets})
        stand = {
            uuid: (days, least, rows) if days == last and least == most else None
            for uuid, days, last, least, most, rows in self._cursor.execute(
                f"SELECT {self._uuid}, min(_day)::VARCHAR, max(_day)::VARCHAR, "  # noqa: S608 - names
                f"min(_row_hash), max(_row_hash), count(*) FROM {self._table} "
                f"WHERE {self._uuid} IN (SELECT unnest(?)) GROUP BY 1",
                [uuids],
            ).fetchall()
        }
        new: dict[str, tuple[str, str, int]] = {}
        for row in rows:
            new[row.uuid] = (row.day, row.hash, new.get(row.uuid, ("", "", 0))[2] + 1)
        changed = [uuid for uuid in uuids if (uuid in stand or uuid in new) and stand.get(uuid) != new.get(uuid)]
        wanted = frozenset(changed)
        if stand and changed:
            self._cursor.execute(f"DELETE FROM {self._table} WHERE {self._uuid} IN (SELECT unnest(?))", [changed])  # noqa: S608
        coming = [row for row in rows if row.uuid in wanted]
        if coming:
            self._cursor.register("vcon_coming", arrow_table(self._projection, coming, now()))
            self._cursor.execute(f"INSERT INTO {self._table} BY NAME SELECT * FROM vcon_coming")  # noqa: S608
            self._cursor.unregister("vcon_coming")
        return Written(changed=tuple(changed), rejected=tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        found = self._cursor.execute(
            f"DELETE FROM {self._table} WHERE {self._uuid} IN (SELECT unnest(?)) "  # noqa: S608
            f"AND _day IN (SELECT unnest(?::DATE[])) RETURNING {self._uuid}",
            [list(uuids), self._days],
        ).fetchall()
        return list(dict.fromkeys(uuid for (uuid,) in found))


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise DestinationError(
            "this needs the package duckdb, which is not installed: pip install 'vcon-platform[duckdb]'"
        ) from None
    return duckdb
