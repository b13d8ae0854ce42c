"""The BigQuery tables of projections: their columns, their creation, and how they may grow.

Belongs here: what a table must look like. Not here: rows (``session.py``).

A table is partitioned by ``_day`` and clustered, so that a landing reads and pays for its days alone. A declaration may
add columns, take a column out of the key and widen numbers where no value changes; everything else is refused with the
statement that would do it. As in ``postgres/schema.py``, the last line of the table's description says which projection
keeps the table and which columns it has declared, so that users may add columns of their own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vcon_platform.projections.column import Column
from vcon_platform.projections.destination import Step
from vcon_platform.projections.destinations.bigquery.client import Warehouse
from vcon_platform.projections.destinations.bigquery.options import TableName, options_of
from vcon_platform.projections.errors import DestinationError, SchemaConflict
from vcon_platform.projections.model import Projection

if TYPE_CHECKING:
    from google.cloud.bigquery import SchemaField, Table

TYPES = {
    "text": "STRING",
    "integer": "INT64",
    "bigint": "INT64",
    "numeric": "NUMERIC",
    "double": "FLOAT64",
    "boolean": "BOOL",
    "timestamptz": "TIMESTAMP",
    "date": "DATE",
    "jsonb": "JSON",
}
BOOKKEEPING = {
    "_day": ("DATE", "UTC day of the conversation, the table's partition"),
    "_row_hash": ("STRING", "Changes whenever the conversation's rows do"),
    "_landed_at": ("TIMESTAMP", "When this row was last written"),
}
TIME_TRAVEL_H = 48
"""How long a dataset that is created here can be looked at as it was: Google's least, for what was erased."""
_LEGACY = {"INTEGER": "INT64", "FLOAT": "FLOAT64", "BOOLEAN": "BOOL", "DECIMAL": "NUMERIC", "BIGDECIMAL": "BIGNUMERIC"}
_WIDENED = {("INT64", "NUMERIC"), ("INT64", "BIGNUMERIC"), ("NUMERIC", "BIGNUMERIC")}
_DESCRIPTION = 16_000
"""Characters; BigQuery takes 384 more."""
_MARK = re.compile(r"^vcon-platform projection=(\S+) columns=(\S*)$", re.MULTILINE)


def type_of(column: Column) -> tuple[str, bool]:
    """BigQuery's type of a column, and whether it holds many."""
    return TYPES[column.type.removesuffix("[]")], column.type.endswith("[]")


def fields(projection: Projection) -> list[SchemaField]:
    """The table's columns as they are declared."""
    from google.cloud.bigquery import SchemaField

    found = []
    for column in projection.columns:
        kind, many = type_of(column)
        mode = "REPEATED" if many else "REQUIRED" if column.name in projection.key else "NULLABLE"
        found.append(SchemaField(column.name, kind, mode, description=_comment(column)))
    return [
        *found,
        *(SchemaField(name, kind, "REQUIRED", description=told) for name, (kind, told) in BOOKKEEPING.items()),
    ]


def ensure_table(warehouse: Warehouse, projection: Projection) -> None:
    """Create the dataset and the table, or let the table grow. Raises :class:`SchemaConflict`."""
    name, options = TableName.of(projection), options_of(projection)
    there = warehouse.table(name)
    if there is None:
        _create(warehouse, projection, name)
        there = warehouse.table(name)
        if there is None:
            raise DestinationError(f"table {name} was created and cannot be seen: check the account's rights")
    changes = _changes(projection, name, there)
    for step in changes.steps:
        if step.refused:
            raise SchemaConflict(f"{step.refused}: {step.statement}" if step.statement else step.refused)
    for step in changes.steps:
        warehouse.change(step.statement)
    if changes.members:
        if changes.steps:  # it is of another version now
            there = warehouse.table(name) or there
        there.schema = changes.schema
        there.description = changes.description
        there.clustering_fields = changes.cluster
        there.labels = {**there.labels, **options.labels}
        warehouse.update(there, changes.members)


def plan_table(warehouse: Warehouse, projection: Projection) -> list[Step]:
    """What :func:`ensure_table` would do, as statements."""
    name = TableName.of(projection)
    there = warehouse.table(name)
    if there is not None:
        return _changes(projection, name, there).steps
    steps = []
    if warehouse.dataset(name) is None:
        location = options_of(projection).location
        where = f" OPTIONS (location = '{location}')" if location else ""
        steps.append(Step(f"CREATE SCHEMA `{name.project}.{name.dataset}`{where}"))
    columns = ", ".join(f"`{each.name}` {_sql_type(each)}" for each in fields(projection))
    cluster = ", ".join(f"`{each}`" for each in _cluster(projection))
    return [*steps, Step(f"CREATE TABLE {name.quoted} ({columns}) PARTITION BY _day CLUSTER BY {cluster}")]


def _create(warehouse: Warehouse, projection: Projection, name: TableName) -> None:
    from google.cloud.bigquery import Dataset, Table, TimePartitioning

    options = options_of(projection)
    if warehouse.dataset(name) is None:  # asked first: creating wants a right that one may not have
        dataset = Dataset(f"{name.project}.{name.dataset}")
        if options.location:
            dataset.location = options.location
        dataset.max_time_travel_hours = TIME_TRAVEL_H
        warehouse.create_dataset(dataset)
    table = Table(str(name), schema=fields(projection))
    table.time_partitioning = TimePartitioning(field="_day")
    table.clustering_fields = _cluster(projection)
    table.labels = dict(options.labels)
    table.description = _description(projection)
    warehouse.create_table(table)


@dataclass(slots=True)
class _Changes:
    """What makes a table what is declared: by statements, and then by members of the table that are set anew."""

    steps: list[Step]
    members: list[str]
    schema: list[SchemaField]
    description: str
    cluster: list[str]


def _changes(projection: Projection, name: TableName, there: Table) -> _Changes:
    declared = {each.name: each for each in fields(projection)}
    found = {each.name: each for each in there.schema}
    mark = _MARK.search(there.description or "")
    steps = [Step("", told) for told in _refusals(projection, name, there, found, mark)]
    owned = set(mark[2].split(",")) if mark else set()
    gone = sorted(owned & found.keys() - declared.keys())
    for each in gone:
        told = f"column {each} of {name} is no longer declared, and its values would go out of date: declare it or run"
        steps.append(Step(f"ALTER TABLE {name.quoted} DROP COLUMN `{each}`", told))
    schema: list[Any] = []
    for each in there.schema:
        wanted = declared.get(each.name)
        schema.append(_grown(each, wanted) if wanted else each)
        if wanted is None:
            continue
        is_type, to_be = _sql_type(each, bare=True), _sql_type(wanted, bare=True)
        alter = f"ALTER TABLE {name.quoted} ALTER COLUMN `{each.name}`"
        if (is_type, to_be) in _WIDENED:
            steps.append(Step(f"{alter} SET DATA TYPE {to_be}"))
        elif is_type != to_be and (to_be, is_type) not in _WIDENED:  # a wider one holds what is declared
            told = f"column {each.name} of {name} is {is_type}, projection {projection.name} says {to_be}: give it "
            steps.append(Step(f"{alter} SET DATA TYPE {to_be}", told + "another name, or, if BigQuery lets you, run"))
        elif each.mode == "REQUIRED" and wanted.mode == "NULLABLE":
            steps.append(Step(f"{alter} DROP NOT NULL"))
    for each in declared.values():
        if each.name not in found:
            # It is empty in the rows that stand already, so it cannot be required.
            schema.append(_with(each, mode="REPEATED" if each.mode == "REPEATED" else "NULLABLE"))
            steps.append(Step(f"ALTER TABLE {name.quoted} ADD COLUMN `{each.name}` {_sql_type(schema[-1])}"))
    description, cluster = _description(projection), _cluster(projection)
    labels = options_of(projection).labels
    members = [
        member
        for member, changed in (
            ("schema", [_told(each) for each in schema] != [_told(each) for each in there.schema]),
            ("description", description != there.description),
            ("clustering_fields", cluster != list(there.clustering_fields or [])),
            ("labels", not labels.items() <= dict(there.labels).items()),
        )
        if changed
    ]
    return _Changes(steps, members, schema, description, cluster)


def _refusals(
    projection: Projection, name: TableName, there: Table, found: dict[str, SchemaField], mark: re.Match[str] | None
) -> list[str]:
    """Why the table cannot be the projection's at all."""
    location = options_of(projection).location
    if there.table_type not in (None, "TABLE"):
        return [f"{name} exists and is no table; choose another name for projection {projection.name}'s table"]
    if not found.keys() >= BOOKKEEPING.keys():
        return [f"table {name} exists and was not made for a projection; give {projection.name} another table"]
    if mark and mark[1] != projection.name:
        return [
            f"table {name} is kept by projection {mark[1]}; give projection {projection.name} another table, or, if it "
            f"was renamed, take the old name's mark away: ALTER TABLE {name.quoted} SET OPTIONS (description = NULL)"
        ]
    if there.time_partitioning is None or there.time_partitioning.field != "_day":
        return [f"table {name} is not partitioned by _day: give projection {projection.name} another table, or drop it"]
    if location and there.location and there.location.lower() != location.lower():
        return [
            f"table {name} is in {there.location}, projection {projection.name} says {location}: change the option "
            "location, or choose another dataset"
        ]
    return []


def _grown(there: SchemaField, wanted: SchemaField) -> SchemaField:
    """A column that is there with what of the declaration may be given to it."""
    members: dict[str, str | None] = {"description": wanted.description}
    if (there.mode, wanted.mode) == ("REQUIRED", "NULLABLE"):
        members["mode"] = "NULLABLE"
    if (_sql_type(there, bare=True), wanted.field_type) in _WIDENED:
        members["type"] = wanted.field_type
    return _with(there, **members)


def _with(field: SchemaField, **members: str | None) -> SchemaField:
    return type(field).from_api_repr(field.to_api_repr() | members)


def _told(field: SchemaField) -> tuple[str, str, str]:
    return field.name, field.mode or "NULLABLE", field.description or ""


def _sql_type(field: SchemaField, *, bare: bool = False) -> str:
    kind = _LEGACY.get(field.field_type, field.field_type)
    kind = f"ARRAY<{kind}>" if field.mode == "REPEATED" else str(kind)
    return kind if bare or field.mode != "REQUIRED" else f"{kind} NOT NULL"


def _cluster(projection: Projection) -> list[str]:
    return list(options_of(projection).cluster) or [projection.uuid_column]


def _comment(column: Column) -> str:
    text = column.description.strip().rstrip(".").replace("\0", "") or "A value of the conversation"
    return f"{text} (from {column.filled_by}{'; personal data' if column.pii else ''})"[:1024]


def _description(projection: Projection) -> str:
    columns = ",".join(column.name for column in projection.columns)
    if len(columns) > _DESCRIPTION:  # then the last ones are not known again when they leave the declaration
        columns = columns[:_DESCRIPTION].rpartition(",")[0]
    text = projection.description.strip().replace("\0", "")[: _DESCRIPTION - len(columns)]
    return f"{text}\nvcon-platform projection={projection.name} columns={columns}".lstrip()
