"""The same door over S3, and over a Redis that lacks what it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from redis import Redis

from tests.fakes.s3 import FakeS3, fake_s3
from tests.support import child, eventually, free_port
from vcon_platform.ingress.answer import Answer, Source
from vcon_platform.ingress.door import Door
from vcon_platform.pipelines.verdict_rows import row_marks
from vcon_platform.services.binaries import redis_binary
from vcon_platform.settings import Settings
from vcon_platform.store.check import Difference, check
from vcon_platform.store.commits import Restored
from vcon_platform.store.connection import StoreUnavailable
from vcon_platform.store.opening import Store, open_store
from vcon_platform.store.originals import find_original, original_bytes
from vcon_platform.store.rebuild import rebuild
from vcon_platform.vcon.uuids import new_uuid

SOURCE = Source("test", queues=("recall",))


def _document(body: str = "") -> bytes:
    recording = {
        "type": "recording",
        "start": "2026-11-02T09:00:00Z",
        "mediatype": "audio/x-wav",
        "encoding": "base64url",
        "body": "UklGRgAAAABXQVZF" + body,
    }
    return orjson.dumps(
        {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [], "dialog": [recording]}
    )


@pytest.fixture(scope="module")
def s3() -> Iterator[FakeS3]:
    with fake_s3() as server:
        yield server


def _opened(redis_url: str, folder: Path, **rest: object) -> Store:
    settings = Settings(_env_file=None, data_dir_setting=folder, redis_url_setting=redis_url)
    return open_store(settings, **rest)  # type: ignore[arg-type]


def test_vcons_on_s3_survive_the_loss_of_redis(redis_url: str, redis_client: Redis, s3: FakeS3, tmp_path: Path) -> None:
    store = _opened(redis_url, tmp_path, objects=s3.objects(prefix="door"))
    door = Door(store.documents, store.media)
    raws = [_document(), *(_document("A" * 400_000) for _ in range(6))]
    uuids = [answer.uuid for answer in door.take_many(raws, SOURCE) if isinstance(answer, Answer)]
    store.documents.update(uuids[0], lambda vcon: vcon.append("analysis", {"type": "summary", "vendor": "x"}))
    redis_client.flushall()
    assert rebuild(redis_client, store.documents, marks=row_marks).counts == {Restored.RESTORED: 7}
    assert store.documents.read_one(uuids[0]).revision == 2
    for uuid, raw in zip(uuids, raws, strict=True):
        assert b"".join(original_bytes(find_original(store.documents, uuid), store.media)) == raw
    told = check(redis_client, store.archive, store.media, deep=True)
    assert [each for each in told if isinstance(each, Difference)] == []


def test_a_redis_without_modules_says_so_and_keeps_nothing_half(server_folder: Path, tmp_path: Path) -> None:
    port = free_port()
    command = [str(redis_binary()), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(tmp_path)]
    with child(command, tmp_path / "plain.log"), Redis(host="127.0.0.1", port=port) as client:
        eventually(client.ping, message="Redis is ready", interval=0.02)
        store = _opened(f"redis://127.0.0.1:{port}/0", tmp_path)
        with pytest.raises(StoreUnavailable, match=r"no JSON or search module\..*Nothing was written"):
            Door(store.documents, store.media).take(_document(), SOURCE)
        assert client.keys("vcon:*") + client.keys("meta:*") + client.keys("queue:*") == []
        assert list(store.archive.walk()) == []
