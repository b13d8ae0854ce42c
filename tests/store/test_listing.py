"""Listing by time: every vCon once, in both directions, in both spellings, whatever comes and goes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from redis import Redis

from vcon_platform.store import keys
from vcon_platform.store.listing import Listing
from vcon_platform.store.paging import CursorRefused, Page, QueryRefused
from vcon_platform.vcon.uuids import new_uuid

NOON = datetime(2026, 11, 2, 12, 0, 0, 123_000, tzinfo=UTC)


@pytest.fixture
def listing(redis_client: Redis) -> Listing:
    return Listing(redis_client)


def _list(client: Redis, at: datetime = NOON, *, bare: bool = False, uuid: str = "") -> str:
    uuid = uuid or new_uuid()
    client.zadd(keys.LISTING, {uuid if bare else keys.document(uuid): at.timestamp()})
    return uuid


def _pages(listing: Listing, **asked: Any) -> Iterator[Page]:
    cursor = None
    while True:
        page = listing.page(cursor=cursor, **asked)
        yield page
        cursor = page.cursor
        if cursor is None:
            return


def _all(listing: Listing, **asked: Any) -> list[str]:
    return [uuid for page in _pages(listing, **asked) for uuid in page.uuids]


def test_nothing_is_listed_of_an_empty_store(listing: Listing) -> None:
    assert listing.page() == Page((), None, 0)


def test_the_newest_comes_first(listing: Listing, redis_client: Redis) -> None:
    old, new = _list(redis_client), _list(redis_client, NOON + timedelta(milliseconds=1))
    assert listing.page() == Page((new, old), None, 2)


def test_the_oldest_comes_first_when_asked(listing: Listing, redis_client: Redis) -> None:
    old, new = _list(redis_client), _list(redis_client, NOON + timedelta(milliseconds=1))
    assert listing.page(newest_first=False) == Page((old, new), None, 2)


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 7, 50, 1000])
@pytest.mark.parametrize("moments", [1, 4, 1000])
def test_pages_hold_everything_once_in_order(
    listing: Listing, redis_client: Redis, newest_first: bool, limit: int, moments: int
) -> None:
    chance = random.Random(limit)
    times = {new_uuid(): NOON + timedelta(milliseconds=chance.randrange(moments)) for _ in range(50)}
    for uuid, at in times.items():
        _list(redis_client, at, bare=chance.random() < 0.3, uuid=uuid)
    seen = _all(listing, newest_first=newest_first, limit=limit)
    assert sorted(seen) == sorted(times)
    assert [times[uuid] for uuid in seen] == sorted(times.values(), reverse=newest_first)


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_vcon_in_both_spellings_is_listed_once(listing: Listing, redis_client: Redis, newest_first: bool) -> None:
    uuids = {_list(redis_client, NOON + timedelta(milliseconds=number)) for number in range(9)}
    for uuid in uuids:
        _list(redis_client, NOON.replace(microsecond=0), bare=True, uuid=uuid)
    seen = _all(listing, newest_first=newest_first, limit=2)
    assert (len(seen), set(seen)) == (9, uuids)


@pytest.mark.parametrize("newest_first", [True, False])
def test_a_stretch_of_time_begins_inclusive_and_ends_exclusive(
    listing: Listing, redis_client: Redis, newest_first: bool
) -> None:
    uuids = [_list(redis_client, NOON + timedelta(milliseconds=number)) for number in range(10)]
    asked = {"created_from": NOON + timedelta(milliseconds=3), "created_to": NOON + timedelta(milliseconds=6)}
    seen = _all(listing, newest_first=newest_first, limit=2, **asked)
    assert seen == (list(reversed(uuids[3:6])) if newest_first else uuids[3:6])
    assert listing.page(**asked).total == 3  # type: ignore[arg-type]


@pytest.mark.parametrize("newest_first", [True, False])
def test_vcons_that_come_and_go_between_pages_move_no_other(
    listing: Listing, redis_client: Redis, newest_first: bool
) -> None:
    chance = random.Random(3)
    for _ in range(60):
        _list(redis_client, NOON + timedelta(milliseconds=chance.randrange(5)))
    expected = _all(listing, newest_first=newest_first)
    seen: list[str] = []
    for page in _pages(listing, newest_first=newest_first, limit=7):
        seen += page.uuids
        before = -1 if not newest_first else 1
        _list(redis_client, NOON + before * timedelta(hours=1))
        redis_client.zrem(keys.LISTING, keys.document(page.uuids[-1]))  # the very one that the cursor names
    assert seen == expected


def test_members_can_be_passed_over(listing: Listing, redis_client: Redis) -> None:
    uuids = [_list(redis_client, NOON - timedelta(seconds=number)) for number in range(6)]
    assert listing.page(limit=2, skip=3).uuids == tuple(uuids[3:5])
    assert listing.page(limit=2, skip=7) == Page((), None, 6)


@pytest.mark.parametrize("cursor", ["", "x", "WyJkIixudWxsLCJhIl0", "WyJzIiwxLCJhIl0", "\u00e4" * 9])
def test_what_is_no_cursor_is_refused(listing: Listing, cursor: str) -> None:
    with pytest.raises(CursorRefused):
        listing.page(cursor=cursor)


def test_a_cursor_of_the_other_direction_is_refused(listing: Listing, redis_client: Redis) -> None:
    for _ in range(2):
        _list(redis_client)
    with pytest.raises(CursorRefused):
        listing.page(newest_first=False, cursor=listing.page(limit=1).cursor)


@pytest.mark.parametrize("asked", [{"limit": 0}, {"limit": 1001}, {"skip": -1}])
def test_what_cannot_be_a_page_is_refused(listing: Listing, asked: dict[str, Any]) -> None:
    with pytest.raises(QueryRefused):
        listing.page(**asked)
