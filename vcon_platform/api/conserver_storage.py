"""``/api/dlq/storage``: the conserver's writes into storages that failed, which are our effects that were refused.

A storage's name is that of the processor that writes into it (``webhook``, ``send_email``). Rows of tables are never
among them: a destination that was away is brought up to date by its next landing.

Belongs here: those two routes. Not here: effects (``store/effects.py``).
"""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from vcon_platform.api.auth import Gate
from vcon_platform.api.parts import Parts
from vcon_platform.pipelines.deliveries import effects_outbox
from vcon_platform.store.connection import explained
from vcon_platform.store.effects import EffectsOutbox, KeptEffect

_MOST = 100_000
StorageName = Annotated[str, Query(max_length=100, description="A processor that sends.")]


def add(routes: APIRouter, gate: Gate, parts: Parts) -> None:
    """Add the routes. ``gate`` guards each."""

    def refused(name: str) -> tuple[EffectsOutbox, list[KeptEffect]]:
        outbox = effects_outbox(parts.store.client)
        return outbox, [each for each in outbox.entries("refused", _MOST) if each.processor == name]

    @routes.get("/dlq/storage", dependencies=gate("read", "operate"), summary="vCons that a storage refused")
    def dead(storage_name: StorageName) -> list[str]:
        """Oldest first; each once."""
        with explained():
            return list(dict.fromkeys(each.vcon_uuid for each in refused(storage_name)[1]))

    @routes.post("/dlq/storage/reprocess", dependencies=gate("operate"), summary="Let failed writes be tried again")
    def reprocess(storage_name: StorageName, count: Annotated[int, Query(ge=1, le=_MOST)] = 1000) -> int:
        """How many wait again; what becomes of them is in the ledger."""
        with explained():
            outbox, found = refused(storage_name)
            return len([outbox.resend(each.key) for each in found[:count]])
