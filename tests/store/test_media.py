"""Media: kept by content, found again, given back, never mixed up."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import obstore
import orjson
import pytest
from redis import Redis

from vcon_platform.store import keys
from vcon_platform.store.media import MediaError, MediaStore, object_key, reference, tokens_of
from vcon_platform.store.media_documents import inline, write_document
from vcon_platform.store.objects import local_objects
from vcon_platform.vcon.bodies import Hoisted
from vcon_platform.vcon.media import content_hash_of, decode_base64url, encode_base64url


@pytest.fixture
def media(tmp_path: Path) -> MediaStore:
    return MediaStore(local_objects(tmp_path / "objects"), inline_max=8, spool_dir=tmp_path / "spool")


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
        ({"url": f"vcon-media:{content_hash_of(b'never kept')}"}, "not in the media store"),
        ({"url": "vcon-media:sha512-../../../secrets/redis_password"}, "no content hash"),
        ({"url": "vcon-media:sha512-AAAA"}, "no content hash"),
    ],
)
def test_a_body_that_cannot_be_had_is_told(media: MediaStore, entry: dict[str, str], told: str) -> None:
    with pytest.raises(MediaError, match=told):
        media.body(entry)


def test_bytes_in_pieces_are_kept_once(media: MediaStore, tmp_path: Path) -> None:
    first = media.keep_chunks([b"one ", b"two"])
    kept = obstore.head(media.objects, object_key(first))
    assert media.keep_chunks(iter([b"one", b" two"])) == first == content_hash_of(b"one two")
    assert obstore.head(media.objects, object_key(first))["e_tag"] == kept["e_tag"]
    assert (media.size(first), b"".join(media.open(first))) == (7, b"one two")


def test_a_hoisted_body_is_kept_under_the_token_it_has(media: MediaStore) -> None:
    body = Hoisted.of(b"taken out of a document")
    assert media.keep_hoisted(body) == body.token
    assert b"".join(media.open(body.token)) == b"taken out of a document"


def test_what_breaks_off_while_it_is_read_is_not_kept(media: MediaStore) -> None:
    def breaks() -> Iterator[bytes]:
        yield b"half"
        raise OSError("the line is dead")

    with pytest.raises(OSError, match="dead"):
        media.keep_chunks(breaks())
    assert not media.has(content_hash_of(b"half"))


def test_a_file_that_changes_while_it_is_read_is_not_kept_under_a_wrong_hash(
    media: MediaStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = _file(tmp_path, b"as it was hashed")
    kept = MediaStore._kept

    def grows(self: MediaStore, token: str) -> bool:
        file.write_bytes(b"as it was hashed, and more")
        return kept(self, token)

    monkeypatch.setattr(MediaStore, "_kept", grows)
    with pytest.raises(MediaError, match="changed while it was read"):
        media.keep_file(file)
    assert not media.has(content_hash_of(b"as it was hashed"))


def test_memory_stays_small_whatever_the_recordings_size(media: MediaStore) -> None:
    piece, before = os.urandom(1 << 20), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    token = media.keep_chunks(piece for _ in range(200))
    data = {"dialog": [{"type": "recording", **reference(token)}]}
    written = sum(len(part) for part in write_document(media, data))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert media.size(token) == 200 << 20
    assert written > (200 << 20) * 4 / 3
    assert grown < 100, f"{grown:.0f} MB more"


def test_bytes_are_pinned_before_anybody_names_them(media: MediaStore, redis_client: Redis) -> None:
    pinning = MediaStore(media.objects, 8, redis_client)
    token = pinning.keep_chunks([b"not named yet"])
    assert redis_client.zscore(keys.MEDIA_PINS, token) is not None


# --- what a document names, and gives back ----------------------------------------------------------------------


def _document(*tokens: str) -> dict[str, Any]:
    dialogs = [{"type": "recording", "mediatype": "audio/x-wav", **reference(token)} for token in tokens]
    return {"uuid": "0199c0c8-0000-7000-8000-000000000000", "dialog": dialogs}


def test_the_tokens_of_a_document_are_those_of_all_its_arrays() -> None:
    one, two, three = (content_hash_of(bytes([n])) for n in range(3))
    data = {
        "dialog": [reference(one), {"url": "https://example.org/a.wav"}, "no object"],
        "analysis": [reference(two), {"body": "x"}],
        "attachments": [reference(three), {"url": "vcon-media:../../etc/passwd"}, {"url": 5}],
        "parties": None,
    }
    assert tokens_of(data) == {one, two, three}
    assert tokens_of({}) == set()


def test_a_document_gets_its_bodies_back(media: MediaStore) -> None:
    contents = [b"first recording", b"second, longer recording"]
    data = _document(*(media.keep_chunks([content]) for content in contents))
    written = orjson.loads(b"".join(write_document(media, data)))
    assert [decode_base64url(dialog["body"]) for dialog in written["dialog"]] == contents
    assert all(dialog["encoding"] == "base64url" for dialog in written["dialog"])
    assert not any({"url", "content_hash"} & dialog.keys() for dialog in written["dialog"])
    assert data["dialog"][0]["url"].startswith("vcon-media:")  # what was given is not changed


@pytest.mark.parametrize("size", [1, 2, 3, 4, (1 << 20) + 1, (3 << 20) + 2])
def test_a_body_is_written_as_one_base64url_text_whatever_its_size(media: MediaStore, size: int) -> None:
    content = os.urandom(size)
    written = b"".join(write_document(media, _document(media.keep_chunks([content]))))
    assert orjson.loads(written)["dialog"][0]["body"] == encode_base64url(content)


def test_a_hash_that_came_with_the_document_stays(media: MediaStore) -> None:
    token = media.keep_chunks([b"hashed by the sender too"])
    theirs = "sha256-47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU"
    given = inline(media, {"type": "recording", **reference(token), "content_hash": theirs})
    assert given["content_hash"] == theirs
    assert decode_base64url(given["body"]) == b"hashed by the sender too"


def test_a_document_without_media_is_written_as_it_is(media: MediaStore) -> None:
    data = {"uuid": "x", "dialog": [{"url": "https://example.org/a.wav", "content_hash": "sha512-x"}, None]}
    assert b"".join(write_document(media, data)) == orjson.dumps(data)
    assert inline(media, data["dialog"][0]) == data["dialog"][0]  # type: ignore[arg-type]


def test_a_body_that_is_gone_is_told_with_its_place_before_anything_is_written(media: MediaStore) -> None:
    data = _document(media.keep_chunks([b"here"]), content_hash_of(b"gone"))
    with pytest.raises(MediaError, match="/dialog/1"):
        write_document(media, data)


def test_a_body_too_large_to_be_read_at_once_is_told(media: MediaStore) -> None:
    token = media.keep_chunks([b"12345"])
    with pytest.raises(MediaError, match="5 bytes, more than the 4"):
        inline(media, reference(token), limit=4)
