"""Retry-After: seconds or a date, never negative, never for ever, and no header makes us fall over."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcon_platform.store.retry_after import LONGEST, seconds_in


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": "7", "Retry-After-Ms": "250"}, 0.25),
        ({"Retry-After": "999999"}, LONGEST),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
        ({}, None),
    ],
)
def test_as_servers_write_it(headers: dict[str, str], expected: float | None) -> None:
    assert seconds_in(headers) == expected


def test_a_date_is_so_many_seconds_from_now() -> None:
    found = seconds_in({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)})
    assert found is not None
    assert 80 < found <= 90


@given(st.text() | st.text("0123456789.:, GMT", max_size=30))
def test_any_header_is_a_time_within_an_hour_or_none(text: str) -> None:
    found = seconds_in({"Retry-After": text})
    assert found is None or 0 <= found <= LONGEST
