"""Content hashes in every spelling, and media types by first bytes."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.media import encode_base64url, labelled_token, normal_token, sniff, token_matches

DIGEST = hashlib.sha512(b"x").digest()
TOKEN = f"sha512-{encode_base64url(DIGEST)}"
SHORT = hashlib.sha256(b"x").digest()


@pytest.mark.parametrize(
    "spelled",
    [
        TOKEN,
        f"{TOKEN}==",
        TOKEN.replace("sha512-", "SHA-512-"),
        TOKEN.replace("sha512-", "sha512:"),
        f"sha512-{DIGEST.hex()}",
        f"sha512-{DIGEST.hex().upper()}",
        TOKEN.replace("_", "/").replace("-", "+").replace("sha512+", "sha512-"),
    ],
)
def test_every_spelling_of_a_hash_becomes_one(spelled: str) -> None:
    assert normal_token(spelled) == TOKEN


@pytest.mark.parametrize(
    "token",
    [
        "",
        "sha512-",
        "sha512-AAAA",
        f"sha256-{encode_base64url(DIGEST)}",  # mislabelled: public documents have these
        f"sha512-{encode_base64url(SHORT)}",
        f"sha256-{DIGEST.hex()}",
        "md5-ndTkYSaMgDT1yFZOFVxnpg",
        encode_base64url(DIGEST),
        DIGEST.hex(),
        "sha512-abcdef1234567890...",
        f"sha256-{SHORT.hex()}0",
        "sha512-" + "A" * 1_000_000,
    ],
)
def test_what_is_no_hash_of_its_label_is_none(token: str) -> None:
    assert normal_token(token) is None


def test_alg_and_signature_make_a_token() -> None:
    assert labelled_token("SHA-512", encode_base64url(DIGEST)) == TOKEN


def test_a_label_that_is_not_taken_makes_none() -> None:
    assert labelled_token("md5", "ndTkYSaMgDT1yFZOFVxnpg") is None


@pytest.mark.parametrize("label", ["sha256", "sha384", "sha512"])
def test_a_token_matches_its_bytes_alone(label: str) -> None:
    token = normal_token(f"{label}-{hashlib.new(label, b'bytes').hexdigest()}")
    assert token is not None
    assert (token_matches(token, b"bytes"), token_matches(token, b"other")) == (True, False)


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(["sha256-", "sha384-", "sha512-", "SHA-512:", ""]), st.text(max_size=200))
def test_normalising_is_idempotent_and_never_raises(label: str, digest: str) -> None:
    token = normal_token(label + digest)
    assert token is None or normal_token(token) == token


@pytest.mark.parametrize(
    ("head", "mediatype"),
    [
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "audio/x-wav"),
        (b"ID3\x04\x00\x00", "audio/mpeg"),
        (b"\xff\xfb\x90\x64", "audio/mpeg"),
        (b"\xff\xf3\x44\xc4", "audio/mpeg"),
        (b"\xff\xe3\x44\xc4", "audio/mpeg"),
        (b"\xff\xf1\x50\x80", "audio/aac"),
        (b"OggS\x00\x02", "audio/ogg"),
        (b"fLaC\x00\x00", "audio/flac"),
        (b"\x00\x00\x00\x18ftypM4A ", "audio/mp4"),
        (b"\x1a\x45\xdf\xa3\x01", "audio/webm"),
        (b"#!AMR\n", "audio/amr"),
        (b"FORM\x00\x00\x00\x00AIFF", "audio/aiff"),
        (b".snd\x00\x00", "audio/basic"),
        (b"caff\x00\x01", "audio/x-caf"),
    ],
)
def test_recordings_are_known_by_their_first_bytes(head: bytes, mediatype: str) -> None:
    assert sniff(head) == mediatype


@pytest.mark.parametrize("head", [b"", b"\xff", b"#EXTM3U\n#EXT-X", b"\x00\x00\x00", b"\xff\xff\xff\xff", b"<html>"])
def test_what_is_no_recording_is_not_taken_for_one(head: bytes) -> None:
    assert sniff(head) is None
