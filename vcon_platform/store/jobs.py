"""A job: one entry of a pipeline's queue, and what becomes of it when it fails for good.

Belongs here: the values and their JSON. Not here: moving them (``waiting.py``, ``leases.py``, ``moves.py``).

The JSON in Redis is a superset of py_vcon_server's (``job_type``, ``vcon_uuid``), so that its clients can read our
queues, and what they push is accepted. Members that we do not know are ignored, those that we know but cannot use
(a priority that there is not) count as absent: what outside software meant by them is not ours to refuse.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.uuids import new_uuid


class JobRefused(PlatformError):
    """An entry of a queue that is no job."""


Priority = Literal["urgent", "normal", "low"]
PRIORITIES: tuple[Priority, ...] = ("urgent", "normal", "low")
"""In the order in which they are leased."""


@dataclass(frozen=True, slots=True)
class LastError:
    """Why a job did not come through when it was last tried. No personal data. ``first_at``: when it failed first
    (0: then)."""

    code: str
    error: str
    processor: str | None
    run_id: str
    at: float
    first_at: float = 0.0


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

    @property
    def fruitless(self) -> int:
        """How many leases, this one included, brought no outcome: the runs died. A retry is an outcome."""
        return self.attempts - self.retries

    def again(self, error: LastError, not_before: float) -> Job:
        """The job as it waits for its next retry, until ``not_before``."""
        return replace(self, retries=self.retries + 1, not_before=not_before, last_error=self._since(error))

    def onward(self) -> Job:
        """The job as it enters another pipeline's queue: what befell it in this one does not count there."""
        return replace(self, queued_at=time.time(), attempts=0, retries=0, not_before=0.0, dedupe="", last_error=None)

    def _since(self, error: LastError) -> LastError:
        first = self.last_error.first_at or self.last_error.at if self.last_error else error.first_at or error.at
        return replace(error, first_at=first)

    def to_bytes(self) -> bytes:
        """The job as its queue holds it. The scripts look for its id and time where they stand here."""
        entry: dict[str, Any] = {"id": self.id, "job_type": "vcon_uuid"}
        if self.not_before:
            entry["not_before"] = self.not_before
        entry |= {"vcon_uuid": self.vcon_uuids, "queued_at": self.queued_at, "parameters": self.parameters}
        if self.priority != "normal":
            entry["priority"] = self.priority
        for name in ("dedupe", "retries", "origin", "last_error"):
            if value := getattr(self, name):
                entry[name] = value
        return orjson.dumps(entry)


def new_job(
    *vcon_uuids: str,
    parameters: Mapping[str, Any] | None = None,
    priority: Priority = "normal",
    not_before: float = 0.0,
    dedupe: str = "",
    origin: str = "",
) -> Job:
    """A fresh job for these vCons. Ids grow with time, so that their order is the order of arrival."""
    return Job(
        id=new_uuid(),
        vcon_uuids=vcon_uuids,
        queued_at=time.time(),
        parameters=dict(parameters or {}),
        priority=priority,
        not_before=not_before,
        dedupe=dedupe,
        origin=origin,
    )


def read_job(raw: bytes, *, job_id: str, attempts: int) -> Job:
    """A job from a queue's entry. Raises :class:`JobRefused` when outside software pushed something else."""
    try:
        value = orjson.loads(raw)
        failure = value.get("failure")
    except (orjson.JSONDecodeError, AttributeError):
        raise _no_job(job_id) from None
    return _job(value, failure, job_id, attempts)


def _job(value: dict[str, Any], failure: Any, job_id: str, attempts: int) -> Job:
    try:
        uuids = value["vcon_uuid"]
        if not isinstance(uuids, list) or not uuids or not all(isinstance(uuid, str) for uuid in uuids):
            raise JobRefused(f"job {job_id}: 'vcon_uuid' must be a list of uuids")
        return Job(
            id=job_id,
            vcon_uuids=tuple(dict.fromkeys(uuids)),
            queued_at=_number(value, "queued_at"),
            attempts=attempts,
            parameters=dict(value.get("parameters") or {}),
            priority=_priority(value.get("priority")),
            not_before=_number(value, "not_before"),
            dedupe=_text(value, "dedupe"),
            retries=max(0, int(_number(value, "retries"))),
            origin=_text(value, "origin"),
            last_error=_last_error(failure or value.get("last_error")),
        )
    except (KeyError, TypeError, ValueError):
        raise _no_job(job_id) from None


def _no_job(job_id: str) -> JobRefused:
    return JobRefused(f'job {job_id}: an entry must be JSON like {{"vcon_uuid": ["…"]}}')


def id_in(raw: bytes) -> str:
    """The id by which a waiting entry is spoken of: its own, or one derived from its text where outside software gave
    it none (a lease gives it a proper one)."""
    try:
        value = orjson.loads(raw)["id"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        value = None
    return value if isinstance(value, str) and value else f"x{hashlib.sha256(raw).hexdigest()[:16]}"


def read_waiting(raw: bytes, attempts: int = 0) -> Job:
    """A job as it stands in a queue, before anybody leased it. Raises :class:`JobRefused`."""
    return read_job(raw, job_id=id_in(raw), attempts=attempts)


def _priority(value: Any) -> Priority:
    return next((each for each in PRIORITIES if each == value), "normal")


def _number(value: Mapping[str, Any], name: str) -> float:
    found = value.get(name)
    return float(found) if isinstance(found, int | float) and math.isfinite(found) else 0.0


def _text(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _last_error(found: Any) -> LastError | None:
    """Why it failed last, from ``last_error`` or from the ``failure`` of a failure queue's entry."""
    if not isinstance(found, dict):
        return None
    processor = found.get("processor")
    return LastError(
        code=_text(found, "code"),
        error=_text(found, "error"),
        processor=processor if isinstance(processor, str) else None,
        run_id=_text(found, "run_id"),
        at=_number(found, "at") or _number(found, "failed_at"),
        first_at=_number(found, "first_at") or _number(found, "first_failed_at"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadJob:
    """A job that failed for good: in which pipeline, which processor, why, after how many attempts, in which batch and
    run. Attempts and times are those of its whole way through that pipeline."""

    job: Job
    code: str
    error: str
    processor: str | None
    batch_id: str
    run_id: str
    pipeline: str = ""
    pipeline_version: str = ""
    failed_at: float = field(default_factory=time.time)

    @property
    def first_failed_at(self) -> float:
        """When it failed first: earlier than ``failed_at`` if it was retried."""
        last = self.job.last_error
        return (last.first_at or last.at if last else 0.0) or self.failed_at

    def redriven(self) -> Job:
        """The job as it begins again: retries and attempts anew, what befell it kept."""
        error = LastError(self.code, self.error, self.processor, self.run_id, self.failed_at, self.first_failed_at)
        return replace(self.job, attempts=0, retries=0, not_before=0.0, last_error=error)

    def to_bytes(self) -> bytes:
        """The entry of the dead queue: the job plus ``failure``."""
        entry = orjson.loads(self.job.to_bytes())
        entry["failure"] = {
            "code": self.code,
            "error": self.error,
            "processor": self.processor,
            "attempts": self.job.attempts,
            "first_failed_at": self.first_failed_at,
            "failed_at": self.failed_at,
            "batch_id": self.batch_id,
            "run_id": self.run_id,
            "pipeline": self.pipeline,
            "pipeline_version": self.pipeline_version,
        }
        return orjson.dumps(entry)


def read_dead_job(raw: bytes) -> DeadJob:
    """An entry of a dead queue, as :meth:`DeadJob.to_bytes` wrote it. Raises :class:`JobRefused` for anything else."""
    try:
        entry = orjson.loads(raw)
        failure = entry["failure"]
        return DeadJob(
            job=_job(entry, None, entry["id"], failure["attempts"]),
            code=failure["code"],
            error=failure["error"],
            processor=failure["processor"],
            batch_id=failure["batch_id"],
            run_id=failure["run_id"],
            pipeline=_text(failure, "pipeline"),
            pipeline_version=_text(failure, "pipeline_version"),
            failed_at=failure["failed_at"],
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise JobRefused("an entry of a dead queue is a job with 'failure'") from None


def uuids_of(jobs: Sequence[Job]) -> list[str]:
    """Every uuid these jobs name, each once, in order."""
    return list(dict.fromkeys(uuid for job in jobs for uuid in job.vcon_uuids))
