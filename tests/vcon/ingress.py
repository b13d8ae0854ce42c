"""Documents through gate 1 and ``receive``, and the answer a caller would get: shared by several tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.opened import open_document
from vcon_platform.vcon.received import Policy, Received, receive

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
POLICY = Policy(received_at=NOW)
HOIST_OVER = 256 << 10


@dataclass
class Reply:
    """``codes``: of the faults, or of the findings of a document that is kept."""

    status: int
    codes: list[str]
    pointers: list[str]
    received: Received | None = None


def reply(raw: bytes, policy: Policy = POLICY, media_type: str | None = "application/vcon") -> Reply:
    """What is answered to these bytes on first delivery."""
    try:
        with open_document(raw, media_type=media_type, limits=Limits(), hoist_over=HOIST_OVER) as opened:
            received = receive(opened.value, policy, skeleton=opened.skeleton)
            notes = [*opened.findings, *received.findings]
    except Rejected as refused:
        faults = refused.faults
        return Reply(refused.status, [fault.code for fault in faults], [fault.pointer for fault in faults])
    codes, pointers = [note.code for note in notes], [note.pointer for note in notes]
    return Reply(202 if notes else 201, codes, pointers, received)


def answered(document: Any, policy: Policy = POLICY) -> Reply:
    """What is answered to this document."""
    return reply(orjson.dumps(document), policy)


def kept(document: Any, policy: Policy = POLICY) -> Received:
    """The document as it is kept; it must be."""
    found = answered(document, policy)
    assert found.received is not None, (found.codes, found.pointers)
    return found.received


def document(**members: Any) -> dict[str, Any]:
    """A clean document of two parties without dialogs, with these members over it."""
    return {
        "uuid": "01990b2c-7d10-7a41-9c3e-5b7f2d4e6a80",
        "created_at": "2026-09-07T09:00:00Z",
        "parties": [{"name": "Alice", "tel": "+12025550101"}, {"name": "Bob"}],
        "dialog": [],
        **members,
    }


def message(**members: Any) -> dict[str, Any]:
    """A clean text dialog, with these members over it."""
    return {
        "type": "text",
        "start": "2026-09-07T09:00:00Z",
        "parties": [0, 1],
        "mediatype": "text/plain",
        "encoding": "none",
        "body": "hello",
        **members,
    }
