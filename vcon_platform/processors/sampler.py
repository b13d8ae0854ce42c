"""The processor ``sampler``: lets a share of the conversations go on; the conserver's link of that name.

Belongs here: which conversations are drawn. Not here: the share that a processor with costs asks about
(``sampling_rate`` in ``model_options.py``).

Which ones are drawn depends on their uuids (or the second in which they were created) and the seed alone: the same ones
again after a crash, in a retry and in a reprocessing, and on every machine. A seeded generator, which the conserver
starts anew for every vCon, keeps all or nothing.
"""

from __future__ import annotations

import hashlib
import math
from datetime import UTC
from typing import Literal, Self

from pydantic import Field, model_validator

from vcon_platform.processors.base import Effects, PermanentError, Processor, ProcessorIO
from vcon_platform.processors.filters import FilterOptions, decide
from vcon_platform.vcon.dates import read_date
from vcon_platform.vcon.document import Vcon


class SamplerOptions(FilterOptions):
    """What ``sampler`` can be told."""

    method: Literal["percentage", "rate", "modulo", "time_based"] = Field(
        default="percentage",
        title="Method",
        description="How it is drawn. percentage: value of 100; rate: one of value; modulo: where the first 8 hex "
        "digits of the uuid's SHA-256 are a multiple of value; time_based: where the second in which the vCon was "
        "created is one.",
    )
    value: float = Field(
        default=50,
        ge=0,
        le=1_000_000_000,
        title="Value",
        description="percentage: from 0 to 100; rate: 1 or more; modulo and time_based: a whole number from 1 on.",
    )
    seed: int | str | None = Field(
        default=None,
        title="Seed",
        description="Another seed draws others, for percentage and rate. Two samplers with the same seed draw the "
        "same ones: give each a seed of its own where one follows the other.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.method == "percentage" and self.value > 100:
            raise ValueError("value: a percentage is from 0 to 100")
        if self.method == "rate" and self.value < 1:
            raise ValueError("value: a rate is one of so many, so 1 or more; a share of 5 % is percentage 5 or rate 20")
        if self.method in ("modulo", "time_based") and (self.value < 1 or self.value != int(self.value)):
            raise ValueError(f"value: for {self.method} a whole number from 1 on")
        return self


class Sampler(Processor[SamplerOptions]):
    """A filter by lot."""

    name = "sampler"
    version = "1.0.0"
    title = "Sample"
    description = "Goes on with a share of the conversations, always the same ones. Sets the parameter sampler_passed."
    effects = Effects(may_drop=True)
    options = SamplerOptions

    def process(self, io: ProcessorIO, options: SamplerOptions) -> ProcessorIO:
        """Raises PermanentError where ``time_based`` finds no date to go by."""
        passes = drawn(io.vcon, options)
        return decide(io, self, options, passes=passes, reason=f"not drawn ({options.method} {options.value:g})")


def drawn(vcon: Vcon, options: SamplerOptions) -> bool:
    """True for a conversation that is drawn. Raises PermanentError as above."""
    if options.method == "modulo":  # to the letter as the conserver does it
        return int(hashlib.sha256(vcon.uuid.encode()).hexdigest()[:8], 16) % int(options.value) == 0
    if options.method == "time_based":
        created = read_date(vcon.created_at, UTC)
        if created is None:
            raise PermanentError("/created_at is no date, so time_based cannot go by it; use another method")
        return math.floor(created.seconds) % int(options.value) == 0
    share = options.value / 100 if options.method == "percentage" else 1 / options.value
    seed = "" if options.seed is None else str(options.seed)
    lot = int.from_bytes(hashlib.sha256(f"sampler {seed} {vcon.uuid}".encode()).digest()[:8], "big")
    return lot < share * 2**64
