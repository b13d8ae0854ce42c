"""The store for who may only look: whatever would write is refused before it is sent.

Belongs here: a Redis client that reads, and documents, bodies and kept results through it. Not here: who needs that
(a simulation, ``pipelines/simulate.py``).

Why a client of its own and not good intentions: reading is not always without writing here. A document that left Redis
is put back by whoever reads it, outside media are kept when they are fetched, a result when it was bought.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys
from vcon_platform.store.archive import Archive
from vcon_platform.store.connection import explained
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.media import MediaError, MediaStore
from vcon_platform.store.results import StoredResults
from vcon_platform.vcon.document import Vcon

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from redis import Redis

READS = frozenset(
    {
        "EXISTS",
        "GET",
        "MGET",
        "HGET",
        "HMGET",
        "HGETALL",
        "HEXISTS",
        "HLEN",
        "LLEN",
        "LRANGE",
        "SMEMBERS",
        "SISMEMBER",
        "TYPE",
        "TTL",
        "JSON.GET",
        "JSON.MGET",
        "MULTI",
        "EXEC",
        "PING",
    }
)
"""The commands that pass; none of them changes anything."""


class WriteRefused(PlatformError):
    """Something was to be written through a store that only reads."""


class NotKept(PlatformError):
    """The result is not in the cache, and nothing is bought here."""


def reading_client(client: Redis) -> Redis:
    """A client on the same connections that refuses every command which is not a read (:class:`WriteRefused`)."""
    import redis
    from redis.client import Pipeline

    def guard(command: Any) -> None:
        name = command.decode() if isinstance(command, bytes) else str(command)
        if name.upper() not in READS:
            raise WriteRefused(f"{name.upper()} was to be sent to Redis through a store that only reads")

    class ReadingPipeline(Pipeline):
        def execute_command(self, *args: Any, **options: Any) -> Any:
            guard(args[0])
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

    class ReadingClient(redis.Redis):
        def execute_command(self, *args: Any, **options: Any) -> Any:
            guard(args[0])
            return super().execute_command(*args, **options)  # type: ignore[no-untyped-call]

        def pipeline(self, transaction: Any = True, shard_hint: Any = None) -> Pipeline:
            return ReadingPipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)

    return ReadingClient(connection_pool=client.connection_pool)


class ReadingStore:
    """Documents, bodies and kept results of one installation, to look at. Raises what reading raises; a document that
    is in the archive only is read there and stays there."""

    def __init__(self, client: Redis, objects: ObjectStore) -> None:
        self._client = reading_client(client)
        self._documents = DocumentStore(self._client, Archive(objects))
        self.media = ReadingMedia(self._client, objects)
        self.results = KeptResults(self._client)

    def read_one(self, uuid: str) -> Vcon:
        """One document. Raises :class:`Missing`."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.execute_command("JSON.GET", keys.document(uuid))  # type: ignore[no-untyped-call]
        pipeline.hmget(keys.meta(uuid), ("revision", "commit", "sealed"))
        with explained():
            raw, (revision, commit, sealed) = pipeline.execute()
        if raw is None:  # it left Redis; reading it as others do would put it back
            return self._documents.history(uuid).vcon().unchanged()
        return Vcon(
            orjson.loads(raw),
            revision=int(revision or 0),
            commit=(commit or b"").decode(),
            sealed=orjson.loads(sealed) if sealed else None,
        )


class ReadingMedia:
    """Bodies, wherever they are kept here. An outside url is not fetched; what was fetched before is still read."""

    def __init__(self, client: Redis, objects: ObjectStore) -> None:
        self._client = client
        self._media = MediaStore(objects, 0)

    def body(self, entry: Mapping[str, Any]) -> bytes:
        """The decoded body. Raises :class:`MediaError`."""
        return self._media.body(self._here(entry))

    def content_hash(self, entry: Mapping[str, Any]) -> str:
        """The body's ``content_hash`` token. Raises :class:`MediaError`."""
        return self._media.content_hash(self._here(entry))

    def _here(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        url = entry.get("url")
        if "body" in entry or not isinstance(url, str) or url.startswith("vcon-media:"):
            return entry
        digest = hashlib.sha256(orjson.dumps([url, entry.get("content_hash")])).hexdigest()
        with explained():
            known = cast("bytes | None", self._client.hget(keys.fetched(digest), "token"))
        if known is None:
            raise MediaError("its body is kept at an outside url and was not fetched so far; nothing is fetched here")
        return {"url": f"vcon-media:{known.decode()}"}


class KeptResults:
    """The result cache as it is: what is not in it is not computed (:class:`NotKept`)."""

    def __init__(self, client: Redis) -> None:
        self._results = StoredResults(client)

    def get_or_compute(self, parts: tuple[str, ...], compute: Callable[[], Any]) -> Any:  # noqa: ARG002
        """The value kept under ``parts``. Raises :class:`NotKept`."""
        found = self._results.kept(parts)
        if found is None:
            raise NotKept("it is not in the result cache, and nothing is bought here")
        return orjson.loads(found)
