"""Finding words and phrases in a text: whole, in any case, and nothing in them is a pattern.

Belongs here: what counts as a match. Not here: which texts are searched and what a match means
(``keyword_filter.py``, ``recall_finder.py``).

It looks for words, not for meanings: "I recall that we spoke" counts as much as "the product recall".
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, NamedTuple

from pydantic import AfterValidator, StringConstraints


def _worded(phrase: str) -> str:
    if not phrase.split():
        raise ValueError("holds no word")
    return phrase


Phrase = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_worded)]
"""The type of an option that holds one."""

GAP = "\n\0\n"
"""Between texts that no phrase may reach across."""


class _Phrases(NamedTuple):
    """``pattern`` matches any of them; ``written``: each as its author wrote it, by its folded words."""

    pattern: re.Pattern[str]
    written: dict[tuple[str, ...], str]


def count_matches(text: str, phrases: Iterable[str]) -> int:
    """How often any of the phrases occurs in the text as whole words. Where phrases overlap, the longest counts."""
    return sum(1 for _ in _compiled(tuple(phrases)).pattern.finditer(_folded(text)))


def counted(text: str, phrases: Iterable[str]) -> dict[str, int]:
    """How often each phrase that occurs at all was found; where phrases overlap, the longest counts. The sum is
    :func:`count_matches`."""
    compiled = _compiled(tuple(phrases))
    found = Counter(match[0] for match in compiled.pattern.finditer(_folded(text)))
    told: Counter[str] = Counter()
    for words, times in found.items():
        told[compiled.written[tuple(words.split())]] += times
    return dict(told)


def occurs(text: str, phrase: str) -> bool:
    """True if the phrase occurs, also within a longer one."""
    return _compiled((phrase,)).pattern.search(_folded(text)) is not None


def listed(phrases: tuple[str, ...]) -> str:
    """The phrases for people, three of them at most."""
    shown = ", ".join(phrases[:3])
    return shown if len(phrases) <= 3 else f"{shown} or {len(phrases) - 3} more"


def _folded(text: str) -> str:
    """For comparing: case folded, composed letters (an accent may be written in two ways)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


@lru_cache(maxsize=128)
def _compiled(phrases: tuple[str, ...]) -> _Phrases:
    """Escaped words joined by white space: nothing a user writes is an expression, and no part of the pattern can
    match one stretch of text in two ways, so the time grows with the text alone."""
    written: dict[tuple[str, ...], str] = {}
    for phrase in phrases:
        if words := tuple(_folded(phrase).split()):
            written.setdefault(words, phrase)
    found = sorted(written, key=lambda words: (-len(words), words))
    alternatives = "|".join(r"\s+".join(re.escape(word) for word in words) for words in found)
    return _Phrases(re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)" if found else r"(?!)"), written)
