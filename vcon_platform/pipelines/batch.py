"""A batch: the jobs that one Dagster run has leased, each with its documents and what has become of it so far.

A batch can be written down between two ops (``to_bytes``) and taken up again by another run (``read_batch``). Written
are references, parameters, verdicts, pending changes and what is to happen when the job is settled; of the documents
only those that processors made, because nobody else has them yet.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from vcon_platform.pipelines import enveloped
from vcon_platform.pipelines.definition import PipelineOptions
from vcon_platform.processors.base import Effect, ProcessorIO, QueuedJob
from vcon_platform.store.jobs import Job
from vcon_platform.vcon.document import Change, Put, Vcon, change_from_json, change_to_json

Ending = Literal["done", "filtered", "failed", "retried", "again"]
"""``retried``: it failed for a passing reason and is queued again for later. ``again``: no verdict could be reached on
what was read; the job goes back to its queue."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a job ended. ``reason`` is fit for ledger and UI: no personal data. ``wait``: seconds until a retry.
    ``transient``: it failed for a passing reason."""

    ending: Ending
    reason: str = ""
    processor: str | None = None
    code: str = ""
    wait: float = 0.0
    transient: bool = False


DONE = Verdict("done")


@dataclass(frozen=True, slots=True)
class AskedEffect:
    """An effect and who asked for it."""

    step: str
    processor: str
    version: str
    effect: Effect


@dataclass(slots=True)
class Item:
    """One job of a batch. ``walked``: how many steps it has behind it; ``verdict`` is None while it is under way;
    ``spent``: seconds in processors, counted where the pipeline has a limit.

    ``queued``, ``effects`` and ``created`` (uuid to ledger event) are what its processors asked for: it happens when
    the job is settled as done or filtered."""

    job: Job
    io: ProcessorIO
    walked: int = 0
    verdict: Verdict | None = None
    events: list[bytes] = field(default_factory=list)
    queued: list[QueuedJob] = field(default_factory=list)
    effects: list[AskedEffect] = field(default_factory=list)
    created: dict[str, bytes] = field(default_factory=dict)
    spent: float = 0.0


@dataclass(slots=True)
class Settled:
    """What became of a batch: counts by ending, filters by processor, and the failures by uuid. ``retried`` jobs are
    queued again for later; ``queued`` and ``effects`` are the jobs and effects that processors asked for."""

    counts: Counter[str] = field(default_factory=Counter)
    filtered_by: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Verdict] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    handed_back: int = 0
    lost: int = 0
    retried: int = 0
    queued: int = 0
    effects: int = 0


@dataclass(slots=True)
class Batch:
    """What a run has leased. ``owner`` is the run that works on it now, ``id`` the run that leased it. ``options``:
    the pipeline's, None for a batch that was made by hand (no limits, no retries). ``leased``: False for conversations
    that came from no queue: there is no lease to hold, no dead queue, no retry. ``settled``: what settling has done so
    far, so that it may be called again after Redis was away. ``once``: the request that this is done for, if that must
    not be done twice (``store/once.py``)."""

    id: str
    owner: str
    pipeline: str
    version: str
    items: list[Item] = field(default_factory=list)
    options: PipelineOptions | None = None
    leased: bool = True
    settled: Settled = field(default_factory=Settled)
    once: str = ""

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
    """An item as it was written down: what its steps had made of it, without the documents."""

    job_id: str
    walked: int
    verdict: Verdict | None
    parameters: dict[str, Any]
    events: list[bytes]
    changes: dict[str, tuple[int, list[Change]]]
    """uuid to the revision that the changes were made on, and the changes."""
    forms: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    """The same of a form (``enveloped.py``), on top of which the changes are."""
    added: list[dict[str, Any]] = field(default_factory=list)
    created: dict[str, bytes] = field(default_factory=dict)
    queued: list[QueuedJob] = field(default_factory=list)
    effects: list[AskedEffect] = field(default_factory=list)
    spent: float = 0.0


@dataclass(frozen=True, slots=True)
class WrittenBatch:
    """A batch as it was written down."""

    id: str
    pipeline: str
    version: str
    items: dict[str, WrittenItem]


def _written(item: Item) -> dict[str, Any]:
    """Events are JSON already, and go in as they are. Members that are empty for most are left out, and what a failed
    item's processors had made: nothing will come of it."""
    verdict, io = item.verdict, item.io
    useless = verdict is not None and verdict.ending not in ("done", "filtered")
    written: dict[str, Any] = {
        "job": item.job.id,
        "walked": item.walked,
        "verdict": [verdict.ending, verdict.reason, verdict.processor, verdict.code, verdict.wait] if verdict else None,
        "parameters": {} if useless else io.parameters,
        "events": orjson.Fragment(b"[" + b",".join(item.events) + b"]"),
    }
    if useless:
        return written
    own = io.vcons[: len(io.vcons) - len(io.added)] if io.added else io.vcons
    changes = {
        vcon.uuid: [vcon.revision, [change_to_json(change) for change in vcon.changes]] for vcon in own if vcon.changes
    }
    if changes:
        written["changes"] = changes
    forms = {vcon.uuid: [vcon.revision, enveloped.written(vcon)] for vcon in io.vcons if vcon.reformed}
    if forms:
        written["forms"] = forms
    if io.added:
        written["added"] = [orjson.Fragment(vcon.to_bytes()) for vcon in io.added]
        written["created"] = {uuid: orjson.Fragment(event) for uuid, event in item.created.items()}
    if item.queued:
        written["queued"] = item.queued
    if item.effects:
        written["effects"] = item.effects
    if item.spent:
        written["spent"] = item.spent
    return written


def read_batch(raw: bytes) -> WrittenBatch:
    """What :meth:`Batch.to_bytes` wrote."""
    value = orjson.loads(raw)
    items = {
        item["job"]: WrittenItem(
            job_id=item["job"],
            walked=item["walked"],
            verdict=Verdict(*item["verdict"]) if item["verdict"] else None,
            parameters=item["parameters"],
            events=[_event(event) for event in item["events"]],
            changes={
                uuid: (revision, [change_from_json(change) for change in changes])
                for uuid, (revision, changes) in item.get("changes", {}).items()
            },
            forms={uuid: (revision, form) for uuid, (revision, form) in item.get("forms", {}).items()},
            added=item.get("added", []),
            created={uuid: orjson.dumps(event) for uuid, event in item.get("created", {}).items()},
            queued=[QueuedJob(**{**each, "vcon_uuids": tuple(each["vcon_uuids"])}) for each in item.get("queued", [])],
            effects=[AskedEffect(**{**each, "effect": Effect(**each["effect"])}) for each in item.get("effects", [])],
            spent=item.get("spent", 0.0),
        )
        for item in value["items"]
    }
    return WrittenBatch(value["id"], value["pipeline"], value["version"], items)


def _event(written: Any) -> bytes:
    """An event; runs of an older version wrote it as a text."""
    return written.encode() if isinstance(written, str) else orjson.dumps(written)


def reapply(item: Item, written: WrittenItem) -> None:
    """Give a freshly read item what its steps had made of it. An element that was replaced can only be replaced again
    while nobody else wrote to the document; otherwise the item starts over."""
    for vcon in item.io.vcons:
        revision, changes = written.changes.get(vcon.uuid, (vcon.revision, []))
        replaced = vcon.uuid in written.forms or any(isinstance(change, Put) for change in changes)
        revision, _ = written.forms.get(vcon.uuid, (revision, {}))
        if revision != vcon.revision and replaced:
            item.verdict = Verdict("again", "the document was changed by somebody else meanwhile")
            return
    for vcon in item.io.vcons:
        if vcon.uuid in written.forms:
            enveloped.take_up(vcon, written.forms[vcon.uuid][1])
        for change in written.changes.get(vcon.uuid, (0, []))[1]:
            vcon.apply(change)
    for data in written.added:
        _, form = written.forms.get(data["uuid"], (0, None))
        item.io.add(Vcon(data) if form is None else enveloped.enveloped(Vcon(data), form))
    item.io.parameters = written.parameters
    item.io.queued = list(written.queued)
    item.io.effects = [each.effect for each in written.effects]
    item.walked = written.walked
    item.verdict = written.verdict
    item.events = written.events
    item.created = written.created
    item.queued = written.queued
    item.effects = written.effects
    item.spent = written.spent
