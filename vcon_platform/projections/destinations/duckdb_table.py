"""A projection's table in a DuckDB file: its name, its columns, the statements that make it what the declaration says.

Belongs here: options and statements. Not here: the file and the rows (``duckdb.py``), how values are typed
(``arrow_tables.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.projections.column import Identifier, identifier
from vcon_platform.projections.errors import SchemaConflict
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType

if TYPE_CHECKING:
    import duckdb

_NUMERIC = "DECIMAL(38,18)"
_TYPES: dict[ColumnType, str] = {
    "text": "VARCHAR",
    "integer": "INTEGER",
    "bigint": "BIGINT",
    "numeric": _NUMERIC,
    "double": "DOUBLE",
    "boolean": "BOOLEAN",
    "timestamptz": "TIMESTAMP WITH TIME ZONE",
    "date": "DATE",
    "jsonb": "JSON",
    "text[]": "VARCHAR[]",
    "bigint[]": "BIGINT[]",
    "numeric[]": f"{_NUMERIC}[]",
}
_OWN = {"_day": "DATE", "_row_hash": "VARCHAR", "_landed_at": "TIMESTAMP WITH TIME ZONE"}
_WIDENINGS = {("INTEGER", "BIGINT"), ("INTEGER", "DOUBLE"), ("INTEGER", _NUMERIC)}
_MARK = re.compile(r"^vcon-platform projection=(\S+) columns=(\S*)$", re.MULTILINE)


def _relative(value: str) -> str:
    if not value.endswith((".duckdb", ".db")):
        raise ValueError("must name a file that ends with .duckdb or .db")
    return value


class DuckDbOptions(BaseModel):
    """Options of a projection's ``duckdb`` destination."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    path: Annotated[str, AfterValidator(_relative)] = Field(
        default="projections/projections.duckdb",
        max_length=1000,
        title="File",
        description="The DuckDB file; a relative path is in the data folder. It is created when it is missing.",
    )
    table: Annotated[str, AfterValidator(lambda value: identifier(value) if value else value)] = Field(
        default="", title="Table", description="The table's name. Unset: the projection's."
    )
    schema_name: Identifier = Field(
        default="main", alias="schema", title="Schema", description="The schema. It is created when it is missing."
    )


def options_of(projection: Projection) -> DuckDbOptions:
    """The options of the projection's ``duckdb`` destination."""
    return DuckDbOptions.model_validate(dict(projection.options_for("duckdb")))


def quoted(name: str) -> str:
    """An identifier that was matched against the allow-list of ``model.identifier``, in quotes as well."""
    return f'"{identifier(name)}"'


def table_of(projection: Projection) -> str:
    options = options_of(projection)
    return f"{quoted(options.schema_name)}.{quoted(options.table or projection.name)}"


def columns_of(cursor: duckdb.DuckDBPyConnection, projection: Projection) -> dict[str, str]:
    """The table's columns and their types; empty where there is no table."""
    options = options_of(projection)
    return dict(
        cursor.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE schema_name = ? AND table_name = ? "
            "AND database_name = current_database()",
            [options.schema_name, options.table or projection.name],
        ).fetchall()
    )


class Refused(SchemaConflict):
    """``statement``: what a person may run, where that is the cure."""

    def __init__(self, told: str, statement: str = "") -> None:
        super().__init__(f"{told}: {statement}" if statement else told)
        self.statement = statement


def creation(projection: Projection) -> Iterator[str]:
    """The statements that make the table."""
    table = table_of(projection)
    columns = ", ".join(f'"{name}" {kind}' for name, kind in _wanted(projection).items())
    yield f"CREATE SCHEMA IF NOT EXISTS {quoted(options_of(projection).schema_name)}"
    yield f"CREATE TABLE {table} ({columns})"
    for column in projection.columns:
        yield f"COMMENT ON COLUMN {table}.{quoted(column.name)} IS {_literal(column.description)}"
    yield f"COMMENT ON TABLE {table} IS {_literal(_comment(projection))}"


def lacking(cursor: duckdb.DuckDBPyConnection, projection: Projection) -> list[str]:
    """The statements that make the table what the declaration says. Raises :class:`Refused`."""
    table, wanted, there = table_of(projection), _wanted(projection), columns_of(cursor, projection)
    if not there:
        return list(creation(projection))
    options = options_of(projection)
    told = cursor.execute(
        "SELECT comment FROM duckdb_tables() WHERE schema_name = ? AND table_name = ? "
        "AND database_name = current_database()",
        [options.schema_name, options.table or projection.name],
    ).fetchone()
    comment = str(told[0] or "") if told else ""
    _refuse_conflicts(projection, table, there, wanted, comment)
    statements = []
    for name, kind in wanted.items():
        if name not in there:
            statements.append(f'ALTER TABLE {table} ADD COLUMN "{name}" {kind}')
        elif (there[name], kind) in _WIDENINGS:
            statements.append(f'ALTER TABLE {table} ALTER COLUMN "{name}" TYPE {kind}')
    if comment != _comment(projection):
        statements.append(f"COMMENT ON TABLE {table} IS {_literal(_comment(projection))}")
    return statements


def _wanted(projection: Projection) -> dict[str, str]:
    return {column.name: _TYPES[column.type] for column in projection.columns} | _OWN


def _comment(projection: Projection) -> str:
    """What the table's comment says: its meaning, and who keeps it."""
    mark = f"vcon-platform projection={projection.name} columns={','.join(_wanted(projection))}"
    return f"{projection.description.strip()}\n{mark}".lstrip().replace("\0", "")


def _refuse_conflicts(
    projection: Projection, table: str, there: dict[str, str], wanted: dict[str, str], comment: str
) -> None:
    if not there.keys() >= _OWN.keys():
        raise Refused(
            f"table {table} exists and was not made for a projection; give projection {projection.name} another table"
        )
    mark = _MARK.search(comment)
    if mark and mark[1] != projection.name:
        raise Refused(f"table {table} is kept by projection {mark[1]}; give projection {projection.name} another table")
    for name, kind in wanted.items():
        if there.get(name, kind) != kind and not {(there[name], kind), (kind, there[name])} & _WIDENINGS:
            raise Refused(
                f"column {name} of {table} is {there[name]}, projection {projection.name} says {kind}: give the "
                "column another name, or convert it",
                f'ALTER TABLE {table} ALTER COLUMN "{name}" TYPE {kind}',
            )
    gone = sorted((set(mark[2].split(",")) if mark else set()) & there.keys() - wanted.keys())
    if gone:
        raise Refused(
            f"column {gone[0]} of {table} is no longer declared by projection {projection.name}, and its values would "
            "go out of date: declare it again, or drop it",
            f'ALTER TABLE {table} DROP COLUMN "{gone[0]}"',
        )


def _literal(text: str) -> str:
    return "'" + text.replace("\0", "").replace("'", "''") + "'"
