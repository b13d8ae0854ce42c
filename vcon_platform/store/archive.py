"""The archive: the original bytes and every revision of every vCon, in the object store.

Belongs here: where records are, and which of them came true. Not here: what a record is (``records.py``), filling
Redis from it (``rebuild.py``).

One small object per revision, and no object is ever written twice, so no writer can harm another's:

    archive/{2 hex digits of a checksum}/{uuid}.{revision, 8 digits}-{commit}.zst

The checksum spreads the vCons evenly whatever their uuids look like (a host's version-8 ids all end alike), and 256
folders are as many as a local file system must make: one more for each vCon took ten times as long as the file itself
(0.9 ms, ext4). Each record names the commit before it, so a history is read from its newest commit, which Redis knows,
without listing anything; only where Redis lost it is the folder listed.
"""

from __future__ import annotations

import os
import re
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


_NAME = re.compile(r"([0-9a-f-]{36})\.(\d{8,})-([0-9a-f]{16})\.zst")


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """Where a record is."""

    revision: int
    commit: str
    path: str


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest revision of a vCon, as Redis knows it."""

    revision: int
    commit: str


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

    def posted(self, revision: int | None = None) -> Record | None:
        """The record of the content that was posted last, or as this revision."""
        for record in reversed(self.records):
            if record.original is not None and revision in (None, record.revision):
                return record
        return None

    def vcon(self) -> Vcon:
        """The document at the tip; its ``changes`` are all that was ever changed since it was posted last. Raises
        :class:`RecordBroken`."""
        vcon: Vcon | None = None
        for record in self.records:
            vcon = record.replay(vcon)
        assert vcon is not None  # noqa: S101 - a history has at least one record
        return vcon


def folder(uuid: str) -> str:
    """The folder that a vCon's records share with a few others'."""
    return f"{ROOT}/{zlib.crc32(uuid.encode()) & 0xFF:02x}"


def path_of(uuid: str, revision: int, commit: str) -> str:
    """Where a record is."""
    return f"{folder(uuid)}/{uuid}.{revision:08d}-{commit}.zst"


def _ref(path: str) -> tuple[str, Ref] | None:
    """The vCon and the record of an object's path; None for an object that is no record."""
    found = _NAME.fullmatch(path.rsplit("/", 1)[-1])
    return (found[1], Ref(int(found[2]), found[3], path)) if found else None


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
            path = path_of(record.uuid, record.revision, record.commit)
            obstore.put(self.objects, path, record.to_bytes(), use_multipart=False)

    def forget(self, records: Iterable[Record]) -> None:
        """Delete records whose commit was refused: they never came true."""
        import obstore

        if paths := [path_of(record.uuid, record.revision, record.commit) for record in records]:
            with explained(self.objects):
                obstore.delete(self.objects, paths)

    # --- reading ------------------------------------------------------------------------------------------------

    def walk(self) -> Iterator[tuple[str, list[Ref]]]:
        """Every vCon with its records by revision, one folder's after the other: memory holds a folder's names."""
        for number in range(256):
            found: dict[str, list[Ref]] = {}
            for path in self._listed(f"{ROOT}/{number:02x}"):
                if (named := _ref(path)) is not None:
                    found.setdefault(named[0], []).append(named[1])
            for uuid, refs in sorted(found.items()):
                yield uuid, sorted(refs)

    def refs(self, uuid: str) -> list[Ref]:
        """Every record of a vCon, by revision: its folder is listed."""
        found = [_ref(path) for path in self._listed(folder(uuid), after=f"{folder(uuid)}/{uuid}.")]
        return sorted(named[1] for named in found if named is not None and named[0] == uuid)

    def _listed(self, under: str, after: str | None = None) -> Iterator[str]:
        """The paths in a folder; where the store lists in order, only those that begin with ``after``."""
        import obstore
        from obstore.store import LocalStore

        ordered = after is not None and not isinstance(self.objects, LocalStore)
        with explained(self.objects):
            for chunk in obstore.list(self.objects, under, offset=after):
                for meta in chunk:
                    if ordered and not meta["path"].startswith(after):  # type: ignore[arg-type]
                        return
                    yield meta["path"]

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

    def history(
        self, uuid: str, *, tip: Tip | None = None, refs: Sequence[Ref] | None = None, whole: bool = True
    ) -> History | None:
        """What became of a vCon; None where there is nothing. ``tip``: the newest revision, where Redis knows it;
        nothing is listed then. ``refs``: all records, where they were listed already. ``whole=False``: only as far
        back as the document at the tip needs. Raises :class:`RecordBroken`."""
        merged: tuple[Record, ...] = ()
        if tip is not None and tip.commit:
            top = Ref(tip.revision, tip.commit, path_of(uuid, tip.revision, tip.commit))
        else:
            refs = refs if refs is not None else self.refs(uuid)
            if not refs:
                return None
            top, merged = self._top(refs)
        came_true = [self.load(top)]
        gap = False
        while came_true[-1].previous and (whole or (came_true[-1].snapshot or came_true[-1].view) is None):
            before = came_true[-1]
            revision = before.revision - 1
            try:
                came_true.append(self.load(Ref(revision, before.previous, path_of(uuid, revision, before.previous))))
            except RecordBroken:
                gap = True
                break
        came_true.reverse()
        if not whole and came_true[0].view is None and came_true[0].snapshot is not None:
            came_true[0] = replace(came_true[0], view=came_true[0].snapshot, changes=())  # nothing before is needed
        used = {record.commit for record in (*came_true, *merged)}
        orphans = tuple(each for each in refs or () if each.commit not in used)
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


def meta_of(meta: Mapping[str, str]) -> dict[str, str]:
    """What of a document's meta a record keeps: everything but what the commit itself decides."""
    return {name: value for name, value in meta.items() if name not in ("revision", "commit")}
