"""Landing from the store: whatever happens to conversations, ticks and destinations, the tables end up right."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from sqlalchemy import create_engine, text

from tests.projections.destination_suite import Flaky
from tests.projections.examples import DONE, projection
from tests.projections.landing_world import World
from tests.projections.memory_destination import MemoryDestination
from vcon_platform.ledger.events import EventKind
from vcon_platform.projections import landing as module
from vcon_platform.projections.destination import Faults
from vcon_platform.projections.destinations.postgres.destination import PostgresDestination
from vcon_platform.projections.errors import DestinationUnavailable
from vcon_platform.projections.rows import version_of
from vcon_platform.vcon.document import Vcon

DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")
UUIDS = tuple(f"018f2b6e-4c1d-8a52-9f7e-{number:012x}" for number in range(1, 6))
A, B, C = UUIDS[:3]
UUID = {"name": "uuid", "type": "text", "from": "uuid"}
SUBJECT = {"name": "subject", "type": "text", "from": "subject"}


@pytest.fixture
def world(redis_client: Redis, tmp_path: Path) -> World:
    return World(redis_client, tmp_path, projection(columns=[UUID, SUBJECT]))


def standing(destination: MemoryDestination) -> dict[str, tuple[str, str]]:
    assert len({row.uuid for row in destination.rows}) == len(destination.rows)
    return {row.uuid: (row.day, row.hash) for row in destination.rows}


STEPS = st.one_of(
    st.tuples(st.just("create"), st.sampled_from(UUIDS), st.sampled_from(DAYS)),
    st.tuples(st.just("pipeline"), st.sampled_from(UUIDS), st.sampled_from(["one", "two", "=1+1"])),
    st.tuples(st.just("filtered"), st.sampled_from(UUIDS)),
    st.tuples(st.just("moved"), st.sampled_from(UUIDS), st.sampled_from(DAYS)),
    st.tuples(st.just("removed"), st.sampled_from(UUIDS)),
    st.tuples(st.just("tick"), st.integers(0, 1)),
    st.tuples(st.just("tick of before"), st.integers(0, 1), st.sampled_from(DAYS)),
    st.tuples(st.just("tick, broken off"), st.integers(0, 1), st.integers(0, 2)),
    st.tuples(st.just("away"), st.integers(0, 1)),
    st.tuples(st.just("back"), st.integers(0, 1)),
)


def play(world: World, destinations: list[Any], steps: list[tuple[Any, ...]]) -> None:
    """Let these steps happen; an empty store before."""
    world.empty()
    for step in steps:
        match step:
            case ("create", uuid, day):
                world.create(uuid, day)
                world.rows(uuid)
            case ("pipeline", uuid, subject):
                world.rows(uuid, subject=subject)
            case ("filtered", uuid):
                world.withdraw(uuid)
            case ("moved", uuid, day):
                world.rows(uuid, created_at=f"{day}T11:00:00Z")
            case ("removed", uuid):
                world.remove(uuid)
            case ("tick", number):
                with contextlib.suppress(DestinationUnavailable):
                    world.land(destinations[number], world.behind(destinations[number]))
            case ("tick of before", number, day):
                with contextlib.suppress(DestinationUnavailable):
                    world.land(destinations[number], [day])
            case ("tick, broken off", number, after):
                with contextlib.suppress(DestinationUnavailable):
                    world.land(Flaky(destinations[number], after), world.behind(destinations[number]))
            case ("away" | "back", number):
                destinations[number].away = step[0] == "away"
    for destination in destinations:
        destination.away = False
        for _ in range(4):  # what a landing forgets of a day that a conversation left lets that day land once more
            if days := world.behind(destination):
                world.land(destination, days)
        assert world.behind(destination) == []


class _Second(MemoryDestination):
    kind = "second"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=3, max_size=16))
def test_after_any_history_both_destinations_hold_what_the_documents_say(
    world: World, steps: list[tuple[Any, ...]]
) -> None:
    destinations = [MemoryDestination(), _Second(transactions=False)]
    play(world, destinations, steps)
    for destination in destinations:
        assert standing(destination) == world.truth(UUIDS)


class _Away(PostgresDestination):
    """Postgres that can be away."""

    away = False

    def held(self, *arguments: Any) -> dict[str, str]:
        if self.away:
            raise DestinationUnavailable("away")
        return super().held(*arguments)


@pytest.fixture
def tables(postgres_url: str, world: World) -> Iterator[_Away]:
    engine = create_engine(postgres_url)
    destination = _Away(engine)
    destination.ensure(world.projection)
    yield destination
    engine.dispose()


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(STEPS, min_size=6, max_size=16))
def test_after_any_history_postgres_holds_what_the_documents_say(
    world: World, tables: _Away, steps: list[tuple[Any, ...]]
) -> None:
    tables.erase(world.projection, UUIDS)
    play(world, [tables, tables], steps)
    assert tables.held(world.projection, DAYS) == {uuid: digest for uuid, (_, digest) in world.truth(UUIDS).items()}
    with tables._engine.connect() as connection:
        found = {uuid: str(day) for uuid, day in connection.execute(text("SELECT uuid, _day FROM calls"))}
    assert found == {uuid: day for uuid, (day, _) in world.truth(UUIDS).items()}


def test_a_landing_tells_the_ledger_and_a_second_one_nothing(world: World) -> None:
    destination = MemoryDestination()
    world.create(A, DAYS[0])
    world.rows(A)
    [group] = world.land(destination, DAYS)
    assert (group.days, group.eligible, group.settled, group.landed.rows[DAYS[0]]) == (DAYS, 1, True, 1)
    [event] = world.events
    assert (event.event, event.vcon_uuid, event.detail["destination"]) == (EventKind.PROJECTED, A, "memory:calls")
    assert event.detail["rows"] == world.truth([A])[A][1]
    world.land(destination, DAYS)
    assert len(world.events) == 1


def test_days_are_landed_in_groups_and_what_is_done_stays_done(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP", 2)
    for number, uuid in enumerate(UUIDS):
        world.create(uuid, DAYS[number % 3])
        world.rows(uuid)
    destination = MemoryDestination(transactions=False)
    with pytest.raises(DestinationUnavailable):
        world.land(Flaky(destination, breaks_at=2), DAYS)
    assert world.behind(destination) == [DAYS[2]]
    world.land(destination, world.behind(destination))
    assert standing(destination) == world.truth(UUIDS)
    assert [group.days for group in world.land(destination, DAYS)] == [(day,) for day in DAYS]


def test_days_without_rows_are_no_small_group(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP", 2)
    for number, uuid in enumerate(UUIDS):
        world.create(uuid, DAYS[number % 3])
        world.outcomes[uuid] = DONE
    groups = world.land(MemoryDestination(), DAYS, complete=True)
    assert [(group.days, group.renewed.made) for group in groups] == [((DAYS[0],), 2), ((DAYS[1],), 2), ((DAYS[2],), 1)]


def test_what_changes_while_it_lands_leaves_its_day_behind(world: World) -> None:
    class Slow(MemoryDestination):
        def held(self, *arguments: Any) -> dict[str, str]:
            if self.asked == 0:
                world.rows(A, subject="changed meanwhile")
            return super().held(*arguments)

    world.create(A, DAYS[0])
    world.rows(A)
    destination = Slow()
    [group] = world.land(destination, DAYS)
    assert (group.settled, group.landed.wrong) == (False, ())
    assert world.behind(destination) == [DAYS[0]]
    world.land(destination, world.behind(destination))
    assert (standing(destination), world.behind(destination)) == (world.truth([A]), [])


def test_a_projection_that_is_pointed_elsewhere_is_behind_there(world: World) -> None:
    class Elsewhere(MemoryDestination):
        @classmethod
        def target(cls, projection: Any) -> str:  # noqa: ARG003
            return "another place"

    world.create(A, DAYS[0])
    world.rows(A)
    world.land(MemoryDestination(), DAYS)
    assert world.behind(MemoryDestination()) == []
    assert world.behind(Elsewhere()) == [DAYS[0]]


def test_rows_are_made_for_a_projection_that_is_new(world: World) -> None:
    destination = MemoryDestination()
    for uuid in (A, B):
        world.create(uuid, DAYS[0])
    world.outcomes[A] = DONE
    world.land(destination, DAYS)
    assert standing(destination) == {}
    [group] = world.land(destination, DAYS, complete=True)
    assert (group.renewed.made, group.eligible) == (1, 1)
    assert standing(destination) == world.truth([A, B])
    assert list(standing(destination)) == [A]
    assert world.land(destination, DAYS, complete=True)[0].renewed.made == 0


def test_a_projection_whose_rows_a_processor_chooses_gets_none_that_way(world: World) -> None:
    world.projection = projection(columns=[UUID, SUBJECT], rows="processor")
    world.create(A, DAYS[0])
    world.outcomes[A] = DONE
    assert world.land(MemoryDestination(), DAYS, complete=True)[0].eligible == 0


def test_after_a_change_of_the_declaration_rows_are_made_anew(world: World) -> None:
    destination = MemoryDestination()
    for uuid in (A, B):
        world.create(uuid, DAYS[0], subject="said")
        world.rows(uuid)
    world.land(destination, DAYS)
    verdict = {"name": "verdict", "type": "text", "from": "verdict"}
    world.projection = projection(columns=[UUID, SUBJECT, verdict])
    world.rows(C)  # nothing: there is no such conversation
    [group] = world.land(destination, DAYS)
    assert group.renewed.made == 0  # what stands is left alone by a tick
    [group] = world.land(destination, DAYS, complete=True)
    assert (group.renewed.made, len(group.landed.written)) == (2, 2)
    assert {row.values["verdict"] for row in destination.rows} == {"done"}
    assert {version_of(row.hash) for row in destination.rows} == {world.projection.version}
    assert standing(destination) == world.truth([A, B])


def test_a_tick_makes_only_those_anew_that_it_writes(world: World) -> None:
    destination = MemoryDestination()
    for uuid in (A, B):
        world.create(uuid, DAYS[0])
        world.rows(uuid)
    world.land(destination, DAYS)
    destination.erase(world.projection, [B])  # by hand
    verdict = {"name": "verdict", "type": "text", "from": "verdict"}
    world.projection = projection(columns=[UUID, SUBJECT, verdict])
    [group] = world.land(destination, DAYS)
    assert (group.renewed.made, group.landed.written) == (1, (B,))
    assert {row.uuid: row.values.get("verdict") for row in destination.rows} == {A: None, B: "done"}


def test_the_whole_document_is_put_in_when_it_lands(world: World) -> None:
    world.projection = projection(columns=[UUID, {"name": "document", "type": "jsonb", "from": "vcon"}])
    destination = MemoryDestination()
    world.create(A, DAYS[0], subject="said")
    world.rows(A)
    world.land(destination, DAYS)
    [row] = destination.rows
    assert '"subject":"said"' in str(row.values["document"])
    assert '"purpose":"projection"' not in str(row.values["document"])
    assert world.land(destination, DAYS)[0].landed.unchanged == 1


def test_a_day_that_a_conversation_left_does_not_expect_it_for_ever(world: World) -> None:
    destination = MemoryDestination()
    world.create(A, DAYS[0])
    world.rows(A)
    world.rows(A, created_at=f"{DAYS[1]}T11:00:00Z")
    [group] = world.land(destination, [DAYS[0]])
    assert group.landed.missing == (A,)
    assert world.index.rows(world.projection.name, [DAYS[0]]) == {}
    assert A in world.index.rows(world.projection.name, [DAYS[1]])


def test_what_was_removed_from_the_store_and_still_stands_there_is_told(world: World) -> None:
    class Stubborn(MemoryDestination):
        def held(self, *arguments: Any) -> dict[str, str]:
            return {**super().held(*arguments), A: "0" * 12 + "-" + "0" * 16 + "-1"}

    world.create(A, DAYS[0])
    world.rows(A)
    world.remove(A)
    [group] = world.land(Stubborn(), DAYS)
    assert (group.erased, group.landed.wrong) == ((A,), (A,))
    [group] = world.land(MemoryDestination(), DAYS)
    assert (group.erased, group.landed.wrong) == ((), ())


def test_postgres_finds_keys_and_values_that_others_spoilt(world: World, tables: _Away) -> None:
    world.create(A, DAYS[0])
    world.rows(A)
    assert world.land(tables, DAYS)[0].faults == Faults()
    with tables._engine.begin() as connection:
        connection.execute(text("ALTER TABLE calls DROP CONSTRAINT calls_pkey"))
        connection.execute(text("ALTER TABLE calls ALTER uuid DROP NOT NULL"))
        connection.execute(text("INSERT INTO calls SELECT * FROM calls"))
        connection.execute(text("INSERT INTO calls (uuid, _day, _row_hash) VALUES (NULL, '2026-03-01', 'x')"))
    faults = tables.faults(world.projection, DAYS)
    assert (faults.duplicates >= 1, faults.empty) == (True, {"uuid": 1})


def test_an_encrypted_document_keeps_the_rows_that_it_has(world: World) -> None:
    destination = MemoryDestination()
    world.create(A, DAYS[0])
    world.rows(A)

    def encrypt(vcon: Vcon) -> None:
        for name in set(vcon.data) - {"uuid", "created_at", "attachments"}:
            del vcon.data[name]

    vcon = world.documents.read_one(A)
    encrypt(vcon)
    world.client.execute_command("JSON.SET", f"vcon:{A}", "$", vcon.to_bytes())  # type: ignore[no-untyped-call]
    world.projection = projection(columns=[UUID, SUBJECT, {"name": "verdict", "type": "text", "from": "verdict"}])
    [group] = world.land(destination, DAYS, complete=True)
    assert (group.renewed.made, group.renewed.failed, group.landed.written) == (0, 1, (A,))
