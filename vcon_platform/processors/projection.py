"""The processor ``projection``: writes a projection's row into the vCon, where it travels with the conversation.

Belongs here: the step of a pipeline. Not here: what a row is and how it is built (``projections/rows.py``), or how
it gets into a table (the destinations).
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
        description="Name of the declared projection whose row is written.",
    )


class ProjectionProcessor(Processor[ProjectionOptions]):
    """A row for the conversation."""

    name = "projection"
    version = "1.1.0"
    title = "Write a projection's row"
    description = (
        "Builds the row of a declared projection and keeps it in the vCon as an attachment, from where the "
        "projection's destinations take it. Doing it again replaces the row."
    )
    effects = Effects(changes=True)
    options = ProjectionOptions

    def process(self, io: ProcessorIO, options: ProjectionOptions) -> ProcessorIO:
        """Raises PermanentError if there is no such projection, or its row cannot be built from this vCon."""
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
