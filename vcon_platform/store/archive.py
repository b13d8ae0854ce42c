"""The archive: the original bytes and every revision of every vCon, in the object store.

Belongs here: where records are, and which of them came true. Not here: what a record is (``records.py``), filling
Redis from it (``rebuild.py``).

One small object per revision, under its vCon's own prefix: whatever Redis forgot, a vCon's history is one listing;
erasing a vCon is deleting a prefix; and no object is ever written twice, so no writer can harm another's.

    archive/{3 hex digits of a checksum}/{uuid}/{revision, 8 digits}-{commit}.zst

The checksum spreads the vCons evenly whatever their uuids look like (a host's version-8 ids all end alike).
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import orjson

from vcon_platform.store.objects import explained
from vcon_platform.store.records import Record, RecordBroken, read_record
from vcon_platform.vcon.document import Append, Vcon

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ROOT = "archive"
WRITERS = 8
"""Records written at once: each is a wait for the disk or the network."""
SNAPSHOT_EVERY = 16
"""Revisions after which a record carries the whole document: reading back costs that many small reads at most."""


def new_commit() -> str:
    """The id of one commit: 64 random bits."""
    return os.urandom(8).hex()


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Where a record is."""

    revision: int
    commit: str
    path: str


@dataclass(frozen=True, slots=True)
class History:
    """What the archive knows of a vCon: the revisions that came true, oldest first, and the records that did not
    (``orphans``). ``gap``: a revision is missing below the oldest one here, which is a fault."""

    uuid: str
    records: tuple[Record, ...]
    orphans: tuple[Ref, ...] = ()
    gap: bool = False

    @property
    def tip(self) -> Record:
        """The newest revision."""
        return self.records[-1]

    def meta(self) -> dict[str, str]:
        """What is kept beside the document, as of the tip."""
        merged: dict[str, str] = {}
        for record in self.records:
            merged.update(record.meta)
        return merged

    def vcon(self) -> Vcon:
        """The document at the tip; its ``changes`` are all that was ever changed since it was posted last. Raises
        :class:`RecordBroken`."""
        vcon: Vcon | None = None
        for record in self.records:
            vcon = record.replay(vcon)
        assert vcon is not None  # noqa: S101 - a history has at least one record
        return vcon


def prefix(uuid: str) -> str:
    """The folder of a vCon's records."""
    return f"{ROOT}/{zlib.crc32(uuid.encode()) & 0xFFF:03x}/{uuid}"


class Archive:
    """Records in an object store."""

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects
        self._writers: ThreadPoolExecutor | None = None

    # --- writing ------------------------------------------------------------------------------------------------

    def keep(self, records: Sequence[Record]) -> None:
        """Write these records; when it returns they are there. Raises what the object store raises."""
        if len(records) == 1:
            self._put(records[0])
        elif records:
            # Dies with the process; a pool per call would cost more than the writing.
            self._writers = self._writers or ThreadPoolExecutor(WRITERS, thread_name_prefix="archive")
            for _ in self._writers.map(self._put, records):
                pass

    def _put(self, record: Record) -> None:
        import obstore

        with explained(self.objects):
            obstore.put(self.objects, _path(record), record.to_bytes(), use_multipart=False)

    def forget(self, records: Iterable[Record]) -> None:
        """Delete records whose commit was refused: they never came true."""
        import obstore

        if paths := [_path(record) for record in records]:
            with explained(self.objects):
                obstore.delete(self.objects, paths)

    # --- reading ------------------------------------------------------------------------------------------------

    def uuids(self) -> Iterator[str]:
        """Every vCon that has records, each once."""
        import obstore

        last = ""
        with explained(self.objects):
            for chunk in obstore.list(self.objects, ROOT):
                for meta in chunk:
                    uuid = meta["path"].split("/")[-2]
                    if uuid != last:
                        last = uuid
                        yield uuid

    def refs(self, uuid: str) -> list[Ref]:
        """Every record of a vCon, by revision."""
        import obstore

        with explained(self.objects):
            paths = [meta["path"] for chunk in obstore.list(self.objects, prefix(uuid)) for meta in chunk]
        found = []
        for path in paths:
            revision, _, commit = path.rsplit("/", 1)[-1].removesuffix(".zst").partition("-")
            found.append(Ref(int(revision), commit, path))
        return sorted(found)

    def load(self, ref: Ref) -> Record:
        """One record. Raises :class:`RecordBroken`, also where it is gone."""
        import obstore

        try:
            with explained(self.objects):
                raw = bytes(obstore.get(self.objects, ref.path).bytes())
        except FileNotFoundError:
            raise RecordBroken(f"{ref.path} is gone from the archive") from None
        try:
            return read_record(raw)
        except RecordBroken as error:
            raise RecordBroken(f"{ref.path}: {error}") from None

    def history(self, uuid: str, *, tip: str = "", whole: bool = True) -> History | None:
        """What became of a vCon; None where there is nothing. ``tip``: the commit that is known to be the newest
        (Redis says so), else it is found. ``whole=False``: only as far back as the document at the tip needs."""
        refs = self.refs(uuid)
        if not refs:
            return None
        by_commit = {ref.commit: ref for ref in refs}
        top = by_commit.get(tip)
        merged: tuple[Record, ...] = ()
        if top is None:
            top, merged = self._top(refs)
        came_true: list[Record] = []
        used = {record.commit for record in merged}
        ref: Ref | None = top
        gap = False
        while ref is not None:
            record = self.load(ref)
            came_true.append(record)
            used.add(ref.commit)
            if not record.previous or (not whole and (record.snapshot or record.view) is not None):
                break
            ref = by_commit.get(record.previous)
            gap = ref is None
        came_true.reverse()
        if not whole and came_true and came_true[0].snapshot is not None and came_true[0].view is None:
            came_true[0] = _as_document(came_true[0])
        orphans = tuple(each for each in refs if each.commit not in used)
        return History(uuid, (*came_true, *merged), orphans, gap)

    def _top(self, refs: Sequence[Ref]) -> tuple[Ref, tuple[Record, ...]]:
        """The newest revision, where nothing says which commit made it. Two records that both claim it are of writers
        of which only one can have succeeded, and Redis, which knew, is lost. What both appended is then kept, once
        where it is the same: nothing that was acknowledged may be missing."""
        highest = refs[-1].revision
        rivals = [ref for ref in refs if ref.revision == highest]
        if len(rivals) == 1:
            return rivals[0], ()
        records = sorted((self.load(ref) for ref in rivals), key=lambda record: record.at)
        winner = records[-1]
        there = [orjson.dumps(change.value, option=orjson.OPT_SORT_KEYS) for change in winner.changes]
        extra = tuple(
            change
            for record in records[:-1]
            for change in record.changes
            if isinstance(change, Append) and orjson.dumps(change.value, option=orjson.OPT_SORT_KEYS) not in there
        )
        top = next(ref for ref in rivals if ref.commit == winner.commit)
        if not extra:
            return top, ()
        united = Record(
            uuid=winner.uuid, revision=highest + 1, commit=new_commit(), previous=winner.commit, changes=extra
        )
        return top, (united,)

    def original(self, uuid: str, *, posted: int | None = None) -> Record | None:
        """The record of the content that was posted last (or as revision ``posted``), with its ``original``."""
        history = self.history(uuid)
        if history is None:
            return None
        for record in reversed(history.records):
            if record.original is not None and posted in (None, record.revision):
                return record
        return None


def _path(record: Record) -> str:
    return f"{prefix(record.uuid)}/{record.revision:08d}-{record.commit}.zst"


def _as_document(record: Record) -> Record:
    """The snapshot's record as a beginning: nothing before it is needed."""
    return replace(record, view=record.snapshot, changes=())


def meta_of(meta: Mapping[str, str]) -> dict[str, str]:
    """What of a document's meta a record keeps: everything but what the commit itself decides."""
    return {name: value for name, value in meta.items() if name not in ("revision", "commit")}
