"""What the ledger records: one :class:`LedgerEvent` per thing that happened to a vCon.

No personal data: uuids, names of pipelines and processors, hashes, counts, and reasons that were written for the
ledger. An event is made where the thing happens and travels inside the same Redis transaction as the thing itself
(``store/commit.lua`` puts it into the outbox), so that there is never an effect without its event.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from vcon_platform.vcon.uuids import new_uuid


class EventKind(StrEnum):
    """What happened."""

    CREATED = "created"
    REVISED = "revised"
    PROCESSED = "processed"
    SKIPPED = "skipped"
    FILTERED = "filtered"
    FAILED = "failed"
    DONE = "done"
    REDRIVEN = "redriven"
    PROJECTED = "projected"
    UNPROJECTED = "unprojected"


def _now() -> str:
    return datetime.now(UTC).isoformat()


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
        return orjson.dumps(asdict(self))
