"""The engine: walks a batch through a pipeline's processors, conversation by conversation, and commits it once.

Knows nothing of Dagster: ``orchestration/`` calls :meth:`Engine.open`, :meth:`Engine.step` for each op and
:meth:`Engine.settle`, and a direct run may call the same three. Its rules:

- documents are read once (``open``) and committed once (``settle``), in pipelines;
- failure is per conversation: whatever a processor raises ends that one job, never its neighbours;
- a failed job changes nothing but its verdict: its document stays as it was before the pipeline;
- every job ends in exactly one of: done, filtered, dead (or failure) queue, or back in its queue.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from vcon_platform.errors import PlatformError
from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.pipelines.batch import Batch, Item, Verdict, WrittenBatch, reapply
from vcon_platform.pipelines.definition import Definition, Step, hash_of
from vcon_platform.pipelines.verdict_rows import RowWriter, row_marks
from vcon_platform.processors.base import (
    NotApplicable,
    Processor,
    ProcessorContext,
    ProcessorIO,
    ProcessorOptions,
    TransientError,
)
from vcon_platform.projections.model import Projection
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit, Committed, Fence
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.jobs import DeadJob, Job, uuids_of
from vcon_platform.store.leases import Queues
from vcon_platform.store.media import MediaStore
from vcon_platform.store.results import StoredResults
from vcon_platform.vcon.document import Vcon

logger = logging.getLogger(__name__)

NETWORK_THREADS = 64
"""Conversations at once in a processor that waits for the network; 64 give 62 calls/s at 1 s each (throughput.md)."""
TRANSIENT_ATTEMPTS = 4
"""Tries of one processor on one conversation: waits of about 0.5, 1 and 2 s bridge a rate limit or a restart."""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What one processor did to a batch: how many conversations it processed, passed over, filtered, failed."""

    processed: int = 0
    skipped: int = 0
    filtered: int = 0
    failed: int = 0


@dataclass(slots=True)
class Settled:
    """What became of a batch: counts by ending, filters by processor, and the failures by uuid."""

    counts: Counter[str] = field(default_factory=Counter)
    filtered_by: Counter[str] = field(default_factory=Counter)
    failures: dict[str, Verdict] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)
    handed_back: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """What an installation may set. ``retry_wait``: seconds before the first retry of a transient error."""

    max_attempts: int = 5
    retry_wait: float = 0.5


class Engine:
    """One engine per process; shares its store and processors between batches."""

    def __init__(
        self,
        *,
        documents: DocumentStore,
        queues: Queues,
        media: MediaStore,
        results: StoredResults,
        projections: Mapping[str, Projection],
        policy: EnginePolicy | None = None,
    ) -> None:
        self.documents = documents
        self.queues = queues
        self._media = media
        self._results = results
        self._projections = projections
        self._policy = policy or EnginePolicy()
        self._rows = RowWriter(projections)
        self._processors: dict[type[Processor[ProcessorOptions]], Processor[ProcessorOptions]] = {}

    # --- open ---------------------------------------------------------------------------------------------------

    def open(self, definition: Definition, *, batch_id: str, owner: str, limit: int) -> Batch:
        """Lease what waits in the pipeline's queue (at most ``limit`` and the pipeline's batch size) and read its
        documents. A job without a document, or leased too often, has its verdict at once."""
        jobs, refused = self.queues.lease(
            definition.name, batch_id=batch_id, owner=owner, limit=min(limit, definition.options.batch_size)
        )
        for error in refused:
            logger.warning("queue %s: %s; it was put aside in dead:%s:refused", definition.name, error, definition.name)
        return self._load(definition, batch_id, owner, jobs)

    def redrive(self, definition: Definition, *, failed_in: set[str], batch_id: str, owner: str) -> Batch:
        """Lease the dead jobs of these earlier batches or runs, and those only."""
        jobs = self.queues.redrive(definition.name, failed_in=failed_in, batch_id=batch_id, owner=owner)
        batch = self._load(definition, batch_id, owner, jobs)
        for item in batch.items:
            item.events.append(self._event(batch, item, EventKind.REDRIVEN))
        return batch

    def resume(self, definition: Definition, written: WrittenBatch, *, owner: str) -> Batch:
        """Take over a batch of a run that died, as its last finished step left it. Jobs that were handed back or
        settled meanwhile are somebody else's by now and are left out."""
        batch = self._load(definition, written.id, owner, self.queues.take_over(written.id, owner=owner))
        for item in batch.under_way():
            if item.job.id in written.items:
                reapply(item, written.items[item.job.id])
        return batch

    def _load(self, definition: Definition, batch_id: str, owner: str, jobs: Sequence[Job]) -> Batch:
        context = ProcessorContext(
            media=self._media,
            results=self._results,
            projections=self._projections,
            pipeline=definition.name,
            pipeline_version=definition.version,
        )
        batch = Batch(batch_id, owner, definition.name, definition.version)
        documents = self.documents.read(uuids_of(jobs))
        shared: set[str] = set()
        for job in jobs:
            vcons = [documents[uuid] for uuid in job.vcon_uuids if uuid in documents]
            if shared.intersection(job.vcon_uuids):  # queued twice: each job works on a copy of its own
                vcons = list(self.documents.read(job.vcon_uuids).values())
            shared.update(job.vcon_uuids)
            item = Item(job, ProcessorIO(vcons, context, dict(job.parameters)))
            if len(vcons) < len(job.vcon_uuids):
                item.verdict = Verdict("failed", "the vCon is not in the store", code="vcon_missing")
            elif job.attempts > self._policy.max_attempts:
                item.verdict = Verdict(
                    "failed",
                    f"leased {job.attempts - 1} times without an outcome: the runs that worked on it died",
                    code="poison",
                )
            batch.items.append(item)
        return batch

    # --- step ---------------------------------------------------------------------------------------------------

    def step(self, batch: Batch, position: int, step: Step, options: ProcessorOptions | None = None) -> StepReport:
        """Walk every conversation that is under way and stands before this step through its processor. Calling it
        again for the same position does only what is left to do."""
        chosen = options or step.options
        processor = self._processors.get(step.processor)
        if processor is None:
            processor = self._processors[step.processor] = step.processor()
        waiting = [item for item in batch.under_way() if item.walked == position]
        digest = hash_of(chosen.model_dump(mode="json"))

        def walk(item: Item) -> str:
            what = self._walk(batch, item, step, processor, chosen, digest)
            item.walked = position + 1
            return what

        if processor.effects.network and len(waiting) > 1:
            pool = ThreadPoolExecutor(min(NETWORK_THREADS, len(waiting)), thread_name_prefix=step.name)
            try:
                told = Counter(pool.map(walk, waiting))
            finally:  # when the run is cancelled, what has not begun must not begin
                pool.shutdown(wait=False, cancel_futures=True)
        else:
            told = Counter(map(walk, waiting))
        return StepReport(told["processed"], told["skipped"], told["filtered"], told["failed"])

    def _walk(
        self,
        batch: Batch,
        item: Item,
        step: Step,
        processor: Processor[ProcessorOptions],
        options: ProcessorOptions,
        digest: str,
    ) -> str:
        def event(kind: EventKind, **detail: str) -> None:
            item.events.append(
                self._event(
                    batch,
                    item,
                    kind,
                    processor=step.name,
                    processor_version=processor.version,
                    options_hash=digest,
                    **detail,
                )
            )

        if not options.should_process:
            event(EventKind.SKIPPED, reason="should_process is false")
            return "skipped"
        try:
            for attempt in self._attempts():
                with attempt:
                    item.io = processor.process(item.io, options)
        except NotApplicable as error:
            event(EventKind.SKIPPED, reason=str(error))
            return "skipped"
        except PlatformError as error:
            item.verdict = Verdict("failed", str(error), step.name, type(error).__name__)
        except Exception as error:  # a plugin may raise anything; its text may hold personal data, its class does not
            logger.exception("processor %s failed on vCon %s", step.name, item.job.vcon_uuids[0])
            item.verdict = Verdict(
                "failed",
                f"unexpected {type(error).__name__} in processor {step.name}; the log of the run has the trace",
                step.name,
                type(error).__name__,
            )
        if item.verdict is not None:
            event(EventKind.FAILED, reason=item.verdict.reason, code=item.verdict.code)
            return "failed"
        event(EventKind.PROCESSED)
        if item.io.dropped is not None:
            item.verdict = Verdict("filtered", item.io.dropped, step.name)
            event(EventKind.FILTERED, reason=item.io.dropped)
            return "filtered"
        return "processed"

    def _attempts(self) -> Retrying:
        return Retrying(
            retry=retry_if_exception_type(TransientError),
            stop=stop_after_attempt(TRANSIENT_ATTEMPTS),
            wait=wait_exponential_jitter(initial=self._policy.retry_wait, max=30),
            reraise=True,
        )

    # --- settle -------------------------------------------------------------------------------------------------

    def settle(self, definition: Definition, batch: Batch) -> Settled:
        """Commit every job's outcome, each atomically with its ledger events, rows and queues, and end the lease.
        What could not be committed (a conflicting change, an item that must start over) goes back to its queue."""
        settled = Settled()
        for item in batch.under_way():
            item.verdict = Verdict("done")
        pristine = self._pristine(batch)
        commits: dict[int, Item] = {}

        def requests() -> Iterator[Commit]:
            for item in batch.items:
                if item.verdict is not None and item.verdict.ending != "again":
                    *earlier, last = self._commits(definition, batch, item, pristine)
                    yield from earlier
                    commits[id(last)] = item
                    yield last

        for commit, outcome in self.documents.commit(requests()):
            item_or_none = commits.get(id(commit))
            if item_or_none is None or item_or_none.verdict is None:
                continue
            if outcome is Committed.OK:
                self._count(settled, item_or_none, item_or_none.verdict)
            elif outcome is Committed.LOST:
                settled.lost += 1
        settled.handed_back = max(0, self.queues.close(batch.id, owner=batch.owner))
        if settled.handed_back:
            self.queues.hand_back(batch.id, owner=batch.owner)
        batch.items.clear()
        return settled

    @staticmethod
    def _count(settled: Settled, item: Item, verdict: Verdict) -> None:
        settled.counts[verdict.ending] += 1
        if verdict.ending == "filtered" and verdict.processor:
            settled.filtered_by[verdict.processor] += 1
        if verdict.ending == "failed":
            settled.failures[item.job.vcon_uuids[0]] = verdict
            settled.attempts[item.job.vcon_uuids[0]] = item.job.attempts

    def _pristine(self, batch: Batch) -> dict[str, Vcon]:
        """Fresh copies for the failed items whose earlier processors had changed something already."""
        return self.documents.read(
            [
                vcon.uuid
                for item in batch.items
                if item.verdict and item.verdict.ending == "failed"
                for vcon in item.io.vcons
                if vcon.changes
            ]
        )

    def _commits(self, definition: Definition, batch: Batch, item: Item, pristine: Mapping[str, Vcon]) -> list[Commit]:
        verdict = item.verdict
        assert verdict is not None  # noqa: S101 - settle gave one to every item
        failed = verdict.ending == "failed"
        vcons: Iterable[Vcon] = item.io.vcons
        if failed:
            vcons = [pristine.get(vcon.uuid, vcon) for vcon in item.io.vcons]
        vcons = list(vcons) or [Vcon({"uuid": item.job.vcon_uuids[0]})]  # nothing stored: only the job moves
        if item.io.vcons and (definition.options.save_vcons or failed):
            self._rows.write(definition, vcons[0], verdict)
        saved = bool(item.io.vcons) and definition.options.save_vcons
        rows = self._rows.marks(definition, vcons[0], verdict) if saved else []
        if not definition.options.save_vcons:
            vcons = [vcon.unchanged() for vcon in vcons]
        events = list(item.events)
        pushes: list[tuple[str, bytes]] = []
        if failed:
            if verdict.processor is None:
                events.append(self._event(batch, item, EventKind.FAILED, reason=verdict.reason, code=verdict.code))
            pushes.append(self._dead_letter(definition, batch, item, verdict))
        elif verdict.ending == "done":
            events.append(self._event(batch, item, EventKind.DONE))
            if definition.options.success_queue:
                pushes.append((keys.queue(definition.options.success_queue), item.job.to_bytes()))
        fence = Fence(batch.id, batch.owner)
        commits = [Commit(vcon, fence, rows=row_marks(vcon)) for vcon in vcons[1:]]
        commits.append(
            Commit(
                vcons[0],
                Fence(batch.id, batch.owner, item.job.id),
                rows=rows,
                pushes=pushes,
                channels=[f"pipeline:{definition.name}:{verdict.ending}"],
                events=events,
            )
        )
        return commits

    @staticmethod
    def _dead_letter(definition: Definition, batch: Batch, item: Item, verdict: Verdict) -> tuple[str, bytes]:
        dead = DeadJob(
            job=item.job,
            code=verdict.code,
            error=verdict.reason,
            processor=verdict.processor,
            batch_id=batch.id,
            run_id=batch.owner,
        )
        failure_queue = definition.options.failure_queue
        return (keys.queue(failure_queue) if failure_queue else keys.dead(definition.name)), dead.to_bytes()

    @staticmethod
    def _event(
        batch: Batch,
        item: Item,
        kind: EventKind,
        *,
        processor: str | None = None,
        processor_version: str | None = None,
        options_hash: str | None = None,
        **detail: str,
    ) -> bytes:
        return LedgerEvent(
            vcon_uuid=item.job.vcon_uuids[0],
            event=kind,
            revision=item.io.vcons[0].revision if item.io.vcons else None,
            pipeline=batch.pipeline,
            pipeline_version=batch.version,
            processor=processor,
            processor_version=processor_version,
            options_hash=options_hash,
            batch_id=batch.id,
            run_id=batch.owner,
            detail=dict(detail),
        ).to_bytes()
