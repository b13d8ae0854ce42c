"""From Redis to Postgres, each event exactly once, whatever happens in between."""

from __future__ import annotations

import threading
from typing import cast

import orjson
import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine, text

from tests.ledger.test_store import event
from tests.support import free_port
from vcon_platform.ledger.errors import LedgerUnavailable
from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.ledger.outbox import OUTBOX, REJECTED, redrive_rejected, rejected, ship, ship_all, waiting
from vcon_platform.ledger.store import Ledger
from vcon_platform.vcon.uuids import new_uuid


def put(client: redis.Redis, *events: LedgerEvent | object) -> None:
    """As ``commit.lua`` does: one entry whose field holds a JSON array."""
    values = [orjson.loads(one.to_bytes()) if isinstance(one, LedgerEvent) else one for one in events]
    client.xadd(OUTBOX, {"events": orjson.dumps(values)})


def rejected_entries(client: redis.Redis) -> list[dict[bytes, bytes]]:
    return [fields for _, fields in cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(REJECTED))]


def test_shipped_events_are_in_the_ledger_in_order_and_off_the_stream(
    redis_client: redis.Redis, postgres_url: str
) -> None:
    ledger, uuid = Ledger(postgres_url), new_uuid()
    put(redis_client, event(uuid, EventKind.CREATED))
    put(redis_client, event(uuid, EventKind.PROCESSED), event(uuid, EventKind.DONE))
    assert ship(redis_client, ledger) == 2
    assert [found.event for found in ledger.events_of(uuid)] == ["created", "processed", "done"]
    assert waiting(redis_client) == 0
    assert ship(redis_client, ledger) == 0


def test_only_as_many_entries_as_asked_for_are_taken_from_the_head(
    redis_client: redis.Redis, postgres_url: str
) -> None:
    ledger = Ledger(postgres_url)
    events = [event() for _ in range(5)]
    for one in events:
        put(redis_client, one)
    assert ship(redis_client, ledger, limit=2) == 2
    assert [bool(ledger.events_of(one.vcon_uuid)) for one in events] == [True, True, False, False, False]
    assert ship_all(redis_client, ledger) == 3


def test_shipping_ends_when_its_time_is_over(redis_client: redis.Redis, postgres_url: str) -> None:
    put(redis_client, event())
    assert ship_all(redis_client, Ledger(postgres_url), within=0) == 0
    assert waiting(redis_client) == 1


def test_a_shipper_that_died_after_storing_and_before_deleting_makes_no_duplicate(
    redis_client: redis.Redis, postgres_url: str
) -> None:
    ledger, one = Ledger(postgres_url), event()
    put(redis_client, one)
    ledger.append([one])
    assert ship(redis_client, ledger) == 1
    assert ledger.events_of(one.vcon_uuid) == [one]


def test_without_postgres_everything_stays_in_redis(redis_client: redis.Redis) -> None:
    put(redis_client, event())
    away = Ledger(f"postgresql+psycopg2://nobody@127.0.0.1:{free_port()}/none")
    with pytest.raises(LedgerUnavailable):
        ship(redis_client, away)
    assert waiting(redis_client) == 1


def test_an_entry_that_can_never_be_stored_blocks_nothing_and_is_kept_with_the_reason(
    redis_client: redis.Redis, postgres_url: str
) -> None:
    ledger, good, fine = Ledger(postgres_url), event(), event()
    bad = orjson.loads(event().to_bytes()) | {"event": "exploded"}
    redis_client.xadd(OUTBOX, {"something": b"\xff\x00"})
    redis_client.xadd(OUTBOX, {"events": b"{not json"})
    redis_client.xadd(OUTBOX, {"events": b'{"not": "a list"}'})
    put(redis_client, good, bad)
    put(redis_client, fine)
    assert ship(redis_client, ledger) == 5
    assert waiting(redis_client) == 0
    assert ledger.events_of(good.vcon_uuid) == [good]
    assert ledger.events_of(fine.vcon_uuid) == [fine]
    kept = rejected_entries(redis_client)
    assert [fields.get(b"something", fields.get(b"events")) for fields in kept[:3]] == [
        b"\xff\x00",
        b"{not json",
        b'{"not": "a list"}',
    ]
    assert orjson.loads(kept[3][b"events"]) == [bad]
    assert kept[3][b"reason"].startswith(b"/event is none of")
    assert rejected(redis_client) == 4


def test_an_event_that_only_postgres_refuses_is_found_among_its_neighbours(
    redis_client: redis.Redis, postgres_url: str
) -> None:
    """Somebody's own constraint stands for every reason this code cannot foresee."""
    ledger = Ledger(postgres_url)
    ledger.ensure()
    with create_engine(postgres_url).begin() as connection:
        connection.execute(text("ALTER TABLE ledger.events ADD CHECK (pipeline <> 'poison')"))
    events = [event(pipeline="poison" if n == 5 else "recall") for n in range(9)]
    put(redis_client, *events)
    assert ship(redis_client, ledger) == 1
    assert ledger.counts(pipeline="recall") == {EventKind.PROCESSED: 8}
    (entry,) = rejected_entries(redis_client)
    assert [one["event_id"] for one in orjson.loads(entry[b"events"])] == [events[5].event_id]
    assert b"23514" in entry[b"reason"]


def test_rejected_events_can_be_sent_again(redis_client: redis.Redis, postgres_url: str) -> None:
    ledger = Ledger(postgres_url)
    put(redis_client, orjson.loads(event().to_bytes()) | {"revision": "many"})
    ship(redis_client, ledger)
    assert redrive_rejected(redis_client) == 1
    assert (waiting(redis_client), rejected(redis_client)) == (1, 0)


def test_several_shippers_at_once_store_each_event_once(
    redis_client: redis.Redis, redis_url: str, postgres_url: str
) -> None:
    events = [event() for _ in range(600)]
    for at in range(0, 600, 3):
        put(redis_client, *events[at : at + 3])
    redis_client.xadd(OUTBOX, {"events": b"never"})
    failures: list[Exception] = []
    together = threading.Barrier(4)

    def shipper() -> None:
        try:
            with redis.Redis.from_url(redis_url) as client:
                ledger = Ledger(postgres_url)
                together.wait()
                while ship(client, ledger, limit=7):
                    pass
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=shipper) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert Ledger(postgres_url).counts() == {EventKind.PROCESSED: 600}
    assert rejected(redis_client) == 1


def test_a_client_that_decodes_replies_ships_as_well(
    redis_client: redis.Redis, redis_url: str, postgres_url: str
) -> None:
    one = event()
    put(redis_client, one)
    with redis.Redis.from_url(redis_url, decode_responses=True) as client:
        assert ship(client, Ledger(postgres_url)) == 1
    assert Ledger(postgres_url).events_of(one.vcon_uuid) == [one]


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(
            st.one_of(
                st.builds(lambda detail: event(detail=detail), st.dictionaries(st.text(), _JSON, max_size=3)), _JSON
            ),
            max_size=4,
        ),
        max_size=4,
    )
)
def test_whatever_stands_in_the_outbox_every_event_ends_in_the_ledger_and_everything_else_is_rejected(
    redis_client: redis.Redis, postgres_url: str, entries: list[list[object]]
) -> None:
    redis_client.delete(OUTBOX, REJECTED)
    for entry in entries:
        put(redis_client, *entry)
    ledger = Ledger(postgres_url)
    ship_all(redis_client, ledger)
    assert waiting(redis_client) == 0
    for entry in entries:
        for one in entry:
            if isinstance(one, LedgerEvent):
                assert len(ledger.events_of(one.vcon_uuid)) == 1
    assert rejected(redis_client) == sum(any(not isinstance(one, LedgerEvent) for one in entry) for entry in entries)
