"""Transcripts that are plain text.

Belongs here: where a turn ends, and whose it is where the text says so. Not here: captions (``captions.py``).

A blank line ends a turn, and so does a line that begins with a voice. Which words before a colon are a voice must
be known beforehand, or ``Note:`` would speak: they are the names and roles of the document's parties and the few
names that transcribers use. Only where none of these is found, and every line of the text begins with a name and a
colon, are those names voices by themselves.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from vcon_platform.vcon.pieces import Piece, clock_seconds

_USUAL = re.compile(
    r"(?:speaker|spk|channel)[ _]?(?:\d{1,3}|[a-z])|agent|customer|caller|callee|operator|representative"
    r"|unknown speaker|user|assistant",
    re.IGNORECASE,
)
_SCRIPT = re.compile(r"[^\W\d_][\w .'()-]{0,40}: +\S")
_CLOCK = re.compile(r"[\[(](\d{1,3}(?::\d\d){1,2}(?:[.,]\d{1,3})?)[\])]\s*")
_LONGEST_VOICE = 100


def plain(text: str, voices: Collection[str]) -> list[Piece]:
    """The turns of plain text. ``voices`` are casefolded names that may stand before a colon."""
    found: list[Piece] = []
    speaker: str | None = None
    start: float | None = None
    lines: list[str] = []

    def close() -> None:
        if lines:
            found.append(Piece(text=" ".join(lines), speaker=speaker, start=start))
            lines.clear()

    all_lines = text.splitlines()
    if _is_script(all_lines) and not any(_voice(line.strip(), voices)[0] for line in all_lines):
        voices = {line.partition(":")[0].strip().casefold() for line in all_lines}
    for line in all_lines:
        said = line.strip()
        if not said:
            close()
            speaker = start = None
            continue
        clock = _CLOCK.match(said)
        rest = said[clock.end() :] if clock else said
        voice, spoken = _voice(rest, voices)
        if clock or voice is not None:
            close()
            speaker, start = voice, clock_seconds(clock[1]) if clock else None
        if spoken:
            lines.append(spoken)
    close()
    return found


def _is_script(lines: list[str]) -> bool:
    """True if every line says whose it is, and there are two of them at least."""
    filled = 0
    for line in lines:
        if line.strip():
            if not _SCRIPT.match(line.lstrip()):
                return False
            filled += 1
    return filled > 1


def _voice(line: str, voices: Collection[str]) -> tuple[str | None, str]:
    """(voice, what it says) of a line."""
    colon = line.find(":", 0, _LONGEST_VOICE)
    if colon > 0 and line[colon + 1 : colon + 2].strip() == "":
        name = line[:colon].strip()
        if name.casefold() in voices or _USUAL.fullmatch(name):
            return name, line[colon + 1 :].strip()
    return None, line
