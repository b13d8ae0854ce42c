"""Writing rows into worksheets: what changes in which row.

Belongs here: a session, from sets to calls. Not here: worksheets (``tabs.py``), requests (``grid.py``) and calls
(``api.py``).

A session reads the hidden columns once and collects changes until about 1.5 MB are together. Then rows that go are
deleted and rows that are missing are added, in one call (Google does all of it, or nothing), and values are written to
named cells in one or a few more. Nothing is appended blindly, so a call that timed out may be sent again. A row keeps
its place, and with it what people wrote beside it, as long as its key stands. Somebody who sorts the worksheet between
the reading and the writing may get values in the wrong place: the hash tells, and the next landing mends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import orjson

from vcon_platform.projections.destination import Rejected, Session, Written, whole
from vcon_platform.projections.destinations.google_sheets.cells import Cell, LongText, cell, serial
from vcon_platform.projections.destinations.google_sheets.grid import (
    DAY,
    HASH,
    KEY,
    LANDED,
    Request,
    Row,
    Tab,
    add_rows,
    delete_rows,
    insert_rows,
    letters,
)
from vcon_platform.projections.destinations.google_sheets.tabs import Book
from vcon_platform.projections.fitting import FittedRow, fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType

if TYPE_CHECKING:
    from vcon_platform.projections.rows import RowSet

STEP = 1_500_000
"""Bytes of values that are sent together: Google recommends 2 MB a request at most."""

Put = FittedRow[Cell]
Place = tuple[Tab, int, Put]


class SheetsSession(Session):
    """See :class:`Session`. Left by an error, what was sent before stands; the next landing does the rest."""

    def __init__(
        self, projection: Projection, days: Sequence[str], book: Book, rows_per_tab: int, long_text: LongText
    ) -> None:
        self._projection = projection
        self._days = frozenset(days)
        self._book = book
        self._rows_per_tab = rows_per_tab
        self._long_text: LongText = long_text
        names = [column.name for column in projection.columns]
        self._key = [names.index(name) for name in projection.key if name != projection.uuid_column]
        self._standing: dict[str, str] | None = None
        self._puts: dict[str, list[Put]] = {}
        self._gone: dict[str, bool] = {}  # whether on every day
        self._size = 0
        self._calls = book.api.calls
        self._below = False  # somebody wrote into our columns below the last row

    @property
    def told(self) -> Mapping[str, float | str]:
        return {"google_sheets_calls": self._book.api.calls - self._calls}

    def write(self, sets: Sequence[RowSet]) -> Written:
        found: tuple[list[Put], list[Rejected]] = fitted(self._projection, sets, self._cell)
        rows, rejected = found
        standing, changed = self._read(), []
        puts: dict[str, list[Put]] = {each.uuid: [] for each in sets}
        for row in rows:
            puts[row.uuid].append(row)
        for each in {each.uuid: each for each in sets}.values():
            before, put = standing.get(each.uuid), puts[each.uuid]
            if before == each.hash or (before is None and not put):
                continue
            changed.append(each.uuid)
            standing[each.uuid] = each.hash if len(put) == len(each.rows) else ""
            self._gone.pop(each.uuid, None)
            self._puts[each.uuid] = put
            self._size += sum(_size(row.values) for row in put)
            if self._size > STEP:
                self._flush()
        return Written(tuple(changed), tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        standing, found = self._read(), []
        there = {row.uuid for tab in self._book.tabs for _, row in tab.ours() if row.day in self._days}
        for uuid in dict.fromkeys(uuids):
            put = self._puts.get(uuid)
            if put is not None and any(row.day not in self._days for row in put):
                continue  # has moved on
            if put is None and (uuid not in there or uuid in self._gone):
                continue
            self._puts.pop(uuid, None)
            self._gone[uuid] = put is not None
            standing.pop(uuid, None)
            found.append(uuid)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()

    def _cell(self, value: Any, column_type: ColumnType) -> Cell | None:
        return cell(value, column_type, self._long_text)

    def _read(self) -> dict[str, str]:
        """uuid to hash of what stands, on whatever day, with this session's changes; read when first asked for."""
        if self._standing is None:
            self._book.look()  # rows are deleted and added by numbers: the worksheets must be known as they are now
            self._book.read()
            self._standing = standing(self._book.tabs, None)
            tab = self._book.tabs[-1]
            if tab.row_count > 1 + _end(tab):
                columns = (letters(column) for column in tab.own)
                self._below = any(self._book.api.read([tab.a1(f"{each}{2 + _end(tab)}:{each}") for each in columns]))
        return self._standing

    def _flush(self) -> None:
        puts, gone = self._puts, self._gone
        self._puts, self._gone, self._size = {}, {}, 0
        if not (puts or gone):
            return
        new = {self._key_of(row): row for rows in puts.values() for row in rows}
        tabs = self._book.tabs
        try:
            requests = [each for tab in tabs for each in without(self._book, tab, self._doomed(tab, puts, gone, new))]
            places = [
                (tab, at, put)
                for tab in tabs
                for at, row in tab.ours()
                if row.uuid in puts and (put := new.pop(row.key, None)) is not None
            ]
            requests += self._room_for(list(new.values()), places)
            if requests:
                self._book.api.change(requests)
            for ranges in _calls(self._values(places)):
                self._book.api.write(ranges)
        except BaseException:
            self._book.tabs = []  # what is known of them may never have come about
            raise
        for tab, at, put in places:
            tab.rows[at] = Row(self._key_of(put), put.day, put.hash)

    def _doomed(self, tab: Tab, puts: dict[str, list[Put]], gone: dict[str, bool], new: dict[str, Put]) -> list[int]:
        """The rows that go: of what is deleted, what a set no longer has, and what stands there twice."""
        doomed, seen = [], set[str]()
        for at, row in tab.ours():
            if row.uuid in puts:
                if row.key not in new or row.key in seen:
                    doomed.append(at)
                seen.add(row.key)
            elif row.orphaned or (row.uuid in gone and (gone[row.uuid] or row.day in self._days)):
                doomed.append(at)
        return doomed

    def _room_for(self, rows: list[Put], places: list[Place]) -> Iterator[Request]:
        """Finds places for new rows below the last one, in as many worksheets as they need, and gives the requests
        that make room there."""
        while rows:
            tab = self._book.tabs[-1]
            end = _end(tab)
            fits = self._rows_per_tab - end
            if fits <= 0:
                fits, end, self._below = self._rows_per_tab, 0, False
                tab, made = self._book.another(tab.part + 1, min(fits, len(rows)))
                self._book.tabs.append(tab)
                yield from made
            now, rows = rows[:fits], rows[fits:]
            yield from self._widen(tab, end, len(now))
            tab.rows[end:] = [Row(self._key_of(row), row.day, row.hash) for row in now]
            places += ((tab, end + at, row) for at, row in enumerate(now))

    def _widen(self, tab: Tab, end: int, number: int) -> Iterator[Request]:
        """Room for so many rows after the first ``end`` ones. What people wrote below them moves down."""
        missing = number if self._below else 1 + end + number - tab.row_count
        if missing <= 0:
            return
        self._book.grow(missing * tab.column_count)
        start = 1 + end if self._below else tab.row_count
        yield insert_rows(tab, start, missing) if self._below else add_rows(tab, missing)
        tab.row_count += missing
        yield from self._book.formats(tab, start, start + missing)

    def _values(self, places: Iterable[Place]) -> Iterator[tuple[Tab, int, list[Cell | None]]]:
        """The rows' cells, from our first column to our last; None (a cell that stays) in a column that is not ours."""
        now = serial(datetime.now(UTC))
        names = [KEY, DAY, HASH, LANDED, *(column.name for column in self._projection.columns)]
        columns = {tab.sheet_id: [tab.column(name) for name in names] for tab in self._book.tabs}
        for tab, at, put in places:
            where = columns[tab.sheet_id]
            line: list[Cell | None] = [None] * (1 + max(where) - min(where))
            for column, value in zip(where, (self._key_of(put), put.day, put.hash, now, *put.values), strict=True):
                line[column - min(where)] = "" if value is None else value
            yield tab, at, line

    def _key_of(self, row: Put) -> str:
        """Which row this is: the uuid, and a digest of the other values of the key."""
        if not self._key:
            return row.uuid
        others = orjson.dumps([row.values[place] for place in self._key])
        return f"{row.uuid} {hashlib.sha256(others).hexdigest()[:16]}"


def standing(tabs: Iterable[Tab], days: set[str] | None) -> dict[str, str]:
    """uuid to hash of what stands on these days, or on any: "" for a set that is not whole."""
    rows = (row for tab in tabs for _, row in tab.ours() if not row.orphaned)
    return whole((row.uuid, row.hash) for row in rows if days is None or row.day in days)


def without(book: Book, tab: Tab, doomed: Sequence[int]) -> Iterator[Request]:
    """The requests that delete these of our rows (places from 0); the worksheet is known without them from now on."""
    if not doomed:
        return
    if tab.row_count - len(doomed) <= max(tab.frozen, 1):  # Google keeps at least one row that is not frozen
        yield add_rows(tab, 1)
        tab.row_count += 1
        book.grow(tab.column_count)
    yield from delete_rows(tab, [1 + at for at in doomed])
    going = set(doomed)
    tab.rows = [row for at, row in enumerate(tab.rows) if at not in going]
    tab.row_count -= len(doomed)
    book.grow(-len(doomed) * tab.column_count)


def _end(tab: Tab) -> int:
    """The place below the last of our rows."""
    return max((at + 1 for at, _ in tab.ours()), default=0)


def _size(values: Any) -> int:
    return len(orjson.dumps(values)) + 150  # the hidden columns


def _calls(lines: Iterable[tuple[Tab, int, list[Cell | None]]]) -> Iterator[list[tuple[str, list[list[Any]]]]]:
    """Ranges of neighbouring rows, as many as go into one call."""
    ranges: list[tuple[str, list[list[Any]]]] = []
    size, after = 0, (0, -1)
    for tab, at, line in sorted(lines, key=lambda each: (each[0].part, each[1])):
        if size > STEP:
            yield ranges
            ranges, size, after = [], 0, (0, -1)
        if (tab.sheet_id, at) == after:
            ranges[-1][1].append(line)
        else:
            ranges.append((tab.a1(f"{letters(tab.own[0])}{2 + at}"), [line]))
        after = (tab.sheet_id, at + 1)
        size += len(orjson.dumps(line))
    if ranges:
        yield ranges
