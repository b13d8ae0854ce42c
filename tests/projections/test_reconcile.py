"""Landing: after any history, the destination holds what it should."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.projections.examples import projection
from tests.projections.memory_destination import MemoryDestination, StoredRow
from vcon_platform.projections.errors import DestinationUnavailable
from vcon_platform.projections.model import Projection
from vcon_platform.projections.reconcile import Landed, compare, reconcile
from vcon_platform.projections.rows import RowSet, set_hash

PROJECTION = projection()
DAYS = ("2026-03-01", "2026-03-02", "2026-03-03")
UUIDS = tuple("abcdef")


class Broken(Exception):
    """Whatever may come in between."""


@dataclass
class Source:
    """What should be: rows by uuid, as the store would tell."""

    rows: dict[str, RowSet] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)
    erased_meanwhile: set[str] = field(default_factory=set)
    breaks_after: int | None = None

    def set(self, uuid: str, day: str, seconds: object) -> None:
        values = {"uuid": uuid, "seconds": seconds}
        self.rows[uuid] = RowSet(uuid, day, (values,), set_hash(PROJECTION, day, [values]))

    def expected(self, days: Iterable[str]) -> dict[str, str]:
        return {uuid: row.hash for uuid, row in self.rows.items() if row.day in days}

    def read(self, uuids: Sequence[str]) -> Iterable[RowSet]:
        for uuid in uuids:
            if self.breaks_after is not None:
                self.breaks_after -= 1
                if self.breaks_after < 0:
                    raise Broken
            self.reads.append(uuid)
            if uuid in self.rows and uuid not in self.erased_meanwhile:
                yield self.rows[uuid]

    def land(self, destination: MemoryDestination, days: Sequence[str] = DAYS) -> Landed:
        return reconcile(PROJECTION, destination, days, self.expected(days), self.read)


@pytest.fixture
def destination() -> MemoryDestination:
    return MemoryDestination()


def table(destination: MemoryDestination) -> dict[str, tuple[str, str]]:
    assert len({row.uuid for row in destination.rows}) == len(destination.rows)
    return {row.uuid: (row.day, row.hash) for row in destination.rows}


def wanted(source: Source) -> dict[str, tuple[str, str]]:
    """What the declarations say; a row that does not fit has no place in a table."""
    return {uuid: (row.day, row.hash) for uuid, row in source.rows.items() if row.rows[0]["seconds"] != "unfit"}


@given(
    st.dictionaries(st.sampled_from(UUIDS), st.sampled_from("xyz")),
    st.dictionaries(st.sampled_from(UUIDS), st.sampled_from("xyz")),
)
def test_a_plan_turns_what_is_held_into_what_is_expected(held: Mapping[str, str], expected: Mapping[str, str]) -> None:
    plan = compare(held, expected)
    after = {uuid: digest for uuid, digest in held.items() if uuid not in plan.delete}
    after |= {uuid: expected[uuid] for uuid in plan.read}
    assert after == expected
    assert len(plan.read) + plan.unchanged == len(expected)
    assert compare(after, expected).read == compare(after, expected).delete == ()


def test_the_first_landing_writes_all_and_the_second_reads_nothing(destination: MemoryDestination) -> None:
    source = Source()
    for n, uuid in enumerate(UUIDS):
        source.set(uuid, DAYS[n % 2], n)
    landed = source.land(destination)
    assert sorted(landed.written) == list(UUIDS)
    assert landed.rows == {DAYS[0]: 3, DAYS[1]: 3, DAYS[2]: 0}
    source.reads.clear()
    again = source.land(destination)
    assert (again.written, again.deleted, again.unchanged) == ((), (), 6)
    assert source.reads == []


def test_only_what_changed_is_read_and_what_is_gone_is_deleted(destination: MemoryDestination) -> None:
    source = Source()
    for uuid in UUIDS:
        source.set(uuid, DAYS[0], 1)
    source.land(destination)
    source.set("a", DAYS[0], 2)
    del source.rows["b"]
    source.reads.clear()
    landed = source.land(destination)
    assert (landed.written, landed.deleted, landed.unchanged) == (("a",), ("b",), 4)
    assert source.reads == ["a"]
    assert table(destination) == wanted(source)


def test_days_that_were_not_asked_for_are_left_alone(destination: MemoryDestination) -> None:
    source = Source()
    source.set("a", DAYS[0], 1)
    source.set("b", DAYS[1], 1)
    source.land(destination)
    source.rows.clear()
    source.land(destination, [DAYS[1]])
    assert set(table(destination)) == {"a"}


def test_a_row_that_was_erased_between_index_and_reading_is_deleted(destination: MemoryDestination) -> None:
    source = Source()
    source.set("a", DAYS[0], 1)
    source.land(destination)
    source.set("a", DAYS[0], 2)
    source.erased_meanwhile.add("a")
    landed = source.land(destination)
    assert (landed.missing, landed.deleted, landed.written) == (("a",), ("a",), ())
    assert table(destination) == {}


def test_rejected_rows_are_reported_and_do_not_hold_up_the_rest(destination: MemoryDestination) -> None:
    source = Source()
    source.set("a", DAYS[0], "unfit")
    source.set("b", DAYS[0], 1)
    landed = source.land(destination)
    assert [(rejected.uuid, rejected.column) for rejected in landed.rejected] == [("a", "seconds")]
    assert landed.written == ("b",)
    assert (landed.unchanged, landed.rows[DAYS[0]]) == (0, 1)


def test_a_landing_that_broke_off_is_done_by_the_next_one(destination: MemoryDestination) -> None:
    destination.transactions = False
    source = Source(breaks_after=35)
    for n in range(100):
        source.set(f"u{n:03}", DAYS[n % 3], n)
    with pytest.raises(Broken):
        source.land(destination)
    source.breaks_after = None
    source.land(destination)
    assert table(destination) == wanted(source)


def test_a_destination_that_is_away_says_so_and_is_right_again_later(destination: MemoryDestination) -> None:
    source = Source()
    source.set("a", DAYS[0], 1)
    source.land(destination)
    source.set("a", DAYS[0], 2)
    destination.away = True
    with pytest.raises(DestinationUnavailable):
        source.land(destination)
    destination.away = False
    source.land(destination)
    assert table(destination) == wanted(source)


STEPS = st.one_of(
    st.tuples(
        st.just("set"), st.sampled_from(UUIDS), st.sampled_from(DAYS), st.sampled_from([1, 2, 2.5, None, "unfit"])
    ),
    st.tuples(st.just("gone"), st.sampled_from(UUIDS)),
    st.tuples(st.just("land"), st.lists(st.sampled_from(DAYS), unique=True)),
    st.tuples(st.just("land, broken off"), st.integers(0, 4)),
    st.tuples(st.just("land what was true before"), st.sampled_from(DAYS)),
    st.tuples(st.just("somebody else writes"), st.sampled_from(UUIDS), st.sampled_from(DAYS)),
)


@settings(max_examples=120)
@given(st.lists(STEPS, max_size=14), st.booleans())
def test_after_any_history_one_landing_makes_the_table_right(
    steps: list[tuple[object, ...]], transactions: bool
) -> None:
    """Rows come, change, move between days and go; landings come twice, late, for some days or die in the middle;
    somebody writes into the table by hand."""
    destination = MemoryDestination(transactions=transactions)
    source = Source()
    earlier: dict[str, RowSet] = {}
    for step in steps:
        match step:
            case ("set", str(uuid), str(day), seconds):
                earlier = dict(source.rows)
                source.set(uuid, day, seconds)
            case ("gone", str(uuid)):
                earlier = dict(source.rows)
                source.rows.pop(uuid, None)
            case ("land", list(days)):
                source.land(destination, days)
            case ("land, broken off", int(after)):
                source.breaks_after = after
                with contextlib.suppress(Broken):
                    source.land(destination)
                source.breaks_after = None
            case ("land what was true before", str(day)):
                Source(rows=earlier).land(destination, [day])
            case ("somebody else writes", str(uuid), str(day)):
                with destination.session(PROJECTION, [day]) as session:
                    session.write([RowSet(uuid, day, ({},), f"{'f' * 12}-{'f' * 16}-1")])
    landed = source.land(destination)
    assert table(destination) == wanted(source)
    assert sum(landed.rows.values()) == len(wanted(source))
    again = source.land(destination)
    assert (again.written, again.deleted) == ((), ())
    assert again.unchanged + len(again.rejected) == len(source.rows)


def test_a_destination_that_does_not_do_what_it_was_told_is_told_apart(destination: MemoryDestination) -> None:
    class Forgetful(MemoryDestination):
        def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
            self.rows = [row for row in self.rows if row.uuid != "a"]
            self.rows.append(StoredRow("z", DAYS[0], "0" * 12 + "-" + "0" * 16 + "-1", {}))
            return super().held(projection, days)

    source = Source()
    source.set("a", DAYS[0], 1)
    source.set("b", DAYS[0], 1)
    assert source.land(destination).wrong == ()
    assert source.land(Forgetful()).wrong == ("a", "z")


def test_nothing_in_a_landing_names_a_value(destination: MemoryDestination) -> None:
    source = Source()
    source.set("a", DAYS[0], "unfit")
    assert not re.search("unfit", repr(source.land(destination)))
