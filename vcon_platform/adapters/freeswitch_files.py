"""The files of a FreeSWITCH spool or archive: what is there, and what was there when it was captured.

Belongs here: listing record files, fingerprints, and finding recordings in a spool or an archive's days. Not here:
what is in a record (``freeswitch_cdr.py``), which records belong together (``freeswitch_legs.py``).

A look at a spool of 100,000 known calls must cost one directory scan and one ``stat`` for each recording, never a
parse. So a claim's fingerprint itself says which recordings it covers.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import orjson

from vcon_platform.adapters.freeswitch_recordings import Found, find_recording, look, tail_of

_NAME = re.compile(r"(?:a_)?(?P<uuid>[0-9a-f-]{36})?.*\.cdr\.json", re.IGNORECASE)
_MAX_DEPTH = 8


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A record file: its key (path inside the folder that was scanned), and what its directory entry says."""

    key: str
    path: Path
    size: int
    mtime_ns: int
    uuid: str

    @property
    def stamp(self) -> str:
        """What changes when the file does."""
        return f"{self.size}-{self.mtime_ns}"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a record's claim says: the record's stamp, the recordings taken with it (name in the recordings folder ->
    stamp), announced ones that were not there, and legs that only their own records tie to this call."""

    stamp: str
    recordings: Mapping[str, str] = field(default_factory=dict)
    missing: Sequence[str] = ()
    legs: Sequence[str] = ()
    problem: str = ""

    def __str__(self) -> str:
        parts = {"r": dict(self.recordings), "m": list(self.missing), "l": list(self.legs), "p": self.problem}
        extra = {key: value for key, value in parts.items() if value}
        return f"{self.stamp} {orjson.dumps(extra).decode()}" if extra else self.stamp

    @classmethod
    def read(cls, text: str) -> Fingerprint:
        """The reverse of ``str()``. Anything else reads as a fingerprint that nothing equals."""
        stamp, _, extra = text.partition(" ")
        try:
            parts: Any = orjson.loads(extra) if extra else {}
            return cls(stamp, dict(parts.get("r", {})), parts.get("m", ()), parts.get("l", ()), parts.get("p", ""))
        except (ValueError, AttributeError, TypeError):
            return cls("")


class Recordings(Protocol):
    """Where recordings are looked for."""

    def find(self, announced: str) -> Found | None:
        """The recording that a switch's path means here, if it is there."""
        ...

    def name(self, found: Found) -> str:
        """Its name in fingerprints."""
        ...


@dataclass(frozen=True, slots=True)
class SpoolRecordings:
    """The recordings folder of a live spool."""

    folder: Path

    def find(self, announced: str) -> Found | None:
        return find_recording(announced, self.folder)

    def name(self, found: Found) -> str:
        return found.path.relative_to(self.folder).as_posix()

    def stamp(self, name: str) -> tuple[str, int] | None:
        """Stamp and mtime (ns) of a recording that was taken before; None if it is gone. One ``stat``: the name was
        checked when it was taken, and it is checked again before it is taken again."""
        try:
            status = os.stat(f"{self.folder}/{name}")  # noqa: PTH116 - half a million Paths a minute are too many
        except (OSError, ValueError):
            return None
        return stamp_of(status.st_size, status.st_mtime_ns), status.st_mtime_ns


class ArchiveRecordings:
    """The recordings in an archive's day folders: beside the records or in any sub folder."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._by_name: dict[str, Path] | None = None

    def find(self, announced: str) -> Found | None:
        for folder in self._folders:
            if found := find_recording(announced, folder):
                return found
        tail = tail_of(announced)
        path = self._index().get(tail[-1]) if tail else None
        if path is None:
            return None
        return next((found for folder in self._folders if (found := look(path, folder))), None)

    def name(self, found: Found) -> str:
        return found.path.name

    def _index(self) -> dict[str, Path]:
        if self._by_name is None:
            self._by_name = {}
            for folder in self._folders:
                for entry in _walk(folder, 0):
                    self._by_name.setdefault(entry.name, Path(entry.path))
        return self._by_name


def stamp_of(size: int, mtime_ns: int) -> str:
    """The stamp of a file."""
    return f"{size}-{mtime_ns}"


def list_records(folder: Path, prefix: str = "") -> Iterator[RecordFile]:
    """Every record file under a folder. Links are not followed, other files are not looked at; a file that goes away
    meanwhile is left out."""
    start = len(str(folder)) + 1
    for entry in _walk(folder, 0):
        match = _NAME.fullmatch(entry.name) if entry.name.endswith(".cdr.json") else None
        if match is None or entry.name.startswith("."):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        key = prefix + entry.path[start:].replace(os.sep, "/")
        uuid = (match["uuid"] or "").lower()
        yield RecordFile(key, Path(entry.path), status.st_size, status.st_mtime_ns, uuid)


def _walk(folder: Path | str, depth: int) -> Iterator[os.DirEntry[str]]:
    try:
        entries = os.scandir(folder)
    except OSError:
        if depth == 0:
            raise
        return
    with entries:
        for entry in entries:
            try:
                is_folder, is_file = entry.is_dir(follow_symlinks=False), entry.is_file(follow_symlinks=False)
            except OSError:
                continue
            if is_file:
                yield entry
            elif is_folder and depth < _MAX_DEPTH:
                yield from _walk(entry.path, depth + 1)
