"""A worksheet as the platform sees it, and the requests of Google's API that change its rows and columns.

Belongs here: a worksheet's columns and rows by number, and wording requests. Not here: which worksheets there are and
how they come about (``tabs.py``). Rows and columns are numbered from 0, as Google does in requests.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

KEY, DAY, HASH, LANDED = BOOKKEEPING = ("_vCon", "_day", "_row_hash", "_landed_at")
"""``_vCon`` is no name that a column may have; the others are reserved in every declaration."""

Request = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Row:
    """What the hidden columns of a row say. ``key`` is "" for a row of ours whose ``_vCon`` was emptied."""

    key: str
    day: str
    hash: str

    @property
    def uuid(self) -> str:
        return self.key.partition(" ")[0]

    @property
    def orphaned(self) -> bool:
        """Whether it is ours and nobody can say whose: it is deleted at the next opportunity."""
        return not self.key


@dataclass(slots=True)
class Tab:
    """A worksheet of the projection. ``rows`` are those from row 2 on: None for one that is somebody's own."""

    sheet_id: int
    title: str
    part: int
    row_count: int
    column_count: int
    frozen: int = 1
    metadata_id: int = 0
    declared: tuple[str, ...] = ()
    header: list[str] = field(default_factory=list)
    rows: list[Row | None] = field(default_factory=list)

    def column(self, name: str) -> int:
        """The number of a column, from 0."""
        return self.header.index(name)

    @property
    def own(self) -> list[int]:
        """The columns that the platform fills, from left to right."""
        names = {*BOOKKEEPING, *self.declared}
        return [place for place, name in enumerate(self.header) if name in names]

    def ours(self) -> Iterator[tuple[int, Row]]:
        """Our rows, with their places from 0 (the row below the header)."""
        return ((at, row) for at, row in enumerate(self.rows) if row is not None)

    def a1(self, cells: str) -> str:
        """A range of this worksheet."""
        return "'" + self.title.replace("'", "''") + "'!" + cells


def letters(column: int) -> str:
    """A column's name, from 0: A, B, ... Z, AA."""
    name = ""
    column += 1
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


def add_rows(tab: Tab, number: int) -> Request:
    """The request for so many empty rows below the last one."""
    return append_dimension(tab, "ROWS", number)


def insert_rows(tab: Tab, at: int, number: int) -> Request:
    """The request for so many empty rows before this one (from 0), which moves down."""
    span = dimension_of(tab, "ROWS", at, at + number)
    return {"insertDimension": {"range": span, "inheritFromBefore": True}}


def delete_rows(tab: Tab, rows: Sequence[int]) -> Iterator[Request]:
    """The requests that delete these rows (from 0), from the bottom up, because those below move."""
    ordered = sorted(rows)
    while ordered:
        end = ordered.pop() + 1
        start = end - 1
        while ordered and ordered[-1] == start - 1:
            start = ordered.pop()
        yield {"deleteDimension": {"range": dimension_of(tab, "ROWS", start, end)}}


def dimension_of(tab: Tab, dimension: str, start: int, end: int) -> Request:
    """Rows or columns, the end excluded."""
    return {"sheetId": tab.sheet_id, "dimension": dimension, "startIndex": start, "endIndex": end}


def append_dimension(tab: Tab, dimension: str, number: int) -> Request:
    """The request for rows or columns at the end."""
    return {"appendDimension": {"sheetId": tab.sheet_id, "dimension": dimension, "length": number}}


def cells_of(tab: Tab, top: int, bottom: int, left: int, right: int) -> Request:
    """A rectangle of cells, its ends excluded."""
    rows = {"startRowIndex": top, "endRowIndex": bottom}
    return {"sheetId": tab.sheet_id, **rows, "startColumnIndex": left, "endColumnIndex": right}


def header_cells(tab: Tab, left: int, names: Sequence[str]) -> Request:
    """The request that writes names into row 1, in bold."""
    bold = {"textFormat": {"bold": True}}
    cells = [{"userEnteredValue": {"stringValue": name}, "userEnteredFormat": bold} for name in names]
    return {
        "updateCells": {
            "start": {"sheetId": tab.sheet_id, "rowIndex": 0, "columnIndex": left},
            "rows": [{"values": cells}],
            "fields": "userEnteredValue,userEnteredFormat.textFormat.bold",
        }
    }
