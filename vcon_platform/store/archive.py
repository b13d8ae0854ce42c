"""The archive: the original bytes and every revision of every vCon, in the object store.

Belongs here: where records are, and which of them came true. Not here: what a record is (``records.py``), filling
Redis from it (``rebuild.py``).

A revision is one small object, or, where many were made together, a place in a pack (``packs.py``):

    archive/{2 hex digits of a checksum}/{uuid}.{revision, 8 digits}-{commit}.zst
    archive/packs/{the pack's first 2 digits}/{pack}.zst

The checksum spreads the vCons evenly whatever their uuids look like (a host's version-8 ids all end alike), and 256
folders are as many as a local file system must make: one more for each vCon took ten times as long as the file itself
(0.9 ms, ext4). Each record names the commit before it, so a history is read from its newest commit, which Redis knows,
without listing anything; only where Redis lost it is everything looked through (:meth:`Archive.walk`).
"""

from __future__ import annotations

import os
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import batched
from typing import TYPE_CHECKING

import orjson

from vcon_platform.store.objects import explained
from vcon_platform.store.packs import Pack, named, pack_of
from vcon_platform.store.records import Record, RecordBroken, read_record, squeezed, unsqueezed
from vcon_platform.vcon.document import Append, Vcon

if TYPE_CHECKING:
    from obstore.store import ObjectStore

ROOT = "archive"
PACKS = f"{ROOT}/packs"
PACKS_HELD = 8
"""Packs that are kept in memory once they were read: vCons that came together are asked for together."""
SNAPSHOT_EVERY = 16
"""Revisions after which a record carries the whole document: reading back costs that many small reads at most."""


_NAME = re.compile(r"([0-9a-f-]{36})\.(\d{8,})-([0-9a-f]{16})\.zst")
_PACK = re.compile(r"([0-9a-f]{16})\.zst")


@dataclass(frozen=True, slots=True, order=True)
class Ref:
    """A record, as its name tells it."""

    revision: int
    commit: str


@dataclass(frozen=True, slots=True)
class Tip:
    """The newest revision of a vCon, as Redis knows it."""

    revision: int
    commit: str


@dataclass(frozen=True, slots=True)
class History:
    """What the archive knows of a vCon: the revisions that came true, oldest first, and the records that did not
    (``orphans``). ``gap``: a revision is missing below the oldest one here, which is a fault. ``left``: what is left of
    one that was removed, whether this is its end or what was posted under its uuid since."""

    uuid: str
    records: tuple[Record, ...]
    orphans: tuple[Ref, ...] = ()
    gap: bool = False
    left: tuple[Ref, ...] = ()

    @property
    def tip(self) -> Record:
        """The newest revision."""
        return self.records[-1]

    @property
    def ended(self) -> bool:
        """True for a vCon that was removed."""
        return self.tip.removed

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


def path_of(uuid: str, revision: int, commit: str) -> str:
    """The object in which a record is."""
    if (packed := pack_of(commit)) is not None:
        return _pack_path(packed[0])
    return f"{ROOT}/{zlib.crc32(uuid.encode()) & 0xFF:02x}/{uuid}.{revision:08d}-{commit}.zst"


def _pack_path(pack: str) -> str:
    return f"{PACKS}/{pack[:2]}/{pack}.zst"


class Archive:
    """Records in an object store."""

    def __init__(self, objects: ObjectStore) -> None:
        self.objects = objects
        self._read_pack = lru_cache(maxsize=PACKS_HELD)(self._fetch_pack)

    # --- writing ------------------------------------------------------------------------------------------------

    def keep(self, records: Sequence[Record]) -> list[Record]:
        """Write these records and give them with the ids of their commits; when it returns they are there. Raises
        :class:`ObjectsUnavailable`."""
        kept = named(records)
        if kept and (packed := pack_of(kept[0].commit)) is not None:
            self._put(_pack_path(packed[0]), Pack.of(kept).to_bytes())
        else:
            for record in kept:
                self._put(path_of(record.uuid, record.revision, record.commit), squeezed(record.to_bytes()))
        return kept

    def _put(self, path: str, data: bytes) -> None:
        import obstore

        with explained(self.objects):
            obstore.put(self.objects, path, data, use_multipart=False)

    def forget(self, records: Iterable[Record]) -> None:
        """Delete records of this writer's own whose commit was refused: they never came true."""
        self._delete([(record.uuid, Ref(record.revision, record.commit)) for record in records])

    def erase(self, uuid: str, refs: Sequence[Ref]) -> None:
        """Delete records of a vCon that was removed; those that are gone already are no fault. Nobody else may take
        records out of the same packs meanwhile."""
        self._delete([(uuid, ref) for ref in refs])

    def _delete(self, refs: Sequence[tuple[str, Ref]]) -> None:
        import obstore

        if not refs:
            return
        singles: list[str] = []
        packs: dict[str, set[int]] = {}
        for uuid, ref in refs:
            if (packed := pack_of(ref.commit)) is not None:
                packs.setdefault(packed[0], set()).add(packed[1])
            else:
                singles.append(path_of(uuid, ref.revision, ref.commit))
        self._read_pack.cache_clear()
        for pack, places in packs.items():
            try:
                rest = self._fetch_pack(pack).without(places)
            except RecordBroken:  # it is gone, or nobody can read it
                continue
            if rest:
                self._put(_pack_path(pack), rest.to_bytes())
            else:
                singles.append(_pack_path(pack))
        self._read_pack.cache_clear()
        for path in singles:
            with suppress(FileNotFoundError), explained(self.objects):
                obstore.delete(self.objects, path)

    def beside(self, uuid: str) -> list[Ref]:
        """The records of a vCon that have objects of their own, without looking through the whole archive."""
        import obstore
        from obstore.store import LocalStore

        folder = path_of(uuid, 1, "").rsplit("/", 1)[0]
        found: list[Ref] = []
        with explained(self.objects):
            for chunk in obstore.list(self.objects, folder, offset=f"{folder}/{uuid}"):
                for meta in chunk:
                    name = meta["path"].rsplit("/", 1)[-1]
                    if name.startswith(uuid) and (single := _NAME.fullmatch(name)) is not None:
                        found.append(Ref(int(single[2]), single[3]))
                if chunk[-1]["path"] > f"{folder}/{uuid}~" and not isinstance(self.objects, LocalStore):
                    break  # all but a local folder are listed in order
        return sorted(found)

    # --- reading ------------------------------------------------------------------------------------------------

    def walk(self) -> Iterator[tuple[str, list[Ref]]]:
        """Every vCon with its records by revision. The names are sorted on disk: memory does not grow with their
        number."""
        with closing(sqlite3.connect("")) as names:  # "": a database in a temporary file that nobody else sees
            names.execute("CREATE TABLE refs (uuid TEXT, revision INTEGER, commit_id TEXT)")
            for found in batched(self._every_ref(), 10_000):
                names.executemany("INSERT INTO refs VALUES (?, ?, ?)", found)
            names.execute("CREATE INDEX by_uuid ON refs (uuid, revision)")
            # In the order of writing: neighbours are in the same pack, which is read once for all of them.
            for (uuid,) in names.execute("SELECT uuid FROM refs GROUP BY uuid ORDER BY min(rowid)"):
                rows = names.execute("SELECT revision, commit_id FROM refs WHERE uuid = ? ORDER BY 1, 2", (uuid,))
                yield uuid, [Ref(revision, commit) for revision, commit in rows]

    def refs(self, uuid: str) -> list[Ref]:
        """Every record of a vCon, by revision. Looks through the whole archive."""
        return sorted(Ref(revision, commit) for found, revision, commit in self._every_ref() if found == uuid)

    def _every_ref(self) -> Iterator[tuple[str, int, str]]:
        import obstore

        with explained(self.objects):
            for chunk in obstore.list(self.objects, ROOT):
                for meta in chunk:
                    name = meta["path"].rsplit("/", 1)[-1]
                    if (single := _NAME.fullmatch(name)) is not None:
                        yield single[1], int(single[2]), single[3]
                    elif (pack := _PACK.fullmatch(name)) is not None:
                        for record in self._read_pack(pack[1]).records():
                            yield record.uuid, record.revision, record.commit

    def has(self, uuid: str, ref: Ref) -> bool:
        """True if the record is there and can be read."""
        try:
            self.load(uuid, ref)
        except RecordBroken:
            return False
        return True

    def load(self, uuid: str, ref: Ref) -> Record:
        """One record. Raises :class:`RecordBroken`, also where it is gone."""
        path = path_of(uuid, ref.revision, ref.commit)
        try:
            if (packed := pack_of(ref.commit)) is not None:
                record = self._read_pack(packed[0]).record(packed[1])
            else:
                record = read_record(unsqueezed(self._get(path)))
        except RecordBroken as error:
            raise RecordBroken(f"{path}: {error}") from None
        if (record.uuid, record.revision, record.commit) != (uuid, ref.revision, ref.commit):
            raise RecordBroken(f"{path} holds another record than its name says")
        return record

    def _fetch_pack(self, pack: str) -> Pack:
        return Pack.read(self._get(_pack_path(pack)))

    def _get(self, path: str) -> bytes:
        import obstore

        try:
            with explained(self.objects):
                return bytes(obstore.get(self.objects, path).bytes())
        except FileNotFoundError:
            raise RecordBroken("it is gone from the archive") from None

    def history(
        self, uuid: str, *, tip: Tip | None = None, refs: Sequence[Ref] | None = None, whole: bool = True
    ) -> History | None:
        """What became of a vCon; None where there is nothing. ``tip``: the newest revision, where Redis knows it;
        nothing is listed then. ``refs``: all records, where they were listed already. ``whole=False``: only as far
        back as the document at the tip needs. Raises :class:`RecordBroken`."""
        merged: tuple[Record, ...] = ()
        if tip is not None and tip.commit:
            top = Ref(tip.revision, tip.commit)
        else:
            refs = refs if refs is not None else self.refs(uuid)
            if not refs:
                return None
            top, merged = self._top(uuid, refs)
        came_true = [self.load(uuid, top)]
        gap = False
        while (
            not came_true[-1].removed
            and came_true[-1].previous
            and (whole or (came_true[-1].snapshot or came_true[-1].view) is None)
        ):
            before = came_true[-1]
            try:
                came_true.append(self.load(uuid, Ref(before.revision - 1, before.previous)))
            except RecordBroken:
                gap = True
                break
        came_true.reverse()
        if not whole and came_true[0].view is None and came_true[0].snapshot is not None:
            came_true[0] = replace(came_true[0], view=came_true[0].snapshot, changes=())  # nothing before is needed
        used = {record.commit for record in (*came_true, *merged)}
        rest = [each for each in refs or () if each.commit not in used]
        first = came_true[0]
        if not first.removed and (gap or first.previous):
            return History(uuid, (*came_true, *merged), tuple(rest), gap)
        begin = first.revision + first.removed
        left = [ref for ref in rest if ref.revision < begin and not self.is_removal(uuid, ref)]
        orphans = tuple(ref for ref in rest if ref.revision >= begin)
        return History(uuid, (*came_true, *merged), orphans, gap, tuple(left))

    def is_removal(self, uuid: str, ref: Ref) -> bool:
        """True for the record by which a vCon ended."""
        try:
            return self.load(uuid, ref).removed
        except RecordBroken:
            return False

    def _top(self, uuid: str, refs: Sequence[Ref]) -> tuple[Ref, tuple[Record, ...]]:
        """The newest revision, where nothing says which commit made it. Two records that both claim it are of writers
        of which only one can have succeeded, and Redis, which knew, is lost. What both appended is then kept, once
        where it is the same: nothing that was acknowledged may be missing."""
        highest = refs[-1].revision
        rivals = [ref for ref in refs if ref.revision == highest]
        if len(rivals) == 1:
            return rivals[0], ()
        records = sorted((self.load(uuid, ref) for ref in rivals), key=lambda record: record.at)
        for record in records:
            if record.removed:  # somebody wanted it gone, and may have been told that it is
                return Ref(highest, record.commit), ()
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
            uuid=winner.uuid, revision=highest + 1, commit=os.urandom(8).hex(), previous=winner.commit, changes=extra
        )
        return top, (united,)


def meta_of(meta: Mapping[str, str]) -> dict[str, str]:
    """What of a document's meta a record keeps: everything but what the commit itself decides."""
    return {name: value for name, value in meta.items() if name not in ("revision", "commit")}
