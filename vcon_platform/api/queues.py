"""``/v1/queues``: what waits, and what an operator does about it.

Belongs here: requests into calls of the desk (``pipelines/queueing.py``), its values into answers. Not here: what a
queue is (``store/``), py_vcon_server's own routes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Self

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator

from vcon_platform.api.auth import Gate
from vcon_platform.api.problems import Problem
from vcon_platform.pipelines.current import CurrentCatalogue
from vcon_platform.pipelines.queueing import QueueDesk, QueueOverview, UnknownQueue, new_jobs
from vcon_platform.settings import Settings
from vcon_platform.store.connection import explained
from vcon_platform.store.jobs import DeadJob, Job, LastError, Priority
from vcon_platform.store.leases import Queues
from vcon_platform.store.opening import Store, open_store
from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.gates import canonical_uuid

MOST_UUIDS = 10_000
"""Jobs that one request may queue."""

Start = Annotated[int, Query(ge=0, description="How many to pass over.")]
Count = Annotated[int, Query(ge=1, le=1000, description="Most to give.")]


class QueueOut(BaseModel):
    """What a queue holds."""

    name: str
    pipeline: bool = Field(description="True: a pipeline of that name works on it.")
    known: bool = Field(description="True: a definition names it.")
    paused: bool
    urgent: int
    normal: int
    low: int
    later: int = Field(description="Jobs that wait for their time.")
    due: int = Field(description="Those of them whose time has come.")
    leased: int = Field(description="Jobs that runs are working on.")
    dead: int = Field(description="Failed jobs of the pipeline of that name.")
    oldest_seconds: float | None = Field(description="For how long the job has waited that waits longest.")
    max_waiting: int | None


class QueuesOut(BaseModel):
    """All queues."""

    queues: list[QueueOut]


class ErrorOut(BaseModel):
    """Why a job failed."""

    code: str
    error: str
    processor: str | None
    run_id: str
    at: float
    first_at: float


class JobOut(BaseModel):
    """A job."""

    id: str
    vcon_uuids: list[str]
    queued_at: float
    priority: Priority
    not_before: float
    dedupe: str
    retries: int
    origin: str
    parameters: dict[str, Any]
    last_error: ErrorOut | None


class QueueJobsOut(QueueOut):
    """A queue and a page of its jobs, in the order in which they will be leased."""

    jobs: list[JobOut]


class DeadOut(BaseModel):
    """A job that failed for good."""

    job: JobOut
    error: ErrorOut
    attempts: int
    pipeline: str
    pipeline_version: str
    batch_id: str


class PushIn(BaseModel):
    """Jobs to be queued."""

    model_config = ConfigDict(extra="forbid")

    uuids: list[str] = Field(min_length=1, max_length=MOST_UUIDS, description="vCons; they must be in the store.")
    together: bool = Field(default=False, description="One job for all of them, instead of one for each.")
    priority: Priority = "normal"
    delay: float = Field(default=0.0, ge=0, le=366 * 86400, description="Seconds before which it is not worked on.")
    dedupe: bool | str = Field(
        default=False,
        description="true: none is queued while one for the same vCon, queued with this option, waits there. A text: "
        "none while one with the same text does; for one job only.",
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="Parameters the pipeline begins with.")

    @model_validator(mode="after")
    def _one_text_for_one_job(self) -> Self:
        if isinstance(self.dedupe, str) and len(self.uuids) > 1 and not self.together:
            raise ValueError("a dedupe text is for one job: send one uuid, or set 'together', or 'dedupe': true")
        return self


class PushedOut(BaseModel):
    """What was queued."""

    queued: int
    duplicates: int = Field(description="Jobs that were not queued because one like them waits already.")


class ChosenIn(BaseModel):
    """Which jobs; without any: all."""

    model_config = ConfigDict(extra="forbid")

    jobs: list[str] | None = Field(default=None, max_length=MOST_UUIDS, description="Ids of jobs.")


class WithdrawIn(BaseModel):
    """Which waiting jobs are taken out: exactly one of the three."""

    model_config = ConfigDict(extra="forbid")

    jobs: list[str] | None = Field(default=None, max_length=MOST_UUIDS, description="Ids of jobs.")
    origin: str | None = Field(default=None, description="All that this brought, such as ``reprocess:{run id}``.")
    all: bool = Field(default=False, description="All that waits in the queue now.")

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if [self.jobs is not None, self.origin is not None, self.all].count(True) != 1:
            raise ValueError("send one of 'jobs', 'origin' and 'all'")
        return self


class MovedOut(BaseModel):
    """How many jobs moved."""

    jobs: int


class PausedOut(BaseModel):
    """Whether a queue is paused."""

    paused: bool


def desk_of(settings: Settings, store: Callable[[], Store]) -> Callable[[], QueueDesk]:
    """The desk of this process, made by the first request that needs it."""
    made: list[QueueDesk] = []

    def desk() -> QueueDesk:
        if not made:
            opened = store()
            catalogue = CurrentCatalogue(settings, opened.client)
            made.append(QueueDesk(Queues(opened.client), opened.documents, catalogue.get, by="api"))
        return made[0]

    return desk


def router(settings: Settings, gate: Gate) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter(prefix="/v1/queues", tags=["Queues"])
    desk_here = desk_of(settings, lambda: open_store(settings))

    @contextmanager
    def at(name: str | None = None) -> Iterator[QueueDesk]:
        """The desk, and that the queue exists; its errors as answers."""
        with explained():
            desk = desk_here()
            if name is not None:
                try:
                    desk.one(name)
                except UnknownQueue as error:
                    raise Problem(404, "not_found", str(error)) from None
            yield desk

    @routes.get("", dependencies=gate("read", "operate"), summary="All queues")
    def queues() -> QueuesOut:
        """Every queue that a definition names or that anything ever entered."""
        with at() as desk:
            return QueuesOut(queues=[QueueOut(**_queue(each)) for each in desk.overview()])

    @routes.get("/{name}", dependencies=gate("read", "operate"), summary="A queue and its jobs")
    def queue(name: str, start: Start = 0, count: Count = 100) -> QueueJobsOut:
        """In the order in which they will be worked on, those that wait for their time last."""
        with at(name) as desk:
            jobs = [_job(job) for job in desk.queues.jobs(name, start, count)]
            return QueueJobsOut(**_queue(desk.one(name)), jobs=jobs)

    @routes.post("/{name}/jobs", dependencies=gate("operate"), summary="Queue vCons", status_code=201)
    def push(name: str, body: PushIn) -> PushedOut:
        """All of them, or none when one is not in the store."""
        jobs = new_jobs(
            [_uuid(uuid, f"/uuids/{index}") for index, uuid in enumerate(body.uuids)],
            together=body.together,
            priority=body.priority,
            delay=body.delay,
            dedupe=body.dedupe,
            parameters=body.parameters,
            origin="api",
        )
        with at(name) as desk:
            entered = desk.push(name, jobs)
        return PushedOut(queued=entered, duplicates=len(jobs) - entered)

    @routes.post("/{name}/pause", dependencies=gate("operate"), summary="Let nothing be taken from a queue")
    def pause(name: str) -> PausedOut:
        """Jobs may still enter; what is being worked on goes on."""
        with at(name) as desk:
            desk.queues.pause(name)
        return PausedOut(paused=True)

    @routes.post("/{name}/resume", dependencies=gate("operate"), summary="End a pause")
    def resume(name: str) -> PausedOut:
        """What waits is taken again."""
        with at(name) as desk:
            desk.queues.resume(name)
        return PausedOut(paused=False)

    @routes.post("/{name}/withdraw", dependencies=gate("operate"), summary="Take waiting jobs out for good")
    def withdraw(name: str, body: WithdrawIn) -> MovedOut:
        """What a run has taken meanwhile is not touched. The ledger has each."""
        with at(name) as desk:
            if body.jobs is not None:
                return MovedOut(jobs=len(desk.withdraw(name, body.jobs)))
            return MovedOut(jobs=desk.purge(name, body.origin))

    @routes.get("/{name}/dead", dependencies=gate("read", "operate"), summary="Failed jobs and why they failed")
    def dead(name: str, start: Start = 0, count: Count = 100) -> list[DeadOut]:
        """Those of the pipeline of that name, or those that stand in a failure queue; oldest first."""
        with at(name) as desk:
            return [_dead(each) for each in desk.dead(name, start, count)]

    @routes.post("/{name}/redrive", dependencies=gate("operate"), summary="Let failed jobs begin again")
    def redrive(name: str, body: ChosenIn) -> MovedOut:
        """At the end of the queue of the pipeline in which each failed."""
        with at(name) as desk:
            return MovedOut(jobs=len(desk.redrive(name, body.jobs)))

    return routes


def _uuid(text: str, pointer: str) -> str:
    uuid = canonical_uuid(text)
    if uuid is None:
        raise Rejected(Fault("bad_uuid", pointer, "is no uuid"))
    return uuid


def _queue(each: QueueOverview) -> dict[str, Any]:
    state = each.state
    return {
        "name": each.name,
        "pipeline": each.pipeline,
        "known": each.known,
        "paused": state.paused,
        "urgent": state.urgent,
        "normal": state.normal,
        "low": state.low,
        "later": state.later,
        "due": state.due,
        "leased": state.leased,
        "dead": each.dead,
        "oldest_seconds": None if state.oldest is None else max(0.0, time.time() - state.oldest),
        "max_waiting": each.limit,
    }


def _job(job: Job) -> JobOut:
    return JobOut(
        id=job.id,
        vcon_uuids=list(job.vcon_uuids),
        queued_at=job.queued_at,
        priority=job.priority,
        not_before=job.not_before,
        dedupe=job.dedupe,
        retries=job.retries,
        origin=job.origin,
        parameters=job.parameters,
        last_error=None if job.last_error is None else _error(job.last_error),
    )


def _error(error: LastError) -> ErrorOut:
    return ErrorOut(
        code=error.code,
        error=error.error,
        processor=error.processor,
        run_id=error.run_id,
        at=error.at,
        first_at=error.first_at or error.at,
    )


def _dead(dead: DeadJob) -> DeadOut:
    error = dead.redriven().last_error
    assert error is not None  # noqa: S101 - a dead job has failed
    return DeadOut(
        job=_job(dead.job),
        error=_error(error),
        attempts=dead.job.attempts,
        pipeline=dead.pipeline,
        pipeline_version=dead.pipeline_version,
        batch_id=dead.batch_id,
    )
