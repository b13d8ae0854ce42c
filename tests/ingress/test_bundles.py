"""A bundle's documents come in with their files; one that is not safe comes in with nothing."""

from __future__ import annotations

import io
from pathlib import Path

import orjson
import pytest

from vcon_platform.ingress.answer import Answer, Source
from vcon_platform.ingress.bundles import take_bundle
from vcon_platform.ingress.door import Door
from vcon_platform.store.opening import Store
from vcon_platform.vcon.bundle_writing import write_bundle
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.media import content_hash_of
from vcon_platform.vcon.uuids import new_uuid

SOURCE = Source("test")
HOSTILE = Path(__file__).parents[1] / "data" / "hostile"
SOUND = b"RIFF\0\0\0\0WAVE" + b"sound" * 1000


def _document(uuid: str, content_hash: str) -> bytes:
    dialog = {
        "type": "recording",
        "start": "2026-11-02T09:00:00Z",
        "mediatype": "audio/x-wav",
        "url": "https://media.example.org/call.wav",
        "content_hash": content_hash,
    }
    return orjson.dumps({"uuid": uuid, "created_at": "2026-11-02T09:00:00Z", "parties": [], "dialog": [dialog]})


def _bundle(folder: Path, documents: dict[str, bytes], files: list[bytes]) -> io.BytesIO:
    target = folder / "some.vconz"
    write_bundle(target, documents.items(), [(content_hash_of(each), "audio/x-wav", [each]) for each in files])
    return io.BytesIO(target.read_bytes())


def test_a_document_gets_the_file_that_came_with_it(door: Door, store: Store, tmp_path: Path) -> None:
    uuid = new_uuid()
    bundle = _bundle(tmp_path, {uuid: _document(uuid, content_hash_of(SOUND))}, [SOUND])
    [(name, answer)] = take_bundle(door, store.media, bundle, SOURCE)
    assert (name, isinstance(answer, Answer)) == (f"vcons/{uuid}.json", True)
    [dialog] = store.documents.read_one(uuid).dialog
    assert store.media.body(dialog) == SOUND


def test_a_document_that_claims_another_file_gets_none(door: Door, store: Store, tmp_path: Path) -> None:
    uuid = new_uuid()
    bundle = _bundle(tmp_path, {uuid: _document(uuid, content_hash_of(b"of another bundle"))}, [SOUND])
    list(take_bundle(door, store.media, bundle, SOURCE))
    [dialog] = store.documents.read_one(uuid).dialog
    assert dialog["url"] == "https://media.example.org/call.wav"


def test_a_document_under_another_ones_name_is_refused_and_the_others_come_in(
    door: Door, store: Store, tmp_path: Path
) -> None:
    wrong, right = new_uuid(), new_uuid()
    hashed = content_hash_of(SOUND)
    bundle = _bundle(tmp_path, {wrong: _document(new_uuid(), hashed), right: _document(right, hashed)}, [SOUND])
    answers = dict(take_bundle(door, store.media, bundle, SOURCE))
    refused = answers[f"vcons/{wrong}.json"]
    assert isinstance(refused, Rejected)
    assert refused.code == "uuid_mismatch"
    assert isinstance(answers[f"vcons/{right}.json"], Answer)


def test_a_bundle_that_is_not_safe_leaves_nothing(door: Door, store: Store) -> None:
    content = io.BytesIO((HOSTILE / "27_zip_slip_dup_uuid.vconz").read_bytes())
    with pytest.raises(Rejected):
        list(take_bundle(door, store.media, content, SOURCE))
    assert store.client.keys("*") == []
