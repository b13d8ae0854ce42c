"""The header Retry-After (RFC 9110 section 10.2.3): seconds, or a date; and OpenAI's retry-after-ms."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 3600.0
"""Nobody is waited for longer at a time."""


def seconds_in(headers: Mapping[str, str]) -> float | None:
    """The seconds to wait that an answer's headers name, from 0 to an hour; None if they name none."""
    lowered = {name.lower(): value.strip() for name, value in headers.items()}
    found = _number(lowered.get("retry-after-ms", ""))
    if found is not None:
        return min(found / 1000, LONGEST)
    text = lowered.get("retry-after", "")
    found = _number(text)
    if found is None and text:
        try:
            moment = parsedate_to_datetime(text)
        except ValueError:
            return None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        found = max(0.0, (moment - datetime.now(UTC)).total_seconds())
    return None if found is None else min(found, LONGEST)


def _number(text: str) -> float | None:
    return float(text) if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit() else None
