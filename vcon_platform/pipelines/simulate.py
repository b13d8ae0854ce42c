"""Simulation: a definition on one conversation, step by step, with what each step would change, queue, send and buy.

The steps are the engine's own (:meth:`Engine.step`), so a simulation goes by the rules of a run. What it works on is a
store that only reads (``store/reading.py``), so it leaves no trace. Nothing is settled: no commit, no ledger event, no
job, no effect.

What a step may do that cannot be taken back decides how it is simulated:

- it costs: a result that is kept already is used; otherwise the step is *not bought* and hands on what it was given,
  unless the caller says ``buy``. Then it is bought and its result kept, so that it is bought once: all that stays;
- it calls the network but costs nothing: it never runs, because what it does out there is not known here;
- it sends: it runs, because what it asks for is carried out only after a commit, which there is none of;
- anything else runs. Time limits do not apply: they are there for what is left alone.

Belongs here: that decision, and the account of each step. Not here: showing it.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.pipelines.batch import Batch, Item, Verdict
from vcon_platform.pipelines.definition import Definition, Step
from vcon_platform.pipelines.document_diff import Edit, difference, shortened
from vcon_platform.pipelines.engine import Engine
from vcon_platform.pipelines.purchases import Purchasing
from vcon_platform.pipelines.verdict_rows import RowWriter
from vcon_platform.processors.base import (
    Effect,
    MediaReader,
    ProcessorContext,
    ProcessorIO,
    ProcessorOptions,
    QueuedJob,
    ResultCache,
)
from vcon_platform.projections.model import Projection
from vcon_platform.store.jobs import new_job
from vcon_platform.store.reading import NotKept
from vcon_platform.vcon.dialogs import array, duration
from vcon_platform.vcon.document import Vcon

What = Literal["processed", "skipped", "filtered", "failed", "not_bought", "not_run", "not_reached"]


@dataclass(frozen=True, slots=True)
class DocumentEdits:
    """What became of one vCon in a step. ``added``: the step made it. ``form``: the form that it was given there
    (signed, encrypted), empty where it kept its own."""

    uuid: str
    added: bool
    edits: tuple[Edit, ...]
    form: str = ""

    def to_json(self) -> dict[str, Any]:
        told = {"uuid": self.uuid, "added": self.added, "edits": [edit.to_json() for edit in self.edits]}
        return {**told, "form": self.form} if self.form else told


@dataclass(frozen=True, slots=True)
class SimulatedStep:
    """What one processor did, or why it did nothing. ``from_cache``, ``bought``: results that it used."""

    name: str
    processor: str
    version: str
    what: What
    reason: str = ""
    code: str = ""
    seconds: float = 0.0
    documents: tuple[DocumentEdits, ...] = ()
    parameters: tuple[Edit, ...] = ()
    queued: tuple[QueuedJob, ...] = ()
    effects: tuple[Effect, ...] = ()
    from_cache: int = 0
    bought: int = 0

    def to_json(self) -> dict[str, Any]:
        """The step for programs; long values are shortened."""
        return {
            "name": self.name,
            "processor": self.processor,
            "version": self.version,
            "what": self.what,
            "reason": self.reason,
            "code": self.code,
            "seconds": round(self.seconds, 6),
            "documents": [each.to_json() for each in self.documents],
            "parameters": [edit.to_json() for edit in self.parameters],
            "queued": [queued_json(job) for job in self.queued],
            "effects": [{"summary": each.summary, "body": shortened(each.body)} for each in self.effects],
            "from_cache": self.from_cache,
            "bought": self.bought,
        }


@dataclass(frozen=True, slots=True)
class Simulation:
    """The whole way. ``rows``: what settling would add to the document (rows of projections that follow from the
    verdict); ``vcons`` and ``parameters`` as they were at the end."""

    pipeline: str
    version: str
    uuid: str
    steps: tuple[SimulatedStep, ...]
    verdict: Verdict
    rows: tuple[DocumentEdits, ...]
    vcons: tuple[Vcon, ...]
    parameters: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The simulation for programs. Documents are told by their edits, not whole."""
        return {
            "pipeline": self.pipeline,
            "version": self.version,
            "uuid": self.uuid,
            "verdict": {
                "ending": self.verdict.ending,
                "reason": self.verdict.reason,
                "processor": self.verdict.processor,
                "code": self.verdict.code,
            },
            "steps": [step.to_json() for step in self.steps],
            "rows": [each.to_json() for each in self.rows],
            "parameters": shortened(self.parameters),
        }


def queued_json(job: QueuedJob) -> dict[str, Any]:
    """A job that was asked for, for programs."""
    return {
        "queue": job.queue,
        "vcon_uuids": list(job.vcon_uuids),
        "parameters": shortened(dict(job.parameters)),
        "priority": job.priority,
        "delay": job.delay,
    }


class Simulator:
    """Simulates on one installation. ``media`` and ``results`` are those of a store that only reads; ``bought`` is the
    result cache in which a result is kept that a caller wanted bought, and ``bought_media`` reads for it (an outside
    recording is fetched then). What is bought counts against the pipeline's budget: it is owed as in any run."""

    def __init__(
        self,
        engine: Engine,
        *,
        media: MediaReader,
        results: ResultCache,
        projections: Mapping[str, Projection],
        bought: ResultCache | None = None,
        bought_media: MediaReader | None = None,
        purchasing: Purchasing | None = None,
    ) -> None:
        self._engine = engine
        self._media = media
        self._results = results
        self._projections = projections
        self._bought = bought
        self._bought_media = bought_media
        self._purchasing = purchasing

    def run(
        self,
        definition: Definition,
        vcon: Vcon,
        *,
        parameters: Mapping[str, Any] | None = None,
        buy: bool = False,
    ) -> Simulation:
        """Walk a copy of ``vcon`` through the pipeline. A step that fails, or drops the conversation, ends it as in a
        run; the account has the steps behind it as not reached. Raises PlatformError where ``buy`` is not possible
        here."""
        if buy and (self._bought is None or self._bought_media is None):
            raise PlatformError("nothing can be bought here: this simulation has no result cache to keep it in")
        watched = _Watched(self._bought if buy and self._bought is not None else self._results)
        run_id = f"simulation:{new_job().id}"
        purchases = None
        if self._purchasing is not None:
            purchases = self._purchasing.within(definition.options.budget, batch_id=run_id, run_id=run_id)
        context = ProcessorContext(
            media=self._bought_media if buy and self._bought_media is not None else self._media,
            results=watched,
            projections=self._projections,
            pipeline=definition.name,
            pipeline_version=definition.version,
            purchases=purchases,
            originals=self._engine.originals,
        )
        item = Item(new_job(vcon.uuid), ProcessorIO([vcon.copy()], context, copy.deepcopy(dict(parameters or {}))))
        options = definition.options.model_copy(update={"timeout": None})
        batch = Batch(run_id, run_id, definition.name, definition.version, [item], options=options, leased=False)
        steps = []
        for position, step in enumerate(definition.steps):
            if item.verdict is not None:
                steps.append(_told(step, "not_reached"))
            elif step.processor.effects.network and not step.processor.effects.costs:
                item.walked = position + 1
                reason = (
                    f"{step.processor.name} calls the network, which a simulation never does; all goes on as it was"
                )
                steps.append(_told(step, "not_run", reason))
            else:
                steps.append(self._step(batch, item, position, step, watched))
        verdict = item.verdict or Verdict("done")
        return Simulation(
            pipeline=definition.name,
            version=definition.version,
            uuid=vcon.uuid,
            steps=tuple(steps),
            verdict=verdict,
            rows=self._rows(definition, item, verdict),
            vcons=tuple(item.io.vcons),
            parameters=item.io.parameters,
        )

    def _step(self, batch: Batch, item: Item, position: int, step: Step, watched: _Watched) -> SimulatedStep:
        before = _Before(item)
        kept, missed, bought = watched.kept, watched.missed, watched.bought
        began = time.perf_counter()
        self._engine.step(batch, position, step, _unlimited(step.options))
        seconds = time.perf_counter() - began
        if watched.missed > missed:  # whatever the processor made of it: it did not have what it needs
            before.restore(item)
            item.walked = position + 1
            return _told(step, "not_bought", _not_bought(step, item.io), seconds=seconds)
        event = orjson.loads(item.events[-1])
        verdict = item.verdict
        return _told(
            step,
            event["event"],
            (verdict.reason if verdict else "") or event.get("detail", {}).get("reason", ""),
            code=verdict.code if verdict else "",
            seconds=seconds,
            documents=before.documents(item),
            parameters=tuple(difference(before.parameters, item.io.parameters)),
            queued=before.queued_since(item),
            effects=before.effects_since(item),
            from_cache=watched.kept - kept,
            bought=watched.bought - bought,
        )

    def _rows(self, definition: Definition, item: Item, verdict: Verdict) -> tuple[DocumentEdits, ...]:
        if not item.io.vcons:
            return ()
        vcon = item.io.vcons[0].copy()
        RowWriter(self._projections).write(definition, vcon, verdict)
        edits = tuple(difference(item.io.vcons[0].data, vcon.data))
        return (DocumentEdits(vcon.uuid, False, edits),) if edits else ()


class _Watched:
    """A result cache, and what was asked of it."""

    def __init__(self, results: ResultCache) -> None:
        self._results = results
        self.kept = self.bought = self.missed = 0

    def get_or_compute(self, parts: tuple[str, ...], compute: Callable[[], Any]) -> Any:
        bought = False

        def buying() -> Any:
            nonlocal bought
            bought = True
            return compute()

        try:
            value = self._results.get_or_compute(parts, buying)
        except NotKept:
            self.missed += 1
            raise
        self.bought += bought
        self.kept += not bought
        return value


class _Before:
    """An item as it was before a step."""

    def __init__(self, item: Item) -> None:
        copies = {id(vcon): vcon.copy() for vcon in item.io.vcons}
        self._io = replace(
            item.io,
            vcons=list(copies.values()),
            added=[copies[id(vcon)] for vcon in item.io.added],
            queued=list(item.io.queued),
            effects=list(item.io.effects),
        )
        self._events = list(item.events)
        self.parameters = copy.deepcopy(item.io.parameters)
        self._queued, self._effects = len(item.queued), len(item.effects)
        self._created = dict(item.created)

    def documents(self, item: Item) -> tuple[DocumentEdits, ...]:
        """What became of each vCon."""
        known = {vcon.uuid: vcon for vcon in self._io.vcons}
        told = []
        for vcon in item.io.vcons:
            before = known.get(vcon.uuid)
            form = vcon.envelope if vcon.envelope is not (before.envelope if before else None) else None
            edits = tuple(difference(before.data if before else {}, vcon.data))
            if edits or form:
                told.append(DocumentEdits(vcon.uuid, before is None, edits, form.meta["form"] if form else ""))
        return tuple(told)

    def queued_since(self, item: Item) -> tuple[QueuedJob, ...]:
        return tuple(item.queued[self._queued :])

    def effects_since(self, item: Item) -> tuple[Effect, ...]:
        return tuple(each.effect for each in item.effects[self._effects :])

    def restore(self, item: Item) -> None:
        """Let the step not have been."""
        item.io = replace(self._io, parameters=self.parameters)
        item.events = self._events
        item.created = self._created
        del item.queued[self._queued :], item.effects[self._effects :]
        item.verdict = None


def _told(step: Step, what: What, reason: str = "", **rest: Any) -> SimulatedStep:
    return SimulatedStep(step.name, step.processor.name, step.processor.version, what, reason, **rest)


def _not_bought(step: Step, io: ProcessorIO) -> str:
    recordings = [each for each in array(io.vcon.data, "dialog") if each.get("type") == "recording"]
    about = "this conversation"
    if recordings:
        seconds = sum(duration(each) or 0 for each in recordings)
        length = f" of {seconds:,.0f} s" if seconds else ""
        about = f"{len(recordings)} recording{'s' if len(recordings) > 1 else ''}{length}"
    whom = step.processor.pool_of(step.options) or step.processor.name
    return f"not bought: would call {whom} for {about}; all goes on as it was"


def _unlimited(options: ProcessorOptions) -> ProcessorOptions | None:
    """The options without a time limit: it would take the step into another process, out of our sight."""
    templates = {name: text for name, text in options.format_options.items() if name != "timeout"}
    if options.timeout is None and len(templates) == len(options.format_options):
        return None
    return options.model_copy(update={"timeout": None, "format_options": templates})
