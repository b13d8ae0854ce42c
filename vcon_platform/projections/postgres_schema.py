"""The Postgres tables of projections: their names, their creation, and how they may grow.

Belongs here: DDL and what a table must look like. Not here: rows (``postgres.py``).

A declaration may add columns; everything else (another type, another key, a column taken away) is refused with the
statement that would do it, because only a person can know whether the old values may go. So that a column taken out
of the declaration can be told from one that the users added for themselves, the last line of the table's comment
says which projection keeps the table and which columns it has declared.

Every name in these statements was matched against the allow-list of ``model.identifier`` and is quoted as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Protocol

from psycopg2 import sql
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.projections.errors import DestinationError, SchemaConflict
from vcon_platform.projections.model import Column, Identifier, Projection, identifier

BOOKKEEPING = ("_day", "_row_hash", "_landed_at")
_TYPE_NAMES = {"timestamptz": "timestamp with time zone"}
_MARK = re.compile(r"^vcon-platform projection=(\S+) columns=(\S*)$", re.MULTILINE)


class Cursor(Protocol):
    """What this room uses of a psycopg2 cursor."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, query: Any, vars: Any = None) -> None: ...
    def fetchone(self) -> tuple[Any, ...] | None: ...
    def fetchall(self) -> list[tuple[Any, ...]]: ...
    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None: ...


def _schema(name: str) -> str:
    if identifier(name) in ("ledger", "dagster", "information_schema") or name.startswith("pg_"):
        raise ValueError(f"{name!r} is not for projections; choose another schema, such as public")
    return name


class PostgresOptions(BaseModel):
    """Options of a projection's ``postgres`` destination."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    table: Identifier = Field(title="Table", description="The table's name. It is created when it is missing.")
    schema_name: Annotated[str, AfterValidator(_schema)] = Field(
        default="public", alias="schema", title="Schema", description="The schema. It is created when it is missing."
    )


@dataclass(frozen=True, slots=True)
class Table:
    """A projection's table by name."""

    schema: str
    name: str

    @classmethod
    def of(cls, projection: Projection) -> Table:
        options = PostgresOptions.model_validate(dict(projection.options_for("postgres")))
        return cls(options.schema_name, options.table)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class _Found:
    """The table that is there: columns to types, primary key, projection and columns by its comment, comments."""

    columns: dict[str, str]
    key: list[str]
    mark: tuple[str, set[str]] | None
    comment: str | None
    comments: dict[str, str | None]
    day_indexed: bool


def ensure_table(cursor: Cursor, projection: Projection) -> None:
    """Create the projection's table or add its new columns. Belongs into a transaction; processes that do the same
    at once wait for each other. Raises :class:`SchemaConflict`."""
    table = Table.of(projection)
    found = _find(cursor, table)
    if found is None or _changes(projection, table, found):
        cursor.execute("SET LOCAL lock_timeout = '15s'")  # a reader's long transaction must not hold up everything
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"vcon-platform:{table}",))
        found = _find(cursor, table)  # it may have come into being while we waited
        if found is None:
            _create(cursor, projection, table)
            found = _find(cursor, table)
        if found is None:
            raise DestinationError(f"table {table} was created and cannot be seen: check the role's rights")
        for statement in _changes(projection, table, found):
            cursor.execute(statement)


def _find(cursor: Cursor, table: Table) -> _Found | None:
    cursor.execute(
        "SELECT c.oid, c.relkind::text, obj_description(c.oid, 'pg_class') FROM pg_class c "
        "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s",
        (table.schema, table.name),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    oid, kind, comment = row
    if kind not in ("r", "p"):
        raise SchemaConflict(f"{table} exists and is no table; choose another name for the projection's table")
    cursor.execute(
        "SELECT attname, format_type(atttypid, NULL), col_description(attrelid, attnum) FROM pg_attribute "
        "WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped",
        (oid,),
    )
    columns = cursor.fetchall()
    cursor.execute(
        "SELECT i.indisprimary, a.attname FROM pg_index i, "
        "unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) JOIN pg_attribute a ON a.attnum = k.attnum "
        "WHERE a.attrelid = %s AND i.indrelid = %s "
        "AND (i.indisprimary OR k.place = 1) ORDER BY i.indexrelid, k.place",
        (oid, oid),
    )
    indexed = cursor.fetchall()
    mark = _MARK.search(comment or "")
    return _Found(
        columns={name: kind for name, kind, _ in columns},
        key=[name for primary, name in indexed if primary],
        mark=(mark[1], set(mark[2].split(","))) if mark else None,
        comment=comment,
        comments={name: text for name, _, text in columns},
        day_indexed=any(name == "_day" for _, name in indexed),
    )


def _create(cursor: Cursor, projection: Projection, table: Table) -> None:
    cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (table.schema,))
    if cursor.fetchone() is None:  # asked first: IF NOT EXISTS wants the right to create even when it need not
        cursor.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(table.schema)))
    columns = [
        *(sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type)) for column in projection.columns),
        sql.SQL('"_day" date NOT NULL'),
        sql.SQL('"_row_hash" text NOT NULL'),
        sql.SQL('"_landed_at" timestamptz NOT NULL DEFAULT now()'),
        sql.SQL("PRIMARY KEY ({})").format(sql.SQL(", ").join(map(sql.Identifier, projection.key))),
    ]
    cursor.execute(sql.SQL("CREATE TABLE {} ({})").format(table.quoted, sql.SQL(", ").join(columns)))


def _changes(projection: Projection, table: Table, found: _Found) -> list[sql.Composable]:
    """The statements that make the table what the declaration says; none when it is. Raises SchemaConflict."""
    _refuse_conflicts(projection, table, found)
    statements: list[sql.Composable] = [
        sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
            table.quoted, sql.Identifier(column.name), sql.SQL(column.type)
        )
        for column in projection.columns
        if column.name not in found.columns
    ]
    if not found.day_indexed:  # without a name: Postgres finds a free one
        statements.append(sql.SQL('CREATE INDEX ON {} ("_day")').format(table.quoted))
    comments = {column.name: _column_comment(column) for column in projection.columns} | {
        "_day": "UTC day of the conversation, the projection's partition",
        "_row_hash": "Changes whenever the row does",
        "_landed_at": "When this row was last written",
    }
    statements += [
        sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(table.quoted, sql.Identifier(name), sql.Literal(comment))
        for name, comment in comments.items()
        if found.comments.get(name) != comment
    ]
    comment = _table_comment(projection)
    if found.comment != comment:
        statements.append(sql.SQL("COMMENT ON TABLE {} IS {}").format(table.quoted, sql.Literal(comment)))
    return statements


def _refuse_conflicts(projection: Projection, table: Table, found: _Found) -> None:
    if not found.columns.keys() >= set(BOOKKEEPING):
        raise SchemaConflict(
            f"table {table} exists and was not made for a projection; give projection {projection.name} another table"
        )
    if found.mark and found.mark[0] != projection.name:
        raise SchemaConflict(
            f"table {table} is kept by projection {found.mark[0]}; give projection {projection.name} another table, "
            f"or, if it was renamed, take the old name's mark away: COMMENT ON TABLE {table} IS NULL"
        )
    for column in projection.columns:
        is_type = found.columns.get(column.name)
        if is_type not in (None, _TYPE_NAMES.get(column.type, column.type)):
            raise SchemaConflict(
                f"column {column.name} of {table} is {is_type}, projection {projection.name} says {column.type}: give "
                f"the column another name, or convert it: ALTER TABLE {table} ALTER COLUMN {column.name} "
                f"TYPE {column.type} USING {column.name}::{column.type}"
            )
    declared = {column.name for column in projection.columns}
    gone = sorted((found.mark[1] if found.mark else set()) & found.columns.keys() - declared)
    if gone:
        raise SchemaConflict(
            f"column {gone[0]} of {table} is no longer declared by projection {projection.name}, and its values would "
            f"go out of date: declare it again, or drop it: ALTER TABLE {table} DROP COLUMN {gone[0]}"
        )
    if found.key != projection.key:
        raise SchemaConflict(
            f"the primary key of {table} is ({', '.join(found.key)}), projection {projection.name} says "
            f"({', '.join(projection.key)}): give the projection another table, or drop this one and materialise again"
        )


def _column_comment(column: Column) -> str:
    text = column.description.strip().rstrip(".").replace("\0", "") or "A value of the conversation"
    return f"{text} (from {column.source}{'; personal data' if column.pii else ''})"


def _table_comment(projection: Projection) -> str:
    text = projection.description.strip().replace("\0", "")
    columns = ",".join(column.name for column in projection.columns)
    return f"{text}\nvcon-platform projection={projection.name} columns={columns}".lstrip()
