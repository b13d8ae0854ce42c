"""The worksheets of a projection: finding them, making them, and reading which rows they hold.

Belongs here: where things are. Not here: which rows should be there (``destination.py``), and calls (``api.py``).

A worksheet is found by a mark in its developer metadata, which stays when people rename or move it; its columns are
found by their names in row 1, wherever people move them. The columns the platform needs for itself come first and are
hidden: ``_vCon`` says which row of which conversation it is; ``_day``, ``_row_hash`` and ``_landed_at`` are as in every
destination. Rows without any of these, and columns that the mark does not name, are somebody's own: nothing is written
there. What a large table holds is read from the hidden columns alone, in one call.

What could harm what people made is refused, as in ``postgres/schema.py``: a column that vanished from the declaration
or from row 1, a name that stands there twice, a worksheet that was not made for the projection.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

import orjson

from vcon_platform.projections.destination import Step
from vcon_platform.projections.destinations.google_sheets.api import SheetsApi, TabsChanged, spreadsheet_full
from vcon_platform.projections.destinations.google_sheets.cells import DATE_FORMAT, TIME_FORMAT
from vcon_platform.projections.destinations.google_sheets.grid import (
    BOOKKEEPING,
    DAY,
    HASH,
    KEY,
    LANDED,
    Request,
    Row,
    Tab,
    append_dimension,
    cells_of,
    dimension_of,
    header_cells,
    letters,
)
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable, SchemaConflict
from vcon_platform.projections.model import Projection

MARK = "vcon-platform"
CELLS = 10_000_000
"""What a spreadsheet holds at most, all its worksheets and their empty cells counted."""
PAGE = 50_000
"""Rows read in one call."""


class Book:
    """The worksheets of one projection in one spreadsheet."""

    def __init__(self, api: SheetsApi, projection: Projection, title: str, where: str) -> None:
        self.api = api
        self.tabs: list[Tab] = []
        self.cells = 0
        """Cells of the whole spreadsheet."""
        self.looked_at = 0.0
        self._projection = projection
        self._title = title
        self._where = where
        self._titles: dict[str, Mapping[str, Any]] = {}

    def look(self) -> None:
        """See which worksheets there are, and their headers. Two calls."""
        self.tabs, self.cells, self._titles, self.looked_at = [], 0, {}, time.monotonic()
        for sheet in self.api.about().get("sheets", ()):
            properties = sheet["properties"]
            grid = properties.get("gridProperties", {})  # a chart's worksheet has none
            self.cells += grid.get("rowCount", 0) * grid.get("columnCount", 0)
            self._titles[properties["title"]] = sheet
            for told in sheet.get("developerMetadata", ()):
                mark = _mark(told)
                if (mark.get("projection"), mark.get("worksheet")) == (self._projection.name, self._title):
                    self.tabs.append(
                        Tab(
                            sheet_id=properties["sheetId"],
                            title=properties["title"],
                            part=int(mark.get("part", 1)),
                            row_count=grid.get("rowCount", 0),
                            column_count=grid.get("columnCount", 0),
                            frozen=grid.get("frozenRowCount", 0),
                            metadata_id=told.get("metadataId", 0),
                            declared=tuple(mark.get("columns", ())),
                        )
                    )
        self.tabs.sort(key=lambda tab: tab.part)
        for tab, lines in zip(self.tabs, self.api.read([tab.a1("1:1") for tab in self.tabs]), strict=True):
            tab.header = _header(lines)
            self._refuse_broken(tab)

    def ensure(self) -> None:
        """Make the worksheet, or add columns to it. Raises SchemaConflict."""
        self.look()
        changes: list[Request] = []
        for tab in self.tabs:
            changes += self._new_columns(tab)
        if not self.tabs:
            changes += self._first()
        if changes:
            self.api.change(changes)

    def plan(self) -> list[Step]:
        """What :meth:`ensure` would do, and what it refuses to. Changes nothing."""
        steps: list[Step] = []
        title = self._title
        try:
            self.look()
            for tab in self.tabs:
                title, known = tab.title, tab.declared
                self._new_columns(tab)
                new = (name for name in tab.declared if name not in known)
                steps += (Step(f"a new column {name} in worksheet {title!r}") for name in new)
            if not self.tabs:
                there = "the empty" if title in self._titles else "a new"
                self._first()
                steps.append(Step(f"{there} worksheet {title!r}, with the columns {', '.join(self.tabs[0].declared)}"))
        except DestinationUnavailable:
            raise
        except DestinationError as refused:  # a conflict, or no room
            steps.append(Step(f"worksheet {title!r}", refused=str(refused)))
        finally:
            self.tabs = []  # nothing of it came about
        return steps

    def read(self) -> None:
        """See which rows there are. One call for :data:`PAGE` rows; worksheets that changed are looked at again."""
        for last in (False, True):
            try:
                if self._read():
                    return
            except TabsChanged:
                if last:
                    raise
            self.look()
        raise TabsChanged(f"{self._where}: the worksheet's columns are being moved; the next try looks anew")

    def another(self, part: int, rows: int) -> tuple[Tab, list[Request]]:
        """One more worksheet of so many rows, its header included, and the requests that make it."""
        title, number = (self._title, 1) if part == 1 else (f"{self._title} ({part})", part)
        while title in self._titles:
            number += 1
            title = f"{self._title} ({number})"
        header = [*BOOKKEEPING, *(column.name for column in self._projection.columns)]
        tab = Tab(
            sheet_id=random.randrange(1, 2**31),  # noqa: S311 - so that the next requests can name it
            title=title,
            part=part,
            row_count=1 + max(rows, 1),
            column_count=len(header),
            header=header,
            declared=tuple(header[len(BOOKKEEPING) :]),
        )
        self.grow(tab.row_count * tab.column_count)
        grid = {"rowCount": tab.row_count, "columnCount": tab.column_count, "frozenRowCount": 1}
        properties = {"sheetId": tab.sheet_id, "title": title, "gridProperties": grid}
        self._titles[title] = {}
        return tab, [{"addSheet": {"properties": properties}}, *self._furnish(tab)]

    def grow(self, cells: int) -> None:
        """Take so many cells more. Raises DestinationError where the spreadsheet has no room for them."""
        if self.cells + cells > CELLS:
            raise spreadsheet_full(self._where)
        self.cells += cells

    def formats(self, tab: Tab, start: int, end: int) -> list[Request]:
        """Let dates and times of these new rows (from 0, end excluded) be shown as such; nothing else is touched."""
        wanted = {column.name: DATE_FORMAT for column in self._projection.columns if column.type == "date"}
        wanted |= {column.name: TIME_FORMAT for column in self._projection.columns if column.type == "timestamptz"}
        return [
            {
                "repeatCell": {
                    "range": cells_of(tab, start, end, tab.column(name), tab.column(name) + 1),
                    "cell": {"userEnteredFormat": {"numberFormat": look}},
                    "fields": "userEnteredFormat.numberFormat",
                }
            }
            for name, look in {**wanted, LANDED: TIME_FORMAT}.items()
            if name in tab.header
        ]

    def _read(self) -> bool:
        """Whether the headers are still what they were; if so, every tab's rows are known."""
        rows: dict[int, list[Row | None]] = {tab.sheet_id: [] for tab in self.tabs}
        for pages in _calls(self.tabs):
            ranges = [tab.a1("1:1") for tab, _, _ in pages]
            for tab, start, end in pages:
                names = (letters(tab.column(name)) for name in (KEY, DAY, HASH))
                ranges += [tab.a1(f"{name}{start}:{name}{end or ''}") for name in names]
            # Asked for by columns, a row is a list of columns of one cell each.
            found = self.api.read(ranges, by_columns=True)
            for place, (tab, _, _) in enumerate(pages):
                if _header([[column[0] if column else "" for column in found[place]]]) != tab.header:
                    return False
                first = len(pages) + 3 * place
                columns = [each[0] if each else [] for each in found[first : first + 3]]
                rows[tab.sheet_id] += (_row(cells) for cells in zip_longest(*columns, fillvalue=""))
        for tab in self.tabs:
            tab.rows = rows[tab.sheet_id]
        return True

    def _first(self) -> list[Request]:
        """The requests that make the projection's first worksheet, or take over an empty one of that name."""
        there = self._titles.get(self._title)
        if there is None:
            tab, requests = self.another(1, rows=1)
            self.tabs.append(tab)
            return requests
        grid = there["properties"].get("gridProperties")
        owner = next((mark["projection"] for mark in map(_mark, there.get("developerMetadata", ())) if mark), None)
        told = f"{self._where}: worksheet {self._title!r}"
        if owner is not None:
            raise SchemaConflict(f"{told} is kept by projection {owner}; choose another name for the worksheet")
        if grid is None or any(self.api.read(["'" + self._title.replace("'", "''") + "'"])):
            raise SchemaConflict(
                f"{told} exists and was not made for a projection: empty it, or choose another name for the worksheet"
            )
        header = [*BOOKKEEPING, *(column.name for column in self._projection.columns)]
        tab = Tab(
            sheet_id=there["properties"]["sheetId"],
            title=self._title,
            part=1,
            row_count=grid["rowCount"],
            column_count=grid["columnCount"],
            header=header,
            declared=tuple(header[len(BOOKKEEPING) :]),
        )
        requests = []
        for dimension, missing in (("COLUMNS", len(header) - tab.column_count), ("ROWS", 2 - tab.row_count)):
            if missing > 0:
                requests.append(append_dimension(tab, dimension, missing))
        tab.row_count, tab.column_count = max(tab.row_count, 2), max(tab.column_count, len(header))
        self.grow(tab.row_count * tab.column_count - grid["rowCount"] * grid["columnCount"])
        freeze = {"sheetId": tab.sheet_id, "gridProperties": {"frozenRowCount": 1}}
        requests.append(
            {"updateSheetProperties": {"properties": freeze, "fields": "gridProperties.frozenRowCount"}},
        )
        self.tabs.append(tab)
        return [*requests, *self._furnish(tab)]

    def _furnish(self, tab: Tab) -> list[Request]:
        """Header, formats, hidden columns and the mark of a new worksheet."""
        return [
            header_cells(tab, 0, tab.header),
            *self.formats(tab, 1, tab.row_count),
            {
                "updateDimensionProperties": {
                    "range": dimension_of(tab, "COLUMNS", 0, len(BOOKKEEPING)),
                    "properties": {"hiddenByUser": True},
                    "fields": "hiddenByUser",
                }
            },
            {
                "createDeveloperMetadata": {
                    "developerMetadata": {
                        "metadataKey": MARK,
                        "metadataValue": self._mark_of(tab),
                        "location": {"sheetId": tab.sheet_id},
                        "visibility": "DOCUMENT",
                    }
                }
            },
        ]

    def _new_columns(self, tab: Tab) -> list[Request]:
        """The requests that add what the declaration has and the worksheet has not, left of people's own columns."""
        declared = [column.name for column in self._projection.columns]
        gone = [name for name in tab.declared if name not in declared]
        told = f"{self._where}: column {{}} of worksheet {tab.title!r}"
        if gone:
            raise SchemaConflict(
                told.format(gone[0]) + " is no longer declared, and its values would go out of date: declare it again, "
                "delete the column, or rename it in row 1 and it is your own"
            )
        new = [name for name in declared if name not in tab.declared]
        for name in new:
            if name in tab.header:
                raise SchemaConflict(told.format(name) + " is somebody's own: rename it in row 1, then land again")
        if not new:
            return []
        at = max(tab.own) + 1
        self.grow(len(new) * tab.row_count)
        tab.header[at:at] = new
        tab.column_count += len(new)
        tab.declared = (*tab.declared, *new)
        return [
            {"insertDimension": {"range": dimension_of(tab, "COLUMNS", at, at + len(new)), "inheritFromBefore": False}},
            header_cells(tab, at, new),
            *self.formats(tab, 1, tab.row_count),
            {
                "updateDeveloperMetadata": {
                    "dataFilters": [{"developerMetadataLookup": {"metadataId": tab.metadata_id}}],
                    "developerMetadata": {"metadataValue": self._mark_of(tab)},
                    "fields": "metadataValue",
                }
            },
        ]

    def _refuse_broken(self, tab: Tab) -> None:
        told = f"{self._where}: row 1 of worksheet {tab.title!r}"
        for name in (*BOOKKEEPING, *tab.declared):
            times = tab.header.count(name)
            declared = name in BOOKKEEPING or any(column.name == name for column in self._projection.columns)
            if times == 0 and declared:
                raise SchemaConflict(
                    f"{told} no longer names the column {name}: write the name back above its values (hidden columns "
                    "too), or delete the worksheet and land again"
                )
            if times > 1:
                raise SchemaConflict(f"{told} names {name} {times} times: rename the column that is your own")
        # A column that left both the declaration and row 1 is forgotten.
        tab.declared = tuple(name for name in tab.declared if name in tab.header)

    def _mark_of(self, tab: Tab) -> str:
        mark = {"projection": self._projection.name, "worksheet": self._title, "part": tab.part}
        return orjson.dumps({**mark, "columns": tab.declared}).decode()


def _calls(tabs: Sequence[Tab]) -> Iterator[list[tuple[Tab, int, int | None]]]:
    """Pages of rows (worksheet, first row, last row or None for the rest) as they are read together."""
    together: list[tuple[Tab, int, int | None]] = []
    room = PAGE
    for tab in tabs:
        for start in range(2, tab.row_count + 1, PAGE):
            end = start + PAGE - 1
            number = min(end, tab.row_count) - start + 1
            if number > room:
                yield together
                together, room = [], PAGE
            together.append((tab, start, end if end < tab.row_count else None))
            room -= number
    if together:
        yield together


def _row(cells: Sequence[Any]) -> Row | None:
    key, day, digest = (str(each) for each in cells)
    return Row(key, day, digest) if key or day or digest else None


def _header(lines: Sequence[Sequence[Any]]) -> list[str]:
    return [str(each) for each in lines[0]] if lines else []


def _mark(metadata: Mapping[str, Any]) -> dict[str, Any]:
    if metadata.get("metadataKey") != MARK:
        return {}
    try:
        mark = orjson.loads(metadata.get("metadataValue", ""))
    except orjson.JSONDecodeError:
        mark = None
    if not isinstance(mark, dict) or not isinstance(mark.get("projection"), str):
        raise DestinationError(f"a worksheet's developer metadata {MARK!r} is none of ours; take it away")
    return mark
