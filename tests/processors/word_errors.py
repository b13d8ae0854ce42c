"""The word error rate: how many words of a script were not heard as they were spoken.

Scripts and models write numbers, addresses and names of firms differently ("four one one", "411", "4-1-1"), which says
nothing about what was heard. So both are brought to one form first: number words become digits, digits stand one by
one, spoken marks ("at", "dot") are the marks.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_NUMBERS = {word: number for number, word in enumerate(_UNITS)} | _TENS | {"oh": 0}
_SPOKEN = {"okay": "ok", "alright": "right", "mr": "mister", "ms": "miss"}


def normal_words(text: str) -> list[str]:
    """The words in one form."""
    text = text.lower().replace("\u2019", "'")
    text = re.sub(r"(?<=\w)@(?=\w)", " at ", text)
    text = re.sub(r"(?<=\w)\.(?=\w)", " dot ", text)
    text = re.sub(r"\$(\d[\d,]*)", r"\1 dollars", text)
    found: list[str] = []
    tens: int | None = None
    for word in re.findall(r"[a-z']+|\d", text.replace(",", "")):
        number = _NUMBERS.get(word)
        if tens is not None:
            together = number is not None and 0 < number < 10 and word != "oh"
            found += list(str(tens + (number or 0) if together else tens))
            tens = None
            if together:
                continue
        if number is not None and word in _TENS:
            tens = number
        elif number is not None:
            found += list(str(number))
        else:
            found.append(_SPOKEN.get(word, word).replace("'", ""))
    return found + (list(str(tens)) if tens is not None else [])


def word_errors(script: str, heard: str) -> tuple[int, int]:
    """(wrong words, words of the script): what must be changed, left out or added to make one of the other."""
    said = normal_words(script)
    return _distance(said, normal_words(heard)), len(said)


def _distance(one: Sequence[str], other: Sequence[str]) -> int:
    row = list(range(len(other) + 1))
    for place, word in enumerate(one, 1):
        before, row[0] = row[0], place
        for at, another in enumerate(other, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != another))
    return row[-1]
