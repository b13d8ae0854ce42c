"""A batch: the jobs that one Dagster run has leased, each with its documents and what has become of it so far.

A batch can be written down between two ops (``to_bytes``) and taken up again by another run (``read_batch``): only
references, parameters, verdicts and pending changes are written, never documents.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from vcon_platform.processors.base import ProcessorIO
from vcon_platform.store.jobs import Job
from vcon_platform.vcon.document import Change, Put, Vcon, change_from_json, change_to_json

Ending = Literal["done", "filtered", "failed", "again"]
"""``again``: no verdict could be reached on what was read; the job goes back to its queue."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a job ended. ``reason`` is fit for ledger and UI: no personal data."""

    ending: Ending
    reason: str = ""
    processor: str | None = None
    code: str = ""


@dataclass(slots=True)
class Item:
    """One job of a batch. ``walked``: how many steps it has behind it; ``verdict`` is None while it is under way."""

    job: Job
    io: ProcessorIO
    walked: int = 0
    verdict: Verdict | None = None
    events: list[bytes] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """What a run has leased. ``owner`` is the run that works on it now, ``id`` the run that leased it."""

    id: str
    owner: str
    pipeline: str
    version: str
    items: list[Item] = field(default_factory=list)

    def under_way(self) -> list[Item]:
        """The items that have no verdict yet."""
        return [item for item in self.items if item.verdict is None]

    def to_bytes(self) -> bytes:
        """The batch without its documents."""
        return orjson.dumps(
            {
                "id": self.id,
                "pipeline": self.pipeline,
                "version": self.version,
                "items": [_written(item) for item in self.items],
            }
        )


@dataclass(frozen=True, slots=True)
class WrittenItem:
    """An item as it was written down: what its step had made of it, without the documents."""

    job_id: str
    walked: int
    verdict: Verdict | None
    parameters: dict[str, Any]
    events: list[bytes]
    changes: dict[str, tuple[int, list[Change]]]
    """uuid to the revision that the changes were made on, and the changes."""


@dataclass(frozen=True, slots=True)
class WrittenBatch:
    """A batch as it was written down."""

    id: str
    pipeline: str
    version: str
    items: dict[str, WrittenItem]


def _written(item: Item) -> dict[str, Any]:
    verdict = item.verdict
    return {
        "job": item.job.id,
        "walked": item.walked,
        "verdict": [verdict.ending, verdict.reason, verdict.processor, verdict.code] if verdict else None,
        "parameters": item.io.parameters,
        "events": [event.decode() for event in item.events],
        "changes": {
            vcon.uuid: [vcon.revision, [change_to_json(change) for change in vcon.changes]] for vcon in item.io.vcons
        },
    }


def read_batch(raw: bytes) -> WrittenBatch:
    """What :meth:`Batch.to_bytes` wrote."""
    value = orjson.loads(raw)
    items = {
        item["job"]: WrittenItem(
            job_id=item["job"],
            walked=item["walked"],
            verdict=Verdict(*item["verdict"]) if item["verdict"] else None,
            parameters=item["parameters"],
            events=[event.encode() for event in item["events"]],
            changes={
                uuid: (revision, [change_from_json(change) for change in changes])
                for uuid, (revision, changes) in item["changes"].items()
            },
        )
        for item in value["items"]
    }
    return WrittenBatch(value["id"], value["pipeline"], value["version"], items)


def reapply(item: Item, written: WrittenItem) -> None:
    """Give a freshly read item what its steps had made of it. An element that was replaced can only be replaced again
    while nobody else wrote to the document; otherwise the item starts over."""
    for vcon in item.io.vcons:
        revision, changes = written.changes.get(vcon.uuid, (vcon.revision, []))
        if revision != vcon.revision and any(isinstance(change, Put) for change in changes):
            item.verdict = Verdict("again", "the document was changed by somebody else meanwhile")
            return
    for vcon in item.io.vcons:
        _replay(vcon, written.changes.get(vcon.uuid, (0, []))[1])
    item.io.parameters = written.parameters
    item.walked = written.walked
    item.verdict = written.verdict
    item.events = written.events


def _replay(vcon: Vcon, changes: list[Change]) -> None:
    for change in changes:
        vcon.apply(change)
