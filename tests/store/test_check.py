"""The check names every way in which Redis, archive and media can differ, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from tests.support import document_store
from vcon_platform.store import keys
from vcon_platform.store.archive import path_of
from vcon_platform.store.check import Difference, Fault, check
from vcon_platform.store.commits import NewVcon
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.media import MediaStore, object_key, reference
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def store(redis_client: Redis, tmp_path: Path) -> DocumentStore:
    return document_store(redis_client, tmp_path)


@pytest.fixture
def media(store: DocumentStore, redis_client: Redis) -> MediaStore:
    return MediaStore(store.archive.objects, 8, redis_client)


def _path(store: DocumentStore, uuid: str) -> str:
    [ref] = store.archive.refs(uuid)
    return path_of(uuid, ref.revision, ref.commit)


def _create(store: DocumentStore, **members: object) -> str:
    vcon = Vcon({"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [], **members})
    [(uuid, _)] = store.create([NewVcon(vcon)])
    return uuid


def _faults(store: DocumentStore, media: MediaStore, client: Redis, *, deep: bool = False) -> set[tuple[str, Fault]]:
    told = check(client, store.archive, media, deep=deep)
    return {(each.uuid, each.fault) for each in told if isinstance(each, Difference)}


def test_a_sound_store_has_no_differences(store: DocumentStore, media: MediaStore, redis_client: Redis) -> None:
    token = media.keep_chunks([b"a recording"])
    uuid = _create(store, dialog=[{"type": "recording", **reference(token)}])
    scores = [12.50, 0.40000000000000213]
    store.update(uuid, lambda vcon: vcon.append("analysis", {"type": "summary", "scores": scores}))
    assert list(check(redis_client, store.archive, media, deep=True)) == [uuid]


def test_what_other_software_wrote_is_named(store: DocumentStore, media: MediaStore, redis_client: Redis) -> None:
    known, unknown = _create(store), new_uuid()
    redis_client.execute_command("JSON.SET", keys.document(known), "$.subject", '"x"')  # type: ignore[no-untyped-call]
    redis_client.execute_command("JSON.SET", keys.document(unknown), "$", "{}")  # type: ignore[no-untyped-call]
    assert _faults(store, media, redis_client) == {(known, Fault.CONTENT), (unknown, Fault.NOT_ARCHIVED)}


def test_what_redis_lost_is_named(store: DocumentStore, media: MediaStore, redis_client: Redis) -> None:
    uuid, expired = _create(store), _create(store)
    redis_client.delete(keys.document(uuid), keys.meta(uuid), keys.search(uuid))
    redis_client.delete(keys.document(expired))
    assert _faults(store, media, redis_client) == {(uuid, Fault.NOT_IN_REDIS), (expired, Fault.EXPIRED)}


def test_a_redis_that_lost_its_newest_writes_is_named(
    store: DocumentStore, media: MediaStore, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = _create(store)
    backup = {key: redis_client.dump(key) for key in (keys.document(uuid), keys.meta(uuid))}
    store.update(uuid, lambda vcon: vcon.append("analysis", {"type": "summary"}))
    for key, value in backup.items():
        assert value is not None
        redis_client.restore(key, 0, value, replace=True)
    monkeypatch.setattr("vcon_platform.store.check.UNDER_WAY", timedelta(0))
    assert _faults(store, media, redis_client) == {(uuid, Fault.REVISION)}


def test_missing_and_broken_media_are_named(
    store: DocumentStore, media: MediaStore, redis_client: Redis, tmp_path: Path
) -> None:
    gone, broken = media.keep_chunks([b"one recording"]), media.keep_chunks([b"another recording"])
    uuid = _create(store, dialog=[{"type": "recording", **reference(gone)}, {"type": "recording", **reference(broken)}])
    (tmp_path / object_key(gone)).unlink()
    (tmp_path / object_key(broken)).write_bytes(b"something else")
    assert _faults(store, media, redis_client, deep=True) == {(uuid, Fault.MEDIA), (uuid, Fault.MEDIA_BYTES)}


def test_a_broken_record_is_named(store: DocumentStore, media: MediaStore, redis_client: Redis, tmp_path: Path) -> None:
    uuid = _create(store)
    (tmp_path / _path(store, uuid)).write_bytes(b"junk")
    assert _faults(store, media, redis_client) == {(uuid, Fault.BROKEN), (uuid, Fault.NOT_ARCHIVED)}


def test_what_cannot_be_found_is_named(store: DocumentStore, media: MediaStore, redis_client: Redis) -> None:
    uuid = _create(store)
    redis_client.zrem(keys.LISTING, keys.document(uuid))
    redis_client.delete(keys.search(uuid))
    assert _faults(store, media, redis_client) == {(uuid, Fault.NOT_LISTED), (uuid, Fault.NOT_SEARCHABLE)}
