"""Settling a batch: every job's outcome with all that hangs on it, and the end of the lease.

Belongs here: what is committed for each ending, and in which order. Not here: how a verdict was reached (``steps.py``),
rows (``verdict_rows.py``), how a commit comes true (``store/``).

The rules:

- one commit settles a job: its document's changes, rows, ledger events, the jobs and effects that processors asked for,
  its place in a success, failure or dead queue. It happens whole or not at all, and only under the lease;
- a failed job changes nothing but its verdict, a retried one nothing at all;
- a vCon that a processor made is stored before that commit, under a uuid that a repetition makes again;
- a job's further documents are committed before it too. Each keeps the job's id, so that a repetition knows which are
  done already;
- it may be called again: what is settled is not settled twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from vcon_platform.ledger.events import EventForm, EventKind
from vcon_platform.pipelines.batch import DONE, AskedEffect, Batch, Item, Settled, Verdict
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.reformed import AS_IT_WAS, Reformed, reformed
from vcon_platform.pipelines.verdict_rows import RowWriter, row_marks
from vcon_platform.processors.base import QueuedJob
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit, Committed, Fence, NewVcon
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.effects import new_effect
from vcon_platform.store.jobs import DeadJob, Job, LastError, new_job
from vcon_platform.store.leases import Queues
from vcon_platform.store.media import MediaStore
from vcon_platform.store.waiting import placed
from vcon_platform.vcon.document import Put, Vcon
from vcon_platform.vcon.uuids import new_uuid

LONGEST_RETRY = 24 * 3600.0
"""Seconds that a job waits at most for its next retry, however often it was retried."""


class Settling:
    """Settles batches in one store. Thread-safe."""

    def __init__(self, documents: DocumentStore, queues: Queues, rows: RowWriter, media: MediaStore) -> None:
        self._documents = documents
        self._queues = queues
        self._rows = rows
        self._media = media

    def settle(self, definition: Definition, batch: Batch) -> Settled:
        """Commit every job's outcome and end the lease. What could not be committed (a conflicting change, an item
        that must start over) goes back to its queue."""
        settled, steps = batch.settled, len(definition.steps)
        for item in batch.items:
            if item.verdict is None:
                item.verdict = DONE if item.walked >= steps else Verdict("again", "it has not been through all steps")
        run = _Run(definition, batch, self._rows, self._media)
        self._put_back(run, settled)
        run.pristine = self._pristine(batch)
        ready = self._others(run)
        commits: dict[int, Item] = {}

        def requests() -> Iterator[Commit]:
            for item in ready:
                commit = run.commit(item)
                commits[id(commit)] = item
                yield commit

        told: set[int] = set()
        try:
            for commit, outcome in self._documents.commit(requests()):
                item = commits.pop(id(commit))
                if outcome is Committed.OK:
                    _count(settled, item)
                elif outcome is Committed.LOST:
                    settled.lost += 1
                else:
                    settled.handed_back += not batch.leased
                    continue
                told.add(id(item))
        except BaseException:
            batch.items[:] = [item for item in batch.items if id(item) not in told]
            raise
        if batch.leased:
            settled.handed_back = max(0, self._queues.close(batch.id, owner=batch.owner))
            if settled.handed_back:
                self._queues.hand_back(batch.id, owner=batch.owner)
        batch.items.clear()
        return settled

    def _put_back(self, run: _Run, settled: Settled) -> None:
        """Queue again for later what failed for a passing reason."""
        batch = run.batch
        retried = [item for item in batch.items if item.verdict and item.verdict.ending == "retried"]
        if not retried:
            return
        jobs, events = [], []
        for item in retried:
            job = run.later(item)
            jobs.append(job)
            events += [*item.events, run.retried(item, job)]
        moved = max(0, self._queues.put_back(batch.id, owner=batch.owner, jobs=jobs, events=events))
        settled.retried += moved
        settled.lost += len(jobs) - moved
        batch.items[:] = [item for item in batch.items if not item.verdict or item.verdict.ending != "retried"]

    def _pristine(self, batch: Batch) -> dict[str, Vcon]:
        """Fresh copies for the failed items whose earlier processors had changed something already."""
        return self._documents.read(
            [
                item.io.vcons[0].uuid
                for item in batch.items
                if item.verdict and item.verdict.ending == "failed" and item.io.vcons and item.io.vcons[0].changed
            ]
        )

    # --- what stands beside the job's own document ----------------------------------------------------------------

    def _others(self, run: _Run) -> list[Item]:
        """Store the vCons that were made and commit the jobs' further documents. Gives the items that may be settled
        now; those whose documents somebody else changed meanwhile start over."""
        ready = [item for item in run.batch.items if item.verdict and item.verdict.ending != "again"]
        if not run.saves:
            return ready
        fruitful = [item for item in ready if item.verdict and item.verdict.ending in ("done", "filtered")]
        made = [run.new_vcon(item, vcon) for item in fruitful if item.io.added for vcon in item.io.added]
        for _ in self._documents.create(made):
            pass
        stuck: set[int] = set()
        for item in fruitful:
            if len(item.io.vcons) > 1 and not self._further(run, item):
                stuck.add(id(item))
        return [item for item in ready if id(item) not in stuck]

    def _further(self, run: _Run, item: Item) -> bool:
        """Commit what a job changed in its further documents; those with a replaced member or another form first, for
        they alone can be refused. False: one was."""
        mark = f"job:{item.job.id}"
        made = {id(vcon) for vcon in item.io.added}
        changed = [vcon for vcon in item.io.vcons[1:] if vcon.changed and id(vcon) not in made]
        changed.sort(key=lambda vcon: not (vcon.reformed or any(isinstance(change, Put) for change in vcon.changes)))
        for vcon in changed:
            if mark in self._documents.meta(vcon.uuid):
                continue
            form = run.form(vcon)
            commit = Commit(
                vcon,
                run.fence(),
                rows=row_marks(vcon),
                events=form.events,
                meta={mark: run.definition.name, **form.meta},
                posted=form.posted,
            )
            [(_, outcome)] = self._documents.commit([commit])
            if outcome is not Committed.OK:
                return False
        return True


class _Run:
    """One settling: what its commits have in common."""

    def __init__(self, definition: Definition, batch: Batch, rows: RowWriter, media: MediaStore) -> None:
        self.definition = definition
        self.batch = batch
        self.pristine: Mapping[str, Vcon] = {}
        self.saves = definition.options.save_vcons is not False
        self._rows = rows
        self._media = media
        self._forms: dict[EventKind, EventForm] = {}
        self._channels = {
            ending: (f"pipeline:{definition.name}:{ending}",) for ending in ("done", "filtered", "failed")
        }

    def fence(self, job_id: str = "") -> Fence | None:
        """The lease under which something is committed."""
        return Fence(self.batch.id, self.batch.owner, job_id) if self.batch.leased else None

    def commit(self, item: Item) -> Commit:
        """What settles an item."""
        verdict, vcons, job = _verdict(item), item.io.vcons, item.job
        failed = verdict.ending == "failed"
        vcon = vcons[0] if vcons else Vcon({"uuid": job.vcon_uuids[0]})  # nothing stored: only the job moves
        if failed and vcon.changed:
            vcon = self.pristine.get(vcon.uuid) or vcon.unchanged()
        rows: Sequence[Any] = ()
        if vcons and self.saves:
            self._rows.write(self.definition, vcon, verdict)
            rows = self._rows.marks(self.definition, vcon, verdict)
        elif vcon.changed:
            vcon = vcon.unchanged()
        form = self.form(vcon)
        events: Sequence[bytes] = [*item.events, *form.events]
        pushes: list[tuple[str, bytes]] = []
        if failed:
            if verdict.processor is None:
                detail = {"reason": verdict.reason, "code": verdict.code, "job": job.id}
                events = [*events, self.event(EventKind.FAILED, item, **detail)]
            if self.batch.leased:
                pushes.append(self._dead_letter(item, verdict))
        else:
            if verdict.code == "vcon_removed":
                events = [*events, self.event(EventKind.FILTERED, item, reason=verdict.reason, job=job.id)]
            if verdict.ending == "done":
                events = [*events, self.event(EventKind.DONE, item, job=job.id)]
                if self.definition.options.success_queue and self.batch.leased:
                    onward = replace(job.onward(), id=new_uuid(), parameters=item.io.parameters)
                    pushes.append(placed(self.definition.options.success_queue, onward))
            for asked in item.queued:
                queued = self._job(asked)
                pushes.append(_placed(asked, queued))
                events = [*events, *self._queued_events(asked.queue, queued)]
            pushes += [(keys.EFFECTS, self._effect(item, each)) for each in item.effects]
            if self.batch.once:
                pushes.append((keys.once_marks(self.batch.once), self._mark(verdict)))
        return Commit(
            vcon,
            self.fence(job.id),
            rows=rows,
            pushes=pushes,
            channels=self._channels[verdict.ending],
            events=events,
            meta=form.meta,
            posted=form.posted,
        )

    def _mark(self, verdict: Verdict) -> bytes:
        """What is told of a run whose answer was lost."""
        return orjson.dumps(
            {
                "id": self.batch.owner,
                "pipeline": self.definition.name,
                "version": self.definition.version,
                "ending": verdict.ending,
                "reason": verdict.reason,
                "processor": verdict.processor,
                "saved": self.saves,
            }
        )

    def form(self, vcon: Vcon) -> Reformed:
        """What a commit says of the form that this vCon was given."""
        return AS_IT_WAS if vcon.envelope is None else reformed(vcon, self._media, self._form(EventKind.REVISED))

    def new_vcon(self, item: Item, vcon: Vcon) -> NewVcon:
        """A vCon that a processor made, with the event that says so. Kept beside it: for which job."""
        form, posted = self.form(vcon), None
        if form.posted is not None:  # what was added to it since is part of what is stored first
            posted = replace(form.posted, view=vcon.to_bytes())
        meta = {"made_by": f"{self.definition.name}/{item.job.id}"}
        meta |= {name: value for name, value in form.meta.items() if value}
        return NewVcon(vcon, events=(item.created[vcon.uuid],), meta=meta, posted=posted)

    def later(self, item: Item) -> Job:
        """The job as it waits for its next retry."""
        verdict, job, now = _verdict(item), item.job, time.time()
        doubled = self.definition.options.retry_wait * 2 ** min(job.retries, 30)
        wait = min(LONGEST_RETRY, max(verdict.wait, doubled * random.uniform(0.75, 1.25)))  # noqa: S311 - jitter
        error = LastError(verdict.code, verdict.reason, verdict.processor, self.batch.owner, now)
        return job.again(error, now + wait)

    def retried(self, item: Item, job: Job) -> bytes:
        """The event of a job that is queued again."""
        verdict = _verdict(item)
        return self._form(EventKind.RETRIED).event(
            job.vcon_uuids[0],
            item.io.vcons[0].revision if item.io.vcons else None,
            reason=verdict.reason,
            code=verdict.code,
            step=verdict.processor,
            job=job.id,
            retry=job.retries,
            wait=round(job.not_before - time.time(), 1),
        )

    def event(self, kind: EventKind, item: Item, **detail: Any) -> bytes:
        """An event of the job itself, of no processor."""
        revision = item.io.vcons[0].revision if item.io.vcons else None
        return self._form(kind).event(item.job.vcon_uuids[0], revision, **detail)

    def _form(self, kind: EventKind) -> EventForm:
        form = self._forms.get(kind)
        if form is None:
            batch = self.batch
            form = self._forms[kind] = EventForm(
                kind,
                pipeline=batch.pipeline,
                pipeline_version=batch.version,
                batch_id=batch.id,
                run_id=batch.owner,
            )
        return form

    def _job(self, asked: QueuedJob) -> Job:
        return new_job(
            *asked.vcon_uuids,
            parameters=asked.parameters,
            priority=asked.priority,  # type: ignore[arg-type]  # checked when it was asked for
            not_before=time.time() + asked.delay if asked.delay > 0 else 0.0,
            origin=f"pipeline:{self.definition.name}",
        )

    def _queued_events(self, queue: str, job: Job) -> list[bytes]:
        form = self._form(EventKind.QUEUED)
        return [form.event(uuid, None, queue=queue, job=job.id) for uuid in job.vcon_uuids]

    def _effect(self, item: Item, asked: AskedEffect) -> bytes:
        return new_effect(
            item.job.vcon_uuids[0],
            self.definition.name,
            asked.step,
            asked.processor,
            asked.version,
            asked.effect.body,
            asked.effect.summary,
            about=asked.effect.about,
            batch_id=self.batch.id,
            run_id=self.batch.owner,
        )

    def _dead_letter(self, item: Item, verdict: Verdict) -> tuple[str, bytes]:
        dead = DeadJob(
            job=item.job,
            code=verdict.code,
            error=verdict.reason,
            processor=verdict.processor,
            batch_id=self.batch.id,
            run_id=self.batch.owner,
            pipeline=self.definition.name,
            pipeline_version=self.definition.version,
        )
        failure_queue = self.definition.options.failure_queue
        return (keys.queue(failure_queue) if failure_queue else keys.dead(self.definition.name)), dead.to_bytes()


def _placed(asked: QueuedJob, job: Job) -> tuple[str, bytes]:
    """Where a job that was asked for enters. ``queue`` is py_vcon_server's name for where it comes from."""
    key, entry = placed(asked.queue, job)
    if asked.from_queue:
        entry = orjson.dumps({**orjson.loads(entry), "queue": asked.from_queue})
    return key, entry


def _verdict(item: Item) -> Verdict:
    assert item.verdict is not None  # noqa: S101 - settling gives one to every item
    return item.verdict


def _count(settled: Settled, item: Item) -> None:
    """An outcome that came true."""
    verdict, uuid = _verdict(item), item.job.vcon_uuids[0]
    settled.counts[verdict.ending] += 1
    if verdict.ending == "failed":
        settled.failures[uuid] = verdict
        settled.attempts[uuid] = item.job.attempts
        return
    settled.queued += len(item.queued)
    settled.effects += len(item.effects)
    if verdict.ending == "filtered" and verdict.processor:
        settled.filtered_by[verdict.processor] += 1
