"""What comes in is archived, stored, found, queued and recorded, or refused whole; and the bytes can be had back."""

from __future__ import annotations

import gzip
import io
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from redis import Redis

from vcon_platform.ingress.answer import Answer, Outcome, Source
from vcon_platform.ingress.door import Door
from vcon_platform.store import keys
from vcon_platform.store.media_documents import write_document
from vcon_platform.store.opening import Store
from vcon_platform.store.originals import find_original, original_bytes
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.uuids import new_uuid

VCONS = Path(__file__).parents[1] / "data" / "vcons"
SOURCE = Source("test", queues=("recall",))


def _document(**members: Any) -> dict[str, Any]:
    return {
        "uuid": new_uuid(),
        "created_at": "2026-11-02T09:00:00Z",
        "parties": [{"tel": "+15550100", "name": "Ann"}],
        "dialog": [
            {
                "type": "text",
                "start": "2026-11-02T09:00:00Z",
                "parties": 0,
                "mediatype": "text/plain",
                "encoding": "none",
                "body": "hello",
            }
        ],
        **members,
    }


def _recording(size: int, seed: int = 0) -> dict[str, Any]:
    body = bytes((seed + place * 7) % 251 for place in range(size))
    return {
        "type": "recording",
        "start": "2026-11-02T09:00:00Z",
        "parties": [0],
        "mediatype": "audio/x-wav",
        "encoding": "base64url",
        "body": urlsafe_b64encode(b"RIFF\0\0\0\0WAVE" + body).rstrip(b"=").decode(),
    }


def _original(store: Store, uuid: str, revision: int | None = None) -> bytes:
    return b"".join(original_bytes(find_original(store.documents, uuid, revision=revision), store.media))


def _events(client: Redis) -> list[dict[str, Any]]:
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.OUTBOX))
    return [event for _, fields in entries for event in orjson.loads(fields[b"events"])]


# --- a new document ---------------------------------------------------------------------------------------------


def test_a_clean_document_is_stored_queued_and_recorded(door: Door, store: Store) -> None:
    document = _document()
    answer = door.take(orjson.dumps(document), SOURCE)
    assert (answer.status, answer.uuid, answer.revision) == (201, document["uuid"], 1)
    assert store.documents.read_one(answer.uuid).data == document
    [job] = store.client.lrange(keys.queue("recall"), 0, -1)
    assert orjson.loads(job)["vcon_uuid"] == [answer.uuid]
    [event] = _events(store.client)
    assert (event["event"], event["vcon_uuid"], event["detail"]["adapter"]) == ("created", answer.uuid, "test")


def test_its_exact_bytes_can_be_had_back(door: Door, store: Store) -> None:
    raw = orjson.dumps(_document(), option=orjson.OPT_INDENT_2) + b"\n"
    answer = door.take(raw, SOURCE)
    assert _original(store, answer.uuid) == raw


def test_the_uuid_is_published(door: Door, store: Store) -> None:
    listener = store.client.pubsub()  # type: ignore[no-untyped-call]
    listener.subscribe("vcon:created")
    listener.get_message(timeout=5)
    answer = door.take(orjson.dumps(_document()), SOURCE)
    assert listener.get_message(timeout=5)["data"] == answer.uuid.encode()


def test_a_document_with_findings_is_kept_and_told(door: Door, store: Store) -> None:
    document = _document()
    del document["created_at"]
    answer = door.take(orjson.dumps(document), SOURCE)
    assert (answer.status, [each.code for each in answer.findings]) == (202, ["created_at_derived"])
    assert b"created_at_derived" in store.documents.meta(answer.uuid)["findings"].encode()


def test_a_strict_source_refuses_it_and_stores_nothing(door: Door, store: Store) -> None:
    document = _document()
    del document["created_at"]
    with pytest.raises(Rejected, match="created_at_derived"):
        door.take(orjson.dumps(document), Source("test", strict=True))
    assert store.client.keys("*") == []
    assert list(store.archive.walk()) == []


def test_what_is_refused_names_every_place(door: Door) -> None:
    document = _document(analysis=[{"type": "summary", "vendor": "x", "dialog": 7}])
    document["dialog"][0]["parties"] = 3
    with pytest.raises(Rejected) as refused:
        door.take(orjson.dumps(document), SOURCE)
    assert {fault.pointer for fault in refused.value.faults} == {"/dialog/0/parties", "/analysis/0/dialog"}


def test_of_many_documents_a_bad_one_harms_no_other(door: Door) -> None:
    contents = [orjson.dumps(_document()), b"{", orjson.dumps(_document())]
    answers = list(door.take_many(contents, SOURCE))
    assert [isinstance(each, Answer) for each in answers] == [True, False, True]


def test_a_parked_document_enters_no_queue(door: Door, store: Store) -> None:
    answer = door.take(orjson.dumps(_document(critical=["x_escrow"])), SOURCE)
    assert (answer.status, answer.state, answer.parked) == (202, "parked", ("x_escrow",))
    assert store.client.llen(keys.queue("recall")) == 0


# --- recordings -------------------------------------------------------------------------------------------------


def test_a_long_body_moves_to_the_media_store_and_comes_back(door: Door, store: Store) -> None:
    document = _document(dialog=[_recording(300_000)])
    answer = door.take(orjson.dumps(document), SOURCE)
    [dialog] = store.documents.read_one(answer.uuid).dialog
    assert dialog["url"].startswith("vcon-media:sha512-")
    assert "body" not in dialog
    assert orjson.loads(b"".join(write_document(store.media, store.documents.read_one(answer.uuid).data))) == document
    assert _original(store, answer.uuid) == orjson.dumps(document)


def test_a_stream_is_taken_like_bytes(door: Door, store: Store) -> None:
    raw = orjson.dumps(_document(dialog=[_recording(3_000_000)]))
    answer = door.take(io.BytesIO(raw), SOURCE)
    assert len(orjson.dumps(store.documents.read_one(answer.uuid).data)) < 2000
    assert _original(store, answer.uuid) == raw


def test_a_gzipped_document_is_given_back_gzipped(door: Door, store: Store) -> None:
    raw = gzip.compress(orjson.dumps(_document(dialog=[_recording(300_000)])))
    answer = door.take(raw, SOURCE, media_type="application/vcon+gzip")
    assert answer.status == 201
    assert _original(store, answer.uuid) == raw


def test_a_recording_is_referred_to_by_its_vcon(door: Door, store: Store) -> None:
    answer = door.take(orjson.dumps(_document(dialog=[_recording(300_000)])), SOURCE)
    [dialog] = store.documents.read_one(answer.uuid).dialog
    assert store.documents.refers(answer.uuid, dialog["content_hash"])


def test_nobody_may_point_at_somebody_elses_recording(door: Door, store: Store) -> None:
    theirs = door.take(orjson.dumps(_document(dialog=[_recording(300_000)])), SOURCE)
    [dialog] = store.documents.read_one(theirs.uuid).dialog
    with pytest.raises(Rejected):
        door.take(orjson.dumps(_document(dialog=[dialog])), SOURCE)


# --- a known uuid -----------------------------------------------------------------------------------------------


def test_the_same_bytes_again_do_nothing(door: Door, store: Store) -> None:
    raw = orjson.dumps(_document())
    first, again = door.take(raw, SOURCE), door.take(raw, SOURCE)
    assert (again.status, again.outcome, again.revision) == (200, Outcome.KNOWN, 1)
    assert store.client.llen(keys.queue("recall")) == 1
    assert len(_events(store.client)) == 1
    assert len(store.archive.refs(first.uuid)) == 1


def test_other_content_is_a_new_revision_and_both_are_kept(door: Door, store: Store) -> None:
    document = _document()
    one, two = orjson.dumps(document), orjson.dumps({**document, "subject": "more"})
    door.take(one, SOURCE)
    answer = door.take(two, SOURCE)
    assert (answer.status, answer.outcome, answer.revision) == (200, Outcome.REVISED, 2)
    assert store.documents.read_one(answer.uuid).data["subject"] == "more"
    assert [_original(store, answer.uuid, revision) for revision in (1, 2)] == [one, two]


def test_bytes_that_came_earlier_are_still_known_later(door: Door) -> None:
    document = _document()
    first = orjson.dumps(document)
    door.take(first, SOURCE)
    door.take(orjson.dumps({**document, "subject": "more"}), SOURCE)
    late = door.take(first, SOURCE)  # a retry that was held up on its way
    assert (late.outcome, late.revision) == (Outcome.KNOWN, 1)


def test_a_new_revision_keeps_the_transcript_that_was_bought(door: Door, store: Store) -> None:
    document = _document()
    uuid = door.take(orjson.dumps(document), SOURCE).uuid
    transcript = {"type": "transcript", "dialog": 0, "vendor": "us", "encoding": "json", "body": {"segments": []}}
    store.documents.update(uuid, lambda vcon: vcon.append("analysis", transcript))
    answer = door.take(orjson.dumps({**document, "subject": "more"}), SOURCE)
    after = store.documents.read_one(uuid)
    assert (after.analysis, after.data["subject"], answer.revision) == ([transcript], "more", 3)
    history = store.archive.history(uuid)
    assert history is not None
    assert history.vcon().data == after.data


def test_nothing_of_what_was_said_of_earlier_content_stays(door: Door, store: Store) -> None:
    document = _document(critical=["x_escrow"])
    uuid = door.take(orjson.dumps(document), SOURCE).uuid
    del document["critical"]
    assert door.take(orjson.dumps(document), SOURCE).state == "ready"
    meta = store.documents.meta(uuid)
    assert (meta["state"], meta["parked"], meta["findings"]) == ("ready", "", "")
    assert store.documents.history(uuid).meta()["parked"] == ""


def test_a_document_that_other_software_put_there_can_be_posted_over(door: Door, store: Store) -> None:
    document = _document()
    store.client.execute_command("JSON.SET", keys.document(document["uuid"]), "$", orjson.dumps(document))  # type: ignore[no-untyped-call]
    answer = door.take(orjson.dumps({**document, "subject": "ours"}), SOURCE)
    assert (answer.outcome, answer.revision) == (Outcome.REVISED, 1)
    assert store.documents.history(answer.uuid).vcon().data["subject"] == "ours"


def test_a_strict_source_refuses_what_the_draft_demands_and_misses(door: Door) -> None:
    document = _document()
    del document["dialog"][0]["start"]
    assert door.take(orjson.dumps(document), SOURCE).status == 201
    with pytest.raises(Rejected, match="missing_member"):
        door.take(orjson.dumps({**document, "uuid": new_uuid()}), Source("test", strict=True))


def test_two_documents_of_one_uuid_in_one_delivery_are_two_revisions(door: Door, store: Store) -> None:
    document = _document()
    contents = [orjson.dumps({**document, "subject": str(number)}) for number in range(3)]
    answers = [each for each in door.take_many(contents, SOURCE) if isinstance(each, Answer)]
    assert [each.revision for each in answers] == [1, 2, 3]


# --- real documents ---------------------------------------------------------------------------------------------

FILES = sorted(path for path in VCONS.rglob("*") if path.suffix in (".vcon", ".json") and path.name != "answers.json")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_public_vcon_is_kept_with_its_bytes_or_refused(door: Door, store: Store, path: Path) -> None:
    raw = path.read_bytes()
    try:
        answer = door.take(raw, SOURCE)
    except Rejected:
        assert store.client.keys("vcon:*") == []
        return
    assert _original(store, answer.uuid) == raw
    assert store.documents.read_one(answer.uuid).uuid == answer.uuid
    again = door.take(raw, SOURCE)
    assert again.outcome is Outcome.KNOWN
