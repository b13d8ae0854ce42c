"""The fingerprint of a vCon: what is written down about it where nothing can be taken back.

Belongs here: what it is made of. Not here: who is told (``scitt.py``, ``datatrails.py``).

SHA-256 over the document in the canonical form of RFC 8785, changed in three ways, so that everybody who has the vCon
gets the same one, however it came to them: a body of encoding ``base64url`` (or one that stands beside the document) is
its ``content_hash``; receipts of such statements and rows of projections, which are about the vCon and written into it
afterwards, are left out, and so are ``updated_at`` and arrays with nothing in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from vcon_platform.processors.base import PermanentError
from vcon_platform.projections.rows import PURPOSE
from vcon_platform.store.media import token_of
from vcon_platform.vcon.media import BodyError, content_hash_of, decode_base64url

RECEIPT = "scitt_receipt"
"""The type of an analysis that holds receipts."""


def fingerprint(data: Mapping[str, Any]) -> str:
    """64 hexadecimal digits. Raises PermanentError where the document has no canonical form."""
    import rfc8785

    kept = {name: value for name, value in data.items() if name != "updated_at"}
    for array in ("parties", "dialog", "analysis", "attachments"):
        elements = kept.pop(array, None)
        if isinstance(elements, list):
            shown = [_bodiless(each) for each in elements if not _about_it(array, each)]
            if shown:
                kept[array] = shown
    try:
        return hashlib.sha256(rfc8785.dumps(kept)).hexdigest()
    except (rfc8785.CanonicalizationError, UnicodeEncodeError) as error:
        raise PermanentError(
            f"the vCon has no canonical form (RFC 8785), so nothing can be stated about it ({type(error).__name__}): a "
            "number in it is too large, or a text is none"
        ) from None


def _about_it(array: str, entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    if array == "analysis":
        return entry.get("type") == RECEIPT
    return array == "attachments" and entry.get("purpose", entry.get("type")) == PURPOSE


def _bodiless(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    token, body = token_of(entry.get("url")), entry.get("body")
    if token is None and entry.get("encoding") == "base64url" and isinstance(body, str):
        try:
            token = content_hash_of(decode_base64url(body))
        except BodyError:
            return entry
    if token is None:
        return entry
    left = {name: value for name, value in entry.items() if name not in ("body", "encoding")}
    if token_of(left.get("url")) is not None:
        del left["url"]
    return {**left, "content_hash": token}
