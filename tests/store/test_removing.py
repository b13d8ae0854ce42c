"""A vCon that was removed is nowhere, and stays away: no rebuild, run that held it, or slow reader brings it back."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from tests.support import document_store
from vcon_platform.pipelines.removal import rows_ever
from vcon_platform.pipelines.verdict_rows import row_marks
from vcon_platform.store import keys
from vcon_platform.store.check import Difference, Fault, check
from vcon_platform.store.commits import Commit, Committed, NewVcon, Restored, RowMark
from vcon_platform.store.documents import DocumentStore, Missing
from vcon_platform.store.listing import Listing
from vcon_platform.store.media import MediaStore, reference
from vcon_platform.store.packs import pack_of
from vcon_platform.store.rebuild import rebuild
from vcon_platform.store.records import Record
from vcon_platform.store.removing import Remover, RevisionChanged
from vcon_platform.store.rows import RowIndex
from vcon_platform.vcon.document import Append, Vcon
from vcon_platform.vcon.uuids import new_uuid

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(redis_client: Redis, tmp_path: Path) -> DocumentStore:
    return document_store(redis_client, tmp_path / "objects")


@pytest.fixture
def media(store: DocumentStore, redis_client: Redis) -> MediaStore:
    return MediaStore(store.archive.objects, 8, redis_client)


def _vcon(uuid: str = "", **members: Any) -> Vcon:
    return Vcon({"uuid": uuid or new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [], **members})


def _create(store: DocumentStore, uuid: str = "", **members: Any) -> str:
    [(created, _)] = store.create([NewVcon(_vcon(uuid, **members))])
    return created


def _remove(client: Redis, store: DocumentStore, uuid: str, **rest: Any) -> int:
    def event(revision: int) -> bytes:
        return orjson.dumps({"vcon_uuid": uuid, "event": "deleted", "revision": revision})

    return Remover(client, store).remove(uuid, rows=rows_ever, event=event, **rest)


def _append(store: DocumentStore, uuid: str, mark: str = "summary") -> None:
    store.update(uuid, lambda vcon: vcon.append("analysis", {"type": mark}))


def _differences(client: Redis, store: DocumentStore, media: MediaStore) -> list[tuple[str, Fault]]:
    told = check(client, store.archive, media, deep=True)
    return [(each.uuid, each.fault) for each in told if isinstance(each, Difference)]


def _keys_of(client: Redis, uuid: str) -> list[bytes]:
    return [key for key in cast("list[bytes]", client.keys("*")) if uuid.encode() in key]


def test_nothing_of_it_is_left_but_that_it_was_removed(
    store: DocumentStore, media: MediaStore, redis_client: Redis
) -> None:
    token = media.keep_chunks([b"a recording"])
    uuid = _create(store, dialog=[{"type": "recording", **reference(token)}])
    _append(store, uuid)
    assert _remove(redis_client, store, uuid) == 3
    assert store.read([uuid]) == {}
    assert (store.known([uuid]), Listing(redis_client).page().uuids, _keys_of(redis_client, uuid)) == (set(), (), [])
    assert not redis_client.exists(keys.media_refs(token)), "so that the sweep takes what nobody else has"
    [left] = store.archive.refs(uuid)
    assert (left.revision, store.archive.is_removal(uuid, left)) == (3, True)
    assert _differences(redis_client, store, media) == []
    [(_, told)] = cast("list[Any]", redis_client.xrange(keys.OUTBOX))
    assert orjson.loads(told[b"events"])[0]["event"] == "deleted"


def test_a_second_time_there_is_nothing_to_remove(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store)
    _remove(redis_client, store, uuid)
    for unknown in (uuid, new_uuid()):
        with pytest.raises(Missing):
            _remove(redis_client, store, unknown)


def test_its_rows_go_and_their_days_land_again(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store)
    vcon = store.read_one(uuid)
    vcon.append(
        "attachments", {"purpose": "projection", "body": {"projection": "calls", "day": "2026-11-02", "hash": "h"}}
    )
    list(store.commit([Commit(vcon, rows=[RowMark("calls", "2026-11-02", uuid, "h")])]))
    index = RowIndex(redis_client)
    index.landed("calls", "postgres", index.generations("calls", ["2026-11-02"]))
    _remove(redis_client, store, uuid)
    assert (index.rows("calls", ["2026-11-02"]), index.behind("calls", "postgres")) == ({}, ["2026-11-02"])


def test_neighbours_of_its_pack_stay(store: DocumentStore, redis_client: Redis) -> None:
    uuids = [uuid for uuid, _ in store.create(NewVcon(_vcon()) for _ in range(6))]
    assert pack_of(store.read_one(uuids[0]).commit) is not None
    _remove(redis_client, store, uuids[2])
    redis_client.flushall()
    assert rebuild(redis_client, store, marks=row_marks).counts == {Restored.RESTORED: 5, Restored.REMOVED: 1}
    assert set(store.read(uuids)) == {*uuids} - {uuids[2]}


def test_only_the_revision_that_is_meant_is_removed(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store)
    _append(store, uuid)
    with pytest.raises(RevisionChanged):
        _remove(redis_client, store, uuid, expect=1)
    assert store.read_one(uuid).revision == 2
    assert len(store.archive.refs(uuid)) == 2, "and the archive does not say otherwise"
    _remove(redis_client, store, uuid, expect=2)


def test_what_is_posted_again_is_a_new_vcon_whose_revisions_go_on(
    store: DocumentStore, media: MediaStore, redis_client: Redis
) -> None:
    uuid = _create(store, subject="old")
    _append(store, uuid)
    _remove(redis_client, store, uuid)
    assert _create(store, uuid, subject="new") == uuid
    again = store.read_one(uuid)
    assert (again.revision, again.data["subject"], again.analysis) == (4, "new", [])
    _append(store, uuid)
    before = store.read_one(uuid)
    redis_client.flushall()
    assert rebuild(redis_client, store, marks=row_marks).counts == {Restored.RESTORED: 1}
    after = store.read_one(uuid)
    assert (after.data, after.revision, after.commit) == (before.data, before.revision, before.commit)
    assert _differences(redis_client, store, media) == []


@pytest.mark.parametrize("again", [False, True], ids=["gone", "posted anew"])
def test_who_held_it_changes_nothing_any_more(store: DocumentStore, redis_client: Redis, again: bool) -> None:
    uuid = _create(store)
    held, settled = store.read_one(uuid), store.read_one(uuid)
    held.append("analysis", {"type": "summary"})
    _remove(redis_client, store, uuid)
    if again:
        _create(store, uuid)
    before = _keys_of(redis_client, uuid)
    commits = [
        Commit(held, rows=[RowMark("calls", "2026-11-02", uuid, "h")]),
        Commit(settled, rows=[RowMark("calls", "2026-11-02", uuid, "h")]),
        Commit(settled, meta={"job:1": "recall"}),
    ]
    assert [outcome for _, outcome in store.commit(commits)] == [Committed.MISSING] * 3
    assert _keys_of(redis_client, uuid) == before
    assert RowIndex(redis_client).rows("calls", ["2026-11-02"]) == {}
    assert not again or store.read_one(uuid).analysis == []


def test_a_reader_that_is_late_does_not_put_it_back(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store)
    history = store.history(uuid)
    _remove(redis_client, store, uuid)
    assert store.put_back(history) is Restored.REMOVED
    assert _keys_of(redis_client, uuid) == []


def test_a_record_that_a_dead_writer_left_does_not_bring_it_back(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store)
    vcon = store.read_one(uuid)
    changes = (Append("analysis", {"type": "x"}),)
    _remove(redis_client, store, uuid)
    store.archive.keep([Record(uuid=uuid, revision=2, previous=vcon.commit, changes=changes, snapshot=vcon.to_bytes())])
    redis_client.flushall()
    assert rebuild(redis_client, store, marks=row_marks).counts == {Restored.REMOVED: 1}
    assert len(store.archive.refs(uuid)) == 1
    assert _create(store, uuid) == uuid
    assert store.read_one(uuid).revision == 3


@pytest.mark.parametrize("step", ["kept", "removed", "erased"])
def test_killed_at_any_point_it_is_there_or_the_next_call_removes_it(
    store: DocumentStore, media: MediaStore, redis_client: Redis, redis_url: str, tmp_path: Path, step: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    uuid = _create(store)
    _append(store, uuid)
    command = [sys.executable, "-m", "tests.store.writers", "remover", redis_url, str(tmp_path), step, uuid]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == -signal.SIGKILL
    monkeypatch.setattr("vcon_platform.store.check.UNDER_WAY", timedelta(0))
    assert {fault for _, fault in _differences(redis_client, store, media)} == {Fault.REMOVAL}
    if step == "kept":
        assert store.read_one(uuid).revision == 2
    else:
        assert store.read([uuid]) == {}
    _remove(redis_client, store, uuid)
    with pytest.raises(Missing):
        _remove(redis_client, store, uuid)
    assert _differences(redis_client, store, media) == []
    redis_client.flushall()
    assert rebuild(redis_client, store, marks=row_marks).counts == {Restored.REMOVED: 1}


def test_what_was_cut_off_is_finished_by_whoever_sweeps(
    store: DocumentStore, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = _create(store)
    with monkeypatch.context() as patch:
        patch.setattr(store.archive, "erase", lambda *_: (_ for _ in ()).throw(RuntimeError))
        with pytest.raises(RuntimeError):
            _remove(redis_client, store, uuid)
    assert len(store.archive.refs(uuid)) == 2
    assert [Remover(redis_client, store).finish() for _ in range(2)] == [1, 0]
    assert len(store.archive.refs(uuid)) == 1


@given(st.lists(st.sampled_from(["create", "append", "remove", "lose Redis", "expire"]), max_size=12))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_whatever_happens_in_whatever_order_it_is_as_it_was_left(
    store: DocumentStore, media: MediaStore, redis_client: Redis, happens: list[str]
) -> None:
    uuid, last = new_uuid(), 0
    expected: list[str] | None = None
    for number, what in enumerate(happens):
        if what == "create":
            _create(store, uuid)
            expected = [] if expected is None else expected
        elif what == "append" and expected is not None:
            _append(store, uuid, str(number))
            expected.append(str(number))
        elif what == "remove" and expected is not None:
            _remove(redis_client, store, uuid)
            expected = None
        elif what == "lose Redis":
            redis_client.flushall()
            rebuild(redis_client, store, marks=row_marks)
        elif what == "expire":
            redis_client.delete(keys.document(uuid))
        found = store.read([uuid]).get(uuid)
        assert (None if found is None else [each["type"] for each in found.analysis]) == expected
        assert found is None or found.revision >= last, "no revision is given out twice"
        last = found.revision if found is not None else last
    assert {fault for _, fault in _differences(redis_client, store, media)} <= {Fault.EXPIRED}
