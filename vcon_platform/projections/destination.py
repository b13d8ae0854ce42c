"""What every destination of rows can do, and how a destination is found by its kind.

A destination holds rows of projections, can say which (uuid and row hash) it holds of a day, and can take them in
and out. It decides nothing: what should be there is worked out in ``reconcile.py``. Each kind is one file and one
entry point of the group ``vcon_platform.destinations``; the built-in ones come in the same way as a stranger's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import ClassVar

from pydantic import BaseModel, ValidationError

from vcon_platform.projections.errors import ProjectionError, ProjectionInvalid
from vcon_platform.projections.explain import choose, problems
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import Row

ENTRY_POINTS = "vcon_platform.destinations"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that the destination cannot hold. ``column`` is None when the destination did not say which; ``reason``
    quotes no value."""

    uuid: str
    column: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Written:
    """What a call of :meth:`Destination.write` did: the uuids whose rows are new or changed, and those refused."""

    changed: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()


class Destination(ABC):
    """Base of all destinations. An instance stands for one outside system and serves any number of projections.

    All calls are idempotent. They raise :class:`~vcon_platform.projections.errors.DestinationUnavailable` when the
    system cannot be reached and :class:`~vcon_platform.projections.errors.DestinationError` when it refuses.
    """

    kind: ClassVar[str]
    options: ClassVar[type[BaseModel]]

    @classmethod
    def check(cls, projection: Projection) -> None:
        """Refuse a declaration this destination cannot serve, without asking the outside system. Raises
        :class:`ProjectionInvalid`."""
        given = dict(projection.options_for(cls.kind))
        try:
            cls.options.model_validate(given)
        except ValidationError as error:
            place = [ref.kind for ref in projection.destinations].index(cls.kind)
            raise ProjectionInvalid(
                f"projection {projection.name}", problems(error, ("destinations", place, cls.kind))
            ) from None

    @classmethod
    @abstractmethod
    def target(cls, projection: Projection) -> str:
        """What the projection fills there (a table's full name). Two projections must not fill the same."""

    @abstractmethod
    def ensure(self, projection: Projection) -> None:
        """Create or widen what holds the rows. Raises :class:`SchemaConflict` rather than lose data."""

    @abstractmethod
    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        """uuid to row hash of every row that stands there on these days."""

    @abstractmethod
    def write(self, projection: Projection, rows: Sequence[Row]) -> Written:
        """Insert or replace these rows; of two rows of one uuid the later counts. A row that does not fit is
        rejected, and what stood there before it is removed: a table holds no values that are out of date."""

    @abstractmethod
    def delete(self, projection: Projection, uuids: Sequence[str], days: Sequence[str] | None = None) -> list[str]:
        """Remove the rows of these uuids and say which were there. With ``days``: only those that stand on one of
        these days now, so that a row which has moved on is left alone."""

    @abstractmethod
    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        """Rows per day, of these days or of all days that have rows."""


def destination_kinds() -> Mapping[str, type[Destination]]:
    """All installed kinds of destination by name. Raises :class:`ProjectionError` if one cannot be loaded."""
    return {entry.name: destination_kind(entry.name) for entry in entry_points(group=ENTRY_POINTS)}


def destination_kind(kind: str) -> type[Destination]:
    """The destination of this kind; loads no other, so that a broken plugin harms only those who use it."""
    found = entry_points(group=ENTRY_POINTS)
    names = {entry.name for entry in found}
    if kind not in names:
        raise ProjectionError(choose(kind, names, "an installed kind of destination"))
    entry = next(iter(found.select(name=kind)))
    try:
        loaded = entry.load()
    except Exception as error:  # a plugin may fail in any way it likes
        raise ProjectionError(f"destination {kind}: {entry.value} cannot be loaded: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Destination)):
        raise ProjectionError(f"destination {kind}: {entry.value} is no Destination")
    return loaded
