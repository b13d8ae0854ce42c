"""Content, wherever a vCon has it: ``body``+``encoding`` or ``url``+``content_hash``, and its media type.

Belongs here: rules 4 and 6 of the migration (vcon_format.md section 6) and gate 3, which meet in these members. Not
here: what only dialogs have (``migrate_dialog.py``), the elements around it (``migrate.py``), fetching what a url names
(``store/fetch.py``, never while a document is received).

Of urls: any text with a scheme, a slash or a dot is kept, as ``url_blocked`` where it may not be followed (other
schemes than https, inside addresses, relative paths: public documents have all of them). A bare word is refused as
``bad_url``: it names nothing anywhere. Our own scheme is refused too, unless the document may refer to that media.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any

from vcon_platform.vcon.bodies import Hoisted
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.media import (
    MEDIA_SCHEME,
    BodyError,
    decode_base64url,
    labelled_token,
    normal_token,
    sniff,
    token_matches,
)
from vcon_platform.vcon.notes import Notes
from vcon_platform.vcon.urls import is_presigned, names_something, why_blocked

MOST_HASHED = 1 << 20
"""Decoded bytes of an inline body whose ``content_hash`` is checked at once."""

_OLD = frozenset(("mimetype", "alg", "signature"))
_MOST_TOKENS = 16
_MEDIATYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+*-]{1,127}(?: *;[^\x00-\x1f\x7f]*)?", re.ASCII)
_FOLD = re.compile(r"[ \t]*\r?\n[ \t]+")
_BARE = {"wav": "audio/x-wav", "mp3": "audio/x-mp3", "ogg": "audio/ogg", "flac": "audio/flac"}
_BASE64URL = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_TO_URL = bytes.maketrans(b"+/", b"-_")
_DEPTH_AROUND = 4
"""Levels of nesting from the document to the members of a body."""


def content(item: dict[str, Any], place: str, notes: Notes, *, media: bool = False) -> None:
    """Bring the content of one element to the 0.4.0 form, and check it. ``media``: it should be a recording."""
    if not _OLD.isdisjoint(item):
        _rename_old(item, place, notes)
    mediatype = item.get("mediatype")
    if mediatype is not None:
        normal = normal_mediatype(mediatype) if type(mediatype) is str else None
        if normal is None:
            _bad_mediatype(item, place, notes)
        elif normal != mediatype:
            item["mediatype"] = normal
            at = f"{place}/mediatype"
            notes.finding("mediatype_normalised", at, "it was brought to the form type/subtype on one line")
    if "url" in item:
        _url(item, place, notes)
    if "body" in item:
        _body(item, place, notes, media)
    if "content_hash" in item:
        _content_hash(item, place, notes)


# --- media types -----------------------------------------------------------------------------------------------


@lru_cache(maxsize=2048)
def normal_mediatype(text: str) -> str | None:
    """The media type on one line (headers of e-mails come folded), bare names of formats spelled out; None if it is
    malformed."""
    if _MEDIATYPE.fullmatch(text):
        return text
    if len(text) > 4096:
        return None
    short = _FOLD.sub(" ", text).strip(" \t\r\n")
    short = _BARE.get(short.lower(), short)
    return short if _MEDIATYPE.fullmatch(short) else None


def _bad_mediatype(item: dict[str, Any], place: str, notes: Notes) -> None:
    at = f"{place}/mediatype"
    if item["mediatype"] == "":
        del item["mediatype"]
        notes.finding("empty_dropped", at, "it is empty and counts as absent")
    elif type(item["mediatype"]) is str:
        notes.fault("bad_mediatype", at, "it is no media type; write type/subtype, without control characters")
    else:
        notes.fault("wrong_type", at, "it must be a string")


def _claims_media(item: dict[str, Any], *, media: bool) -> bool:
    mediatype = item.get("mediatype")
    if type(mediatype) is str:
        return mediatype[:6].lower() in ("audio/", "video/", "image/")
    return media


# --- older members ---------------------------------------------------------------------------------------------


def rename(item: dict[str, Any], old: str, new: str, place: str, notes: Notes) -> None:
    """An old name of a member becomes the new one. Where both are there and differ, both stay."""
    if old not in item:
        return
    value = item[old]
    if new not in item:
        item[new] = value
    elif item[new] != value:
        notes.finding("both_names", f"{place}/{old}", f"its new name {new} is there too and says otherwise")
        return
    del item[old]
    notes.finding("member_renamed", f"{place}/{old}", f"its name is {new} since")


def _rename_old(item: dict[str, Any], place: str, notes: Notes) -> None:
    if "mimetype" in item:
        rename(item, "mimetype", "mediatype", place, notes)
        notes.older("0.0.1")
    label, digest = item.get("alg"), item.get("signature")
    if label is None or digest is None:
        return  # one without the other says nothing, and stays as any unknown member does
    at = f"{place}/signature"
    if type(label) is str and label[:2].upper() == "LM":
        notes.finding("unverifiable_hash", at, "an LM-OTS signature is kept as it is and cannot be checked")
        return
    notes.older("0.0.1")
    token = labelled_token(label, digest) if type(label) is str and type(digest) is str else None
    if token is None:
        notes.fault("bad_content_hash", at, "alg and signature must be SHA-256, -384 or -512 and a digest as long")
        return
    if item.get("content_hash", token) != token:
        notes.finding("both_names", at, "its new name content_hash is there too and says otherwise")
        return
    del item["alg"], item["signature"]
    item["content_hash"] = token
    notes.finding("member_renamed", at, "alg and signature are one member, content_hash, since")


# --- urls and hashes -------------------------------------------------------------------------------------------


def _url(item: dict[str, Any], place: str, notes: Notes) -> None:
    url, at = item["url"], f"{place}/url"
    if type(url) is not str:
        notes.fault("wrong_type", at, "it must be a string")
        return
    if not url:
        del item["url"]
        notes.finding("empty_dropped", at, "it is empty and counts as absent")
        return
    if item.get("body") == "":
        del item["body"]
        notes.finding("empty_dropped", f"{place}/body", "it is empty beside a url and counts as absent")
    elif "body" in item:
        notes.fault("ambiguous_content", at, "there is a body too; keep one of them")
    if url.startswith(MEDIA_SCHEME):
        token = url.removeprefix(MEDIA_SCHEME)
        if notes.policy.may_refer is None or not notes.policy.may_refer(notes.uuid, token):
            notes.fault("reserved_url", at, "this scheme names media of our own store; send the content itself")
        return
    if not names_something(url):
        notes.fault("bad_url", at, "it is neither a url nor a path; write where the content can be had")
        return
    if (why := why_blocked(url)) is not None:
        notes.finding("url_blocked", at, f"{why}; it is kept and never fetched")
    if is_presigned(url):
        notes.finding("presigned_url", at, "its query is a key; it is shown masked", strict=False)
    if "content_hash" not in item:
        notes.finding("unverified_external", at, "there is no content_hash: what it names may change unnoticed")


def _content_hash(item: dict[str, Any], place: str, notes: Notes) -> None:
    value = item["content_hash"]
    given = value if type(value) is list else [value]
    tokens = [normal_token(token) if type(token) is str else None for token in given]
    at = f"{place}/content_hash"
    if value == "":
        del item["content_hash"]
        notes.finding("empty_dropped", at, "it is empty and counts as absent")
        return
    if not tokens or len(tokens) > _MOST_TOKENS or None in tokens:
        message = "it must be sha512-, sha256- or sha384- and the digest in base64url, or up to 16 such in an array"
        notes.fault("bad_content_hash", at, message)
        return
    if tokens != given:
        item["content_hash"] = tokens if type(value) is list else tokens[0]
        notes.finding("hash_normalised", at, "it was brought to the form label-base64url")
    if "body" in item and "url" not in item:
        _check_hash(item, [token for token in tokens if token], at, notes)


def _check_hash(item: dict[str, Any], tokens: list[str], place: str, notes: Notes) -> None:
    body, encoding = item["body"], item.get("encoding")
    if isinstance(body, Hoisted):
        wrong = any(token != body.token for token in tokens if token.startswith("sha512-"))
    elif type(body) is not str or encoding not in ("none", "base64url") or len(body) > MOST_HASHED * 4 // 3:
        return
    else:
        try:
            data = decode_base64url(body) if encoding == "base64url" else body.encode()
        except (BodyError, UnicodeError):  # told where the body is checked
            return
        wrong = not all(token_matches(token, data) for token in tokens)
    if wrong:
        notes.finding("hash_mismatch", place, "it is not the hash of the body beside it")


# --- bodies ----------------------------------------------------------------------------------------------------


def _body(item: dict[str, Any], place: str, notes: Notes, media: bool) -> None:
    body, encoding = item["body"], item.get("encoding")
    kind = type(body)
    if kind is str and encoding == "none":
        pass
    elif kind is not str and kind is not Hoisted and encoding == "json":
        return
    else:
        _encode(item, place, notes, media)
        body, encoding = item["body"], item.get("encoding")
        if type(body) is not str and type(body) is not Hoisted:
            return
    if media and body != "":
        _sniff(body, encoding, item, place, notes)


def _encode(item: dict[str, Any], place: str, notes: Notes, media: bool) -> None:
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
        encoding = _assumed(item, body, media)
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


def _assumed(item: dict[str, Any], body: Any, media: bool) -> str:
    """Rule 6, and: recordings without an encoding are base64 if they can be (package vcon-js writes such)."""
    if type(body) is Hoisted:
        return "base64url"
    if type(body) is not str:
        return "json"
    return "base64url" if _claims_media(item, media=media) and _normal_base64(body) is not None else "none"


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
    while type(value) is str and value.lstrip(" \t\r\n")[:1] in _JSON_BEGINS:
        try:
            value = _read_json(value, notes.policy.limits)
        except Rejected:
            if value is body and body.lstrip()[:1] in ("{", "["):
                message = "it looks like JSON and is not (or breaks the limits); it is kept as a string"
                notes.finding("json_not_parsed", at, message)
            break
    if value is not body:
        item["body"] = strip_nul(value) if "\\u0000" in body else value
        notes.finding("json_string_decoded", at, "a json body is the value itself since -03; the string was read")


_JSON_BEGINS = frozenset('{["-0123456789tfn')


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


# --- U+0000 ----------------------------------------------------------------------------------------------------


def strip_nul(value: Any) -> Any:
    """The value without U+0000 in any string or member name, changed in place. Two names that become one: the second
    gets U+FFFD instead."""
    if type(value) is str:
        return value.replace("\0", "")
    todo = [value]
    while todo:
        holder = todo.pop()
        if type(holder) is dict:
            if any("\0" in name for name in holder):
                _rename_nul(holder)
            entries: Any = list(holder.items())
        elif type(holder) is list:
            entries = list(enumerate(holder))
        else:
            continue
        for key, inner in entries:
            if type(inner) is str:
                if "\0" in inner:
                    holder[key] = inner.replace("\0", "")
            else:
                todo.append(inner)
    return value


def _rename_nul(holder: dict[str, Any]) -> None:
    members = list(holder.items())
    taken = {name for name in holder if "\0" not in name}
    holder.clear()
    for name, inner in members:
        new = name.replace("\0", "")
        if new != name:
            if new in taken:
                new = name.replace("\0", "\ufffd")
            while new in taken:
                new += "\ufffd"
            taken.add(new)
        holder[new] = inner
