"""Redis is lost: the archive gives everything back, and nothing new is let in before it has."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import orjson
import pytest
from redis import Redis

from tests.support import document_store
from vcon_platform.pipelines.verdict_rows import row_marks
from vcon_platform.store import keys
from vcon_platform.store.archive import path_of
from vcon_platform.store.commits import Commit, Committed, NewVcon, Restored, RowMark
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.identity import StoreMismatch
from vcon_platform.store.packs import pack_of
from vcon_platform.store.rebuild import rebuild
from vcon_platform.store.records import Record
from vcon_platform.store.rows import RowIndex
from vcon_platform.vcon.document import Append, Vcon
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def store(redis_client: Redis, tmp_path: Path) -> DocumentStore:
    return document_store(redis_client, tmp_path)


def _vcon() -> Vcon:
    return Vcon({"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [{"tel": "+15550100"}]})


def _path(store: DocumentStore, uuid: str) -> str:
    [ref] = store.archive.refs(uuid)
    return path_of(uuid, ref.revision, ref.commit)


def _create(store: DocumentStore, **rest: object) -> str:
    [(uuid, _)] = store.create([NewVcon(_vcon(), **rest)])  # type: ignore[arg-type]
    return uuid


def _everything(client: Redis) -> dict[bytes, object]:
    found: dict[bytes, object] = {}
    for key in cast("list[bytes]", client.keys("*")):
        kind = client.type(key)
        if kind == b"ReJSON-RL":
            found[key] = orjson.loads(client.execute_command("JSON.GET", key))  # type: ignore[no-untyped-call]
        elif kind == b"hash":
            found[key] = client.hgetall(key)
        elif kind == b"zset":
            found[key] = client.zrange(key, 0, -1, withscores=True)
        elif kind == b"set":
            found[key] = client.smembers(key)
        elif kind == b"string":
            found[key] = client.get(key)
    return found


def test_an_emptied_redis_is_filled_as_it_was(store: DocumentStore, redis_client: Redis) -> None:
    uuids = [_create(store, meta={"adapter": "test", "day": "2026-11-02"}) for _ in range(5)]
    for uuid in uuids[:3]:
        store.update(uuid, lambda vcon: vcon.append("analysis", {"type": "summary", "vendor": "x"}))
    before = _everything(redis_client)
    redis_client.flushall()
    done = rebuild(redis_client, store, marks=row_marks)
    assert (done.counts, done.broken) == ({Restored.RESTORED: 5}, {})
    after = _everything(redis_client)
    after.pop(keys.STORE_SWEEPS.encode(), None)
    assert after == before


def test_a_second_rebuild_changes_nothing(store: DocumentStore, redis_client: Redis) -> None:
    _create(store)
    before = _everything(redis_client)
    assert rebuild(redis_client, store, marks=row_marks).counts == {Restored.THERE: 1}
    after = _everything(redis_client)
    after.pop(keys.STORE_SWEEPS.encode(), None)
    assert after == before


def test_nothing_new_comes_in_before_everything_is_back(store: DocumentStore, redis_client: Redis) -> None:
    _create(store)
    redis_client.flushall()
    with pytest.raises(StoreMismatch):
        _create(store)
    rebuild(redis_client, store, marks=row_marks)
    assert store.read_one(_create(store)).revision == 1


def test_rows_that_pipelines_wrote_come_back_and_land_again(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store)
    vcon = store.read_one(uuid)
    row = {"projection": "calls", "day": "2026-11-02", "hash": "0123456789ab-0123456789abcdef-1", "rows": [{}]}
    vcon.append("attachments", {"purpose": "projection", "body": row})
    list(store.commit([Commit(vcon, rows=[RowMark("calls", "2026-11-02", uuid, row["hash"])])]))  # type: ignore[arg-type]
    redis_client.flushall()
    rebuild(redis_client, store, marks=row_marks)
    index = RowIndex(redis_client)
    assert index.rows("calls", ["2026-11-02"]) == {uuid: row["hash"]}
    assert index.behind("calls", "postgres") == ["2026-11-02"]


def test_rows_that_somebody_posted_are_no_rows(store: DocumentStore, redis_client: Redis) -> None:
    row = {"projection": "calls", "day": "2026-11-02", "hash": "0123456789ab-0123456789abcdef-1", "rows": [{}]}
    vcon = Vcon({**_vcon().data, "attachments": [{"purpose": "projection", "body": row}]})
    list(store.create([NewVcon(vcon)]))
    redis_client.flushall()
    rebuild(redis_client, store, marks=row_marks)
    assert RowIndex(redis_client).rows("calls", ["2026-11-02"]) == {}


def test_a_record_that_cannot_be_read_is_named_and_stops_no_other(
    store: DocumentStore, redis_client: Redis, tmp_path: Path
) -> None:
    bad, good = _create(store), _create(store)
    (tmp_path / _path(store, bad)).write_bytes(b"junk")
    redis_client.flushall()
    done = rebuild(redis_client, store, marks=row_marks)
    assert (set(done.broken), done.counts) == ({bad}, {Restored.RESTORED: 1})
    assert store.read_one(good).uuid == good


def test_of_two_claims_to_the_newest_revision_nothing_appended_is_lost(
    store: DocumentStore, redis_client: Redis
) -> None:
    """A writer died between archive and Redis, another made that revision; then Redis, which knew which, was lost."""
    uuid = _create(store)
    dead, alive = store.read_one(uuid), store.read_one(uuid)
    dead.append("analysis", {"type": "summary", "body": "of the dead writer"})
    alive.append("analysis", {"type": "summary", "body": "of the other"})
    list(store.commit([Commit(alive)]))
    store.archive.keep([Record(uuid=uuid, revision=2, previous=dead.commit, changes=tuple(dead.changes))])
    assert len(store.read_one(uuid).analysis) == 1
    redis_client.flushall()
    rebuild(redis_client, store, marks=row_marks)
    assert {entry["body"] for entry in store.read_one(uuid).analysis} == {"of the dead writer", "of the other"}


def test_a_record_that_never_came_true_is_passed_over_where_redis_knows(
    store: DocumentStore, redis_client: Redis
) -> None:
    uuid = _create(store)
    changes = (Append("analysis", {"type": "x"}),)
    store.archive.keep([Record(uuid=uuid, revision=2, previous=store.read_one(uuid).commit, changes=changes)])
    redis_client.delete(keys.document(uuid))
    assert (store.read_one(uuid).revision, store.read_one(uuid).analysis) == (1, [])


def test_a_redis_that_lost_its_newest_writes_is_brought_up_to_date(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store)
    backup = {key: redis_client.dump(key) for key in (keys.document(uuid), keys.meta(uuid))}
    store.update(uuid, lambda vcon: vcon.append("analysis", {"type": "summary"}))
    after = store.read_one(uuid)
    for key, value in backup.items():
        assert value is not None
        redis_client.restore(key, 0, value, replace=True)
    assert rebuild(redis_client, store, marks=row_marks).counts == {Restored.RESTORED: 1}
    again = store.read_one(uuid)
    assert (again.data, again.revision, again.commit) == (after.data, after.revision, after.commit)


def test_vcons_that_came_together_come_back_from_their_pack(store: DocumentStore, redis_client: Redis) -> None:
    uuids = [uuid for uuid, _ in store.create(NewVcon(_vcon()) for _ in range(250))]
    packs = {pack_of(store.read_one(uuid).commit) for uuid in uuids}
    assert None not in packs
    list(store.commit([Commit(vcon) for vcon in _changed(store, uuids[:10])]))
    before = store.read(uuids)
    redis_client.flushall()
    assert rebuild(redis_client, store, marks=row_marks).counts == {Restored.RESTORED: 250}
    after = store.read(uuids)
    assert {uuid: (vcon.data, vcon.revision, vcon.commit) for uuid, vcon in after.items()} == {
        uuid: (vcon.data, vcon.revision, vcon.commit) for uuid, vcon in before.items()
    }


def _changed(store: DocumentStore, uuids: list[str]) -> list[Vcon]:
    vcons = list(store.read(uuids).values())
    for vcon in vcons:
        vcon.append("analysis", {"type": "summary"})
    return vcons


def test_a_refused_commit_leaves_a_hole_in_its_pack_and_harms_no_neighbour(
    store: DocumentStore, redis_client: Redis
) -> None:
    uuids = [uuid for uuid, _ in store.create(NewVcon(_vcon()) for _ in range(8))]
    vcons = list(store.read(uuids).values())
    store.update(uuids[3], lambda vcon: vcon.put("subject", "first"))
    for vcon in vcons:
        vcon.put("subject", "second")
    outcomes = {commit.vcon.uuid: outcome for commit, outcome in store.commit([Commit(vcon) for vcon in vcons])}
    assert [uuid for uuid in uuids if outcomes[uuid] is not Committed.OK] == [uuids[3]]
    redis_client.flushall()
    rebuild(redis_client, store, marks=row_marks)
    subjects = [store.read_one(uuid).data["subject"] for uuid in uuids]
    assert subjects == ["first" if uuid == uuids[3] else "second" for uuid in uuids]


def test_long_histories_are_read_back_from_a_snapshot(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store)
    for number in range(40):
        store.update(uuid, lambda vcon, number=number: vcon.append("analysis", {"type": str(number)}))  # type: ignore[misc]
    history = store.archive.history(uuid, whole=False)
    assert history is not None
    assert len(history.records) <= 16
    assert history.vcon().data == store.read_one(uuid).data
