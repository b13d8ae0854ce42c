"""All vCons by the time of their creation, forwards and backwards, without the search index.

Belongs here: pages of the sorted set ``vcons``. Not here: any other condition (``search.py``).

The set's name and its scores (seconds) are the conserver's, which writes there too: as ``vcon:{uuid}``, and as the bare
uuid when it takes a vCon back from a storage. Both are read; a vCon that stands there in both spellings is given once,
as the first. Each page takes logarithmic time, however deep and whatever the number of vCons of one second, because a
script finds the place of a cursor by rank (``lua/listing_page.lua``).
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, cast

from vcon_platform.store import keys, scripts
from vcon_platform.store.connection import explained
from vcon_platform.store.paging import Page, Place, QueryRefused, checked_limit, from_cursor, to_cursor
from vcon_platform.vcon.dates import seconds_of

if TYPE_CHECKING:
    from redis import Redis


class Listing:
    """The vCons of one Redis in the order of time."""

    def __init__(self, client: Redis) -> None:
        self._script = scripts.script(client, "listing_page")

    def page(
        self,
        *,
        created_from: datetime | None = None,
        created_to: datetime | None = None,
        newest_first: bool = True,
        limit: int = 50,
        cursor: str | None = None,
        skip: int = 0,
    ) -> Page:
        """A page of those created from ``created_from`` (inclusive) to ``created_to`` (exclusive). ``cursor`` comes
        from the page before in the same direction. ``skip``: how many to pass over first, for clients that count pages;
        unlike a cursor it moves when vCons arrive. ``total`` counts a vCon in two spellings twice. Raises
        :class:`CursorRefused`, :class:`QueryRefused`, :class:`StoreUnavailable`."""
        kind = "d" if newest_first else "a"
        after = None if cursor is None else from_cursor(kind, cursor)
        if skip < 0:
            raise QueryRefused("skip: it cannot be negative")
        arguments = (
            kind,
            _score(created_from, "-inf"),
            "+inf" if created_to is None else f"({_score(created_to, '')}",
            checked_limit(limit),
            skip,
            "" if after is None else repr(after.time),
            "" if after is None else after.name,
        )
        with explained():
            reply = cast("list[bytes]", self._script(keys=[keys.LISTING], args=arguments))
        total, more, *found = reply
        places = [Place(float(score), name.decode()) for name, score in zip(found[::2], found[1::2], strict=True)]
        following = to_cursor(kind, places[-1]) if int(more) and places else None
        prefix = keys.document("")
        return Page(tuple(place.name.removeprefix(prefix) for place in places), following, int(total))


def _score(moment: datetime | None, otherwise: str) -> str:
    if moment is None:
        return otherwise
    if moment.tzinfo is None:
        raise QueryRefused("created: a time needs a zone, such as 2026-11-02T09:00:00Z")
    return repr(seconds_of(moment))
