"""Dialogs are put into time order without moving: what points at them still does."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.dialogs import duration, ended_at, in_time_order, started_at


def order(*starts: Any) -> list[int]:
    return [index for index, _ in in_time_order({"dialog": [{"start": start} for start in starts]})]


def test_the_earliest_comes_first_whatever_its_zone() -> None:
    assert order("2026-09-01T12:00:00Z", "2026-09-01T13:30:00+02:00", "2026-09-01T11:59:59.5Z") == [1, 2, 0]


def test_dialogs_of_one_moment_keep_their_order() -> None:
    assert order("2026-09-01T12:00:00Z", "2026-09-01T14:00:00+02:00", "2026-09-01T12:00:00Z") == [0, 1, 2]


@pytest.mark.parametrize("start", [None, "Tuesday", 5, True, "", "9" * 5000])
def test_an_unreadable_start_follows_the_one_before(start: Any) -> None:
    assert order("2026-09-01T12:00:00Z", start, "2026-09-01T11:00:00Z") == [2, 0, 1]


def test_old_spellings_of_a_date_are_read() -> None:
    assert order("2026-09-01T12:00:00Z", "Tue, 01 Sep 2026 11:00:00 -0000", "2026-09-01 10:00:00") == [2, 1, 0]


def test_what_is_no_dialog_keeps_its_place() -> None:
    data = {"dialog": ["junk", {"start": "2026-09-01T12:00:00Z"}, None]}
    assert in_time_order(data) == [(0, {}), (1, data["dialog"][1]), (2, {})]


@pytest.mark.parametrize("dialog", [None, {}, "x", 5])
def test_a_document_without_dialogs_has_none(dialog: Any) -> None:
    assert in_time_order({"dialog": dialog}) == []


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (4, 4.0),
        (0.5, 0.5),
        (0, 0.0),
        (-1, None),
        (True, None),
        ("4", None),
        (None, None),
        (1e300, None),
        (10**400, None),
    ],
)
def test_a_duration_is_a_length(value: Any, seconds: float | None) -> None:
    assert duration({"duration": value}) == seconds


def test_the_end_needs_a_start_and_a_duration() -> None:
    start = "1970-01-01T00:01:00Z"
    assert ended_at({"start": start, "duration": 5}) == 65.0
    assert ended_at({"start": start}) is None
    assert ended_at({"duration": 5}) is None
    assert started_at({"start": start}) == 60.0


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.none() | st.dictionaries(st.just("start"), st.text(max_size=12) | st.datetimes().map(str)), max_size=8)
)
def test_every_dialog_is_handed_out_once(dialogs: list[Any]) -> None:
    found = in_time_order({"dialog": dialogs})
    assert sorted(index for index, _ in found) == list(range(len(dialogs)))
