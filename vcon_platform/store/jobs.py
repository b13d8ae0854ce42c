"""A job: one entry of a pipeline's queue, and what becomes of it when it fails for good.

The JSON in Redis is a superset of py_vcon_server's (``job_type``, ``vcon_uuid``), so that its clients can read our
queues, and what they push is accepted.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.uuids import new_uuid


class JobRefused(PlatformError):
    """An entry of a queue that is no job."""


Priority = Literal["urgent", "normal", "low"]


@dataclass(frozen=True, slots=True)
class LastError:
    """Why a job did not come through when it was last tried. No personal data."""

    code: str
    error: str
    processor: str | None
    run_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Job:
    """``attempts`` counts how often it was leased, ``retries`` how often it was put back because it failed for a
    passing reason; times are in epoch seconds. ``not_before``: it is not leased earlier (0: at once). ``dedupe``: while
    a job with the same text waits in the queue, no other one enters it. ``origin``: what brought it there, such as
    ``reprocess:{run id}``."""

    id: str
    vcon_uuids: tuple[str, ...]
    queued_at: float
    attempts: int = 0
    parameters: dict[str, Any] = field(default_factory=dict)
    priority: Priority = "normal"
    not_before: float = 0.0
    dedupe: str = ""
    retries: int = 0
    origin: str = ""
    last_error: LastError | None = None

    def to_bytes(self) -> bytes:
        """The job as its queue holds it."""
        return orjson.dumps(
            {
                "id": self.id,
                "job_type": "vcon_uuid",
                "vcon_uuid": self.vcon_uuids,
                "queued_at": self.queued_at,
                "parameters": self.parameters,
            }
        )


def new_job(*vcon_uuids: str) -> Job:
    """A fresh job for these vCons. Ids grow with time, so that their order is the order of arrival."""
    return Job(id=new_uuid(), vcon_uuids=vcon_uuids, queued_at=time.time())


def read_job(raw: bytes, *, job_id: str, attempts: int) -> Job:
    """A job from a queue's entry. Raises :class:`JobRefused` when outside software pushed something else."""
    try:
        value = orjson.loads(raw)
        uuids = value["vcon_uuid"]
        if not isinstance(uuids, list) or not uuids or not all(isinstance(uuid, str) for uuid in uuids):
            raise JobRefused(f"job {job_id}: 'vcon_uuid' must be a list of uuids")
        return Job(
            id=job_id,
            vcon_uuids=tuple(uuids),
            queued_at=float(value.get("queued_at", 0.0)),
            attempts=attempts,
            parameters=dict(value.get("parameters") or {}),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        raise JobRefused(f'job {job_id}: an entry must be JSON like {{"vcon_uuid": ["…"]}}') from None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadJob:
    """A job that failed for good: which processor, why, after how many attempts, in which batch and run."""

    job: Job
    code: str
    error: str
    processor: str | None
    batch_id: str
    run_id: str
    failed_at: float = field(default_factory=time.time)

    def to_bytes(self) -> bytes:
        """The entry of the dead queue: the job plus ``failure``."""
        entry = orjson.loads(self.job.to_bytes())
        entry["failure"] = {
            "code": self.code,
            "error": self.error,
            "processor": self.processor,
            "attempts": self.job.attempts,
            "batch_id": self.batch_id,
            "run_id": self.run_id,
            "failed_at": self.failed_at,
        }
        return orjson.dumps(entry)


def read_dead_job(raw: bytes) -> DeadJob:
    """An entry of a dead queue, as :meth:`DeadJob.to_bytes` wrote it."""
    entry = orjson.loads(raw)
    failure = entry["failure"]
    return DeadJob(
        job=read_job(raw, job_id=entry["id"], attempts=failure["attempts"]),
        code=failure["code"],
        error=failure["error"],
        processor=failure["processor"],
        batch_id=failure["batch_id"],
        run_id=failure["run_id"],
        failed_at=failure["failed_at"],
    )


def uuids_of(jobs: Sequence[Job]) -> list[str]:
    """Every uuid these jobs name, each once, in order."""
    return list(dict.fromkeys(uuid for job in jobs for uuid in job.vcon_uuids))
