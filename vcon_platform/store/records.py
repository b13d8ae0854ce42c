"""What the archive holds of one revision of one vCon, and how it is written down.

Belongs here: the record and its bytes. Not here: where records are kept and how they are found (``archive.py``).

A record says how a revision came about, so that Redis can be rebuilt from records alone: either somebody posted
content (``view``, with the exact ``original``), or a writer made ``changes`` to the revision before; a re-post that
keeps what pipelines had added is both. Every so often a record also carries the whole document (``snapshot``), so that
reading one back never takes more than a few steps. One that says ``removed`` has nothing else: the vCon ended there
(``removing.py``).

Why a record names its commit and the one before: records are written *before* the commit they describe, because a
caller may be told of a commit only when the archive has it. A writer that dies in between, or loses the race for a
revision, leaves a record that never came true; the chain of ``previous`` tells it from the one that did.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.document import Change, Vcon, change_from_json, change_to_json

FORMAT = 1
LEVEL = 3
"""zstd's default: 11 us for 7 KB of JSON; level 1 is no quicker at this size."""
LARGEST = 1 << 31
"""Bytes that a record may inflate to: what the gates let in, several times over."""


class RecordBroken(PlatformError):
    """An object of the archive that cannot be read."""


@dataclass(frozen=True, slots=True)
class Original:
    """The bytes that were posted. ``skeleton`` is all of them but the long bodies, which are media: ``splices`` says
    which go where (``vcon/bodies.py``). ``apart``: the medium that is these bytes, where they cannot be made again from
    parts (gzip). ``sha256`` is the hex digest of the bytes as they came."""

    sha256: str
    size: int
    skeleton: bytes = b""
    splices: tuple[tuple[Any, ...], ...] = ()
    apart: str = ""


@dataclass(slots=True, kw_only=True)
class Record:
    """One revision. ``meta`` is what is kept beside the document in Redis, as far as this commit set it. Nobody changes
    a record once it is kept; until then it has no commit."""

    uuid: str
    revision: int
    commit: str = ""
    previous: str = ""
    at: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    meta: dict[str, str] = field(default_factory=dict)
    view: bytes | None = None
    original: Original | None = None
    changes: tuple[Change, ...] = ()
    snapshot: bytes | None = None
    removed: bool = False

    def to_bytes(self) -> bytes:
        """The record as the archive keeps it: a line of JSON that tells the parts' lengths, then the parts."""
        changes = orjson.dumps([change_to_json(change) for change in self.changes]) if self.changes else b""
        original = self.original
        # A document that needed no migration is its own view, and is not written twice.
        same = original is not None and original.skeleton == self.view
        header = {
            "format": FORMAT,
            "uuid": self.uuid,
            "revision": self.revision,
            "commit": self.commit,
            "previous": self.previous,
            "at": self.at,
            "meta": self.meta,
            "original": None
            if original is None
            else [
                original.sha256,
                original.size,
                original.splices,
                original.apart,
                None if same else len(original.skeleton),
            ],
            "view": None if self.view is None else len(self.view),
            "changes": len(changes),
            "snapshot": None if self.snapshot is None else len(self.snapshot),
        }
        if self.removed:
            header["removed"] = True
        skeleton = original.skeleton if original is not None and not same else b""
        parts = (self.view or b"", skeleton, changes, self.snapshot or b"")
        return b"".join((orjson.dumps(header), b"\n", *parts))

    @property
    def weight(self) -> int:
        """About how many bytes it has."""
        skeleton = len(self.original.skeleton) if self.original is not None else 0
        return len(self.view or b"") + skeleton + len(self.snapshot or b"")

    def document(self) -> bytes | None:
        """The whole document at this revision, where the record alone tells it."""
        if self.snapshot is not None:
            return self.snapshot
        return self.view if self.view is not None and not self.changes else None

    def replay(self, before: Vcon | None) -> Vcon:
        """The document at this revision, made from the one before (needed unless the record holds a ``view``). Its
        ``changes`` go on from those of ``before``. Raises :class:`RecordBroken`."""
        try:
            if self.view is not None:
                vcon = Vcon(orjson.loads(self.view))
            elif before is not None:
                vcon = before
            else:
                raise RecordBroken(f"revision {self.revision} of vCon {self.uuid} has nothing to be made from")
            for change in self.changes:
                vcon.apply(change)
        except (orjson.JSONDecodeError, KeyError, IndexError, TypeError) as error:
            raise RecordBroken(
                f"revision {self.revision} of vCon {self.uuid} cannot be made again ({type(error).__name__})"
            ) from None
        vcon.revision, vcon.commit = self.revision, self.commit
        return vcon


def read_record(raw: bytes) -> Record:
    """What :meth:`Record.to_bytes` wrote. Raises :class:`RecordBroken`."""
    try:
        head, _, body = raw.partition(b"\n")
        header = orjson.loads(head)
        if header["format"] != FORMAT:
            raise RecordBroken(f"a record has format {header['format']}, this version reads {FORMAT}; update it")
        at = 0

        def part(length: int | None) -> bytes | None:
            nonlocal at
            if length is None:
                return None
            at += length
            return body[at - length : at]

        view = part(header["view"])
        original = None
        if header["original"] is not None:
            sha256, size, splices, apart, length = header["original"]
            skeleton = (view or b"") if length is None else part(length) or b""
            original = Original(sha256, size, skeleton, tuple(tuple(splice) for splice in splices), apart)
        changes = part(header["changes"])
        snapshot = part(header["snapshot"])
        return Record(
            uuid=header["uuid"],
            revision=header["revision"],
            commit=header["commit"],
            previous=header["previous"],
            at=header["at"],
            meta=header["meta"],
            view=view,
            original=original,
            changes=tuple(change_from_json(each) for each in orjson.loads(changes)) if changes else (),
            snapshot=snapshot,
            removed=header.get("removed", False),
        )
    except (orjson.JSONDecodeError, KeyError, ValueError, TypeError, IndexError) as error:
        raise RecordBroken(f"an archived record cannot be read ({type(error).__name__})") from None


def squeezed(raw: bytes) -> bytes:
    """The bytes as an object of the archive: zstd."""
    return bytes(_compressor().compress(raw))


def unsqueezed(data: bytes) -> bytes:
    """What :func:`squeezed` was given. Raises :class:`RecordBroken`."""
    import zstandard

    try:
        if zstandard.frame_content_size(data) > LARGEST:
            raise RecordBroken("an object of the archive inflates to more than any may")
        return bytes(_decompressor().decompress(data))
    except zstandard.ZstdError as error:
        raise RecordBroken(f"an object of the archive cannot be read ({error})") from None


_local = threading.local()  # zstd contexts are costly to make and must not be shared by threads


def _compressor() -> Any:
    if not hasattr(_local, "compressor"):
        import zstandard

        _local.compressor = zstandard.ZstdCompressor(level=LEVEL)
    return _local.compressor


def _decompressor() -> Any:
    if not hasattr(_local, "decompressor"):
        import zstandard

        _local.decompressor = zstandard.ZstdDecompressor()
    return _local.decompressor
