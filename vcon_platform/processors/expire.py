"""The processor ``expire``: how long a conversation's document stays in Redis.

Belongs here: the option. Not here: leaving Redis and coming back (``store/documents.py``), deleting a conversation for
good, which retention does.

An effect, because it is about the document as it is after the commit.
"""

from __future__ import annotations

from pydantic import Field

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import (
    Effect,
    Effects,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    TransientError,
)
from vcon_platform.processors.once import about


class ExpireOptions(ProcessorOptions):
    """What ``expire`` must be told."""

    seconds: int = Field(
        default=86_400,
        ge=1,
        le=10 * 366 * 86_400,
        title="Seconds",
        description="How long the document stays in Redis: from the end of this job on, and again after each later "
        "change or reading from the archive. Goes before VCON_LIVE_SECONDS.",
        json_schema_extra={"unit": "seconds"},
    )


class Expire(Processor[ExpireOptions]):
    """A document's time in Redis."""

    name = "expire"
    version = "1.0.0"
    title = "Let it leave Redis"
    description = (
        "Has the conversation's document leave Redis after a time, to free memory. Nothing is lost: it stays in the "
        "archive, is found by search, and comes back when somebody asks for it. Deletes nothing for good."
    )
    effects = Effects(sends=True)
    options = ExpireOptions

    def process(self, io: ProcessorIO, options: ExpireOptions) -> ProcessorIO:
        """Asks for it."""
        body = {"uuid": io.vcon.uuid, "seconds": options.seconds}
        io.send(Effect(body, f"leaves Redis after {options.seconds} s", about(io, "job", options.seconds)))
        return io

    def deliver(self, effect: Effect, key: str) -> None:  # noqa: ARG002 - done twice, it only begins again
        """Set the time."""
        if effect.lent is None:
            raise PermanentError("the platform lends no documents here; deliver it by the platform")
        try:
            effect.lent.documents.leave_after(effect.body["uuid"], effect.body["seconds"])
        except PlatformError as error:
            if error.transient:
                raise TransientError(str(error)) from None
            raise PermanentError(str(error)) from None
