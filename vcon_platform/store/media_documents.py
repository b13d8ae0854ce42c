"""Documents get their bodies back: for a reader outside, ``vcon-media:`` never appears.

Belongs here: turning references into bodies, one element or a whole document. Not here: keeping and reading bodies
(``media.py``), moving them out while a document comes in (``ingress/media.py``).

A reference's ``content_hash`` that is the reference's own token stands there for our sake and goes with it: the draft
(-03 section 2.4) has ``body`` and ``encoding``, or ``url`` and ``content_hash``. Any other one came with the document
and stays.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from vcon_platform.store.media import MediaError, MediaStore, token_of
from vcon_platform.vcon.bodies import Variant

INLINE_LIMIT = 64 << 20
"""Bytes that :func:`inline` reads into memory at most."""


def inline(media: MediaStore, entry: Mapping[str, Any], *, limit: int = INLINE_LIMIT) -> dict[str, Any]:
    """The element with its body in it; one that names no body in the media store as it is. Raises
    :class:`MediaError` where the body is gone or has more than ``limit`` bytes."""
    token = token_of(entry.get("url"))
    if token is None:
        return dict(entry)
    if (size := media.size(token)) > limit:
        raise MediaError(f"its body has {size} bytes, more than the {limit} that are read at once; ask for the media")
    return _with_body(entry, token, b"".join(Variant().encode(media.open(token))).decode("ascii"))


def write_document(media: MediaStore, data: Mapping[str, Any]) -> Iterator[bytes]:
    """The document as JSON, every body in its place as base64url, in pieces: memory does not depend on the bodies'
    sizes. That all are there is known before the first piece: raises :class:`MediaError` naming the element."""
    mark = os.urandom(16).hex()  # nothing in the document can be this
    tokens: list[str] = []
    shown = dict(data)
    for array in ("dialog", "analysis", "attachments"):
        elements = data.get(array)
        if not isinstance(elements, list):
            continue
        for index, element in enumerate(elements):
            token = token_of(element.get("url")) if isinstance(element, dict) else None
            if token is None:
                continue
            if not media.has(token):
                raise MediaError(
                    f"/{array}/{index}: its body {token[:16]}… is not in the media store; "
                    "restore the object store's folder media/ from its backup"
                )
            if shown[array] is elements:
                shown[array] = list(elements)
            shown[array][index] = _with_body(element, token, f"{mark}{len(tokens)}.")
            tokens.append(token)
    written = orjson.dumps(shown)
    return iter((written,)) if not tokens else _spliced(media, written, mark.encode(), tokens)


def _spliced(media: MediaStore, written: bytes, mark: bytes, tokens: list[str]) -> Iterator[bytes]:
    first, *rest = written.split(mark)
    yield first
    for part in rest:  # in the order of the members, which need not be that of the tokens
        number, _, after = part.partition(b".")
        yield from Variant().encode(media.open(tokens[int(number)]))
        yield after


def _with_body(entry: Mapping[str, Any], token: str, body: str) -> dict[str, Any]:
    given = {name: value for name, value in entry.items() if name != "url"}
    if given.get("content_hash") == token:
        del given["content_hash"]
    return {**given, "body": body, "encoding": "base64url"}
