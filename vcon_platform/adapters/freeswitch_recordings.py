"""Where a recording lies here, given where the switch says it put it.

Belongs here: mapping a path of the switch to a file under the configured folders, and nothing outside them. Not here:
which recordings a call has (``freeswitch_cdr.py``), how long to wait for one (``freeswitch.py``).

A call record is outside input: whoever can place a call can put words into its variables. So a path is never opened
as written. Its tail is looked for under the recordings folder, and what is found must still be inside once links are
followed; ``..`` gets nobody anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MAX_DEPTH = 12
_MAX_PART = 255


@dataclass(frozen=True, slots=True)
class Found:
    """A recording that is there: its path, size in bytes and modification time in nanoseconds."""

    path: Path
    size: int
    mtime_ns: int


def tail_of(announced: str) -> tuple[str, ...]:
    """The usable folders and the name of a switch's path (of either system), outermost first; empty if there is no
    name in it. Whatever stands before a ``..`` is dropped."""
    parts: list[str] = []
    for part in re.split(r"[/\\]+", announced):
        if part in ("", "."):
            continue
        if part == "..":
            parts.clear()
        elif len(part.encode()) > _MAX_PART or "\x00" in part:
            return ()
        else:
            parts.append(part)
    if announced.rstrip("/\\") != announced:
        return ()
    return tuple(parts[-_MAX_DEPTH:])


def find_recording(announced: str, folder: Path) -> Found | None:
    """The recording under ``folder``, or None. The longest tail of the path that exists wins, so that equal names in
    different sub folders are told apart; an empty file is none (the switch makes it before it writes to it)."""
    tail = tail_of(announced)
    if not tail:
        return None
    for candidate in _candidates(announced, tail, folder):
        found = look(candidate, folder)
        if found is not None:
            return found
    return None


def look(path: Path, folder: Path) -> Found | None:
    """This file if it is one, is inside ``folder`` once links are followed, and is not empty."""
    try:
        status = path.stat()
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # no such file, a name the system refuses, a loop of links
        return None
    if not inside or not path.is_file() or status.st_size == 0:
        return None
    return Found(path, status.st_size, status.st_mtime_ns)


def _candidates(announced: str, tail: tuple[str, ...], folder: Path) -> Iterator[Path]:
    direct = Path(announced)
    if direct.is_absolute() and ".." not in direct.parts and direct.is_relative_to(folder):
        yield direct  # the switch writes where we read
    for start in range(len(tail)):
        yield folder.joinpath(*tail[start:])
