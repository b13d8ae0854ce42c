"""What the ledger records: one :class:`LedgerEvent` per thing that happened to a vCon.

No personal data: uuids, names of pipelines and processors, hashes, counts, and reasons that were written for the
ledger. An event is made where the thing happens and travels inside the same Redis transaction as the thing itself
(``store/commit.lua`` puts it into the outbox), so that there is never an effect without its event.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from itertools import count, repeat
from typing import Any
from uuid import UUID

import orjson

from vcon_platform.ledger.errors import EventRefused
from vcon_platform.vcon.uuids import new_uuid


class EventKind(StrEnum):
    """What happened."""

    CREATED = "created"
    REVISED = "revised"
    DELETED = "deleted"
    """Removed from the store; ``detail`` says by whom."""
    READ = "read"
    """Read through the API; ``detail`` says by whom, and what of it. One event for each reader and hour."""
    PROCESSED = "processed"
    SKIPPED = "skipped"
    FILTERED = "filtered"
    FAILED = "failed"
    DONE = "done"
    REDRIVEN = "redriven"
    RETRIED = "retried"
    """Failed for a passing reason, and queued again for later."""
    QUEUED = "queued"
    """Entered a queue by a processor, a feed, a reprocessing or an operator."""
    WITHDRAWN = "withdrawn"
    """Taken out of a queue by an operator."""
    SENT = "sent"
    """An effect outside (a mail) was carried out."""
    NOT_SENT = "not_sent"
    """An effect outside was refused for good, or it is not known whether it happened."""
    USED = "used"
    """A service was used that costs money or minutes; ``detail`` says how much."""
    CONSENT = "consent"
    """Asked whether a purpose is allowed, and what the answer was."""
    VERIFIED = "verified"
    """A signature was looked at; ``detail`` says what it is worth."""
    PROJECTED = "projected"
    UNPROJECTED = "unprojected"


_second = (0, "")  # the second that was written last, and its text: writing one takes longer than all the rest


def _now() -> str:
    global _second  # one assignment: who still reads the pair before it writes its own
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    known, text = _second
    if known != seconds:
        text = datetime.fromtimestamp(seconds, UTC).isoformat()[:19]
        _second = (seconds, text)
    return f"{text}.{nanoseconds // 1000:06d}+00:00"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEvent:
    """One event. ``event_id`` makes shipping idempotent; ``at`` is RFC 3339 in UTC."""

    vcon_uuid: str
    event: EventKind
    revision: int | None = None
    pipeline: str | None = None
    pipeline_version: str | None = None
    processor: str | None = None
    processor_version: str | None = None
    options_hash: str | None = None
    batch_id: str | None = None
    run_id: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    at: str = field(default_factory=_now)
    event_id: str = field(default_factory=new_uuid)

    def to_bytes(self) -> bytes:
        """The event as compact JSON, as the outbox holds it."""
        return orjson.dumps(self)  # a dataclass as it is: asdict would copy it first


_NODE = (1 << 48) - 1


class EventForm:
    """What many events have in common, written once: all that a processor did to a batch differ in little more than
    the vCon. Two microseconds an event, where a :class:`LedgerEvent` takes ten. Thread-safe.

    Its events' ids have their first 76 bits (time, random) in common; the other 48 are counted from a random number."""

    __slots__ = ("_number", "_process", "_shared")

    def __init__(
        self,
        event: EventKind,
        *,
        pipeline: str | None = None,
        pipeline_version: str | None = None,
        processor: str | None = None,
        processor_version: str | None = None,
        options_hash: str | None = None,
        batch_id: str | None = None,
        run_id: str | None = None,
    ) -> None:
        shared = {
            "event": event,
            "pipeline": pipeline,
            "pipeline_version": pipeline_version,
            "processor": processor,
            "processor_version": processor_version,
            "options_hash": options_hash,
            "batch_id": batch_id,
            "run_id": run_id,
        }
        self._shared = orjson.dumps(shared).decode()[1:-1]
        self._begin()

    def _begin(self) -> None:
        first = new_uuid()
        self._number = zip(repeat(first[:24]), count(int(first[24:], 16)), strict=False)
        self._process = os.getpid()  # last: who sees it sees the new numbers

    def event(self, vcon_uuid: str, revision: int | None = None, **detail: Any) -> bytes:
        """One event, as :meth:`LedgerEvent.to_bytes` gives it. Raises TypeError for a detail that is no JSON."""
        if self._process != os.getpid():  # a fork must not count the same numbers
            self._begin()
        first, number = next(self._number)
        written = f',"detail":{orjson.dumps(detail).decode()}' if detail else ""
        return (
            f'{{"vcon_uuid":{orjson.dumps(vcon_uuid).decode()},"revision":{"null" if revision is None else revision},'
            f'{self._shared}{written},"event_id":"{first}{number & _NODE:012x}","at":"{_now()}"}}'
        ).encode()


_MEMBERS = frozenset(member.name for member in fields(LedgerEvent))
_NAMES = (
    "pipeline",
    "pipeline_version",
    "processor",
    "processor_version",
    "options_hash",
    "batch_id",
    "run_id",
)
_LONGEST_NAME = 500  # characters; a Postgres index cannot hold text without a limit
_LARGEST_DETAIL = 1 << 20  # bytes of JSON; an event says what happened, it does not carry the thing


def read_event(value: Any) -> LedgerEvent:
    """An event from the outbox (a JSON object, or its bytes), checked so that Postgres is sure to take it. U+0000 is
    left out, which Postgres cannot hold. Raises :class:`EventRefused`."""
    if isinstance(value, bytes | str):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            raise EventRefused("an event is not JSON") from None
    if not isinstance(value, dict):
        raise EventRefused("an event is not a JSON object")
    unknown = value.keys() - _MEMBERS
    if unknown:
        raise EventRefused(f"an event has {len(unknown)} members that the ledger does not know")
    revision, detail = value.get("revision"), value.get("detail", {})
    if revision is not None and (type(revision) is not int or not 0 <= revision < 1 << 63):
        raise EventRefused("/revision is no number from 0 on")
    if not isinstance(detail, dict):
        raise EventRefused("/detail is no object")
    return LedgerEvent(
        vcon_uuid=_uuid(value, "vcon_uuid"),
        event=_kind(value.get("event")),
        revision=revision,
        detail=_detail(detail),
        at=_time(value.get("at")),
        event_id=_uuid(value, "event_id"),
        **{name: _name(value, name) for name in _NAMES},
    )


_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_UTC = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\+00:00")
"""As all of our own events have them: looked at, and not made again. Every event passes here on its way."""
_KINDS = {str(kind): kind for kind in EventKind}


def _uuid(value: dict[str, Any], member: str) -> str:
    text = value.get(member)
    if type(text) is str and _UUID.fullmatch(text) is not None:
        return text
    try:
        return str(UUID(value[member]))
    except (KeyError, ValueError, TypeError, AttributeError):
        raise EventRefused(f"/{member} is no uuid") from None


def _kind(value: Any) -> EventKind:
    kind = _KINDS.get(value) if type(value) is str else None
    if kind is None:
        raise EventRefused(f"/event is none of {', '.join(EventKind)}")
    return kind


def _time(value: Any) -> str:
    try:
        moment = datetime.fromisoformat(value)
        if type(value) is str and _UTC.fullmatch(value) is not None:
            return value
        if moment.tzinfo is None:
            raise EventRefused("/at has no offset from UTC")
        return moment.astimezone(UTC).isoformat()
    except (TypeError, ValueError, OverflowError):
        raise EventRefused("/at is no RFC 3339 time") from None


def _name(value: dict[str, Any], member: str) -> str | None:
    text = value.get(member)
    if text is None:
        return None
    if not isinstance(text, str) or len(text) > _LONGEST_NAME:
        raise EventRefused(f"/{member} is no text of at most {_LONGEST_NAME} characters")
    return text.replace("\0", "")


def _detail(detail: dict[str, Any]) -> dict[str, Any]:
    if not detail:
        return detail
    try:
        written = orjson.dumps(detail)
    except (TypeError, ValueError):
        raise EventRefused("/detail is not JSON") from None
    if len(written) > _LARGEST_DETAIL:
        raise EventRefused(f"/detail is larger than {_LARGEST_DETAIL} bytes")
    if b"\\u0000" not in written:
        return detail
    return {name.replace("\0", ""): _without_nul(item) for name, item in detail.items()}


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, list):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {name.replace("\0", ""): _without_nul(item) for name, item in value.items()}
    return value
