"""The processor ``projection``: writes a projection's rows into the vCon, where they travel with the conversation.

Belongs here: the step of a pipeline. Not here: what rows are (``projections/rows.py``), where their values come from
(``projections/building.py``), or how they get into a table (the destinations).
"""

from __future__ import annotations

from difflib import get_close_matches

from pydantic import Field

from vcon_platform.processors.base import Effects, PermanentError, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.projections.errors import ProjectionError
from vcon_platform.projections.outcome import Outcome
from vcon_platform.projections.rows import build_rows, put_rows


class ProjectionOptions(ProcessorOptions):
    """What ``projection`` must be told."""

    projection: str = Field(
        min_length=1,
        title="Projection",
        description="Name of the declared projection whose rows are written.",
    )


class ProjectionProcessor(Processor[ProjectionOptions]):
    """The rows of the conversation in one projection."""

    name = "projection"
    version = "1.2.0"
    title = "Write a projection's rows"
    description = (
        "Builds the rows of a declared projection and keeps them in the vCon as an attachment, from where the "
        "projection's destinations take them. Doing it again replaces them; where the projection gives the "
        "conversation none any more, they are withdrawn."
    )
    effects = Effects(changes=True)
    options = ProjectionOptions

    def process(self, io: ProcessorIO, options: ProjectionOptions) -> ProcessorIO:
        """Raises PermanentError if there is no such projection, or its rows cannot be built from this vCon."""
        known = io.context.projections
        projection = known.get(options.projection)
        if projection is None:
            close = get_close_matches(options.projection, known, n=1)
            hint = f"did you mean {close[0]}? " if close else ""
            names = ", ".join(sorted(known)) or "none"
            raise PermanentError(f"there is no projection {options.projection!r}; {hint}declared are: {names}")
        outcome = Outcome(pipeline=io.context.pipeline, pipeline_version=io.context.pipeline_version, verdict="done")
        try:
            rows = build_rows(projection, io.vcon, outcome)
        except ProjectionError as error:
            raise PermanentError(str(error)) from error
        put_rows(io.vcon, rows, projection, outcome)
        return io
