"""What services answer, as segments: by the readers of the turn table, so that both never disagree.

Belongs here: from a reply that was read by ``vcon/transcripts.py`` to :class:`~.speech.Segment` s. Not here: shapes of
replies that are no transcript's by themselves (each engine brings its own into one).
"""

from __future__ import annotations

from typing import Any

from vcon_platform.processors.speech import Segment, SpokenWord
from vcon_platform.vcon.pieces import Piece, Word
from vcon_platform.vcon.transcripts import pieces


def segments_in(
    reply: Any, *, channel: int | None = None, offset: float = 0.0, part: int | None = None
) -> list[Segment]:
    """The turns of a transcript's body. ``channel``: the one that was sent, where the reply knows of no others;
    ``offset``: seconds at which what was sent begins in the recording; ``part``: the number of what was sent, where
    voices have names that hold for one part only."""
    return [_segment(piece, channel, offset, part) for piece in pieces(reply)]


def _segment(piece: Piece, channel: int | None, offset: float, part: int | None) -> Segment:
    speaker = piece.speaker
    return Segment(
        channel=channel if channel is not None else piece.channel or 0,
        text=piece.text,
        words=tuple(spoken for word in piece.words if (spoken := _spoken(word, offset)) is not None),
        speaker=speaker if speaker is None or part is None else f"{speaker}/{part + 1}",
        start=_later(piece.start, offset),
        end=_later(piece.end, offset),
        confidence=piece.confidence,
    )


def _spoken(word: Word, offset: float) -> SpokenWord | None:
    """A word with its times; None for one that has none, which is in the text all the same."""
    start = _later(word.start, offset)
    if start is None:
        return None
    end = _later(word.end, offset)
    return SpokenWord(word.text, start, max(start, start if end is None else end), word.confidence)


def _later(seconds: float | None, offset: float) -> float | None:
    return None if seconds is None else round(seconds + offset, 3)
