"""Long bodies leave the document for the media store while it comes in.

Belongs here: what of a document that just passed the gates is moved. Not here: keeping bytes (``store/media.py``).
"""

from __future__ import annotations

from typing import Any

from vcon_platform.store.media import SCHEME, MediaStore
from vcon_platform.vcon.bodies import Hoisted

_ARRAYS = ("dialog", "attachments", "analysis")


def keep_bodies(data: dict[str, Any], media: MediaStore) -> None:
    """Move every long body of the document to the media store; the element points at it by ``url``, and by
    ``content_hash`` unless it has one of its own. In place."""
    for array in _ARRAYS:
        for element in data.get(array) or ():
            body = element.get("body")
            if isinstance(body, Hoisted):
                media.keep_hoisted(body)
                del element["body"]
                element.pop("encoding", None)
                element["url"] = f"{SCHEME}{body.token}"
                element.setdefault("content_hash", body.token)
