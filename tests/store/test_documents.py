"""Documents: creating and committing are all or nothing, and no writer overwrites another."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import orjson
import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support import document_store, free_port
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit, Committed, Created, Fence, NewVcon, RowMark
from vcon_platform.store.connection import StoreUnavailable
from vcon_platform.store.documents import DocumentStore, Missing, NotArchived
from vcon_platform.store.identity import StoreMismatch
from vcon_platform.store.rows import RowIndex
from vcon_platform.vcon.document import Sealed, Vcon
from vcon_platform.vcon.uuids import new_uuid


def _vcon() -> Vcon:
    return Vcon(
        {
            "uuid": new_uuid(),
            "created_at": "2026-11-02T09:00:00+00:00",
            "parties": [{"tel": "+15550100"}],
            "dialog": [],
            "analysis": [],
            "attachments": [],
        }
    )


@pytest.fixture
def store(redis_client: Redis, tmp_path: Path) -> DocumentStore:
    return document_store(redis_client, tmp_path)


def _create(store: DocumentStore, vcon: Vcon | None = None, **rest: object) -> Vcon:
    new = NewVcon(vcon or _vcon(), **rest)  # type: ignore[arg-type]
    list(store.create([new]))
    return store.read_one(new.vcon.uuid)


def _outcome(store: DocumentStore, commit: Commit) -> Committed:
    [(_, outcome)] = list(store.commit([commit]))
    return outcome


def test_a_new_vcon_is_redis_json_under_its_uuid(store: DocumentStore, redis_client: Redis) -> None:
    vcon = _create(store)
    raw = redis_client.execute_command("JSON.GET", f"vcon:{vcon.uuid}")  # type: ignore[no-untyped-call]
    assert orjson.loads(raw) == vcon.data


def test_a_new_vcon_enters_its_queues_and_is_recorded_with_it(store: DocumentStore, redis_client: Redis) -> None:
    vcon = _create(store, queues=["recall", "other"], events=[b'{"event":"created"}'])
    for queue in ("recall", "other"):
        [job] = redis_client.lrange(keys.queue(queue), 0, -1)
        assert orjson.loads(job)["vcon_uuid"] == [vcon.uuid]
    [(_, fields)] = cast("list[tuple[bytes, dict[bytes, bytes]]]", redis_client.xrange(keys.OUTBOX))
    assert orjson.loads(fields[b"events"]) == [{"event": "created"}]


def test_creating_a_known_vcon_changes_nothing(store: DocumentStore, redis_client: Redis) -> None:
    first = _create(store, queues=["recall"])
    other = Vcon({**first.data, "subject": "somebody else's"})
    assert list(store.create([NewVcon(other, queues=["recall"], events=[b"{}"])])) == [(first.uuid, Created.KNOWN)]
    assert store.read_one(first.uuid).data == first.data
    assert redis_client.llen(keys.queue("recall")) == 1
    assert redis_client.xlen(keys.OUTBOX) == 0


def test_reading_an_unknown_uuid_says_so(store: DocumentStore) -> None:
    with pytest.raises(Missing, match="is not in the store"):
        store.read_one(new_uuid())


def test_appends_of_two_writers_are_both_kept(store: DocumentStore) -> None:
    uuid = _create(store).uuid
    one, two = store.read_one(uuid), store.read_one(uuid)
    one.append("analysis", {"type": "transcript"})
    two.append("analysis", {"type": "summary"})
    assert [_outcome(store, Commit(vcon)) for vcon in (one, two)] == [Committed.OK, Committed.OK]
    merged = store.read_one(uuid)
    assert [entry["type"] for entry in merged.analysis] == ["transcript", "summary"]
    assert merged.revision == 3


def test_replacing_on_an_old_revision_is_refused_and_changes_nothing(store: DocumentStore) -> None:
    uuid = _create(store).uuid
    one, two = store.read_one(uuid), store.read_one(uuid)
    one.put("subject", "first")
    two.put("subject", "second")
    two.append("analysis", {"type": "summary"})
    assert _outcome(store, Commit(one)) is Committed.OK
    assert _outcome(store, Commit(two, events=[b"{}"])) is Committed.CONFLICT
    after = store.read_one(uuid)
    assert after.data["subject"] == "first"
    assert after.analysis == []


def test_an_array_that_is_missing_or_null_is_begun(store: DocumentStore) -> None:
    vcon = Vcon({"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "attachments": None})
    uuid = _create(store, vcon).uuid
    fresh = store.read_one(uuid)
    fresh.data["attachments"] = []
    fresh.append("attachments", {"purpose": "a"})
    fresh.append("analysis", {"type": "b"})
    assert _outcome(store, Commit(fresh)) is Committed.OK
    assert store.read_one(uuid).attachments == [{"purpose": "a"}]
    assert store.read_one(uuid).analysis == [{"type": "b"}]


def test_a_commit_without_changes_keeps_the_revision(store: DocumentStore) -> None:
    vcon = _create(store)
    assert _outcome(store, Commit(vcon, events=[b"{}"])) is Committed.OK
    assert store.read_one(vcon.uuid).revision == 1


def test_changing_a_vcon_that_is_gone_is_told(store: DocumentStore) -> None:
    vcon = _vcon()
    vcon.append("analysis", {})
    assert _outcome(store, Commit(vcon)) is Committed.MISSING


def test_a_commit_of_a_run_that_lost_its_lease_changes_nothing(store: DocumentStore, redis_client: Redis) -> None:
    vcon = _create(store)
    redis_client.hset(keys.batch("b"), mapping={"owner": "run-2", "queue": "recall"})
    vcon.append("analysis", {"type": "summary"})
    assert _outcome(store, Commit(vcon, Fence("b", "run-1"))) is Committed.LOST
    assert store.read_one(vcon.uuid).analysis == []


def test_rows_pushes_and_channels_come_with_the_commit(store: DocumentStore, redis_client: Redis) -> None:
    vcon = _create(store)
    listener = redis_client.pubsub()  # type: ignore[no-untyped-call]
    listener.subscribe("pipeline:recall:done")
    assert listener.get_message(timeout=5)["type"] == "subscribe"
    row = RowMark("calls", "2026-11-02", vcon.uuid, "h1")
    commit = Commit(vcon, rows=[row], pushes=[("queue:next", b"{}")], channels=["pipeline:recall:done"])
    assert _outcome(store, commit) is Committed.OK
    assert RowIndex(redis_client).rows("calls", ["2026-11-02"]) == {vcon.uuid: "h1"}
    assert redis_client.lrange("queue:next", 0, -1) == [b"{}"]
    assert listener.get_message(timeout=5)["data"] == vcon.uuid.encode()


def test_a_day_is_behind_until_its_latest_change_has_landed(store: DocumentStore, redis_client: Redis) -> None:
    vcon, index = _create(store), RowIndex(redis_client)
    _outcome(store, Commit(vcon, rows=[RowMark("calls", "2026-11-02", vcon.uuid, "h1")]))
    generations = index.generations("calls", ["2026-11-02"])
    _outcome(store, Commit(vcon, rows=[RowMark("calls", "2026-11-02", vcon.uuid, "h2")]))
    index.landed("calls", "postgres", generations)  # what was read before the second change
    assert index.behind("calls", "postgres") == ["2026-11-02"]
    index.landed("calls", "postgres", index.generations("calls", ["2026-11-02"]))
    assert index.behind("calls", "postgres") == []


def test_a_queue_name_that_could_be_another_key_is_refused(store: DocumentStore) -> None:
    with pytest.raises(keys.NameRefused, match="no colon"):
        list(store.create([NewVcon(_vcon(), queues=["a:jobs"])]))


# --- the archive -----------------------------------------------------------------------------------------------


def test_every_revision_is_in_the_archive(store: DocumentStore) -> None:
    uuid = _create(store).uuid
    store.update(uuid, lambda vcon: vcon.append("analysis", {"type": "summary"}))
    history = store.archive.history(uuid)
    assert history is not None
    assert [record.revision for record in history.records] == [1, 2]
    assert history.vcon().data == store.read_one(uuid).data


def test_a_document_that_left_redis_is_read_from_the_archive(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store).uuid
    store.update(uuid, lambda vcon: vcon.append("analysis", {"type": "summary"}))
    before = store.read_one(uuid)
    redis_client.delete(keys.document(uuid))
    after = store.read_one(uuid)
    assert (after.data, after.revision, after.commit) == (before.data, before.revision, before.commit)


def test_a_document_that_left_redis_can_be_changed(store: DocumentStore, redis_client: Redis) -> None:
    vcon = _create(store)
    redis_client.delete(keys.document(vcon.uuid))
    vcon.append("analysis", {"type": "summary"})
    assert _outcome(store, Commit(vcon)) is Committed.OK
    assert store.read_one(vcon.uuid).revision == 2


def test_documents_stay_in_redis_as_long_as_is_set(redis_client: Redis, tmp_path: Path) -> None:
    store = DocumentStore(redis_client, document_store(redis_client, tmp_path).archive, live_seconds=1000)
    uuid = _create(store).uuid
    redis_client.expire(keys.document(uuid), 5)
    store.update(uuid, lambda vcon: vcon.append("analysis", {"type": "summary"}))
    assert 900 < redis_client.ttl(keys.document(uuid)) <= 1000


def test_a_document_can_have_a_time_of_its_own(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store).uuid
    store.leave_after(uuid, 500)
    assert 400 < redis_client.ttl(keys.document(uuid)) <= 500


def test_its_own_time_begins_again_with_every_change(store: DocumentStore, redis_client: Redis) -> None:
    uuid = _create(store).uuid
    store.leave_after(uuid, 500)
    redis_client.expire(keys.document(uuid), 5)
    store.update(uuid, lambda vcon: vcon.append("analysis", {"type": "summary"}))
    assert 400 < redis_client.ttl(keys.document(uuid)) <= 500


def test_a_document_that_left_at_its_own_time_comes_back_for_that_time(
    store: DocumentStore, redis_client: Redis
) -> None:
    uuid = _create(store).uuid
    store.leave_after(uuid, 500)
    redis_client.delete(keys.document(uuid))
    assert store.read_one(uuid).uuid == uuid
    assert 400 < redis_client.ttl(keys.document(uuid)) <= 500


def test_what_the_archive_does_not_have_may_not_leave(store: DocumentStore, redis_client: Redis) -> None:
    uuid = new_uuid()
    redis_client.json().set(keys.document(uuid), "$", {"uuid": uuid})
    with pytest.raises(NotArchived, match="written by other software"):
        store.leave_after(uuid, 500)
    assert redis_client.ttl(keys.document(uuid)) == -1


def test_what_is_not_there_cannot_leave(store: DocumentStore) -> None:
    with pytest.raises(Missing):
        store.leave_after(new_uuid(), 500)


def test_a_refused_commit_leaves_no_record(store: DocumentStore) -> None:
    uuid = _create(store).uuid
    one, two = store.read_one(uuid), store.read_one(uuid)
    one.put("subject", "first")
    two.put("subject", "second")
    assert [_outcome(store, Commit(vcon)) for vcon in (one, two)] == [Committed.OK, Committed.CONFLICT]
    history = store.archive.history(uuid)
    assert history is not None
    assert (len(history.records), history.orphans) == (2, ())


def test_many_commits_to_one_vcon_in_one_pipeline_are_all_made(store: DocumentStore) -> None:
    uuid = _create(store).uuid
    commits = []
    for number in range(30):
        vcon = store.read_one(uuid)
        vcon.append("analysis", {"type": str(number)})
        commits.append(Commit(vcon))
    assert {outcome for _, outcome in store.commit(commits)} == {Committed.OK}
    assert sorted(int(entry["type"]) for entry in store.read_one(uuid).analysis) == list(range(30))
    assert store.read_one(uuid).revision == 31


def test_updating_goes_on_until_no_one_is_in_the_way(store: DocumentStore) -> None:
    uuid = _create(store).uuid
    interruptions = iter(range(3))

    def change(vcon: Vcon) -> None:
        for _ in interruptions:
            store.update(uuid, lambda other: other.put("subject", "in between"))
            break
        vcon.put("subject", "at last")

    store.update(uuid, change)
    assert (store.read_one(uuid).data["subject"], store.read_one(uuid).revision) == ("at last", 5)


def test_what_was_signed_cannot_be_replaced_and_may_be_added_to(store: DocumentStore) -> None:
    uuid = _create(store, meta={"sealed": '{"parties":1}'}).uuid
    vcon = store.read_one(uuid)
    vcon.append("analysis", {"type": "summary"})
    vcon.put("analysis", {"type": "better summary"}, 0)
    with pytest.raises(Sealed, match=r"/parties/0 .* was signed"):
        vcon.put("parties", {}, 0)


def test_the_same_bytes_again_are_told_from_other_content(store: DocumentStore) -> None:
    vcon = _create(store)
    other = Vcon({**vcon.data, "subject": "other"})
    outcomes = [outcome for each in (vcon, other) for _, outcome in store.create([NewVcon(each)])]
    assert outcomes == [Created.SAME, Created.KNOWN]


def test_a_redis_that_was_emptied_takes_nothing_in_until_it_is_rebuilt(
    store: DocumentStore, redis_client: Redis
) -> None:
    _create(store)
    redis_client.flushall()
    with pytest.raises(StoreMismatch, match="store rebuild"):
        list(store.create([NewVcon(_vcon())]))
    assert len(list(store.archive.walk())) == 1


# --- when Redis cannot ------------------------------------------------------------------------------------------


def test_a_full_redis_says_so_and_writes_nothing(store: DocumentStore, redis_client: Redis) -> None:
    first = _create(store)
    redis_client.config_set("maxmemory", "1mb")
    try:
        with pytest.raises(StoreUnavailable, match="Redis is full"):
            list(store.create([NewVcon(_vcon(), queues=["recall"], events=[b"{}"])]))
    finally:
        redis_client.config_set("maxmemory", "0")
    assert redis_client.zcard(keys.LISTING) == 1
    assert (redis_client.llen(keys.queue("recall")), redis_client.xlen(keys.OUTBOX)) == (0, 0)
    assert store.read_one(first.uuid).revision == 1
    assert [uuid for uuid, _ in store.archive.walk()] == [first.uuid]


def test_a_document_that_other_software_wrote_is_archived_with_its_first_change(
    store: DocumentStore, redis_client: Redis
) -> None:
    vcon = _vcon()
    redis_client.execute_command("JSON.SET", keys.document(vcon.uuid), "$", vcon.to_bytes())  # type: ignore[no-untyped-call]
    store.update(vcon.uuid, lambda found: found.append("analysis", {"type": "summary"}))
    assert store.read_one(vcon.uuid).revision == 1
    assert store.history(vcon.uuid).vcon().data == store.read_one(vcon.uuid).data


def test_a_redis_that_is_away_says_how_to_start_it(tmp_path: Path) -> None:
    away = Redis(host="127.0.0.1", port=free_port(), retry=Retry(NoBackoff(), 0))
    with pytest.raises(StoreUnavailable, match="vcon-platform up"):
        list(document_store(away, tmp_path).create([NewVcon(_vcon())]))
