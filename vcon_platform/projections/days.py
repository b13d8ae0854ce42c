"""Days as ranges: which stretches of days to land together."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta


def day_ranges(days: Sequence[str], most: int) -> list[tuple[str, str]]:
    """Sorted ISO days as at most ``most`` ranges (first, last), split at the widest gaps between them."""
    if not days:
        return []
    dates = [date.fromisoformat(day) for day in days]
    gaps = sorted(
        (index for index in range(1, len(dates)) if dates[index] - dates[index - 1] > timedelta(days=1)),
        key=lambda index: (dates[index - 1] - dates[index], index),
    )
    starts = [0, *sorted(gaps[: most - 1])]
    ends = [*(start - 1 for start in starts[1:]), len(days) - 1]
    return [(days[start], days[end]) for start, end in zip(starts, ends, strict=True)]
