"""A conversation's rows as one message: for destinations that are told what changed and cannot be asked what they hold.

Belongs here: what all of them do alike (webhook, Kafka): which conversations are told, the message, remembering what
was acknowledged. Not here: how a message gets there (their own files), the memory itself (``memory.py``).

A message holds a conversation's whole set, so whoever gets it puts it in place of what was there; a deletion holds
none of its rows. The same message may come twice (a landing that died before the acknowledgement was written down),
with the same id.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.projections.destination import Destination, Rejected, Session, Written
from vcon_platform.projections.destinations.memory import Memory, Sent
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.projections.fitting import FittedRow, fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet
from vcon_platform.projections.values import python_value

if TYPE_CHECKING:
    from redis import Redis

WRITTEN, DELETED = "rows.written", "rows.deleted"


@dataclass(frozen=True, slots=True)
class Message:
    """What is told of one conversation. ``id`` is the same at every try; ``body`` is JSON."""

    id: str
    type: str
    uuid: str
    day: str
    hash: str
    rows: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Receipt:
    """The other side's answer to one message: taken, or, by a reason that quotes nothing, refused for itself."""

    message: Message
    refused: str = ""


class MessageDestination(Destination):
    """Base of the kinds that send messages."""

    def __init__(self, client: Redis) -> None:
        self._redis = client

    @abstractmethod
    def send(self, projection: Projection, messages: Sequence[Message]) -> Iterator[Sequence[Receipt]]:
        """Send these, and give their receipts in portions as the other side answers. Raises what went wrong, after the
        receipts of what did not."""

    def memory(self, projection: Projection) -> Memory:
        """What was sent there of this projection."""
        return Memory(self._redis, projection.name, self.kind, self.target(projection))

    def ensure(self, projection: Projection) -> None:
        """Nothing is created: the other side is told, and keeps what it likes."""

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        with _redis_is_there(projection):
            sent = self.memory(projection).on(days)
        return {uuid: each.hash if each.whole else "" for uuid, each in sent.items()}

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return _MessageSession(self, projection, days)

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        with _redis_is_there(projection):
            memory = self.memory(projection)
            sent = memory.of(uuids)
        return self.take_back(projection, memory, sent)

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        with _redis_is_there(projection):
            memory = self.memory(projection)
            counts: dict[str, int] = {}
            for each in memory.on(memory.days() if days is None else days).values():
                counts[each.day] = counts.get(each.day, 0) + each.rows
        return counts

    def take_back(self, projection: Projection, memory: Memory, sent: dict[str, Sent]) -> list[str]:
        """Tell that these are gone, and forget them."""
        messages = [
            _message(projection, DELETED, uuid, each.day, each.hash, [], each, 0) for uuid, each in sent.items()
        ]
        for receipts in self.send(projection, messages) if messages else ():
            with _redis_is_there(projection):
                memory.forget([each.message.uuid for each in receipts if not each.refused])
            for each in receipts:
                if each.refused:
                    raise DestinationError(
                        f"projection {projection.name}: {self.title}: the deletion of {each.message.uuid} was refused: "
                        f"{each.refused}"
                    )
        return list(sent)


class _MessageSession(Session):
    """Each message stands by itself: what was acknowledged is remembered at once."""

    def __init__(self, destination: MessageDestination, projection: Projection, days: Sequence[str]) -> None:
        self._destination = destination
        self._projection = projection
        self._days = frozenset(days)
        self._memory = destination.memory(projection)

    def write(self, sets: Sequence[RowSet]) -> Written:
        rows, rejected = fitted(self._projection, sets, python_value)
        by_uuid: dict[str, list[FittedRow[Any]]] = {}
        for row in rows:
            by_uuid.setdefault(row.uuid, []).append(row)
        last = {each.uuid: each for each in sets}
        with _redis_is_there(self._projection):
            sent = self._memory.of(list(last))
            deletions = self._memory.deletions()
        messages: list[Message] = []
        for uuid, each in last.items():
            before, own = sent.get(uuid), by_uuid.get(uuid, [])
            if before is not None and (before.hash, before.rows) == (each.hash, len(own)):
                continue
            if own:
                messages.append(_message(self._projection, WRITTEN, uuid, each.day, each.hash, own, before, deletions))
        changed: list[str] = []
        for receipts in self._destination.send(self._projection, messages) if messages else ():
            taken = [each.message for each in receipts if not each.refused]
            with _redis_is_there(self._projection):
                self._memory.put([(each.uuid, each.day, each.rows, each.hash) for each in taken])
            changed += [each.uuid for each in taken]
            for receipt in receipts:
                if receipt.refused:
                    rejected.append(Rejected(receipt.message.uuid, None, receipt.refused))
                    by_uuid.pop(receipt.message.uuid, None)  # what the other side has of it is out of date
        emptied = {uuid: sent[uuid] for uuid in last if uuid in sent and uuid not in by_uuid}
        changed += self._destination.take_back(self._projection, self._memory, emptied)
        return Written(changed=tuple(changed), rejected=tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        with _redis_is_there(self._projection):
            sent = self._memory.of(uuids)
        gone = {uuid: each for uuid, each in sent.items() if each.day in self._days}
        return self._destination.take_back(self._projection, self._memory, gone)


@contextmanager
def _redis_is_there(projection: Projection) -> Iterator[None]:
    """The platform's own Redis, which remembers what was sent, may be away too."""
    import redis.exceptions

    told = f"projection {projection.name}: the platform's Redis, which remembers what was sent,"
    try:
        yield
    except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError):
        raise DestinationUnavailable(f"{told} cannot be reached") from None
    except redis.exceptions.RedisError as error:
        raise DestinationError(f"{told} refuses ({type(error).__name__})") from None


def _message(
    projection: Projection,
    kind: str,
    uuid: str,
    day: str,
    digest: str,
    rows: Iterable[FittedRow[Any]],
    before: Sent | None,
    deletions: int,
) -> Message:
    stands = f"-{deletions}" if before is None else str(before.change)
    key = hashlib.sha256(f"{projection.name}/{kind}/{uuid}/{digest}/{stands}".encode()).hexdigest()[:40]
    names = [column.name for column in projection.columns]
    written = [dict(zip(names, map(json_value, row.values), strict=True)) for row in rows]
    content: dict[str, Any] = {"id": key, "type": kind, "projection": projection.name, "uuid": uuid, "day": day}
    if kind == WRITTEN:
        content |= {"hash": digest, "rows": written}
    return Message(key, kind, uuid, day, digest, len(written), orjson.dumps(content))


def json_value(value: Any) -> Any:
    """A fitted value as JSON: numbers of any precision digit by digit, times and days as RFC 3339 writes them."""
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return [json_value(item) for item in value]
    return value
