"""Lines as tokens, and the digits that words stand for.

Belongs here: cutting text into words, digits and marks with their places; what number words are worth. Not here: which
numbers are somebody's (``personal_data_numbers.py``).

People say numbers in every way: "four one one one", "forty-one eleven", "double five", "oh four". What is wanted is
never the exact value, only the digits in their order and how many there are, so one table of words is enough. Words
that sound like digits (``to``, ``for``, ``oh``) are digits only among digits: recognisers write "for one one one".
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s]|_")  # noqa: RUF001 - the apostrophe of word processors

_ONES = {w: str(n) for n, w in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight"))}
_ONES |= {"nine": "9", "nought": "0", "naught": "0", "fife": "5", "niner": "9", "zeros": "0", "zeroes": "0"}
_ONES |= {f"{w}s": d for w, d in _ONES.items() if w in ("one", "two", "three", "four", "five", "seven", "eight")}
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()  # noqa: SIM905
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()  # noqa: SIM905
_NUMBERS = (
    _ONES
    | {w: str(n + 10) for n, w in enumerate(_TEENS)}
    | {w: str(n * 10 + 20) for n, w in enumerate(_TENS)}
    | {"fourty": "40", "ninty": "90"}
)
_WEAK = {"oh": "0", "o": "0", "ow": "0", "owe": "0", "to": "2", "too": "2", "for": "4", "fore": "4", "ate": "8"}
_WEAK |= {"won": "1", "tree": "3", "sex": "6", "nein": "9", "nigh": "9", "sven": "7", "free": "3", "tu": "2", "l": "1"}
_TIMES = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_MAGNITUDES = {"hundred": "00", "thousand": "000", "million": "000000"}


@dataclass(frozen=True, slots=True)
class Token:
    """One word, number or mark. ``line``, ``start``, ``end``: where it stands; ``place``: which token of the line.
    ``lower``: the text casefolded.

    ``digits`` is what it stands for, "" where that is no number. ``spoken``: it is a number word. ``weak``: it stands
    for digits only among digits. ``magnitude``: hundred, thousand, million.
    """

    line: int
    start: int
    end: int
    text: str
    lower: str
    place: int
    digits: str = ""
    spoken: bool = False
    weak: bool = False
    magnitude: bool = False

    @property
    def is_word(self) -> bool:
        """True for words and numbers, false for marks."""
        return self.text[0].isalnum()

    @property
    def is_letter(self) -> bool:
        """True for a single letter, as in a name that is spelled."""
        return len(self.text) == 1 and self.text.isalpha()


def tokens_of(line: int, text: str) -> list[Token]:
    """The tokens of one line, in their order."""
    found: list[Token] = []
    tens = times = 0
    for match in _TOKEN.finditer(text):
        word = match[0]
        lower = word.casefold().replace("’", "'")  # noqa: RUF001
        digits, spoken, weak, magnitude = "", False, False, False
        if word.isdigit():
            digits = "".join(str(int(each)) if each.isdecimal() else "" for each in word)
        elif lower in _NUMBERS:
            digits, spoken = _NUMBERS[lower], True
            if tens and len(digits) == 1 and digits != "0":  # forty one: the one replaces the zero of forty
                found[tens - 1] = _cut(found[tens - 1])
        elif lower in _WEAK:
            digits, spoken, weak = _WEAK[lower], True, True
        elif lower in _MAGNITUDES:
            digits, spoken, magnitude = _MAGNITUDES[lower], True, True
        if digits and times and len(digits) == 1:
            digits *= times
        if word.isalnum():
            times = _TIMES.get(lower, 0)
        found.append(Token(line, match.start(), match.end(), word, lower, len(found), digits, spoken, weak, magnitude))
        if spoken and len(digits) == 2 and digits[1] == "0" and digits != "10" and not times and not weak:
            tens = len(found) if lower in _TENS else 0
        elif word not in ("-", "‐", "–"):  # noqa: RUF001 - forty-one
            tens = 0
    return found


def _cut(token: Token) -> Token:
    return replace(token, digits=token.digits[:1])


def is_multiplier(token: Token) -> bool:
    """True for "double" and its like."""
    return token.lower in _TIMES


CAPITALS = "A-Z" + "".join(
    chr(code)
    for block in ((0xC0, 0x250), (0x370, 0x530), (0x1E00, 0x1F00))
    for code in range(*block)
    if chr(code).isupper()
)
"""Capital letters of Latin, Greek and Cyrillic, for a pattern's brackets."""


def words_in(tokens: Sequence[Token]) -> Iterator[Token]:
    """The tokens without the marks."""
    return (token for token in tokens if token.is_word)


def length_of(run: Sequence[Token]) -> int:
    """How many digits a run of tokens stands for: "three hundred sixty five" are three, not five."""
    total = 0
    for place, token in enumerate(run):
        if token.magnitude and place + 1 < len(run) and not run[place + 1].magnitude:
            following = run[place + 1]
            width = len(token.digits)
            total += max(0, width - len(following.digits) - (1 if following.lower in _TENS else 0)) if width < 4 else 0
            continue
        total += len(token.digits)
    return total


def luhn(digits: str) -> bool:
    """The check digit of payment cards."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        if place % 2:
            value = value * 2 - 9 if value > 4 else value * 2
        total += value
    return total % 10 == 0
