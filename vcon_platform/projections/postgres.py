"""Postgres as a destination: rows of projections in tables.

Belongs here: getting rows in and out. Not here: the tables themselves (``postgres_schema.py``).

Rows come in by COPY into a temporary table and from there by ``INSERT ... ON CONFLICT DO UPDATE`` (not MERGE, which
PG 13 and 14 lack, and which may fail when two writers bring the same key). A session is one transaction. A row that the
table refuses for reasons of its own (a constraint or trigger that the users added) is found by halving the batch
inside that transaction; its neighbours land.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import psycopg2
import psycopg2.extensions
from psycopg2 import errorcodes, sql
from pydantic import BaseModel
from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import DBAPIError

from vcon_platform.projections.destination import Connections, Destination, Rejected, Session, Written
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.projections.model import Projection
from vcon_platform.projections.postgres_schema import Cursor, PostgresOptions, Table, ensure_table
from vcon_platform.projections.values import Misfit, fit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vcon_platform.projections.rows import RowSet

_ROW_FAULTS = ("22", "23", "54", "P0")  # data, integrity, a limit of the program, raised by a trigger
_COME_BACK = ("08", "40", "53", "55", "57")  # connection, rolled back, resources, lock not available, operator
_NO_TABLE = (errorcodes.UNDEFINED_TABLE, errorcodes.INVALID_SCHEMA_NAME)
_COPY_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class TableMissing(DestinationError):
    """The projection's table was never created: it holds nothing."""


@dataclass(frozen=True, slots=True)
class _Fitted:
    """A row as one line of COPY's text format."""

    uuid: str
    line: str


class PostgresDestination(Destination):
    """Rows in Postgres tables (13 and later). Give it an engine, or a URL to make one of."""

    kind: ClassVar[str] = "postgres"
    options: ClassVar[type[BaseModel]] = PostgresOptions

    def __init__(self, engine: Engine | str) -> None:
        self._engine = engine if isinstance(engine, Engine) else create_engine(engine, pool_pre_ping=True)

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:  # noqa: ARG003 - all share one server
        return cls(connections.postgres())

    @classmethod
    def target(cls, projection: Projection) -> str:
        return str(Table.of(projection))

    def ensure(self, projection: Projection) -> None:
        with self._transaction(projection) as cursor:
            ensure_table(cursor, projection)

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        query = sql.SQL(
            'SELECT {uuid}, CASE WHEN min("_row_hash") = max("_row_hash") '
            "AND count(*)::text = substring(min(\"_row_hash\") FROM '[0-9]+$') "
            'THEN min("_row_hash") ELSE \'\' END FROM {table} WHERE "_day" = ANY(%s::date[]) GROUP BY {uuid}'
        ).format(uuid=sql.Identifier(projection.uuid_column), table=Table.of(projection).quoted)
        try:
            with self._transaction(projection) as cursor:
                cursor.execute(query, (list(days),))
                return dict(cast("list[tuple[str, str]]", cursor.fetchall()))
        except TableMissing:
            return {}

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return _PostgresSession(projection, days, self._transaction(projection))

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        try:
            with self._transaction(projection) as cursor:
                return _delete(cursor, projection, uuids, None)
        except TableMissing:
            return []

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        query = sql.SQL(
            'SELECT "_day", count(*) FROM {} WHERE %(days)s IS NULL OR "_day" = ANY(%(days)s::date[]) GROUP BY 1'
        ).format(Table.of(projection).quoted)
        try:
            with self._transaction(projection) as cursor:
                cursor.execute(query, {"days": None if days is None else list(days)})
                return {day.isoformat(): rows for day, rows in cast("list[tuple[date, int]]", cursor.fetchall())}
        except TableMissing:
            return {}

    @contextmanager
    def _transaction(self, projection: Projection) -> Iterator[Cursor]:
        """A cursor inside one transaction; the database's errors become this room's."""
        try:
            pooled = self._engine.raw_connection()
        except (DBAPIError, psycopg2.OperationalError):
            raise DestinationUnavailable(
                f"projection {projection.name}: Postgres cannot be reached. Is it running ('vcon-platform status'), "
                "and is POSTGRES_URL right? The rows follow when it is back"
            ) from None
        try:
            connection = cast("psycopg2.extensions.connection", pooled.driver_connection)
            if connection.encoding != "UTF8":  # a database of the user's own may talk Latin-1 by default
                connection.set_client_encoding("UTF8")
            with connection.cursor() as cursor:
                yield cast("Cursor", cursor)
            connection.commit()
        except psycopg2.Error as error:
            if error.pgcode is None or connection.closed:
                pooled.invalidate()
            else:
                pooled.rollback()
            raise _explained(projection, error) from None
        except BaseException:
            pooled.rollback()
            raise
        finally:
            pooled.close()


class _PostgresSession(Session):
    """One transaction."""

    def __init__(
        self, projection: Projection, days: Sequence[str], transaction: AbstractContextManager[Cursor]
    ) -> None:
        self._projection = projection
        self._days = list(days)
        self._transaction = transaction

    def __enter__(self) -> Self:
        self._cursor = self._transaction.__enter__()
        try:
            for name, columns in (("vcon_stage", _columns(self._projection)), ("vcon_kept", self._projection.key)):
                self._cursor.execute(
                    sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                        sql.Identifier(name), _names(columns), Table.of(self._projection).quoted
                    )
                )
        except BaseException as error:
            self._transaction.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transaction.__exit__(kind, error, trace)

    def write(self, sets: Sequence[RowSet]) -> Written:
        fitted: list[_Fitted] = []
        rejected: list[Rejected] = []
        last = {each.uuid: each for each in sets}
        for each in last.values():
            for row in each.rows:
                line = _line(self._projection, each, row)
                if isinstance(line, Rejected):
                    rejected.append(line)
                else:
                    fitted.append(_Fitted(each.uuid, line))
        self._cursor.execute("TRUNCATE pg_temp.vcon_kept")
        changed = set(_land(self._cursor, self._projection, fitted, rejected)) if fitted else set()
        changed.update(_delete_others(self._cursor, self._projection, list(last)))
        return Written(changed=tuple(uuid for uuid in last if uuid in changed), rejected=tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        return _delete(self._cursor, self._projection, uuids, self._days)


def _name_of(code: str) -> str:
    """Postgres' own name of an SQLSTATE: unlike the message, it quotes no value."""
    try:
        return errorcodes.lookup(code).lower().replace("_", " ")
    except KeyError:
        return f"SQLSTATE {code}" if code else "no answer"


def _explained(projection: Projection, error: psycopg2.Error) -> DestinationError:
    """The database's error without its text, which may quote the values of a row."""
    code = error.pgcode or ""
    place = f"projection {projection.name}, table {Table.of(projection)}: Postgres says '{_name_of(code)}'"
    if code in _NO_TABLE:
        return TableMissing(f"{place}; call ensure() first")
    if not code or code[:2] in _COME_BACK:
        return DestinationUnavailable(f"{place}; nothing was changed, the rows follow at the next try")
    return DestinationError(f"{place}; check the table and the rights of the role in POSTGRES_URL")


def _columns(projection: Projection) -> list[str]:
    return [*(column.name for column in projection.columns), "_day", "_row_hash"]


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _line(projection: Projection, each: RowSet, row: Mapping[str, Any]) -> str | Rejected:
    cells: list[str | None] = []
    for column in projection.columns:
        # The uuid is the set's, whatever its values say: see rows_from_attachment.
        value = each.uuid if column.source == "uuid" else row.get(column.name)
        try:
            cell = fit(value, column.type)
        except Misfit as misfit:
            return Rejected(each.uuid, column.name, str(misfit))
        if cell is None and column.name in projection.key:
            return Rejected(each.uuid, column.name, "empty, and part of the key")
        cells.append(cell)
    cells += (each.day, each.hash)
    return "\t".join("\\N" if cell is None else cell.translate(_COPY_ESCAPES) for cell in cells) + "\n"


def _land(cursor: Cursor, projection: Projection, rows: Sequence[_Fitted], rejected: list[Rejected]) -> Iterator[str]:
    """Upsert these rows and give the uuids that changed; what the table refuses goes to ``rejected``."""
    cursor.execute("SAVEPOINT vcon_land")
    try:
        changed = _upsert(cursor, projection, rows)
    except psycopg2.Error as error:
        code = error.pgcode or ""
        if code[:2] not in _ROW_FAULTS:
            raise
        cursor.execute("ROLLBACK TO SAVEPOINT vcon_land")
        if len(rows) == 1:
            reason = f"refused by the table: {_name_of(code)}"
            rejected.append(Rejected(rows[0].uuid, error.diag.column_name, reason))
            return
        middle = len(rows) // 2
        yield from _land(cursor, projection, rows[:middle], rejected)
        yield from _land(cursor, projection, rows[middle:], rejected)
    else:
        cursor.execute("RELEASE SAVEPOINT vcon_land")
        yield from changed


def _upsert(cursor: Cursor, projection: Projection, rows: Sequence[_Fitted]) -> list[str]:
    table, columns = Table.of(projection).quoted, _columns(projection)
    uuid = sql.Identifier(projection.uuid_column)
    cursor.execute("TRUNCATE pg_temp.vcon_stage")
    cursor.copy_expert(
        sql.SQL("COPY pg_temp.vcon_stage ({}) FROM STDIN").format(_names(columns)),
        io.BytesIO("".join(row.line for row in rows).encode()),
    )
    changes = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in columns)
    cursor.execute(
        sql.SQL(
            "INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM pg_temp.vcon_stage ORDER BY {uuid} "
            'ON CONFLICT ({key}) DO UPDATE SET {changes}, "_landed_at" = now() '
            'WHERE t."_row_hash" IS DISTINCT FROM EXCLUDED."_row_hash" RETURNING t.{uuid}'
        ).format(table=table, columns=_names(columns), key=_names(projection.key), changes=changes, uuid=uuid)
    )
    changed = [row[0] for row in cursor.fetchall()]
    cursor.execute(
        sql.SQL("INSERT INTO pg_temp.vcon_kept SELECT {} FROM pg_temp.vcon_stage").format(_names(projection.key))
    )
    return changed


def _delete_others(cursor: Cursor, projection: Projection, uuids: Sequence[str]) -> list[str]:
    """Remove the rows of these uuids that are not among those that landed: a part of the key, or how many rows a
    conversation has, may have changed."""
    same = sql.SQL(" AND ").join(sql.SQL("k.{0} = t.{0}").format(sql.Identifier(name)) for name in projection.key)
    uuid = sql.Identifier(projection.uuid_column)
    cursor.execute(
        sql.SQL(
            "DELETE FROM {table} t WHERE t.{uuid} = ANY(%s) "
            "AND NOT EXISTS (SELECT 1 FROM pg_temp.vcon_kept k WHERE {same}) RETURNING t.{uuid}"
        ).format(table=Table.of(projection).quoted, uuid=uuid, same=same),
        (list(uuids),),
    )
    return [row[0] for row in cursor.fetchall()]


def _delete(cursor: Cursor, projection: Projection, uuids: Sequence[str], days: Sequence[str] | None) -> list[str]:
    uuid = sql.Identifier(projection.uuid_column)
    cursor.execute(
        sql.SQL(
            "DELETE FROM {} WHERE {} = ANY(%(uuids)s) "
            'AND (%(days)s IS NULL OR "_day" = ANY(%(days)s::date[])) RETURNING {}'
        ).format(Table.of(projection).quoted, uuid, uuid),
        {"uuids": list(uuids), "days": None if days is None else list(days)},
    )
    return list(dict.fromkeys(row[0] for row in cursor.fetchall()))
