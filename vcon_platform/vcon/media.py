"""Bodies: their encodings and hashes, and what kind of media the first bytes say they are."""

from __future__ import annotations

import base64
import binascii
import hashlib

from vcon_platform.errors import PlatformError


class BodyError(PlatformError):
    """A body that cannot be decoded."""


def encode_base64url(data: bytes) -> str:
    """base64url without padding, as vCon bodies and hashes are written."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode_base64url(text: str) -> bytes:
    """The bytes of a base64url body; the standard alphabet and padding are accepted too."""
    try:
        cleaned = text.rstrip("=").replace("+", "-").replace("/", "_")
        return base64.b64decode(cleaned + "=" * (-len(cleaned) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise BodyError(f"the body is not base64url: {error}") from None


def content_hash(digest: bytes) -> str:
    """A ``content_hash`` token from a SHA-512 digest (draft -03 section 2.4)."""
    return f"sha512-{encode_base64url(digest)}"


def content_hash_of(data: bytes) -> str:
    """The ``content_hash`` of these bytes."""
    return content_hash(hashlib.sha512(data).digest())


_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "audio/x-wav"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (4, b"ftyp", "audio/mp4"),
)


def audio_mediatype(head: bytes, filename: str) -> str:
    """The media type by content (first 16 bytes), else by the file's suffix, else octet-stream."""
    for offset, magic, mediatype in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return mediatype
    suffix = filename.rpartition(".")[2].lower()
    return {
        "wav": "audio/x-wav",
        "mp3": "audio/mpeg",
        "ogg": "audio/ogg",
        "opus": "audio/ogg",
        "flac": "audio/flac",
        "m4a": "audio/mp4",
    }.get(suffix, "application/octet-stream")
