"""Usage in Postgres: the view has a row for each call, and the sums are right whatever they are grouped by."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2
import pytest
from sqlalchemy import create_engine, text

from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.ledger.store import Ledger
from vcon_platform.ledger.usage import BY, By, SinceRefused, moment
from vcon_platform.services.postgres import libpq_url
from vcon_platform.vcon.uuids import new_uuid

NOW = datetime(2026, 7, 30, 12, tzinfo=UTC)


def used(
    pipeline: str = "notes", uuid: str = "", at: datetime = NOW, processor: str = "ask", **detail: Any
) -> LedgerEvent:
    """One call."""
    told = {"service": "openai", "model": "gpt-x"}
    return LedgerEvent(
        vcon_uuid=uuid or new_uuid(),
        event=EventKind.USED,
        pipeline=pipeline,
        processor=processor,
        at=at.isoformat(timespec="microseconds"),
        detail=told | detail,
    )


def test_the_view_has_a_row_for_each_call_and_none_for_other_events(postgres_url: str) -> None:
    ledger, uuid = Ledger(postgres_url), new_uuid()
    ledger.append(
        [
            used(uuid=uuid, input_tokens=7, price=0.1, currency="EUR"),
            used(uuid=uuid, service="deepgram", model="nova-3", seconds=61.5),
            LedgerEvent(vcon_uuid=uuid, event=EventKind.PROCESSED),
        ]
    )
    with create_engine(postgres_url).connect() as connection:
        rows = connection.execute(
            text("SELECT service, model, seconds, input_tokens, price, currency FROM ledger.usage ORDER BY service")
        ).all()
    assert [tuple(row) for row in rows] == [
        ("deepgram", "nova-3", 61.5, 0, None, None),
        ("openai", "gpt-x", 0.0, 7, Decimal("0.1"), "EUR"),
    ]


def test_every_column_of_the_view_has_a_comment(postgres_url: str) -> None:
    Ledger(postgres_url).ensure()
    with create_engine(postgres_url).connect() as connection:
        without = connection.execute(
            text(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'ledger.usage'::regclass AND attnum > 0 "
                "AND col_description(attrelid, attnum) IS NULL"
            )
        ).all()
    assert without == []


def test_a_ledger_from_before_the_view_gets_it(postgres_url: str) -> None:
    Ledger(postgres_url).append([used()])
    with create_engine(postgres_url).begin() as connection:
        connection.execute(text("DROP VIEW ledger.usage"))
    Ledger(postgres_url).ensure()
    with create_engine(postgres_url).connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM ledger.usage")).scalar() == 1


def test_a_role_that_may_make_no_view_still_gets_its_sums(postgres_url: str) -> None:
    Ledger(postgres_url).append([used()])
    with create_engine(postgres_url).begin() as connection:
        connection.execute(text("DROP VIEW ledger.usage"))
        connection.execute(text("DROP ROLE IF EXISTS small"))
        connection.execute(text("CREATE ROLE small LOGIN PASSWORD 'small'"))
        connection.execute(text("GRANT USAGE ON SCHEMA ledger TO small"))
        connection.execute(text("GRANT SELECT, INSERT ON ledger.events TO small"))
    try:
        engine = create_engine(
            "postgresql://", creator=lambda: psycopg2.connect(libpq_url(postgres_url), user="small", password="small")
        )
        ledger = Ledger(engine)
        assert ledger.append([used()]) == 1
        assert [each.calls for each in ledger.usage("service")] == [2]
        engine.dispose()
    finally:
        with create_engine(postgres_url).begin() as connection:
            connection.execute(text("DROP OWNED BY small"))
            connection.execute(text("DROP ROLE small"))


def test_sums_count_calls_conversations_seconds_tokens_and_money(postgres_url: str) -> None:
    ledger, uuid = Ledger(postgres_url), new_uuid()
    ledger.append(
        [
            used(uuid=uuid, input_tokens=100, output_tokens=20, price=0.1, currency="EUR"),
            used(uuid=uuid, input_tokens=1, output_tokens=2, price=0.2, currency="EUR"),
            used(seconds=30.5),
        ]
    )
    [told] = ledger.usage("pipeline")
    assert (told.name, told.calls, told.conversations, told.unpriced) == ("notes", 3, 2, 1)
    assert (told.seconds, told.input_tokens, told.output_tokens) == (30.5, 101, 22)
    assert told.prices == {"EUR": Decimal("0.3")}


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("pipeline", ["b", "a"]),
        ("processor", ["hear", "ask"]),
        ("service", ["deepgram", "openai"]),
        ("model", ["deepgram/nova-3", "openai/gpt-x"]),
        ("run", [""]),
        ("day", ["2026-07-28", "2026-07-30"]),
        ("month", ["2026-07"]),
    ],
)
def test_sums_are_by_what_was_asked_for_the_dearest_first(postgres_url: str, by: By, names: list[str]) -> None:
    ledger = Ledger(postgres_url)
    ledger.append(
        [
            used("a", at=NOW - timedelta(days=2)),
            used("a", price=0.1),
            used("b", service="deepgram", model="nova-3", processor="hear", price=5, currency="USD"),
        ]
    )
    assert [told.name for told in ledger.usage(by)] == names
    assert by in BY


def test_money_of_two_currencies_is_not_added_up(postgres_url: str) -> None:
    ledger = Ledger(postgres_url)
    ledger.append([used(price=1, currency="EUR"), used(price=2, currency="USD"), used(price=4)])
    [told] = ledger.usage("service")
    assert told.prices == {"EUR": 1, "USD": 2, "": 4}


def test_only_what_was_used_between_two_moments_is_counted(postgres_url: str) -> None:
    ledger = Ledger(postgres_url)
    ledger.append([used(at=NOW - timedelta(hours=hours)) for hours in (0, 1, 2, 3)])
    [told] = ledger.usage("pipeline", since=NOW - timedelta(hours=2), until=NOW)
    assert told.calls == 2
    assert ledger.usage("pipeline", since=NOW + timedelta(hours=1)) == []


@pytest.mark.parametrize(
    ("given", "is_"),
    [
        ("2026-07-01", datetime(2026, 7, 1, tzinfo=UTC)),
        ("2026-07-01T12:00:00+02:00", datetime(2026, 7, 1, 10, tzinfo=UTC)),
        ("12h", NOW - timedelta(hours=12)),
        ("7d", NOW - timedelta(days=7)),
        ("2w", NOW - timedelta(weeks=2)),
    ],
)
def test_a_moment_is_read_as_people_type_it(given: str, is_: datetime) -> None:
    assert moment(given, NOW) == is_


@pytest.mark.parametrize("given", ["", "d", "yesterday", "-3d", "2026-13-01", "99999999999999w", "٣d"])
def test_what_is_no_moment_is_refused_with_examples(given: str) -> None:
    with pytest.raises(SinceRefused, match="2026-07-01"):
        moment(given, NOW)
