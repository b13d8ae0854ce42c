"""What a document itself says of its parties: the surest list of what must not be left in what they say.

Belongs here: collecting names and addresses of the parties, and finding them again, also where a recogniser misheard
them a little. Not here: what nobody announced (``personal_data_phrases.py``, ``personal_data_model.py``). Telephone
numbers need nothing here: seven digits in a row are masked whoever they belong to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vcon_platform.processors.personal_data_numbers import Said
from vcon_platform.processors.personal_data_words import ORDINARY

_ROLES = frozenset(
    "agent customer caller callee support service services team desk help helpdesk center centre company inc "  # noqa: SIM905
    "llc ltd gmbh corp corporation bank bot assistant system ivr operator supervisor manager unknown "
    "anonymous client user contact sales billing office group the and of department dept speaker party "
    "conference room meeting recorder queue line patient doctor nurse representative rep consultant advisor "
    "adviser technician technical host guest participant moderator interviewer interviewee seller buyer "
    "dealer vendor supplier shop store hotel restaurant clinic hospital pharmacy school university insurance "
    "mobile phone home work private internal external inbound outbound".split()
)
"""Words in a party's name that say what it is and not who."""

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Known:
    """``names``: words of names, casefolded. ``phrases``: longer texts, casefolded (addresses, user names)."""

    names: frozenset[str] = frozenset()
    phrases: frozenset[str] = frozenset()


def known_of(data: Mapping[str, Any]) -> Known:
    """What the parties of this document are called, and their addresses. Nothing raises, whatever is in there."""
    names: set[str] = set()
    phrases: set[str] = set()
    parties = data.get("parties")
    for party in parties if isinstance(parties, list) else ():
        if not isinstance(party, Mapping):
            continue
        name = party.get("name")
        if isinstance(name, str):
            names |= _words(name)
            phrases |= _phrase(name) if _words(name) else set()
        for member in ("mailto", "sip", "did", "tel"):
            address = party.get(member)
            if isinstance(address, str):
                bare = address.partition(":")[2] if address.lower().startswith(("mailto:", "sip:", "tel:")) else address
                phrases |= _phrase(bare)
                local = bare.partition("@")[0]
                names |= {word for word in _words(local) if len(word) > 3} if "@" in bare else set()
        place = party.get("civicaddress")
        for value in place.values() if isinstance(place, Mapping) else ():
            phrases |= _phrase(value) if isinstance(value, str) and len(value) > 3 else set()
    return Known(frozenset(names), frozenset(phrases))


def _words(text: str) -> set[str]:
    found = {word.casefold() for word in _WORD.findall(text[:500])}
    return {word for word in found if len(word) > 1 and word not in _ROLES}


def _phrase(text: str) -> set[str]:
    text = " ".join(text.casefold().split())
    return {text} if 4 <= len(text) <= 200 and text not in _ROLES else set()


def known_in(said: Sequence[Said], known: Known) -> Iterator[tuple[int, int, int, str]]:
    """(line, begin, end, label) of what is known. A name that is also an ordinary word counts where it has a capital
    within a sentence; a capitalised word that differs by a letter or two from a long name counts too."""
    phrases = sorted(known.phrases, key=len, reverse=True)
    pattern = None
    if phrases:
        pattern = re.compile(
            "|".join(rf"(?<!\w){re.escape(p).replace(chr(92) + ' ', r'\s+')}(?!\w)" for p in phrases), re.I
        )
    for number, line in enumerate(said):
        for match in pattern.finditer(line.text) if pattern else ():
            yield number, match.start(), match.end(), "PERSON"
        if not known.names:
            continue
        fresh = True  # at the beginning of a sentence, where every word has a capital
        for token in line.tokens:
            if token.is_word:
                word = token.lower.removesuffix("'s")
                capital = token.text[0].isupper()
                if (word in known.names and (word not in ORDINARY or (capital and not fresh))) or (
                    capital and word not in ORDINARY and any(_alike(word, name) for name in known.names)
                ):
                    yield number, token.start, token.end, "PERSON"
                fresh = False
            elif token.text in ".?!":
                fresh = True


def _alike(heard: str, name: str) -> bool:
    """True if a recogniser may have written ``heard`` for ``name``: same beginning, one letter off; two of eight."""
    if len(name) < 4 or heard[0] != name[0] or abs(len(heard) - len(name)) > 2:
        return False
    return _distance(heard, name) <= (1 if len(name) < 7 else 2)


def _distance(one: str, other: str) -> int:
    """How many letters must be changed, added or taken away."""
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]
