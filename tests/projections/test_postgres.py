"""Rows in a real Postgres: tables, types, growth, hostile content, concurrency."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, text

from tests.projections.examples import DONE, call, projection
from tests.support import free_port
from vcon_platform.projections.destination import Written, destination_kind, destination_kinds
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable, SchemaConflict
from vcon_platform.projections.model import Projection
from vcon_platform.projections.postgres import PostgresDestination
from vcon_platform.projections.rows import RowSet, build_rows
from vcon_platform.vcon.uuids import new_uuid

DAY = "2026-03-02"
UUID = {"name": "uuid", "type": "text", "from": "uuid"}


@pytest.fixture
def engine(postgres_url: str) -> Iterator[Engine]:
    made = create_engine(postgres_url)
    yield made
    made.dispose()


@pytest.fixture
def destination(engine: Engine) -> PostgresDestination:
    return PostgresDestination(engine)


def select(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def run(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def row(uuid: str | None = None, day: str = DAY, **values: Any) -> RowSet:
    """A set of one row."""
    return RowSet(uuid=uuid or new_uuid(), day=day, rows=(values,), hash=digest("0"))


def digest(of: str, rows: int = 1) -> str:
    return f"{'0' * 12}-{of * 16}-{rows}"


def changed(one: RowSet, *rows: dict[str, Any]) -> RowSet:
    """The same conversation with these rows."""
    return replace(one, rows=rows, hash=digest("1", len(rows)))


def write(
    destination: PostgresDestination, declared: Projection, sets: Sequence[RowSet], days: Sequence[str] = (DAY,)
) -> Written:
    with destination.session(declared, days) as session:
        return session.write(sets)


def delete(destination: PostgresDestination, uuids: Sequence[str], days: Sequence[str] = (DAY,)) -> list[str]:
    with destination.session(projection(), days) as session:
        return session.delete(uuids)


def one_of_each_type() -> Any:
    types = ("text", "integer", "bigint", "numeric", "boolean", "timestamptz", "date", "jsonb")
    return projection(columns=[UUID, *({"name": f"a_{kind}", "type": kind, "from": "subject"} for kind in types)])


def test_postgres_is_found_by_its_entry_point() -> None:
    assert destination_kind("postgres") is PostgresDestination
    assert destination_kinds()["postgres"] is PostgresDestination


def test_a_conversations_row_lands_with_types_and_bookkeeping(destination: PostgresDestination, engine: Engine) -> None:
    vcon = call()
    built = build_rows(projection(), vcon, DONE)
    destination.ensure(projection())
    assert write(destination, projection(), [built]).changed == (vcon.uuid,)
    (found,) = select(
        engine,
        "SELECT uuid, created_at = '2026-03-02 01:30+00', customer, seconds, _day::text, _row_hash, "
        "_landed_at > now() - interval '1 minute' FROM calls",
    )
    assert found == (vcon.uuid, True, "Ada Kunde", 61.5, DAY, built.hash, True)
    assert destination.held(projection(), [DAY]) == {vcon.uuid: built.hash}
    assert destination.count(projection()) == {DAY: 1}


def test_every_type_takes_its_values_and_null(destination: PostgresDestination, engine: Engine) -> None:
    declared = one_of_each_type()
    destination.ensure(declared)
    values: dict[str, Any] = {
        "a_text": "x",
        "a_integer": 1,
        "a_bigint": 2**40,
        "a_numeric": 0.1,
        "a_boolean": True,
        "a_timestamptz": "2026-01-01T00:00:00Z",
        "a_date": "2026-01-01",
        "a_jsonb": {"a": [1, None]},
    }
    assert not write(destination, declared, [row("a", **values), row("b")]).rejected
    ((numeric, json, nulls),) = select(
        engine,
        "SELECT a.a_numeric::text, a.a_jsonb, num_nulls(b.a_text, b.a_integer, b.a_bigint, b.a_numeric, b.a_boolean, "
        "b.a_timestamptz, b.a_date, b.a_jsonb) FROM calls a, calls b WHERE a.uuid = 'a' AND b.uuid = 'b'",
    )
    assert (numeric, json, nulls) == ("0.1", {"a": [1, None]}, 8)


HOSTILE = [
    '=HYPERLINK("http://evil","x")',
    "+1+1",
    "-2",
    "@SUM(A1)",
    "\ttab",
    "\rreturn",
    "line\nbreak\r\n",
    "\\N",
    "\\.",
    "\\\\n",
    "'; DROP TABLE calls; --",
    '"; DROP TABLE calls; --',
    "$$; DROP TABLE calls; $$",
    "%s %(x)s {} {0}",
    "\u202eright to left",
    "zero\u200bwidth",
    "\uff1dfullwidth",
    "😀" * 1000,
    "\x01\x08\x0b\x7f",
    "",
    " ",
    "NULL",
]


def test_hostile_text_stays_exactly_that_text(destination: PostgresDestination, engine: Engine) -> None:
    destination.ensure(projection())
    rows = [row(customer=hostile) for hostile in HOSTILE]
    write(destination, projection(), rows)
    landed = dict(select(engine, "SELECT uuid, customer FROM calls"))
    assert landed == {one.uuid: one.rows[0]["customer"] for one in rows}


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(), min_size=1, max_size=5))
def test_any_text_comes_back_but_for_nul(destination: PostgresDestination, engine: Engine, texts: list[str]) -> None:
    destination.ensure(projection())
    rows = [row(customer=one) for one in texts]
    assert write(destination, projection(), rows).rejected == ()
    landed = dict(select(engine, "SELECT uuid, customer FROM calls"))
    assert [landed[one.uuid] for one in rows] == [one.replace("\0", "") for one in texts]


def test_a_row_that_does_not_fit_is_named_and_its_neighbours_land(destination: PostgresDestination) -> None:
    destination.ensure(projection())
    good, bad, worse = row(seconds=1), row(seconds="=1+1 secret"), row(created_at="Tuesday")
    written = write(destination, projection(), [good, bad, worse])
    assert written.changed == (good.uuid,)
    assert [(one.uuid, one.column) for one in written.rejected] == [(bad.uuid, "seconds"), (worse.uuid, "created_at")]
    assert "secret" not in repr(written)


def test_what_stood_there_before_a_rejected_row_is_removed(destination: PostgresDestination) -> None:
    destination.ensure(projection())
    first = row(seconds=1)
    write(destination, projection(), [first])
    write(destination, projection(), [changed(first, {"seconds": "many"})])
    assert destination.count(projection()) == {}


def test_a_row_that_only_the_table_refuses_is_found_among_hundreds(
    destination: PostgresDestination, engine: Engine
) -> None:
    """A constraint of the users' own stands for whatever this code cannot foresee."""
    destination.ensure(projection())
    run(engine, "ALTER TABLE calls ADD CHECK (customer <> 'refused')")
    rows = [row(customer="refused" if n in (17, 18, 240) else "fine") for n in range(300)]
    written = write(destination, projection(), rows)
    assert len(written.changed) == 297
    assert {one.uuid for one in written.rejected} == {rows[n].uuid for n in (17, 18, 240)}
    assert written.rejected[0].reason == "refused by the table: check violation"


def test_writing_the_same_rows_again_changes_nothing(destination: PostgresDestination) -> None:
    destination.ensure(projection())
    rows = [row(seconds=n) for n in range(10)]
    assert len(write(destination, projection(), rows).changed) == 10
    assert write(destination, projection(), rows).changed == ()
    assert write(destination, projection(), []).changed == ()


def test_of_two_rows_of_one_conversation_the_later_counts(destination: PostgresDestination, engine: Engine) -> None:
    destination.ensure(projection())
    first = row(seconds=1)
    write(destination, projection(), [first, changed(first, {"seconds": 2})])
    assert select(engine, "SELECT seconds::int FROM calls") == [(2,)]


def test_a_row_moves_with_its_day_and_a_delete_on_the_old_day_leaves_it_alone(
    destination: PostgresDestination,
) -> None:
    destination.ensure(projection())
    first = row()
    write(destination, projection(), [first])
    write(destination, projection(), [replace(first, day="2026-03-03", hash=digest("1"))])
    assert destination.count(projection()) == {"2026-03-03": 1}
    assert delete(destination, [first.uuid]) == []
    assert destination.erase(projection(), [first.uuid]) == [first.uuid]


def test_the_uuid_is_the_rows_own_whatever_its_values_say(destination: PostgresDestination, engine: Engine) -> None:
    destination.ensure(projection())
    mine = row(uuid="mine")
    write(destination, projection(), [changed(mine, {"uuid": "somebody else's"})])
    assert select(engine, "SELECT uuid FROM calls") == [("mine",)]


def test_a_wider_key_leaves_no_row_under_the_old_key_behind(destination: PostgresDestination, engine: Engine) -> None:
    declared = projection(key=["uuid", "customer"])
    destination.ensure(declared)
    first = row(customer="Ada")
    write(destination, declared, [first])
    write(destination, declared, [changed(first, {"customer": "Eve"})])
    assert select(engine, "SELECT customer FROM calls") == [("Eve",)]
    (rejected,) = write(destination, declared, [row()]).rejected
    assert rejected.column == "customer"


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


def test_processes_that_ensure_at_once_make_one_table(engine: Engine, postgres_url: str) -> None:
    failures: list[Exception] = []
    together = threading.Barrier(8)

    def start() -> None:
        try:
            mine = PostgresDestination(postgres_url)
            together.wait()
            mine.ensure(projection(destinations=[{"postgres": {"table": "calls", "schema": "fresh"}}]))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(select(engine, "SELECT 1 FROM pg_indexes WHERE schemaname = 'fresh'")) == 2


def test_writers_of_the_same_rows_at_once_do_not_harm_each_other(
    destination: PostgresDestination, postgres_url: str
) -> None:
    destination.ensure(projection())
    rows = [row(seconds=n) for n in range(500)]
    failures: list[Exception] = []
    together = threading.Barrier(4)

    def writer(turned: bool) -> None:
        try:
            mine = PostgresDestination(postgres_url)
            together.wait()
            for _ in range(3):
                write(mine, projection(), rows[::-1] if turned else rows)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=writer, args=(n % 2 == 0,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert destination.count(projection()) == {DAY: 500}


def test_a_table_that_was_never_made_holds_nothing_and_takes_nothing(destination: PostgresDestination) -> None:
    assert destination.held(projection(), [DAY]) == {}
    assert destination.count(projection()) == {}
    assert destination.erase(projection(), ["a"]) == []
    with pytest.raises(DestinationError, match="undefined table"):
        write(destination, projection(), [row()])


def test_an_answering_postgres_that_forbids_it_is_not_called_unavailable(engine: Engine, postgres_url: str) -> None:
    run(engine, "CREATE ROLE guest_of_calls LOGIN PASSWORD 'guest'")
    try:
        guest = PostgresDestination(engine.url.set(username="guest_of_calls", password="guest").render_as_string(False))
        with pytest.raises(DestinationError, match="insufficient privilege") as error:
            guest.ensure(projection())
        assert not isinstance(error.value, DestinationUnavailable)
    finally:
        run(engine, "DROP ROLE guest_of_calls")


def test_without_postgres_a_typed_error_says_so() -> None:
    away = PostgresDestination(f"postgresql+psycopg2://nobody:secret@127.0.0.1:{free_port()}/none")
    with pytest.raises(DestinationUnavailable, match="vcon-platform status") as error:
        away.ensure(projection())
    assert "secret" not in str(error.value)


def test_after_a_cut_connection_the_next_call_works_again(
    destination: PostgresDestination, engine: Engine, postgres_url: str
) -> None:
    destination.ensure(projection())
    other = create_engine(postgres_url)
    run(
        other,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    other.dispose()
    with pytest.raises(DestinationUnavailable, match="nothing was changed"):
        write(destination, projection(), [row()])
    assert write(destination, projection(), [row()]).changed
