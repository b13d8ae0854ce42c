"""Numbers that are somebody's, however they are said: cards, telephones, accounts, in one go, in pieces, over turns.

Belongs here: which digits of a conversation belong together, and which of those are masked as what. Not here: what a
word is worth in digits (``personal_data_tokens.py``), numbers with letters in them (``personal_data_phrases.py``).

Digits that follow one another with nothing but pauses between them are one number. That is looked for twice: in the
conversation as it went, so that "mm-hmm" of the listener does not end a card number, and in what each speaker said by
himself, because the listener may say more than that. What is in either is masked.

The rule errs on the side of masking. A number is left alone only if it is short and nobody asked for one, or if it
counts something (dollars, minutes), is a date, or is an amount of money.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from vcon_platform.processors.personal_data_tokens import Token, is_multiplier, length_of, luhn
from vcon_platform.processors.personal_data_words import BACKCHANNEL, BIRTH, CUES, MONTHS, UNITS

LONG = 5
"""Digits from which a number is masked though nobody asked for one."""
_SINGLE = 4
"""The same, where each digit is said by itself: nobody counts like that."""
_LEAST = {"PHONE": 4, "ID": 3, "CARD": 3, "SECRET": 2, "NATIONAL_ID": 2, "BANK": 3, "LOCATION": 4}
"""Digits from which a number is masked that was asked for, by what was asked for."""
_FILLERS_BETWEEN = 4
_LINES_BETWEEN = 3
"""Lines of other words between two pieces of one speaker's number."""
_NEAR = 20
"""Words and marks within which a leftover of a masked number is looked for."""
_CUE_LINES = 3
_CUE_WORDS = 14
_AFTER_WORDS = 5
_DATE = re.compile(r"\b(?:0?[1-9]|1[0-2])([/.-])(?:0?[1-9]|[12]\d|3[01])\1(?:19|20)?\d\d\b|\b(?:19|20)\d\d-\d\d-\d\d\b")
_DAY_FIRST = re.compile(r"\b(?:0?[1-9]|[12]\d|3[01])([/.-])(?:0?[1-9]|1[0-2])\1(?:19|20)?\d\d\b")
_AMOUNT = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d{1,2}")
_MONEY = "$£€¥"
_YEAR_BEFORE = frozenset("in since from of until till by year before after during".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Said:
    """One line with its tokens. ``who``: whose line it is, None where nobody knows."""

    text: str
    who: object
    tokens: Sequence[Token]
    cues: Sequence[tuple[int, int, str]]
    """(begin, end, label) of what is asked for or announced in it."""


def cues_in(text: str) -> list[tuple[int, int, str]]:
    """What this line asks for or announces, in the order of its words."""
    found = [(m.start(), m.end(), label) for label, pattern in CUES for m in pattern.finditer(text)]
    found += [(m.start(), m.end(), "BIRTH_DATE") for m in BIRTH.finditer(text)]
    return sorted(found)


def numbers(said: Sequence[Said]) -> Iterator[tuple[int, int, int, str]]:
    """(line, begin, end, label) of every piece of a number that is to be masked; pieces of one number are one within
    a line, pauses included."""
    runs = list(_runs(said, range(len(said))))
    for who in {line.who for line in said}:
        runs += _runs(said, [number for number, line in enumerate(said) if line.who == who])
    labels = [_label(said, run) for run in runs]
    near = _Neighbourhood(said, [(run, label) for run, label in zip(runs, labels, strict=True) if label])
    for run, label in zip(runs, labels, strict=True):
        if label := label or near.label(run):
            yield from _pieces(run, label)


class _Neighbourhood:
    """What stands around the numbers that are masked. A recogniser that drops a word within a number makes two of it,
    and what is left over is too short to be one: so digits near a masked number are masked as well, unless they count
    something."""

    def __init__(self, said: Sequence[Said], masked: Sequence[tuple[Sequence[Token], str]]) -> None:
        self._said = said
        self._offsets = [0, *accumulate(len(line.tokens) for line in said)]
        self._masked = sorted((self._place(run[0]), self._place(run[-1]), label) for run, label in masked)

    def _place(self, token: Token) -> int:
        return self._offsets[token.line] + token.place

    def label(self, run: Sequence[Token]) -> str:
        """The label of the number it is near to, "" where there is none."""
        if not self._masked or _harmless(self._said, run) or _is_year(self._said, run):
            return ""
        begin, end = self._place(run[0]), self._place(run[-1])
        after = bisect_left(self._masked, begin, key=lambda each: each[0])
        for first, last, label in self._masked[max(0, after - 2) : after + 1]:
            if first - end <= _NEAR and begin - last <= _NEAR:
                return label
        return ""


def _pieces(run: Sequence[Token], label: str) -> Iterator[tuple[int, int, int, str]]:
    begin = run[0]
    for before, token in zip(run, [*run[1:], None], strict=True):
        if token is None or token.line != before.line:
            yield before.line, begin.start, before.end, label
            if token is not None:
                begin = token


# --- what belongs together -------------------------------------------------------------------------------------


def _runs(said: Sequence[Said], lines: Sequence[int]) -> Iterator[list[Token]]:
    """Digits, letters said one by one among them, that only pauses stand between. A run begins and ends with digits
    that are no guess, or with guesses next to them."""
    run: list[Token] = []
    between = 0
    last_line = None
    for number in lines:
        line = said[number]
        if last_line is not None and run:
            skipped = number - last_line - 1
            if skipped > _LINES_BETWEEN:
                yield from _closed(run)
                run = []
        answering = _only(line, BACKCHANNEL)
        if not (answering and not any(t.digits and not t.weak for t in line.tokens)):
            last_line = number
            for token in line.tokens:
                if token.digits or is_multiplier(token) or (token.is_letter and token.lower not in ("i", "a")):
                    run.append(token)
                    between = 0
                elif not token.is_word:
                    if token.text in _MONEY + "%":
                        yield from _closed(run)
                        run = []
                elif run and token.lower in BACKCHANNEL and between < _FILLERS_BETWEEN:
                    between += 1
                else:
                    yield from _closed(run)
                    run, between = [], 0
        elif run and last_line is not None and number - last_line > _LINES_BETWEEN:
            yield from _closed(run)
            run = []
        between = 0
    yield from _closed(run)


def _only(line: Said, words: frozenset[str]) -> bool:
    return all(token.lower in words or token.weak for token in line.tokens if token.is_word)


def _closed(run: list[Token]) -> Iterator[list[Token]]:
    """The run without guesses at its ends that are far from digits, if digits are left."""
    strong = [place for place, token in enumerate(run) if token.digits and not token.weak]
    if not strong:
        return
    first, last = strong[0], strong[-1]
    while first and _belongs(run[first - 1], run[first]):
        first -= 1
    while last + 1 < len(run) and _belongs(run[last + 1], run[last]):
        last += 1
    yield run[first : last + 1]


def _belongs(guess: Token, digit: Token) -> bool:
    """True if what may be a digit, or a letter, stands right beside one. The "to" before 4111 is a word; the one before
    "one one one", or before a single 7, may be a two."""
    near = guess.line == digit.line and max(guess.start, digit.start) - min(guess.end, digit.end) <= 3
    return near and (digit.spoken or not guess.weak or len(digit.digits) == 1)


# --- what it is ------------------------------------------------------------------------------------------------


def _label(said: Sequence[Said], run: Sequence[Token]) -> str:
    """As what a run is masked; "" where it is left alone."""
    digits = "".join(token.digits for token in run)
    length = length_of(run)
    asked = _asked_for(said, run)
    harmless = _harmless(said, run)
    if length >= 13 and any(luhn(digits[i:j]) for i, j in ((0, len(digits)), (0, 16), (0, 15), (-16, len(digits)))):
        return "CARD"
    if asked == "BIRTH_DATE":
        asked = ""
    if asked and length >= _LEAST[asked] and not harmless and not _is_year(said, run):
        return asked
    if harmless and length < 10:
        return ""
    if length >= 13:
        return asked or "CARD"
    singles = sum(len(token.digits) == 1 and not token.weak for token in run)
    if length >= LONG or singles >= _SINGLE:
        return asked or ("PHONE" if length in (7, 10, 11, 12) else "ID")
    return ""


def _harmless(said: Sequence[Said], run: Sequence[Token]) -> bool:
    """True if it looks like a count, a date, an amount."""
    large = any(token.magnitude for token in run) and length_of(run) < 10
    return large or _counts(said, run) or _is_date(said, run) or _is_amount(said, run)


def _asked_for(said: Sequence[Said], run: Sequence[Token]) -> str:
    """What was asked for or announced where this number is: the nearest cue before it, in its line or one of the lines
    before; or right behind it ("1234 is my PIN")."""
    first, last = run[0], run[-1]
    line = said[first.line]
    nearest = bisect_right(line.cues, first.start, key=lambda cue: cue[1]) - 1
    for begin, end, label in line.cues[max(0, nearest - 1) : nearest + 1][::-1]:
        if _words_between(line, end, first.start) <= _CUE_WORDS:
            return _finer(line.text, begin, label)
    if first.place <= 2 * _CUE_WORDS and _words_between(line, 0, first.start) <= _CUE_WORDS:
        for number in range(first.line - 1, max(-1, first.line - 1 - _CUE_LINES), -1):
            if said[number].cues:
                begin, _, label = said[number].cues[-1]
                return _finer(said[number].text, begin, label)
    line = said[last.line]
    behind = bisect_left(line.cues, last.end, key=lambda cue: cue[0])
    if behind < len(line.cues) and _words_between(line, last.end, line.cues[behind][0]) <= _AFTER_WORDS:
        return line.cues[behind][2]
    return ""


def _finer(text: str, begin: int, label: str) -> str:
    """ "The last four of your social" asks for the social, not for an account."""
    if label != "ID":
        return label
    near = text[max(0, begin - 40) : begin + 60]
    return next(
        (other for other, pattern in CUES if other in ("NATIONAL_ID", "BANK", "CARD") and pattern.search(near)), label
    )


def _words_between(line: Said, begin: int, end: int) -> int:
    """How many words stand between two places of a line; more than are ever asked about count as many."""
    first, last = (bisect_left(line.tokens, place, key=lambda token: token.start) for place in (begin, end))
    return sum(token.is_word for token in line.tokens[first : min(last, first + 4 * _CUE_WORDS)])


def _after(said: Sequence[Said], run: Sequence[Token]) -> Token | None:
    following = said[run[-1].line].tokens[run[-1].place + 1 : run[-1].place + 4]
    return next((token for token in following if token.is_word or token.text == "%"), None)


def _before(said: Sequence[Said], run: Sequence[Token]) -> Token | None:
    return said[run[0].line].tokens[run[0].place - 1] if run[0].place else None


def _counts(said: Sequence[Said], run: Sequence[Token]) -> bool:
    """True if it counts something, or says the time of day."""
    following = _after(said, run)
    preceding = _before(said, run)
    if following is not None and following.lower in UNITS and following.start - run[-1].end <= 3:
        return length_of(run) < 7
    return preceding is not None and preceding.text in _MONEY


def _is_amount(said: Sequence[Said], run: Sequence[Token]) -> bool:
    text = said[run[0].line].text[run[0].start : run[-1].end]
    return run[0].line == run[-1].line and _AMOUNT.fullmatch(text) is not None and length_of(run) < 10


def _is_date(said: Sequence[Said], run: Sequence[Token]) -> bool:
    """A date in digits, or a day and a year beside the name of a month."""
    line = said[run[0].line]
    if run[0].line != run[-1].line:
        return False
    text = line.text[run[0].start : run[-1].end]
    if _DATE.fullmatch(text) or _DAY_FIRST.fullmatch(text):
        return True
    beside = (_before(said, run), _after(said, run))
    return length_of(run) <= 6 and any(token is not None and token.lower in MONTHS for token in beside)


def _is_year(said: Sequence[Said], run: Sequence[Token]) -> bool:
    """ "In 2019" is no account, wherever it is said."""
    digits = "".join(token.digits for token in run)
    before = _before(said, run)
    if before is None or before.lower not in _YEAR_BEFORE:
        return False
    return (len(digits) == 4 and digits[:2] in ("19", "20")) or digits in ("2000", *(f"2000{n}" for n in range(10, 40)))
