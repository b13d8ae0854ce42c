"""Personal data that is told by the words around it or by its own form: addresses for e-mail as they are spoken,
streets, births, passwords, ids of letters and digits.

Belongs here: patterns over lines and their tokens. Not here: names (``personal_data_names.py``),
plain numbers (``personal_data_numbers.py``), what the language model finds (``personal_data_model.py``).

Each finder gives (line, begin, end, label). They may overlap and may take a word too many; none may take one too few.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence

from vcon_platform.processors.personal_data_names import NAMES, NO_NAME, Found, capitalised, names, spelled
from vcon_platform.processors.personal_data_numbers import Said
from vcon_platform.processors.personal_data_tokens import CAPITALS, Token, words_in
from vcon_platform.processors.personal_data_words import (
    BACKCHANNEL,
    BIRTH,
    FILLERS,
    MONTHS,
    ORDINALS,
    ORDINARY,
    STATES,
    STREETS,
)

# --- e-mail ----------------------------------------------------------------------------------------------------

_TLD = r"(?:com|org|net|edu|gov|mil|info|biz|io|ai|me|us|uk|ca|au|de|fr|es|it|nl|in|ie|nz|eu|mx|br|ch|at|se|pl|co)"
_DOT = r"(?:\s*\.\s*|\s+(?:dot|point|period)\s+)"
_JOIN = r"(?:\s*[._+-]\s*|\s+(?:dot|underscore|under ?score|dash|hyphen|minus|plus|period|point)\s+)"
_DOMAIN = rf"[A-Za-z0-9-]+(?:\s+[A-Za-z0-9-]+)?(?:{_DOT}[A-Za-z0-9-]+)*?{_DOT}{_TLD}(?:{_DOT}[a-z]{{2}})?"
_AT = re.compile(rf"(?<!\s)(?:\s+at(?:\s+sign)?\s+|\s*@\s*)(?:the\s+)?({_DOMAIN})(?![\w@])", re.I)
_WRITTEN = re.compile(r"(?<![\w.+%'-])[\w.+%'-]+@[\w-]+(?:\.[\w-]+)+")
_JOINED_BEFORE = re.compile(rf"{_JOIN}$", re.I)
_MAIL_STOPS = frozenset(
    "is it's its it to at on an my the email e-mail mail address me him her us them send sent sending um uh "  # noqa: SIM905
    "so yes yeah sure okay ok that's that was be and use it'll would your our his their reach contact under "
    "from of for".split()
)
_MOST_LOCAL = 8


def emails(said: Sequence[Said]) -> Found:
    """Addresses as they are written, and as they are said: "john dot smith at example dot com"."""
    for number, line in enumerate(said):
        for match in _WRITTEN.finditer(line.text):
            yield number, match.start(), match.end(), "EMAIL"
        for match in _AT.finditer(line.text):
            yield number, _local_part(line, match.start()), match.end(), "EMAIL"


def _local_part(line: Said, end: int) -> int:
    """Where the part before the "at" begins: back to a word that ends a phrase, and over any that is joined to it."""
    begin = end
    count = 0
    place = bisect_right(line.tokens, end, key=lambda token: token.end)
    for token in reversed(line.tokens[max(0, place - 4 * _MOST_LOCAL) : place]):
        if token.is_word:
            joined = _JOINED_BEFORE.search(line.text[token.end : begin]) is not None
            if (token.lower in _MAIL_STOPS and not joined) or count >= _MOST_LOCAL:
                break
            begin, count = token.start, count + 1
        elif token.text not in "._+-'" and begin < end:
            break
    return begin


# --- places ----------------------------------------------------------------------------------------------------

_NUMBERED = (
    r"(?:\d+\w?|(?:(?:double|triple|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty|hundred|thousand|oh"
    r"|zero)[\s-]+){0,5}(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|\w+ty|hundred))"
)
_STREET = re.compile(
    rf"(?<![\w$£€]){_NUMBERED}[\s,]+(?:(?:north|south|east|west|[NSEW])\.?\s+)?(?-i:(?:[{CAPITALS}][\w.'’-]*|\d+(?:st|nd|rd|th))\s+){{1,4}}"  # noqa: RUF001
    rf"(?:{STREETS})\b\.?(?:\s+(?:north|south|east|west|[NSEW])\b)?", re.I
)  # fmt: skip
_STREET_SPOKEN = re.compile(
    rf"(?<![\w$£€]){_NUMBERED}\s+(?:[a-z][\w'-]+\s+){{1,2}}(?:street|avenue|road|lane|drive|boulevard|court|terrace"
    r"|highway|parkway|crescent)\b", re.I
)  # fmt: skip
_STREET_ALONE = re.compile(
    rf"(?<!\w)(?:[{CAPITALS}][\w'’-]+\s+){{1,3}}(?:Street|St\.?|Avenue|Ave\.?|Road|Rd\.?|Boulevard|Blvd\.?|Lane|Ln\.?|Drive|Dr\.?"  # noqa: RUF001
    r"|Court|Ct\.?|Terrace|Square|Parkway|Highway|Turnpike|Crescent|Loop|Trail|Circle|Plaza)(?!\w)"
)
_UNIT = re.compile(
    r"\b(?:apartment|apt|suite|unit|flat|floor|p\.?\s?o\.?\s*box|box|room)\.?\s*(?:number\s*|#\s*)?\w*\d\w*\b", re.I
)
_ZIP = re.compile(rf"\b(?:{STATES}),?\s+\d{{5}}(?:-\d{{4}})?\b|\b\d{{5}}-\d{{4}}\b")
_MILITARY = re.compile(r"\b(?:PSC|CMR|[AFD]PO)\b(?:\s+(?:AA|AE|AP))?(?:\s+\d+)?")
_POSTCODE = re.compile(r"\b(?:[A-Z]{1,2}\d[A-Z\d]?\s*\d[A-Z]{2}|[A-Z]\d[A-Z]\s*\d[A-Z]\d)\b")
_ASKS_PLACE = re.compile(r"\baddress\b|\b(?:live|located|moved?|moving|reside|shipping) (?:at|in|to|on)\b", re.I)
_WANTS_PLACE = re.compile(r"\b(?:address|city|town|street|state|where (?:do|are|is)\b[^?]{0,60})[^.?!]{0,120}\?", re.I)
_NUMBER_AND_NAME = re.compile(rf"(?<![\w$£€])\d{{1,6}}\w?\s+(?:[{CAPITALS}][\w'’-]*\.?\s*){{1,4}}")  # noqa: RUF001
_LIVES = re.compile(r"\b(?:live|located|moved?|moving|reside|from|based|grew up|born|ship(?:ped)?"
                    r"|deliver(?:ed)?)\s+(?:\w+\s+)?"
                    rf"(?:at|in|to|near)\s+(?-i:{NAMES})", re.I)  # fmt: skip


def places(said: Sequence[Said]) -> Found:
    """Streets with and without a number, units, postal codes, and whatever answers the question for an address."""
    for number, line in enumerate(said):
        for pattern in (_STREET, _STREET_ALONE, _UNIT, _ZIP, _MILITARY, _POSTCODE):
            for match in pattern.finditer(line.text):
                yield number, match.start(), match.end(), "LOCATION"
        for match in _STREET_SPOKEN.finditer(line.text):
            words = {word.casefold() for word in match[0].split()}
            if words.isdisjoint(ORDINARY - {"king", "queen", "rose", "park"} - set(STREETS)) or words & set(MONTHS):
                yield number, match.start(), match.end(), "LOCATION"
        for match in _LIVES.finditer(line.text):
            for _, begin, end, _ in capitalised(NO_NAME, number, match[1], match.start(1)):
                yield number, begin, end, "LOCATION"
        if any(_ASKS_PLACE.search(said[near].text) for near in range(max(0, number - 1), number + 1)):
            for match in _NUMBER_AND_NAME.finditer(line.text):
                yield number, match.start(), match.end(), "LOCATION"
        if number and _WANTS_PLACE.search(said[number - 1].text):
            for _, begin, end, _ in capitalised(NO_NAME, number, line.text, 0):
                yield number, begin, end, "LOCATION"


# --- births, passwords, ids ------------------------------------------------------------------------------------


_EXPIRY = re.compile(r"\b(?:expir\w+|valid (?:until|thru|through|till)|good (?:thru|through))\b", re.I)
_IN_DATES = frozenset("of the and st nd rd th in oh um uh".split())  # noqa: SIM905


def births(said: Sequence[Said]) -> Found:
    """Dates that a birth is spoken of with, in any wording: months, ordinals and numbers near the word. Of a card's
    expiry too, where a number is in it."""
    for number, line in enumerate(said):
        for match in BIRTH.finditer(line.text):
            yield from _dates(number, line, match.end(), "BIRTH_DATE", 14)
            yield from _dates(number, line, -match.start(), "BIRTH_DATE", 14)
            for near in range(number + 1, min(number + 3, len(said))):
                yield from _dates(near, said[near], 0, "BIRTH_DATE", 8)
        for match in _EXPIRY.finditer(line.text):
            yield from _dates(number, line, match.end(), "CARD", 8)
            for near in range(number + 1, min(number + 3, len(said))):
                yield from _dates(near, said[near], 0, "CARD", 6)


def _dates(number: int, line: Said, place: int, label: str, most: int) -> Found:
    """Runs of what dates are made of that begin within ``most`` words behind a place; before it, where it is
    negative."""
    run: list[Token] = []
    words = 0
    at = bisect_left(line.tokens, abs(place), key=lambda token: token.start)
    near = line.tokens[at : at + 4 * most] if place >= 0 else line.tokens[max(0, at - most) : at]
    for token in [*near, None]:
        words += token is not None and token.is_word
        if token is not None and _of_date(token) and (run or words <= most):
            run.append(token)
        elif token is None or (token.is_word and token.lower not in _IN_DATES):
            strong = any(each.lower in MONTHS or len(each.digits) > 1 or each.lower in ORDINALS for each in run)
            if strong and (label == "BIRTH_DATE" or any(each.digits for each in run)):
                place = run[0].place
                while place and line.tokens[place - 1].lower in ("the", "on"):
                    place -= 1
                yield number, line.tokens[place].start, run[-1].end, label
            run = []


def _of_date(token: Token) -> bool:
    return token.lower in MONTHS or token.lower in ORDINALS or (bool(token.digits) and not token.weak)


_SECRET = re.compile(
    r"\b(?:pass ?(?:word|code|phrase)s?|pin|secret (?:word|answer)|maiden name|security (?:word|answer)|user ?name"
    r"|login)\b",
    re.I,
)
_ASKS = re.compile(r"\b(?:tell|give|say|read|confirm|provide|verify|need|have|enter|what)\b", re.I)
_IS = re.compile(r"\s*(?:is|was|:|=|would be|should be|it's|being|set to)\s+", re.I)
_NO_SECRET = (
    ORDINARY
    | FILLERS
    | frozenset(
        "wrong incorrect expired working locked reset required invalid needed blocked old new different "  # noqa: SIM905
        "correct protected right accepted saved stored missing changed being case weak strong too".split()
    )
)
_SENTENCE = re.compile(r"[.,;!?](?:\s|$)")


def secrets(said: Sequence[Said]) -> Found:
    """Passwords, and the like: what is said to be one, and what answers the question for one."""
    for number, line in enumerate(said):
        for match in _SECRET.finditer(line.text):
            announced = _IS.match(line.text, match.end())
            if announced:
                yield from _value(number, line, announced.end())
            answer = number + 1
            asked = _ASKS.search(line.text) or "?" in line.text[match.start() :]
            if asked and answer < len(said):
                words = list(words_in(said[answer].tokens))
                if 0 < len(words) <= 5 and not all(token.lower in BACKCHANNEL for token in words):
                    yield answer, words[0].start, words[-1].end, "SECRET"


def _value(number: int, line: Said, begin: int) -> Found:
    stop = _SENTENCE.search(line.text, begin)
    end = len(line.text) if stop is None else stop.start()
    value: list[Token] = []
    for token in words_in(line.tokens):
        if begin <= token.start < end:
            if token.lower in _NO_SECRET and (value or token.text.islower()):
                break
            value.append(token)
    if value:
        yield (
            number,
            value[0].start,
            max(value[min(3, len(value) - 1)].end, value[-1].end if len(value) < 6 else 0),
            "SECRET",
        )


_MIXED = re.compile(r"(?<![\w@./-])(?=[\w/-]*\d)(?=[\w/-]*[A-Za-z])[A-Za-z0-9]+(?:[-/][A-Za-z0-9]+)*(?![\w@])")
_MEASURE = re.compile(
    r"\d+(?:st|nd|rd|th|am|pm|p|g|gb|mb|tb|kb|k|x|s|kg|lbs?|mph|ft|in|cm|mm|km|h|hr|hrs|min|mins|-?year-old|-?month-old|-?day|-?year|-?hour)s?",
    re.I,
)
_ID_CUES = frozenset({"ID", "NATIONAL_ID", "BANK", "SECRET"})


def mixed_ids(said: Sequence[Said]) -> Found:
    """Ids of letters and digits: three digits or more; or any that an id was announced before."""
    for number, line in enumerate(said):
        announced = [
            cue for near in range(max(0, number - 1), number + 1) for cue in said[near].cues if cue[2] in _ID_CUES
        ]
        for match in _MIXED.finditer(line.text):
            word = match[0]
            digits = sum(each.isdigit() for each in word)
            if _MEASURE.fullmatch(word):
                continue
            if (len(word) >= 5 and digits >= 3) or (announced and len(word) >= 4 and (word.isupper() or digits >= 2)):
                yield number, match.start(), match.end(), "ID"
        for label, begin in ((cue[2], cue[1]) for cue in line.cues if cue[2] in _ID_CUES):
            for match in re.finditer(r"(?<!\w)[A-Z]{5,10}(?!\w)", line.text[begin : begin + 60]):
                if match[0].casefold() not in ORDINARY:
                    yield number, begin + match.start(), begin + match.end(), label


FINDERS: tuple[Callable[[Sequence[Said]], Found], ...] = (emails, names, spelled, places, births, secrets, mixed_ids)
