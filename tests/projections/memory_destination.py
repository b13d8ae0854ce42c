"""A destination in memory: the standard suite's own proof, and the outside system of the landing's tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, ClassVar, Self

from pydantic import BaseModel

from vcon_platform.projections.destination import Connections, Destination, Rejected, Session, Written, whole
from vcon_platform.projections.errors import DestinationUnavailable
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet
from vcon_platform.projections.values import Misfit, fit


class MemoryOptions(BaseModel):
    """Nothing to choose."""


@dataclass
class StoredRow:
    """One row as it stands there: fitted values by column, beside the bookkeeping."""

    uuid: str
    day: str
    hash: str
    values: dict[str, str | None]


@dataclass
class MemoryDestination(Destination):
    """Rows in a list. ``away`` makes every call fail; without ``transactions`` a step stands as soon as it is done."""

    kind: ClassVar[str] = "memory"
    options: ClassVar[type[BaseModel]] = MemoryOptions

    rows: list[StoredRow] = field(default_factory=list)
    away: bool = False
    transactions: bool = True
    asked: int = 0
    """How often :meth:`held` was asked."""

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:  # noqa: ARG003
        return cls()

    @classmethod
    def target(cls, projection: Projection) -> str:
        return projection.name

    def ensure(self, projection: Projection) -> None:
        self._answer(projection)

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        self._answer(projection)
        self.asked += 1
        return whole((row.uuid, row.hash) for row in self.rows if row.day in days)

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return _MemorySession(self, projection, days)

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        self._answer(projection)
        there = [uuid for uuid in uuids if any(row.uuid == uuid for row in self.rows)]
        self.rows = [row for row in self.rows if row.uuid not in there]
        return there

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        self._answer(projection)
        found: dict[str, int] = {}
        for row in self.rows:
            if days is None or row.day in days:
                found[row.day] = found.get(row.day, 0) + 1
        return found

    def stored(self) -> list[dict[str, Any]]:
        """What stands there, by column."""
        return [dict(row.values) for row in self.rows]

    def _answer(self, projection: Projection) -> None:
        if self.away:
            raise DestinationUnavailable(f"projection {projection.name}: memory is away; the rows follow")


class _MemorySession(Session):
    def __init__(self, destination: MemoryDestination, projection: Projection, days: Sequence[str]) -> None:
        self._destination, self._projection, self._days = destination, projection, frozenset(days)

    def __enter__(self) -> Self:
        self._before = list(self._destination.rows)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and self._destination.transactions:
            self._destination.rows = self._before

    def write(self, sets: Sequence[RowSet]) -> Written:
        self._destination._answer(self._projection)
        rejected: list[Rejected] = []
        changed: list[str] = []
        for each in sets:
            fitted = list(self._fitted(each, rejected))
            if [row for row in self._destination.rows if row.uuid == each.uuid] != fitted:
                self._destination.rows = [row for row in self._destination.rows if row.uuid != each.uuid] + fitted
                changed.append(each.uuid)
        return Written(tuple(changed), tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        self._destination._answer(self._projection)
        wanted = frozenset(uuids)
        gone = [row for row in self._destination.rows if row.uuid in wanted and row.day in self._days]
        self._destination.rows = [row for row in self._destination.rows if row not in gone]
        return list(dict.fromkeys(row.uuid for row in gone))

    def _fitted(self, each: RowSet, rejected: list[Rejected]) -> Iterator[StoredRow]:
        keys: set[tuple[str | None, ...]] = set()
        for row in each.rows:
            values: dict[str, str | None] = {}
            try:
                for column in self._projection.columns:
                    place = column.name
                    value = each.uuid if column.source == "uuid" else row.get(column.name)
                    values[place] = fit(value, column.type)
                    if values[place] is None and place in self._projection.key:
                        raise Misfit("empty, and part of the key")
                place = self._projection.key[-1]
                key = tuple(values[name] for name in self._projection.key)
                if key in keys:
                    raise Misfit("is there twice")
            except Misfit as misfit:
                rejected.append(Rejected(each.uuid, place, str(misfit)))
                continue
            keys.add(key)
            yield StoredRow(each.uuid, each.day, each.hash, values)
