"""The object store on S3: the same promises, and errors that name the bucket and the cure."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import obstore
import pytest
from redis import Redis

from tests.fakes.s3 import FakeS3, fake_s3
from tests.support import free_port
from vcon_platform.store.checkpoints import Checkpoints
from vcon_platform.store.identity import StoreMismatch, identify
from vcon_platform.store.media import MediaStore, object_key, reference
from vcon_platform.store.media_documents import write_document
from vcon_platform.store.media_sweep import sweep
from vcon_platform.store.objects import ObjectsUnavailable, explained


@pytest.fixture(scope="module")
def s3() -> Iterator[FakeS3]:
    with fake_s3() as server:
        yield server


def test_a_body_in_parts_comes_back_whole(s3: FakeS3) -> None:
    media = MediaStore(s3.objects(), 8)
    pieces = [os.urandom(1 << 20) for _ in range(20)]  # more than one part
    token = media.keep_chunks(pieces)
    assert b"".join(media.open(token)) == b"".join(pieces)
    assert media.size(token) == 20 << 20


def test_a_document_is_written_with_its_bodies(s3: FakeS3) -> None:
    media = MediaStore(s3.objects(), 8)
    token = media.keep_chunks([b"on s3"])
    assert b'"body":"b24gczM"' in b"".join(write_document(media, {"dialog": [reference(token)]}))


def test_what_breaks_off_leaves_nothing(s3: FakeS3) -> None:
    objects = s3.objects(prefix="broken")

    def breaks() -> Iterator[bytes]:
        yield from (os.urandom(1 << 20) for _ in range(20))
        raise OSError("the line is dead")

    with pytest.raises(OSError, match="dead"):
        MediaStore(objects, 8).keep_chunks(breaks(), token=f"sha512-{'A' * 86}")
    assert [meta for chunk in obstore.list(objects) for meta in chunk] == []


def test_an_orphan_is_set_aside_and_deleted(s3: FakeS3, redis_client: Redis) -> None:
    media = MediaStore(s3.objects(prefix="swept"), 8, redis_client)
    token = media.keep_chunks([b"orphan"])
    assert sweep(media.objects, redis_client, now=time.time() + 2 * 86400).set_aside == 1
    assert media.has(token)
    assert sweep(media.objects, redis_client, now=time.time() + 10 * 86400).deleted == 1
    assert not media.has(token)


def test_checkpoints_are_kept_there_too(s3: FakeS3) -> None:
    checkpoints = Checkpoints(s3.objects())
    checkpoints.save("run", "step", b"made")
    assert checkpoints.load("run", "step") == b"made"
    checkpoints.forget("run")
    assert checkpoints.load("run", "step") is None


def test_a_bucket_that_is_missing_is_no_missing_object(s3: FakeS3, redis_client: Redis) -> None:
    objects = s3.objects(bucket="never-made")
    with pytest.raises(ObjectsUnavailable, match="s3://never-made/calls does not exist: create it"):
        MediaStore(objects, 8).keep_chunks([b"nowhere"])
    with pytest.raises(ObjectsUnavailable, match="does not exist"):
        identify(redis_client, objects)


def test_another_prefix_is_another_store(s3: FakeS3, redis_client: Redis) -> None:
    identify(redis_client, s3.objects(prefix="one"))
    with pytest.raises(StoreMismatch, match="s3://recordings/two is not the object store that Redis knows"):
        identify(redis_client, s3.objects(prefix="two"))


def test_a_server_that_is_away_is_told_and_worth_another_try() -> None:
    objects = FakeS3(free_port()).objects()
    told = r"s3://recordings/calls\) does not answer"
    with pytest.raises(ObjectsUnavailable, match=told) as raised, explained(objects):
        obstore.head(objects, object_key(f"sha512-{'A' * 86}"))
    assert raised.value.transient
    assert "a-secret" not in str(raised.value)
