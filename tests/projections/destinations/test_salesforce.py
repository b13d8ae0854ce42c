"""Rows as records of a Salesforce object: against its REST API as it is documented, and its answers on a bad day."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.fakes import salesforce as fake
from tests.fakes.salesforce import FakeSalesforce, fake_salesforce
from tests.fakes.services import Answer
from tests.projections.destination_suite import DAYS, SECRET, A, B, Declared, DestinationSuite, Stored, a_set, row
from tests.projections.destination_suite import suite_projection as declared
from tests.projections.support import EVERY_TYPE, NO_CONNECTIONS, every_type
from tests.support import free_port
from vcon_platform.projections.destination import destination_kind
from vcon_platform.projections.destinations import calling
from vcon_platform.projections.destinations.salesforce.destination import SalesforceDestination
from vcon_platform.projections.errors import (
    DestinationError,
    DestinationUnavailable,
    ProjectionInvalid,
    SchemaConflict,
)
from vcon_platform.projections.model import Projection

BOOKKEEPING: dict[str, Any] = {
    "vCon_Row__c": {"type": "string", "length": 110, "externalId": True, "required": True},
    "vCon_Day__c": "date",
    "vCon_Hash__c": {"type": "string", "length": 64},
}
CALL: dict[str, Any] = {
    "uuid__c": "string",
    "position__c": "double",
    "note__c": "textarea",
    "Duration__c": "double",
    "at__c": "datetime",
}


@pytest.fixture(scope="module")
def org() -> Iterator[FakeSalesforce]:
    with fake_salesforce() as running:
        running.make("Call__c", **CALL, **BOOKKEEPING)
        yield running


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch, org: FakeSalesforce) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(calling, "pause", waited.append)
    monkeypatch.setenv("SALESFORCE_URL", org.service.url)
    monkeypatch.setenv("SALESFORCE_CLIENT_ID", fake.CLIENT)
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", fake.SECRET)
    org.service.next.clear()
    org.locked = 0
    return waited


def calls(**options: Any) -> Projection:
    return declared("salesforce", **({"object": "Call__c", "fields": {"seconds": "Duration__c"}} | options))


def connected(projection: Projection) -> SalesforceDestination:
    return SalesforceDestination.connect(projection, NO_CONNECTIONS)


@pytest.fixture(scope="module")
def projection() -> Projection:
    return calls()


@pytest.fixture
def destination(projection: Projection) -> SalesforceDestination:
    return connected(projection)


class TestSalesforceStandard(DestinationSuite):
    examples = 8
    big = 1_000

    @pytest.fixture
    def stored(self, org: FakeSalesforce) -> Stored:
        names = {
            "uuid__c": "uuid",
            "position__c": "position",
            "note__c": "note",
            "Duration__c": "seconds",
            "at__c": "at",
        }
        return lambda: [
            {names[name]: value for name, value in record.items() if name in names}
            for record in org.records["Call__c"].values()
        ]

    def kept_text(self, text: str) -> str:
        return super().kept_text(text).strip()

    @pytest.fixture
    def unreachable(self, projection: Projection, monkeypatch: pytest.MonkeyPatch) -> SalesforceDestination:
        monkeypatch.setenv("SALESFORCE_URL", f"http://127.0.0.1:{free_port()}/")
        return connected(projection)

    @pytest.fixture
    def refused(self, projection: Projection, monkeypatch: pytest.MonkeyPatch) -> SalesforceDestination:
        monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", SECRET)
        return connected(projection)

    @pytest.fixture
    def lose_one_row(self, org: FakeSalesforce) -> Callable[[str], None]:
        def lose(uuid: str) -> None:
            records = org.records["Call__c"]
            del records[next(name for name, record in records.items() if record["uuid__c"] == uuid)]

        return lose


def test_it_is_found_by_its_entry_point() -> None:
    assert destination_kind("salesforce") is SalesforceDestination


def test_every_type_lands(org: FakeSalesforce) -> None:
    types = {
        **dict.fromkeys(("uuid", "a_text", "a_jsonb"), "textarea"),
        **dict.fromkeys(("a_integer", "a_bigint", "a_numeric", "a_double"), "double"),
        **{"a_boolean": "boolean", "a_timestamptz": "datetime", "a_date": "date"},
        **dict.fromkeys(("a_array_of_text", "a_array_of_bigint", "a_array_of_numeric"), "string"),
    }
    org.make("Every__c", **{f"{name}__c": kind for name, kind in types.items()}, **BOOKKEEPING)
    projection = every_type("salesforce", object="Every__c")
    assert Declared(projection, [a_set(projection, A, DAYS[0], EVERY_TYPE)]).land(connected(projection)).rejected == ()
    (found,) = org.records["Every__c"].values()
    kept = EVERY_TYPE | {
        "a_numeric": 0.1,
        "a_timestamptz": "2026-03-01T09:30:00Z",
        "a_jsonb": '{"a.b":[1,{"$c":null}],"":2}',
        "a_array_of_text": '["a",null,"b"]',
        "a_array_of_bigint": "[1,2]",
        "a_array_of_numeric": "[1.5,2]",
    }
    assert {f"{name}__c": value for name, value in kept.items()}.items() <= found.items()


def test_a_record_that_is_refused_is_told_by_its_column_and_its_neighbours_land(
    destination: SalesforceDestination, projection: Projection, org: FakeSalesforce
) -> None:
    """What stood there of that row is out of date, and goes."""
    told = Declared(projection, [a_set(projection, A, DAYS[0]), a_set(projection, B, DAYS[0])])
    told.land(destination)
    told.set(A, DAYS[0], row(0, seconds="1E+30"))
    told.set(B, DAYS[0], row(0, "new"))
    (rejected,) = told.land(destination).rejected
    code = "refused by Salesforce: NUMBER_OUTSIDE_VALID_RANGE"
    assert (rejected.uuid, rejected.column, rejected.reason) == (A, "seconds", code)
    assert [record["note__c"] for record in org.records["Call__c"].values()] == ["new"]
    destination.erase(projection, [A, B])


def test_an_erasure_leaves_nothing_in_the_recycle_bin(
    destination: SalesforceDestination, projection: Projection, org: FakeSalesforce
) -> None:
    Declared(projection, [a_set(projection, A, DAYS[0], row(0, "private words"), row(1, "more"))]).land(destination)
    org.bin.clear()
    destination.erase(projection, [A])
    assert [(record["note__c"], record["Duration__c"]) for record in org.bin] == [(None, None)] * 2


def test_an_erasure_empties_what_may_be_empty_where_a_field_may_not(org: FakeSalesforce) -> None:
    required = CALL | {"Duration__c": {"type": "double", "required": True}}
    org.make("Strict__c", **required, **BOOKKEEPING)
    projection = calls(object="Strict__c")
    destination = connected(projection)
    Declared(projection, [a_set(projection, A, DAYS[0], row(0, "private words"))]).land(destination)
    org.bin.clear()
    assert destination.erase(projection, [A]) == [A]
    assert [(record["note__c"], record["Duration__c"]) for record in org.bin] == [(None, 61.5)]


def test_records_that_somebody_holds_locked_are_tried_again(
    destination: SalesforceDestination, projection: Projection, org: FakeSalesforce, waits: list[float]
) -> None:
    org.locked = 1
    landed = Declared(projection, [a_set(projection, A, DAYS[0], row(0), row(1))]).land(destination)
    assert (list(landed.written), landed.rejected, waits) == ([A], (), [0.5])
    org.locked = 99
    with pytest.raises(DestinationUnavailable, match="locked"):
        Declared(projection, [a_set(projection, A, DAYS[0], row(0, "new"))]).land(destination)
    org.locked = 0
    destination.erase(projection, [A])


def test_a_session_that_ended_is_followed_by_another(
    destination: SalesforceDestination, projection: Projection, org: FakeSalesforce
) -> None:
    destination.held(projection, DAYS)
    before, org.expired = org.tokens, True
    assert destination.held(projection, DAYS) == {}
    assert org.tokens == before + 1


def test_it_signs_in_by_a_refresh_token_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SALESFORCE_REFRESH", fake.REFRESH)
    projection = calls(refresh_token="env:SALESFORCE_REFRESH")
    assert connected(projection).held(projection, DAYS) == {}
    monkeypatch.setenv("SALESFORCE_REFRESH", "old")
    with pytest.raises(DestinationError, match="invalid_grant"):
        connected(projection).held(projection, DAYS)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (Answer(403, [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": SECRET}]), DestinationUnavailable),
        (Answer(403, [{"errorCode": "API_DISABLED_FOR_ORG", "message": SECRET}]), DestinationError),
        (Answer(400, [{"errorCode": "MALFORMED_QUERY", "message": SECRET}]), DestinationError),
        (Answer(400, [{"errorCode": f"what {SECRET} said"}]), DestinationError),
        (Answer(200, b"<html>"), DestinationError),
    ],
)
def test_what_is_refused_is_told_by_its_code(
    destination: SalesforceDestination,
    projection: Projection,
    org: FakeSalesforce,
    answer: Answer,
    expected: type[DestinationError],
) -> None:
    destination.held(projection, DAYS)
    org.service.next.append(answer)
    with pytest.raises(expected) as told:
        destination.held(projection, DAYS)
    assert issubclass(type(told.value), DestinationUnavailable) == (expected is DestinationUnavailable)
    assert SECRET not in str(told.value)


@pytest.mark.parametrize("answer", [Answer(503, b""), Answer(200, {"done": True}, cut=True), Answer(429, b"")])
def test_what_may_pass_is_tried_again(
    destination: SalesforceDestination, projection: Projection, org: FakeSalesforce, answer: Answer
) -> None:
    destination.held(projection, DAYS)
    org.service.next.append(answer)
    assert destination.held(projection, DAYS) == {}


def test_an_object_that_is_not_there_is_told_and_holds_nothing() -> None:
    projection = calls(object="Nothing__c")
    destination = connected(projection)
    assert destination.held(projection, DAYS) == {}
    assert destination.plan(projection)[0].refused
    with pytest.raises(SchemaConflict, match="no object Nothing__c"):
        destination.ensure(projection)


def test_fields_that_are_not_there_are_named(org: FakeSalesforce) -> None:
    org.make("Partly__c", uuid__c="string", **BOOKKEEPING | {"vCon_Row__c": "string"})
    projection = calls(object="Partly__c")
    with pytest.raises(SchemaConflict, match="lacks the fields position__c, note__c, Duration__c, at__c"):
        connected(projection).ensure(projection)
    org.make("Partly__c", **CALL, **BOOKKEEPING | {"vCon_Row__c": "string"})
    with pytest.raises(SchemaConflict, match="is no external id"):
        connected(projection).ensure(projection)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"object": "Call__c WHERE"}, "API name"),
        ({"fields": {"seconds": "Duration__c, Id"}}, "API name"),
        ({"fields": {"nothing": "Nothing__c"}}, "is no column"),
        ({"fields": {"note": "seconds__c"}}, "would hold two columns"),
        ({"fields": {"note": "vCon_Row__c"}}, "named twice"),
        ({"client_secret": "plain"}, "must be a reference"),
        ({"client_id": "env:OPENAI_API_KEY"}, "may not name"),
        ({"version": "latest"}, "version"),
    ],
)
def test_a_declaration_that_cannot_be_served_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionInvalid, match=told):
        SalesforceDestination.check(declared("salesforce", **({"object": "Call__c"} | options)))


def test_a_secret_goes_only_where_the_installation_says() -> None:
    with pytest.raises(DestinationError, match="VCON_WEBHOOK_HOSTS"):
        connected(calls(url="https://example.my.salesforce.com"))
