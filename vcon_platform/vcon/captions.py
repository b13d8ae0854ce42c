"""Captions, WebVTT, SubRip and SubStation Alpha, as turns: what Whisper and meeting software write besides JSON.

Belongs here: cues, their times and voices. Not here: other plain text (``plain.py``).
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import replace

from vcon_platform.vcon.pieces import Piece, clock_seconds

_BEFORE = "\ufeff \r\n"
_SUBRIP = re.compile(r"\s*\d{1,9}\s*\r?\n\s*\d{1,3}:\d\d:\d\d[.,]\d{1,3}\s*-->")
_ARROW = re.compile(r"\s*([\d:.,]{1,20})\s*-->\s*([\d:.,]{1,20})")
_VOICE = re.compile(r"<v(?:\.[^\s>]{0,100})?\s+([^>]{1,200})>", re.IGNORECASE)
_SCRIPT = "[Script Info]"
_EVENT = re.compile(
    r"Dialogue:[^,]{0,20},([\d:. ]{1,20}),([\d:. ]{1,20}),[^,]{0,200},([^,]{0,200})(?:,[^,]{0,200}){4},(.*)"
)
_OVERRIDE = re.compile(r"\{[^{}]{0,500}\}")
_TAG = re.compile(r"</?[a-zA-Z\d][^<>]{0,200}>")


def are_captions(text: str) -> bool:
    """True if the text is WebVTT, SubRip or SubStation Alpha."""
    return text.lstrip(_BEFORE).startswith(("WEBVTT", _SCRIPT)) or _SUBRIP.match(text) is not None


def captions(text: str) -> Iterator[Piece]:
    """One piece per cue, in the order of the file. What stands outside of cues (header, notes, styles) is left out."""
    if text.lstrip(_BEFORE).startswith(_SCRIPT):
        yield from _events(text)
        return
    times: tuple[float | None, float | None] | None = None
    lines: list[str] = []
    for line in (*text.splitlines(), ""):
        arrow = _ARROW.match(line) if "-->" in line else None
        if arrow is None and line.strip():
            lines.append(line.strip())
            continue
        if times is not None:
            if arrow is not None and lines:
                lines.pop()  # the number of the next cue, where the blank line is missing
            if (piece := _cue(" ".join(lines), *times)) is not None:
                yield piece
        lines = []
        times = (clock_seconds(arrow[1]), clock_seconds(arrow[2])) if arrow else None


def _events(text: str) -> Iterator[Piece]:
    """One piece per text of a SubStation Alpha file: captions that follow the words say the same text again for each
    of its words."""
    last: Piece | None = None
    for line in text.splitlines():
        if (event := _EVENT.match(line)) is None:
            continue
        shown = " ".join(_OVERRIDE.sub("", event[4]).replace("\\N", " ").replace("\\n", " ").split())
        start, end, speaker = clock_seconds(event[1].strip()), clock_seconds(event[2].strip()), event[3].strip() or None
        if last is not None and (last.text, last.speaker) == (shown, speaker):
            last = replace(last, end=end)
            continue
        if last is not None:
            yield last
        last = Piece(text=shown, speaker=speaker, start=start, end=end) if shown else None
    if last is not None:
        yield last


def _cue(text: str, start: float | None, end: float | None) -> Piece | None:
    voice = _VOICE.search(text)
    try:
        spoken = html.unescape(_TAG.sub("", text)).strip()
    except ValueError:  # a character number of thousands of digits
        return None
    speaker = voice[1].strip() if voice else ""
    return Piece(text=spoken, speaker=speaker or None, start=start, end=end) if spoken else None
