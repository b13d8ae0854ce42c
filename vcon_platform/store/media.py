"""Media by content hash in an object store, and reading a body wherever it is kept.

A body above ``VCON_MEDIA_INLINE_MAX`` does not travel in the document: the dialog keeps
``url: vcon-media:{content_hash}`` with its ``content_hash``, and every reader of this platform gets the bytes back.
Keys are hashes, never file names: what a caller named a file is no path.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.media import content_hash, content_hash_of, decode_base64url, encode_base64url

if TYPE_CHECKING:
    from obstore.store import ObjectStore

SCHEME = "vcon-media:"
_TOKEN = re.compile(r"sha512-[A-Za-z0-9_-]{1,128}")


class MediaError(PlatformError):
    """A body that is not there, or cannot be had."""


def local_objects(folder: Path) -> ObjectStore:
    """An object store in a local folder, which is made if need be."""
    from obstore.store import LocalStore

    folder.mkdir(parents=True, exist_ok=True)
    return LocalStore(str(folder))


class MediaStore:
    """Bodies by content hash. ``inline_max``: the largest body, in bytes, that stays in the document."""

    def __init__(self, objects: ObjectStore, inline_max: int) -> None:
        self._objects = objects
        self._inline_max = inline_max

    @staticmethod
    def _key(token: str) -> str:
        if not _TOKEN.fullmatch(token):  # it may come from a document: it must never be a path
            raise MediaError(f"{token[:40]!r} is no content hash of the media store")
        algorithm, _, digest = token.partition("-")
        return f"media/{algorithm}/{digest[:2]}/{digest}"

    def has(self, token: str) -> bool:
        """True if the bytes of this content hash are kept here."""
        import obstore

        try:
            obstore.head(self._objects, self._key(token))
        except FileNotFoundError:
            return False
        return True

    def keep_file(self, file: Path) -> dict[str, str]:
        """Keep a file's bytes and give the members that a dialog needs to point at them: ``body``+``encoding`` when
        small, else ``url``+``content_hash``. The file is streamed, never read whole. Same bytes: kept once."""
        import obstore

        if file.stat().st_size <= self._inline_max:
            return {"body": encode_base64url(file.read_bytes()), "encoding": "base64url"}
        with file.open("rb") as stream:
            token = content_hash(hashlib.file_digest(stream, "sha512").digest())
        if not self.has(token):
            obstore.put(self._objects, self._key(token), file)
        return {"url": f"{SCHEME}{token}", "content_hash": token}

    def body(self, entry: Mapping[str, Any]) -> bytes:
        """The bytes of a dialog's, analysis' or attachment's body. Raises :class:`MediaError`."""
        import obstore

        if "body" in entry:
            body, encoding = entry["body"], entry.get("encoding")
            if encoding == "base64url" and isinstance(body, str):
                return decode_base64url(body)
            if isinstance(body, str):
                return body.encode()
            return orjson.dumps(body)
        url = entry.get("url")
        if not isinstance(url, str):
            raise MediaError("it has neither body nor url")
        if not url.startswith(SCHEME):
            raise MediaError("its body is kept at an outside url, which is not fetched")
        token = url.removeprefix(SCHEME)
        try:
            return bytes(obstore.get(self._objects, self._key(token)).bytes())
        except FileNotFoundError:
            raise MediaError(f"its body {token[:16]}… is not in the media store") from None

    def content_hash(self, entry: Mapping[str, Any]) -> str:
        """The content hash of what :meth:`body` gives, without reading it where we keep it by that hash. A hash that
        the document merely claims is not believed: it could fetch another conversation's results."""
        url = entry.get("url")
        if "body" not in entry and isinstance(url, str) and url.startswith(SCHEME):
            return url.removeprefix(SCHEME)
        return content_hash_of(self.body(entry))
