"""What every destination of rows can do, and how a destination is found by its kind.

A destination holds the rows of projections, conversation by conversation; it can say which set (uuid and hash) it holds
of a day, and can take sets in and out. It decides nothing: what should be there is worked out in ``reconcile.py``. Each
kind is one module and one entry point of the group ``vcon_platform.destinations``; the built-in ones
(``destinations/``) come in the same way as a stranger's, and every one of them runs the standard suite
(``tests/projections/destination_suite.py``).

Writing goes through a *session*: the sets of some days, written in steps. What a destination can do at once (one
transaction, one load job, one file per day) it does when the session ends.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import BaseModel, ValidationError

from vcon_platform.projections.errors import DestinationError, ProjectionError, ProjectionInvalid
from vcon_platform.projections.explain import choose, problems
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet, count_of

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from redis import Redis
    from sqlalchemy import Engine

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
    """What a call of :meth:`Session.write` did: the uuids whose rows are new or changed, and the rows refused."""

    changed: tuple[str, ...]
    rejected: tuple[Rejected, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """One change that would make what holds the rows what the declaration says. ``refused`` is empty for one that
    :meth:`Destination.ensure` makes by itself; else it says why not, and the statement is for a person to run."""

    statement: str
    refused: str = ""


@dataclass(frozen=True, slots=True)
class Connections:
    """What the platform itself is connected to, for destinations that need it; each opens when it is first asked for.
    Everything else a destination connects to by its own options (addresses, and ``env:`` references of secrets)."""

    postgres: Callable[[], Engine]
    redis: Callable[[], Redis]
    objects: Callable[[], ObjectStore]
    data_dir: Path
    """Where relative paths of options start."""


@dataclass(frozen=True, slots=True)
class Faults:
    """What is wrong with rows that stand somewhere: keys that are there more than once, and columns that are empty
    though the declaration asks for a value, each with how many rows."""

    duplicates: int = 0
    empty: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def among(cls, projection: Projection, rows: Iterable[Sequence[Any]]) -> Self:
        """What is wrong with these rows: for a kind that reads them and cannot let others count. A row is what stands
        in the columns of ``projection.never_empty``, None for nothing."""
        names = projection.never_empty
        places = [names.index(name) for name in projection.key]
        keys: set[tuple[str, ...]] = set()
        empty = dict.fromkeys(names, 0)
        number = 0
        for row in rows:
            number += 1
            keys.add(tuple([str(row[place]) for place in places]))
            for name, value in zip(names, row, strict=True):
                empty[name] += value is None
        return cls(number - len(keys), {name: rows for name, rows in empty.items() if rows})


class Session(ABC):
    """Changes of one projection at one destination on some days. A context manager: what was written and deleted
    stands when it is left without an error. Left by an error, a destination that can undo has undone everything, and
    any other has done a part, which the next reconcile finds."""

    @property
    def told(self) -> Mapping[str, float | str]:
        """What people should know of the session when it has ended: bytes billed, calls made. Shown beside the asset;
        numbers of several sessions are added up."""
        return {}

    @abstractmethod
    def write(self, sets: Sequence[RowSet]) -> Written:
        """Put these sets in, each in place of what stood there of the same uuid on whatever day. Rows that do not fit
        are rejected, one by one: their neighbours land, also those of the same conversation."""

    @abstractmethod
    def delete(self, uuids: Sequence[str]) -> list[str]:
        """Remove the rows of these uuids that stand on the session's days now (one that has moved on to another day is
        left alone), and say which were there."""

    def __enter__(self) -> Self:
        return self

    def __exit__(  # noqa: B027 - where every call stands by itself, nothing is left to do
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Make what was written and deleted stand, or, after an error, undo it where that can be done."""


class Destination(ABC):
    """Base of all destinations. An instance serves one outside system; give it any number of projections.

    All calls are idempotent. They raise :class:`~vcon_platform.projections.errors.DestinationUnavailable` when the
    system cannot be reached or is too busy and :class:`~vcon_platform.projections.errors.DestinationError` when it
    refuses. Messages say which projection, which target, what next, and quote no value and no secret.
    """

    kind: ClassVar[str]
    options: ClassVar[type[BaseModel]]
    title: ClassVar[str] = ""
    """What people call it, for the UI's badges and the docs; the kind where it is empty."""

    @classmethod
    @abstractmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:
        """The destination as this projection's options say. Connects when first used; raises DestinationError where a
        reference is not set, and where a package is missing (with the command that installs it)."""

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
                f"projection {projection.name}", problems(error, cls.options, ("destinations", place, cls.kind))
            ) from None

    @classmethod
    @abstractmethod
    def target(cls, projection: Projection) -> str:
        """What the projection fills there (a table's full name). Two projections must not fill the same. No secret,
        nothing personal: it is shown, and stands in the ledger."""

    @abstractmethod
    def ensure(self, projection: Projection) -> None:
        """Create or widen what holds the rows. Raises :class:`SchemaConflict` rather than lose data."""

    def plan(self, projection: Projection) -> list[Step]:  # noqa: ARG002 - for kinds that have a schema
        """What :meth:`ensure` would change now, and what it would refuse to. Changes nothing."""
        return []

    @abstractmethod
    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        """uuid to hash of every set that stands there on these days, "" for one that is not whole (:func:`whole`).
        Empty where :meth:`ensure` was never called."""

    @abstractmethod
    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        """To change what stands there on these days. :meth:`ensure` was called before."""

    @abstractmethod
    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        """Remove everything of these uuids, on whatever day, and say which were there. After it the destination has
        nothing of them, also not in what it keeps for itself."""

    @abstractmethod
    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        """Rows per day, of these days or of all days that have rows."""

    def faults(self, projection: Projection, days: Sequence[str]) -> Faults | None:  # noqa: ARG002
        """What a look at the rows of these days finds wrong, in one query; None for a kind that cannot look."""
        return None

    def read(self, projection: Projection, first: str, last: str) -> Iterator[list[tuple[Any, ...]]]:  # noqa: ARG002
        """The rows of the days from first to last (ISO, both included), some at a time, for people who work with them:
        values as :func:`~.values.python_value` gives them, in the order of ``projection.columns``; by day and key
        within what is cheap."""
        raise DestinationError(
            f"projection {projection.name}: rows cannot be read back from {self.title or self.kind} here; read them "
            "there, or from another destination (postgres, parquet, duckdb)"
        )


def whole(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """(uuid, hash) of each row that stands somewhere, as uuid to hash of the set; "" where rows are missing, are too
    many, or are of different sets."""
    found: dict[str, tuple[str, int]] = {}
    for uuid, digest in rows:
        before, number = found.get(uuid, (digest, 0))
        found[uuid] = (digest if digest == before else "", number + 1)
    return {uuid: digest if count_of(digest) == number else "" for uuid, (digest, number) in found.items()}


@lru_cache(maxsize=1)
def _announced() -> Mapping[str, EntryPoint]:
    """The installed kinds by name: asking for them reads the metadata of every package, so once per process."""
    return {entry.name: entry for entry in reversed(tuple(entry_points(group=ENTRY_POINTS)))}  # of two, the first


def destination_kinds() -> Mapping[str, type[Destination]]:
    """All installed kinds of destination by name. Raises :class:`ProjectionError` if one cannot be loaded."""
    return {name: destination_kind(name) for name in sorted(_announced())}


def destination_kind(kind: str) -> type[Destination]:
    """The destination of this kind; loads no other, so that a broken plugin harms only those who use it."""
    found = _announced()
    if kind not in found:
        raise ProjectionError(choose(kind, found, "an installed kind of destination"))
    entry = found[kind]
    try:
        loaded = entry.load()
    except Exception as error:  # a plugin may fail in any way it likes
        raise ProjectionError(f"destination {kind}: {entry.value} cannot be loaded: {error}") from error
    if not (isinstance(loaded, type) and issubclass(loaded, Destination)):
        raise ProjectionError(f"destination {kind}: {entry.value} is no Destination")
    return loaded
