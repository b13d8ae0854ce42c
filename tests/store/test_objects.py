"""Media, checkpoints and results: kept by content, found again, never mixed up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from redis import Redis

from vcon_platform.store.checkpoints import Checkpoints
from vcon_platform.store.media import MediaError, MediaStore, local_objects
from vcon_platform.store.results import StoredResults
from vcon_platform.vcon.media import content_hash_of


@pytest.fixture
def media(tmp_path: Path) -> MediaStore:
    return MediaStore(local_objects(tmp_path / "objects"), inline_max=8)


def _file(folder: Path, content: bytes) -> Path:
    path = folder / "recording.wav"
    path.write_bytes(content)
    return path


def test_a_small_body_stays_in_the_document(media: MediaStore, tmp_path: Path) -> None:
    entry = media.keep_file(_file(tmp_path, b"12345678"))
    assert set(entry) == {"body", "encoding"}
    assert media.body(entry) == b"12345678"


def test_a_larger_body_is_kept_by_its_hash_and_given_back(media: MediaStore, tmp_path: Path) -> None:
    entry = media.keep_file(_file(tmp_path, b"123456789"))
    assert entry["content_hash"] == content_hash_of(b"123456789")
    assert media.has(entry["content_hash"])
    assert media.body(entry) == b"123456789"


def test_a_hash_that_a_document_merely_claims_is_not_believed(media: MediaStore, tmp_path: Path) -> None:
    kept = media.keep_file(_file(tmp_path, b"somebody else's call"))
    claimed = {"body": "bWluZQ", "encoding": "base64url", "content_hash": kept["content_hash"]}
    assert media.content_hash(claimed) == content_hash_of(b"mine")
    assert media.content_hash({**kept, "content_hash": "sha512-x"}) == kept["content_hash"]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ({}, "neither body nor url"),
        ({"url": "https://example.org/a.wav"}, "outside url, which is not fetched"),
        ({"url": "vcon-media:sha512-AAAA"}, "not in the media store"),
        ({"url": "vcon-media:sha512-../../../secrets/redis_password"}, "no content hash"),
    ],
)
def test_a_body_that_cannot_be_had_is_told(media: MediaStore, entry: dict[str, str], told: str) -> None:
    with pytest.raises(MediaError, match=told):
        media.body(entry)


def test_a_checkpoint_is_found_by_run_and_step_until_it_is_forgotten(tmp_path: Path) -> None:
    checkpoints = Checkpoints(local_objects(tmp_path))
    checkpoints.save("run-1", "recall__steps.lease", b"one")
    checkpoints.save("run-2", "recall__steps.lease", b"two")
    checkpoints.forget("run-1")
    assert checkpoints.load("run-1", "recall__steps.lease") is None
    assert checkpoints.load("run-2", "recall__steps.lease") == b"two"


def test_sweeping_deletes_what_is_older_and_nothing_else(tmp_path: Path) -> None:
    checkpoints = Checkpoints(local_objects(tmp_path))
    checkpoints.save("run-1", "step", b"one")
    assert checkpoints.sweep(timedelta(hours=1)) == 0
    assert checkpoints.sweep(timedelta(seconds=-60)) == 1
    assert checkpoints.load("run-1", "step") is None


def test_a_result_is_computed_once(redis_client: Redis) -> None:
    results, computed = StoredResults(redis_client), []

    def compute() -> dict[str, float]:
        computed.append(1)
        return {"confidence": 0.5}

    parts = ("sha512-x", "transcribe", "1")
    assert results.get_or_compute(parts, compute) == results.get_or_compute(parts, compute) == {"confidence": 0.5}
    assert len(computed) == 1
