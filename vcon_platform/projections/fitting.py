"""Whole rows as a destination takes them: every value fitted to its column's type, and what cannot land told apart.

Belongs here: what all destinations reject alike. Not here: one value (``values.py``), and how a destination writes.

A row that cannot land is rejected for itself: its neighbours land, also those of the same conversation. The
conversation then stands there incomplete, which the destination says by the number of rows in the set's hash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from vcon_platform.projections.column import FAULTS
from vcon_platform.projections.destination import Rejected
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet
from vcon_platform.projections.values import ColumnType, Misfit


class FittedRow[T](NamedTuple):  # made five times as quickly as a frozen dataclass, and there are millions
    """A row that can land: its values in the order of ``projection.columns``, and the day and hash of its set."""

    uuid: str
    day: str
    hash: str
    values: tuple[T | None, ...]


def fitted[T](
    projection: Projection, sets: Sequence[RowSet], value: Callable[[Any, ColumnType], T | None]
) -> tuple[list[FittedRow[T]], list[Rejected]]:
    """The rows of these sets, and those that do not fit. ``value`` is :func:`~.values.fit` or
    :func:`~.values.python_value`, or calls one of them.

    Rejected are a value that is a Misfit or could not be had when the row was built, nothing where the key or
    ``required`` asks for something, and the later of two rows of one conversation with the same key. The uuid is the
    set's, whatever its values say: whoever can post a vCon must not be able to write over another conversation's rows.
    Of two sets of one uuid the later counts.
    """
    columns = [(column.name, column.type, column.source == "uuid") for column in projection.columns]
    names = [column.name for column in projection.columns]
    keys = [names.index(name) for name in projection.key]
    told_apart = [(place, columns[place][1] == "numeric") for place in keys if not columns[place][2]]
    by_itself = len(told_apart) == 1 and columns[told_apart[0][0]][1] in ("text", "integer", "bigint")
    needed = {*keys, *(place for place, column in enumerate(projection.columns) if column.required)}
    rows: list[FittedRow[T]] = []
    rejected: list[Rejected] = []
    for each in {each.uuid: each for each in sets}.values():
        seen: set[Any] = set()
        try:
            uuid = value(each.uuid, "text")
        except Misfit as misfit:
            rejected.append(Rejected(each.uuid, projection.uuid_column, str(misfit)))
            continue
        for row in each.rows:
            if faults := row.get(FAULTS):
                rejected.append(_faulty(each.uuid, faults, names))
                continue
            values: list[T | None] = []
            for place, (name, column_type, is_uuid) in enumerate(columns):
                try:
                    fit = uuid if is_uuid else value(row.get(name), column_type)
                except Misfit as misfit:
                    rejected.append(Rejected(each.uuid, name, str(misfit)))
                    break
                if fit is None and place in needed:
                    why = "part of the key" if place in keys else "required"
                    rejected.append(Rejected(each.uuid, name, f"empty, and {why}"))
                    break
                values.append(fit)
            else:
                if len(each.rows) > 1:
                    # 1 and 1.00 are one key where the database says so, also as texts.
                    key: Any = (
                        values[told_apart[0][0]]  # a position, nearly always
                        if by_itself
                        else tuple(
                            [Decimal(str(values[at])) if number else str(values[at]) for at, number in told_apart]
                        )
                    )
                    if key in seen:
                        told = next((name for name in projection.key if name != projection.uuid_column), None)
                        column = told or projection.uuid_column
                        rejected.append(Rejected(each.uuid, column, "is there twice in the key"))
                        continue
                    seen.add(key)
                rows.append(FittedRow(each.uuid, each.day, each.hash, tuple(values)))
    return rows, rejected


def _faulty(uuid: str, faults: Any, names: list[str]) -> Rejected:
    """The words are ours: a row may have come with its vCon from anywhere."""
    column = next((name for name in faults if name in names), None) if isinstance(faults, list) else None
    what = "its value" if column else "'where' or the grain's filter"
    return Rejected(uuid, column, f"{what} failed on this conversation; mend the filter or set its key, then reprocess")
