"""Media by content hash in an object store, and reading a body wherever it is kept.

A body above ``VCON_MEDIA_INLINE_MAX`` does not travel in the document: its element keeps ``url:
vcon-media:{content_hash}`` with its ``content_hash``, and every reader of this platform gets the bytes back. Keys are
hashes, never file names: what a caller named a file is no path. The same bytes are kept once, whoever brought them.

Belongs here: keeping and reading bytes. Not here: giving whole documents their bodies back (``media_documents.py``),
deleting (``media_sweep.py``), the net (``fetch.py``).

Bytes are pinned *before* it is asked whether they are there: a sweep that finds no document naming them yet must
leave them alone until the document that is being made is stored.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys
from vcon_platform.store.connection import explained as redis_explained
from vcon_platform.store.identity import MEDIA, identify
from vcon_platform.store.objects import explained
from vcon_platform.vcon.media import content_hash, content_hash_of, decode_base64url, encode_base64url, normal_token

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from redis import Redis

SCHEME = "vcon-media:"
ASIDE = "aside"
"""The prefix of bodies that a sweep set aside; they are found there until it deletes them."""
PIN_SECONDS = 24 * 3600
"""How long bytes are safe that no document names yet: far longer than a document takes to be stored."""
FETCHED_SECONDS = 30 * 24 * 3600
"""How long the copy of outside media is kept after it was used last."""
CHUNK = 1 << 20
WHOLE = 8 << 20
"""Bodies up to this are put in one request; larger ones in parts, so that memory does not grow with them."""
PARTS_AT_ONCE = 2


class MediaError(PlatformError):
    """A body that is not there, or cannot be had."""


class MediaMissing(MediaError):
    """No such body here."""

    def __init__(self, token: str) -> None:
        super().__init__(f"its body {token[:16]}… is not in the media store")


class Body(Protocol):
    """Bytes whose content hash is known because it was computed here (``vcon/bodies.py``: Hoisted)."""

    @property
    def token(self) -> str: ...

    @property
    def size(self) -> int: ...

    def chunks(self) -> Iterator[bytes]: ...


class Outside(Protocol):
    """Gives the bytes behind an outside url, checked against its content hashes (``fetch.py``)."""

    def chunks(self, url: str, content_hash: object) -> Iterator[bytes]: ...


def object_key(token: str, root: str = MEDIA) -> str:
    """Where a body is kept. Raises :class:`MediaError` for what is no token: it may come from a document, and must
    never be a path."""
    if not token.startswith("sha512-") or normal_token(token) != token:
        raise MediaError(f"{token[:40]!r} is no content hash of the media store")
    algorithm, _, digest = token.partition("-")
    return f"{root}/{algorithm}/{digest[:2]}/{digest}"


def token_of(url: object) -> str | None:
    """The token of a url that names a body in the media store, None for any other."""
    if not isinstance(url, str) or not url.startswith(SCHEME):
        return None
    token = url[len(SCHEME) :]
    return token if token.startswith("sha512-") and normal_token(token) == token else None


def tokens_of(data: Mapping[str, Any]) -> set[str]:
    """Every body in the media store that a document names."""
    return {
        token
        for array in ("dialog", "analysis", "attachments")
        for element in data.get(array) or ()
        if isinstance(element, dict) and "url" in element and (token := token_of(element["url"])) is not None
    }


class MediaStore:
    """Bodies by content hash. ``inline_max``: the largest body, in bytes, that stays in the document. ``client``:
    Redis, which keeps bytes safe from sweeps until a document names them; without it there must be no sweep.
    ``outside`` fetches outside urls; without it none is fetched. ``spool_dir``: where bodies wait while they are
    hashed."""

    def __init__(
        self,
        objects: ObjectStore,
        inline_max: int,
        client: Redis | None = None,
        outside: Outside | None = None,
        spool_dir: Path | None = None,
    ) -> None:
        self.inline_max = inline_max
        self.objects = objects
        self._client = client
        self._outside = outside
        self._spool_dir = spool_dir
        self._identified = False

    # --- keeping ------------------------------------------------------------------------------------------------

    def keep_chunks(self, chunks: Iterable[bytes], *, token: str | None = None, seconds: int = PIN_SECONDS) -> str:
        """Keep these bytes and give their token. Memory is bounded whatever their number; they are on disk while they
        are hashed, unless ``token`` is given, which it may be only where it was computed from these very bytes: it is
        believed. ``seconds``: how long they are safe before a document must name them."""
        if token is not None:
            self._pin(token, seconds)
            if not self._kept(token):
                self._put(token, iter(chunks))
            return token
        if self._spool_dir is not None:
            self._spool_dir.mkdir(parents=True, exist_ok=True)
        with SpooledTemporaryFile(
            max_size=CHUNK, dir=None if self._spool_dir is None else str(self._spool_dir)
        ) as spool:
            digest = hashlib.sha512()
            for chunk in chunks:
                digest.update(chunk)
                spool.write(chunk)
            token = content_hash(digest.digest())
            self._pin(token, seconds)
            if not self._kept(token):
                spool.seek(0)
                self._put(token, _read(cast("IO[bytes]", spool)))
        return token

    def keep_hoisted(self, body: Body) -> str:
        """Keep a body that was taken out of a document while it was read."""
        return self.keep_chunks(body.chunks(), token=body.token)

    def keep_file(self, file: Path) -> dict[str, str]:
        """Keep a file's bytes and give the members that a dialog needs to point at them: ``body``+``encoding`` when
        small, else ``url``+``content_hash``. The file is streamed, never read whole. Raises :class:`MediaError` where
        it changed meanwhile, OSError where it cannot be read."""
        if file.stat().st_size <= self.inline_max:
            return {"body": encode_base64url(file.read_bytes()), "encoding": "base64url"}
        with file.open("rb") as stream:
            token = content_hash(hashlib.file_digest(stream, "sha512").digest())
            stream.seek(0)
            return reference(self.keep_chunks(_checked(_read(stream), token), token=token))

    def _pin(self, token: str, seconds: int) -> None:
        if self._client is None:
            return
        if not self._identified:  # before anything is kept, or a first sweep could not tell ours from another's
            identify(self._client, self.objects)
            self._identified = True
        with redis_explained():
            self._client.zadd(keys.MEDIA_PINS, {token: time.time() + seconds}, gt=True)

    def _kept(self, token: str) -> bool:
        """Whether the bytes are where they belong. Those that were set aside do not count: they may go any moment."""
        import obstore

        try:
            with explained(self.objects):
                obstore.head(self.objects, object_key(token))
        except FileNotFoundError:
            return False
        return True

    def _put(self, token: str, chunks: Iterator[bytes]) -> None:
        import obstore

        first: list[bytes] = []
        size = 0
        for chunk in chunks:
            first.append(chunk)
            size += len(chunk)
            if size > WHOLE:
                break
        try:
            with explained(self.objects):
                if size <= WHOLE:
                    obstore.put(self.objects, object_key(token), b"".join(first), use_multipart=False)
                else:
                    obstore.put(
                        self.objects,
                        object_key(token),
                        chain(first, chunks),
                        chunk_size=WHOLE,
                        max_concurrency=PARTS_AT_ONCE,
                    )
        except FileNotFoundError as error:
            raise MediaError(f"the media store lost its place ({type(error).__name__}); try again") from None

    # --- reading by token ---------------------------------------------------------------------------------------

    def has(self, token: str) -> bool:
        """True if the bytes of this content hash are kept here."""
        try:
            self.size(token)
        except MediaMissing:
            return False
        return True

    def size(self, token: str) -> int:
        """How many bytes a body has. Raises :class:`MediaError`."""
        import obstore

        for key in _places(token):
            try:
                with explained(self.objects):
                    return int(obstore.head(self.objects, key)["size"])
            except FileNotFoundError:
                continue
        raise MediaMissing(token)

    def open(self, token: str) -> Iterator[bytes]:
        """A body's bytes in pieces of about a megabyte. Whether it is there is known when this returns: raises
        :class:`MediaError`."""
        import obstore

        for key in _places(token):
            try:
                with explained(self.objects):
                    found = obstore.get(self.objects, key)
                return self._stream(found)
            except FileNotFoundError:
                continue
        raise MediaMissing(token)

    def part(self, token: str, start: int, stop: int) -> Iterator[bytes]:
        """The bytes of a body from ``start`` up to ``stop``, which lie within it, in pieces. Raises
        :class:`MediaError` as :meth:`open` does."""
        import obstore

        def pieces(key: str, first: bytes) -> Iterator[bytes]:
            yield first
            for at in range(start + CHUNK, stop, CHUNK):
                with explained(self.objects):
                    yield bytes(obstore.get_range(self.objects, key, start=at, end=min(at + CHUNK, stop)))

        for key in _places(token):
            try:
                with explained(self.objects):
                    first = bytes(obstore.get_range(self.objects, key, start=start, end=min(start + CHUNK, stop)))
                return pieces(key, first)
            except FileNotFoundError:
                continue
        raise MediaMissing(token)

    def kept(self, entry: Mapping[str, Any]) -> tuple[str | None, bytes]:
        """The content hash of a body that is kept here, or the bytes of one that stands in the document. Never fetches:
        raises :class:`MediaError` where the url is an outside one."""
        url = entry.get("url")
        if "body" not in entry and isinstance(url, str) and not url.startswith(SCHEME):
            raise MediaError("its body is kept at an outside url, which is not fetched here")
        return self._where(entry)

    def _stream(self, found: Any) -> Iterator[bytes]:
        with explained(self.objects):
            for piece in found.stream(min_chunk_size=CHUNK):
                yield bytes(piece)

    # --- reading what an element of a document holds or names ------------------------------------------------------

    def body(self, entry: Mapping[str, Any]) -> bytes:
        """The bytes of a dialog's, analysis' or attachment's body, whole. Raises :class:`MediaError`; where its url is
        an outside one, what the fetcher raises."""
        token, inline = self._where(entry)
        return inline if token is None else b"".join(self.open(token))

    def chunks(self, entry: Mapping[str, Any]) -> Iterator[bytes]:
        """The same in pieces: memory does not depend on its size."""
        token, inline = self._where(entry)
        return iter((inline,)) if token is None else self.open(token)

    def content_hash(self, entry: Mapping[str, Any]) -> str:
        """The content hash of what :meth:`body` gives, without reading it where we keep it by that hash. A hash that
        the document merely claims is not believed: it could fetch another conversation's results."""
        token, inline = self._where(entry)
        return content_hash_of(inline) if token is None else token

    def _where(self, entry: Mapping[str, Any]) -> tuple[str | None, bytes]:
        """The token of a body that is kept here (now), or its bytes."""
        if "body" in entry:
            body, encoding = entry["body"], entry.get("encoding")
            if encoding == "base64url" and isinstance(body, str):
                return None, decode_base64url(body)
            return None, body.encode() if isinstance(body, str) else orjson.dumps(body)
        url = entry.get("url")
        if not isinstance(url, str):
            raise MediaError("it has neither body nor url")
        if url.startswith(SCHEME):
            token = url.removeprefix(SCHEME)
            object_key(token)
            return token, b""
        return self._fetched(url, entry.get("content_hash")), b""

    def _fetched(self, url: str, claimed: object) -> str:
        """The token of what an outside url gives: fetched once, then remembered as long as it is used."""
        if self._outside is None:
            raise MediaError("its body is kept at an outside url, which is not fetched")
        digest = hashlib.sha256(orjson.dumps([url, claimed])).hexdigest()
        if self._client is None:
            return self.keep_chunks(self._outside.chunks(url, claimed))
        with redis_explained():
            known = cast("bytes | None", self._client.hget(keys.fetched(digest), "token"))
        if known is not None:
            token = known.decode()
            self._pin(token, FETCHED_SECONDS)
            if self._kept(token):
                with redis_explained():
                    self._client.expire(keys.fetched(digest), FETCHED_SECONDS)
                return token
        token = self.keep_chunks(self._outside.chunks(url, claimed), seconds=FETCHED_SECONDS)
        facts: Mapping[Any, Any] = {"token": token, "size": str(self.size(token)), "at": str(int(time.time()))}
        with redis_explained(), self._client.pipeline() as pipeline:
            pipeline.hset(keys.fetched(digest), mapping=facts)
            pipeline.expire(keys.fetched(digest), FETCHED_SECONDS)
            pipeline.execute()
        return token


def reference(token: str) -> dict[str, str]:
    """The members by which an element of a document names a body in the media store."""
    return {"url": f"{SCHEME}{token}", "content_hash": token}


def _places(token: str) -> tuple[str, str, str]:
    """Where to look for a body: a sweep may set it aside, or put it back, between two looks."""
    place = object_key(token)
    return place, object_key(token, ASIDE), place


def _read(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


def _checked(chunks: Iterable[bytes], token: str) -> Iterator[bytes]:
    """The same chunks; fails at the end, before the object store has taken them, if they are not the token's."""
    digest = hashlib.sha512()
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
    if content_hash(digest.digest()) != token:
        raise MediaError("its content changed while it was read; nothing was kept")
