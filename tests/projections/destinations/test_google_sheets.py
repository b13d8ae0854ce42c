"""Rows in Google Sheets: the standard suite, what people may do in a worksheet, quotas, and what a landing costs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.fakes.google_login import service_account
from tests.fakes.google_sheets import KEY, TOKEN, Sheets, google_sheets
from tests.fakes.services import Answer, Service
from tests.projections.destination_suite import (
    DAYS,
    SECRET,
    A,
    B,
    C,
    Declared,
    DestinationSuite,
    Stored,
    a_set,
    row,
    suite_projection,
    with_columns,
)
from vcon_platform.projections.destination import Connections, Faults
from vcon_platform.projections.destinations.google_sheets import tabs
from vcon_platform.projections.destinations.google_sheets.api import SheetsApi
from vcon_platform.projections.destinations.google_sheets.cells import cell, number
from vcon_platform.projections.destinations.google_sheets.destination import GoogleSheetsDestination
from vcon_platform.projections.errors import (
    DestinationError,
    DestinationUnavailable,
    ProjectionInvalid,
    SchemaConflict,
)
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import Misfit

TAB = "Calls"


@dataclass
class Clock:
    """Time that passes only by sleeping."""

    now: float = 0.0
    slept: list[float] = field(default_factory=list)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture(scope="module")
def google() -> Iterator[tuple[Sheets, Service]]:
    with google_sheets() as running:
        yield running


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sheets(google: tuple[Sheets, Service]) -> Sheets:
    sheets, wire = google
    sheets.__init__()  # type: ignore[misc]  # as new
    wire.next.clear()
    return sheets


@pytest.fixture
def projection() -> Projection:
    return declared()


def declared(**options: Any) -> Projection:
    given = {"spreadsheet": KEY, "worksheet": TAB, "requests_per_minute": 300} | options
    return suite_projection(
        "google_sheets", credentials="env:GOOGLE_TEST_KEY", endpoint="env:GOOGLE_TEST_ENDPOINT", **given
    )


@pytest.fixture
def connected(
    google: tuple[Sheets, Service],
    sheets: Sheets,
    projection: Projection,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> GoogleSheetsDestination:
    monkeypatch.setenv("GOOGLE_TEST_KEY", service_account(google[1].url))
    monkeypatch.setenv("GOOGLE_TEST_ENDPOINT", google[1].url)
    return connect(projection, clock)


def connect(
    projection: Projection, clock: Clock | None = None, folder: Path = Path("/nowhere")
) -> GoogleSheetsDestination:
    made = GoogleSheetsDestination.connect(projection, Connections(*(None, None, None), folder))  # type: ignore[arg-type]
    if clock is not None:
        made._api = lambda *given, **options: SheetsApi(*given, **options, clock=clock, sleep=clock.sleep)
    return made


def shown(sheets: Sheets, title: str = TAB) -> list[dict[str, Any]]:
    return sheets.sheet(title).table()


def lose(sheets: Sheets, uuid: str) -> None:
    for sheet in sheets.sheets:
        key = sheet.cells[0].index("_vCon") if "_vCon" in sheet.cells[0] else None
        for at, line in enumerate(sheet.cells):
            if key is not None and str(line[key]).startswith(uuid):
                del sheet.cells[at]
                return


class TestGoogleSheets(DestinationSuite):
    examples = 5
    big = 2_000

    @pytest.fixture
    def destination(self, connected: GoogleSheetsDestination) -> GoogleSheetsDestination:
        return connected

    @pytest.fixture
    def stored(self, sheets: Sheets) -> Stored:
        return lambda: [row for sheet in sheets.sheets if "_vCon" in sheet.cells[0] for row in sheet.table()]

    @pytest.fixture
    def lose_one_row(self, sheets: Sheets) -> Callable[[str], None]:
        return lambda uuid: lose(sheets, uuid)

    @pytest.fixture
    def unreachable(
        self, connected: GoogleSheetsDestination, projection: Projection, monkeypatch: pytest.MonkeyPatch
    ) -> GoogleSheetsDestination:
        monkeypatch.setenv("GOOGLE_TEST_ENDPOINT", "http://127.0.0.1:9")
        return connect(projection)

    @pytest.fixture
    def refused(
        self, google: tuple[Sheets, Service], connected: GoogleSheetsDestination, monkeypatch: pytest.MonkeyPatch
    ) -> GoogleSheetsDestination:
        google[0].refused_logins = True
        monkeypatch.setenv("GOOGLE_TEST_KEY", service_account(google[1].url, SECRET))
        return connect(declared())

    @pytest.fixture(autouse=True)
    def _nothing_left(self, request: pytest.FixtureRequest) -> None:
        """The spreadsheet is new for every test."""

    def plain(self, value: Any, column: str) -> Any:
        if column == "at" and isinstance(value, int | float):
            return datetime(1899, 12, 30, tzinfo=UTC) + timedelta(seconds=round(value * 86_400, 3))
        return super().plain(value, column)


# What people do in a worksheet.


def test_the_header_is_frozen_and_bookkeeping_is_hidden(
    connected: GoogleSheetsDestination, sheets: Sheets, projection: Projection
) -> None:
    connected.ensure(projection)
    sheet = sheets.sheet(TAB)
    names = ["_vCon", "_day", "_row_hash", "_landed_at", "uuid", "position", "note", "seconds", "at"]
    assert (sheet.cells[0], sheet.frozen, sheet.hidden) == (names, 1, {0, 1, 2, 3})
    assert sheets.calls == [KEY, f"{KEY}:batchUpdate"]


def test_what_people_write_beside_and_below_stays_with_its_row(
    connected: GoogleSheetsDestination, sheets: Sheets, projection: Projection
) -> None:
    expected = Declared(projection)
    for uuid in (A, B, C):
        expected.set(uuid, DAYS[0])
    expected.land(connected)
    sheet = sheets.sheet(TAB)
    for line, mine in zip(sheet.cells, ("mine", "about A", "about B", "about C"), strict=True):
        line += [None, mine]
    sheet.cells.append([None] * 6 + ["total", "=SUM(H2:H4)", None, None, None])
    expected.set(A, DAYS[0], row(0, "changed"), row(1, "a second turn"))
    del expected.sets[B]
    expected.land(connected)
    notes = [(line.get("note"), line.get("mine")) for line in sheet.table()]
    assert notes == [("changed", "about A"), ("said", "about C"), ("a second turn", None), ("total", None)]
    assert sheet.cells[4][7] == "=SUM(H2:H4)"


def test_columns_may_be_moved_and_rows_sorted_and_the_worksheet_renamed(
    connected: GoogleSheetsDestination, sheets: Sheets, projection: Projection
) -> None:
    expected = Declared(projection)
    for uuid in (A, B, C):
        expected.set(uuid, DAYS[0])
    expected.land(connected)
    sheet = sheets.sheet(TAB)
    sheet.cells[1:] = [[*reversed(line), None] for line in reversed(sheet.cells[1:])]
    sheet.cells[0] = [*reversed(sheet.cells[0]), "mine"]
    for line in sheet.cells:  # and somebody's own column in the middle of ours
        line.insert(3, "own")
    sheet.title = "It's my list"
    expected.set(B, DAYS[1], row(0, "moved"), row(1, "and more"))
    landed = expected.land(connected)
    assert (set(landed.written), landed.unchanged) == ({B}, 2)
    assert [(line["uuid"], line["note"]) for line in sheet.table()] == [
        (C, "said"),
        (B, "moved"),
        (A, "said"),
        (B, "and more"),
    ]
    assert [line["own"] for line in sheet.table()[:3]] == ["own"] * 3


def test_a_new_column_comes_before_peoples_own(
    connected: GoogleSheetsDestination, sheets: Sheets, projection: Projection
) -> None:
    Declared(projection, [a_set(projection, A, DAYS[0])]).land(connected)
    for line, mine in zip(sheets.sheet(TAB).cells, ("mine", 1), strict=True):
        line.append(mine)
    wider = with_columns(projection, {"name": "who", "type": "text", "from": "subject"})
    assert [step.statement for step in connected.plan(wider)] == ["a new column who in worksheet 'Calls'"]
    Declared(wider, [a_set(wider, A, DAYS[0], row() | {"who": "Ada"})]).land(connected)
    assert connected.plan(wider) == []
    assert sheets.sheet(TAB).cells[0][-3:] == ["at", "who", "mine"]
    assert sheets.sheet(TAB).cells[1][-2:] == ["Ada", 1]


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda cells: cells[0].__setitem__(6, "renamed"), "no longer names the column note"),
        (lambda cells: cells[0].__setitem__(0, None), "no longer names the column _vCon"),
        (lambda cells: [line.append("note") for line in cells], "names note 2 times"),
    ],
    ids=["declared column", "hidden column", "twice"],
)
def test_a_header_that_tells_no_longer_what_is_what_is_refused(
    connected: GoogleSheetsDestination, sheets: Sheets, projection: Projection, damage: Any, told: str
) -> None:
    connected.ensure(projection)
    damage(sheets.sheet(TAB).cells)
    before = [line[:] for line in sheets.sheet(TAB).cells]
    with pytest.raises(SchemaConflict, match=told):
        Declared(projection, [a_set(projection, A, DAYS[0])]).land(connected)
    assert sheets.sheet(TAB).cells == before


def test_a_column_that_is_no_longer_declared_is_refused_and_may_become_ones_own(
    connected: GoogleSheetsDestination, sheets: Sheets, projection: Projection
) -> None:
    connected.ensure(projection)
    less = with_columns(projection, without="note")
    with pytest.raises(SchemaConflict, match=r"note .* is no longer declared"):
        connected.ensure(less)
    assert "is no longer declared" in connected.plan(less)[0].refused
    sheets.sheet(TAB).cells[0][6] = "my notes"
    connected.ensure(less)
    Declared(less, [a_set(less, A, DAYS[0])]).land(connected)
    assert shown(sheets)[0]["my notes"] is None


def test_an_empty_worksheet_is_taken_over_and_one_with_content_is_not(
    connected: GoogleSheetsDestination, sheets: Sheets
) -> None:
    there = declared(worksheet="Sheet1")
    assert connected.plan(there)[0].statement.startswith("the empty worksheet 'Sheet1', with the columns uuid, ")
    assert connected.plan(declared())[0].statement.startswith("a new worksheet 'Calls'")
    assert [(each.title, each.cells[0][0]) for each in sheets.sheets] == [("Sheet1", None)]
    Declared(there, [a_set(there, A, DAYS[0])]).land(connected)
    assert [line["uuid"] for line in shown(sheets, "Sheet1")] == [A]
    sheets.__init__()  # type: ignore[misc]
    sheets.sheets[0].cells[7][3] = "a person's"
    with pytest.raises(SchemaConflict, match="was not made for a projection"):
        connected.ensure(there)
    sheets.__init__()  # type: ignore[misc]
    connected.ensure(there)
    other = there.model_copy(update={"name": "other"})
    with pytest.raises(SchemaConflict, match="kept by projection suite"):
        connected.ensure(other)


def test_what_is_left_of_a_row_whose_key_was_emptied_goes(
    connected: GoogleSheetsDestination, sheets: Sheets, projection: Projection
) -> None:
    expected = Declared(projection)
    expected.set(A, DAYS[0], row(0, "private"))
    expected.set(B, DAYS[0])
    expected.land(connected)
    sheets.sheet(TAB).cells[1][0] = None
    assert connected.erase(projection, [A]) == []
    assert [line["uuid"] for line in shown(sheets)] == [B]


def test_what_people_doubled_or_emptied_is_told(
    connected: GoogleSheetsDestination, sheets: Sheets, projection: Projection
) -> None:
    Declared(projection, [a_set(projection, A, DAYS[0], row(0), row(1)), a_set(projection, B, DAYS[1])]).land(connected)
    assert connected.faults(projection, DAYS) == Faults()
    cells = sheets.sheet(TAB).cells
    cells.append(cells[1][:])
    cells[3][cells[0].index("position")] = None
    assert connected.faults(projection, DAYS) == Faults(duplicates=1, empty={"position": 1})
    assert connected.faults(projection, [DAYS[0]]) == Faults(duplicates=1)
    assert connected.faults(projection, [DAYS[2]]) == Faults()


def test_an_empty_text_that_is_required_is_not_told_as_missing(
    connected: GoogleSheetsDestination, projection: Projection
) -> None:
    note = {"name": "note", "type": "text", "from": "subject", "required": True}
    needed = with_columns(projection, note, without="note")
    Declared(needed, [a_set(needed, A, DAYS[0], row(note=""))]).land(connected)
    assert connected.faults(needed, DAYS) == Faults()


# Size.


def test_rows_roll_over_to_more_worksheets_and_are_found_there(
    connected: GoogleSheetsDestination, sheets: Sheets
) -> None:
    small = declared(rows_per_worksheet=100)
    expected = Declared(small)
    expected.set(A, DAYS[0], *(row(place) for place in range(130)))
    expected.set(B, DAYS[1], *(row(place) for place in range(120)))
    expected.land(connected)
    assert [(each.title, len(each.table())) for each in sheets.sheets[1:]] == [
        (TAB, 100),
        (f"{TAB} (2)", 100),
        (f"{TAB} (3)", 50),
    ]
    expected.set(A, DAYS[0], *(row(place, "again") for place in range(110)))
    assert expected.land(connected).rows == {DAYS[0]: 110, DAYS[1]: 120, DAYS[2]: 0}
    assert sorted(connected.erase(small, [A, B])) == [A, B]
    assert not any(each.table() for each in sheets.sheets)


def test_a_full_spreadsheet_is_told_with_the_cure_and_nothing_is_lost(
    connected: GoogleSheetsDestination, sheets: Sheets, projection: Projection, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = Declared(projection, [a_set(projection, A, DAYS[0])])
    expected.land(connected)
    expected.set(B, DAYS[0], *(row(place) for place in range(100)))
    sheets.limit = 500
    with pytest.raises(DestinationError, match="10,000,000 cells"):  # Google says so
        expected.land(connected)
    monkeypatch.setattr(tabs, "CELLS", 500)
    calls = len(sheets.calls)
    with pytest.raises(DestinationError, match="10,000,000 cells"):  # and it is known before
        expected.land(connected)
    assert not any("batchUpdate" in each for each in sheets.calls[calls:])
    monkeypatch.setattr(tabs, "CELLS", 10_000_000)
    sheets.limit = 10_000_000
    assert [line["uuid"] for line in shown(sheets)] == [A]
    expected.land(connected)
    assert len(shown(sheets)) == 101


def test_ten_thousand_rows_take_few_calls(
    connected: GoogleSheetsDestination, sheets: Sheets, projection: Projection
) -> None:
    uuids = [f"018f2b6e-4c1d-8a52-9f7e-{number:012x}" for number in range(2_500)]
    turns = [row(place, "hello " * 20) for place in range(4)]
    expected = Declared(projection, [a_set(projection, uuid, DAYS[0], *turns) for uuid in uuids])
    assert expected.land(connected).rows[DAYS[0]] == 10_000
    first = len(sheets.calls)
    assert first <= 30
    for uuid in uuids[::25]:
        expected.set(uuid, DAYS[0], *turns[:3])
    sheets.calls.clear()
    assert len(expected.land(connected).written) == 100
    assert len(sheets.calls) <= 12
    print(f"10,000 rows: {first} calls; 100 changed of 10,000: {len(sheets.calls)}")


# Values.


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("=1+1", "text", "=1+1"),
        (12, "integer", 12),
        (2**62, "bigint", str(2**62)),
        ("0.1", "numeric", 0.1),
        ("12345678901234567.5", "numeric", "12345678901234567.5"),
        (1e300, "double", 1e300),
        (True, "boolean", True),
        ("2026-03-01", "date", 46082),
        ("1856-07-10", "date", "1856-07-10"),
        ("2026-03-01T12:00:00Z", "timestamptz", 46082.5),
        ({"a": [1, "é"]}, "jsonb", '{"a":[1,"é"]}'),
        ("a text", "jsonb", '"a text"'),
        (["a", None, '"'], "text[]", '["a",null,"\\""]'),
        ([1, None], "bigint[]", "[1,null]"),
        (["1.50", 2], "numeric[]", "[1.50,2]"),
        (None, "text", None),
    ],
)
def test_values_become_cells(value: Any, kind: Any, expected: Any) -> None:
    found = cell(value, kind, "reject")
    assert (found, type(found)) == (expected, type(expected))


def test_a_text_longer_than_a_cell_is_refused_or_cut() -> None:
    assert cell("x" * 50_000, "text", "reject") == "x" * 50_000
    with pytest.raises(Misfit, match="50,000"):
        cell("\U0001f600" * 25_001, "text", "reject")
    cut = cell("\U0001f600" * 25_001, "text", "cut")
    assert isinstance(cut, str)
    assert (len(cut.encode("utf-16-le")) // 2, cut[-1]) == (49_999, "…")


def test_a_number_is_shown_exactly_or_is_a_text() -> None:
    for digits in ("1e14", "1e15", "123456789012345", "1234567890123456", "0.000123", "1e-400", "1e400", "-0.0"):
        shown = number(Decimal(digits))
        assert Decimal(shown if isinstance(shown, str) else repr(shown)) == Decimal(digits)


# The wire.


def ready(google: tuple[Sheets, Service], clock: Clock, **options: Any) -> SheetsApi:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {TOKEN}"
    given: dict[str, Any] = {"where": "projection calls", "endpoint": google[1].url, "clock": clock}
    return SheetsApi(session, KEY, **given, sleep=clock.sleep, **options)


def test_a_used_up_quota_is_waited_for(google: tuple[Sheets, Service], sheets: Sheets, clock: Clock) -> None:
    google[1].next.extend(
        [Answer(429, {"error": {"code": 429, "message": "Quota", "status": "RESOURCE_EXHAUSTED"}})] * 3
    )
    assert ready(google, clock).about()["sheets"]
    assert len(clock.slept) == 3
    assert clock.slept[0] < clock.slept[1] < clock.slept[2]
    google[1].next.append(Answer(429, {}, {"Retry-After": "45"}))
    assert ready(google, clock).about()["sheets"]
    assert clock.slept[-1] == 45


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429, {"error": {"code": 429, "message": "+49301", "status": "RESOURCE_EXHAUSTED"}}),
        Answer(503, b"<html>+49301"),
        Answer(200, {"sheets": []}, cut=True),
    ],
    ids=["429", "503", "cut off"],
)
def test_patience_ends(google: tuple[Sheets, Service], sheets: Sheets, clock: Clock, answer: Answer) -> None:
    google[1].next.extend([answer] * 50)
    with pytest.raises(DestinationUnavailable, match="projection calls: Google Sheets") as told:
        ready(google, clock).about()
    google[1].next.clear()
    assert 60 < clock.now <= 150
    assert "+49301" not in str(told.value)


def test_what_may_have_been_done_is_not_done_twice(
    google: tuple[Sheets, Service], sheets: Sheets, clock: Clock
) -> None:
    """Rows deleted by number twice are other rows; only a request that Google did not take up is sent again."""
    api = ready(google, clock)
    add = [{"appendDimension": {"sheetId": 0, "dimension": "ROWS", "length": 1}}]
    for answer in (Answer(503, {}), Answer(200, {}, cut=True)):
        google[1].next.append(answer)
        with pytest.raises(DestinationUnavailable):
            api.change(add)
    google[1].next.append(Answer(429, {}))
    api.change(add)
    assert sheets.sheets[0].rows == 11


@pytest.mark.parametrize(
    ("code", "told"),
    [(401, "share the spreadsheet"), (403, "share the spreadsheet"), (404, "is not there"), (400, "protected")],
)
def test_a_refusal_says_what_to_do(
    google: tuple[Sheets, Service], sheets: Sheets, clock: Clock, code: int, told: str
) -> None:
    google[1].next.extend([Answer(code, {"error": {"code": code, "message": "+49301", "status": "X"}})] * 3)
    with pytest.raises(DestinationError, match=told) as error:
        ready(google, clock).write([("'Sheet1'!A1", [["x"]])])
    google[1].next.clear()
    assert not isinstance(error.value, DestinationUnavailable)
    assert "+49301" not in str(error.value)


def test_no_more_is_sent_a_minute_than_is_allowed(google: tuple[Sheets, Service], sheets: Sheets, clock: Clock) -> None:
    api = ready(google, clock, per_minute=3)
    for _ in range(7):
        api.about()
    assert (clock.slept, api.calls) == ([60.0, 60.0], 7)
    api.write([("'Sheet1'!A1", [["reads and writes are counted apart"]])])
    assert clock.slept == [60.0, 60.0]


# Options and credentials.


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"spreadsheet": "https://evil.example/d/1a2B3c4D5e6F"}, "/destinations/0/google_sheets/spreadsheet must be"),
        ({"worksheet": " "}, "/destinations/0/google_sheets/worksheet must be"),
        ({"credentials": "-----BEGIN"}, "/credentials must be a reference"),
        ({"endpoint": "https://evil.example"}, "/endpoint must be a reference"),
        ({"credentials": "env:POSTGRES_URL"}, "may not name the variable POSTGRES_URL"),
        ({"sheet": "x"}, "is not a member"),
    ],
)
def test_options_are_checked_with_their_place(options: dict[str, Any], told: str) -> None:
    given = suite_projection("google_sheets", **({"spreadsheet": KEY, "worksheet": TAB} | options))
    with pytest.raises(ProjectionInvalid, match=told) as error:
        GoogleSheetsDestination.check(given)
    assert "BEGIN" not in str(error.value)


def test_a_spreadsheet_may_be_named_by_its_address() -> None:
    for address in (KEY, f"https://docs.google.com/spreadsheets/d/{KEY}/edit?gid=0#gid=0"):
        named = suite_projection("google_sheets", spreadsheet=address, worksheet=TAB)
        GoogleSheetsDestination.check(named)
        assert GoogleSheetsDestination.target(named) == f"{KEY}/{TAB}"


def test_credentials_may_be_a_file_or_an_authorised_users(
    google: tuple[Sheets, Service], connected: GoogleSheetsDestination, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key.json").write_text(service_account(google[1].url))
    monkeypatch.setenv("GOOGLE_TEST_KEY", "key.json")
    projection = declared()
    connect(projection, folder=tmp_path).ensure(projection)
    oauth = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
    monkeypatch.setenv("GOOGLE_TEST_KEY", json.dumps(oauth))
    session: Any = connect(projection)._http(projection)
    assert session.credentials.refresh_token == "r"


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (None, "GOOGLE_TEST_KEY is not set"),
        ("missing.json", "names a file that cannot be read"),
        ("{]", "neither JSON nor"),
        (json.dumps({"type": "external_account", "private": SECRET}), "/type is neither"),
        (json.dumps({"type": "service_account", "private_key": SECRET}), "holds a key that cannot be used"),
    ],
)
def test_unusable_credentials_are_told_without_them(
    connected: GoogleSheetsDestination, monkeypatch: pytest.MonkeyPatch, key: str | None, told: str
) -> None:
    if key is None:
        monkeypatch.delenv("GOOGLE_TEST_KEY")
    else:
        monkeypatch.setenv("GOOGLE_TEST_KEY", key)
    with pytest.raises(DestinationError, match=told) as error:
        connect(declared()).ensure(declared())
    assert SECRET not in str(error.value)
