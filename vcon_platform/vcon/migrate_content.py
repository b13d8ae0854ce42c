"""Content, wherever a vCon has it: ``body``+``encoding`` or ``url``+``content_hash``, and its media type.

Belongs here: media types, urls and hashes, where rule 4 of the migration (vcon_format.md section 6) meets gate 3. Not
here: bodies and their encodings (``migrate_body.py``), what only dialogs have (``migrate_dialog.py``), the elements
around it (``migrate.py``), fetching what a url names (``store/fetch.py``, never while a document is received).

Of urls: any text with a scheme, a slash or a dot is kept, as ``url_blocked`` where it may not be followed (other
schemes than https, inside addresses, relative paths: public documents have all of them). A bare word is refused as
``bad_url``: it names nothing anywhere. Our own scheme is refused too, unless the document may refer to that media.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from operator import eq
from typing import Any

from vcon_platform.vcon.bodies import Hoisted
from vcon_platform.vcon.media import (
    MEDIA_SCHEME,
    BodyError,
    decode_base64url,
    labelled_token,
    normal_token,
    token_matches,
)
from vcon_platform.vcon.migrate_body import check_body
from vcon_platform.vcon.notes import Notes
from vcon_platform.vcon.urls import is_presigned, names_something, why_blocked

MOST_HASHED = 1 << 20
"""Decoded bytes of an inline body whose ``content_hash`` is checked at once."""

_Same = Callable[[Any, Any], bool]
_OLD = frozenset(("mimetype", "alg", "signature"))
_MOST_TOKENS = 16
_MEDIATYPE = re.compile(r"[\w!#$&^.+-]{1,127}/[\w!#$&^.+*-]{1,127}(?: *;[^\x00-\x1f\x7f]*)?", re.ASCII)
_FOLD = re.compile(r"(?<![ \t])[ \t]*+\r?\n[ \t]+")
_BARE = {"wav": "audio/x-wav", "mp3": "audio/x-mp3", "ogg": "audio/ogg", "flac": "audio/flac"}


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
        check_body(item, place, notes, media=media)
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


# --- older members ---------------------------------------------------------------------------------------------


def rename(item: dict[str, Any], old: str, new: str, place: str, notes: Notes, *, same: _Same = eq) -> None:
    """An old name of a member becomes the new one. Where both are there and differ, both stay; an empty new one counts
    as absent. ``same`` tells whether two values say the same."""
    if old not in item:
        return
    value = item[old]
    if is_empty(item.get(new)):
        item[new] = value
    elif not same(item[new], value):
        notes.finding("both_names", f"{place}/{old}", f"its new name {new} is there too and says otherwise")
        return
    del item[old]
    notes.finding("member_renamed", f"{place}/{old}", f"its name is {new} since")


def is_empty(value: Any) -> bool:
    """Null, and whatever says no more than that."""
    return value is None or (type(value) in (dict, list, str) and not value)


def rename_mimetype(item: dict[str, Any], place: str, notes: Notes) -> None:
    """``mimetype`` until 0.0.1."""
    if "mimetype" in item:
        rename(item, "mimetype", "mediatype", place, notes, same=same_mediatype)
        notes.older("0.0.1")


def same_mediatype(one: Any, other: Any) -> bool:
    """Whether two values are one media type, however they are spelled."""
    normal = [normal_mediatype(value) if type(value) is str else None for value in (one, other)]
    return bool(one == other or (normal[0] is not None and normal[0] == normal[1]))


def _rename_old(item: dict[str, Any], place: str, notes: Notes) -> None:
    rename_mimetype(item, place, notes)
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
    given = item.get("content_hash")
    known = [normal_token(one) for one in (given if type(given) is list else [given]) if type(one) is str]
    if not is_empty(given) and token not in known:
        notes.finding("both_names", at, "its new name content_hash is there too and says otherwise")
        return
    del item["alg"], item["signature"]
    if is_empty(given):
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
    if type(value) is str and "body" not in item and normal_token(value) == value:
        return
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
