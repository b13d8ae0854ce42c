"""Postgres as a destination: rows of projections in tables.

Belongs here: getting rows in and out. Not here: the tables themselves (``schema.py``).

A session is one transaction. Rows of conversations that the table does not know come in by COPY, straight into the
table: nearly all of a backfill, and as quick as rows get in. Those of conversations that stand there come by COPY into
a temporary table and from there by ``INSERT ... ON CONFLICT DO UPDATE`` (not MERGE, which PG 13 and 14 lack, and which
may fail when two writers bring the same key). A row that the table refuses for reasons of its own (a constraint or
trigger that the users added) is found by halving the batch inside that transaction; its neighbours land.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import psycopg2
import psycopg2.extensions
from psycopg2 import errorcodes, sql
from pydantic import BaseModel
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from vcon_platform.projections.destination import Connections, Destination, Faults, Session, Step, Written
from vcon_platform.projections.destinations.postgres.options import PostgresOptions, options_of
from vcon_platform.projections.destinations.postgres.rows import (
    columns_of,
    copied,
    delete,
    delete_others,
    land_lines,
    lines_of,
    name_of,
    names_of,
    standing,
)
from vcon_platform.projections.destinations.postgres.schema import BOOKKEEPING, Cursor, Table, ensure_table, planned
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable, ProjectionInvalid
from vcon_platform.projections.explain import choose
from vcon_platform.projections.fitting import fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import fit
from vcon_platform.references import value_of, variable_of

if TYPE_CHECKING:
    from vcon_platform.projections.rows import RowSet

_COME_BACK = ("08", "40", "53", "55", "57")  # connection, rolled back, resources, lock not available, operator
_READ_AT_ONCE = 5_000
_NO_TABLE = (errorcodes.UNDEFINED_TABLE, errorcodes.INVALID_SCHEMA_NAME)


class TableMissing(DestinationError):
    """The projection's table was never created: it holds nothing."""


class PostgresDestination(Destination):
    """Rows in Postgres tables (13 and later). Give it an engine, or a URL to make one of; ``source`` is the setting
    that the address came from, for messages."""

    kind: ClassVar[str] = "postgres"
    title: ClassVar[str] = "Postgres"
    options: ClassVar[type[BaseModel]] = PostgresOptions

    def __init__(self, engine: Engine | str, source: str = "POSTGRES_URL") -> None:
        self._engine = engine if isinstance(engine, Engine) else create_engine(engine, pool_pre_ping=True)
        self._source = source

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:
        reference = options_of(projection).url
        if not reference:
            return cls(connections.postgres())
        name = str(variable_of(reference))
        return cls(create_engine(_address(projection, reference), pool_pre_ping=True, pool_size=2), name)

    @classmethod
    def check(cls, projection: Projection) -> None:
        super().check(projection)
        names = [*(column.name for column in projection.columns), *BOOKKEEPING]
        faults = [
            f"/destinations/{place}/postgres/indexes/{index}/{at} {choose(name, names, 'a column')}"
            for place, ref in enumerate(projection.destinations)
            if ref.kind == cls.kind
            for index, columns in enumerate(options_of(projection).indexes)
            for at, name in enumerate(columns)
            if name not in names
        ]
        if faults:
            raise ProjectionInvalid(f"projection {projection.name}", faults)

    @classmethod
    def target(cls, projection: Projection) -> str:
        elsewhere = variable_of(options_of(projection).url)
        return f"{Table.of(projection)}{f' at {elsewhere}' if elsewhere else ''}"

    def plan(self, projection: Projection) -> list[Step]:
        with self._transaction(projection) as cursor:
            return planned(cursor, projection)

    def ensure(self, projection: Projection) -> None:
        with self._transaction(projection) as cursor:
            ensure_table(cursor, projection)

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        query = sql.SQL(
            'SELECT {uuid}, CASE WHEN min("_row_hash") = max("_row_hash") '
            "AND count(*)::text = substring(min(\"_row_hash\") FROM '[0-9]+$') "
            "THEN min(\"_row_hash\") ELSE '' END FROM {table} "
            'WHERE "_day" = ANY(%s::date[]) AND {uuid} IS NOT NULL GROUP BY {uuid}'
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
                return delete(cursor, projection, uuids, None)
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

    def faults(self, projection: Projection, days: Sequence[str]) -> Faults:
        required = projection.never_empty
        query = sql.SQL(
            'SELECT count(*) - count(DISTINCT ({key})), {empty} FROM {table} WHERE "_day" = ANY(%s::date[])'
        )
        empty = [sql.SQL("count(*) FILTER (WHERE {} IS NULL)").format(sql.Identifier(name)) for name in required]
        try:
            with self._transaction(projection) as cursor:
                cursor.execute(
                    query.format(
                        key=names_of(projection.key), empty=sql.SQL(", ").join(empty), table=Table.of(projection).quoted
                    ),
                    (list(days),),
                )
                [(duplicates, *counts)] = cursor.fetchall()
        except TableMissing:
            return Faults()
        return Faults(int(duplicates), {name: count for name, count in zip(required, counts, strict=True) if count})

    def read(self, projection: Projection, first: str, last: str) -> Iterator[list[tuple[Any, ...]]]:
        query = sql.SQL('SELECT {} FROM {} WHERE "_day" BETWEEN %s AND %s ORDER BY "_day", {}').format(
            names_of([column.name for column in projection.columns]),
            Table.of(projection).quoted,
            names_of(projection.key),
        )
        with self._transaction(projection) as cursor:
            cursor.execute("SET LOCAL TimeZone = 'UTC'")
            with cursor.connection.cursor("vcon_read") as rows:  # on the server: a year does not fit into memory
                rows.execute(query, (first, last))
                while some := rows.fetchmany(_READ_AT_ONCE):
                    yield some

    @contextmanager
    def _transaction(self, projection: Projection) -> Iterator[Cursor]:
        """A cursor inside one transaction; the database's errors become this room's."""
        try:
            pooled = self._engine.raw_connection()
        except (DBAPIError, psycopg2.OperationalError):
            raise DestinationUnavailable(
                f"projection {projection.name}: Postgres cannot be reached. Is it running ('vcon-platform status'), "
                f"and is {self._source} right? The rows follow when it is back"
            ) from None
        role = options_of(projection).role
        try:
            connection = cast("psycopg2.extensions.connection", pooled.driver_connection)
            if connection.encoding != "UTF8":  # a database of the user's own may talk Latin-1 by default
                connection.set_client_encoding("UTF8")
            with connection.cursor() as cursor:
                if role:
                    cursor.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(role)))
                yield cast("Cursor", cursor)
            connection.commit()
        except psycopg2.Error as error:
            if error.pgcode is None or connection.closed:
                pooled.invalidate()
            else:
                pooled.rollback()
            raise _explained(projection, error, self._source) from None
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
        self._staged = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transaction.__exit__(kind, error, trace)

    def write(self, sets: Sequence[RowSet]) -> Written:
        uuids = list({each.uuid: each for each in sets})
        if not uuids:
            return Written(())
        rows, rejected = fitted(self._projection, sets, fit)
        lines = lines_of(self._projection, rows)
        stand = standing(self._cursor, self._projection, uuids)
        fresh = [line for line in lines if line.uuid not in stand]
        known = [line for line in lines if line.uuid in stand]
        changed: set[str] = set()
        if fresh and copied(self._cursor, self._projection, fresh):
            changed.update(line.uuid for line in fresh)
        elif fresh:  # another writer may have been quicker
            known, stand = lines, set(uuids)
        if known or stand:
            self._stage()
            changed.update(land_lines(self._cursor, self._projection, known, rejected) if known else ())
            changed.update(delete_others(self._cursor, self._projection, sorted(stand)))
        return Written(changed=tuple(uuid for uuid in uuids if uuid in changed), rejected=tuple(rejected))

    def _stage(self) -> None:
        """The temporary tables, empty."""
        if self._staged:
            self._cursor.execute("TRUNCATE pg_temp.vcon_kept")
            return
        for name, columns in (("vcon_stage", columns_of(self._projection)), ("vcon_kept", self._projection.key)):
            self._cursor.execute(
                sql.SQL("CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {} FROM {} WITH NO DATA").format(
                    sql.Identifier(name), names_of(columns), Table.of(self._projection).quoted
                )
            )
        self._staged = True

    def delete(self, uuids: Sequence[str]) -> list[str]:
        return delete(self._cursor, self._projection, uuids, self._days)


def _explained(projection: Projection, error: psycopg2.Error, source: str) -> DestinationError:
    """The database's error without its text, which may quote the values of a row."""
    code = error.pgcode or ""
    place = f"projection {projection.name}, table {Table.of(projection)}: Postgres says '{name_of(code)}'"
    if code in _NO_TABLE:
        return TableMissing(f"{place}; call ensure() first")
    if not code or code[:2] in _COME_BACK:
        return DestinationUnavailable(f"{place}; nothing was changed, the rows follow at the next try")
    if code == errorcodes.FEATURE_NOT_SUPPORTED:  # what ALTER TYPE says when a view shows the column
        return DestinationError(
            f"{place}; is a column that is to be widened used by a view? 'vcon-platform projections plan "
            f"{projection.name}' shows the statement: drop the view, land, and make it again"
        )
    if code == errorcodes.UNDEFINED_COLUMN:
        return DestinationError(
            f"{place}; it is not as declared (yet): 'vcon-platform projections plan {projection.name}' shows what "
            "lacks, landing a day adds it"
        )
    if code == errorcodes.UNDEFINED_OBJECT:
        return DestinationError(f"{place}; is there a role of each name in the options 'role' and 'grants'?")
    return DestinationError(f"{place}; check the table and the rights of the role in {source}")


def _address(projection: Projection, reference: str) -> str:
    """The address that a reference stands for, with the driver named. It holds a password: no message quotes it."""
    name, url = variable_of(reference), value_of(reference)
    if url is None:
        raise DestinationError(f"projection {projection.name}: {name} is not set; set it to the address of a Postgres")
    scheme, _, rest = url.partition("://")
    try:
        if scheme.partition("+")[0] not in ("postgres", "postgresql"):
            raise ArgumentError
        return make_url(f"postgresql+psycopg2://{rest}").render_as_string(hide_password=False)
    except (ArgumentError, ValueError):
        raise DestinationError(
            f"projection {projection.name}: {name} must look like postgresql://user:password@host:port/database"
        ) from None
