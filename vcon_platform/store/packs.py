"""Packs: records that were written together, in one object of the archive.

Belongs here: how several records are one object. Not here: where objects are (``archive.py``), what a record is
(``records.py``).

A batch of a hundred revisions as a hundred objects would cost more than all the rest of its storing: 0.1 to 0.6 ms each
on a local disk, and a request each in a cloud. As one object it costs one, and compresses better.

A commit in a pack is called ``{pack}.{place}``, so that whoever knows the commit knows where its record is. A record
that must go (its commit was refused, its vCon is erased) leaves a hole, and the others keep their places.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from itertools import accumulate

import orjson

from vcon_platform.store.records import Record, RecordBroken, read_record, squeezed, unsqueezed

FEWEST = 2
"""Records from which on a pack is made."""
HEAVIEST = 16 << 20
"""Bytes of a pack before compression, about: what reading one record of it costs at most."""


def named(records: Sequence[Record]) -> list[Record]:
    """The records, given the ids of their commits: packed where they are many and light."""
    packed = len(records) >= FEWEST and sum(record.weight for record in records) <= HEAVIEST
    pack = os.urandom(8).hex()
    for place, record in enumerate(records):
        record.commit = f"{pack}.{place}" if packed else os.urandom(8).hex()
    return list(records)


def pack_of(commit: str) -> tuple[str, int] | None:
    """The pack of a commit and its place there; None for one that has an object of its own."""
    pack, dot, place = commit.partition(".")
    return (pack, int(place)) if dot and place.isdecimal() else None


class Pack:
    """The records of one pack, as bytes; a hole is empty."""

    def __init__(self, raws: Sequence[bytes]) -> None:
        self._raws = list(raws)

    @classmethod
    def of(cls, records: Sequence[Record]) -> Pack:
        """A pack of these records, each in the place its commit names."""
        raws = [b""] * len(records)
        for record in records:
            place = pack_of(record.commit)
            assert place is not None  # noqa: S101 - `named` gave it one
            raws[place[1]] = record.to_bytes()
        return cls(raws)

    @classmethod
    def read(cls, data: bytes) -> Pack:
        """What :meth:`to_bytes` wrote. Raises :class:`RecordBroken`."""
        head, _, body = unsqueezed(data).partition(b"\n")
        try:
            lengths = orjson.loads(head)
            ends = list(accumulate(lengths))
            return cls([body[end - length : end] for end, length in zip(ends, lengths, strict=True)])
        except (orjson.JSONDecodeError, TypeError, ValueError) as error:
            raise RecordBroken(f"a pack of the archive cannot be read ({type(error).__name__})") from None

    def to_bytes(self) -> bytes:
        """The pack as an object of the archive."""
        return squeezed(b"".join((orjson.dumps([len(raw) for raw in self._raws]), b"\n", *self._raws)))

    def record(self, place: int) -> Record:
        """The record in a place. Raises :class:`RecordBroken` for a hole."""
        if place >= len(self._raws) or not self._raws[place]:
            raise RecordBroken("the record is gone from its pack")
        return read_record(self._raws[place])

    def records(self) -> list[Record]:
        """All records that are there."""
        return [read_record(raw) for raw in self._raws if raw]

    def without(self, places: Collection[int]) -> Pack:
        """The pack with holes in these places."""
        return Pack([b"" if place in places else raw for place, raw in enumerate(self._raws)])

    def __bool__(self) -> bool:
        return any(self._raws)
