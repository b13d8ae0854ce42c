"""Documents: create, read, commit. Every write is one Lua script (``lua/``), many of them travel in one pipeline.

Promises:

- a new vCon, its place in the queues and its ledger event appear together or not at all;
- what a caller is told of is in the archive already: the record is written before the script runs;
- a commit comes true as the very next revision or not at all, so no writer can overwrite another's work: appends that
  met somebody else's revision are made again on top of it, replaced members are a conflict;
- a commit by a run that lost its lease changes nothing;
- a document that Redis forgot is read from the archive.

Belongs here: the store's verbs. Not here: how they come true (``creating.py``, ``committing.py``), arguments
(``commits.py``), the archive's records (``records.py``), what is searched for (``search_fields.py``), gates (the room
``ingress/``).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import batched, chain
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys, scripts
from vcon_platform.store.archive import Archive, History, Ref, Tip
from vcon_platform.store.calls import MOST
from vcon_platform.store.commits import (
    Commit,
    Committed,
    Created,
    NewVcon,
    Restored,
    RowMark,
    created_seconds,
    facts,
    media_of,
)
from vcon_platform.store.committing import TRIES, Begun, Committing
from vcon_platform.store.connection import explained
from vcon_platform.store.creating import Creating, Creator
from vcon_platform.store.identity import identify
from vcon_platform.store.media import tokens_of
from vcon_platform.store.search_fields import fields
from vcon_platform.vcon.document import Vcon

if TYPE_CHECKING:
    from redis import Redis

CHUNK = 100
"""Commands per pipeline: ten already give most of the gain, a thousand give no more (reference/throughput.md)."""


class Missing(PlatformError):
    """No such vCon."""


class NotArchived(PlatformError):
    """The archive has no such vCon."""


class RevisionConflict(PlatformError):
    """A member was to be replaced that others keep changing."""


class DocumentStore:
    """The vCons of one Redis and its archive. ``live_seconds``: how long a document stays in Redis after it was last
    written (0: for good); the archive has it in any case. ``region``: where numbers without a country code are at
    home, for search."""

    def __init__(self, client: Redis, archive: Archive, *, live_seconds: int = 0, region: str | None = None) -> None:
        self.archive = archive
        self._client = client
        self._live = live_seconds
        self._region = region
        self._read = scripts.script(client, "read")
        self._restore = scripts.script(client, "restore")
        self._leave = scripts.script(client, "leave")
        self._creator = Creator(client, archive, live_seconds=live_seconds, region=region)
        self._committing = Committing(client, archive, self, live_seconds=live_seconds, region=region)

    # --- create -------------------------------------------------------------------------------------------------

    def create(self, new: Iterable[NewVcon]) -> Iterator[tuple[str, Created]]:
        """Store new vCons; one that is known already is left as it is. Gives (uuid, outcome) in the given order.
        Raises :class:`StoreUnavailable`; what was not told of by then may be stored or not, and may be given again."""
        for chunk in batched(new, CHUNK):
            with self.begin(chunk) as begun:
                yield from begun.outcomes()

    def begin(self, chunk: Sequence[NewVcon]) -> Creating:
        """Begin to store these (a hundred or so): when it returns they are in the archive and on their way to Redis,
        which works on them while the caller does something else, until it asks for the outcomes. To be closed."""
        return self._creator.begin(chunk)

    # --- read ---------------------------------------------------------------------------------------------------

    def known(self, uuids: Sequence[str]) -> set[str]:
        """Those of ``uuids`` that are stored, whether Redis holds the document now or not."""
        found: set[str] = set()
        for chunk in batched(uuids, 1000):
            pipeline = self._client.pipeline(transaction=False)
            for uuid in chunk:
                pipeline.exists(keys.meta(uuid))
            with explained():
                found.update(uuid for uuid, exists in zip(chunk, pipeline.execute(), strict=True) if exists)
        return found

    def removed(self, uuids: Sequence[str]) -> set[str]:
        """Those of ``uuids`` that were removed from the store at some time, whether they were posted anew or not."""
        if not uuids:
            return set()
        with explained():
            found = cast("list[bytes | None]", self._client.hmget(keys.REMOVED, list(uuids)))
        return {uuid for uuid, revision in zip(uuids, found, strict=True) if revision is not None}

    def refers(self, uuid: str, token: str) -> bool:
        """True if some revision of this vCon has this medium."""
        with explained():
            return bool(self._client.sismember(keys.media_refs(token), uuid))

    def leave_after(self, uuid: str, seconds: int) -> None:
        """Have a document leave Redis ``seconds`` from now, and after every later write or reading through. Whoever
        asks for it then gets it from the archive. Raises :class:`Missing`, and :class:`NotArchived` for one that other
        software wrote and that is nowhere else."""
        with explained():
            answer = self._leave(keys=[keys.document(uuid), keys.meta(uuid)], args=[seconds])
        if answer == b"missing":
            raise Missing(f"no vCon {uuid} is stored")
        if answer == b"not archived":
            raise NotArchived(
                f"vCon {uuid} was written by other software and is in Redis only; it may not leave until a pipeline "
                "or the API has changed it once"
            )

    def read(self, uuids: Sequence[str]) -> dict[str, Vcon]:
        """The documents of ``uuids`` with their revisions, read in pipelines; missing ones are left out."""
        documents: dict[str, Vcon] = {}
        for chunk in batched(uuids, CHUNK):
            absent = self._read_chunk(chunk, documents)
            if absent:
                restored = [uuid for uuid, tip in absent.items() if tip is not None and self.read_through(uuid, tip)]
                self._read_chunk(restored, documents)
                if len(restored) < len(absent):  # Redis knows every vCon, unless it was emptied: then say that
                    identify(self._client, self.archive.objects)
        return documents

    def read_through(self, uuid: str, tip: Tip) -> bool:
        """Put a document that left Redis back; False where the archive has none."""
        return self.restore(uuid, tip=tip) not in (Restored.UNKNOWN, Restored.REMOVED)

    def _read_chunk(self, chunk: Sequence[str], documents: dict[str, Vcon]) -> dict[str, Tip | None]:
        """Read the documents that Redis has; gives the others, with their newest revision where Redis knows that."""
        absent: dict[str, Tip | None] = {}
        if not chunk:
            return absent
        pipeline = self._client.pipeline(transaction=False)
        for some in batched(chunk, MOST):
            self._read(keys=[key for uuid in some for key in (keys.document(uuid), keys.meta(uuid))], client=pipeline)
        with explained():
            replies = pipeline.execute()
        for uuid, (raw, revision, commit, sealed) in zip(chunk, chain.from_iterable(replies), strict=True):
            if raw is None:
                absent[uuid] = Tip(int(revision), commit.decode()) if revision and commit else None
                continue
            documents[uuid] = Vcon(
                orjson.loads(raw),
                revision=int(revision or 0),
                commit=(commit or b"").decode(),
                sealed=orjson.loads(sealed) if sealed else None,
            )
        return absent

    def read_one(self, uuid: str) -> Vcon:
        """One document. Raises :class:`Missing`."""
        try:
            return self.read([uuid])[uuid]
        except KeyError:
            raise Missing(f"vCon {uuid} is not in the store") from None

    def meta(self, uuid: str) -> dict[str, str]:
        """What is kept beside a document (revision, commit, form, state, adapter, source id)."""
        with explained():
            found: Mapping[bytes, bytes] = self._client.hgetall(keys.meta(uuid))  # type: ignore[assignment]
        return {name.decode(): value.decode() for name, value in found.items()}

    def metas(self, uuids: Sequence[str]) -> list[dict[str, str]]:
        """:meth:`meta` of each, in pipelines; empty for one that is not stored."""
        found: list[dict[str, str]] = []
        for chunk in batched(uuids, CHUNK):
            pipeline = self._client.pipeline(transaction=False)
            for uuid in chunk:
                pipeline.hgetall(keys.meta(uuid))
            with explained():
                replies = pipeline.execute()
            found += [{name.decode(): value.decode() for name, value in reply.items()} for reply in replies]
        return found

    def attachment_bodies(self, uuids: Sequence[str], purpose: str) -> Iterator[tuple[str, list[Any]]]:
        """The bodies of the attachments of one purpose, read by path: the rest of the document stays in Redis."""
        path = f'$.attachments[?(@.purpose=="{purpose}")].body'
        for chunk in batched(uuids, CHUNK):
            pipeline = self._client.pipeline(transaction=False)
            for uuid in chunk:
                pipeline.execute_command("JSON.GET", keys.document(uuid), path)  # type: ignore[no-untyped-call]
            with explained():
                replies = pipeline.execute()
            for uuid, raw in zip(chunk, replies, strict=True):
                if raw is None and (vcon := self.read([uuid]).get(uuid)) is not None:
                    yield uuid, [entry.get("body") for _, entry in vcon.attachments_for(purpose)]
                else:
                    yield uuid, orjson.loads(raw) if raw is not None else []

    def tip(self, uuid: str) -> Tip | None:
        """The newest revision that Redis knows; None where it knows none."""
        with explained():
            found = cast("list[bytes | None]", self._client.hmget(keys.meta(uuid), ["revision", "commit"]))
        revision, commit = found
        return Tip(int(revision), commit.decode()) if revision and commit else None

    def history(self, uuid: str) -> History:
        """What the archive knows of a vCon that Redis knows. Raises :class:`Missing`, :class:`RecordBroken`."""
        tip = self.tip(uuid)
        history = self.archive.history(uuid, tip=tip) if tip is not None else None
        if history is None:
            raise Missing(f"vCon {uuid} is not in the store")
        return history

    def restore(self, uuid: str, *, tip: Tip | None = None, refs: Sequence[Ref] | None = None) -> Restored:
        """Put a document back into Redis as the archive has it, or bring it up to what the archive has.

        ``tip``: its newest revision, where Redis is to be believed about that, else ``refs``: its records. Raises
        :class:`RecordBroken`, :class:`StoreUnavailable`."""
        history = self.archive.history(uuid, tip=tip, refs=refs)
        if history is None:
            return Restored.UNKNOWN
        return Restored.REMOVED if history.ended else self.put_back(history)

    def put_back(self, history: History, *, marks: Callable[[Vcon], Sequence[RowMark]] = lambda _: ()) -> Restored:
        """Put a document back into Redis as its history tells it. ``marks`` tells which rows of projections that left
        (needed where Redis lost everything). Raises :class:`RecordBroken`, :class:`StoreUnavailable`."""
        uuid = history.uuid
        vcon = history.vcon()
        record = history.tip
        meta = {**history.meta(), "commit": record.commit}
        posted = [each for each in history.records if each.original is not None]
        meta |= {f"posted:{each.original.sha256}": str(each.revision) for each in posted if each.original}
        tokens = {token for each in posted for token in media_of({}, each)} | tokens_of(vcon.data)
        rows = [[mark.projection, mark.day, mark.hash] for mark in marks(vcon)]
        with explained():
            answer = self._restore(
                keys=[keys.document(uuid), keys.meta(uuid), keys.search(uuid), keys.LISTING],
                args=[
                    uuid,
                    vcon.to_bytes(),
                    vcon.revision,
                    created_seconds(vcon.data),
                    self._live,
                    facts(meta, fields(vcon.data, meta, region=self._region), tokens, rows),
                ],
            )
        return Restored(answer[0].decode())

    # --- commit -------------------------------------------------------------------------------------------------

    def commit(self, commits: Iterable[Commit]) -> Iterator[tuple[Commit, Committed]]:
        """Commit changes in pipelines; each commit by itself is all or nothing. Gives each with its outcome, in no
        particular order. Raises :class:`StoreUnavailable`; a commit that was not told of by then is in doubt."""
        begun: Begun | None = None
        try:
            for chunk in batched(commits, CHUNK):  # the next hundred are made ready while Redis works on these
                following = self._committing.begin(chunk)
                if begun is not None:
                    before, begun = begun, following
                    yield from self._committing.finish(before)
                begun = following
            if begun is not None:
                yield from self._committing.finish(begun)
        finally:
            if begun is not None:
                begun.calls.close()

    def update(self, uuid: str, change: Callable[[Vcon], object], **rest: Any) -> None:
        """Read a document, let ``change`` change it, commit; again from a fresh read as long as others replace the
        same revision. ``rest`` goes to :class:`Commit`. Raises :class:`Missing`, :class:`RevisionConflict`, and what
        ``change`` raises (nothing is written then)."""
        for attempt in range(TRIES):
            vcon = self.read_one(uuid)
            change(vcon)
            [(_, outcome)] = self.commit([Commit(vcon, **rest)])
            if outcome is Committed.OK:
                return
            if outcome is Committed.MISSING:
                raise Missing(f"vCon {uuid} is not in the store any more")
            time.sleep(random.uniform(0, min(0.1, 0.001 * 2**attempt)))  # noqa: S311 - others want a turn
        raise RevisionConflict(f"vCon {uuid} is being changed by others without a break; try again later")
