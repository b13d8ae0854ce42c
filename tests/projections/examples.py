"""Small vCons and projections that this room's tests are made of."""

from __future__ import annotations

from typing import Any

from vcon_platform.projections.model import Projection
from vcon_platform.projections.outcome import Outcome
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

DONE = Outcome(pipeline="recall", pipeline_version="ab12", verdict="done")


def projection(**members: Any) -> Projection:
    """A valid declaration with these members replaced."""
    return Projection.model_validate(
        {
            "name": "calls",
            "pipelines": ["recall"],
            "rows": "conversation",
            "columns": [
                {"name": "uuid", "type": "text", "from": "uuid"},
                {"name": "created_at", "type": "timestamptz", "from": "created_at"},
                {"name": "customer", "type": "text", "from": "customer.name", "pii": True},
                {"name": "seconds", "type": "numeric", "from": "duration_seconds"},
            ],
            "destinations": [{"postgres": {"table": "calls"}}],
        }
        | members
    )


def call(**members: Any) -> Vcon:
    """An answered inbound call of a customer (party 0) with an agent (party 1)."""
    return Vcon(
        {
            "vcon": "0.4.0",
            "uuid": new_uuid(),
            "created_at": "2026-03-01T23:30:00-02:00",
            "parties": [
                {"name": "Ada Kunde", "tel": "+4930123456", "role": "customer"},
                {"name": "Ben Beispiel", "tel": "+49301000", "role": "agent"},
            ],
            "dialog": [
                {
                    "type": "recording",
                    "start": "2026-03-02T01:30:05Z",
                    "duration": 61.5,
                    "parties": [0, 1],
                    "originator": 0,
                    "mediatype": "audio/x-wav",
                }
            ],
            "attachments": [
                {"purpose": "adapter", "encoding": "json", "body": {"adapter": "freeswitch", "direction": "inbound"}}
            ],
        }
        | members
    )
