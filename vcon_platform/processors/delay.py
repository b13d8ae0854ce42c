"""The processor ``delay``: lets a conversation wait; the conserver's link of that name.

Belongs here: how long. Not here: a job that begins later (the option ``delay`` of ``queue_job``), which holds no run.

Waiting takes one of the pipeline's places (``concurrency``), but conversations wait at the same time. Where the wait is
counted from when each was queued, or created, a batch waits no longer than its youngest.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

from pydantic import Field

from vcon_platform.processors.base import (
    Effects,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    time_of_job,
)
from vcon_platform.vcon.dates import read_date

LONGEST = 3600.0


class DelayOptions(ProcessorOptions):
    """What ``delay`` can be told."""

    seconds: float = Field(
        default=5.0,
        ge=0,
        le=LONGEST,
        title="Seconds",
        description="How long, up to an hour; for more, queue_job with its option delay.",
        json_schema_extra={"unit": "seconds"},
    )
    since: Literal["now", "queued", "created"] = Field(
        default="now",
        title="Since",
        description="What it is counted from. now: this step; queued: when the job was queued; created: the vCon's "
        "created_at. A conversation for which that is over does not wait.",
    )


class Delay(Processor[DelayOptions]):
    """A wait."""

    name = "delay"
    version = "1.0.0"
    title = "Wait"
    description = "Lets the conversation wait, from now, or until it is old enough. Changes nothing."
    effects = Effects(network=True)
    options = DelayOptions

    @classmethod
    def waits(cls, options: DelayOptions) -> bool:
        """So that conversations wait at the same time."""
        return options.seconds > 0

    def process(self, io: ProcessorIO, options: DelayOptions) -> ProcessorIO:
        """Raises PermanentError where the time limit of the conversation is over before the wait."""
        wait = seconds_left(io, options, datetime.now(UTC))
        left = io.context.remaining()
        if left is not None and wait >= left:
            raise PermanentError(
                f"/seconds: a wait of {wait:g} s does not fit into the time limit, of which {left:.3g} s are left; "
                "raise the limit, or lower it"
            )
        if wait > 0:
            time.sleep(wait)
        return io


def seconds_left(io: ProcessorIO, options: DelayOptions, now: datetime) -> float:
    """How long the conversation still has to wait. One whose beginning is not known waits in full; a clock that runs
    ahead makes nobody wait longer than that."""
    if options.since == "now":
        return options.seconds
    began = _began(io, options)
    return (
        options.seconds if began is None else min(options.seconds, max(0.0, began + options.seconds - now.timestamp()))
    )


def _began(io: ProcessorIO, options: DelayOptions) -> float | None:
    if options.since == "created":
        moment = read_date(io.vcon.created_at, UTC)
        return None if moment is None else moment.seconds
    queued = time_of_job(io.job_id).timestamp()
    return queued or None
