"""Rows as records of an Airtable table: against its API as it is documented, and its answers on a bad day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes.airtable import BASE, TOKEN, FakeAirtable, fake_airtable
from tests.fakes.services import Answer
from tests.projections.destination_suite import (
    DAYS,
    SECRET,
    A,
    B,
    Declared,
    DestinationSuite,
    Stored,
    a_set,
    row,
    with_columns,
)
from tests.projections.destination_suite import suite_projection as declared
from tests.projections.support import EVERY_TYPE, NO_CONNECTIONS, every_type
from tests.support import free_port
from vcon_platform.projections.destination import destination_kind
from vcon_platform.projections.destinations import calling
from vcon_platform.projections.destinations.airtable.destination import AirtableDestination
from vcon_platform.projections.errors import (
    DestinationError,
    DestinationUnavailable,
    ProjectionInvalid,
    SchemaConflict,
)
from vcon_platform.projections.model import Projection


@pytest.fixture(scope="module")
def airtable() -> Iterator[FakeAirtable]:
    with fake_airtable() as running:
        yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch, airtable: FakeAirtable) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(calling, "pause", waited.append)
    monkeypatch.setenv("AIRTABLE_URL", airtable.service.url)
    monkeypatch.setenv("AIRTABLE_TOKEN", TOKEN)
    airtable.service.next.clear()
    return waited


def table(**options: Any) -> Projection:
    return declared("airtable", **({"base": BASE, "url": "env:AIRTABLE_URL"} | options))


def connected(projection: Projection) -> AirtableDestination:
    return AirtableDestination.connect(projection, NO_CONNECTIONS)


@pytest.fixture(scope="module")
def projection() -> Projection:
    return table()


@pytest.fixture
def destination(projection: Projection) -> AirtableDestination:
    return connected(projection)


class TestAirtableStandard(DestinationSuite):
    examples = 8
    big = 500

    @pytest.fixture
    def stored(self, airtable: FakeAirtable) -> Stored:
        return lambda: airtable.rows("suite")

    @pytest.fixture
    def unreachable(self, projection: Projection, monkeypatch: pytest.MonkeyPatch) -> AirtableDestination:
        monkeypatch.setenv("AIRTABLE_URL", f"http://127.0.0.1:{free_port()}/{SECRET}")
        return connected(projection)

    @pytest.fixture
    def refused(self, projection: Projection, monkeypatch: pytest.MonkeyPatch) -> AirtableDestination:
        monkeypatch.setenv("AIRTABLE_TOKEN", SECRET)
        return connected(projection)

    @pytest.fixture
    def lose_one_row(self, airtable: FakeAirtable) -> Callable[[str], None]:
        def lose(uuid: str) -> None:
            records = airtable.records[airtable.tables["suite"]["id"]]
            del records[next(name for name, values in records.items() if values["uuid"] == uuid)]

        return lose


def test_it_is_found_by_its_entry_point() -> None:
    assert destination_kind("airtable") is AirtableDestination


def test_every_type_lands(airtable: FakeAirtable) -> None:
    projection = every_type("airtable", base=BASE, url="env:AIRTABLE_URL")
    assert Declared(projection, [a_set(projection, A, DAYS[0], EVERY_TYPE)]).land(connected(projection)).rejected == ()
    (found,) = airtable.rows("every_type")
    kept = {
        "a_numeric": 0.1,
        "a_timestamptz": "2026-03-01T09:30:00Z",
        "a_jsonb": '{"a.b":[1,{"$c":null}],"":2}',
        "a_array_of_text": '["a",null,"b"]',
        "a_array_of_bigint": "[1,2]",
        "a_array_of_numeric": "[1.5,2]",
    }
    assert (EVERY_TYPE | kept).items() <= found.items()


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("a_bigint", 2**60, "2\\^53"),
        ("a_numeric", "1E+400", "beyond what Airtable holds"),
        ("a_text", "x" * 100_001, "more than 100000 characters"),
    ],
)
def test_what_airtable_cannot_hold_is_told_by_its_column(column: str, value: Any, told: str) -> None:
    projection = every_type("airtable", base=BASE, url="env:AIRTABLE_URL")
    each = a_set(projection, B, DAYS[0], EVERY_TYPE | {column: value})
    (rejected,) = Declared(projection, [each]).land(connected(projection)).rejected
    assert (rejected.uuid, rejected.column) == (B, column)
    assert told.replace("\\", "") in rejected.reason


def test_peoples_own_fields_and_records_are_left_alone(airtable: FakeAirtable) -> None:
    projection = table(table="shared with people")
    destination = connected(projection)
    told = Declared(projection, [a_set(projection, A, DAYS[0])])
    told.land(destination)
    airtable.tables["shared with people"]["fields"].append({"name": "Remark", "type": "singleLineText"})
    records = airtable.records[airtable.tables["shared with people"]["id"]]
    (own,) = records
    records[own]["Remark"] = "mine"
    theirs = airtable.add("shared with people", {"Remark": "a record of my own", "uuid": A})
    told.set(A, DAYS[0], row(0, "new"))
    told.land(destination)
    assert (records[own]["Remark"], records[own]["note"]) == ("mine", "new")
    destination.erase(projection, [A])
    assert set(records) == {theirs}


def test_a_record_that_somebody_doubled_is_mended(airtable: FakeAirtable) -> None:
    projection = table(table="doubled")
    destination = connected(projection)
    told = Declared(projection, [a_set(projection, A, DAYS[0])])
    told.land(destination)
    airtable.add("doubled", airtable.rows("doubled")[0])
    assert destination.held(projection, DAYS) == {A: ""}
    told.land(destination)
    assert len(airtable.rows("doubled")) == 1


def test_a_new_column_becomes_a_field(airtable: FakeAirtable) -> None:
    before = table(table="grows")
    connected(before).ensure(before)
    after = with_columns(before, {"name": "added", "type": "text", "from": "subject"})
    assert "added" in connected(after).plan(after)[0].statement
    connected(after).ensure(after)
    assert connected(after).plan(after) == []


def test_a_field_of_another_type_is_refused_with_what_to_do(airtable: FakeAirtable) -> None:
    airtable.make("typed", [{"name": "seconds", "type": "checkbox"}])
    projection = table(table="typed")
    assert connected(projection).plan(projection)[0].refused
    with pytest.raises(SchemaConflict, match="change the field's type"):
        connected(projection).ensure(projection)


def test_one_record_that_is_refused_keeps_no_other_back(airtable: FakeAirtable, projection: Projection) -> None:
    """A call of ten is all or nothing: it is halved until the one is found."""
    narrow = table(table="narrow")
    destination = connected(narrow)
    destination.ensure(narrow)
    for each in airtable.tables["narrow"]["fields"]:
        if each["name"] == "seconds":
            each["options"] = {"precision": 0}
    bad = a_set(narrow, A, DAYS[0], row(0, seconds=0.5))
    good = a_set(narrow, B, DAYS[0], *(row(place, seconds=place) for place in range(15)))
    (rejected,) = Declared(narrow, [bad, good]).land(destination).rejected
    told = "refused by Airtable: INVALID_VALUE_FOR_COLUMN"
    assert (rejected.uuid, rejected.column, rejected.reason) == (A, "seconds", told)
    assert len(airtable.rows("narrow")) == 15


def test_ten_records_a_call_and_five_calls_a_second(airtable: FakeAirtable, waits: list[float]) -> None:
    projection = table(table="paced")
    destination = connected(projection)
    airtable.service.asked.clear()
    each = a_set(projection, A, DAYS[0], *(row(place) for place in range(95)))
    Declared(projection, [each]).land(destination)
    assert len([asked for asked in airtable.service.asked if asked.method == "PATCH"]) == 10
    assert len(waits) >= len(airtable.service.asked) - 1


def test_a_session_tells_how_many_calls_it_made(destination: AirtableDestination, projection: Projection) -> None:
    destination.ensure(projection)
    with destination.session(projection, [DAYS[0]]) as session:
        session.write([a_set(projection, A, DAYS[0], *(row(place) for place in range(11)))])
    assert session.told == {"calls": 3}
    destination.erase(projection, [A])


def test_a_rate_limit_is_waited_for(
    airtable: FakeAirtable, destination: AirtableDestination, waits: list[float]
) -> None:
    projection = table()
    airtable.service.next.append(Answer(429, {"errors": [{"error": "RATE_LIMIT_REACHED"}]}, {"Retry-After": "30"}))
    Declared(projection, [a_set(projection, A, DAYS[0])]).land(destination)
    assert 30 in waits
    destination.erase(projection, [A])


@pytest.mark.parametrize(
    "answer",
    [Answer(500, b""), Answer(503, b"<html>"), Answer(200, {"records": []}, cut=True)],
    ids=["500", "503", "cut"],
)
def test_what_may_pass_is_tried_again(
    airtable: FakeAirtable, destination: AirtableDestination, projection: Projection, answer: Answer
) -> None:
    destination.ensure(projection)
    airtable.service.next.append(answer)
    assert list(Declared(projection, [a_set(projection, A, DAYS[0])]).land(destination).written) == [A]
    destination.erase(projection, [A])


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(200, b"<html>"), "no JSON"),
        (Answer(200, []), "none of its own"),
        (Answer(403, {"error": {"type": "X", "message": SECRET}}), "check the key"),
    ],
)
def test_what_another_try_does_not_cure_is_told(
    airtable: FakeAirtable, destination: AirtableDestination, projection: Projection, answer: Answer, told: str
) -> None:
    airtable.service.next.append(answer)
    with pytest.raises(DestinationError, match=told) as caught:
        destination.held(projection, DAYS)
    assert not isinstance(caught.value, DestinationUnavailable)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"base": "my base"}, "base"),
        ({"table": "a/b"}, "table"),
        ({"token": "pat123"}, "must be a reference"),
        ({"token": "env:OPENAI_API_KEY"}, "may not name"),
    ],
)
def test_a_declaration_that_cannot_be_served_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionInvalid, match=told):
        AirtableDestination.check(table(**options))


def test_the_token_goes_only_where_the_installation_says() -> None:
    with pytest.raises(DestinationError, match="VCON_WEBHOOK_HOSTS"):
        connected(table(url="https://airtable.example.com"))
