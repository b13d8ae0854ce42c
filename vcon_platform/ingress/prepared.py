"""A document that passed the gates and whose bodies are kept: what is written down beside it, and what is told of it.

Belongs here: those values. Not here: the gates (``vcon/gates.py``), the order of things (``door.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import orjson

from vcon_platform.ingress.answer import ALWAYS, Answer, Condition, Outcome, Source
from vcon_platform.ledger.events import EventForm
from vcon_platform.store.commits import NewVcon, Posted, created_seconds
from vcon_platform.vcon.conformance import report_of, strict_faults
from vcon_platform.vcon.document import ARRAYS, Vcon
from vcon_platform.vcon.faults import Finding, Rejected
from vcon_platform.vcon.received import Received

KEPT_FINDINGS = 100
"""Findings kept beside a document; their number is kept in any case."""


@dataclass(slots=True)
class Prepared:
    """It, and who brought it."""

    received: Received
    source: Source
    posted: Posted
    meta: dict[str, str]
    state: str
    findings: tuple[Finding, ...]
    condition: Condition = ALWAYS

    @property
    def may_be_new(self) -> bool:
        """False for what is to be the next revision of a vCon that is there."""
        return not self.condition.there

    @property
    def queues(self) -> tuple[str, ...]:
        """A parked vCon must not be processed (draft -03 section 4.1.5, critical): it enters no queue."""
        return () if self.state == "parked" else self.source.queues

    def new(self, created: EventForm) -> NewVcon:
        """As a vCon that nobody knows yet."""
        return NewVcon(
            vcon=Vcon(self.received.data, sealed=_sealed(self.received)),
            queues=self.queues,
            events=[self.event(created, revision=1, queues=self.queues)],
            meta={name: value for name, value in self.meta.items() if value},
            posted=self.posted,
        )

    def event(self, form: EventForm, *, revision: int, **detail: Any) -> bytes:
        """For the ledger."""
        return form.event(
            self.received.uuid,
            revision,
            adapter=self.source.name,
            sha256=self.posted.original.sha256,
            form=str(self.received.form),
            findings=sorted({each.code for each in self.findings}),
            **({"by": self.source.by} if self.source.by else {}),
            **{name: value for name, value in detail.items() if value},
        )

    def answer(self, outcome: Outcome, revision: int) -> Answer:
        """For whoever brought it."""
        return Answer(
            uuid=self.received.uuid,
            outcome=outcome,
            revision=revision,
            form=str(self.received.form),
            state=self.state,
            findings=self.findings,
            parked=self.received.parked,
            made=self.received.data if outcome is Outcome.CREATED else None,
        )


def state_of(received: Received) -> str:
    """What can be done with it."""
    return "parked" if received.parked else "opaque" if received.opaque else "ready"


def refuse_strictly(received: Received, findings: Sequence[Finding]) -> None:
    """What a strict source refuses: whatever the conformance report holds against the document."""
    received.findings = list(findings)
    if faults := strict_faults(report_of(received)):
        raise Rejected(*faults)


def _sealed(received: Received) -> dict[str, int] | None:
    if received.signature is None:  # an encrypted vCon that was opened holds a signed one
        return None
    return {array: len(received.data.get(array) or ()) for array in ARRAYS}


@lru_cache(maxsize=512)
def _day(number: float) -> str:
    """The date of a day that is counted from 1970."""
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


def meta_of(received: Received, source: Source, findings: Sequence[Finding], state: str) -> dict[str, str]:
    """What is kept beside the document. What there is nothing to say of is empty: of an earlier revision with the same
    uuid, nothing must stay."""
    sealed = _sealed(received)
    told = [[each.code, each.pointer, each.message] for each in findings[:KEPT_FINDINGS]]
    day = _day(created_seconds(received.data) // 86400)
    return {
        "adapter": source.name,
        "day": day,
        "form": str(received.form),
        "state": state,
        "source_version": received.source_version,
        "derived": ",".join(received.derived),
        "signature": str(received.signature) if received.signature else "",
        "signer": received.signer or "",
        "sealed": orjson.dumps(sealed).decode() if sealed else "",
        "parked": ",".join(received.parked),
        "findings": orjson.dumps(told).decode() if told else "",
        "findings_count": str(len(findings)) if findings else "",
        **source.meta,
    }
