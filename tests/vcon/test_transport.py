"""How a document arrives: media types, and gzip of one layer, one member, under caps."""

import gzip
import os
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.transport import BLOCK, capped, inflate, is_gzip

LIMITS = Limits()


def _refused(packed: bytes, limits: Limits = LIMITS, step: int = BLOCK) -> tuple[int, str]:
    with pytest.raises(Rejected) as refused:
        b"".join(inflate(_steps(packed, step), limits))
    return refused.value.status, refused.value.code


def _steps(data: bytes, step: int) -> list[bytes]:
    return [data[start : start + step] for start in range(0, len(data), step)]


@pytest.mark.parametrize(
    ("media_type", "head", "expected"),
    [
        ("application/vcon", b"{}", False),
        ("application/vcon+json", b"{}", False),
        ("application/json; charset=utf-8", b"{}", False),
        ("text/json", b"{}", False),
        ("Application/VCON+gzip", b"{}", True),
        ("application/gzip; q=1", b"\x1f\x8b", True),
        ("application/octet-stream", b"\x1f\x8b", True),
        ("application/octet-stream", b"{}", False),
        (None, b"\x1f\x8b", True),
        (None, b"{}", False),
        ("", b"", False),
        ("application/json", b"\x1f\x8b", True),
    ],
)
def test_gzip_is_told_by_the_media_type_else_by_the_first_bytes(
    media_type: str | None, head: bytes, expected: bool
) -> None:
    assert is_gzip(media_type, head) is expected


@pytest.mark.parametrize("media_type", ["text/html", "audio/wav", "application/zip", "vcon", "application/xml; x=y"])
def test_other_media_types_are_refused(media_type: str) -> None:
    with pytest.raises(Rejected, match="application/vcon") as refused:
        is_gzip(media_type, b"{}")
    assert (refused.value.status, refused.value.code) == (415, "unsupported_media_type")


def test_too_many_bytes_are_refused_before_they_are_all_read() -> None:
    read = []

    def blocks() -> Iterator[bytes]:
        for _ in range(1000):
            read.append(1)
            yield b"x" * 10

    with pytest.raises(Rejected) as refused:
        list(capped(blocks(), Limits(document_bytes=25)))
    assert (refused.value.status, refused.value.code) == (413, "too_large")
    assert len(read) == 3


@settings(max_examples=100, deadline=None)
@given(data=st.binary(max_size=5000), step=st.integers(1, 100), level=st.integers(0, 9))
def test_one_member_is_inflated_whatever_the_blocks(data: bytes, step: int, level: int) -> None:
    data = b"{" + data
    assert b"".join(inflate(_steps(gzip.compress(data, level), step), LIMITS)) == data


@pytest.mark.parametrize("size", [BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7])
def test_output_is_given_in_blocks_and_none_is_left_behind(size: int) -> None:
    data = b"{" + (os.urandom(50_000) * (size // 50_000 + 1))[: size - 1]
    given_out = list(inflate([gzip.compress(data)], LIMITS))
    assert b"".join(given_out) == data
    assert max(map(len, given_out)) <= BLOCK


@pytest.mark.parametrize("cut", [0, 1, 5, 12, -9, -8, -1])
def test_cut_off_gzip_is_refused(cut: int) -> None:
    packed = gzip.compress(b'{"a": 1}')
    assert _refused(packed[: cut or 0]) == (400, "bad_gzip")


def test_damaged_gzip_is_refused() -> None:
    packed = bytearray(gzip.compress(os.urandom(100)))
    packed[-6] ^= 1  # the checksum
    assert _refused(bytes(packed)) == (400, "bad_gzip")


def test_what_is_no_gzip_is_refused() -> None:
    assert _refused(b'{"a": 1}') == (400, "bad_gzip")
    assert _refused(zlib.compress(b'{"a": 1}')) == (400, "bad_gzip")


@pytest.mark.parametrize("step", [1, 7, BLOCK])
@pytest.mark.parametrize("after", [b"\x00", b"{}", gzip.compress(b"{}", mtime=0)], ids=["zero", "text", "gzip"])
def test_bytes_after_the_one_member_are_refused(after: bytes, step: int) -> None:
    assert _refused(gzip.compress(b"{}") + after, step=step) == (400, "bad_gzip")


@pytest.mark.parametrize("step", [1, BLOCK])
def test_gzip_inside_gzip_is_refused(step: int) -> None:
    assert _refused(gzip.compress(gzip.compress(b"{}")), step=step) == (415, "nested_compression")


def test_a_bomb_is_stopped_by_its_ratio_long_before_its_end() -> None:
    packed, given_out = gzip.compress(b" " * (50 << 20)), list[int]()
    with pytest.raises(Rejected) as refused:
        given_out.extend(map(len, inflate([packed], LIMITS)))
    assert (refused.value.status, refused.value.code) == (413, "inflated_too_large")
    assert sum(given_out) <= len(packed) * LIMITS.ratio


def test_a_small_document_may_shrink_as_it_likes() -> None:
    data = b"[" + b" " * 900_000 + b"]"
    packed = gzip.compress(data)
    assert len(data) > LIMITS.ratio * len(packed)
    assert b"".join(inflate([packed], LIMITS)) == data


def test_too_much_output_is_refused() -> None:
    assert _refused(gzip.compress(os.urandom(2000)), Limits(inflated_bytes=1999)) == (413, "inflated_too_large")
