"""Direct runs: one conversation through a pipeline, or one processor, now, in the caller's thread.

The engine's own steps and its own settling, on a batch of one that came from no queue: retries within the run, time
limits, slots, rows, effects and ledger events are those of any run. What differs, as somebody waits for the answer:

- whether documents are kept is the caller's choice, not the definition's; jobs and effects that processors ask for
  happen in any case (as in py_vcon_server);
- a job that fails goes to no queue: the caller is told (:class:`DirectRunFailed`);
- somebody else's change that cannot be merged makes it start over from a fresh read, and after a few times fail.

Belongs here: that difference. Not here: HTTP, printing, counting for Dagster (``services/direct_record.py``).
"""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.ingress.looking import NotReady
from vcon_platform.pipelines.batch import Batch, Item, Verdict
from vcon_platform.pipelines.definition import Definition, PipelineOptions, Step, hash_of
from vcon_platform.pipelines.engine import Engine
from vcon_platform.processors.base import Processor, ProcessorIO, ProcessorOptions, QueuedJob
from vcon_platform.store.documents import RevisionConflict
from vcon_platform.store.jobs import new_job
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

CONFLICTS = 4
"""Runs of one call: a replaced member that others change four times while it runs needs somebody to look."""


class DirectRefused(PlatformError):
    """A direct run that cannot begin: what was given does not fit."""


class DirectRunFailed(PlatformError):
    """The conversation failed; nothing of its documents, jobs and effects came true. ``verdict`` names processor, code
    and reason; ``transient``: the same may succeed soon."""

    def __init__(self, pipeline: str, run_id: str, uuid: str, verdict: Verdict, *, transient: bool = False) -> None:
        where = f"processor {verdict.processor}" if verdict.processor else pipeline
        super().__init__(f"{where} failed on vCon {uuid} ({verdict.code}): {verdict.reason}")
        self.pipeline, self.run_id, self.uuid, self.verdict = pipeline, run_id, uuid, verdict
        self.transient = transient


@dataclass(frozen=True, slots=True)
class DirectStep:
    """What one processor did: processed, skipped or filtered, and why."""

    name: str
    what: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DirectResult:
    """What came of it: the ProcessorIO after the last processor. ``modified``: for each vCon, whether it was changed or
    made here. ``saved``: documents are stored, and ``vcons`` are as the store has them now."""

    pipeline: str
    version: str
    run_id: str
    uuid: str
    vcons: tuple[Vcon, ...]
    modified: tuple[bool, ...]
    parameters: Mapping[str, Any]
    queued: tuple[QueuedJob, ...]
    effects: int
    verdict: Verdict
    steps: tuple[DirectStep, ...]
    saved: bool

    def to_json(self) -> dict[str, Any]:
        """The result for programs: py_vcon_server's ProcessorIO output, and beside it what became of the run."""
        return {
            "vcons": [vcon.handed_out for vcon in self.vcons],
            "vcons_modified": list(self.modified),
            "parameters": dict(self.parameters),
            "queue_jobs": [
                {"job_type": "vcon_uuid", "to_queue": job.queue, "vcon_uuids": list(job.vcon_uuids)}
                for job in self.queued
            ],
            "run": {
                "id": self.run_id,
                "pipeline": self.pipeline,
                "version": self.version,
                "ending": self.verdict.ending,
                "reason": self.verdict.reason,
                "processor": self.verdict.processor,
                "saved": self.saved,
                "effects": self.effects,
                "steps": [{"name": step.name, "what": step.what, "reason": step.reason} for step in self.steps],
            },
        }


Given = str | Vcon | Sequence[Vcon]
"""A stored vCon's uuid, or vCons in hand (the first is the one that it is about)."""


def run_pipeline(
    engine: Engine,
    definition: Definition,
    given: Given,
    *,
    save: bool = False,
    parameters: Mapping[str, Any] | None = None,
    once: str = "",
) -> DirectResult:
    """Run a pipeline on one conversation and give what came of it. ``save``: keep what was changed and made; that needs
    a stored vCon. ``once``: the request that it is done for, if it must not be done twice. The definition's
    ``save_vcons`` and its success and failure queues do not count.

    Raises :class:`DirectRunFailed`; :class:`DirectRefused`, :class:`NotReady`, :class:`Missing` and
    :class:`RevisionConflict` where nothing came true; PlatformError when Redis or the object store is away."""
    options = definition.options.model_copy(
        update={"save_vcons": save, "success_queue": None, "failure_queue": None, "retries": 0}
    )
    return _run(engine, replace(definition, options=options), given, save, parameters or {}, once)


def run_processor(
    engine: Engine,
    processor: type[Processor[Any]],
    options: ProcessorOptions,
    given: Given,
    *,
    save: bool = False,
    parameters: Mapping[str, Any] | None = None,
    once: str = "",
) -> DirectResult:
    """The same with one processor and no pipeline. ``should_process`` does not count: it was asked for."""
    raw = {"processor": processor.name, "options": options.model_dump(mode="json")}
    chosen = options.model_copy(update={"should_process": True})
    definition = Definition(
        name=f"processor:{processor.name}",
        options=PipelineOptions(save_vcons=save, retries=0),
        steps=(Step(processor.name, processor, chosen),),
        version=hash_of(raw),
    )
    return _run(engine, definition, given, save, parameters or {}, once)


def _run(
    engine: Engine, definition: Definition, given: Given, save: bool, parameters: Mapping[str, Any], once: str
) -> DirectResult:
    run_id = f"direct:{new_uuid()}"
    for attempt in range(CONFLICTS):
        vcons = _vcons(engine, given, save)
        result = _once(engine, definition, run_id, vcons, save, parameters, once)
        if result is not None:
            return result
        time.sleep(random.uniform(0, 0.02 * 2**attempt))  # noqa: S311 - others want a turn
    uuid = vcons[0].uuid
    raise RevisionConflict(
        f"vCon {uuid} was changed by others {CONFLICTS} times while {definition.name} ran on it; nothing was saved, "
        "try again later"
    )


def _vcons(engine: Engine, given: Given, save: bool) -> list[Vcon]:
    """What is worked on, fresh: a run that starts over must not see what the one before did."""
    if isinstance(given, str):
        vcon = engine.documents.read_one(given)
        if engine.documents.meta(given).get("state") == "parked":
            raise NotReady(f"vCon {given} has critical extensions that are not supported, so it must not be processed")
        return [vcon]
    vcons = [given] if isinstance(given, Vcon) else list(given)
    if not vcons:
        raise DirectRefused("a direct run needs a vCon: none was given")
    if len({vcon.uuid for vcon in vcons}) < len(vcons):
        raise DirectRefused("two of the vCons given have the same uuid; each may be given once")
    if save and any(not vcon.revision for vcon in vcons):
        raise DirectRefused("a vCon whose changes are to be kept must be in the store; take it in first")
    return [vcon.copy() for vcon in vcons]


def _once(
    engine: Engine,
    definition: Definition,
    run_id: str,
    vcons: list[Vcon],
    save: bool,
    parameters: Mapping[str, Any],
    once: str,
) -> DirectResult | None:
    """One run from what was read; None where others changed it meanwhile, and nothing came true."""
    uuid = vcons[0].uuid
    given = {vcon.uuid: len(vcon.changes) for vcon in vcons}
    io = ProcessorIO(list(vcons), engine.context(definition, run_id, run_id), copy.deepcopy(dict(parameters)))
    job = new_job(*given)
    item = Item(replace(job, id=f"once-{once[:32]}") if once else job, io)  # its marks in further documents stay
    batch = Batch(
        run_id,
        run_id,
        definition.name,
        definition.version,
        [item],
        options=definition.options,
        leased=False,
        once=once,
    )
    steps: list[DirectStep] = []
    for position, step in enumerate(definition.steps):
        if item.verdict is not None:
            break
        engine.step(batch, position, step)
        event = orjson.loads(item.events[-1])
        steps.append(DirectStep(step.name, event["event"], event.get("detail", {}).get("reason", "")))
    handed_on = list(item.io.vcons)
    modified = tuple(
        vcon.reformed or len(vcon.changes) > given[vcon.uuid] if vcon.uuid in given else True for vcon in handed_on
    )
    settled = engine.settle(definition, batch)
    if not settled.counts.total():
        return None
    verdict = item.verdict
    assert verdict is not None  # noqa: S101 - settling gave one
    if verdict.ending == "failed":
        raise DirectRunFailed(definition.name, run_id, uuid, verdict, transient=verdict.transient)
    if item.effects:
        with suppress(PlatformError):  # they are safe in the outbox; what sends them for everybody sends these too
            engine.deliver(len(item.effects))
    if save and any(modified):  # as the store has them: others' changes may stand between
        fresh = engine.documents.read([vcon.uuid for vcon in handed_on])
        handed_on = [_as_stored(vcon, fresh.get(vcon.uuid)) for vcon in handed_on]
    return DirectResult(
        pipeline=definition.name,
        version=definition.version,
        run_id=run_id,
        uuid=uuid,
        vcons=tuple(handed_on),
        modified=modified,
        parameters=item.io.parameters,
        queued=tuple(item.queued),
        effects=len(item.effects),
        verdict=verdict,
        steps=tuple(steps),
        saved=save,
    )


def _as_stored(vcon: Vcon, fresh: Vcon | None) -> Vcon:
    """A vCon as the store has it now, in the form that it was given here."""
    if fresh is None:
        return vcon
    fresh.envelope = vcon.envelope
    return fresh
