"""Google Sheets on this machine: the calls of its v4 API that gspread makes for the platform, and Google's login.

As Google does, it cuts empty cells off at the end of what is read, refuses ranges beyond the grid, cells of more than
50,000 characters and more than so many cells in all, does all of a batch or nothing, makes formulas of what is not
written RAW, and moves what people made when rows and columns come and go.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from tests.fakes.services import Answer, Asked, Service, service

TOKEN = "ya29.for-the-tests"
KEY = "1a2B3c4D5e6F7g8H9i0J"
"""The id of the one spreadsheet."""


class Refused(Exception):
    def __init__(self, message: str, code: int = 400, status: str = "INVALID_ARGUMENT") -> None:
        super().__init__(message)
        self.answer = Answer(code, {"error": {"code": code, "message": message, "status": status}})


@dataclass
class Formula:
    text: str


@dataclass
class Sheet:
    """One worksheet; ``cells`` is the whole grid, None for an empty cell."""

    sheet_id: int
    title: str
    cells: list[list[Any]]
    frozen: int = 0
    hidden: set[int] = field(default_factory=set)
    formats: dict[tuple[int, int], Any] = field(default_factory=dict)
    metadata: list[dict[str, Any]] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return len(self.cells)

    @property
    def columns(self) -> int:
        return len(self.cells[0])

    def shown(self) -> dict[str, Any]:
        grid = {"rowCount": self.rows, "columnCount": self.columns, "frozenRowCount": self.frozen}
        grid = {name: value for name, value in grid.items() if value}
        found = {"properties": {"sheetId": self.sheet_id, "title": self.title, "gridProperties": grid}}
        return found | ({"developerMetadata": self.metadata} if self.metadata else {})

    def table(self) -> list[dict[str, Any]]:
        """The rows below the header, by its names; rows without anything are left out."""
        names = self.cells[0]
        return [
            {str(name): value for name, value in zip(names, line, strict=True) if name is not None}
            for line in self.cells[1:]
            if any(value is not None for value in line)
        ]


def grid(rows: int, columns: int) -> list[list[Any]]:
    return [[None] * columns for _ in range(rows)]


class Sheets:
    """One spreadsheet and who may use it."""

    def __init__(self) -> None:
        self.sheets = [Sheet(0, "Sheet1", grid(10, 5))]
        self.limit = 10_000_000
        self.refused_logins = False
        self.calls: list[str] = []
        """What was asked of the API: the last part of each path."""

    def sheet(self, title: str) -> Sheet:
        return next(each for each in self.sheets if each.title == title)

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/token":
            return self._login(parse_qs(asked.body.decode()))
        self.calls.append(asked.path.rpartition("/")[2])
        try:
            if asked.headers.get("authorization") != f"Bearer {TOKEN}":
                raise Refused("Request had invalid authentication credentials.", 401, "UNAUTHENTICATED")
            found = re.fullmatch(rf"/v4/spreadsheets/{KEY}(/values)?(:\w+)?", unquote(asked.path))
            if found is None:
                raise Refused("Requested entity was not found.", 404, "NOT_FOUND")
            body = orjson.loads(asked.body) if asked.body else {}
            match found.groups():
                case (None, None):
                    assert "properties(" in asked.query["fields"][0]
                    return Answer(body={"sheets": [each.shown() for each in self.sheets]})
                case (None, ":batchUpdate"):
                    return Answer(body={"spreadsheetId": KEY, "replies": self._all_or_nothing(body["requests"])})
                case ("/values", ":batchGet"):
                    return Answer(body=self._get(asked.query))
                case ("/values", ":batchUpdate"):
                    return Answer(body=self._update(body))
            raise Refused("Unknown method", 404, "NOT_FOUND")
        except Refused as refused:
            return refused.answer

    def _login(self, form: dict[str, list[str]]) -> Answer:
        if self.refused_logins or not (form.get("assertion") or form.get("refresh_token")):
            return Answer(400, {"error": "invalid_grant", "error_description": f"bad: {form}"})
        return Answer(body={"access_token": TOKEN, "expires_in": 3600, "token_type": "Bearer"})

    def _all_or_nothing(self, requests: list[dict[str, Any]]) -> list[Any]:
        before = self._copied()
        try:
            for number, request in enumerate(requests):
                ((kind, wish),) = request.items()
                self._change(kind, wish, f"Invalid requests[{number}].{kind}: ")
            if sum(each.rows * each.columns for each in self.sheets) > self.limit:
                raise Refused("This action would increase the number of cells above the limit of 10000000 cells.")
        except Refused:
            self.sheets = before
            raise
        return [{} for _ in requests]

    def _copied(self) -> list[Sheet]:
        return [
            replace(
                each,
                cells=[line[:] for line in each.cells],
                hidden=set(each.hidden),
                formats=dict(each.formats),
                metadata=[dict(one) for one in each.metadata],
            )
            for each in self.sheets
        ]

    def _change(self, kind: str, wish: dict[str, Any], where: str) -> None:
        match kind:
            case "addSheet":
                wanted = wish["properties"]
                if any(wanted["title"] == each.title for each in self.sheets):
                    raise Refused(f'{where}A sheet with the name "{wanted["title"]}" already exists.')
                size = wanted["gridProperties"]
                cells = grid(size["rowCount"], size["columnCount"])
                self.sheets.append(Sheet(wanted["sheetId"], wanted["title"], cells, size.get("frozenRowCount", 0)))
            case "updateSheetProperties":
                assert wish["fields"] == "gridProperties.frozenRowCount"
                wanted = wish["properties"]
                self._by_id(wanted["sheetId"]).frozen = wanted["gridProperties"]["frozenRowCount"]
            case "updateDimensionProperties":
                span = wish["range"]
                self._by_id(span["sheetId"]).hidden |= set(range(span["startIndex"], span["endIndex"]))
            case "createDeveloperMetadata":
                made = dict(wish["developerMetadata"])
                sheet = self._by_id(made.pop("location")["sheetId"])
                sheet.metadata.append(made | {"metadataId": 1000 + len(sheet.metadata) + sheet.sheet_id % 997})
            case "updateDeveloperMetadata":
                wanted_id = wish["dataFilters"][0]["developerMetadataLookup"]["metadataId"]
                for each in (each for sheet in self.sheets for each in sheet.metadata):
                    if each["metadataId"] == wanted_id:
                        each["metadataValue"] = wish["developerMetadata"]["metadataValue"]
            case "updateCells":
                start = wish["start"]
                sheet = self._by_id(start["sheetId"])
                for down, row in enumerate(wish["rows"]):
                    for across, cell in enumerate(row["values"]):
                        line = sheet.cells[start["rowIndex"] + down]
                        line[start["columnIndex"] + across] = cell["userEnteredValue"]["stringValue"]
            case "repeatCell":
                span = wish["range"]
                sheet = self._by_id(span["sheetId"])
                if span["endRowIndex"] > sheet.rows or span["endColumnIndex"] > sheet.columns:
                    raise Refused(f"{where}GridRange exceeds grid limits")
                for row in range(span["startRowIndex"], span["endRowIndex"]):
                    for column in range(span["startColumnIndex"], span["endColumnIndex"]):
                        sheet.formats[row, column] = wish["cell"]["userEnteredFormat"]["numberFormat"]
            case "appendDimension":
                sheet = self._by_id(wish["sheetId"])
                self._insert(sheet, wish["dimension"], -1, wish["length"])
            case "insertDimension":
                span = wish["range"]
                sheet = self._by_id(span["sheetId"])
                self._insert(sheet, span["dimension"], span["startIndex"], span["endIndex"] - span["startIndex"])
            case "deleteDimension":
                span = wish["range"]
                sheet = self._by_id(span["sheetId"])
                assert span["dimension"] == "ROWS"
                if span["endIndex"] > sheet.rows:
                    raise Refused(f"{where}Range exceeds grid limits")
                if sheet.rows - (span["endIndex"] - span["startIndex"]) <= sheet.frozen:
                    raise Refused(f"{where}Sorry, it is not possible to delete all non-frozen rows.")
                del sheet.cells[span["startIndex"] : span["endIndex"]]
            case _:
                raise Refused(f"{where}unknown")

    def _insert(self, sheet: Sheet, dimension: str, at: int, number: int) -> None:
        if dimension == "ROWS":
            at = sheet.rows if at < 0 else at
            sheet.cells[at:at] = grid(number, sheet.columns)
            return
        at = sheet.columns if at < 0 else at
        for line in sheet.cells:
            line[at:at] = [None] * number
        sheet.hidden = {each + number if each >= at else each for each in sheet.hidden}

    def _by_id(self, sheet_id: int) -> Sheet:
        for each in self.sheets:
            if each.sheet_id == sheet_id:
                return each
        raise Refused(f"No grid with id: {sheet_id}")

    def _block(self, text: str) -> tuple[Sheet, int, int, int, int]:
        """A range: worksheet, first row and column from 0, the ends excluded."""
        found = re.fullmatch(r"'((?:[^']|'')+)'(?:!([A-Z]*)(\d*)(?::([A-Z]*)(\d*))?)?", text)
        sheets = [each for each in self.sheets if found and each.title == found[1].replace("''", "'")]
        if found is None or not sheets:
            raise Refused(f"Unable to parse range: {text}")
        sheet, (_, left, top, right, bottom) = sheets[0], found.groups()
        single = ":" not in text.rpartition("!")[2]
        first = (int(top or 1) - 1, _number(left) if left else 0)
        last = (
            int(bottom) if bottom else sheet.rows,
            1 + _number(right) if right else sheet.columns,
        )
        if single and left:
            last = (first[0] + 1, first[1] + 1)
        if first[0] >= sheet.rows or first[1] >= sheet.columns or last[0] > sheet.rows or last[1] > sheet.columns:
            raise Refused(f"Range ({text}) exceeds grid limits. Max rows: {sheet.rows}, max columns: {sheet.columns}")
        return sheet, *first, *last

    def _get(self, query: dict[str, list[str]]) -> dict[str, Any]:
        assert query["valueRenderOption"] == ["UNFORMATTED_VALUE"]
        ranges = []
        for text in query["ranges"]:
            sheet, top, left, bottom, right = self._block(text)
            lines = [line[left:right] for line in sheet.cells[top:bottom]]
            if query["majorDimension"] == ["COLUMNS"]:
                lines = [list(column) for column in zip(*lines, strict=True)]
            cut = _cut([_cut(["" if cell is None else cell for cell in line]) for line in lines])
            ranges.append({"range": text} | ({"values": cut} if cut else {}))
        return {"spreadsheetId": KEY, "valueRanges": ranges}

    def _update(self, body: dict[str, Any]) -> dict[str, Any]:
        before = self._copied()
        try:
            for part in body["data"]:
                sheet, top, left, _, _ = self._block(part["range"])
                for down, line in enumerate(part["values"]):
                    for across, value in enumerate(line):
                        if top + down >= sheet.rows or left + across >= sheet.columns:
                            raise Refused(f"Range ({part['range']}) exceeds grid limits.")
                        if isinstance(value, str) and len(value.encode("utf-16-le")) > 100_000:
                            raise Refused("Your input contains more than the maximum of 50000 characters.")
                        if value is not None:  # null leaves a cell as it is
                            sheet.cells[top + down][left + across] = _entered(value, body["valueInputOption"])
        except Refused:
            self.sheets = before
            raise
        return {"spreadsheetId": KEY, "responses": []}


def _entered(value: Any, how: str) -> Any:
    if value == "":
        return None
    if how != "RAW" and isinstance(value, str):
        return Formula(value) if value[:1] in "=+" else float(value) if value.isdigit() else value
    return value


def _number(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


def _cut(values: list[Any]) -> list[Any]:
    while values and values[-1] in ("", []):
        values.pop()
    return values


@contextlib.contextmanager
def google_sheets() -> Iterator[tuple[Sheets, Service]]:
    """Run one on 127.0.0.1 while the block runs."""
    sheets = Sheets()
    with service(sheets.answer) as wire:
        yield sheets, wire
