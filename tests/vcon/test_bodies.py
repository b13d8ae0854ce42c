"""Base64 texts taken out of a document and put back to the byte."""

import base64
import copy
import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.bodies import Decoder, Hoisted, Refused, Splice, Variant, decode, remake
from vcon_platform.vcon.media import content_hash_of

VARIANTS = [
    Variant(standard, padded, escaped)
    for standard in (False, True)
    for padded in (False, True)
    for escaped in (False, True)
    if standard or not escaped
]
_variants = st.sampled_from(VARIANTS)


def _text(data: bytes, variant: Variant) -> bytes:
    """The same by way of the standard library."""
    text = base64.b64encode(data) if variant.standard else base64.urlsafe_b64encode(data)
    text = text if variant.padded else text.rstrip(b"=")
    return text.replace(b"/", b"\\/") if variant.escaped else text


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _decoded(pieces: list[bytes]) -> tuple[bytes, Variant]:
    decoder = Decoder()
    data = b"".join(decoder.feed(piece, last=number == len(pieces) - 1) for number, piece in enumerate(pieces))
    return data, decoder.variant


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
def test_a_variant_is_known_by_its_name(variant: Variant) -> None:
    assert Variant.parse(str(variant)) == variant


@pytest.mark.parametrize("name", ["", "std/", "url\\/", "hex", "=std", "url=="])
def test_an_unknown_variant_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="no such way"):
        Variant.parse(name)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=300), variant=_variants, step=st.integers(1, 50))
def test_decoded_and_encoded_again_is_the_same_text(data: bytes, variant: Variant, step: int) -> None:
    text = _text(data, variant)
    whole = [piece.replace(b"/", b"\\/") if variant.escaped else piece for piece in _pieces(_plain(text), step)]
    found, as_found = _decoded(whole or [b""])
    assert found == data
    assert b"".join(as_found.encode(_pieces(data, step))) == text
    assert b"".join(decode(memoryview(text), as_found, step)) == data


def _plain(text: bytes) -> bytes:
    return text.replace(b"\\", b"")


@pytest.mark.parametrize(
    "text",
    [
        b"AA+A_A==",  # both alphabets
        b"AAAA/AAA\\/AAA==",  # slashes both ways
        b"AAAA\\nAAA",
        b"AAAA\\",
        b"A",
        b"AAAAA",
        b"AA=",
        b"AAA==",
        b"AAAA=",
        b"AA==AA==",
        b"AB==",  # bits that stand for nothing
        b"AAB",
        b"AAAA AAAA",
        b"AAAA\xc3\xa4AA",
        b"=",
    ],
)
@pytest.mark.parametrize("step", [1, 3, 100])
def test_a_text_that_would_not_come_back_is_refused(text: bytes, step: int) -> None:
    with pytest.raises(Refused):
        _decoded(_pieces(text, step))


@settings(max_examples=300, deadline=None)
@given(
    good=st.binary(max_size=60),
    variant=_variants,
    bad=st.sampled_from([b"!", b"=A", b"\\", b"+_", b"===", b"\\/ /", b"\xff"]),
    step=st.integers(1, 20),
)
def test_a_refused_piece_changes_nothing(good: bytes, variant: Variant, bad: bytes, step: int) -> None:
    decoder, data = Decoder(), b""
    text = _text(good, variant)
    for piece in _pieces(_plain(text), step):
        data += decoder.feed(piece.replace(b"/", b"\\/") if variant.escaped else piece)
    with pytest.raises(Refused):
        decoder.feed(bad + b"!")
    assert b"".join(decoder.variant.encode([data])) + decoder.pending() == text


def test_random_text_is_decoded_only_if_it_comes_back() -> None:
    for _ in range(2000):
        text = bytes(os.urandom(1)[0] % 128 for _ in range(4))
        try:
            data, variant = _decoded([text])
        except Refused:
            continue
        assert b"".join(variant.encode([data])) == text


def test_a_body_tells_its_hash_size_and_beginning() -> None:
    data = os.urandom(5000)
    body = Hoisted.of(data)
    assert (body.token, body.size, body.head) == (content_hash_of(data), 5000, data[:64])
    assert body.token == "sha512-" + base64.urlsafe_b64encode(hashlib.sha512(data).digest()).decode().rstrip("=")
    assert b"".join(body.chunks(100)) == data
    assert b"".join(body.chunks()) == data  # and once more
    assert body.text() == base64.urlsafe_b64encode(data).decode().rstrip("=")


def test_a_text_with_escaped_slashes_is_the_value_without_them() -> None:
    body = Hoisted.of(b"\xff" * 6, Variant(standard=True, escaped=True))
    assert b"".join(body.text_chunks()) == b"\\/" * 8
    assert body.text() == "/" * 8


def test_a_copied_tree_holds_the_same_body() -> None:
    body = Hoisted.of(b"x")
    assert copy.deepcopy({"body": body})["body"] is body
    assert copy.copy(body) is body


def test_a_body_shown_tells_nothing_of_what_is_in_it() -> None:
    assert repr(Hoisted.of(b"secret")).startswith("Hoisted('sha512-")


def test_a_splice_is_a_json_value_and_back() -> None:
    splice = Splice(12, "sha512-x", 34, "std=")
    assert Splice.from_list(splice.as_list()) == splice
    assert splice.as_list() == [12, "sha512-x", 34, "std="]


@settings(max_examples=100, deadline=None)
@given(parts=st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=50), _variants), max_size=4))
def test_the_original_is_made_again(parts: list[tuple[bytes, bytes, Variant]]) -> None:
    skeleton, original, splices, media = b"", b"", [], {}
    for before, data, variant in parts:
        skeleton += before
        original += before + _text(data, variant)
        token = content_hash_of(data)
        media[token] = data
        splices.append(Splice(len(skeleton), token, len(data), str(variant)))
    made = remake(skeleton + b"}", splices, lambda token: iter(_pieces(media[token], 7)))
    assert b"".join(made) == original + b"}"
