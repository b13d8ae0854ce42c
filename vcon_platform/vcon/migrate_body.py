"""Bodies of any version: in the one of three encodings that says what they are.

Belongs here: rule 6 of the migration (vcon_format.md section 6) and what gate 3 asks of a body. Not here: hashes, urls
and media types beside it (``migrate_content.py``), decoding and probing recordings (``probe.py``).

A body is read as far as its encoding goes and no further. What only claims to be a recording is told by its first
bytes, because the decoders behind the platform must be told what they get, not asked to find out.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from vcon_platform.vcon.bodies import Hoisted
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.media import BodyError, decode_base64url, sniff
from vcon_platform.vcon.notes import Notes
from vcon_platform.vcon.nul import strip_nul

_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_URL = bytes.maketrans(b"+/", b"-_")
_DEPTH_AROUND = 4
"""Levels of nesting from the document to the members of a body."""


# --- bodies ----------------------------------------------------------------------------------------------------


def check_body(item: dict[str, Any], place: str, notes: Notes, *, media: bool) -> None:
    """The body of one element, in one of the three encodings. ``media``: it should be a recording."""
    body, encoding = item["body"], item.get("encoding")
    kind = type(body)
    if kind is str and encoding == "none":
        pass
    elif kind is not str and kind is not Hoisted and encoding == "json":
        return
    else:
        _encode(item, place, notes, media=media)
        body, encoding = item["body"], item.get("encoding")
        if type(body) is not str and type(body) is not Hoisted:
            return
    if media and body != "":
        _sniff(body, encoding, item, place, notes)


def _encode(item: dict[str, Any], place: str, notes: Notes, *, media: bool) -> None:
    """Rule 6: the encoding is one of three and the body is written in it."""
    body, encoding = item["body"], item.get("encoding")
    at = f"{place}/encoding"
    if encoding is not None and encoding not in ("base64url", "json", "none"):
        spelled = encoding.strip().lower() if type(encoding) is str else None
        if spelled not in ("base64url", "base64", "json", "none", ""):
            notes.fault("bad_encoding", at, "it must be base64url, json or none")
            return
        encoding = item["encoding"] = "base64url" if spelled == "base64" else spelled
        if not spelled:
            del item["encoding"]
        notes.finding("encoding_normalised", at, "it was brought to one of base64url, json and none")
    text = type(body) is str
    if not encoding:
        if body == "":
            return  # an empty body needs no encoding
        encoding = _assumed(item, body, media=media)
        item["encoding"] = encoding
        notes.finding("encoding_assumed", at, f"there was none; the body is taken as {encoding}")
    elif encoding == "none" and not text and type(body) is not Hoisted:
        item["encoding"] = "json"
        notes.finding("encoding_migrated", at, "the body is a JSON value and none is for strings; it is json")
        return
    if encoding == "base64url":
        _base64url(item, place, notes)
    elif type(body) is Hoisted:  # it only looks like base64: as it was written, it is a text
        item["body"] = body.text()
    if encoding == "json" and type(item["body"]) is str:
        _json_string(item, place, notes)


def _assumed(item: dict[str, Any], body: Any, *, media: bool) -> str:
    """Rule 6, and: recordings without an encoding are base64 if they can be (package vcon-js writes such)."""
    if type(body) is Hoisted:
        return "base64url"
    if type(body) is not str:
        return "json"
    return "base64url" if _claims_media(item, media=media) and _normal_base64(body) is not None else "none"


def _claims_media(item: dict[str, Any], *, media: bool) -> bool:
    mediatype = item.get("mediatype")
    if type(mediatype) is str:
        return mediatype[:6].lower() in ("audio/", "video/", "image/")
    return media


def _base64url(item: dict[str, Any], place: str, notes: Notes) -> None:
    body, at = item["body"], f"{place}/body"
    if type(body) is Hoisted:
        if body.variant.standard or body.variant.padded:
            notes.finding("base64_normalised", at, "it was brought to base64url without padding")
        return
    normal = _normal_base64(body) if type(body) is str else None
    if normal is None:
        notes.fault("bad_body", at, "it is not base64url; encode the bytes, or name the encoding it is in")
    elif normal is not body:
        item["body"] = normal
        notes.finding("base64_normalised", at, "it was brought to base64url without padding")


def _normal_base64(text: str) -> str | None:
    """The text as base64url without padding or line breaks (the same object if it is that already), or None."""
    try:
        raw = text.encode("ascii")
    except UnicodeEncodeError:
        return None
    if not raw.translate(None, _BASE64URL):
        return text if len(raw) % 4 != 1 else None
    plain = raw.translate(_TO_URL, b" \t\r\n").rstrip(b"=")
    if plain.translate(None, _BASE64URL) or len(plain) % 4 == 1:
        return None
    return plain.decode("ascii")


def _json_string(item: dict[str, Any], place: str, notes: Notes) -> None:
    """Until -02 a json body was a string that holds JSON. It is opened as often as it can be: some writers do it
    twice. What does not parse is a string value, as since -03."""
    body, at = item["body"], f"{place}/body"
    value: Any = body
    while type(value) is str and _MAYBE_JSON.match(value):
        try:
            value = _read_json(value, notes.policy.limits)
        except (Rejected, UnicodeEncodeError):
            if value is body and body.lstrip()[:1] in ("{", "["):
                message = "it looks like JSON and is not (or breaks the limits); it is kept as a string"
                notes.finding("json_not_parsed", at, message)
            break
    if value is not body:
        item["body"] = strip_nul(value) if "\\u0000" in body else value
        notes.finding("json_string_decoded", at, "a json body is the value itself since -03; the string was read")


_MAYBE_JSON = re.compile(r"[ \t\r\n]*+(?:[\[{\"0-9-]|(?:true|false|null)[ \t\r\n]*+\Z)")


def _read_json(text: str, limits: Limits) -> Any:
    from vcon_platform.vcon.strict_json import read_json

    # the value must still be readable where it stands now, some levels down
    return read_json(text.encode(), _shallower(limits))


@lru_cache(maxsize=8)
def _shallower(limits: Limits) -> Limits:
    return replace(limits, depth=max(1, limits.depth - _DEPTH_AROUND))


_SNIFFED = ("wav", "mp3", "mpeg", "ogg", "opus", "flac", "mp4", "m4a", "webm", "matroska", "amr", "aiff", "caf", "aac")
"""Parts of media types whose first bytes are known. Raw formats (PCMU, L16) have none to know."""


def _sniff(body: Any, encoding: Any, item: dict[str, Any], place: str, notes: Notes) -> None:
    if type(body) is Hoisted:
        head = body.head
    elif encoding == "base64url":
        try:
            head = decode_base64url(body[:64])
        except BodyError:
            return  # a fault already
    else:
        head = body[:64].encode(errors="replace")
    mediatype = item.get("mediatype")
    kind = mediatype.lower() if type(mediatype) is str else ""
    known = not kind or any(name in kind for name in _SNIFFED)
    if sniff(head) is None and (known or _is_text(head)):
        message = "its first bytes are not those of any audio or video format we know; it is never decoded unsandboxed"
        notes.finding("undecodable_media", f"{place}/body", message)


def _is_text(head: bytes) -> bool:
    return all(32 <= byte < 127 or byte in (9, 10, 13) for byte in head)
