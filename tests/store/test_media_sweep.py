"""Sweeping media: orphans go, nothing else ever does."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import obstore
import pytest
from redis import Redis

from vcon_platform.store import keys
from vcon_platform.store.identity import LABEL, StoreMismatch, adopt, identify
from vcon_platform.store.media import PIN_SECONDS, MediaStore, object_key
from vcon_platform.store.media_sweep import Swept, sweep
from vcon_platform.store.objects import local_objects

HOUR, DAY = 3600.0, 24 * 3600.0


@pytest.fixture
def media(tmp_path: Path, redis_client: Redis) -> MediaStore:
    return MediaStore(local_objects(tmp_path / "objects"), 8, redis_client)


def _sweep(media: MediaStore, client: Redis, later: float, **options: float) -> Swept:
    return sweep(media.objects, client, now=time.time() + later, **options)  # type: ignore[arg-type]


def test_an_orphan_is_set_aside_and_later_deleted(media: MediaStore, redis_client: Redis) -> None:
    token = media.keep_chunks([b"nobody names this"])
    assert _sweep(media, redis_client, 2 * DAY).set_aside == 1
    assert media.has(token)
    swept = _sweep(media, redis_client, 10 * DAY)
    assert (swept.deleted, swept.bytes) == (1, len(b"nobody names this"))
    assert not media.has(token)
    assert redis_client.exists(keys.MEDIA_ASIDE, keys.MEDIA_PINS) == 0


def test_what_a_document_names_is_kept_for_good(media: MediaStore, redis_client: Redis) -> None:
    token = media.keep_chunks([b"named"])
    redis_client.sadd(keys.media_refs(token), "a uuid")
    assert _sweep(media, redis_client, 400 * DAY).kept == 1
    assert obstore.head(media.objects, object_key(token))["size"] == 5


def test_what_is_young_or_pinned_is_left_alone(media: MediaStore, redis_client: Redis) -> None:
    media.keep_chunks([b"young"])
    assert _sweep(media, redis_client, 2 * HOUR) == Swept()
    media.keep_chunks([b"young"], seconds=3 * PIN_SECONDS)
    assert _sweep(media, redis_client, 2 * DAY) == Swept(kept=1)


def test_what_was_set_aside_is_still_read_and_put_back_when_it_is_named(media: MediaStore, redis_client: Redis) -> None:
    token = media.keep_chunks([b"named late"])
    _sweep(media, redis_client, 2 * DAY)
    redis_client.sadd(keys.media_refs(token), "a uuid")
    assert b"".join(media.open(token)) == b"named late"
    assert _sweep(media, redis_client, 40 * DAY).restored == 1
    assert obstore.head(media.objects, object_key(token))["size"] == len(b"named late")


def test_bytes_kept_again_while_they_are_aside_survive_the_deletion(media: MediaStore, redis_client: Redis) -> None:
    token = media.keep_chunks([b"brought twice"])
    _sweep(media, redis_client, 2 * DAY)
    media.keep_chunks([b"brought twice"])  # its pin is over when the next sweep looks, and nobody named it yet
    assert _sweep(media, redis_client, 10 * DAY).deleted == 1
    assert b"".join(media.open(token)) == b"brought twice"


def test_a_sweep_that_died_between_its_steps_is_made_good(media: MediaStore, redis_client: Redis) -> None:
    token = media.keep_chunks([b"moved, not noted"])
    obstore.rename(media.objects, object_key(token), object_key(token, "aside"))
    assert _sweep(media, redis_client, 10 * DAY).deleted == 0
    assert redis_client.zscore(keys.MEDIA_ASIDE, token) is not None
    assert _sweep(media, redis_client, 20 * DAY).deleted == 1


def test_a_sweep_goes_on_where_the_last_one_stopped(media: MediaStore, redis_client: Redis) -> None:
    for number in range(20):
        media.keep_chunks([b"orphan %d" % number])
    assert _sweep(media, redis_client, 2 * DAY, seconds=-1.0) == Swept(finished=False)
    assert redis_client.exists(keys.MEDIA_CURSOR)
    swept = _sweep(media, redis_client, 2 * DAY)
    assert (swept.set_aside, swept.finished) == (20, True)
    assert not redis_client.exists(keys.MEDIA_CURSOR)


def test_only_one_sweep_is_under_way(media: MediaStore, redis_client: Redis) -> None:
    media.keep_chunks([b"orphan"])
    redis_client.lock(keys.MEDIA_SWEEP, timeout=60).acquire()
    assert _sweep(media, redis_client, 2 * DAY) == Swept(finished=False)


# --- a Redis that forgot ----------------------------------------------------------------------------------------


def test_a_redis_that_was_emptied_deletes_nothing(media: MediaStore, redis_client: Redis) -> None:
    token = media.keep_chunks([b"named by a document that Redis forgot"])
    redis_client.flushall()
    with pytest.raises(StoreMismatch, match=r"Redis was emptied.*vcon-platform store rebuild"):
        _sweep(media, redis_client, 40 * DAY)
    assert obstore.head(media.objects, object_key(token))


def test_a_redis_put_back_to_an_older_state_deletes_nothing(media: MediaStore, redis_client: Redis) -> None:
    media.keep_chunks([b"orphan"])
    _sweep(media, redis_client, HOUR)
    before = redis_client.get(keys.STORE_SWEEPS)
    assert isinstance(before, bytes)
    _sweep(media, redis_client, HOUR)
    redis_client.set(keys.STORE_SWEEPS, before)
    with pytest.raises(StoreMismatch, match="older state"):
        _sweep(media, redis_client, 40 * DAY)


def test_the_redis_of_another_store_deletes_nothing(media: MediaStore, redis_client: Redis, tmp_path: Path) -> None:
    media.keep_chunks([b"ours"])
    other = local_objects(tmp_path / "other")
    obstore.put(other, LABEL, b'{"id":"another","sweeps":0}')
    with pytest.raises(StoreMismatch, match="another object store"):
        sweep(other, redis_client)


def test_media_without_a_label_are_nobodys_to_delete(tmp_path: Path, redis_client: Redis) -> None:
    objects = local_objects(tmp_path)
    MediaStore(objects, 8).keep_chunks([b"kept before stores had labels"])
    with pytest.raises(StoreMismatch, match="Redis knows of none"):
        sweep(objects, redis_client)


def test_a_rebuilt_redis_is_believed_again(media: MediaStore, redis_client: Redis) -> None:
    token = media.keep_chunks([b"found again"])
    _sweep(media, redis_client, HOUR)
    redis_client.flushall()
    redis_client.sadd(keys.media_refs(token), "a uuid")
    assert adopt(redis_client, media.objects) == identify(redis_client, media.objects)
    assert sweep(media.objects, redis_client, timedelta(0), time.time() + HOUR) == Swept(kept=1)


def test_a_redis_that_was_rebuilt_in_part_deletes_nothing(media: MediaStore, redis_client: Redis) -> None:
    token = media.keep_chunks([b"of a vCon whose records cannot be read"])
    redis_client.flushall()
    adopt(redis_client, media.objects, complete=False)
    assert media.keep_chunks([b"new ones are kept"])
    with pytest.raises(StoreMismatch, match="rebuild was not complete"):
        _sweep(media, redis_client, 40 * DAY)
    assert obstore.head(media.objects, object_key(token))


def test_a_redis_that_may_throw_references_away_deletes_nothing(media: MediaStore, redis_client: Redis) -> None:
    media.keep_chunks([b"orphan"])
    redis_client.config_set("maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(StoreMismatch, match="maxmemory-policy noeviction"):
            _sweep(media, redis_client, 40 * DAY)
    finally:
        redis_client.config_set("maxmemory-policy", "noeviction")


def test_whoever_comes_while_another_begins_a_new_store_waits_for_it(tmp_path: Path, redis_client: Redis) -> None:
    objects = local_objects(tmp_path / "new")
    obstore.put(objects, LABEL, b'{"id": "ab", "sweeps": 0}')  # the other's first write; here comes its second
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: redis_client.set(keys.IDENTITY, "ab"))
        assert identify(redis_client, objects) == "ab"
