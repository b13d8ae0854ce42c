"""Documents opened: one way in for every form of bytes, recordings aside, the original always at hand."""

import base64
import contextlib
import gzip
import hashlib
import io
import json
import os
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.bodies import Hoisted, remake
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.opened import Opened, open_document

DATA = Path(__file__).parents[1] / "data"
HOSTILE = DATA / "hostile"
VCONS = sorted(path for path in (DATA / "vcons").rglob("*") if path.suffix in (".json", ".vcon"))
CASES = json.loads((HOSTILE / "cases.json").read_text())
GATE_1 = {
    case["file"]: case
    for case in CASES
    if case["id"] in (1, 3, 4, 5, 26) or case["file"] in ("07_empty.json", "07_two_docs.json")
}
LIMITS = Limits()
OVER = 300


def _open(source: bytes | BinaryIO, media_type: str | None = None, **options: Any) -> Opened:
    options = {"limits": LIMITS, "hoist_over": OVER, **options}
    return open_document(source, media_type=media_type, **options)


def _remade(opened: Opened) -> bytes:
    bodies = {body.token: body for body in opened.bodies}
    return b"".join(remake(opened.skeleton, opened.splices, lambda token: bodies[token].chunks(1000)))


def _answer(source: bytes | BinaryIO, media_type: str | None = None) -> tuple[int, str]:
    """The HTTP status and the code that this gate alone would answer with."""
    try:
        with _open(source, media_type) as opened:
            return (202, opened.findings[0].code) if opened.findings else (201, "created")
    except Rejected as refused:
        return refused.status, refused.code


def _plain(value: Any) -> Any:
    """The value with every body's text in its place."""
    return orjson.loads(orjson.dumps(value, default=lambda body: body.text()))


def _sources(raw: bytes) -> tuple[bytes, BinaryIO]:
    return raw, io.BytesIO(raw)


class _Trickle(io.RawIOBase):
    """A socket: gives a little at a time."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 100_003))


@contextlib.contextmanager
def _small_blocks() -> Iterator[None]:
    """So that a few kilobytes take the way of a long recording."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("vcon_platform.vcon.opened.BLOCK", 1000)
        patched.setattr("vcon_platform.vcon.transport.BLOCK", 1000)
        yield


@pytest.fixture
def small_blocks() -> Iterator[None]:
    with _small_blocks():
        yield


def _media_type(file: str) -> str:
    return "application/vcon+gzip" if file.endswith(".gz") else "application/vcon"


# --- hostile bytes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", GATE_1)
def test_hostile_bytes_are_answered_as_expected(file: str) -> None:
    case, raw = GATE_1[file], (HOSTILE / file).read_bytes()
    for source in _sources(raw):
        status, code = _answer(source, _media_type(file))
        assert status in case["status"]
        assert code in case["code"].split(" | ")


@pytest.mark.parametrize(
    "file", [case["file"] for case in CASES if case["file"] not in GATE_1 and not case["file"].endswith(".vconz")]
)
def test_what_is_wrong_on_later_gates_only_passes_this_one(file: str) -> None:
    raw = (HOSTILE / file).read_bytes()
    with _open(raw, "application/vcon") as opened:
        assert _remade(opened) == raw
        assert _plain(opened.value) == json.loads(raw)


def test_a_duplicate_uuid_is_refused_at_its_second_place() -> None:
    raw = (HOSTILE / "10_same_uuid_rev_a.json").read_bytes()
    raw = raw.rstrip()[:-1] + b', "uuid": "018bf1e0-6cbc-8f6d-8b2c-000000000000"}'
    with pytest.raises(Rejected) as refused:
        _open(raw)
    assert (refused.value.status, refused.value.code, refused.value.faults[0].pointer) == (
        400,
        "duplicate_key",
        "/uuid",
    )


def test_utf16_is_refused() -> None:
    with pytest.raises(Rejected, match="UTF-8") as refused:
        _open('{"uuid": "x"}'.encode("utf-16"))
    assert (refused.value.status, refused.value.code) == (400, "malformed_json")


def test_a_thirty_megabyte_text_is_read_and_compared_to_the_cap() -> None:
    raw = b'{"subject": "' + b"words " * (5 << 20) + b'"}'
    assert len(_open(raw).value["subject"]) == 30 << 20
    for source in _sources(raw):
        with pytest.raises(Rejected) as refused:
            _open(source, limits=Limits(skeleton_bytes=20 << 20))
        assert (refused.value.status, refused.value.code) == (413, "too_large")


def test_too_many_bytes_are_refused() -> None:
    raw = b'{"body": "' + b"A" * 3_000_000 + b'"}'
    for source in _sources(raw):
        with pytest.raises(Rejected) as refused:
            _open(source, limits=Limits(document_bytes=2_999_999))
        assert (refused.value.status, refused.value.code) == (413, "too_large")


def test_another_media_type_is_refused_whatever_the_source() -> None:
    for source in _sources(b"{}" + b" " * 2_000_000):
        with pytest.raises(Rejected) as refused:
            _open(source, "text/html")
        assert refused.value.status == 415


# --- real documents ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", VCONS, ids=lambda path: path.name)
def test_every_real_document_comes_back_to_the_byte(path: Path, small_blocks: None) -> None:
    raw = path.read_bytes()
    try:
        expected = json.loads(raw)
    except ValueError:
        with pytest.raises(Rejected):
            _open(raw)
        return
    packed = gzip.compress(raw)
    for came in (raw, packed):
        for source in _sources(came):
            with _open(source) as opened:
                assert _remade(opened) == raw
                assert _plain(opened.value) == expected
                assert (opened.sha256, opened.size) == (hashlib.sha256(came).hexdigest(), len(came))
                assert opened.gzipped is (came is packed)


@settings(max_examples=400, deadline=None)
@given(
    raw=st.sampled_from(VCONS).map(lambda path: path.read_bytes()[:20_000]),
    changes=st.lists(st.tuples(st.integers(0, 20_000), st.integers(0, 40), st.binary(max_size=4)), max_size=4),
    packed=st.booleans(),
    twice=st.booleans(),
)
def test_a_damaged_document_is_opened_or_refused_and_nothing_else(
    raw: bytes, changes: list[tuple[int, int, bytes]], packed: bool, twice: bool
) -> None:
    came = gzip.compress(raw) if packed else raw
    for place, removed, added in changes:
        place %= len(came) + 1
        came = came[:place] + added + came[place + removed :]
    raw = came + came if twice else came
    with _small_blocks():
        for source in _sources(raw):
            assert _answer(source)[0] in (201, 202, 400, 413, 415, 422)


# --- bodies set aside -------------------------------------------------------------------------------------------


def _document() -> dict[str, Any]:
    return {
        "uuid": "x",
        "dialog": [
            {"body": base64.b64encode(os.urandom(1500)).decode(), "encoding": "base64url"},
            {"body": "a short one"},
            {"body": base64.urlsafe_b64encode(os.urandom(700)).decode().rstrip("=")},
        ],
        "analysis": [{"body": base64.urlsafe_b64encode(os.urandom(400)).decode()}],
        "attachments": [{"body": {"body": base64.b64encode(os.urandom(900)).decode()}}, "not an object"],
        "payload": base64.urlsafe_b64encode(os.urandom(2000)).decode(),
        "ciphertext": base64.urlsafe_b64encode(os.urandom(2001)).decode(),
        "tags": {base64.b64encode(os.urandom(600)).decode(): base64.b64encode(os.urandom(600)).decode()},
        "text": "words, words " * 100,
    }


@pytest.mark.parametrize("escaped", [False, True])
@pytest.mark.parametrize("packed", [False, True])
def test_only_bodies_are_set_aside(small_blocks: None, packed: bool, escaped: bool) -> None:
    document = _document()
    raw = json.dumps(document, indent=1).encode()
    raw = raw.replace(b"/", b"\\/") if escaped else raw
    for source in _sources(gzip.compress(raw) if packed else raw):
        with _open(source) as opened:
            value = opened.value
            aside = [
                value["dialog"][0]["body"],
                value["dialog"][2]["body"],
                value["analysis"][0]["body"],
                value["payload"],
                value["ciphertext"],
            ]
            assert all(isinstance(body, Hoisted) for body in aside)
            assert list(opened.bodies) == aside
            assert [splice.token for splice in opened.splices] == [body.token for body in aside]
            assert _plain(value) == document
            assert opened.value["tags"] == document["tags"]
            assert _remade(opened) == raw
            assert opened.skeleton.count(b'"body": ""') == 3
            assert b"".join(aside[0].chunks()) == base64.b64decode(document["dialog"][0]["body"])


def test_a_body_twice_the_same_is_set_aside_twice() -> None:
    text = base64.b64encode(b"x" * 900).decode()
    raw = orjson.dumps({"dialog": [{"body": text}, {"body": text}]})
    with _open(raw) as opened:
        assert len(opened.bodies) == 2
        assert _remade(opened) == raw


def test_two_long_names_that_are_the_same_are_found_out() -> None:
    name = base64.b64encode(b"x" * 900).decode()
    with pytest.raises(Rejected) as refused:
        _open(f'{{"{name}": 1, "{name}": 2}}'.encode())
    assert refused.value.code == "duplicate_key"


def test_places_in_messages_are_those_of_what_came() -> None:
    text = base64.b64encode(b"x" * 900).decode()
    raw = f'{{"dialog": [{{"body": "{text}"}}, {{"body": "{text}", "start": nan}}]}}'.encode()
    with pytest.raises(Rejected, match=f"at byte {raw.index(b'nan')} ") as refused:
        _open(raw)
    assert refused.value.faults[0].pointer == "/dialog/1/start"


def test_the_random_text_of_a_body_is_in_no_pointer() -> None:
    name = base64.b64encode(b"x" * 900).decode()
    with pytest.raises(Rejected) as refused:
        _open(f'{{"{name}": nan}}'.encode())
    assert refused.value.faults[0].pointer == "/…"


def test_texts_put_back_count_as_text() -> None:
    raw = orjson.dumps({"other": base64.b64encode(os.urandom(900_000)).decode(), "dialog": [{"body": "A" * 4000}]})
    for source in _sources(raw):
        with pytest.raises(Rejected) as refused:
            _open(source, limits=Limits(skeleton_bytes=1_000_000))
        assert refused.value.code == "too_large"


def test_a_document_without_long_texts_is_kept_as_it_is() -> None:
    raw = b'{"uuid": "x"}'
    opened = _open(raw)
    assert opened.skeleton is raw
    assert (opened.splices, opened.bodies, opened.raw) == ((), (), None)


def test_a_byte_order_mark_is_kept_in_the_archive_and_told() -> None:
    text = base64.b64encode(os.urandom(900))
    raw = b'\xef\xbb\xbf{"dialog": [{"body": "' + text + b'"}]}'
    for came in (raw, gzip.compress(raw)):
        with _open(came) as opened:
            assert [finding.code for finding in opened.findings] == ["bom_stripped"]
            assert _remade(opened) == raw


@pytest.mark.parametrize("packed", [False, True])
def test_a_stream_that_trickles_is_read_to_its_end(packed: bool) -> None:
    document = {"dialog": [{"body": base64.b64encode(os.urandom(3_000_000)).decode()}]}
    raw = orjson.dumps(document)
    came = gzip.compress(raw, 1) if packed else raw
    with _open(_Trickle(came)) as opened:  # type: ignore[arg-type]
        assert _remade(opened) == raw
        assert opened.sha256 == hashlib.sha256(came).hexdigest()


# --- what is spooled --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [False, True])
def test_spooled_files_are_gone_when_it_is_closed(tmp_path: Path, packed: bool) -> None:
    raw = orjson.dumps({"dialog": [{"body": base64.b64encode(os.urandom(3_000_000)).decode()}]})
    came = gzip.compress(raw, 1) if packed else raw
    with _open(io.BytesIO(came), spool_dir=tmp_path) as opened:
        if packed:
            assert isinstance(opened.raw, Path)
            assert opened.raw.parent == tmp_path
            assert opened.raw.read_bytes() == came
        body = opened.bodies[0]
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        list(body.chunks())


def test_spooled_files_are_gone_after_a_refusal(tmp_path: Path) -> None:
    raw = orjson.dumps({"dialog": [{"body": base64.b64encode(os.urandom(3_000_000)).decode()}]})
    with pytest.raises(Rejected):
        _open(io.BytesIO(gzip.compress(raw + b"}", 1)), spool_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_gzip_in_memory_is_kept_as_it_came() -> None:
    came = gzip.compress(b'{"uuid": "x"}')
    assert _open(came).raw == came
    assert _open(io.BytesIO(came)).raw == came


def test_a_long_recording_never_is_in_memory(tmp_path: Path) -> None:
    block = base64.b64encode(os.urandom(3 << 18))
    path = tmp_path / "long.vcon"
    with path.open("wb") as file:
        file.write(b'{"dialog": [{"body": "')
        for _ in range(64):
            file.write(block)
        file.write(b'"}]}')
    tracemalloc.start()
    try:
        with path.open("rb") as source, _open(source, spool_dir=tmp_path) as opened:
            assert opened.bodies[0].size == 64 * (3 << 18)
            assert opened.value["dialog"][0]["body"] is opened.bodies[0]
            assert sum(len(piece) for piece in opened.bodies[0].text_chunks()) == 64 << 20
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 20 << 20
