"""Deleting bodies that no document names any more, and never one that somebody is about to name.

How it is safe though the object store cannot delete on a condition:

1. Whoever keeps bytes pins them in Redis first, and then asks whether they are there (``media.py``).
2. A body that is old, named by nobody and not pinned is not deleted but *set aside* under another key. Readers look
   there too, so whoever asked a moment too early still has it.
3. A later sweep puts back what is named or pinned by then. Only what was aside for ``KEEP_ASIDE`` without that is
   deleted, and only under its key aside: whoever keeps the same bytes anew asks for the other one and puts them again.
4. While a body is aside no other sweep sets it aside (a lock, and a look).

A Redis that forgot who names what would make everything an orphan, so it must prove first that it did not
(``identity.py``), and that it may not throw keys away by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from vcon_platform.store import keys
from vcon_platform.store.connection import explained as redis_explained
from vcon_platform.store.identity import MEDIA, StoreMismatch, begin_sweep
from vcon_platform.store.media import ASIDE, object_key, token_of
from vcon_platform.store.objects import explained

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import ObjectStore
    from redis import Redis

GRACE = timedelta(hours=24)
"""Bodies younger than this are not looked at."""
KEEP_ASIDE = timedelta(days=7)
"""How long a body that nobody names can still be had back."""
_LOCK_SECONDS = 900
_LISTED = 1000


@dataclass(slots=True)
class Swept:
    """What a sweep did. ``kept``: old bodies that are named or pinned. ``bytes``: what ``deleted`` took up.
    ``finished``: False where the time was up; the next sweep goes on from there."""

    set_aside: int = 0
    restored: int = 0
    deleted: int = 0
    kept: int = 0
    bytes: int = 0
    finished: bool = True


def sweep(
    objects: ObjectStore,
    client: Redis,
    older_than: timedelta = GRACE,
    now: float | None = None,
    *,
    keep_aside: timedelta = KEEP_ASIDE,
    seconds: float = 20.0,
) -> Swept:
    """Set orphans aside and delete those that were for long enough, for about ``seconds``. ``now`` is the time in
    seconds. Does nothing while another sweep is under way. Raises :class:`StoreMismatch` where Redis cannot be
    trusted to know every reference."""
    from redis import RedisError

    with redis_explained():
        lock = client.lock(keys.MEDIA_SWEEP, timeout=_LOCK_SECONDS, blocking=False)
        if not lock.acquire():
            return Swept(finished=False)
        try:
            _must_not_forget(client)
            begin_sweep(client, objects)
            work = _Sweep(objects, client, time.time() if now is None else now, time.monotonic() + seconds)
            work.look_aside(keep_aside)
            work.set_orphans_aside(older_than)
            return work.swept
        finally:
            with suppress(RedisError):  # it ends by itself
                lock.release()


def _must_not_forget(client: Redis) -> None:
    policy = str(client.info("memory").get("maxmemory_policy", "noeviction"))
    if policy.startswith("allkeys"):
        raise StoreMismatch(
            f"Redis may throw away any key when it is full (maxmemory-policy {policy}), also the references to media; "
            "set maxmemory-policy noeviction"
        )


class _Sweep:
    def __init__(self, objects: ObjectStore, client: Redis, now: float, deadline: float) -> None:
        self._objects = objects
        self._client = client
        self._now = now
        self._deadline = deadline
        self.swept = Swept()

    def look_aside(self, keep: timedelta) -> None:
        """Put back what is wanted after all; delete what was aside for long enough."""
        import obstore

        self._client.zremrangebyscore(keys.MEDIA_PINS, "-inf", self._now)
        for chunk in self._listed(ASIDE):
            tokens = [_token(meta) for meta in chunk]
            wanted, since = self._wanted(tokens), self._scores(keys.MEDIA_ASIDE, tokens)
            for meta, token, is_wanted, at in zip(chunk, tokens, wanted, since, strict=True):
                if is_wanted:
                    self._move(meta["path"], object_key(token))
                    self.swept.restored += 1
                elif at is None:  # a sweep died before it could note the time, or Redis was rebuilt
                    self._client.zadd(keys.MEDIA_ASIDE, {token: self._now})
                    continue
                elif at > self._now - keep.total_seconds():
                    continue
                else:
                    with suppress(FileNotFoundError), explained(self._objects):
                        obstore.delete(self._objects, meta["path"])
                    self.swept.deleted += 1
                    self.swept.bytes += meta["size"]
                self._client.zrem(keys.MEDIA_ASIDE, token)

    def set_orphans_aside(self, older_than: timedelta) -> None:
        """Go through the folders of the media, from where the last sweep stopped."""
        import obstore

        with explained(self._objects):
            root = f"{MEDIA}/sha512"
            folders = sorted(obstore.list_with_delimiter(self._objects, root)["common_prefixes"])
        begin = (cast("bytes | None", self._client.get(keys.MEDIA_CURSOR)) or b"").decode()
        for folder in folders:
            if folder < begin:
                continue
            if time.monotonic() > self._deadline:
                self._client.set(keys.MEDIA_CURSOR, folder)
                self.swept.finished = False
                return
            for chunk in self._listed(folder):
                self._look_at(
                    [m for m in chunk if m["last_modified"].timestamp() < self._now - older_than.total_seconds()]
                )
        self._client.delete(keys.MEDIA_CURSOR)

    def _look_at(self, old: Sequence[ObjectMeta]) -> None:
        tokens = [_token(meta) for meta in old]
        for meta, token, wanted in zip(old, tokens, self._wanted(tokens), strict=True):
            if wanted or self._is_aside(token):
                self.swept.kept += 1
                continue
            self._client.zadd(keys.MEDIA_ASIDE, {token: self._now})
            self._move(meta["path"], object_key(token, ASIDE))
            self.swept.set_aside += 1

    def _wanted(self, tokens: Sequence[str]) -> list[bool]:
        """For each, whether a document names it or somebody pinned it. Asked in this order: who stores a document has
        pinned its bodies long before."""
        if not tokens:
            return []
        with self._client.pipeline(transaction=False) as pipeline:
            for token in tokens:
                pipeline.exists(keys.media_refs(token))
            named = cast("list[int]", pipeline.execute())
        pins = self._scores(keys.MEDIA_PINS, tokens)
        return [bool(name) or (pin or 0) > self._now for name, pin in zip(named, pins, strict=True)]

    def _scores(self, key: str, tokens: Sequence[str]) -> list[float | None]:
        return self._client.zmscore(key, list(tokens)) if tokens else []

    def _is_aside(self, token: str) -> bool:
        import obstore

        try:
            with explained(self._objects):
                obstore.head(self._objects, object_key(token, ASIDE))
        except FileNotFoundError:
            return False
        return True

    def _move(self, path: str, to: str) -> None:
        import obstore

        with suppress(FileNotFoundError), explained(self._objects):  # gone: somebody erased it
            obstore.rename(self._objects, path, to)

    def _listed(self, folder: str) -> Iterator[list[ObjectMeta]]:
        import obstore

        with explained(self._objects):
            for chunk in obstore.list(self._objects, folder, chunk_size=_LISTED):
                yield [meta for meta in chunk if _token(meta)]


def _token(meta: Any) -> str:
    """The token of the body at this place; empty for what is none of ours."""
    algorithm, _, digest = meta["path"].split("/", 1)[-1].replace("/", "-", 1).partition("-")
    token = token_of(f"vcon-media:{algorithm}-{digest.rpartition('/')[2]}")
    return token or ""
