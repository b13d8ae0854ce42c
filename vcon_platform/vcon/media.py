"""Bodies: their encodings and hashes, and what kind of media the first bytes say they are."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from vcon_platform.errors import PlatformError

MEDIA_SCHEME = "vcon-media:"
"""Of urls that name a body in our own media store by its content hash. Never a scheme of the outside world."""


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


# --- content_hash tokens ---------------------------------------------------------------------------------------

DIGEST_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
"""Bytes of a digest, by the labels that are taken. The draft requires sha512; md5 and sha1 prove nothing."""

_CANONICAL = re.compile(
    r"sha512-[A-Za-z0-9_-]{85}[AQgw]|sha256-[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]|sha384-[A-Za-z0-9_-]{64}"
)
_LABELLED = re.compile(r"(sha[-_]?(?:256|384|512))[-:](.+)", re.IGNORECASE)


def normal_token(token: str) -> str | None:
    """The token as the draft writes it (``sha512-`` and 86 characters of base64url), or None if it is none.

    Taken too: ``SHA-512`` for the label, a colon after it, hexadecimal, padding, the standard alphabet. The digest must
    be as long as its label says: a SHA-512 digest under ``sha256`` is a mistake that nobody can resolve.
    """
    if _CANONICAL.fullmatch(token):
        return token
    match = _LABELLED.fullmatch(token) if len(token) <= 256 else None
    return labelled_token(match[1], match[2]) if match else None


def labelled_token(label: str, digest: str) -> str | None:
    """The token of a label and a digest that stand apart (``alg`` and ``signature`` until 0.0.2); None as above."""
    name = label.lower().replace("-", "").replace("_", "")
    size = DIGEST_SIZES.get(name)
    if size is None or len(digest) > 256:
        return None
    try:
        raw = bytes.fromhex(digest) if len(digest) == size * 2 and digest.isalnum() else decode_base64url(digest)
    except (ValueError, BodyError):
        return None
    return f"{name}-{encode_base64url(raw)}" if len(raw) == size else None


def token_matches(token: str, data: bytes) -> bool:
    """Whether a normal token is that of these bytes."""
    name = token.partition("-")[0]
    return token == f"{name}-{encode_base64url(hashlib.new(name, data).digest())}"


# --- media types -----------------------------------------------------------------------------------------------

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (8, b"WAVE", "audio/x-wav"),  # after RIFF, RIFX or RF64; whatever codec is inside (GSM too)
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (4, b"ftyp", "audio/mp4"),
    (0, b"\x1aE\xdf\xa3", "audio/webm"),  # EBML: WebM and Matroska
    (0, b"#!AMR", "audio/amr"),
    (0, b".snd", "audio/basic"),
    (8, b"AIFF", "audio/aiff"),
    (8, b"AIFC", "audio/aiff"),
    (0, b"caff", "audio/x-caf"),
    (8, b"AVI ", "video/x-msvideo"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"\x00\x00\x01\xb3", "video/mpeg"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "audio/x-ms-wma"),  # ASF: WMA and WMV
)


def sniff(head: bytes) -> str | None:
    """The media type that the first 16 bytes say; None: they are none of the audio and video containers we know. A
    container of both is named after audio."""
    for offset, magic, mediatype in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return mediatype
    if len(head) < 3 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return "audio/aac"  # ADTS
    version, layer, bitrate, rate = head[1] >> 3 & 3, head[1] >> 1 & 3, head[2] >> 4, head[2] >> 2 & 3
    sync = head[1] & 0xE0 == 0xE0 and version != 1 and layer != 0 and bitrate != 15 and rate != 3
    return "audio/mpeg" if sync else None


def audio_mediatype(head: bytes, filename: str) -> str:
    """The media type by content (first 16 bytes), else by the file's suffix, else octet-stream."""
    if (found := sniff(head)) is not None:
        return found
    suffix = filename.rpartition(".")[2].lower()
    return {
        "wav": "audio/x-wav",
        "mp3": "audio/mpeg",
        "ogg": "audio/ogg",
        "opus": "audio/ogg",
        "flac": "audio/flac",
        "m4a": "audio/mp4",
    }.get(suffix, "application/octet-stream")
