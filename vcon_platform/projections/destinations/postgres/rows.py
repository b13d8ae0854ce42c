"""The statements that bring a projection's rows into its table and out of it. Each belongs into a transaction.

Belongs here: COPY, upsert and delete of rows that are fitted already. Not here: sessions and errors
(``destination.py``).
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import NamedTuple

import psycopg2
from psycopg2 import errorcodes, sql

from vcon_platform.projections.destination import Rejected
from vcon_platform.projections.destinations.postgres.schema import Cursor, Table
from vcon_platform.projections.fitting import FittedRow
from vcon_platform.projections.model import Projection

_ROW_FAULTS = ("22", "23", "54", "P0")  # data, integrity, a limit of the program, raised by a trigger
_WORDED = ("text", "jsonb", "text[]", "bigint[]", "numeric[]")
"""Column types whose values may hold what COPY's text format gives a meaning."""


class Line(NamedTuple):
    """A row as one line of COPY's text format."""

    uuid: str
    line: str


def name_of(code: str) -> str:
    """Postgres' own name of an SQLSTATE: unlike the message, it quotes no value."""
    try:
        return errorcodes.lookup(code).lower().replace("_", " ")
    except KeyError:
        return f"SQLSTATE {code}" if code else "no answer"


def columns_of(projection: Projection) -> list[str]:
    return [*(column.name for column in projection.columns), "_day", "_row_hash"]


def names_of(names: Sequence[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))


def lines_of(projection: Projection, rows: Sequence[FittedRow[str]]) -> list[Line]:
    """Lines of COPY's text format, sorted by uuid: two writers that take their locks in one order wait for each other;
    in two, one of them dies. Not CSV, in which a server before PG 18 takes a text's line ``\\.`` for the end."""
    worded = [place for place, column in enumerate(projection.columns) if column.type in _WORDED]
    lines = []
    for uuid, day, digest, values in sorted(rows, key=itemgetter(0)):
        cells = list(values)
        for place in worded:  # numbers and times hold nothing to escape
            # Searches that find nothing are ten times as quick as one str.translate.
            if (cell := cells[place]) is not None:
                if "\\" in cell:
                    cell = cell.replace("\\", "\\\\")
                if "\n" in cell:
                    cell = cell.replace("\n", "\\n")
                if "\r" in cell:
                    cell = cell.replace("\r", "\\r")
                if "\t" in cell:
                    cell = cell.replace("\t", "\\t")
                cells[place] = cell
        told = ["\\N" if cell is None else cell for cell in cells] if None in cells else cells
        lines.append(Line(uuid, "\t".join((*told, day, digest)) + "\n"))
    return lines


def standing(cursor: Cursor, projection: Projection, uuids: Sequence[str]) -> set[str]:
    """Which of these conversations the table knows, on whatever day."""
    cursor.execute(
        sql.SQL("SELECT DISTINCT {uuid} FROM {table} WHERE {uuid} = ANY(%s)").format(
            uuid=sql.Identifier(projection.uuid_column), table=Table.of(projection).quoted
        ),
        (list(uuids),),
    )
    return {uuid for (uuid,) in cursor.fetchall()}


def _copy(cursor: Cursor, into: sql.Composable, projection: Projection, rows: Sequence[Line]) -> None:
    cursor.copy_expert(
        sql.SQL("COPY {} ({}) FROM STDIN").format(into, names_of(columns_of(projection))),
        io.BytesIO("".join([row.line for row in rows]).encode()),
    )


def copied(cursor: Cursor, projection: Projection, rows: Sequence[Line]) -> bool:
    """Put in rows of conversations that the table did not know a moment ago. False, and nothing done, where the table
    refuses one (or another writer was quicker)."""
    cursor.execute("SAVEPOINT vcon_copy")
    try:
        _copy(cursor, Table.of(projection).quoted, projection, rows)
    except psycopg2.Error as error:
        if (error.pgcode or "")[:2] not in _ROW_FAULTS:
            raise
        cursor.execute("ROLLBACK TO SAVEPOINT vcon_copy")
        return False
    cursor.execute("RELEASE SAVEPOINT vcon_copy")
    return True


def land_lines(cursor: Cursor, projection: Projection, rows: Sequence[Line], rejected: list[Rejected]) -> Iterator[str]:
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
            reason = f"refused by the table: {name_of(code)}"
            rejected.append(Rejected(rows[0].uuid, error.diag.column_name, reason))
            return
        middle = len(rows) // 2
        yield from land_lines(cursor, projection, rows[:middle], rejected)
        yield from land_lines(cursor, projection, rows[middle:], rejected)
    else:
        cursor.execute("RELEASE SAVEPOINT vcon_land")
        yield from changed


def _upsert(cursor: Cursor, projection: Projection, rows: Sequence[Line]) -> list[str]:
    table, columns = Table.of(projection).quoted, columns_of(projection)
    uuid = sql.Identifier(projection.uuid_column)
    cursor.execute("TRUNCATE pg_temp.vcon_stage")
    _copy(cursor, sql.Identifier("pg_temp", "vcon_stage"), projection, rows)
    changes = sql.SQL(", ").join(sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(name)) for name in columns)
    cursor.execute(
        sql.SQL(
            "INSERT INTO {table} AS t ({columns}) SELECT {columns} FROM pg_temp.vcon_stage ORDER BY {uuid} "
            'ON CONFLICT ({key}) DO UPDATE SET {changes}, "_landed_at" = now() '
            'WHERE t."_row_hash" IS DISTINCT FROM EXCLUDED."_row_hash" RETURNING t.{uuid}'
        ).format(table=table, columns=names_of(columns), key=names_of(projection.key), changes=changes, uuid=uuid)
    )
    changed = [row[0] for row in cursor.fetchall()]
    cursor.execute(
        sql.SQL("INSERT INTO pg_temp.vcon_kept SELECT {} FROM pg_temp.vcon_stage").format(names_of(projection.key))
    )
    return changed


def delete_others(cursor: Cursor, projection: Projection, uuids: Sequence[str]) -> list[str]:
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


def delete(cursor: Cursor, projection: Projection, uuids: Sequence[str], days: Sequence[str] | None) -> list[str]:
    uuid = sql.Identifier(projection.uuid_column)
    cursor.execute(
        sql.SQL(
            "DELETE FROM {} WHERE {} = ANY(%(uuids)s) "
            'AND (%(days)s IS NULL OR "_day" = ANY(%(days)s::date[])) RETURNING {}'
        ).format(Table.of(projection).quoted, uuid, uuid),
        {"uuids": list(uuids), "days": None if days is None else list(days)},
    )
    return list(dict.fromkeys(row[0] for row in cursor.fetchall()))
