"""Pages of uuids, and the cursors that continue them.

Belongs here: what a page is, and writing a position as an opaque text. Not here: finding the uuids (``search.py``,
``listing.py``).

A cursor is the place of the last vCon that was shown, not a number of vCons to pass over: what is stored or erased
between two pages moves no other vCon across the border, so nothing is skipped and nothing shown twice. It holds a time
and a uuid and nothing of the question, so that it may stand in an address line and in logs.
"""

from __future__ import annotations

import base64
import math
import re
from dataclasses import dataclass

import orjson

from vcon_platform.errors import PlatformError

LARGEST = 1000
"""vCons on a page at most."""

_UUID = re.compile(r"[0-9A-Za-z._:-]{1,128}")
_LONGEST = 400


class CursorRefused(PlatformError):
    """A text that is no cursor of this listing."""


class QueryRefused(PlatformError):
    """A question that cannot be asked: the message says why."""


@dataclass(frozen=True, slots=True)
class Page:
    """``uuids`` in the asked order. ``cursor`` continues after them, None: there are no more. ``total``: how many there
    are on all pages, or, where counting took too long and ``exact`` is False, at least so many. ``complete``: False
    while the index is being built and there may be more than was found."""

    uuids: tuple[str, ...]
    cursor: str | None
    total: int
    complete: bool = True
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Place:
    """Where a vCon stands: its time (in the unit of the listing) and its name there."""

    time: float
    name: str


def to_cursor(kind: str, place: Place) -> str:
    """``kind`` tells one listing's cursors from another's."""
    return base64.urlsafe_b64encode(orjson.dumps([kind, place.time, place.name])).rstrip(b"=").decode()


def from_cursor(kind: str, cursor: str) -> Place:
    """Raises :class:`CursorRefused`."""
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        found, time, name = orjson.loads(raw)
        if found != kind or not isinstance(name, str) or not _UUID.fullmatch(name):
            raise ValueError
        if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
            raise ValueError
    except (ValueError, TypeError):
        raise CursorRefused("the cursor is not one of this listing: begin again without it") from None
    return Place(float(time), name)


def checked_limit(limit: int) -> int:
    """Raises :class:`QueryRefused` unless it is 1 to ``LARGEST``."""
    if not 1 <= limit <= LARGEST:
        raise QueryRefused(f"limit: a page has 1 to {LARGEST} vCons")
    return limit
