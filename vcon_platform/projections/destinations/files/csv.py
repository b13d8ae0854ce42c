"""CSV as a destination: one file per day, UTF-8 with a header, every value in quotes and nothing for no value.

Belongs here: reading and making such a file, and what keeps its text from being run. Not here: folders and sessions
(``base.py``).

A spreadsheet that opens a CSV takes a text that begins with ``=``, ``+``, ``-`` or ``@`` for a formula, whoever said
it: such a text gets a ``'`` before it, as OWASP advises, unless the option ``formulas`` says otherwise. Numbers, times
and what the platform itself writes are never touched. Lists and JSON are written as JSON.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any, ClassVar, Literal

import orjson
from pydantic import BaseModel, Field

from vcon_platform.projections.destinations.files import lines
from vcon_platform.projections.destinations.files.base import DailyFilesDestination, Row, now, told
from vcon_platform.projections.destinations.files.lines import LinesOptions
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType, fit, python_value

_TRIGGERS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
_WORDS = ("text", "jsonb")
_CELL = re.compile(r'(?:^|,)("(?:[^"]|"")*"|[^,\r\n]*)')
"""A cell as it stands in a record, with its quotes."""


class CsvOptions(LinesOptions):
    """Options of a projection's folder of CSV files."""

    formulas: Literal["safe", "verbatim"] = Field(
        default="safe",
        title="Formulas",
        description="safe: a text that a spreadsheet would run gets ' before it. verbatim: text stays as it was said.",
    )


class CsvDestination(DailyFilesDestination):
    """Rows in ``day=2026-03-02/rows.csv``."""

    kind: ClassVar[str] = "csv"
    title: ClassVar[str] = "CSV"
    options: ClassVar[type[BaseModel]] = CsvOptions

    @classmethod
    def suffix(cls, projection: Projection) -> str:
        return f".csv{lines.suffix(projection, cls.kind)}"

    @classmethod
    def value(cls, projection: Projection) -> Callable[[Any, ColumnType], str | None]:
        return csv_value if cls.options_of(projection).model_dump()["formulas"] == "safe" else csv_text

    @classmethod
    def sets_in(cls, projection: Projection, data: bytes) -> Mapping[str, tuple[str, int]]:
        records = csv.reader(io.StringIO(lines.unpacked(projection, cls.kind, data), newline=""))
        header = next(records)
        places = (header.index(projection.uuid_column), header.index("_row_hash"))
        return told((record[places[0]], record[places[1]]) for record in records)

    @classmethod
    def values_in(cls, projection: Projection, data: bytes, names: Sequence[str]) -> Iterable[Sequence[Any]]:
        raw = list(_records(lines.unpacked(projection, cls.kind, data)))
        parsed = csv.reader(raw)
        header = next(parsed)
        places = [header.index(name) if name in header else len(header) for name in names]
        for record, cells in zip(raw[1:], parsed, strict=True):
            values: list[str | None] = [cells[place] if place < len(cells) else None for place in places]
            if "" in values:  # the reader does not tell an empty text from nothing
                written = _CELL.findall(record)
                values = [
                    value if written[place : place + 1] != [""] else None
                    for value, place in zip(values, places, strict=True)
                ]
            yield values

    @classmethod
    def made(cls, projection: Projection, before: bytes | None, drop: Collection[str], rows: Sequence[Row]) -> bytes:
        names = lines.columns(projection)
        landed_at = now().isoformat()
        new = [(row.uuid, line((*row.values, row.day, row.hash, landed_at))) for row in rows]
        if before is not None:
            new += _kept(projection, lines.unpacked(projection, cls.kind, before), names, drop)
            new.sort(key=lambda each: each[0])
        return lines.packed(projection, cls.kind, line(names) + "".join([text for _, text in new]))


def csv_text(value: Any, column_type: ColumnType) -> str | None:
    """The value as a cell; lists as JSON. Raises :class:`~.values.Misfit`."""
    if not column_type.endswith("[]"):
        return fit(value, column_type)
    return cell_of(python_value(value, column_type), column_type, safe=False)


def csv_value(value: Any, column_type: ColumnType) -> str | None:
    """The value as a cell that no spreadsheet runs."""
    return _safe(csv_text(value, column_type), column_type)


def cell_of(value: Any, column_type: ColumnType, *, safe: bool) -> str | None:
    """A Python value (:func:`~.values.python_value`) as a cell."""
    if value is None:
        return None
    if column_type == "text[]" or column_type == "jsonb":
        cell = orjson.dumps(value).decode()
    elif column_type.endswith("[]"):
        cell = "[" + ",".join("null" if item is None else str(item) for item in value) + "]"
    elif isinstance(value, bool):
        cell = "true" if value else "false"
    else:
        cell = value.isoformat() if isinstance(value, date) else str(value)
    return _safe(cell, column_type) if safe else cell


def _safe(cell: str | None, column_type: ColumnType) -> str | None:
    return f"'{cell}" if cell is not None and column_type in _WORDS and cell.startswith(_TRIGGERS) else cell


def line(cells: Sequence[str | None]) -> str:
    """A record: every value in quotes, nothing for none, so that an empty text differs from no value."""
    return ",".join(['"' + cell.replace('"', '""') + '"' if cell is not None else "" for cell in cells]) + "\r\n"


def _kept(projection: Projection, text: str, names: Sequence[str], drop: Collection[str]) -> Iterator[tuple[str, str]]:
    """(uuid, record) of the other conversations' rows, in today's columns: a new one is empty, one that is gone is left
    out."""
    raw = list(_records(text))
    parsed = csv.reader(raw)
    header = next(parsed)
    place = header.index(projection.uuid_column)
    for record, cells in zip(raw[1:], parsed, strict=True):
        if cells[place] in drop:
            continue
        if header == names:
            yield cells[place], record
        else:
            found = dict(zip(header, cells, strict=False))
            yield cells[place], line([found.get(name) or None for name in names])


def _records(text: str) -> Iterator[str]:
    """A CSV's records as they stand there. One ends at a line's end with an even number of quotes before it."""
    begun: list[str] = []
    quotes = 0
    for part in io.StringIO(text, newline="\n"):
        begun.append(part)
        quotes += part.count('"')
        if quotes % 2 == 0:
            yield "".join(begun)
            begun, quotes = [], 0
    if begun:
        yield "".join(begun)
