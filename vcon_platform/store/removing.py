"""Removing: a vCon goes from wherever this store keeps it, and does not come back.

A removal is a revision like any other, the last one, and comes true as the very next one or not at all:

1. a record that says so goes into the archive;
2. one script takes document, search inputs, listing, references of media and rows out of Redis, notes the revision at
   which the vCon ended, and what is left of it in the archive;
3. the archive's records are deleted, all but the one of step 1.

Killed after step 1, the vCon is there as before; the record never came true, like any orphan, unless Redis is lost at
that very moment: then it is believed. Killed after step 2, the vCon is gone, and the next call or the next sweep
deletes what is left. A rebuild never brings it back, because the record of step 1 stays.

What is posted under the same uuid afterwards is a new vCon. Its revisions go on after the removal's, so that whoever
still holds the old one (a run, a reader that puts an expired document back) can change nothing of the new one.

Belongs here: that, and what a removal leaves behind. Not here: which rows there are and what the ledger is told
(``pipelines/removal.py``), the bytes of media (``media_sweep.py``: somebody else may have the same), and what was sent
elsewhere. What is to keep a uuid from coming back would stand beside ``keys.REMOVED``, which ``create.lua`` asks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys, scripts
from vcon_platform.store.archive import History, Ref
from vcon_platform.store.commits import event_array, media_of
from vcon_platform.store.connection import explained
from vcon_platform.store.documents import DocumentStore, Missing, RevisionConflict
from vcon_platform.store.media import tokens_of
from vcon_platform.store.packs import pack_of
from vcon_platform.store.records import Record, RecordBroken
from vcon_platform.vcon.document import Vcon

if TYPE_CHECKING:
    from redis import Redis

TRIES = 20
"""Of a removal while others write to the same vCon."""
_LOCK_SECONDS = 60

Rows = Callable[[Vcon, Sequence[Record]], Collection[tuple[str, str]]]
"""(projection, day) of each row that a vCon may have, told of its document and of the records of its history."""
Event = Callable[[int], bytes]
"""The ledger event of a removal that has this revision."""


class RevisionChanged(PlatformError):
    """The vCon is at another revision than the one that was to be removed or changed."""


class Remover:
    """Removes vCons from one store."""

    def __init__(self, client: Redis, documents: DocumentStore) -> None:
        self._client = client
        self._documents = documents
        self._archive = documents.archive
        self._script = scripts.script(client, "remove")

    def remove(self, uuid: str, *, rows: Rows, event: Event, expect: int | None = None) -> int:
        """Remove a vCon; gives the removal's revision. ``expect``: the revision that it must have.

        Raises :class:`Missing` where there is none (any more), :class:`RevisionChanged` where it has another revision,
        :class:`RevisionConflict` where others keep changing it, and PlatformError when Redis or the object store is
        away: it may be removed by then, and asking again is safe."""
        for _ in range(TRIES):
            vcon, records = self._read(uuid)
            if vcon is None:
                return self._finished(uuid)
            if expect is not None and vcon.revision != expect:
                raise RevisionChanged(f"vCon {uuid} is at revision {vcon.revision}, not {expect}")
            [removal] = self._archive.keep(
                [Record(uuid=uuid, revision=vcon.revision + 1, previous=vcon.commit, removed=True)]
            )
            answer = self._remove(uuid, vcon, records, rows(vcon, records), event(removal.revision))
            if answer == b"removed":
                self._finished(uuid)
                return removal.revision
            self._archive.forget([removal])
        raise RevisionConflict(f"vCon {uuid} is being changed by others without a break; remove it again later")

    def finish(self) -> int:
        """Delete what removals that were cut off left in the archive; how many there were."""
        with explained():
            left = cast("list[bytes]", self._client.hkeys(keys.REMOVING))
        for uuid in left:
            with suppress(Missing):
                self._finished(uuid.decode())
        return len(left)

    def _read(self, uuid: str) -> tuple[Vcon | None, Sequence[Record]]:
        """The document and its history. Where that cannot be read, what Redis has must do."""
        tip = self._documents.tip(uuid)
        if tip is not None:
            try:
                history = self._archive.history(uuid, tip=tip)
                if history is not None and not history.ended:
                    return history.vcon(), history.records
            except RecordBroken:
                pass
        with explained():
            found = self._client.exists(keys.document(uuid), keys.meta(uuid))
        if not found:
            return None, ()
        try:
            if (vcon := self._documents.read([uuid]).get(uuid)) is not None:
                return vcon, ()
        except RecordBroken:
            pass
        empty = Vcon({"uuid": uuid}, tip.revision if tip is not None else 0)
        empty.commit = tip.commit if tip is not None else ""
        return empty, ()

    def _remove(
        self, uuid: str, vcon: Vcon, records: Sequence[Record], rows: Collection[tuple[str, str]], event: bytes
    ) -> bytes:
        tokens = media_in(vcon, records) if records else {*tokens_of(vcon.data), *self._referring(uuid)}
        refs = [Ref(record.revision, record.commit) for record in records] or [Ref(vcon.revision, vcon.commit)]
        left = orjson.dumps([[ref.revision, ref.commit] for ref in refs if ref.commit])
        with explained():
            answer = self._script(
                keys=[
                    keys.document(uuid),
                    keys.meta(uuid),
                    keys.search(uuid),
                    keys.LISTING,
                    keys.REMOVED,
                    keys.REMOVING,
                    keys.OUTBOX,
                ],
                args=[
                    uuid,
                    vcon.revision,
                    event_array([event]),
                    left,
                    len(tokens),
                    *tokens,
                    len(rows),
                    *(part for row in rows for part in row),
                ],
            )
        return bytes(answer[0])

    def _referring(self, uuid: str) -> Iterator[str]:
        """Every medium that this vCon refers to, where its history cannot tell."""
        prefix = keys.media_refs("")
        for key in cast("Iterator[bytes]", self._client.scan_iter(match=f"{prefix}*", count=1000)):
            if self._client.sismember(key.decode(), uuid):
                yield key.decode().removeprefix(prefix)

    def _finished(self, uuid: str) -> int:
        """Delete what the archive still has of a vCon that Redis removed. Raises :class:`Missing` where nothing was
        left of it."""
        pipeline = self._client.pipeline(transaction=True)
        pipeline.hget(keys.REMOVING, uuid)
        pipeline.hget(keys.REMOVED, uuid)
        with explained():
            left, ended = cast("tuple[bytes | None, bytes | None]", pipeline.execute())
        if left is None or ended is None:
            raise Missing(f"vCon {uuid} is not in the store")
        known = [Ref(revision, commit) for revision, commit in orjson.loads(left)]
        # What writers that died left has objects of its own, or stands in packs, where 'store check' finds it.
        beside = [ref for ref in self._archive.beside(uuid) if self._is_old(uuid, ref, int(ended))]
        self.erase(uuid, [*known, *(ref for ref in beside if ref not in known)])
        with explained():
            self._client.hdel(keys.REMOVING, uuid)
        return int(ended)

    def _is_old(self, uuid: str, ref: Ref, ended: int) -> bool:
        return ref.revision < ended or (ref.revision == ended and not self._archive.is_removal(uuid, ref))

    def erase(self, uuid: str, refs: Sequence[Ref]) -> None:
        """Delete records of a removed vCon from the archive."""
        for ref in refs:
            with self._alone(ref):
                self._archive.erase(uuid, [ref])

    @contextmanager
    def _alone(self, ref: Ref) -> Iterator[None]:
        """A pack is read and written anew: two that do so at once would put back what the other took out."""
        packed = pack_of(ref.commit)
        if packed is None:
            yield
            return
        with explained(), self._client.lock(f"archive:pack:{packed[0]}", timeout=_LOCK_SECONDS):
            yield


def media_in(vcon: Vcon, records: Sequence[Record]) -> set[str]:
    """Every medium that a document or an earlier revision of it names, or that an original is made of."""
    tokens = tokens_of(vcon.data)
    for record in records:
        tokens |= media_of(orjson.loads(record.view) if record.view is not None else {}, record)
        for change in record.changes:
            tokens |= tokens_of({"attachments": change.value if isinstance(change.value, list) else [change.value]})
    return tokens


def note_removed(client: Redis, history: History) -> None:
    """Tell a Redis that lost it that a vCon was removed, and at which revision."""
    with explained():
        client.hset(keys.REMOVED, history.uuid, history.tip.revision)
