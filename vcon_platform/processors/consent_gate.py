"""The processor ``consent_gate``: lets a conversation go on only if its lawful basis allows what is meant to happen.

Belongs here: what is asked for, and where a refused conversation goes. Not here: the decision (``vcon/consent.py``).

The pipeline option ``consent: enforced`` asks before every step that names a purpose; this gate asks where its pipeline
puts it, also for what happens outside (publication, training), and can put what is refused into a queue where somebody
looks at it.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator

from vcon_platform.ledger.events import EventKind
from vcon_platform.processors.base import Effects, Processor, ProcessorIO, ProcessorOptions, QueuedJob
from vcon_platform.processors.consented import decisions
from vcon_platform.store import keys

Purpose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class ConsentGateOptions(ProcessorOptions):
    """What ``consent_gate`` must be told."""

    purposes: tuple[Purpose, ...] = Field(
        min_length=1,
        max_length=50,
        title="Purposes",
        description="What must be allowed, all of it: recording, transcription, analysis, translation, publication…",
    )
    consent_from: Literal["everyone", "customers"] = Field(
        default="everyone",
        title="From whom",
        description="everyone: every party but bots and organizations. customers: also without those whose role is "
        "agent, representative, operator, supervisor, employee or staff.",
    )
    conditions_met: tuple[Purpose, ...] = Field(
        default=(),
        max_length=100,
        title="Conditions met",
        description="Conditions of grants that this installation meets. A grant with any other one does not count.",
    )
    quarantine_queue: str = Field(
        default="",
        title="Quarantine",
        description="The queue that a refused conversation enters, with the parameter consent_gate that says what was "
        "refused and why. Empty: none.",
    )

    @field_validator("quarantine_queue")
    @classmethod
    def _named(cls, name: str) -> str:
        if name:
            try:
                keys.queue(name)
            except keys.NameRefused as error:
                raise ValueError(str(error)) from None
        return name


class ConsentGate(Processor[ConsentGateOptions]):
    """A filter on lawful bases."""

    name = "consent_gate"
    version = "1.0.0"
    title = "Ask for consent"
    description = (
        "Goes on only with conversations whose lawful basis (draft-howe-vcon-lawful-basis) allows the purposes, for "
        "each person: nothing said is a no, and a no stands. Sets the parameter consent_gate and records each decision "
        "in the ledger."
    )
    effects = Effects(may_drop=True)
    options = ConsentGateOptions

    def process(self, io: ProcessorIO, options: ConsentGateOptions) -> ProcessorIO:
        """Drops the conversation with the first refusal's reason. Raises PlatformError where a record is kept
        elsewhere and cannot be had just now."""
        found = decisions(io, io.input_index, options.purposes, whose=options.consent_from, met=options.conditions_met)
        for decision in found:
            io.record(EventKind.CONSENT, **decision.to_detail())
        io.parameters[self.name] = {each.purpose: "granted" if each.allowed else each.code for each in found}
        refused = [decision for decision in found if not decision.allowed]
        if refused:
            if options.quarantine_queue:
                parameters = {self.name: {each.purpose: each.reason for each in refused}}
                io.queue(QueuedJob(options.quarantine_queue, (io.vcon.uuid,), parameters))
            io.drop(refused[0].reason)
        return io
