"""The engine: takes batches, has them walked through a pipeline's processors, and settles them once.

Knows nothing of Dagster: ``orchestration/`` calls :meth:`Engine.open`, :meth:`Engine.step` for each op and
:meth:`Engine.settle`; the stream lane calls the same three from several threads at once, direct runs and simulations on
batches that they make by hand. Its rules:

- documents are read once (``open``) and committed once (``settle``), in pipelines;
- failure is per conversation: whatever a processor raises ends that one job, never its neighbours;
- a failed job changes nothing but its verdict: its document stays as it was before the pipeline;
- every job ends in exactly one of: done, filtered, dead (or failure) queue, or back in its queue.

Belongs here: how a batch comes about. Not here: a step (``steps.py``), processes for time limits (``timed.py``), what
is committed (``settling.py``).
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.ledger.events import EventForm, EventKind
from vcon_platform.pipelines.batch import Batch, Item, Settled, Verdict, WrittenBatch, reapply
from vcon_platform.pipelines.definition import Definition, Step
from vcon_platform.pipelines.deliveries import Delivered, deliver
from vcon_platform.pipelines.purchases import Purchasing
from vcon_platform.pipelines.settling import Settling
from vcon_platform.pipelines.steps import PoolSlots, StepReport, Walker
from vcon_platform.pipelines.timed import TimedWorkers, workers_for
from vcon_platform.pipelines.timed_child import FromSettings, Lending
from vcon_platform.pipelines.verdict_rows import RowWriter
from vcon_platform.processors.base import Lent, ProcessorContext, ProcessorIO, ProcessorOptions
from vcon_platform.processors.originals import Originals
from vcon_platform.processors.registry import Registry, load_processors
from vcon_platform.projections.model import Projection
from vcon_platform.settings import load_settings
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.effects import EffectsOutbox
from vcon_platform.store.jobs import Job, uuids_of
from vcon_platform.store.leases import Queues
from vcon_platform.store.media import MediaStore
from vcon_platform.store.results import StoredResults
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

__all__ = ["Engine", "EnginePolicy", "Settled", "StepReport"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EnginePolicy:
    """What an installation may set. ``retry_wait``: seconds before the first retry of a transient error within a
    run."""

    max_attempts: int = 5
    retry_wait: float = 0.5


class Engine:
    """Shares its store and processors between batches. Thread-safe, and cheap to make.

    ``slots``: limits of calls at once per provider. ``lending``: what opens recordings, results and projections in the
    processes of processors with a time limit (default: this installation's settings). ``outbox`` and ``registry``: for
    :meth:`deliver` (default of the latter: the processors installed). ``purchasing``: budgets and accounts (default:
    nobody keeps any). ``originals``: what signing and encrypting need (default: it is not to be had)."""

    def __init__(
        self,
        *,
        documents: DocumentStore,
        queues: Queues,
        media: MediaStore,
        results: StoredResults,
        projections: Mapping[str, Projection],
        policy: EnginePolicy | None = None,
        slots: PoolSlots | None = None,
        lending: Lending | None = None,
        outbox: EffectsOutbox | None = None,
        registry: Registry | None = None,
        purchasing: Purchasing | None = None,
        originals: Originals | None = None,
    ) -> None:
        self.documents = documents
        self.queues = queues
        self._media = media
        self._results = results
        self._projections = projections
        self._policy = policy or EnginePolicy()
        self._lending = lending
        self._lent: bytes | None = None
        self._outbox = outbox
        self._registry = registry
        self._purchasing = purchasing
        self._originals = originals
        self._walker = Walker(self._workers, slots, self._policy.retry_wait)
        self._settling = Settling(documents, queues, RowWriter(projections), media)

    # --- open ---------------------------------------------------------------------------------------------------

    def open(
        self, definition: Definition, *, batch_id: str, owner: str, limit: int, urgent_only: bool = False
    ) -> Batch:
        """Lease what waits in the pipeline's queue (at most ``limit`` and the pipeline's batch size) and read its
        documents. A job without a document, or leased too often, has its verdict at once."""
        jobs, refused = self.queues.lease(
            definition.name,
            batch_id=batch_id,
            owner=owner,
            limit=min(limit, definition.options.batch_size),
            urgent_only=urgent_only,
        )
        for error in refused:
            logger.warning("queue %s: %s; it was put aside in dead:%s:refused", definition.name, error, definition.name)
        return self._load(definition, batch_id, owner, jobs)

    def redrive(self, definition: Definition, *, failed_in: set[str], batch_id: str, owner: str) -> Batch:
        """Lease the dead jobs of these earlier batches or runs, and those only; also from the failure queue, where the
        pipeline has one."""
        jobs = self.queues.redrive(
            definition.name,
            failed_in=failed_in,
            batch_id=batch_id,
            owner=owner,
            failure_queue=definition.options.failure_queue,
        )
        batch = self._load(definition, batch_id, owner, jobs)
        form = EventForm(
            EventKind.REDRIVEN,
            pipeline=batch.pipeline,
            pipeline_version=batch.version,
            batch_id=batch.id,
            run_id=batch.owner,
        )
        for item in batch.items:
            revision = item.io.vcons[0].revision if item.io.vcons else None
            item.events.append(form.event(item.job.vcon_uuids[0], revision, job=item.job.id))
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
        context = self.context(definition, batch_id, owner)
        batch = Batch(batch_id, owner, definition.name, definition.version, options=definition.options)
        documents = self.documents.read(uuids_of(jobs))
        removed = self.documents.removed([uuid for uuid in uuids_of(jobs) if uuid not in documents])
        shared: set[str] = set()
        for job in jobs:
            vcons = [documents[uuid] for uuid in job.vcon_uuids if uuid in documents]
            if not shared.isdisjoint(job.vcon_uuids):  # queued twice: each job works on a copy of its own
                vcons = [_copy(vcon) if vcon.uuid in shared else vcon for vcon in vcons]
            shared.update(job.vcon_uuids)
            complete = len(vcons) == len(job.vcon_uuids)
            item = Item(job, ProcessorIO(vcons if complete else [], context, dict(job.parameters)))
            if not complete:
                item.verdict = _absent([uuid for uuid in job.vcon_uuids if uuid not in documents], removed)
            elif job.fruitless > self._policy.max_attempts:
                item.verdict = Verdict(
                    "failed",
                    f"leased {job.fruitless - 1} times without an outcome: the runs that worked on it died",
                    code="poison",
                )
            batch.items.append(item)
        return batch

    def context(self, definition: Definition, batch_id: str, owner: str) -> ProcessorContext:
        """What is lent to this pipeline's processors while they work on a batch."""
        purchases = None
        if self._purchasing is not None:
            purchases = self._purchasing.within(definition.options.budget, batch_id=batch_id, run_id=owner)
        return ProcessorContext(
            media=self._media,
            results=self._results,
            projections=self._projections,
            pipeline=definition.name,
            pipeline_version=definition.version,
            purchases=purchases,
            originals=self._originals,
        )

    # --- step and settle ----------------------------------------------------------------------------------------

    def step(self, batch: Batch, position: int, step: Step, options: ProcessorOptions | None = None) -> StepReport:
        """Walk every conversation that is under way and stands before this step through its processor. Calling it
        again for the same position does only what is left to do."""
        return self._walker.step(batch, position, step, options)

    def settle(self, definition: Definition, batch: Batch) -> Settled:
        """Commit every job's outcome, each atomically with its ledger events, rows, queues and effects, and end the
        lease. What could not be committed (a conflicting change, an item that must start over) goes back to its queue.
        May be called again after it raised: what is settled already is counted and left alone."""
        return self._settling.settle(definition, batch)

    # --- effects ------------------------------------------------------------------------------------------------

    def deliver(self, limit: int) -> Delivered:
        """Carry out up to ``limit`` of the effects that settled jobs asked for and that are due."""
        if self._outbox is None:
            raise PlatformError("this engine was made without an outbox of effects, so it cannot deliver any")
        if self._registry is None:
            self._registry = load_processors()
        lent = Lent(self._media, self.documents)
        return deliver(self._outbox, self._registry.instance, owner=f"deliver:{new_uuid()}", lent=lent, limit=limit)

    @property
    def originals(self) -> Originals | None:
        """What signing and encrypting need, where it is to be had."""
        return self._originals

    @property
    def purchasing(self) -> Purchasing | None:
        """Budgets and accounts, where somebody keeps them."""
        return self._purchasing

    def close(self) -> None:
        """End the processes of processors with a time limit; they come again when they are needed. Nobody has to call
        this: they end with the process that they belong to."""
        if self._lent is not None:
            workers_for(self._lent).stop()

    def _workers(self) -> TimedWorkers:
        if self._lent is None:
            self._lent = pickle.dumps(self._lending or FromSettings(load_settings(), dict(self._projections)))
        return workers_for(self._lent)


def _absent(missing: Sequence[str], removed: Container[str]) -> Verdict:
    """How a job ends whose vCons are not there. What somebody removed is no failure that anybody could mend."""
    told = ", ".join(missing)
    if all(uuid in removed for uuid in missing):
        return Verdict("filtered", f"removed from the store: vCon {told}", code="vcon_removed")
    return Verdict("failed", f"not in the store: vCon {told}", code="vcon_missing")


def _copy(vcon: Vcon) -> Vcon:
    """The same document as it was read."""
    return Vcon(orjson.loads(vcon.to_bytes()), vcon.revision, commit=vcon.commit, sealed=vcon.sealed)
