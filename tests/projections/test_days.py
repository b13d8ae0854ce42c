"""Days as ranges: every day that is behind is in one of few ranges."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from vcon_platform.projections.days import day_ranges

_DAYS = st.lists(st.integers(0, 400), unique=True).map(
    lambda numbers: [(date(2026, 1, 1) + timedelta(days=number)).isoformat() for number in sorted(numbers)]
)


def test_neighbouring_days_are_one_range() -> None:
    assert day_ranges(["2026-01-01", "2026-01-02", "2026-01-03"], 4) == [("2026-01-01", "2026-01-03")]


def test_too_many_gaps_are_split_at_the_widest() -> None:
    days = ["2026-01-01", "2026-01-03", "2026-06-01"]
    assert day_ranges(days, 2) == [("2026-01-01", "2026-01-03"), ("2026-06-01", "2026-06-01")]


@given(_DAYS, st.integers(1, 6))
def test_every_day_is_in_exactly_one_range_and_there_are_no_more_than_asked_for(days: list[str], most: int) -> None:
    ranges = day_ranges(days, most)
    assert len(ranges) <= most
    assert all(sum(first <= day <= last for first, last in ranges) == 1 for day in days)
