"""The processor ``recall_finder``: lets a conversation go on only if it speaks of a recall.

Belongs here: finding whole words and phrases in what was said. Not here: what was said (``vcon/turns.py``).

It looks for words, not for meanings: "I recall that we spoke" counts as much as "the product recall". For the list
of calls that somebody will look through, one too many costs a minute and one too few may cost a life.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated

from pydantic import Field, StringConstraints

from vcon_platform.processors.base import Effects, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.vcon.turns import transcript_text

Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class RecallFinderOptions(ProcessorOptions):
    """What ``recall_finder`` can be told."""

    words: tuple[Phrase, ...] = Field(
        default=("recall", "recalls", "recalled", "recalling"),
        min_length=1,
        max_length=500,
        title="Words",
        description="Words or phrases, any of which counts. Matched whole, whatever their case; any white space "
        "stands for a blank, so a phrase may go on in the next turn. Nothing in them is a pattern.",
    )
    min_count: int = Field(
        default=1,
        ge=1,
        title="Least matches",
        description="How many matches a conversation needs to go on.",
    )


class RecallFinder(Processor[RecallFinderOptions]):
    """A filter on what was said."""

    name = "recall_finder"
    version = "1.0.0"
    title = "Find recalls"
    description = (
        "Goes on only with conversations whose transcript or messages hold one of the words. Sets the parameter "
        "recall_finder to {matches: how many}."
    )
    effects = Effects(may_drop=True)
    options = RecallFinderOptions

    def process(self, io: ProcessorIO, options: RecallFinderOptions) -> ProcessorIO:
        """Drops the conversation if it has too few matches, or nothing to search."""
        text = transcript_text(io.vcon)
        matches = count_matches(text, options.words)
        io.parameters[self.name] = {"matches": matches}
        if not text:
            io.drop("no transcript to search")
        elif not matches:
            io.drop(f"the conversation does not mention {_listed(options.words)}")
        elif matches < options.min_count:
            io.drop(f"the conversation mentions {_listed(options.words)} {matches} of {options.min_count} times")
        return io


def count_matches(text: str, phrases: Iterable[str]) -> int:
    """How often any of the phrases occurs in the text as whole words. Where phrases overlap, the longest counts."""
    return sum(1 for _ in _pattern(tuple(phrases)).finditer(_folded(text)))


def _folded(text: str) -> str:
    """For comparing: case folded, composed letters (an accent may be written in two ways)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


@lru_cache(maxsize=32)
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str]:
    """Escaped words joined by white space: nothing a user writes is an expression, and no part of the pattern can
    match one stretch of text in two ways, so the time grows with the text alone."""
    found = sorted({tuple(_folded(phrase).split()) for phrase in phrases}, key=lambda words: (-len(words), words))
    alternatives = "|".join(r"\s+".join(re.escape(word) for word in words) for words in found)
    return re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)")


def _listed(words: tuple[str, ...]) -> str:
    shown = ", ".join(words[:3])
    return shown if len(words) <= 3 else f"{shown} or {len(words) - 3} more"
