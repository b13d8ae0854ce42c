"""Names: those that are introduced, answered or spelled, and those everybody knows.

Belongs here: what tells a name in speech. Not here: names that only a language model can tell
(``personal_data_model.py``), those of the document's own parties (``personal_data_known.py``).

A word with a capital is a name where a name is expected ("this is", "Mr.", "your last name?"), unless it is a word
that never is one. Elsewhere it is one if it is a common given name and not also a word ("Will", "May").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from vcon_platform.processors.personal_data_numbers import Said
from vcon_platform.processors.personal_data_tokens import CAPITALS, Token, words_in
from vcon_platform.processors.personal_data_words import NAMELIKE, ORDINARY, PHONETIC

Found = Iterator[tuple[int, int, int, str]]
"""(line, begin, end, label) of each finding."""

_NAME = rf"(?<![\w'’-])[{CAPITALS}][\w'’-]*+"  # noqa: RUF001 - the apostrophe of word processors
_PARTICLE = r"(?:de|la|van|von|der|den|da|di|del|bin|al|el|le|du|dos|of|y|e)"
NAMES = rf"({_NAME}\.?(?:\s+(?:{_PARTICLE}\s+){{0,2}}{_NAME}\.?){{0,3}})"
_SURE = re.compile(
    r"(?<!\w)(?:name(?:'s| is| was|:)?(?: is)?|this is|speaking (?:with|to)|talk(?:ing)? (?:with|to)|spoke (?:with|to)"
    r"|call me|ask for|known as|name of|named|called"
    r"|surname(?: is)?|mister|missus|mr\.?|mrs\.?|ms\.?|miss|dr\.?|doctor|madam"
    r"|madame|professor|prof\.?|hi|hello|hey|dear|thanks|thank you|good morning|good afternoon|good evening|bye|goodbye"
    r"|sincerely|regards|cheers|husband|wife|daughter|mother|father|mom|dad|brother|sister|attention|attn)(?!\w)"
    r"[,:;.]?(?: again| there| in)?\s+(?-i:" + NAMES + ")",
    re.I,
)
"""What is said before a name, so that even a word may be one."""
_LIKELY = re.compile(
    r"(?<!\w)(?:i'm|i am|it's|that's|under|morning|afternoon|evening|welcome|yours|here is|here's|from|son|partner"
    r"|friend|colleague|boss|manager|patient|behalf of|contact|signed|with|for|to|by|and|is|sir)(?!\w)[,:;.]?"
    r"(?: again| there| in)?\s+(?-i:" + NAMES + ")",
    re.I,
)
_AFTER_NAME = re.compile(NAMES + r"(?=,?\s+(?:speaking|here|calling|on the line)\b)")
_ASKS_NAME = re.compile(
    r"\b(?:name|who (?:am|is|are|do)\b.{0,60}(?:speak|call|talk)\w*|(?:speaking|talking) with|whom)\b[^.?!]{0,120}\?"
    r"|\b(?:spell|your (?:full |first |last )?name|surname)\b", re.I
)  # fmt: skip
_EACH_NAME = re.compile(_NAME)
_SHORT = 12
"""Words of a turn that answers the question for a name."""


def names(said: Sequence[Said]) -> Found:
    """Names that are introduced or answered, turns that are nothing but a name, and given names everybody knows."""
    given = given_names()
    for number, line in enumerate(said):
        for pattern in (_SURE, _AFTER_NAME):
            for match in pattern.finditer(line.text):
                yield from capitalised(ORDINARY, number, match[1], match.start(1))
        for match in _LIKELY.finditer(line.text):
            if any(word.casefold() in given for word in _EACH_NAME.findall(match[1])):
                yield from capitalised(NO_NAME, number, match[1], match.start(1))
        words = list(words_in(line.tokens))
        if number and _ASKS_NAME.search(said[number - 1].text) and len(words) <= _SHORT:
            yield from capitalised(ORDINARY, number, line.text, 0)
        elif asked := _ASKS_NAME.search(line.text):
            yield from capitalised(ORDINARY, number, line.text[asked.end() :], asked.end())
        elif 2 <= len(words) <= 4 and all(word.text[0].isupper() for word in words):
            yield from capitalised(ORDINARY, number, line.text, 0)
        yield from _listed(number, line, given)


NO_NAME = ORDINARY | NAMELIKE


def capitalised(ordinary: frozenset[str], number: int, text: str, offset: int) -> Found:
    """The capitalised words of a text, which begins at ``offset`` of the line, that are not ordinary."""
    for match in _EACH_NAME.finditer(text):
        if match.start() and text[match.start() - 1].isalnum():
            continue
        word = match[0].rstrip("-'’")  # noqa: RUF001
        lower = word.casefold().replace("’", "'")  # noqa: RUF001
        if lower not in ordinary and lower.removesuffix("'s") not in ordinary:
            yield number, offset + match.start(), offset + match.start() + len(word), "PERSON"


def _listed(number: int, line: Said, given: frozenset[str]) -> Found:
    """Given names of the list, with the capitalised words behind them."""
    words = list(words_in(line.tokens))
    cased = any(token.text[0].isupper() for token in words)
    for place, token in enumerate(words):
        name = token.lower.removesuffix("'s")
        if name not in given or name in NO_NAME or (cased and not token.text[0].isupper()):
            continue
        end = token.end
        for following in words[place + 1 : place + 3]:
            gap = line.text[end : following.start]
            if not following.text[0].isupper() or gap.strip(" .-'’") or following.lower in ORDINARY:  # noqa: RUF001
                break
            end = following.end
        yield number, token.start, end, "PERSON"


@lru_cache(maxsize=1)
def given_names() -> frozenset[str]:
    """Given names of the US census that at least one in 25,000 has, casefolded."""
    from importlib.util import find_spec
    from pathlib import Path

    spec = find_spec("names")
    if spec is None or spec.origin is None:
        raise RuntimeError("the package names is not installed; install vcon-platform's requirements again")
    found = set()
    for file in ("dist.female.first", "dist.male.first"):
        for row in (Path(spec.origin).parent / file).read_text(encoding="ascii").splitlines():
            name, frequency, *_ = row.split()
            if float(frequency) >= 0.004 and len(name) > 2:
                found.add(name.casefold())
    return frozenset(found)


# --- spelled ---------------------------------------------------------------------------------------------------

_AS_IN = re.compile(r"\b([A-Za-z])[,.]?\s+(?:as in|for|like|is for|as)\s+([A-Za-z]+)", re.I)


def spelled(said: Sequence[Said]) -> Found:
    """Words that are spelled, letter by letter ("S-M-I-T-H"), in code words, or as "S as in Sam"."""
    for number, line in enumerate(said):
        for match in _AS_IN.finditer(line.text):
            if match[1].casefold() == match[2][0].casefold():
                yield number, match.start(), match.end(), "PERSON"
        for alike in (_is_spelling, _is_code_word):
            run: list[Token] = []
            for token in [*words_in(line.tokens), None]:
                if token is not None and alike(token) and (not run or token.start - run[-1].end <= 3):
                    run.append(token)
                    continue
                if len(run) >= 3 and sum(not each.text.isdigit() for each in run) >= 2:
                    yield number, run[0].start, run[-1].end, "PERSON"
                run = [token] if token is not None and alike(token) else []


def _is_spelling(token: Token) -> bool:
    return token.is_letter or (len(token.text) == 1 and token.text.isdigit()) or token.lower in ("double",)


def _is_code_word(token: Token) -> bool:
    return token.lower in PHONETIC
