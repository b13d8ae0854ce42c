"""``/queue``, ``/queues``, ``/in_progress``: job queues and what is being worked on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from vcon_platform.api.auth import Gate
from vcon_platform.api.parts import Parts
from vcon_platform.api.py_vcon.faults import NO_QUEUE, fault
from vcon_platform.pipelines.queueing import QueueDesk, queued, withdrawn
from vcon_platform.store import keys
from vcon_platform.store.connection import explained
from vcon_platform.store.in_progress import Leased
from vcon_platform.store.jobs import Job, new_job
from vcon_platform.vcon.gates import canonical_uuid

BY = "py_vcon-api"
_JOB = "vcon_uuid"
_MOST = 10_000


class QueueJob(BaseModel):
    """One entry of a queue."""

    model_config = ConfigDict(extra="ignore")

    job_type: str = _JOB
    vcon_uuid: list[str] = Field(default_factory=list, description="Exactly one.")


Desk = Callable[[], QueueDesk]


def router(gate: Gate, parts: Parts, desk: Desk) -> APIRouter:
    """The routes. ``gate`` guards each. ``desk`` gives the queues when one is asked for."""
    routes = APIRouter()
    admin: list[str | Any] = ["Admin: Job Queues"]
    progress: list[str | Any] = ["Admin: In Progress Jobs"]

    def known(name: str, *, peer: int = 404) -> QueueDesk:
        found = desk()
        if name not in found.names():
            raise fault(404, f"queue: {name} not found", NO_QUEUE, peer=peer)
        return found

    @routes.get("/queues", dependencies=gate("read", "operate"), tags=admin, summary="Names of all queues")
    def names() -> list[str]:
        with explained():
            return desk().names()

    @routes.get("/queue/{name}", dependencies=gate("read", "operate"), tags=admin, summary="Jobs, the first one first")
    def peek(name: str) -> list[dict[str, Any]]:
        with explained():
            return [_told(job) for job in known(name).queues.jobs(name, 0, _MOST)]

    @routes.put("/queue/{name}", dependencies=gate("operate"), tags=admin, summary="Append a job")
    def append(name: str, job: QueueJob) -> int:
        """How many wait then."""
        if job.job_type != _JOB:
            raise fault(422, f"job_type: {job.job_type} is not supported; use {_JOB}", peer=200)
        if len(job.vcon_uuid) != 1 or (uuid := canonical_uuid(job.vcon_uuid[0])) is None:
            raise fault(422, "vcon_uuid: exactly one uuid is needed", peer=500)
        with explained():
            found = known(name, peer=500)
            found.queues.push(name, [new_job(uuid)], events=queued(BY))  # the vCon may come later, as it may there
            return found.queues.waiting(name)

    @routes.post("/queue/{name}", dependencies=gate("operate"), tags=admin, summary="Make a queue", status_code=204)
    def create(name: str) -> None:
        with explained():
            if name in desk().names():
                raise fault(422, f"queue: {name} already exists")
            keys.queue(name)
            parts.store.client.sadd(keys.QUEUES, name)

    @routes.delete("/queue/{name}", dependencies=gate("operate"), tags=admin, summary="Delete a queue and its jobs")
    def delete(name: str) -> list[dict[str, Any]]:
        """The jobs that were in it."""
        with explained():
            found = known(name)
            jobs = found.queues.jobs(name, 0, 1_000_000)
            taken = {job.id for job in found.queues.withdraw(name, [job.id for job in jobs], events=withdrawn(BY))}
            if not found.queues.waiting(name):
                parts.store.client.srem(keys.QUEUES, name)
            return [_told(job) for job in jobs if job.id in taken]

    @routes.get("/in_progress", dependencies=gate("read", "operate"), tags=progress, summary="Jobs being worked on")
    def in_progress() -> dict[str, Any]:
        return {
            each.job.id: {
                "id": each.job.id,
                "queue": each.queue,
                "server": each.owner,
                "dequeued": each.job.queued_at,
                "leased_until": each.leased_until,
                "job": _told(each.job),
            }
            for each in Leased(parts.store.client).all()
        }

    @routes.put(
        "/in_progress/{job_id}",
        dependencies=gate("operate"),
        tags=progress,
        summary="Back to the front of its queue",
        status_code=204,
    )
    def give_back(job_id: str) -> None:
        """What its run makes of it does not count any more."""
        leased = Leased(parts.store.client)
        found = leased.find(job_id)
        if found is None or not leased.give_back(found, events=queued(BY)):
            raise fault(404, f"job: {job_id} not found")

    @routes.delete(
        "/in_progress/{job_id}",
        dependencies=gate("operate"),
        tags=progress,
        summary="Forget a job",
        status_code=204,
    )
    def forget(job_id: str) -> None:
        """What its run makes of it does not count any more."""
        leased = Leased(parts.store.client)
        found = leased.find(job_id)
        if found is None or not leased.forget(found, events=withdrawn(BY)):
            raise fault(404, f"job: {job_id} not found")

    return routes


def _told(job: Job) -> dict[str, Any]:
    return {"job_type": _JOB, "vcon_uuid": list(job.vcon_uuids)}
