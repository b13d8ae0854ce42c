"""Reading bundles: a hostile archive is refused whole, whatever is wrong with it, and in little memory."""

from __future__ import annotations

import io
import json
import stat
import struct
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vcon.certificates import HOSTILE
from vcon_platform.vcon.bundle import BundleLimits, read_bundle
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.media import content_hash_of

UUID = "018f3a2b-4c5d-8e6f-9012-3456789abcde"
OTHER = "018f3a2b-4c5d-8e6f-9012-000000000000"
MANIFEST = ("manifest.json", b'{"format": "vcon-bundle", "version": "1.0"}')
DOCUMENT = (f"vcons/{UUID}.json", b'{"uuid": "%s"}' % UUID.encode())
SOUND = b"RIFF" + bytes(range(256)) * 8
TOKEN = content_hash_of(SOUND)
FILE = (f"files/{TOKEN}.wav", SOUND)


def _zip(*entries: tuple[str | zipfile.ZipInfo, bytes], how: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    """An archive of exactly these entries, however bad."""
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", how) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return written


def _refusal(source: io.BytesIO | Path, limits: BundleLimits | None = None) -> tuple[str, int]:
    """The answer to a bundle that is refused, by its directory or while it is read."""
    with pytest.raises(Rejected) as refused:
        _read(source, limits)
    return refused.value.code, refused.value.status


def _read(source: io.BytesIO | Path, limits: BundleLimits | None = None) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """All documents by uuid, all files by content hash."""
    with read_bundle(source, limits) as bundle:
        documents = {entry.uuid: entry.read() for entry in bundle}
        return documents, {token: b"".join(file.chunks()) for token, file in bundle.files.items()}


# Hostile archives --------------------------------------------------------------------------------------------------


def test_the_hostile_bundle_is_answered_as_expected() -> None:
    [case] = [case for case in json.loads((HOSTILE / "cases.json").read_bytes()) if case["id"] == 27]
    code, status = _refusal(HOSTILE / case["file"])
    assert code in case["code"].split(" | ")
    assert status in case["status"]


def test_thirty_megabytes_of_zeros_are_too_large() -> None:
    assert _refusal(_zip(MANIFEST, (f"vcons/{UUID}.json", bytes(30 << 20)))) == ("bundle_too_large", 413)


@pytest.mark.parametrize(
    "name",
    ["../a", "vcons/../../a", "/a", "C:/a", "c:a", "vcons\\a.json", "a//b", "./a", "a/./b", "a/..", "a\nb", "a\x7fb"],
)
def test_a_path_that_leads_out_is_refused(name: str) -> None:
    assert _refusal(_zip(MANIFEST, DOCUMENT, (name, b"x"))) == ("unsafe_path", 422)


def test_a_name_with_a_nul_is_refused_whole() -> None:
    archive = _zip(MANIFEST, DOCUMENT, ("evil.json#vcon", b"x"))
    raw = archive.getvalue().replace(b"#vcon", b"\x00vcon")
    assert _refusal(io.BytesIO(raw)) == ("unsafe_path", 422)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_are_refused(kind: int) -> None:
    info = zipfile.ZipInfo(f"files/{TOKEN}.wav")
    info.external_attr = (kind | 0o777) << 16
    assert _refusal(_zip(MANIFEST, DOCUMENT, (info, b"/etc/passwd"))) == ("unsafe_path", 422)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("entry", "code"), [(DOCUMENT, "duplicate_uuid"), (FILE, "duplicate_entry"), (MANIFEST, "duplicate_entry")]
)
def test_a_name_that_comes_twice_is_refused(entry: tuple[str, bytes], code: str) -> None:
    assert _refusal(_zip(MANIFEST, DOCUMENT, FILE, entry)) == (code, 422)


def test_a_uuid_under_two_names_is_refused() -> None:
    assert _refusal(_zip(MANIFEST, DOCUMENT, (f"vcons/{UUID}.vcon", b"{}"))) == ("duplicate_uuid", 422)


@pytest.mark.parametrize(
    "name",
    [
        "vcons/not-the-uuid.json",
        f"vcons/{UUID.upper()}.json",
        f"vcons/a/{UUID}.json",
        f"vcons/{UUID}.exe",
        "files/sha512-AAAA.wav",
        "files/recording.wav",
        f"files/a/{TOKEN}.wav",
        f"files/md5-{TOKEN[7:]}.wav",
    ],
)
def test_a_name_that_the_draft_does_not_allow_is_refused(name: str) -> None:
    assert _refusal(_zip(MANIFEST, (name, b"{}"))) == ("bad_bundle", 422)


@pytest.mark.parametrize(
    "manifest",
    [
        b"",
        b"[]",
        b'{"format": "vcon-bundle"}',
        b'{"format": "other", "version": "1.0"}',
        b'{"format": "vcon-bundle", "version": "2.0"}',
        b'{"format": "vcon-bundle", "version": "1.0"',
    ],
)
def test_another_manifest_is_refused(manifest: bytes) -> None:
    assert _refusal(_zip(("manifest.json", manifest), DOCUMENT)) == ("bad_bundle", 422)


def test_a_bundle_without_a_manifest_is_refused() -> None:
    assert _refusal(_zip(DOCUMENT)) == ("bad_bundle", 422)


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_another_compression_is_refused(how: int) -> None:
    assert _refusal(_zip(MANIFEST, DOCUMENT, how=how)) == ("bad_bundle", 422)


@pytest.mark.parametrize("raw", [b"", b"{}", b"PK\x05\x06", bytes(1000)])
def test_what_is_no_zip_is_refused(raw: bytes) -> None:
    assert _refusal(io.BytesIO(raw)) == ("bad_bundle", 422)


def _patched(archive: io.BytesIO, entry: str, offset: int, form: str, value: int) -> io.BytesIO:
    """The archive with a field of the entry's record in the directory set; ``offset`` as in the zip specification."""
    raw = bytearray(archive.getvalue())
    record = raw.rindex(entry.encode()) - 46
    assert raw[record : record + 4] == b"PK\x01\x02"
    struct.pack_into(form, raw, record + offset, value)
    return io.BytesIO(bytes(raw))


def test_an_encrypted_entry_is_refused() -> None:
    assert _refusal(_patched(_zip(MANIFEST, DOCUMENT), DOCUMENT[0], 8, "<H", 1)) == ("bad_bundle", 422)


def test_entries_that_overlap_are_refused() -> None:
    assert _refusal(_patched(_zip(MANIFEST, DOCUMENT), DOCUMENT[0], 42, "<I", 0)) == ("bad_bundle", 422)


def test_an_entry_that_reaches_into_the_directory_is_refused() -> None:
    assert _refusal(_patched(_zip(MANIFEST, DOCUMENT), DOCUMENT[0], 20, "<I", 1 << 20)) == ("bad_bundle", 422)


def test_a_file_that_something_stands_before_is_refused() -> None:
    assert _refusal(io.BytesIO(b"#!/bin/sh\n" + _zip(MANIFEST, DOCUMENT).getvalue())) == ("bad_bundle", 422)


@pytest.mark.parametrize("size", [5, 1000])
def test_an_entry_of_another_length_than_the_directory_says_is_refused(size: int) -> None:
    assert _refusal(_patched(_zip(MANIFEST, DOCUMENT), DOCUMENT[0], 24, "<I", size)) == ("bad_bundle", 422)


def test_a_damaged_entry_is_refused_and_named() -> None:
    raw = bytearray(_zip(MANIFEST, DOCUMENT, how=zipfile.ZIP_STORED).getvalue())
    raw[raw.index(b'{"uuid"') + 2] ^= 1
    with read_bundle(io.BytesIO(bytes(raw))) as bundle, pytest.raises(Rejected) as refused:
        next(iter(bundle)).read()
    assert (refused.value.code, refused.value.faults[0].pointer) == ("bad_bundle", f"/{DOCUMENT[0]}")


def test_a_file_under_anothers_hash_is_refused_and_named() -> None:
    with read_bundle(_zip(MANIFEST, (FILE[0], b"other"))) as bundle, pytest.raises(Rejected) as refused:
        list(bundle.files[TOKEN].chunks())
    assert (refused.value.code, refused.value.faults[0].pointer) == ("hash_mismatch", f"/{FILE[0]}")


def test_a_document_under_anothers_uuid_is_refused() -> None:
    with read_bundle(_zip(MANIFEST, DOCUMENT)) as bundle:
        [entry] = bundle.documents
        entry.expect(UUID)
        with pytest.raises(Rejected) as refused:
            entry.expect(OTHER)
    assert (refused.value.code, refused.value.status) == ("uuid_mismatch", 422)


def test_every_bad_entry_is_told_at_once() -> None:
    bad = [("../a", b""), ("/b", b""), MANIFEST, ("c\\d", b"")]
    with pytest.raises(Rejected) as refused:
        read_bundle(_zip(*bad))
    assert len(refused.value.faults) == 3


# Limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [
        BundleLimits(entries=2),
        BundleLimits(directory_bytes=100),
        BundleLimits(inflated_bytes=1000),
        BundleLimits(document=Limits(inflated_bytes=10)),
    ],
)
def test_caps_are_kept(limits: BundleLimits) -> None:
    assert _refusal(_zip(MANIFEST, DOCUMENT, FILE), limits) == ("bundle_too_large", 413)


def test_many_small_bombs_are_as_bad_as_a_large_one() -> None:
    bombs = [(f"extensions/{number}", bytes(1 << 20)) for number in range(4)]
    assert _refusal(_zip(MANIFEST, DOCUMENT, *bombs)) == ("bundle_too_large", 413)


def test_a_directory_of_a_million_entries_costs_no_memory() -> None:
    record = b"PK\x01\x02" + bytes(24) + struct.pack("<H", 1) + bytes(16) + b"a"
    count = 150_000
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, count & 0xFFFF, count & 0xFFFF, len(record) * count, 0, 0)
    raw = io.BytesIO(record * count + end)
    tracemalloc.start()
    try:
        assert _refusal(raw) == ("bundle_too_large", 413)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 10 << 20


def test_what_is_neither_document_nor_file_is_never_read() -> None:
    extra = [("extensions/x/metadata.json", b"{}"), ("__MACOSX/._a", b"x"), (".DS_Store", b"x"), ("vcons/", b"")]
    with read_bundle(_zip(MANIFEST, DOCUMENT, *extra)) as bundle:
        assert [entry.uuid for entry in bundle] == [UUID]
        assert bundle.ignored == 3


# Anything at all ---------------------------------------------------------------------------------------------------

_GOOD = _zip(MANIFEST, DOCUMENT, FILE).getvalue()


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(_GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_a_changed_archive_is_refused_or_holds_the_same(changes: list[tuple[int, int]], cut: bool) -> None:
    raw = bytearray(_GOOD)
    for place, value in changes:
        raw[place] = value
    source = io.BytesIO(bytes(raw[: changes[0][0]] if cut else raw))
    try:
        documents, files = _read(source)
    except Rejected:
        return
    assert set(documents.values()) <= {DOCUMENT[1]}
    assert set(files.values()) <= {SOUND}
