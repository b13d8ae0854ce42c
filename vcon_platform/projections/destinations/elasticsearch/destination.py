"""Elasticsearch and OpenSearch as destinations: one document per row.

Belongs here: getting documents in and out. Not here: the index itself (``index.py``), calls (``api.py``).

A document's id is made of the row's key, so writing it again is no second document. What is there of a conversation is
looked up before a write, and only what differs is sent. Every look-up refreshes the index first: a search there does
not see what was written a moment ago. An index knows no transaction; a landing that breaks off has done a part, and a
conversation of which only a part stands is told as not whole.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import orjson
from pydantic import BaseModel

from vcon_platform.projections.destination import Connections, Destination, Faults, Rejected, Session, Step, Written
from vcon_platform.projections.destinations.calling import Service, address_of, needed
from vcon_platform.projections.destinations.elasticsearch.api import PAGE, ElasticApi
from vcon_platform.projections.destinations.elasticsearch.index import RESERVED, mapping, missing, steps
from vcon_platform.projections.destinations.elasticsearch.options import (
    ElasticOptions,
    ElasticsearchOptions,
    OpenSearchOptions,
)
from vcon_platform.projections.destinations.messages import json_value
from vcon_platform.projections.destinations.row_ids import row_ids
from vcon_platform.projections.errors import (
    DestinationError,
    ProjectionInvalid,
    SchemaConflict,
)
from vcon_platform.projections.fitting import FittedRow, fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet, count_of
from vcon_platform.projections.values import python_value

TERMS = 10_000
"""Uuids in one question; a server takes 65,536."""


@dataclass(frozen=True, slots=True)
class _There:
    """A document that is there."""

    id: str
    uuid: str
    day: str
    hash: str


class ElasticsearchDestination(Destination):
    """Rows as documents of Elasticsearch (7.10 and later)."""

    kind: ClassVar[str] = "elasticsearch"
    title: ClassVar[str] = "Elasticsearch"
    options: ClassVar[type[BaseModel]] = ElasticsearchOptions

    def __init__(self, service: Service, headers: Mapping[str, str]) -> None:
        self._api = ElasticApi(self.title, service, headers)

    @classmethod
    def check(cls, projection: Projection) -> None:
        super().check(projection)
        for place, column in enumerate(projection.columns):
            if column.name in RESERVED:
                raise ProjectionInvalid(
                    f"projection {projection.name}",
                    [f"/columns/{place}/name {column.name!r} is a name of {cls.title}'s own; choose another"],
                )

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:  # noqa: ARG003 - by its options only
        options = cls._options_of(projection)
        keyed = bool(options.api_key or options.user or options.password)
        address = address_of(projection.name, cls.title, "url", options.url, secret=keyed)
        headers: dict[str, str] = {}
        if options.api_key:
            headers["Authorization"] = f"ApiKey {needed(projection.name, cls.title, 'api_key', options.api_key)}"
        elif keyed:
            user, password = (
                needed(projection.name, cls.title, name, getattr(options, name)) for name in ("user", "password")
            )
            headers["Authorization"] = f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        return cls(Service(cls.title, address, seconds=options.answer_within), headers)

    @classmethod
    def target(cls, projection: Projection) -> str:
        return cls._options_of(projection).index or projection.name

    @classmethod
    def _options_of(cls, projection: Projection) -> ElasticOptions:
        options = cls.options.model_validate(dict(projection.options_for(cls.kind)))
        assert isinstance(options, ElasticOptions)  # noqa: S101 - said for the type checker
        return options

    def ensure(self, projection: Projection) -> None:
        found = self._api.mapping(projection.name, self.target(projection))
        index = self.target(projection)
        if found is None:
            options = self._options_of(projection)
            numbers = {"number_of_shards": options.shards, "number_of_replicas": options.replicas}
            body: dict[str, Any] = {"mappings": mapping(projection)}
            if given := {name: number for name, number in numbers.items() if number is not None}:
                body["settings"] = given
            answer = self._api.ask(projection.name, "PUT", f"/{index}", body, fine={400})
            if "error" in answer and answer["error"].get("type") != "resource_already_exists_exception":
                raise DestinationError(
                    f"projection {projection.name}: {self.title} does not make index {index}: "
                    f"{answer['error'].get('type')}"
                )
            return
        lacking = missing(projection, index, found)
        if lacking:
            answer = self._api.ask(projection.name, "PUT", f"/{index}/_mapping", {"properties": lacking}, fine={400})
            if "error" in answer:
                raise SchemaConflict(
                    f"projection {projection.name}: index {index} does not take the new fields: "
                    f"{answer['error'].get('type')}; give the projection another index"
                )

    def plan(self, projection: Projection) -> list[Step]:
        return steps(projection, self.target(projection), self._api.mapping(projection.name, self.target(projection)))

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        """Counted by the server: uuid, hash and number of documents of each."""
        found: dict[str, str] = {}
        sources = [
            {"uuid": {"terms": {"field": projection.uuid_column}}},
            {"hash": {"terms": {"field": "_row_hash"}}},
        ]
        for bucket in self._api.buckets(projection.name, self.target(projection), sources, _on(days)):
            uuid, digest = bucket["key"]["uuid"], bucket["key"]["hash"]
            is_whole = uuid not in found and bucket["doc_count"] == count_of(digest)
            found[uuid] = digest if is_whole else ""
        return found

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return _ElasticsearchSession(self, projection, days)

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        there = list(self.look_up(projection, uuids))
        self.bulk(projection, [_delete(each.id) for each in there])
        return list(dict.fromkeys(each.uuid for each in there))

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        day = {"date_histogram": {"field": "_day", "calendar_interval": "day", "format": "yyyy-MM-dd"}}
        buckets = self._api.buckets(
            projection.name, self.target(projection), [{"day": day}], [] if days is None else _on(days)
        )
        return {bucket["key"]["day"]: bucket["doc_count"] for bucket in buckets}

    def faults(self, projection: Projection, days: Sequence[str]) -> Faults:
        """A key is never there twice: it is the documents' ids. A ``jsonb`` is not indexed: nobody can count it."""
        if not self._api.refresh(projection.name, self.target(projection)):
            return Faults()
        unseen = {column.name for column in projection.columns if column.type == "jsonb"}
        required = [name for name in projection.never_empty if name not in unseen]
        body = {
            "size": 0,
            "query": {"bool": {"filter": _on(days)}},
            "aggs": {name: {"filter": {"bool": {"must_not": {"exists": {"field": name}}}}} for name in required},
        }
        found = self._api.search(projection.name, self.target(projection), body)["aggregations"]
        return Faults(empty={name: found[name]["doc_count"] for name in required if found[name]["doc_count"]})

    def bulk(self, projection: Projection, actions: Sequence[tuple[bytes, str]]) -> dict[str, tuple[str, str | None]]:
        """Carry these out; see :meth:`ElasticApi.bulk`."""
        return self._api.bulk(projection.name, self.target(projection), actions)

    def look_up(
        self, projection: Projection, uuids: Sequence[str], days: Sequence[str] | None = None
    ) -> Iterator[_There]:
        """The documents of these conversations (on these days)."""
        if not self._api.refresh(projection.name, self.target(projection)):
            return
        for at in range(0, len(uuids), TERMS):
            where: list[dict[str, Any]] = [{"terms": {projection.uuid_column: list(uuids[at : at + TERMS])}}]
            if days is not None:
                where += _on(days)
            body: dict[str, Any] = {
                "size": PAGE,
                "query": {"bool": {"filter": where}},
                "sort": [{"_row": "asc"}],
                "_source": [projection.uuid_column, "_day", "_row_hash"],
                "track_total_hits": False,
            }
            while True:
                hits = self._api.search(projection.name, self.target(projection), body)["hits"]["hits"]
                for hit in hits:
                    source = hit["_source"]
                    yield _There(hit["_id"], source[projection.uuid_column], source["_day"], source["_row_hash"])
                if len(hits) < PAGE:
                    break
                body["search_after"] = hits[-1]["sort"]


class OpenSearchDestination(ElasticsearchDestination):
    """Rows as documents of OpenSearch (1 and later)."""

    kind: ClassVar[str] = "opensearch"
    title: ClassVar[str] = "OpenSearch"
    options: ClassVar[type[BaseModel]] = OpenSearchOptions


class _ElasticsearchSession(Session):
    """Every write stands by itself."""

    def __init__(self, destination: ElasticsearchDestination, projection: Projection, days: Sequence[str]) -> None:
        self._destination = destination
        self._projection = projection
        self._days = list(days)
        self._id_of = row_ids(projection)

    def write(self, sets: Sequence[RowSet]) -> Written:
        rows, rejected = fitted(self._projection, sets, python_value)
        last = {each.uuid: each for each in sets}
        there: dict[str, dict[str, _There]] = {}
        for each in self._destination.look_up(self._projection, list(last)):
            there.setdefault(each.uuid, {})[each.id] = each
        wanted: dict[str, dict[str, FittedRow[Any]]] = {uuid: {} for uuid in last}
        for row in rows:
            wanted[row.uuid][self._id_of(row)] = row
        moment = datetime.now(UTC).isoformat()
        changed: dict[str, None] = {}
        actions: list[tuple[bytes, str]] = []
        for uuid, own in wanted.items():
            before = there.get(uuid, {})
            for name, row in own.items():
                if name not in before or before[name].hash != row.hash:
                    actions.append((_index(name, self._document(name, row, moment)), name))
                    changed[uuid] = None
            for name in before:
                if name not in own:
                    actions.append(_delete(name))
                    changed[uuid] = None
        refused = self._destination.bulk(self._projection, actions)
        if refused:
            stale = [_delete(name) for name in refused]  # an older row of that key would be out of date
            self._destination.bulk(self._projection, stale)
            rejected += [
                Rejected(name.partition("/")[0], field, f"refused by the index: {fault}")
                for name, (fault, field) in refused.items()
            ]
        return Written(changed=tuple(changed), rejected=tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        there = list(self._destination.look_up(self._projection, uuids, self._days))
        self._destination.bulk(self._projection, [_delete(each.id) for each in there])
        return list(dict.fromkeys(each.uuid for each in there))

    def _document(self, name: str, row: FittedRow[Any], moment: str) -> bytes:
        values = {
            column.name: json_value(value) for column, value in zip(self._projection.columns, row.values, strict=True)
        }
        return orjson.dumps(values | {"_row": name, "_day": row.day, "_row_hash": row.hash, "_landed_at": moment})


def _on(days: Sequence[str]) -> list[dict[str, Any]]:
    return [{"terms": {"_day": list(days)}}]


def _index(name: str, document: bytes) -> bytes:
    return orjson.dumps({"index": {"_id": name}}) + b"\n" + document + b"\n"


def _delete(name: str) -> tuple[bytes, str]:
    return orjson.dumps({"delete": {"_id": name}}) + b"\n", name
