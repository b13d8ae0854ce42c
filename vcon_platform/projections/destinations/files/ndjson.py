"""NDJSON as a destination: one file per day, one JSON object per row.

Belongs here: reading and making such a file. Not here: folders and sessions (``base.py``).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar

import orjson
from pydantic import BaseModel

from vcon_platform.projections.destinations.files import lines
from vcon_platform.projections.destinations.files.base import DailyFilesDestination, Row, now, told
from vcon_platform.projections.destinations.files.lines import LinesOptions
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType, python_value


class NdjsonDestination(DailyFilesDestination):
    """Rows in ``day=2026-03-02/rows.ndjson``."""

    kind: ClassVar[str] = "ndjson"
    title: ClassVar[str] = "NDJSON"
    options: ClassVar[type[BaseModel]] = LinesOptions

    @classmethod
    def suffix(cls, projection: Projection) -> str:
        return f".ndjson{lines.suffix(projection, cls.kind)}"

    @classmethod
    def value(cls, projection: Projection) -> Callable[[Any, ColumnType], Any]:  # noqa: ARG003
        return json_value

    @classmethod
    def sets_in(cls, projection: Projection, data: bytes) -> Mapping[str, tuple[str, int]]:
        objects = map(orjson.loads, _records(lines.unpacked(projection, cls.kind, data)))
        return told((each[projection.uuid_column], each["_row_hash"]) for each in objects)

    @classmethod
    def values_in(cls, projection: Projection, data: bytes, names: Sequence[str]) -> Iterable[Sequence[Any]]:
        for record in _records(lines.unpacked(projection, cls.kind, data)):
            found = json.loads(record, parse_float=Decimal)  # a key may be a number with more digits than a float's
            yield [found.get(name) for name in names]

    @classmethod
    def made(cls, projection: Projection, before: bytes | None, drop: Collection[str], rows: Sequence[Row]) -> bytes:
        names = lines.columns(projection)
        landed_at = now().isoformat()
        new = [
            (row.uuid, json_line(dict(zip(names, (*row.values, row.day, row.hash, landed_at), strict=True))))
            for row in rows
        ]
        if before is not None:
            new += _kept(projection, lines.unpacked(projection, cls.kind, before), names, drop)
            new.sort(key=lambda each: each[0])
        return lines.packed(projection, cls.kind, "".join([text for _, text in new]))


def json_value(value: Any, column_type: ColumnType) -> Any:
    """The value as orjson takes it; a numeric with all its digits. Raises :class:`~.values.Misfit`."""
    return plain_json(python_value(value, column_type))


def plain_json(value: Any) -> Any:
    """A Python value (:func:`~.values.python_value`) as orjson takes it."""
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    if isinstance(value, list) and any(isinstance(item, Decimal) for item in value):
        return [plain_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def json_line(row: Mapping[str, Any]) -> str:
    """A row as a line."""
    return orjson.dumps(row).decode() + "\n"


def _records(text: str) -> Iterator[str]:
    return (each for each in text.split("\n") if each)


def _kept(projection: Projection, text: str, names: Sequence[str], drop: Collection[str]) -> Iterator[tuple[str, str]]:
    """(uuid, line) of the other conversations' rows, in today's columns."""
    column = projection.uuid_column
    for record in _records(text):
        found = orjson.loads(record)
        uuid = found[column]
        if uuid not in drop:
            same = list(found) == list(names)
            yield uuid, f"{record}\n" if same else json_line({name: found.get(name) for name in names})
