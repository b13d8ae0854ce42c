"""Rows as documents: in a server that speaks OpenSearch's REST API, and against answers it does not give by itself."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest
from osmem_server import OsmemServer

from tests.fakes.services import Answer, Asked, Service, service
from tests.projections.destination_suite import DAYS, SECRET, A, Declared, DestinationSuite, Stored, a_set, with_columns
from tests.projections.destination_suite import suite_projection as declared
from tests.projections.support import EVERY_TYPE, NO_CONNECTIONS, every_type
from tests.support import free_port
from vcon_platform.projections.destination import destination_kind
from vcon_platform.projections.destinations import calling
from vcon_platform.projections.destinations.elasticsearch.destination import (
    ElasticsearchDestination,
    OpenSearchDestination,
)
from vcon_platform.projections.errors import (
    DestinationError,
    DestinationUnavailable,
    ProjectionInvalid,
    SchemaConflict,
)
from vcon_platform.projections.model import Projection


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with OsmemServer.start(addr=f"127.0.0.1:{free_port()}", japanese=False) as running:
        yield running.url


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch, server: str) -> list[float]:
    waited: list[float] = []
    monkeypatch.setattr(calling, "pause", waited.append)
    monkeypatch.setenv("OPENSEARCH_URL", server)
    monkeypatch.setenv("OPENSEARCH_KEY", SECRET)
    return waited


def ask(server: str, method: str, path: str, body: Any = None) -> Any:
    request = urllib.request.Request(  # noqa: S310 - the test's own server
        server + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with contextlib.suppress(urllib.error.HTTPError), urllib.request.urlopen(request) as answer:  # noqa: S310
        return json.loads(answer.read())


def documents(server: str, index: str = "suite") -> list[dict[str, Any]]:
    ask(server, "POST", f"/{index}/_refresh")
    found = ask(server, "POST", f"/{index}/_search", {"size": 10_000})
    return [] if found is None else [hit["_source"] for hit in found["hits"]["hits"]]


def opensearch(**options: Any) -> Projection:
    return declared("opensearch", **({"url": "env:OPENSEARCH_URL"} | options))


def connected(projection: Projection) -> OpenSearchDestination:
    return OpenSearchDestination.connect(projection, NO_CONNECTIONS)


@pytest.fixture
def projection() -> Projection:
    return opensearch()


@pytest.fixture
def destination(projection: Projection) -> OpenSearchDestination:
    return connected(projection)


class TestOpenSearchStandard(DestinationSuite):
    examples = 12
    big = 1_000
    """This server takes 12 s for the 5,000 documents of one request."""

    @pytest.fixture
    def stored(self, server: str) -> Stored:
        return lambda: documents(server)

    @pytest.fixture
    def unreachable(self, projection: Projection, monkeypatch: pytest.MonkeyPatch) -> OpenSearchDestination:
        monkeypatch.setenv("OPENSEARCH_URL", f"http://127.0.0.1:{free_port()}/{SECRET}")
        return connected(projection)

    @pytest.fixture
    def refused(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenSearchDestination]:
        def unauthorized(asked: Asked) -> Answer:
            assert asked.headers["authorization"] == f"ApiKey {SECRET}"
            return Answer(401, {"error": {"type": "security_exception", "reason": SECRET}, "status": 401})

        with service(unauthorized) as running:
            monkeypatch.setenv("OPENSEARCH_URL", running.url)
            yield connected(opensearch(api_key="env:OPENSEARCH_KEY"))

    @pytest.fixture
    def lose_one_row(self, server: str) -> Callable[[str], None]:
        def lose(uuid: str) -> None:
            ask(server, "DELETE", f"/suite/_doc/{uuid}%2F0?refresh=true")

        return lose


def test_they_are_found_by_their_entry_points() -> None:
    assert destination_kind("elasticsearch") is ElasticsearchDestination
    assert destination_kind("opensearch") is OpenSearchDestination


KEPT = {
    "a_numeric": 0.1,
    "a_timestamptz": "2026-03-01T09:30:00Z",
    "a_array_of_numeric": [1.5, 2],
}
"""What a document holds of values that are not JSON's own."""


def test_every_type_lands(server: str) -> None:
    projection = every_type("opensearch", url="env:OPENSEARCH_URL")
    landed = Declared(projection, [a_set(projection, A, DAYS[0], EVERY_TYPE)]).land(connected(projection))
    assert landed.rejected == ()
    (found,) = documents(server, "every_type")
    assert (EVERY_TYPE | KEPT).items() <= found.items()


def test_a_value_never_makes_a_field(server: str) -> None:
    projection = every_type("opensearch", url="env:OPENSEARCH_URL")
    values = EVERY_TYPE | {"a_jsonb": {"made_by_a_caller": 1}}
    Declared(projection, [a_set(projection, A, DAYS[0], values)]).land(connected(projection))
    assert "made_by_a_caller" not in json.dumps(ask(server, "GET", "/every_type/_mapping"))


def test_a_new_column_becomes_a_field(server: str) -> None:
    before = opensearch(index="grows")
    connected(before).ensure(before)
    after = with_columns(before, {"name": "added", "type": "text", "from": "subject"})
    assert [step.refused for step in connected(after).plan(after)] == [""]
    connected(after).ensure(after)
    assert "added" in ask(server, "GET", "/grows/_mapping")["grows"]["mappings"]["properties"]
    assert connected(after).plan(after) == []


def test_another_type_is_refused_with_what_to_do() -> None:
    before = opensearch(index="stays")
    connected(before).ensure(before)
    after = with_columns(before, {"name": "note", "type": "bigint", "from": "subject"}, without="note")
    with pytest.raises(SchemaConflict, match="another index"):
        connected(after).ensure(after)
    assert connected(after).plan(after)[0].refused


def test_what_is_empty_and_must_not_be_is_counted(server: str) -> None:
    projection = opensearch(index="empty")
    destination = connected(projection)
    assert not destination.faults(projection, DAYS).empty
    Declared(projection, [a_set(projection, A, DAYS[0])]).land(destination)
    assert not destination.faults(projection, DAYS).empty
    ask(server, "POST", "/empty/_doc/by-hand", {"uuid": A, "_day": DAYS[0]})
    assert destination.faults(projection, DAYS).empty == {"position": 1}


def test_an_index_of_somebody_else_is_left_alone(server: str) -> None:
    ask(server, "PUT", "/theirs", {"mappings": {"properties": {"uuid": {"type": "keyword"}}}})
    projection = opensearch(index="theirs")
    with pytest.raises(SchemaConflict, match="was not made for a projection"):
        connected(projection).ensure(projection)


# --- answers that a server gives on a bad day ---------------------------------------------------------------------


@contextlib.contextmanager
def answering(monkeypatch: pytest.MonkeyPatch, *bulks: Any) -> Iterator[tuple[Service, OpenSearchDestination]]:
    """A server whose index is there and empty, and whose answers to bulk requests are these; then all is well."""
    left = list(bulks)
    mapping = {"suite": {"mappings": {"_meta": {"vcon_platform": {"projection": "suite"}}, "properties": {}}}}

    def well(asked: Asked) -> Answer:
        if asked.path.endswith("/_bulk"):
            lines = [orjson.loads(line) for line in asked.body.splitlines()]
            actions = [line for line in lines if line.keys() <= {"index", "delete"} and len(line) == 1]
            if left:
                answer = left.pop(0)
                return answer if isinstance(answer, Answer) else Answer(200, {"items": [answer for _ in actions]})
            return Answer(200, {"items": [{"index": {"status": 201}} for _ in actions]})
        if asked.path.endswith("/_search"):
            return Answer(200, {"hits": {"hits": []}, "aggregations": {"found": {"buckets": []}}})
        return Answer(200, mapping if asked.path.endswith("/_mapping") and not asked.body else {"acknowledged": True})

    with service(well) as running:
        monkeypatch.setenv("OPENSEARCH_URL", running.url)
        yield running, connected(opensearch())


def land_one(destination: OpenSearchDestination) -> Any:
    return Declared(opensearch(), [a_set(opensearch(), A, DAYS[0])]).land(destination)


def test_documents_for_which_it_was_too_busy_are_sent_again(
    monkeypatch: pytest.MonkeyPatch, waits: list[float]
) -> None:
    busy = {"index": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}}
    with answering(monkeypatch, busy, busy) as (running, destination):
        assert list(land_one(destination).written) == [A]
    assert len([each for each in running.asked if each.path.endswith("/_bulk")]) == 3
    assert waits == [0.5, 1.0]


def test_one_that_stays_too_busy_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    busy = {"index": {"status": 429, "error": {"type": "es_rejected_execution_exception"}}}
    with answering(monkeypatch, *[busy] * 9) as (_, destination), pytest.raises(DestinationUnavailable):
        land_one(destination)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(200, {"items": []}), "did not answer for every document"),
        (Answer(200, b"<html>"), "no JSON"),
        (Answer(403, {"error": {}}), "check the key"),
        ({"index": {"status": 403, "error": {"type": "cluster_block_exception", "reason": "words"}}}, "cluster_block"),
    ],
)
def test_what_another_try_does_not_cure_is_told(monkeypatch: pytest.MonkeyPatch, answer: Any, told: str) -> None:
    with answering(monkeypatch, answer) as (_, destination), pytest.raises(DestinationError, match=told) as caught:
        land_one(destination)
    assert not isinstance(caught.value, DestinationUnavailable)
    assert "words" not in str(caught.value)


@pytest.mark.parametrize("answer", [Answer(503, b""), Answer(200, {"took": 1}, cut=True), Answer(429, {})])
def test_what_may_pass_is_tried_again(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    with answering(monkeypatch, answer) as (_, destination):
        assert list(land_one(destination).written) == [A]


def test_a_document_that_the_index_refuses_is_told_by_its_field_and_without_its_value(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reason = "[1:23] failed to parse field [seconds] of type [double] in document with id 'x'. Preview: 'private'"
    refused = {"index": {"status": 400, "error": {"type": "document_parsing_exception", "reason": reason}}}
    with answering(monkeypatch, refused) as (_, destination):
        landed = land_one(destination)
    assert [(each.uuid, each.column) for each in landed.rejected] == [(A, "seconds")]
    assert landed.rejected[0].reason == "refused by the index: document_parsing_exception"


def test_an_answer_of_some_shards_only_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """What those do not tell would be taken for gone."""
    with answering(monkeypatch) as (running, destination):
        mapping = {"suite": {"mappings": {"_meta": {"vcon_platform": {"projection": "suite"}}}}}
        partly = {"timed_out": False, "_shards": {"failed": 1}, "aggregations": {"found": {"buckets": []}}}
        running.next.extend([Answer(200, mapping), Answer(200, {}), Answer(200, {}), Answer(200, partly)])
        with pytest.raises(DestinationUnavailable, match="all shards"):
            land_one(destination)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"index": "../secrets"}, "index"),
        ({"index": "_all"}, "index"),
        ({"index": "a,b"}, "index"),
        ({"api_key": "plain"}, "must be a reference"),
        ({"api_key": "env:ELASTICSEARCH_KEY"}, "may not name"),
        ({"shards": 0}, "shards"),
    ],
)
def test_a_declaration_that_cannot_be_served_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionInvalid, match=told):
        OpenSearchDestination.check(opensearch(**options))


def test_a_column_with_a_name_of_the_servers_own_is_refused() -> None:
    made = opensearch()
    reserved = with_columns(made, {"name": "_source", "type": "text", "from": "subject"})
    with pytest.raises(ProjectionInvalid, match="_source"):
        OpenSearchDestination.check(reserved)


def test_a_key_goes_only_where_the_installation_says() -> None:
    with pytest.raises(DestinationError, match="VCON_WEBHOOK_HOSTS"):
        connected(opensearch(url="https://search.example.com", api_key="env:OPENSEARCH_KEY"))


def test_elasticsearch_is_asked_the_same_with_its_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ELASTICSEARCH_USER", "elastic")
    monkeypatch.setenv("ELASTICSEARCH_PASSWORD", "pass")
    with service(lambda _: Answer(404, {"error": {}})) as running:
        monkeypatch.setenv("ELASTICSEARCH_URL", running.url)
        variables = {name: f"env:ELASTICSEARCH_{name.upper()}" for name in ("url", "user", "password")}
        projection = declared("elasticsearch", **variables)
        assert ElasticsearchDestination.connect(projection, NO_CONNECTIONS).held(projection, DAYS) == {}
    assert running.asked[0].headers["authorization"] == "Basic ZWxhc3RpYzpwYXNz"
