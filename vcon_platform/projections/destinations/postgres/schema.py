"""The Postgres tables of projections: their names, their creation, and how they may grow.

Belongs here: DDL and what a table must look like. Not here: rows (``destination.py``), options (``options.py``).

A declaration may add columns and indexes, and widen a type where every value stays what it is (:data:`WIDENINGS`);
everything else (another type, another key, a column taken away) is refused with the statement that would do it, because
only a person can know whether the old values may go. So that a column taken out of the declaration can be told from
one that the users added for themselves, the last line of the table's comment says which projection keeps the table and
which columns it has declared.

Every name in these statements was matched against the allow-list of ``model.identifier`` and is quoted as well.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from psycopg2 import sql

from vcon_platform.projections.column import Column
from vcon_platform.projections.destination import Step
from vcon_platform.projections.destinations.postgres.options import PostgresOptions, options_of
from vcon_platform.projections.errors import DestinationError, SchemaConflict
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType

BOOKKEEPING = ("_day", "_row_hash", "_landed_at")
_TYPE_NAMES: dict[ColumnType, str] = {"timestamptz": "timestamp with time zone", "double": "double precision"}
"""Where Postgres' own name of a type is another than ours."""
_PLAIN = "{0}::{1}"
WIDENINGS = {
    ("integer", "bigint"): _PLAIN,
    ("integer", "numeric"): _PLAIN,
    ("integer", "double precision"): _PLAIN,
    ("bigint", "numeric"): _PLAIN,
    ("bigint[]", "numeric[]"): _PLAIN,
    ("date", "timestamp with time zone"): "{0}::timestamp AT TIME ZONE 'UTC'",
}
"""From what to what a column is widened without asking, and how its values are converted: none is lost or changes."""
_MARK = re.compile(r"^vcon-platform projection=(\S+) columns=(\S*)$", re.MULTILINE)


class Cursor(Protocol):
    """What this room uses of a psycopg2 cursor."""

    @property
    def rowcount(self) -> int: ...
    @property
    def connection(self) -> Any: ...
    def execute(self, query: Any, vars: Any = None) -> None: ...
    def fetchone(self) -> tuple[Any, ...] | None: ...
    def fetchall(self) -> list[tuple[Any, ...]]: ...
    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None: ...


@dataclass(frozen=True, slots=True)
class Table:
    """A projection's table by name."""

    schema: str
    name: str

    @classmethod
    def of(cls, projection: Projection) -> Table:
        options = options_of(projection)
        return cls(options.schema_name, options.table)

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def quoted(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class _Found:
    """The table that is there: columns to types, primary key, projection and columns by its comment, comments, the
    columns of each index, and the roles that may read it."""

    columns: dict[str, str]
    key: list[str]
    mark: tuple[str, set[str]] | None
    comment: str | None
    comments: dict[str, str | None]
    indexes: list[list[str]]
    unread: list[str]


def sql_type(column_type: ColumnType) -> str:
    """Postgres' name of a column type."""
    return _TYPE_NAMES.get(column_type, column_type)


def ensure_table(cursor: Cursor, projection: Projection) -> None:
    """Create the projection's table, or add and widen its columns. Belongs into a transaction; processes that do the
    same at once wait for each other. Raises :class:`SchemaConflict`."""
    table = Table.of(projection)
    found = _find(cursor, table, options_of(projection))
    if found is not None and not _steps(projection, table, found):
        return
    cursor.execute("SET LOCAL lock_timeout = '15s'")  # a reader's long transaction must not hold up everything
    cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"vcon-platform:{table}",))
    found = _find(cursor, table, options_of(projection))  # it may have come into being while we waited
    if found is None:
        for statement in _creation(cursor, projection, table):
            cursor.execute(statement)
        found = _find(cursor, table, options_of(projection))
    if found is None:
        raise DestinationError(f"table {table} was created and cannot be seen: check the role's rights")
    steps = _steps(projection, table, found)
    refused = [step for step, _ in steps if step.refused]
    if refused:
        more = f" ({len(refused) - 1} more of this kind)" if len(refused) > 1 else ""
        raise SchemaConflict(
            f"{refused[0].refused}{more}. 'vcon-platform projections plan {projection.name}' shows all that differs"
        )
    for _, statement in steps:
        cursor.execute(statement)
    if found.unread:  # GRANT only warns where the role that grants may not
        found = _find(cursor, table, options_of(projection))
        if found is not None and found.unread:
            raise DestinationError(
                f"role {found.unread[0]} still cannot read {table}: run as the schema's owner: GRANT USAGE ON SCHEMA "
                f'{table.schema} TO "{found.unread[0]}"'
            )


def planned(cursor: Cursor, projection: Projection) -> list[Step]:
    """What :func:`ensure_table` would do now, and what it refuses to do by itself. Changes nothing."""
    table = Table.of(projection)
    try:
        found = _find(cursor, table, options_of(projection))
    except SchemaConflict as conflict:
        return [Step("", refused=str(conflict))]
    if found is None:
        return [Step(_text(cursor, statement)) for statement in _creation(cursor, projection, table)]
    return [
        step if step.refused else Step(_text(cursor, statement)) for step, statement in _steps(projection, table, found)
    ]


def _text(cursor: Cursor, statement: sql.Composable) -> str:
    return str(statement.as_string(cursor))  # type: ignore[arg-type]  # a psycopg2 cursor, seen through the protocol


def _find(cursor: Cursor, table: Table, options: PostgresOptions) -> _Found | None:
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
        # A partial index serves only some queries, and one over expressions none of ours.
        "SELECT i.indisprimary, array_agg(a.attname::text ORDER BY k.place) FROM pg_index i, "
        "unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, place) JOIN pg_attribute a ON a.attnum = k.attnum "
        "WHERE a.attrelid = %s AND i.indrelid = %s AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL "
        "GROUP BY i.indexrelid, i.indisprimary",
        (oid, oid),
    )
    indexes = cursor.fetchall()
    cursor.execute(
        "SELECT r.rolname FROM pg_roles r WHERE r.rolname = ANY(%s) AND has_table_privilege(r.oid, %s, 'SELECT') "
        "AND has_schema_privilege(r.oid, %s, 'USAGE')",
        (list(options.grants), oid, table.schema),
    )
    reading = {role for (role,) in cursor.fetchall()}
    mark = _MARK.search(comment or "")
    return _Found(
        columns={name: kind for name, kind, _ in columns},
        key=next((names for primary, names in indexes if primary), []),
        mark=(mark[1], set(mark[2].split(","))) if mark else None,
        comment=comment,
        comments={name: text for name, _, text in columns},
        indexes=[names for _, names in indexes],
        unread=[role for role in options.grants if role not in reading],
    )


def _creation(cursor: Cursor, projection: Projection, table: Table) -> list[sql.Composable]:
    statements: list[sql.Composable] = []
    cursor.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (table.schema,))
    if cursor.fetchone() is None:  # asked first: IF NOT EXISTS wants the right to create even when it need not
        statements.append(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(table.schema)))
    columns = [
        *(
            sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(sql_type(column.type)))
            for column in projection.columns
        ),
        sql.SQL('"_day" date NOT NULL'),
        sql.SQL('"_row_hash" text NOT NULL'),
        sql.SQL('"_landed_at" timestamptz NOT NULL DEFAULT now()'),
        sql.SQL("PRIMARY KEY ({})").format(_names(projection.key)),
    ]
    statements.append(sql.SQL("CREATE TABLE {} ({})").format(table.quoted, sql.SQL(", ").join(columns)))
    return statements


def _names(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def _steps(projection: Projection, table: Table, found: _Found) -> list[tuple[Step, sql.Composable]]:
    """What makes the table what the declaration says; nothing when it is. A step that is refused comes first, and has
    no statement that is run."""
    blocked = _blocked(projection, table, found)
    if blocked:  # nothing else matters then
        return [(blocked, sql.SQL(""))]
    refused = [(step, sql.SQL("")) for step in _conflicts(projection, table, found)]
    statements = [
        *_column_changes(projection, table, found),
        *_index_changes(projection, table, found),
        *_comment_changes(projection, table, found),
        *(_grant(table, role) for role in found.unread),
    ]
    return [*refused, *((Step(""), statement) for statement in statements)]


def _column_changes(projection: Projection, table: Table, found: _Found) -> list[sql.Composable]:
    changes: list[sql.Composable] = []
    for column in projection.columns:
        name, wanted, is_type = sql.Identifier(column.name), sql_type(column.type), found.columns.get(column.name)
        if is_type is None:
            changes.append(sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(table.quoted, name, sql.SQL(wanted)))
        elif (is_type, wanted) in WIDENINGS:
            using = sql.SQL(WIDENINGS[is_type, wanted].replace("{1}", wanted)).format(name)
            changes.append(
                sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {} USING {}").format(
                    table.quoted, name, sql.SQL(wanted), using
                )
            )
    return changes


def _index_changes(projection: Projection, table: Table, found: _Found) -> list[sql.Composable]:
    """Indexes that are asked for and not there: by day, by uuid where the primary key begins with another column, and
    the declared ones. They get no name: Postgres finds a free one."""
    types = {column.name: column.type for column in projection.columns}
    wanted = [["_day"], [projection.uuid_column], *map(list, options_of(projection).indexes)]
    there = list(found.indexes)
    changes: list[sql.Composable] = []
    for names in wanted:
        if any(each[: len(names)] == names for each in there):
            continue
        inside = len(names) == 1 and (types.get(names[0], "") == "jsonb" or types.get(names[0], "").endswith("[]"))
        changes.append(
            sql.SQL("CREATE INDEX ON {} {}({})").format(
                table.quoted, sql.SQL("USING gin " if inside else ""), _names(names)
            )
        )
        there.append(names)
    return changes


def _comment_changes(projection: Projection, table: Table, found: _Found) -> list[sql.Composable]:
    comments = {column.name: _column_comment(column) for column in projection.columns} | {
        "_day": "UTC day of the conversation, the projection's partition",
        "_row_hash": "Changes whenever the row does",
        "_landed_at": "When this row was last written",
    }
    changes: list[sql.Composable] = [
        sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(table.quoted, sql.Identifier(name), sql.Literal(comment))
        for name, comment in comments.items()
        if found.comments.get(name) != comment
    ]
    comment = _table_comment(projection)
    if found.comment != comment:
        changes.append(sql.SQL("COMMENT ON TABLE {} IS {}").format(table.quoted, sql.Literal(comment)))
    return changes


def _grant(table: Table, role: str) -> sql.Composed:
    return sql.SQL("GRANT USAGE ON SCHEMA {0} TO {2}; GRANT SELECT ON {1} TO {2}").format(
        sql.Identifier(table.schema), table.quoted, sql.Identifier(role)
    )


def _blocked(projection: Projection, table: Table, found: _Found) -> Step | None:
    """Why this table cannot be the projection's at all."""
    if not found.columns.keys() >= set(BOOKKEEPING):
        told = f"table {table} exists and was not made for a projection; give projection {projection.name} another"
        return Step("", refused=f"{told} table")
    if found.mark and found.mark[0] != projection.name:
        cure = f"COMMENT ON TABLE {table} IS NULL"
        told = f"table {table} is kept by projection {found.mark[0]}; give projection {projection.name} another table"
        return Step(cure, refused=f"{told}, or, if it was renamed, take the old name's mark away: {cure}")
    if found.key != projection.key:
        cure = f"DROP TABLE {table}"
        told = f"the primary key of {table} is ({', '.join(found.key)}), projection {projection.name} says "
        keys = f"({', '.join(projection.key)}): give the projection another table, or drop this one and materialise"
        return Step(cure, refused=f"{told}{keys} again: {cure}")
    return None


def _conflicts(projection: Projection, table: Table, found: _Found) -> list[Step]:
    """Columns that are not what the declaration says, in a way that could lose values."""
    steps = []
    for column in projection.columns:
        is_type, wanted = found.columns.get(column.name), sql_type(column.type)
        if is_type in (None, wanted) or {(is_type, wanted), (wanted, is_type)} & WIDENINGS.keys():
            continue  # a wider column than the declared one takes every value too
        cure = f"ALTER TABLE {table} ALTER COLUMN {column.name} TYPE {wanted} USING {column.name}::{wanted}"
        told = f"column {column.name} of {table} is {is_type}, projection {projection.name} says {column.type}: give "
        steps.append(Step(cure, refused=f"{told}the column another name, or convert it: {cure}"))
    declared = {column.name for column in projection.columns}
    for name in sorted((found.mark[1] if found.mark else set()) & found.columns.keys() - declared):
        cure = f"ALTER TABLE {table} DROP COLUMN {name}"
        told = f"column {name} of {table} is no longer declared by projection {projection.name}, and its values would "
        steps.append(Step(cure, refused=f"{told}go out of date: declare it again, or drop it: {cure}"))
    return steps


def _column_comment(column: Column) -> str:
    text = column.description.strip().rstrip(".").replace("\0", "") or "A value of the conversation"
    return f"{text} (from {column.filled_by}{'; personal data' if column.pii else ''})"


def _table_comment(projection: Projection) -> str:
    text = projection.description.strip().replace("\0", "")
    columns = ",".join(column.name for column in projection.columns)
    return f"{text}\nvcon-platform projection={projection.name} columns={columns}".lstrip()
