"""The processor ``queue_job``: has the conversation worked on by another pipeline as well.

Belongs here: what the job says. Not here: entering it into the queue, which happens in the same step that settles
this conversation's own job (``pipelines/engine.py``), so that there is never one without the other.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Literal

from pydantic import Field, field_validator

from vcon_platform.processors.base import Processor, ProcessorIO, ProcessorOptions, QueuedJob
from vcon_platform.store import keys


class QueueJobOptions(ProcessorOptions):
    """What ``queue_job`` must be told."""

    queue_name: str = Field(
        min_length=1,
        title="Queue",
        description="The queue that the job enters: a pipeline's name, a feed, or any queue that somebody reads. It "
        "is made if there is none.",
    )
    from_queue: str | None = Field(
        default="", title="From queue", description="Where the job comes from, for those who read the queue."
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        title="Parameters",
        description="Parameters that the other pipeline begins with.",
    )
    pass_parameters: bool = Field(
        default=True,
        title="Pass parameters on",
        description="The other pipeline begins with this conversation's parameters, too; those of the option "
        "parameters go before. False: with the option's alone.",
    )
    priority: Literal["urgent", "normal", "low"] = Field(
        default="normal", title="Priority", description="urgent jobs of a queue are taken before normal ones, low last."
    )
    delay: float = Field(
        default=0.0,
        ge=0,
        title="Delay",
        description="Seconds from the end of this job until the new one may begin.",
    )

    @field_validator("queue_name")
    @classmethod
    def _named(cls, name: str) -> str:
        try:
            keys.queue(name)
        except keys.NameRefused as error:
            raise ValueError(str(error)) from None
        return name


class QueueJob(Processor[QueueJobOptions]):
    """A job for another pipeline."""

    name = "queue_job"
    version = "1.0.0"
    title = "Queue a job"
    description = "Enters the conversation into another queue when this job is done, in the same step."
    options = QueueJobOptions

    def process(self, io: ProcessorIO, options: QueueJobOptions) -> ProcessorIO:
        """Never refuses: the queue is made if there is none."""
        parameters = {**(io.parameters if options.pass_parameters else {}), **options.parameters}
        io.queue(
            QueuedJob(
                queue=options.queue_name,
                vcon_uuids=(io.vcon.uuid,),
                parameters=deepcopy(parameters),  # as they are now, whatever a later processor does to them
                priority=options.priority,
                delay=options.delay,
                from_queue=options.from_queue or "",
            )
        )
        return io
