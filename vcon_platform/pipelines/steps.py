"""Walking the conversations of a batch through one processor.

Belongs here: which conversations, at once or one after the other, with which options, within which time; and what the
processor's answer or error means for each. Not here: when a step is called (``engine.py``), what becomes of the
verdicts (``settling.py``).

Whatever a processor raises ends that one job, never its neighbours. A passing fault (``error.transient``) is tried
again within the run for some seconds, unless the processor had changed something already: then only a fresh read will
do. If it stays, the job is queued again for later, as often as the pipeline's ``retries`` say.
"""

from __future__ import annotations

import logging
import pickle
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from vcon_platform.errors import PlatformError, trace_of
from vcon_platform.ledger.events import EventForm, EventKind
from vcon_platform.pipelines.asked import Before, NotKeepable, changed, check, take_down
from vcon_platform.pipelines.attempts import try_again
from vcon_platform.pipelines.batch import Batch, Item, Verdict
from vcon_platform.pipelines.definition import Step, hash_of
from vcon_platform.pipelines.formatting import Templates
from vcon_platform.pipelines.threads import in_threads
from vcon_platform.pipelines.timed import TimedWorkers, TookTooLong, Unforeseen, processes, task_of
from vcon_platform.processors.base import (
    NotApplicable,
    PermanentError,
    Processor,
    ProcessorError,
    ProcessorIO,
    ProcessorOptions,
)
from vcon_platform.processors.consented import decisions
from vcon_platform.processors.running import run

if TYPE_CHECKING:
    from pebble import ProcessFuture

logger = logging.getLogger(__name__)

CONSENT = "consent"
"""Who filtered a conversation that may not be used for a step's purpose: not the step, which was never asked."""

CONCURRENCY = 64
"""Conversations at once in a processor that waits for the network, where no pipeline says another number."""


class PoolSlots(Protocol):
    """Limits of calls at once, shared by all processes (``store/slots.py``)."""

    def slot(self, pool: str | None, *, give_up: Callable[[], bool]) -> AbstractContextManager[bool]:
        """Wait for a place, hold it, give it back; False: given up."""
        ...


class InputMissing(PermanentError):
    """``input_vcon_index`` names a vCon that the conversation does not have."""

    code = "input_vcon_index"


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one processor did to a batch: how many conversations it processed, passed over, filtered, failed, and how
    many are tried again later; the jobs and effects it asked for."""

    processed: int = 0
    skipped: int = 0
    filtered: int = 0
    failed: int = 0
    retried: int = 0
    queued: int = 0
    effects: int = 0


@dataclass(frozen=True, slots=True)
class _Prepared:
    """What a step with these options has in common for all batches. ``what`` is the pickled pair for processes."""

    processor: Processor[ProcessorOptions]
    options: ProcessorOptions
    digest: str
    templates: Templates | None


class Walker:
    """Walks batches through steps. Thread-safe: one serves all batches of a process. ``retry_wait``: seconds before
    the second try within a run."""

    def __init__(self, workers: Callable[[], TimedWorkers], slots: PoolSlots | None, retry_wait: float) -> None:
        self.workers = workers
        self.slots = slots
        self.retry_wait = retry_wait
        self._processors: dict[type[Processor[Any]], Processor[Any]] = {}
        self._prepared: dict[tuple[int, int, type[Processor[Any]]], _Prepared] = {}

    def step(self, batch: Batch, position: int, step: Step, options: ProcessorOptions | None = None) -> StepReport:
        """Walk every conversation that is under way and stands before this step through its processor. Calling it
        again for the same position does only what is left to do."""
        waiting = [item for item in batch.items if item.verdict is None and item.walked == position]
        if not waiting:
            return StepReport()
        walk = _Walk(self, batch, position, step, self._prepare(position, step, options or step.options))
        told = Counter(walk.all(waiting))
        return StepReport(
            told["processed"],
            told["skipped"],
            told["filtered"],
            told["failed"],
            told["retried"],
            walk.queued,
            walk.effects,
        )

    def _prepare(self, position: int, step: Step, options: ProcessorOptions) -> _Prepared:
        """Known again by the options object, which is kept, so that no other one can have its id."""
        key = (position, id(options), step.processor)
        known = self._prepared.get(key)
        if known is None:
            processor = self._processors.setdefault(step.processor, step.processor())
            where = f"/processors/{position}/processor_options"
            known = _Prepared(
                processor,
                options,
                hash_of(options.model_dump(mode="json")),
                Templates(options, where) if options.format_options else None,
            )
            if len(self._prepared) > 1000:  # options of single runs, long over
                self._prepared.clear()
            self._prepared[key] = known
        return known


class _Walk:
    """One step of one batch."""

    def __init__(self, walker: Walker, batch: Batch, position: int, step: Step, prepared: _Prepared) -> None:
        self._walker = walker
        self._batch = batch
        self._position = position
        self._step = step
        self._prepared = prepared
        self._forms: dict[EventKind, EventForm] = {}
        self._pipeline_limit = (batch.options.timeout or 0.0) if batch.options else 0.0
        self._pool = prepared.processor.pool_of(prepared.options) if walker.slots is not None else None
        enforced = batch.options is not None and batch.options.consent == "enforced"
        self._purpose = prepared.processor.effects.purpose if enforced else ""
        self._stop = threading.Event()
        self._running: set[ProcessFuture[bytes]] = set()
        self._size = 1
        self.queued = 0
        self.effects = 0

    def all(self, waiting: list[Item]) -> Iterator[str]:
        """Walk these; what became of each."""
        network = self._prepared.processor.waits(self._prepared.options)
        concurrency = self._batch.options.concurrency if self._batch.options else CONCURRENCY
        limited = bool(self._pipeline_limit or self._prepared.options.timeout or self._may_set_limit())
        threads = concurrency if network else 1
        if limited:
            self._size = processes(network, concurrency, len(waiting))
            threads = min(threads, self._size) if network else self._size
        if threads == 1 or len(waiting) == 1:
            yield from map(self._walked, waiting)
            return
        try:
            yield from in_threads(self._walked, waiting, threads=threads, name=self._step.name, stop=self._stop)
        finally:
            for future in list(self._running):  # the run is cancelled: what blocks is killed
                future.cancel()  # type: ignore[no-untyped-call]

    def _may_set_limit(self) -> bool:
        return self._prepared.templates is not None and "timeout" in self._prepared.options.format_options

    def _walked(self, item: Item) -> str:
        what = self._walk(item)
        item.walked = self._position + 1
        return what

    def _walk(self, item: Item) -> str:
        prepared, options, name = self._prepared, self._prepared.options, self._step.name
        try:
            if prepared.templates is not None:
                options = prepared.templates.options(item.io.parameters)
            if not options.should_process:
                self._event(item, EventKind.SKIPPED, reason="should_process is false")
                return "skipped"
            if self._purpose and not self._allowed(item, options):
                return "filtered"
            self._process(item, options)
        except NotApplicable as error:
            self._event(item, EventKind.SKIPPED, reason=str(error))
            return "skipped"
        except CancelledError:
            raise
        except PlatformError as error:
            return self._failed(item, error)
        except Exception as error:  # a plugin may raise anything; its text may hold personal data, its class does not
            kind = error.name if isinstance(error, Unforeseen) else type(error).__name__
            if not isinstance(error, Unforeseen):
                logger.error("processor %s failed on vCon %s: %s", name, item.job.vcon_uuids[0], trace_of(error))
            reason = f"unexpected {kind} in processor {name}; the log of the run has the trace"
            return self._ended(item, Verdict("failed", reason, name, kind))
        self._event(item, EventKind.PROCESSED)
        if item.io.dropped is not None:
            item.verdict = Verdict("filtered", item.io.dropped, name)
            self._event(item, EventKind.FILTERED, reason=item.io.dropped, job=item.job.id)
            return "filtered"
        return "processed"

    def _allowed(self, item: Item, options: ProcessorOptions) -> bool:
        """Whether the conversation's lawful basis allows this processor's purpose; where not, it ends here."""
        rules, index = self._batch.options, options.input_vcon_index
        if rules is None or index >= len(item.io.vcons):
            return True  # the latter is refused for what it is
        met = rules.consent_conditions
        [decision] = decisions(item.io, index, [self._purpose], whose=rules.consent_from, met=met)
        self._event(item, EventKind.CONSENT, **decision.to_detail())
        if not decision.allowed:
            item.verdict = Verdict("filtered", decision.reason, CONSENT, decision.code)
            self._event(item, EventKind.FILTERED, reason=decision.reason, code=decision.code, job=item.job.id)
        return decision.allowed

    # --- one conversation ---------------------------------------------------------------------------------------

    def _process(self, item: Item, options: ProcessorOptions) -> None:
        """Let the processor work, again after passing faults, and take down what it asked for."""
        io = item.io
        index = options.input_vcon_index
        if index >= len(io.vcons):
            raise InputMissing(
                f"/processors/{self._position}/processor_options/input_vcon_index: this conversation has "
                f"{len(io.vcons)} vCons, so there is no index {index} (the first one has 0)"
            )
        io.input_index, io.position, io.job_id = index, self._position, item.job.id
        before = Before.of(io)
        asked = len(io.queued), len(io.effects)
        try:
            self._attempt(item, options)
        except PlatformError as error:
            if not error.transient or changed(io, before):
                raise
            self._again(item, options, error)
        if not isinstance(item.io, ProcessorIO):
            item.io = io
            raise NotKeepable(f"processor {self._step.name} gave back no ProcessorIO; its process() must return io")
        io, name = item.io, self._step.name
        check(io, before, name)
        if len(io.vcons) > len(before) or len(io.queued) > asked[0] or len(io.effects) > asked[1]:
            take_down(item, name, self._prepared.processor, self._form(EventKind.CREATED), len(before), *asked)
            self.queued += len(io.queued) - asked[0]
            self.effects += len(io.effects) - asked[1]
        for told in io.recorded:
            self._event(item, EventKind(told.event), **told.detail)
        io.recorded.clear()

    def _attempt(self, item: Item, options: ProcessorOptions) -> None:
        io = item.io
        vcons, queued, effects, io.made = len(io.vcons), len(io.queued), len(io.effects), 0
        try:
            self._with_slot(item, options)
        except BaseException:  # who raises has asked for nothing
            del io.vcons[vcons:], io.queued[queued:], io.effects[effects:], io.recorded[:]
            io.added = [vcon for vcon in io.added if any(vcon is each for each in io.vcons)]
            raise

    def _with_slot(self, item: Item, options: ProcessorOptions) -> None:
        if self._pool is None:
            self._call(item, options)
            return
        assert self._walker.slots is not None  # noqa: S101 - there is a pool only where there are slots
        with self._walker.slots.slot(self._pool, give_up=self._stop.is_set) as held:
            if not held or self._stop.is_set():  # cancelled while it waited
                raise CancelledError
            self._call(item, options)

    def _call(self, item: Item, options: ProcessorOptions) -> None:
        """Call the processor: here, or in a process of its own where there is a limit."""
        limit = self._limit(item, options)
        if limit is None:
            item.io = run(self._prepared.processor, item.io, options)
            return
        what = pickle.dumps((self._step.processor, options))
        item.io, seconds = self._walker.workers().process(
            item.io,
            task_of(item.io, what, limit, self._batch),
            size=self._size,
            running=self._running,
            name=self._step.name,
        )
        item.spent += seconds

    def _limit(self, item: Item, options: ProcessorOptions) -> float | None:
        """Seconds for this try."""
        limit = options.timeout
        if self._pipeline_limit:
            left = self._pipeline_limit - item.spent
            if left <= 0:
                raise TookTooLong(
                    f"the pipeline's {self._pipeline_limit:g} s for one conversation were over before processor "
                    f"{self._step.name}; raise its pipeline_options.timeout"
                )
            limit = left if limit is None else min(limit, left)
        return limit

    def _again(self, item: Item, options: ProcessorOptions, error: PlatformError) -> None:
        """Try again while the fault is a passing one. Raises the last one."""
        before = Before.of(item.io)
        try_again(
            lambda: self._attempt(item, options),
            error,
            wait=self._walker.retry_wait,
            stop=self._stop,
            may=lambda: not changed(item.io, before),
        )

    # --- what it means ------------------------------------------------------------------------------------------

    def _failed(self, item: Item, error: PlatformError) -> str:
        code = (error.code if isinstance(error, ProcessorError) else "") or type(error).__name__
        retries = self._batch.options.retries if self._batch.options and self._batch.leased else 0
        if error.transient and item.job.retries < retries:
            wait = float(getattr(error, "retry_after", None) or 0.0)
            return self._ended(item, Verdict("retried", str(error), self._step.name, code, wait))
        return self._ended(item, Verdict("failed", str(error), self._step.name, code, transient=error.transient))

    def _ended(self, item: Item, verdict: Verdict) -> str:
        item.verdict = verdict
        if verdict.ending == "failed":
            self._event(item, EventKind.FAILED, reason=verdict.reason, code=verdict.code, job=item.job.id)
        return verdict.ending

    def _form(self, kind: EventKind) -> EventForm:
        form = self._forms.get(kind)
        if form is None:
            batch, prepared = self._batch, self._prepared
            form = self._forms[kind] = EventForm(
                kind,
                pipeline=batch.pipeline,
                pipeline_version=batch.version,
                processor=self._step.name,
                processor_version=prepared.processor.version,
                options_hash=prepared.digest,
                batch_id=batch.id,
                run_id=batch.owner,
            )
        return form

    def _event(self, item: Item, kind: EventKind, **detail: Any) -> None:
        vcons = item.io.vcons
        item.events.append(
            self._form(kind).event(item.job.vcon_uuids[0], vcons[0].revision if vcons else None, **detail)
        )
