"""Writing bundles: what is written is read back, and is written as the draft says."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vcon.certificates import VCONS
from vcon_platform.vcon.bundle import read_bundle
from vcon_platform.vcon.bundle_writing import BundleError, write_bundle
from vcon_platform.vcon.media import content_hash_of

UUID = "018f3a2b-4c5d-8e6f-9012-3456789abcde"
OTHER = "018f3a2b-4c5d-8e6f-9012-000000000000"
SOUND = b"RIFF" + bytes(range(256)) * 8
TOKEN = content_hash_of(SOUND)


@settings(max_examples=40, deadline=None)
@given(
    documents=st.dictionaries(st.uuids().map(str), st.binary(max_size=2000), max_size=5),
    files=st.lists(st.tuples(st.lists(st.binary(max_size=500), max_size=4), st.text(max_size=12)), max_size=5),
)
def test_what_is_written_is_read(documents: dict[str, bytes], files: list[tuple[list[bytes], str]]) -> None:
    contents = {content_hash_of(b"".join(chunks)): b"".join(chunks) for chunks, _ in files}
    written = io.BytesIO()
    named = ((content_hash_of(b"".join(chunks)), kind, chunks) for chunks, kind in files)
    write_bundle(written, documents.items(), named)
    with read_bundle(written) as bundle:
        assert {entry.uuid: entry.read() for entry in bundle} == documents
        assert {token: b"".join(file.chunks()) for token, file in bundle.files.items()} == contents


def test_public_documents_of_every_form_come_back_to_the_byte(tmp_path: Path) -> None:
    names = ("core-03/ab_call_ext_rec_signed.vcon", "container-0.0.2/ab_call_ext_rec_encrypted.vcon")
    documents = dict(zip((UUID, OTHER), ((VCONS / name).read_bytes() for name in names), strict=True))
    write_bundle(tmp_path / "two.vconz", documents.items())
    with read_bundle(tmp_path / "two.vconz") as bundle:
        assert {entry.uuid: entry.open().read() for entry in bundle} == documents


def test_entries_are_named_as_the_draft_says() -> None:
    written = io.BytesIO()
    write_bundle(written, [(UUID, b"{}")], [(TOKEN, "audio/x-wav; rate=8000", [SOUND])])
    with zipfile.ZipFile(written) as archive:
        assert archive.namelist() == ["manifest.json", f"vcons/{UUID}.json", f"files/{TOKEN}.wav"]
        assert json.loads(archive.read("manifest.json")) == {"format": "vcon-bundle", "version": "1.0"}


@pytest.mark.parametrize(
    ("kind", "extension"),
    [("audio/mpeg", "mp3"), (".WAV", "wav"), ("x/y", "bin"), ("", "bin"), ("../../evil", "bin"), ("a b", "bin")],
)
def test_the_extension_follows_from_the_media_type_and_is_never_a_path(kind: str, extension: str) -> None:
    written = io.BytesIO()
    write_bundle(written, [], [(TOKEN, kind, [SOUND])])
    with read_bundle(written) as bundle:
        assert bundle.files[TOKEN].extension == extension


def test_the_same_content_makes_the_same_bytes() -> None:
    first, second = io.BytesIO(), io.BytesIO()
    for target in (first, second):
        write_bundle(target, [(UUID, b"{}")], [(TOKEN, "wav", [SOUND])])
    assert first.getvalue() == second.getvalue()


def test_a_file_that_several_documents_name_is_written_once() -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("read a second time")
        yield b""

    written = io.BytesIO()
    write_bundle(written, [], [(TOKEN, "wav", [SOUND]), (TOKEN, "wav", never())])
    with read_bundle(written) as bundle:
        assert list(bundle.files) == [TOKEN]


def test_a_document_that_shrinks_like_a_bomb_can_still_be_read_back() -> None:
    raw, written = json.dumps({"uuid": UUID, "subject": " " * (3 << 20)}).encode(), io.BytesIO()
    write_bundle(written, [(UUID, raw)])
    with read_bundle(written) as bundle:
        assert [entry.read() for entry in bundle] == [raw]


@pytest.mark.parametrize(
    ("documents", "files"),
    [
        ([("not-a-uuid", b"{}")], []),
        ([("../" + UUID, b"{}")], []),
        ([(UUID.upper(), b"{}")], []),
        ([(UUID, b"{}"), (UUID, b"{}")], []),
        ([], [("sha512-AAAA", "wav", [b""])]),
        ([], [("../../evil", "wav", [b""])]),
        ([], [(TOKEN, "wav", [SOUND, b"more"])]),
    ],
)
def test_what_makes_no_bundle_leaves_no_file(tmp_path: Path, documents: Any, files: Any) -> None:
    with pytest.raises(BundleError):
        write_bundle(tmp_path / "bad.vconz", documents, files)
    assert list(tmp_path.iterdir()) == []


def test_long_files_are_written_and_read_in_little_memory(tmp_path: Path) -> None:
    block, count = bytes(range(256)) * 4096, 32
    token = content_hash_of(block * count)
    tracemalloc.start()
    try:
        write_bundle(tmp_path / "long.vconz", [], [(token, "wav", (block for _ in range(count)))])
        with read_bundle(tmp_path / "long.vconz") as bundle:
            assert sum(map(len, bundle.files[token].chunks())) == len(block) * count
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 6 << 20
