"""Search: vCons by who took part, what they are, when they were and what was said, newest first.

Promises:

- what was written is found by the very next question: the hashes are written together with the document, and RediSearch
  reads them at once;
- all conditions hold of everything that is found; nothing found is an empty page;
- pages neither skip nor repeat a vCon when others arrive or go between them, also where thousands have the same time;
- while the index is being built (the first time, or after a restart of Redis) a page says that it may lack something;
- no question holds up Redis for long: of a question with very many answers only the stretch of time is sorted that
  holds the page.

Belongs here: running a question. Not here: its language (``search_query.py``), the index (``search_index.py``), listing
without a condition, which needs no index (``listing.py``).
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys, search_index, search_refresh
from vcon_platform.store.connection import explain, explained
from vcon_platform.store.paging import Page, Place, checked_limit, from_cursor, to_cursor
from vcon_platform.store.search_fields import INPUTS
from vcon_platform.store.search_index import ALIAS, IndexState
from vcon_platform.store.search_query import Asked, SearchQuery, asked

if TYPE_CHECKING:
    from redis import Redis


FEW = 2_000
"""Answers that are sorted as a whole: about 1 ms. Of more, only the stretch of time is that holds the page."""
ROOM = 20
"""vCons by which a stretch is longer than it should have to be."""
SLOWEST = 1_000
"""Milliseconds that one command may take. RediSearch runs on Redis' only thread."""
COUNTING = 50
"""Milliseconds that counting may take: where it takes longer the total is a lower bound."""
_KIND = "s"


class SearchTooSlow(PlatformError):
    """A question took longer than ``SLOWEST``; what was found by then is not given, for it may be the wrong page."""


class SearchIndex:
    """Asks and keeps the index of one Redis. ``region`` (ISO 3166, ``US``) is where numbers without a country code are
    at home. ``wait``: seconds that a question waits for an index that is being built."""

    def __init__(self, client: Redis, *, region: str | None = None, wait: float = 2.0) -> None:
        self._client = client
        self._region = region
        self._wait = wait
        self._looked = 0.0

    def ensure(self, wait: float = 60.0) -> IndexState:
        """See :func:`search_index.ensure`. To be called when a process starts; asking does what is left of it."""
        return search_index.ensure(self._client, wait)

    def reindex(self, read: search_refresh.Read, uuids: Iterable[str] | None = None) -> search_refresh.Refreshed:
        """See :func:`search_refresh.refresh`."""
        return search_refresh.refresh(self._client, read, uuids, region=self._region)

    def search(self, query: SearchQuery) -> Page:
        """The vCons that fit, newest ``created_at`` first (by uuid where it is the same). Raises
        :class:`CursorRefused`, :class:`QueryRefused`, :class:`SearchTooSlow`, :class:`StoreUnavailable`."""
        limit = checked_limit(query.limit)
        after = None if query.cursor is None else from_cursor(_KIND, query.cursor)
        question = asked(query, self._region)
        if question is None:
            return Page((), None, 0)
        counted = self._count(question)
        few = counted.exact and counted.total <= FEW
        share = None if few else counted.total / max(counted.listed, counted.total)
        places = self._places(question, after, limit + 1, share) if counted.total else []
        cursor = to_cursor(_KIND, places[limit - 1]) if len(places) > limit else None
        found = tuple(place.name for place in places[:limit])
        return Page(found, cursor, max(counted.total, len(found)), counted.complete, counted.exact)

    def _count(self, question: Asked) -> _Counted:
        """How many there are, and whether the index knew all vCons when it was asked."""
        everything = question.between(question.low, question.high)
        deadline = time.monotonic() + self._wait
        while True:
            pipeline = self._client.pipeline(transaction=False)
            pipeline.execute_command("FT.INFO", ALIAS)  # type: ignore[no-untyped-call]
            pipeline.execute_command(*_command(question, everything, *_COUNT, at_most=COUNTING))  # type: ignore[no-untyped-call]
            pipeline.execute_command(*_command(_ALL, _OUTDATED, *_COUNT))  # type: ignore[no-untyped-call]
            pipeline.zcount(keys.LISTING, _seconds(question.low, "-inf"), _seconds(question.high, "+inf"))
            began = time.monotonic()
            with explained():
                found, counted, outdated, listed = replies = pipeline.execute(raise_on_error=False)
            if any(map(search_index.is_missing, replies)):  # Redis was emptied: the first index answers at once
                self.ensure(max(0.0, deadline - time.monotonic()))
                continue
            exact = not _cut_short(counted, time.monotonic() - began, COUNTING)
            for reply in (found, outdated, listed) if _is_timeout(counted) else replies:
                if isinstance(reply, Exception):
                    raise _explained(reply) from reply
            state = search_index.state_of(search_index.members(found))
            if state is not None and not state.current:
                self._finish()
            indexing = state is None or state.indexing
            if not indexing or time.monotonic() >= deadline:
                complete = not indexing and _total(outdated) == 0
                return _Counted(_total(counted), listed, exact, complete)
            time.sleep(search_index.POLL)

    def _finish(self) -> None:
        """An older version answers: see, now and then, whether ours is ready."""
        now = time.monotonic()
        if now - self._looked > 1:
            self._looked = now
            self.ensure(0)

    def _places(self, question: Asked, after: Place | None, count: int, share: float | None) -> list[Place]:
        """The next ``count`` places after ``after``. ``share``: which part of all vCons fits, about; None: so few fit
        that all are sorted. Else one stretch of time after the other is, each as long as it must be by that share, and
        four times as long where that was not enough."""
        places: list[Place] = []
        high = question.high
        if after is not None:
            high = int(after.time) if high is None else min(int(after.time), high)
        step = 0 if share is None else ROOM + int(1.5 * count / share)
        while True:
            low = self._time_before(high, step) if step else None
            if low is not None and question.low is not None and low <= question.low:
                low = None
            places += self._sorted(question, question.low if low is None else low, high, after, count - len(places))
            if low is None or len(places) == count:
                return places
            high, after, step = low - 1, None, 4 * step

    def _time_before(self, high: int | None, number: int) -> int | None:
        """A time before which ``number`` vCons were created up to ``high``, by the listing; None: there are not that
        many. It need not be right: it only decides how much is sorted at once."""
        with explained():
            later = 0 if high is None else self._client.zcount(keys.LISTING, f"({high / 1000!r}", "+inf")
            place = cast("list[Any]", self._client.zrange(keys.LISTING, later + number, later + number, desc=True))
            score = self._client.zscore(keys.LISTING, place[0]) if place else None
        if score is None:
            return None
        return math.floor(score * 1000) if high is None else min(math.floor(score * 1000), high)

    def _sorted(
        self, question: Asked, low: int | None, high: int | None, after: Place | None, count: int
    ) -> list[Place]:
        """The first ``count`` places after ``after`` of what was created between these milliseconds."""
        import redis

        behind: tuple[str, ...] = ()
        if after is not None:
            behind = ("FILTER", f"@created < {int(after.time)} || @uuid > '{after.name}'")
        order = ("SORTBY", 4, "@created", "DESC", "@uuid", "ASC", "MAX", count, "LIMIT", 0, count)
        load = ("LOAD", 2, "@created", "@uuid")
        try:
            text = question.between(low, high)
            reply = _ask(self._client, _command(question, text, *load, *behind, *order, name="FT.AGGREGATE"))
        except redis.RedisError as error:
            raise _explained(error) from error
        return [Place(float(row["created"]), row["uuid"]) for row in _rows(reply)]


@dataclass(frozen=True, slots=True)
class _Counted:
    total: int
    listed: int
    exact: bool
    complete: bool


_ALL = Asked((), (), None, None)
_OUTDATED = f"@v:{{{'|'.join(map(str, range(INPUTS)))}}}"
_COUNT: tuple[str | int, ...] = ("NOCONTENT", "SCORER", "DOCSCORE", "LIMIT", 0, 1)
"""No content and no ranking. One answer is asked for because RediSearch warns of a lack of time only then."""


def _command(
    question: Asked, text: str, *rest: str | int, name: str = "FT.SEARCH", at_most: int = 0
) -> tuple[str | int, ...]:
    params: tuple[str | int, ...] = ("PARAMS", len(question.params), *question.params) if question.params else ()
    return (name, ALIAS, text, *rest, *params, "TIMEOUT", at_most or SLOWEST, "DIALECT", 2)


def _ask(client: Redis, command: tuple[str | int, ...]) -> Any:
    began = time.monotonic()
    reply = client.execute_command(*command)  # type: ignore[no-untyped-call]
    if _cut_short(reply, time.monotonic() - began, SLOWEST):
        raise _too_slow()
    return reply


def _cut_short(reply: Any, seconds: float, at_most: int) -> bool:
    """True if an answer may be a part of the truth. When the time is up most servers give what they have by then, with
    a warning that RESP2 connections do not get: there, an answer is believed if it came in time."""
    if isinstance(reply, Mapping):
        return any(b"imeout" in warning for warning in reply.get(b"warning", ()))
    return _is_timeout(reply) or seconds * 1000 >= at_most


def _is_timeout(reply: Any) -> bool:
    return isinstance(reply, Exception) and "timeout limit" in str(reply).lower()


def _seconds(milliseconds: int | None, otherwise: str) -> str:
    return otherwise if milliseconds is None else repr(milliseconds / 1000)


def _too_slow() -> SearchTooSlow:
    return SearchTooSlow("this search takes too long: ask for a shorter time, or for rarer words")


def _explained(error: Exception) -> PlatformError:
    return _too_slow() if _is_timeout(error) else explain(error)


def _total(reply: Any) -> int:
    if isinstance(reply, Exception):
        return 1  # there is no telling; at least it is worth asking
    return int(reply[b"total_results"] if isinstance(reply, Mapping) else reply[0])


def _rows(reply: Any) -> list[dict[str, str]]:
    """The members that an answer gives of each document."""
    if isinstance(reply, Mapping):
        found: Sequence[Any] = [row.get(b"extra_attributes", {}) for row in reply[b"results"]]
    else:
        found = [row for row in reply[1:] if isinstance(row, list)]
    return [
        {name: search_index.text(value) for name, value in search_index.members(row).items()}
        for row in cast("list[Any]", found)
    ]
