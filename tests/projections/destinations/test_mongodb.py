"""Rows as documents, through the real driver, in a server that speaks MongoDB's wire protocol over WiredTiger."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import Decimal128
from pymongo import MongoClient
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure

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
from vcon_platform.projections.destinations.mongodb.destination import MongoDestination
from vcon_platform.projections.errors import (
    DestinationError,
    DestinationUnavailable,
    ProjectionInvalid,
    SchemaConflict,
)
from vcon_platform.projections.model import Projection

Client = MongoClient[dict[str, Any]]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    from secantus import SecantusDBServer

    folder = tmp_path_factory.mktemp("mongodb")
    with (
        SecantusDBServer(port=free_port(), storage_path=str(folder)) as server,
        MongoClient[dict[str, Any]](server.uri, tz_aware=True) as connected,
    ):
        yield connected


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    host, port = client.address or ("", 0)
    monkeypatch.setenv("MONGODB_URL", f"mongodb://{host}:{port}/")


def mongodb(**options: Any) -> Projection:
    return declared("mongodb", **options)


def connected(projection: Projection) -> MongoDestination:
    return MongoDestination.connect(projection, NO_CONNECTIONS)


@pytest.fixture(scope="module")
def projection() -> Projection:
    return mongodb()


@pytest.fixture
def destination(projection: Projection) -> MongoDestination:
    return connected(projection)


class TestMongoStandard(DestinationSuite):
    examples = 8
    big = 1_000

    @pytest.fixture
    def stored(self, client: Client) -> Stored:
        return lambda: list(client["vcon"]["suite"].find())

    def plain(self, value: Any, column: str) -> Any:
        return super().plain(value.to_decimal() if isinstance(value, Decimal128) else value, column)

    @pytest.fixture
    def unreachable(self, monkeypatch: pytest.MonkeyPatch) -> MongoDestination:
        monkeypatch.setenv("MONGODB_URL", f"mongodb://user:{SECRET}@127.0.0.1:{free_port()}/")
        return connected(mongodb(answer_within=1))

    @pytest.fixture
    def refused(self, projection: Projection, monkeypatch: pytest.MonkeyPatch, client: Client) -> MongoDestination:
        host, port = client.address or ("", 0)
        monkeypatch.setenv("MONGODB_URL", f"mongodb://user:{SECRET}@{host}:{port}/")
        return connected(projection)

    @pytest.fixture
    def lose_one_row(self, client: Client) -> Callable[[str], None]:
        def lose(uuid: str) -> None:
            client["vcon"]["suite"].delete_one({"uuid": uuid})

        return lose


def test_it_is_found_by_its_entry_point() -> None:
    assert destination_kind("mongodb") is MongoDestination


def test_every_type_lands_as_bson_has_it(client: Client) -> None:
    projection = every_type("mongodb")
    assert Declared(projection, [a_set(projection, A, DAYS[0], EVERY_TYPE)]).land(connected(projection)).rejected == ()
    (found,) = client["vcon"]["every_type"].find()
    kept = {
        "a_numeric": Decimal128("0.10"),
        "a_timestamptz": datetime(2026, 3, 1, 9, 30, tzinfo=UTC),
        "a_date": datetime(2026, 3, 1, tzinfo=UTC),
        "a_array_of_numeric": [Decimal128("1.5"), Decimal128("2")],
    }
    assert (EVERY_TYPE | kept).items() <= found.items()


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("a_numeric", "0." + "1" * 35, "more digits"),
        ("a_numeric", "1E+7000", "more digits"),
        ("a_jsonb", {"deep": [2**63]}, "beyond 64 bits"),
    ],
)
def test_what_bson_cannot_hold_is_told_by_its_column(column: str, value: Any, told: str) -> None:
    projection = every_type("mongodb")
    each = a_set(projection, A, DAYS[0], EVERY_TYPE | {column: value})
    (rejected,) = Declared(projection, [each]).land(connected(projection)).rejected
    assert (rejected.uuid, rejected.column) == (A, column)
    assert told in rejected.reason


def test_a_document_that_is_too_large_is_told_and_its_neighbours_land(client: Client) -> None:
    projection = mongodb(collection="large")
    sets = [a_set(projection, A, DAYS[0], row(0, "x" * (17 << 20))), a_set(projection, B, DAYS[0])]
    (rejected,) = Declared(projection, sets).land(connected(projection)).rejected
    assert (rejected.uuid, rejected.reason) == (A, "is more than 16 MB as a document")
    assert [each["uuid"] for each in client["vcon"]["large"].find()] == [B]


def test_what_is_empty_and_must_not_be_is_counted(
    destination: MongoDestination, projection: Projection, client: Client
) -> None:
    Declared(projection, [a_set(projection, A, DAYS[0], row(0), row(1))]).land(destination)
    assert not destination.faults(projection, DAYS).empty
    client["vcon"]["suite"].update_one({"position": 0}, {"$unset": {"position": 1}})
    client["vcon"]["suite"].update_one({"position": 1}, {"$set": {"position": None}})
    assert destination.faults(projection, DAYS).empty == {"position": 2}
    assert destination.faults(projection, DAYS[1:]).empty == {}
    client["vcon"]["suite"].delete_many({})


def test_a_collection_of_somebody_else_is_left_alone(client: Client) -> None:
    client["vcon"]["theirs"].insert_one({"kept": True})
    projection = mongodb(collection="theirs")
    assert "was not made for a projection" in connected(projection).plan(projection)[0].refused
    with pytest.raises(SchemaConflict, match="was not made for a projection"):
        connected(projection).ensure(projection)


def test_two_projections_never_share_a_collection() -> None:
    first = mongodb(collection="shared")
    connected(first).ensure(first)
    second = first.model_copy(update={"name": "another"})
    with pytest.raises(SchemaConflict, match="is kept by projection suite"):
        connected(second).ensure(second)


def test_what_somebody_else_lands_at_the_same_time_is_no_fault(
    client: Client, destination: MongoDestination, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    each = a_set(projection, A, DAYS[0])
    Declared(projection, [each]).land(destination)
    documents = client["vcon"]["suite"]
    monkeypatch.setattr(type(documents), "find", lambda *_: iter(()))  # not there yet when it was looked up
    with destination.session(projection, [DAYS[0]]) as session:
        assert session.write([each]).rejected == ()
    monkeypatch.undo()
    assert documents.count_documents({"uuid": A}) == 1
    documents.delete_many({})


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (AutoReconnect(SECRET), DestinationUnavailable),
        (OperationFailure(SECRET, 13), DestinationError),
        (OperationFailure(SECRET, 11600, {"errorLabels": ["RetryableWriteError"]}), DestinationUnavailable),
        (OperationFailure(SECRET, 50), DestinationUnavailable),
        (OperationFailure(SECRET, 8000), DestinationError),
        (BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}), DestinationUnavailable),
    ],
)
def test_the_drivers_errors_are_told_without_their_text(
    destination: MongoDestination,
    projection: Projection,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    raised: Exception,
    expected: type[DestinationError],
) -> None:
    destination.ensure(projection)

    def fails(*_: Any, **__: Any) -> None:
        raise raised

    monkeypatch.setattr(type(client["vcon"]["suite"]), "bulk_write", fails)
    with pytest.raises(expected) as told, destination.session(projection, [DAYS[0]]) as session:
        session.write([a_set(projection, A, DAYS[0])])
    assert type(told.value) is expected
    assert SECRET not in str(told.value)


def test_a_document_that_the_collections_own_rule_refuses_is_told(
    destination: MongoDestination, projection: Projection, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    destination.ensure(projection)

    def refuses(*_: Any, **__: Any) -> None:
        raise BulkWriteError({"writeErrors": [{"index": 0, "code": 121, "errmsg": "words"}]})

    monkeypatch.setattr(type(client["vcon"]["suite"]), "bulk_write", refuses)
    with destination.session(projection, [DAYS[0]]) as session:
        (rejected,) = session.write([a_set(projection, A, DAYS[0])]).rejected
    assert (rejected.uuid, rejected.reason) == (A, "refused by the collection: error 121")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": "mongodb://user:secret@host/"}, "must be a reference"),
        ({"url": "env:POSTGRES_URL"}, "may not name"),
        ({"collection": "system.users"}, "collection"),
        ({"collection": "$cmd"}, "collection"),
        ({"database": "a/b"}, "database"),
    ],
)
def test_a_declaration_that_cannot_be_served_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionInvalid, match=told):
        MongoDestination.check(mongodb(**options))


def test_a_column_cannot_be_the_documents_id() -> None:
    made = mongodb()
    reserved = with_columns(made, {"name": "_id", "type": "text", "from": "subject"})
    with pytest.raises(ProjectionInvalid, match="_id"):
        MongoDestination.check(reserved)


def test_a_missing_package_names_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymongo", None)
    with pytest.raises(DestinationError, match=r"pip install 'vcon-platform\[mongodb\]'"):
        connected(mongodb())


@pytest.mark.parametrize("value", [None, f"http://{SECRET}", f"mongodb://user:{SECRET}@@@/"])
def test_an_address_that_is_none_is_told_without_it(monkeypatch: pytest.MonkeyPatch, value: str | None) -> None:
    monkeypatch.delenv("MONGODB_URL") if value is None else monkeypatch.setenv("MONGODB_URL", value)
    with pytest.raises(DestinationError, match="MONGODB_URL") as told:
        connected(mongodb())
    assert SECRET not in str(told.value)
