"""Dates as documents write them: RFC 3339, and the older and looser spellings in the wild.

Belongs here: reading one date and writing it as RFC 3339. Not here: which members hold dates, and how far back or
ahead they may lie (``gates.py``), the source's configured zone (``policy.py``).

Nothing is guessed. A date is taken only if it names a day and a time of day in a form that can mean one moment:
"Tuesday" is none, and neither is a bare day. A text that is RFC 3339 already is kept to the letter, since what was
said of a conversation is not ours to reformat; any other is rewritten with the same digits wherever it can be.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, tzinfo
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import NamedTuple

LONGEST = 64
"""Characters of a date. A longer text is none, and is not looked at."""

_RFC3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)
_LOOSE = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]+))?)?"
    r" ?(Z|z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?(?: (?:UTC|GMT))?"  # "+0000 UTC" is how Go prints a time
)
_RFC2822 = re.compile(
    r"(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), ?)?[0-9]{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4}"
    r" [0-9]{2}:[0-9]{2}(?::[0-9]{2})?( (?:[+-][0-9]{4}|UTC?|GMT|Z|[ECMP][SD]T))?"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Moment(NamedTuple):
    """A date that was read. ``text``: as RFC 3339, the document's own text where it is that already (else
    ``rewritten``). ``seconds`` since 1970 in UTC. ``assumed``: the zone is not the document's."""

    text: str
    seconds: float
    rewritten: bool
    assumed: bool


@lru_cache(maxsize=16384)
def _read(text: str, zone: tzinfo) -> Moment | None:
    try:
        if _RFC3339.fullmatch(text) is not None and text[17:19] != "60":
            return Moment(text, _seconds(datetime.fromisoformat(text)), rewritten=False, assumed=False)
        return _read_loose(text, zone) or _read_rfc2822(text, zone)
    except (ValueError, OverflowError):  # the 31st of April, hour 25; a zone beyond year 1 or 9999
        return None


def read_date(text: str, zone: tzinfo) -> Moment | None:
    """What ``text`` says, or None if it is no date and time. ``zone`` is taken where it names none."""
    return _read(text, zone) if len(text) <= LONGEST else None


def _read_loose(text: str, zone: tzinfo) -> Moment | None:
    match = _LOOSE.fullmatch(text)
    if match is None:
        return None
    day, minutes, seconds, fraction, offset = match.groups()
    leap = seconds == "60"  # RFC 3339 allows it; computers count it as the second after
    at = datetime.fromisoformat(f"{day}T{minutes}:{'59' if leap else seconds or '00'}")
    if leap:
        at += timedelta(seconds=1)
    assumed = offset is None
    at = at.replace(tzinfo=zone if offset is None else _offset(offset))
    moment = at.isoformat(timespec="seconds")
    if at.utcoffset() is None or len(moment) != 25:  # a historical local mean time: its offset has seconds
        at = at.astimezone(UTC)
        moment = at.isoformat(timespec="seconds")
    digits = f".{fraction}" if fraction else ""
    ending = "Z" if offset in ("Z", "z", "UTC", "GMT") else moment[19:]
    part = float(f"0{digits}") if digits else 0.0
    return Moment(f"{moment[:19]}{digits}{ending}", _seconds(at) + part, rewritten=True, assumed=assumed)


def _offset(text: str) -> tzinfo:
    if text[0] not in "+-":
        return UTC
    digits = text[1:].replace(":", "")
    zone = datetime.fromisoformat(f"2000-01-01T00:00:00{text[0]}{digits[:2]}:{digits[2:] or '00'}").tzinfo
    return zone or UTC


def _read_rfc2822(text: str, zone: tzinfo) -> Moment | None:
    match = _RFC2822.fullmatch(text)
    if match is None:
        return None
    at = parsedate_to_datetime(text)
    assumed = match[1] is None
    if at.tzinfo is None:  # -0000 is UTC with nothing said of the place (RFC 2822 section 3.3)
        at = at.replace(tzinfo=zone if assumed else UTC)
    return Moment(written(at), _seconds(at), rewritten=True, assumed=assumed)


def from_epoch(number: float, earliest: float, latest: float) -> Moment | None:
    """A number as seconds since 1970, else as milliseconds, whichever lies within the range (in seconds); None if
    neither does."""
    for seconds in (number, number / 1000):
        if earliest <= seconds <= latest:
            at = _EPOCH + timedelta(microseconds=round(seconds * 1_000_000))
            return Moment(written(at), seconds, rewritten=True, assumed=False)
    return None


def written(at: datetime) -> str:
    """A timezone-aware time as RFC 3339: ``Z`` for UTC, no more of a fraction than there is."""
    if (at.utcoffset() or timedelta()) % timedelta(minutes=1):
        at = at.astimezone(UTC)
    timespec = "milliseconds" if at.microsecond and at.microsecond % 1000 == 0 else "auto"
    return at.isoformat(timespec=timespec).replace("+00:00", "Z")


def seconds_of(at: datetime) -> float:
    """Seconds since 1970 of a timezone-aware time, also of years that ``timestamp()`` cannot do."""
    return _seconds(at)


def _seconds(at: datetime) -> float:
    return (at - _EPOCH) / _MICROSECOND / 1_000_000
