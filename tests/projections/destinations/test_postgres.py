"""Rows in a real Postgres: types, hostile content, refusals, concurrency. Tables are in ``test_postgres_schema.py``."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine

from tests.projections.examples import DONE, call, projection
from tests.projections.postgres_rows import DAY, UUID, changed, delete, digest, row, run, select, write
from tests.support import free_port
from vcon_platform.projections.destination import destination_kind, destination_kinds
from vcon_platform.projections.destinations.postgres.destination import PostgresDestination
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.projections.rows import build_rows
from vcon_platform.projections.values import ColumnType


@pytest.fixture
def destination(engine: Engine) -> PostgresDestination:
    return PostgresDestination(engine)


def one_of_each_type() -> Any:
    columns = [{"name": named(kind), "type": kind, "from": "subject"} for kind in get_args(ColumnType)]
    return projection(columns=[UUID, *columns])


def named(kind: str) -> str:
    return f"a_{kind.replace('[]', 's')}"


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
    given: dict[str, tuple[Any, Any]] = {
        "text": ("x", "x"),
        "integer": (1, 1),
        "bigint": (2**40, 2**40),
        "numeric": (0.1, Decimal("0.1")),
        "double": (0.1, 0.1),
        "boolean": (True, True),
        "timestamptz": ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
        "date": ("2026-01-01", date(2026, 1, 1)),
        "jsonb": ({"a": [1, None]}, {"a": [1, None]}),
        "text[]": ([*HOSTILE, None, "NULL", "{", '"'], [*HOSTILE, None, "NULL", "{", '"']),
        "bigint[]": ([1, None], [1, None]),
        "numeric[]": ([0.1], [Decimal("0.1")]),
    }
    assert set(given) == set(get_args(ColumnType))
    values = {named(kind): value for kind, (value, _) in given.items()}
    assert not write(destination, declared, [row("a", **values), row("b")]).rejected
    names = ", ".join(map(named, given))
    assert select(engine, f"SELECT {names} FROM calls WHERE uuid = 'a'") == [tuple(back for _, back in given.values())]
    assert select(engine, f"SELECT num_nulls({names}) FROM calls WHERE uuid = 'b'") == [(len(given),)]


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


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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


def test_processes_that_ensure_at_once_make_one_table(engine: Engine, database: str) -> None:
    failures: list[Exception] = []
    together = threading.Barrier(8)

    def start() -> None:
        try:
            mine = PostgresDestination(database)
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
    assert len(select(engine, "SELECT 1 FROM pg_indexes WHERE schemaname = 'fresh'")) == 2  # key and day


def test_writers_of_the_same_rows_at_once_do_not_harm_each_other(
    destination: PostgresDestination, database: str
) -> None:
    destination.ensure(projection())
    rows = [row(seconds=n) for n in range(500)]
    failures: list[Exception] = []
    together = threading.Barrier(4)

    def writer(turned: bool) -> None:
        try:
            mine = PostgresDestination(database)
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


def test_an_answering_postgres_that_forbids_it_is_not_called_unavailable(engine: Engine, database: str) -> None:
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
    destination: PostgresDestination, engine: Engine, database: str
) -> None:
    destination.ensure(projection())
    other = create_engine(database)
    run(
        other,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    other.dispose()
    with pytest.raises(DestinationUnavailable, match="nothing was changed"):
        write(destination, projection(), [row()])
    assert write(destination, projection(), [row()]).changed
