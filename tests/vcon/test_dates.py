"""Dates: RFC 3339 is kept to the letter, older spellings become it, and what names no moment is none."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.dates import from_epoch, read_date, seconds_of, written

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "text",
    [
        "2026-09-01T12:00:00Z",
        "2022-06-21T17:53:26.000+00:00",
        "2025-10-30T06:18:03.784872-07:30",
        "2025-07-20T23:20:50.123456789Z",
        "1955-11-07T10:00:00-05:00",
    ],
)
def test_rfc_3339_is_kept_to_the_letter(text: str) -> None:
    moment = read_date(text, BERLIN)
    assert moment is not None
    assert (moment.text, moment.rewritten, moment.assumed) == (text, False, False)


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("2026-09-01 12:00:00Z", "2026-09-01T12:00:00Z"),
        ("2026-09-01t12:00:00z", "2026-09-01T12:00:00Z"),
        ("2026-09-01T12:00:00+0000", "2026-09-01T12:00:00+00:00"),
        ("2026-09-01T12:00:00.25-07", "2026-09-01T12:00:00.25-07:00"),
        ("2026-09-01T12:00Z", "2026-09-01T12:00:00Z"),
        ("2026-09-01 12:00:00,5 +0200", "2026-09-01T12:00:00.5+02:00"),
        ("2025-07-20 23:20:50.52 +0000 UTC", "2025-07-20T23:20:50.52+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00Z"),
        ("Wed, 18 May 2022 23:05:05 -0000", "2022-05-18T23:05:05Z"),
        ("18 May 2022 23:05:05 EST", "2022-05-18T23:05:05-05:00"),
        ("Wed, 18 May 2022 23:05 +0530", "2022-05-18T23:05:00+05:30"),
    ],
)
def test_other_spellings_of_one_moment_become_rfc_3339(text: str, rewritten: str) -> None:
    moment = read_date(text, BERLIN)
    assert moment is not None
    assert (moment.text, moment.rewritten, moment.assumed) == (rewritten, True, False)


@pytest.mark.parametrize(
    ("text", "rewritten"),
    [
        ("2024-07-01T00:00:00", "2024-07-01T00:00:00+02:00"),
        ("2024-12-18T14:08:44.685843", "2024-12-18T14:08:44.685843+01:00"),
        ("2024-01-01 00:00", "2024-01-01T00:00:00+01:00"),
        ("Wed, 18 May 2022 23:05:05", "2022-05-18T23:05:05+02:00"),
    ],
)
def test_a_date_without_a_zone_gets_the_given_one_and_says_so(text: str, rewritten: str) -> None:
    moment = read_date(text, BERLIN)
    assert moment is not None
    assert (moment.text, moment.assumed) == (rewritten, True)


def test_local_mean_time_is_written_in_utc() -> None:
    moment = read_date("1880-01-01T12:00:00", BERLIN)  # Berlin was 53 minutes and 28 seconds ahead
    assert moment is not None
    assert moment.text == "1880-01-01T11:06:32+00:00"


@pytest.mark.parametrize(
    "text",
    [
        "Tuesday",
        "",
        "now",
        "2026-09-01",
        "12:00:00Z",
        "1719000000",
        "2026-04-31T12:00:00Z",
        "2026-09-01T25:00:00Z",
        "2026-09-01T12:00:00+25:00",
        "0000-01-01T00:00:00Z",
        "2026-W36-2T12:00:00Z",
        "2026-09-01T12:00:00Z; DROP TABLE",
        "٢٠٢٦-09-01T12:00:00Z",
        "Wed, 18 Foo 2022 23:05:05 -0000",
        "18 May 22 23:05:05 XYZ",
        "2026-09-01T12:00:00." + "0" * 100 + "Z",
    ],
)
def test_what_names_no_moment_is_no_date(text: str) -> None:
    assert read_date(text, UTC) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1_719_000_000, "2024-06-21T20:00:00Z"),
        (1_719_000_000.5, "2024-06-21T20:00:00.500Z"),
        (1_719_000_000_000, "2024-06-21T20:00:00Z"),
    ],
)
def test_an_epoch_number_is_seconds_or_milliseconds(number: float, text: str) -> None:
    moment = from_epoch(number, 0.0, 4e9)
    assert moment is not None
    assert moment.text == text


def test_a_number_outside_the_range_is_no_date() -> None:
    assert from_epoch(1e18, 0.0, 4e9) is None


zones = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@settings(max_examples=200, deadline=None)
@given(st.datetimes(timezones=zones | st.just(UTC)))
def test_what_is_written_is_read_as_the_same_moment(at: datetime) -> None:
    moment = read_date(written(at), BERLIN)
    assert moment is not None
    assert (moment.text, moment.rewritten) == (written(at), False)
    assert moment.seconds == pytest.approx(seconds_of(at), abs=1e-5)


nearly_dates = st.from_regex(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?( ?[+-][0-9]{2}:?[0-9]{2}|Z)?"
)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=70) | nearly_dates)
def test_reading_never_raises_and_what_was_rewritten_is_rfc_3339(text: str) -> None:
    moment = read_date(text, BERLIN)
    if moment is not None:
        again = read_date(moment.text, BERLIN)
        assert again is not None
        assert (again.text, again.rewritten) == (moment.text, False)
