"""The tables of projections in a real Postgres: made, described, grown, and left alone."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Engine

from tests.projections.examples import projection
from tests.projections.postgres_rows import DAY, UUID, changed, row, run, run_alone, select, write
from vcon_platform.projections.catalogue import parse_projection
from vcon_platform.projections.destination import Connections, Step
from vcon_platform.projections.destinations.postgres.destination import PostgresDestination
from vcon_platform.projections.errors import DestinationError, ProjectionInvalid, SchemaConflict


@pytest.fixture
def destination(engine: Engine) -> PostgresDestination:
    return PostgresDestination(engine)


def one(kind: str, **options: Any) -> Any:
    """A table with one column of this type beside the uuid."""
    columns = [UUID, {"name": "value", "type": kind, "from": "subject"}]
    return projection(columns=columns, destinations=[{"postgres": {"table": "calls", **options}}])


def nobody() -> Any:
    raise AssertionError("not asked for")


CONNECTIONS = Connections(postgres=nobody, redis=nobody, objects=nobody, data_dir=nobody)  # type: ignore[arg-type]


def test_tables_and_columns_carry_the_declared_descriptions(destination: PostgresDestination, engine: Engine) -> None:
    columns = [
        UUID,
        {
            "name": "customer",
            "type": "text",
            "from": "customer.name",
            "description": "It's the customer's",
            "pii": True,
        },
    ]
    destination.ensure(projection(columns=columns, description="All 'calls'"))
    ((table, column),) = select(
        engine,
        "SELECT obj_description('calls'::regclass), col_description('calls'::regclass, 2)",
    )
    assert table.startswith("All 'calls'\n")
    assert column == "It's the customer's (from customer.name; personal data)"
    uncommented = select(
        engine,
        "SELECT attname FROM pg_attribute WHERE attrelid = 'calls'::regclass AND attnum > 0 "
        "AND col_description(attrelid, attnum) IS NULL",
    )
    assert uncommented == []
    assert select(engine, "SELECT 1 FROM pg_indexes WHERE tablename = 'calls' AND indexdef LIKE '%(_day)'") == [(1,)]


def test_a_new_column_is_added_to_the_table_that_is_there(destination: PostgresDestination, engine: Engine) -> None:
    narrow, wide = projection(columns=[UUID]), projection()
    destination.ensure(narrow)
    write(destination, narrow, [row("old")])
    destination.ensure(wide)
    write(destination, wide, [row("new", seconds=5)])
    assert select(engine, "SELECT uuid, seconds::int FROM calls ORDER BY uuid") == [("new", 5), ("old", None)]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"columns": [UUID, {"name": "seconds", "type": "text", "from": "subject"}]},
            r"seconds of public.calls is numeric",
        ),
        ({"columns": [UUID]}, r"no longer declared.*ALTER TABLE public.calls DROP COLUMN created_at"),
        ({"key": ["uuid", "customer"]}, r"primary key of public.calls is \(uuid\)"),
        ({"name": "other"}, r"kept by projection calls"),
    ],
)
def test_a_change_that_could_lose_data_is_refused_with_the_cure(
    destination: PostgresDestination, members: dict[str, Any], message: str
) -> None:
    destination.ensure(projection())
    with pytest.raises(SchemaConflict, match=message):
        destination.ensure(projection(**members))


def test_a_column_that_was_dropped_as_advised_is_no_conflict_any_more(
    destination: PostgresDestination, engine: Engine
) -> None:
    destination.ensure(projection())
    for name in ("created_at", "customer", "seconds"):
        run(engine, f"ALTER TABLE public.calls DROP COLUMN {name}")
    destination.ensure(projection(columns=[UUID]))


def test_the_users_own_columns_are_left_alone(destination: PostgresDestination, engine: Engine) -> None:
    destination.ensure(projection())
    first = row(seconds=1)
    write(destination, projection(), [first])
    run(engine, "ALTER TABLE calls ADD COLUMN remark text DEFAULT 'mine'")
    destination.ensure(projection())
    write(destination, projection(), [changed(first, {"seconds": 2}), row()])
    assert select(engine, "SELECT DISTINCT remark FROM calls") == [("mine",)]


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE calls (uuid text PRIMARY KEY)", "CREATE VIEW calls AS SELECT 1 AS uuid"]
)
def test_something_else_of_that_name_is_never_written_to(
    destination: PostgresDestination, engine: Engine, statement: str
) -> None:
    run(engine, statement)
    with pytest.raises(SchemaConflict, match="another"):
        destination.ensure(projection())


def test_a_schema_is_created_when_it_is_missing_and_long_and_reserved_names_work(
    destination: PostgresDestination, engine: Engine
) -> None:
    declared = projection(
        name="x" * 63,
        columns=[
            UUID,
            {"name": "select", "type": "text", "from": "subject"},
            {"name": "y" * 63, "type": "date", "from": "start"},
        ],
        destinations=[{"postgres": {"table": "user", "schema": "order"}}],
    )
    for _ in range(2):
        destination.ensure(declared)
    write(destination, declared, [row("a", select="from")])
    assert select(engine, 'SELECT "select" FROM "order"."user"') == [("from",)]


@pytest.mark.parametrize(
    ("narrow", "wide", "before", "after"),
    [
        ("integer", "bigint", "7", "7"),
        ("integer", "numeric", "7", "7"),
        ("integer", "double", "7", "7"),
        ("bigint", "numeric", str(2**60), str(2**60)),
        ("bigint[]", "numeric[]", "'{1,NULL}'", "{1,NULL}"),
        ("date", "timestamptz", "'2026-07-01'", "2026-07-01 00:00:00+00"),
    ],
)
def test_a_column_is_widened_and_keeps_its_values(
    destination: PostgresDestination, engine: Engine, narrow: str, wide: str, before: str, after: str
) -> None:
    destination.ensure(one(narrow))
    run(engine, f"INSERT INTO calls (uuid, value, _day, _row_hash) VALUES ('a', {before}, '{DAY}', '')")
    destination.ensure(one(wide))
    assert select(engine, "SELECT value::text FROM calls") == [(after,)]
    assert destination.plan(one(wide)) == []


def test_a_table_wider_than_declared_is_left_as_it_is(destination: PostgresDestination, engine: Engine) -> None:
    destination.ensure(one("bigint"))
    destination.ensure(one("integer"))
    write(destination, one("integer"), [row(value=7)])
    assert select(engine, "SELECT value, pg_typeof(value)::text FROM calls") == [(7, "bigint")]


def test_a_view_over_a_column_that_is_to_be_widened_is_named_as_the_reason(
    destination: PostgresDestination, engine: Engine
) -> None:
    destination.ensure(one("integer"))
    run(engine, "CREATE VIEW shown AS SELECT value FROM calls")
    with pytest.raises(DestinationError, match=r"used by a view\? 'vcon-platform projections plan calls'"):
        destination.ensure(one("bigint"))


def test_a_plan_for_a_table_that_is_not_there_makes_it(destination: PostgresDestination, engine: Engine) -> None:
    declared = one("text", schema="fresh")
    steps = destination.plan(declared)
    assert [step.statement.split(" (")[0] for step in steps] == [
        'CREATE SCHEMA IF NOT EXISTS "fresh"',
        'CREATE TABLE "fresh"."calls"',
    ]
    for step in steps:
        run(engine, step.statement)
    destination.ensure(declared)


def test_a_plan_tells_what_is_done_and_what_is_refused_and_changes_nothing(
    destination: PostgresDestination, engine: Engine
) -> None:
    destination.ensure(projection(columns=[UUID, {"name": "old", "type": "text", "from": "subject"}]))
    wanted = projection(
        columns=[
            UUID,
            {"name": "seconds", "type": "numeric", "from": "duration_seconds"},
        ]
    )
    steps = destination.plan(wanted)
    assert steps == destination.plan(wanted)
    assert steps[0].statement == "ALTER TABLE public.calls DROP COLUMN old"
    assert steps[0].refused.startswith("column old of public.calls is no longer declared")
    assert Step('ALTER TABLE "public"."calls" ADD COLUMN "seconds" numeric') in steps
    run(engine, steps[0].statement)
    destination.ensure(wanted)
    assert destination.plan(wanted) == []


def test_declared_indexes_are_made_once_and_the_users_own_serve_too(
    destination: PostgresDestination, engine: Engine
) -> None:
    destination.ensure(one("text[]"))
    run(engine, "CREATE INDEX mine ON calls (_day, uuid)")
    declared = one("text[]", indexes=[["value"], ["_day", "uuid"], ["uuid", "_day"]])
    for _ in range(2):
        destination.ensure(declared)
    made = {definition.split("USING ")[1] for (definition,) in select(engine, "SELECT indexdef FROM pg_indexes")}
    assert {"gin (value)", "btree (_day, uuid)", "btree (uuid, _day)"} <= made
    assert len(select(engine, "SELECT 1 FROM pg_indexes WHERE tablename = 'calls'")) == 5


def test_conversations_are_found_by_index_whatever_column_the_key_begins_with(
    destination: PostgresDestination, engine: Engine
) -> None:
    destination.ensure(projection(key=["seconds", "uuid"]))
    assert select(engine, "SELECT 1 FROM pg_indexes WHERE indexdef LIKE '%(uuid)'") == [(1,)]


def test_an_index_on_a_column_that_is_not_declared_is_a_fault_of_the_declaration() -> None:
    with pytest.raises(ProjectionInvalid, match=r"/destinations/0/postgres/indexes/0/1 'valeu' is not a column; did"):
        PostgresDestination.check(one("text", indexes=[["uuid", "valeu"]]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{table: t, url: 'postgresql://me:secret@db/x'}", r"/destinations/0/postgres/url must be a reference"),
        ("{table: t, url: 'env:OPENAI_API_KEY'}", r"may not name the variable OPENAI_API_KEY"),
        ("{table: t, role: 'a; DROP ROLE b'}", r"/destinations/0/postgres/role"),
        ("{table: t, schema: dagster}", r"'dagster' is not for projections"),
        ("{table: 'T; --'}", r"is no identifier"),
    ],
)
def test_options_that_cannot_be_used_are_named_with_their_place(options: str, message: str) -> None:
    text = f"""
name: calls
pipelines: [recall]
rows: conversation
columns: [{{name: uuid, type: text, from: uuid}}]
destinations: [{{postgres: {options}}}]
"""
    with pytest.raises(ProjectionInvalid, match=message) as told:
        parse_projection(text, "calls.yaml")
    assert "secret" not in str(told.value)


@pytest.fixture
def roles(database: str, engine: Engine) -> Any:
    """Two roles of the server; the first may make tables."""
    names = ("vcon_owner", "vcon-reader")
    for name in names:
        run_alone(database, f'CREATE ROLE "{name}"')
    run_alone(database, "GRANT ALL ON SCHEMA public TO vcon_owner")
    yield names
    for name in names:
        run_alone(database, f'DROP OWNED BY "{name}" CASCADE')
        run_alone(database, f'DROP ROLE "{name}"')


def test_a_role_owns_the_table_and_others_may_read_it(
    destination: PostgresDestination, engine: Engine, roles: tuple[str, str]
) -> None:
    declared = one("text", role=roles[0], grants=[roles[1]])
    run(engine, f'GRANT USAGE ON SCHEMA public TO "{roles[1]}"')
    destination.ensure(declared)
    write(destination, declared, [row(value="x")])
    assert destination.count(declared) == {DAY: 1}
    assert select(engine, "SELECT tableowner FROM pg_tables WHERE tablename = 'calls'") == [(roles[0],)]
    run(engine, f'SET LOCAL ROLE "{roles[1]}"; SELECT value FROM calls')
    assert destination.plan(declared) == []


def test_a_reader_who_cannot_be_let_in_is_told_with_the_statement(
    destination: PostgresDestination, engine: Engine, roles: tuple[str, str]
) -> None:
    """GRANT only warns where the granting role may not: the table would stay unreadable without a word."""
    with pytest.raises(DestinationError, match='GRANT USAGE ON SCHEMA public TO "vcon-reader"'):
        destination.ensure(one("text", role=roles[0], grants=[roles[1]]))


def test_a_role_that_does_not_exist_is_asked_for(destination: PostgresDestination) -> None:
    with pytest.raises(DestinationError, match="is there a role of each name"):
        destination.ensure(one("text", grants=["nobody_of_that_name"]))


def test_another_server_is_connected_by_reference(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    declared = one("text", url="env:POSTGRES_REPORTS_URL")
    monkeypatch.setenv("POSTGRES_REPORTS_URL", database.replace("postgresql+psycopg2", "postgres"))
    assert PostgresDestination.connect(declared, CONNECTIONS).plan(declared)
    assert PostgresDestination.target(declared) == "public.calls at POSTGRES_REPORTS_URL"


@pytest.mark.parametrize("address", ["", "mysql://me:secret@db/x", "postgresql://me:secret@db:port/x"])
def test_an_address_that_cannot_be_used_is_told_without_it(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_REPORTS_URL", address)
    with pytest.raises(DestinationError, match=r"POSTGRES_REPORTS_URL (is not set|must look like)") as told:
        PostgresDestination.connect(one("text", url="env:POSTGRES_REPORTS_URL"), CONNECTIONS)
    assert "secret" not in str(told.value)
