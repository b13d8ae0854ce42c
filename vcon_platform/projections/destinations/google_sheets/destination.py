"""Google Sheets as a destination: rows of projections in worksheets that people read and add columns to.

Belongs here: the options, and what the destination answers. Not here: writing (``session.py``), worksheets
(``tabs.py``), values (``cells.py``), calls and quotas (``api.py``).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.projections.destination import Connections, Destination, Faults, Session, Step
from vcon_platform.projections.destinations.google_credentials import google_credentials
from vcon_platform.projections.destinations.google_sheets.api import SheetsApi
from vcon_platform.projections.destinations.google_sheets.cells import LongText
from vcon_platform.projections.destinations.google_sheets.grid import Request, letters
from vcon_platform.projections.destinations.google_sheets.session import SheetsSession, standing, without
from vcon_platform.projections.destinations.google_sheets.tabs import Book
from vcon_platform.projections.errors import DestinationError
from vcon_platform.projections.model import Projection
from vcon_platform.references import reference, value_of, variable_of

if TYPE_CHECKING:
    from requests import Session as HttpSession

SCOPES = ("https://www.googleapis.com/auth/spreadsheets",)
FRESH_S = 30.0
"""How long it is believed which worksheets there are. What they hold is always read anew."""
_ID = re.compile(r"[A-Za-z0-9_-]{10,200}")
_URL = re.compile(r"https://docs\.google\.com/spreadsheets/(?:u/\d+/)?d/([A-Za-z0-9_-]+)(?:[/?#].*)?")


def _spreadsheet(value: str) -> str:
    found = _URL.fullmatch(value)
    text = found[1] if found else value
    if not _ID.fullmatch(text):
        raise ValueError("must be a spreadsheet's address or id: what stands between /d/ and /edit in the address")
    return text


def _worksheet(value: str) -> str:
    if not value.strip() or not value.isprintable() or value != value.strip() or value.startswith("'"):
        raise ValueError("must be a worksheet's name: printable, not empty, without blanks around it")
    return value


class GoogleSheetsOptions(BaseModel):
    """Options of a projection's ``google_sheets`` destination."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spreadsheet: Annotated[str, AfterValidator(_spreadsheet)] = Field(
        title="Spreadsheet", description="The spreadsheet's address or id. Share it with the account as an editor."
    )
    worksheet: Annotated[str, AfterValidator(_worksheet)] = Field(
        max_length=80, title="Worksheet", description="The worksheet's name. It is created when it is missing."
    )
    credentials: Annotated[str, AfterValidator(reference("GOOGLE_", "GSPREAD_"))] = Field(
        default="",
        title="Credentials",
        description=(
            "env:NAME of a variable that holds a service account's key or an authorised user's (OAuth) file, as JSON "
            "or as its path. Empty: Google's application default credentials."
        ),
    )
    rows_per_worksheet: int = Field(
        default=100_000,
        ge=100,
        le=2_000_000,
        title="Rows per worksheet",
        description="When a worksheet has so many, the next rows go to a new one: calls, calls (2), calls (3).",
    )
    long_text: LongText = Field(
        default="reject",
        title="Long texts",
        description="What is done with a text longer than the 50,000 characters of a cell: reject the row, or cut it.",
    )
    requests_per_minute: int = Field(
        default=50,
        ge=1,
        le=300,
        title="Requests per minute",
        description="Reads, and writes, sent a minute at most. Google allows an account 60 of each.",
    )
    endpoint: Annotated[str, AfterValidator(reference("GOOGLE_", "GSPREAD_"))] = Field(
        default="",
        title="Endpoint",
        description="env:NAME of a variable with another address than https://sheets.googleapis.com, such as a proxy.",
    )


def _options(projection: Projection) -> GoogleSheetsOptions:
    return GoogleSheetsOptions.model_validate(dict(projection.options_for("google_sheets")))


class GoogleSheetsDestination(Destination):
    """Rows in worksheets of a Google spreadsheet. ``http`` gives the session that carries the credentials."""

    kind: ClassVar[str] = "google_sheets"
    options: ClassVar[type[BaseModel]] = GoogleSheetsOptions
    title: ClassVar[str] = "Google Sheets"

    def __init__(self, http: Callable[[Projection], HttpSession], *, api: Callable[..., SheetsApi] = SheetsApi) -> None:
        self._http = http
        self._api = api
        self._books: dict[str, tuple[Projection, Book]] = {}

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:  # noqa: ARG003 - several may be served
        def http(served: Projection) -> HttpSession:
            from google.auth.transport.requests import AuthorizedSession

            where, given = _where(served), _options(served).credentials
            found = google_credentials(given, SCOPES, where=where, folder=connections.data_dir)
            return AuthorizedSession(found)  # type: ignore[no-untyped-call]

        return cls(http)

    @classmethod
    def target(cls, projection: Projection) -> str:
        options = _options(projection)
        return f"{options.spreadsheet}/{options.worksheet}"

    def ensure(self, projection: Projection) -> None:
        self._book(projection).ensure()

    def plan(self, projection: Projection) -> list[Step]:
        return self._book(projection).plan()

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        return standing(self._read(projection).tabs, set(days))

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        options = _options(projection)
        return SheetsSession(projection, days, self._book(projection), options.rows_per_worksheet, options.long_text)

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        book = self._book(projection)
        book.look()
        book.read()
        wanted = set(uuids)
        found: set[str] = set()
        changes: list[Request] = []
        for tab in book.tabs:
            doomed = [at for at, row in tab.ours() if row.uuid in wanted or row.orphaned]
            found |= {row.uuid for _, row in tab.ours() if row.uuid in wanted}
            changes += without(book, tab, doomed)
        if changes:
            book.api.change(changes)
        return [uuid for uuid in dict.fromkeys(uuids) if uuid in found]

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        found: dict[str, int] = {}
        for tab in self._read(projection).tabs:
            for _, row in tab.ours():
                if not row.orphaned and (days is None or row.day in days):
                    found[row.day] = found.get(row.day, 0) + 1
        return found

    def faults(self, projection: Projection, days: Sequence[str]) -> Faults:
        """An empty text is an empty cell, so emptied texts are not told, but for the uuid."""
        texts = {column.name for column in projection.columns if column.type == "text"} - {projection.uuid_column}
        required = [name for name in projection.never_empty if name not in texts]
        book = self._read(projection)
        seen: set[str] = set()
        duplicates = 0
        empty: dict[str, int] = {}
        for tab in book.tabs:
            places = [(at, row) for at, row in tab.ours() if not row.orphaned and row.day in days]
            duplicates += len(places) - len({row.key for _, row in places} - seen)
            seen |= {row.key for _, row in places}
            columns = (letters(tab.column(name)) for name in required)
            found = book.api.read([tab.a1(f"{each}2:{each}") for each in columns] if places else [], by_columns=True)
            for name, (values, *_) in zip(required, ([*each, []] for each in found), strict=False):
                missing = sum(at >= len(values) or values[at] == "" for at, _ in places)
                empty[name] = empty.get(name, 0) + missing
        return Faults(duplicates, {name: number for name, number in empty.items() if number})

    def _read(self, projection: Projection) -> Book:
        book = self._book(projection)
        if not book.tabs or time.monotonic() - book.looked_at > FRESH_S:
            book.look()
        book.read()
        return book

    def _book(self, projection: Projection) -> Book:
        known = self._books.get(projection.name)
        if known is None or known[0] != projection:
            options, where = _options(projection), _where(projection)
            endpoint = value_of(options.endpoint) or ""
            if options.endpoint and not endpoint:
                raise DestinationError(f"{where}: the variable {variable_of(options.endpoint)} (endpoint) is not set")
            api = self._api(
                self._http(projection),
                options.spreadsheet,
                where=where,
                per_minute=options.requests_per_minute,
                endpoint=endpoint,
            )
            known = self._books[projection.name] = (projection, Book(api, projection, options.worksheet, where))
        return known[1]


def _where(projection: Projection) -> str:
    return f"projection {projection.name}"
