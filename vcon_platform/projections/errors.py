"""What can go wrong between a vCon and a table. The messages name the place and the cure, and quote no row's value."""

from __future__ import annotations

from vcon_platform.errors import PlatformError


class ProjectionError(PlatformError):
    """Root of this room's errors."""


class ProjectionInvalid(ProjectionError):
    """A declaration cannot be used. ``problems`` holds one sentence per fault, each starting with a JSON pointer."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.source = source
        self.problems = problems
        super().__init__(f"{source}: " + "; ".join(problems))


class RowError(ProjectionError):
    """A row cannot be built from a vCon, or an attachment that claims to hold one does not."""


class DestinationError(ProjectionError):
    """A destination refuses, and asking again cannot help: a missing right, a table of another shape."""


class DestinationUnavailable(DestinationError):
    """A destination cannot be reached or is too busy. Nothing was changed; ask again later."""


class SchemaConflict(DestinationError):
    """The table that is there and the declaration disagree in a way that could lose data."""
