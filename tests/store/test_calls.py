"""Many vCons in one script call: each stands or falls alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest
from redis import ConnectionError, Redis

from tests.support import document_store
from vcon_platform.store import calls, keys
from vcon_platform.store.commits import Commit, Committed, Created, NewVcon
from vcon_platform.store.connection import StoreUnavailable
from vcon_platform.store.documents import DocumentStore
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def documents(redis_client: Redis, tmp_path: Path) -> DocumentStore:
    return document_store(redis_client, tmp_path)


def _new(subject: str = "x") -> Vcon:
    return Vcon({"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "subject": subject})


def _stored(documents: DocumentStore, count: int) -> list[str]:
    return [uuid for uuid, _ in documents.create(NewVcon(_new()) for _ in range(count))]


def _types(documents: DocumentStore, uuid: str) -> list[str]:
    return [entry["type"] for entry in documents.read_one(uuid).analysis]


def test_a_vcon_that_redis_cannot_store_harms_none_of_its_call(documents: DocumentStore, redis_client: Redis) -> None:
    vcons = [_new() for _ in range(3)]
    redis_client.set(keys.meta(vcons[1].uuid), "no hash")
    with pytest.raises(StoreUnavailable):
        list(documents.create(map(NewVcon, vcons)))
    assert documents.read([vcons[0].uuid, vcons[2].uuid]).keys() == {vcons[0].uuid, vcons[2].uuid}


def test_a_commit_that_redis_refuses_harms_none_of_its_call(documents: DocumentStore, redis_client: Redis) -> None:
    uuids = _stored(documents, 3)
    vcons = list(documents.read(uuids).values())
    for vcon in vcons:
        vcon.append("analysis", {"type": "seen"})
    redis_client.set(keys.batch_jobs(""), "no hash")
    redis_client.delete(keys.meta(uuids[1]))
    redis_client.set(keys.meta(uuids[1]), "no hash")
    with pytest.raises(StoreUnavailable):
        list(documents.commit(map(Commit, vcons)))
    assert [_types(documents, uuid) for uuid in (uuids[0], uuids[2])] == [["seen"], ["seen"]]


def test_more_vcons_than_one_call_takes_are_all_stored_and_read(documents: DocumentStore) -> None:
    uuids = _stored(documents, calls.MOST * 2 + 1)
    assert list(documents.read(uuids)) == uuids


def _lengths(client: Redis, weights: Sequence[int]) -> list[bytes]:
    """How many parts shared the call of each part."""
    script = client.register_script(
        "local told = {} for i = 1, tonumber(ARGV[1]) do told[i] = {ARGV[1]} end return told"
    )
    sent = calls.Calls(script, client, keys=[])
    for weight in weights:
        sent.put(calls.Part((), (), weight))
    told, failure = sent.answers()
    assert failure is None
    return [answer[0] for answer in told]


def test_heavy_vcons_have_calls_of_their_own(redis_client: Redis) -> None:
    weights = (1, 1, calls.HEAVIEST, 1, calls.HEAVIEST + 1, 1)
    assert _lengths(redis_client, weights) == [b"2", b"2", b"1", b"1", b"1", b"1"]


def test_calls_go_on_when_redis_forgot_the_script(redis_client: Redis) -> None:
    assert _lengths(redis_client, (1,)) == [b"1"]
    redis_client.script_flush()
    assert _lengths(redis_client, (1,)) == [b"1"]


def test_calls_are_made_again_when_their_connection_broke(documents: DocumentStore, redis_client: Redis) -> None:
    begun = documents.begin([NewVcon(_new()) for _ in range(30)])
    redis_client.client_kill_filter(_type="normal", skipme=True)
    told = [outcome for _, outcome in begun.outcomes()]
    assert len(told) == 30
    assert set(told) <= {Created.CREATED, Created.SAME}


def test_who_does_not_wait_for_the_outcomes_leaves_no_answers_to_others(
    documents: DocumentStore, redis_client: Redis
) -> None:
    documents.begin([NewVcon(_new()) for _ in range(30)]).close()
    assert redis_client.echo("mine") == b"mine"


def test_what_is_appended_keeps_its_order_among_other_changes(documents: DocumentStore) -> None:
    [uuid] = _stored(documents, 1)
    vcon = documents.read_one(uuid)
    vcon.append("analysis", {"type": "one"})
    vcon.append("analysis", {"type": "two"})
    vcon.put("subject", "changed")
    vcon.put("analysis", {"type": "second"}, 1)
    vcon.append("attachments", {"purpose": "tags"})
    vcon.append("analysis", {"type": "three"})
    [(_, outcome)] = documents.commit([Commit(vcon)])
    assert outcome is Committed.OK
    assert documents.read_one(uuid).data == vcon.data
    assert _types(documents, uuid) == ["one", "second", "three"]


def test_a_thousand_elements_are_appended_in_one_commit(documents: DocumentStore) -> None:
    [uuid] = _stored(documents, 1)
    vcon = documents.read_one(uuid)
    for number in range(1201):
        vcon.append("analysis", {"type": str(number)})
    list(documents.commit([Commit(vcon)]))
    assert _types(documents, uuid) == [str(number) for number in range(1201)]


def test_an_array_that_other_software_began_meanwhile_keeps_its_elements(
    documents: DocumentStore, redis_client: Redis
) -> None:
    [uuid] = _stored(documents, 1)
    vcon = documents.read_one(uuid)
    vcon.append("analysis", {"type": "ours"})
    redis_client.execute_command("JSON.SET", keys.document(uuid), "$.analysis", '[{"type":"theirs"}]')  # type: ignore[no-untyped-call]
    list(documents.commit([Commit(vcon)]))
    assert _types(documents, uuid) == ["theirs", "ours"]


def test_an_array_that_is_null_is_begun(documents: DocumentStore) -> None:
    vcon = _new()
    vcon.data["analysis"] = None
    list(documents.create([NewVcon(vcon)]))
    read = documents.read_one(vcon.uuid)
    read.append("analysis", {"type": "first"})
    list(documents.commit([Commit(read)]))
    assert _types(documents, vcon.uuid) == ["first"]


def test_commits_beyond_one_chunk_are_told_in_their_order(documents: DocumentStore) -> None:
    vcons = list(documents.read(_stored(documents, 250)).values())
    for vcon in vcons:
        vcon.append("analysis", {"type": "seen"})
    told = list(documents.commit(map(Commit, vcons)))
    assert [commit.vcon.uuid for commit, _ in told] == [vcon.uuid for vcon in vcons]
    assert {outcome for _, outcome in told} == {Committed.OK}


def test_two_chunks_that_append_to_the_same_vcons_lose_nothing(documents: DocumentStore) -> None:
    uuids = _stored(documents, 100)
    commits = []
    for kind in ("one", "two"):
        for vcon in documents.read(uuids).values():
            vcon.append("analysis", {"type": kind})
            commits.append(Commit(vcon))
    assert {outcome for _, outcome in documents.commit(commits)} == {Committed.OK}
    assert all(_types(documents, uuid) == ["one", "two"] for uuid in uuids)


class Arm(Protocol):
    """See :func:`breaks_after_the_work`."""

    def __call__(self, meanwhile: Callable[[], object] = ...) -> None: ...


@pytest.fixture
def breaks_after_the_work(monkeypatch: pytest.MonkeyPatch) -> Arm:
    """The next answer is lost on its way: Redis has done what it was told, then ``meanwhile`` happens."""

    def arm(meanwhile: Callable[[], object] = lambda: None) -> None:
        real = calls.Calls._read

        def lost(self: calls.Calls) -> Any:
            real(self)
            monkeypatch.setattr(calls.Calls, "_read", real)
            meanwhile()
            raise ConnectionError("the connection broke")

        monkeypatch.setattr(calls.Calls, "_read", lost)

    return arm


def test_a_creation_whose_answer_was_lost_is_told_as_done_and_stays_archived(
    documents: DocumentStore, breaks_after_the_work: Arm
) -> None:
    vcon = _new()
    breaks_after_the_work()
    assert list(documents.create([NewVcon(vcon)])) == [(vcon.uuid, Created.CREATED)]
    assert documents.history(vcon.uuid).vcon().data == vcon.data


def test_a_creation_whose_answer_was_lost_stays_archived_when_somebody_revised_it_at_once(
    documents: DocumentStore, breaks_after_the_work: Arm
) -> None:
    _stored(documents, 1)  # the store knows its Redis now
    vcon = _new()

    def revise() -> None:
        documents.update(vcon.uuid, lambda found: found.append("analysis", {"type": "theirs"}))

    breaks_after_the_work(revise)
    list(documents.create([NewVcon(vcon)]))
    assert [record.revision for record in documents.history(vcon.uuid).records] == [1, 2]


def test_a_commit_whose_answer_was_lost_is_not_made_twice(documents: DocumentStore, breaks_after_the_work: Arm) -> None:
    [uuid] = _stored(documents, 1)
    vcon = documents.read_one(uuid)
    vcon.append("analysis", {"type": "ours"})
    breaks_after_the_work()
    assert [outcome for _, outcome in documents.commit([Commit(vcon)])] == [Committed.OK]
    assert _types(documents, uuid) == ["ours"]
    assert len(documents.history(uuid).records) == 2


def test_a_commit_whose_answer_was_lost_is_not_made_twice_when_somebody_revised_it_at_once(
    documents: DocumentStore, breaks_after_the_work: Arm
) -> None:
    [uuid] = _stored(documents, 1)
    vcon = documents.read_one(uuid)
    vcon.append("analysis", {"type": "ours"})
    breaks_after_the_work(lambda: documents.update(uuid, lambda found: found.append("analysis", {"type": "theirs"})))
    assert [outcome for _, outcome in documents.commit([Commit(vcon)])] == [Committed.OK]
    assert _types(documents, uuid) == ["ours", "theirs"]
    assert len(documents.history(uuid).records) == 3
