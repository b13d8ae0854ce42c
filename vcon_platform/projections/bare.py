"""The document as tables and filters see it: without rows, and with sound and pictures as references.

Belongs here: what is left out, and a digest of the rest. Not here: single values (``extract.py``).

Rows are left out because they are made from the document: a row that held the rows of its neighbours would change with
every one of them. A body in base64url is bytes (sound, a picture, a PDF); what is large of it stands in the media store
already. A table has no use for the small ones either: their ``content_hash`` stays, by which they can be told apart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson

from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import BodyError, content_hash_of, decode_base64url

ROWS = "projection"
"""The purpose of an attachment that carries rows."""

_BYTES = ("base64url", "base64")


def bare_document(vcon: Vcon) -> dict[str, Any]:
    """The document without attachments that carry rows, and with bytes as references. Shares what is left."""
    found = dict(vcon.data)
    for name in ("dialog", "analysis", "attachments"):
        entries = found.get(name)
        if isinstance(entries, list):
            found[name] = [_light(entry) for entry in entries if not _is_rows(name, entry)]
    return found


def document_digest(vcon: Vcon) -> str | None:
    """``sha256:...`` of :func:`bare_document`: what a row carries in the document's place. None where that cannot be
    written as JSON."""
    try:
        written = orjson.dumps(bare_document(vcon), option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return None
    return f"sha256:{hashlib.sha256(written).hexdigest()}"


def _is_rows(name: str, entry: Any) -> bool:
    return name == "attachments" and isinstance(entry, dict) and entry.get("purpose", entry.get("type")) == ROWS


def _light(entry: Any) -> Any:
    if not isinstance(entry, Mapping) or entry.get("encoding") not in _BYTES or not isinstance(entry.get("body"), str):
        return entry
    left = {name: value for name, value in entry.items() if name not in ("body", "encoding")}
    if "content_hash" not in left:
        with suppress(BodyError):
            left["content_hash"] = content_hash_of(decode_base64url(entry["body"]))
    return left
