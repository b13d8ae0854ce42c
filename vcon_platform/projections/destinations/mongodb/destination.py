"""MongoDB as a destination: one document per row.

Belongs here: getting documents in and out, and which collection is whose. Not here: values (``values.py``).

A document's ``_id`` is made of the row's key, so writing it again is no second document. What is there of a
conversation is looked up before a write, and only what differs is written. No transactions, which a single server does
not have: a landing that breaks off has done a part, and a conversation of which only a part stands is told as not
whole.

MongoDB has no place for a remark on a collection, so ``_vcon_platform`` beside them says which projection keeps which.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel

from vcon_platform.projections.destination import Connections, Destination, Faults, Rejected, Session, Step, Written
from vcon_platform.projections.destinations.calling import needed
from vcon_platform.projections.destinations.mongodb.options import MongoOptions
from vcon_platform.projections.destinations.mongodb.values import bson_value
from vcon_platform.projections.destinations.row_ids import row_ids
from vcon_platform.projections.errors import (
    DestinationError,
    DestinationUnavailable,
    ProjectionInvalid,
    SchemaConflict,
)
from vcon_platform.projections.fitting import FittedRow, fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet, count_of

if TYPE_CHECKING:
    from pymongo import MongoClient
    from pymongo.collection import Collection

    Documents = Collection[dict[str, Any]]

TITLE = "MongoDB"
KEEPERS = "_vcon_platform"
"""The collection that says which projection keeps which collection."""
MOST_BYTES = (16 << 20) - (64 << 10)
"""Of one document; a server takes 16 MiB."""
_DUPLICATE = 11_000
_DENIED = frozenset({13, 18})  # Unauthorized, AuthenticationFailed


class MongoDestination(Destination):
    """Rows as documents of MongoDB (5 and later), or of what speaks like it."""

    kind: ClassVar[str] = "mongodb"
    title: ClassVar[str] = TITLE
    options: ClassVar[type[BaseModel]] = MongoOptions

    def __init__(self, client: MongoClient[dict[str, Any]]) -> None:
        self._client = client
        self._ready: set[str] = set()
        weakref.finalize(self, _leave, client).atexit = False  # the process's end closes what is open by itself

    @classmethod
    def check(cls, projection: Projection) -> None:
        super().check(projection)
        for place, column in enumerate(projection.columns):
            if column.name == "_id":
                raise ProjectionInvalid(
                    f"projection {projection.name}", [f"/columns/{place}/name '_id' is MongoDB's own; choose another"]
                )

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:  # noqa: ARG003 - by its options only
        try:
            from pymongo import MongoClient
            from pymongo.errors import PyMongoError
        except ImportError:
            raise DestinationError(
                f"projection {projection.name}: {TITLE} needs a package more: pip install 'vcon-platform[mongodb]'"
            ) from None
        options = _options(projection)
        url = needed(projection.name, TITLE, "url", options.url)
        wait = int(options.answer_within * 1000)
        try:
            client: MongoClient[dict[str, Any]] = MongoClient(
                url, appname="vcon-platform", tz_aware=True, serverSelectionTimeoutMS=min(wait, 10_000), timeoutMS=wait
            )
        except (PyMongoError, ValueError, TypeError):  # its text may quote the address
            raise DestinationError(
                f"projection {projection.name}: {TITLE}: the variable {options.url.removeprefix('env:')} holds no "
                "address that its client understands; write mongodb://user:password@host:27017/"
            ) from None
        return cls(client)

    @classmethod
    def target(cls, projection: Projection) -> str:
        options = _options(projection)
        return f"{options.database}.{options.collection or projection.name}"

    def documents(self, projection: Projection) -> Documents:
        """The projection's collection."""
        options = _options(projection)
        return self._client[options.database][options.collection or projection.name]

    def ensure(self, projection: Projection) -> None:
        target = self.target(projection)
        if target in self._ready:
            return
        with _explained(projection):
            documents = self.documents(projection)
            conflict = self._conflict(projection)
            if conflict:
                raise SchemaConflict(conflict)
            documents.database[KEEPERS].update_one(
                {"_id": documents.name}, {"$set": {"projection": projection.name}}, upsert=True
            )
            documents.create_index([("_day", 1)])
            documents.create_index([(projection.uuid_column, 1)])
        self._ready.add(target)

    def plan(self, projection: Projection) -> list[Step]:
        with _explained(projection):
            documents = self.documents(projection)
            conflict = self._conflict(projection)
            if conflict:
                return [Step(f"db.{documents.name}.createIndex(…)", refused=conflict)]
            indexed = {next(iter(index["key"])) for index in documents.list_indexes()}
        return [
            Step(f"db.{documents.name}.createIndex({{{name}: 1}})")
            for name in ("_day", projection.uuid_column)
            if name not in indexed
        ]

    def _conflict(self, projection: Projection) -> str:
        """Why this collection is not the projection's; "" where it is, or nobody's and empty."""
        documents = self.documents(projection)
        mark = documents.database[KEEPERS].find_one({"_id": documents.name})
        keeper = (mark or {}).get("projection")
        if keeper == projection.name:
            return ""
        if keeper is not None:
            return (
                f"collection {documents.full_name} is kept by projection {keeper}; give projection {projection.name} "
                f"another collection, or, if it was renamed, delete the document {documents.name} of {KEEPERS}"
            )
        if documents.find_one({}, {"_id": 1}) is not None:
            return (
                f"collection {documents.full_name} is not empty and was not made for a projection; give projection "
                f"{projection.name} another collection"
            )
        return ""

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        """Counted by the server: uuid, hash and number of documents of each."""
        found: dict[str, str] = {}
        grouped = {"_id": {"u": f"${projection.uuid_column}", "h": "$_row_hash"}, "n": {"$sum": 1}}
        stages: list[dict[str, Any]] = [{"$match": {"_day": {"$in": list(days)}}}, {"$group": grouped}]
        with _explained(projection):
            for each in self.documents(projection).aggregate(stages, allowDiskUse=True):
                uuid, digest = each["_id"].get("u"), str(each["_id"].get("h", ""))
                if isinstance(uuid, str):
                    is_whole = uuid not in found and each["n"] == count_of(digest)
                    found[uuid] = digest if is_whole else ""
        return found

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return _MongoSession(self, projection, days)

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        return self.remove(projection, {projection.uuid_column: {"$in": list(uuids)}})

    def remove(self, projection: Projection, where: dict[str, Any]) -> list[str]:
        """Delete these documents, and say of which conversations there were any."""
        column = projection.uuid_column
        with _explained(projection):
            documents = self.documents(projection)
            there = {str(each[column]): None for each in documents.find(where, {"_id": 0, column: 1})}
            if there:
                documents.delete_many(where)
        return list(there)

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        match = {} if days is None else {"_day": {"$in": list(days)}}
        stages: list[dict[str, Any]] = [{"$match": match}, {"$group": {"_id": "$_day", "n": {"$sum": 1}}}]
        with _explained(projection):
            return {str(each["_id"]): each["n"] for each in self.documents(projection).aggregate(stages)}

    def faults(self, projection: Projection, days: Sequence[str]) -> Faults:
        """A key is never there twice: it is the documents' ``_id``."""
        required = projection.never_empty
        empty = {
            name: {"$sum": {"$cond": [{"$in": [{"$type": f"${name}"}, ["missing", "null"]]}, 1, 0]}}
            for name in required
        }
        stages: list[dict[str, Any]] = [{"$match": {"_day": {"$in": list(days)}}}, {"$group": {"_id": None, **empty}}]
        with _explained(projection):
            found = next(iter(self.documents(projection).aggregate(stages)), {})
        return Faults(empty={name: found[name] for name in required if found.get(name)})


def _leave(client: MongoClient[dict[str, Any]]) -> None:
    """Close it. The driver would tell the server first, and wait for one that is away as long as for any answer."""
    import pymongo

    with pymongo.timeout(1):
        client.close()


class _MongoSession(Session):
    """Every write stands by itself."""

    def __init__(self, destination: MongoDestination, projection: Projection, days: Sequence[str]) -> None:
        self._destination = destination
        self._projection = projection
        self._days = list(days)
        self._id_of = row_ids(projection)

    def write(self, sets: Sequence[RowSet]) -> Written:
        rows, rejected = fitted(self._projection, sets, bson_value)
        last = {each.uuid: each for each in sets}
        column = self._projection.uuid_column
        there: dict[str, dict[str, str]] = {uuid: {} for uuid in last}
        with _explained(self._projection):
            documents = self._destination.documents(self._projection)
            fields = {column: 1, "_row_hash": 1}
            for each in documents.find({column: {"$in": list(last)}}, fields):
                there[each[column]][each["_id"]] = str(each.get("_row_hash", ""))
        wanted: dict[str, dict[str, FittedRow[Any]]] = {uuid: {} for uuid in last}
        for row in rows:
            wanted[row.uuid][self._id_of(row)] = row
        new: list[Any] = []
        changed: dict[str, None] = {}
        gone: list[Any] = []
        for uuid, own in wanted.items():
            before = there[uuid]
            for name, row in own.items():
                if before.get(name) == row.hash:
                    continue
                document = self._document(name, row)
                changed[uuid] = None
                if document is None:
                    rejected.append(Rejected(uuid, None, "is more than 16 MB as a document"))
                    gone += [name] if name in before else []
                else:
                    new.append((name, document, name in before))
            gone += [name for name in before if name not in own]
            if before.keys() - own.keys():
                changed[uuid] = None
        with _explained(self._projection):
            refused = _bulk(documents, new)
            stale = gone + [name for name in refused if name is not None]  # older rows of these keys are out of date
            if stale:
                documents.delete_many({"_id": {"$in": stale}})
        rejected += [
            Rejected(name.partition("/")[0], None, f"refused by the collection: {fault}")
            for name, fault in refused.items()
        ]
        return Written(changed=tuple(changed), rejected=tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        where = {self._projection.uuid_column: {"$in": list(uuids)}, "_day": {"$in": self._days}}
        return self._destination.remove(self._projection, where)

    def _document(self, name: str, row: FittedRow[Any]) -> Any:
        """The document, encoded; None where it is too large."""
        from bson import encode
        from bson.raw_bson import RawBSONDocument

        values = dict(zip((column.name for column in self._projection.columns), row.values, strict=True))
        own = {"_id": name, **values, "_day": row.day, "_row_hash": row.hash, "_landed_at": datetime.now(UTC)}
        encoded = encode(own)
        return RawBSONDocument(encoded) if len(encoded) <= MOST_BYTES else None


def _bulk(documents: Documents, writes: Sequence[tuple[str, Any, bool]]) -> dict[str, str]:
    """Write these (id, document, whether one is there), and say which were refused for themselves, and why."""
    from pymongo import InsertOne, ReplaceOne
    from pymongo.errors import BulkWriteError

    if not writes:
        return {}
    orders: list[InsertOne[Any] | ReplaceOne[Any]] = [
        ReplaceOne({"_id": name}, document, upsert=True) if replaces else InsertOne(document)
        for name, document, replaces in writes
    ]
    try:
        documents.bulk_write(orders, ordered=False)
    except BulkWriteError as error:
        faults = error.details.get("writeErrors") or []
        if not faults:  # written, and not acknowledged by as many servers as it should be
            raise
        refused: dict[str, str] = {}
        again: list[tuple[str, Any, bool]] = []
        for fault in faults:
            name, document, replaces = writes[fault["index"]]
            if fault.get("code") == _DUPLICATE and not replaces:  # somebody else landed it meanwhile
                again.append((name, document, True))
            else:
                refused[name] = f"error {fault.get('code')}"
        return refused | _bulk(documents, again)
    return {}


def _options(projection: Projection) -> MongoOptions:
    return MongoOptions.model_validate(dict(projection.options_for(MongoDestination.kind)))


@contextmanager
def _explained(projection: Projection) -> Iterator[None]:
    """The driver's errors become this room's, without its text, which may quote a document or an address."""
    from pymongo.errors import (
        BulkWriteError,
        ConnectionFailure,
        ExecutionTimeout,
        OperationFailure,
        PyMongoError,
        WTimeoutError,
    )

    place = f"projection {projection.name}: {TITLE}, {MongoDestination.target(projection)}"
    try:
        yield
    except (ConnectionFailure, ExecutionTimeout, WTimeoutError) as error:
        raise DestinationUnavailable(
            f"{place}: cannot be reached ({type(error).__name__}); the rows follow at the next try"
        ) from None
    except BulkWriteError:
        raise DestinationUnavailable(
            f"{place}: was not acknowledged by as many servers as it should be; the rows follow at the next try"
        ) from None
    except OperationFailure as error:
        if error.code in _DENIED:
            raise DestinationError(f"{place}: is refused; check user, password and role (error {error.code})") from None
        if error.timeout or error.has_error_label("RetryableWriteError"):
            raise DestinationUnavailable(
                f"{place}: is too busy (error {error.code}); the rows follow at the next try"
            ) from None
        raise DestinationError(f"{place}: error {error.code}") from None
    except PyMongoError as error:
        if error.timeout:
            raise DestinationUnavailable(f"{place}: did not answer in time; the rows follow at the next try") from None
        raise DestinationError(f"{place}: {type(error).__name__}") from None
