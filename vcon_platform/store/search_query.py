"""The question: what may be asked for, and how that is said to RediSearch.

Belongs here: :class:`SearchQuery` and its translation. Not here: running it and paging (``search.py``), the normal
forms of what is compared (``search_text.py``, ``search_fields.py``).

No text of a caller ever becomes a part of RediSearch's query language: whole values travel as parameters, and of
running text only its words do, which are letters and digits. So nothing needs escaping, and there is no operator to
get wrong.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from vcon_platform.store.paging import QueryRefused
from vcon_platform.store.search_fields import LONGEST_NAME, digits, mailto_token, tag_token, tel_tokens
from vcon_platform.store.search_text import token, words
from vcon_platform.vcon.dates import seconds_of
from vcon_platform.vcon.parties import normalise_mailto, normalise_sip, normalise_tel

MOST_WORDS = 100
"""Words of one question."""
LONGEST_TEXT = 10_000
"""Characters of a question's text."""
SHORTEST_BARE = 6
"""Digits that may be an international number whose ``+`` was left out (in an address line it becomes a blank)."""


@dataclass(frozen=True, slots=True)
class SearchQuery:
    """All of what is given must be true of a vCon; what is None is not asked. One that asks nothing finds all.

    ``tel``: a number in any spelling; local ones (extensions) as they are. ``mailto``, ``sip``: an address. ``name``: a
    party's whole name, whatever its case. ``name_words``: words that stand in this order in one party's name. ``tag``:
    ``key:value``. ``analysis``, ``dialog``: the type of one of the entries. ``adapter``, ``state`` (ready, parked,
    opaque), ``form`` (unsigned, signed, encrypted), ``signature``: as the store keeps them. Times: from inclusive, to
    exclusive, of ``created_at`` and of the first dialog's start. ``text``: words of subject and conversation, all of
    which must occur; words in quotes must stand together.

    ``adapters`` (one of them) and ``tags`` (all of them) narrow it to what the asker may see.

    ``limit`` is the page's size, ``cursor`` comes from the page before.
    """

    tel: str | None = None
    mailto: str | None = None
    name: str | None = None
    name_words: str | None = None
    sip: str | None = None
    tag: str | None = None
    analysis: str | None = None
    dialog: str | None = None
    adapter: str | None = None
    state: str | None = None
    form: str | None = None
    signature: str | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None
    started_from: datetime | None = None
    started_to: datetime | None = None
    text: str | None = None
    adapters: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """The question in RediSearch's language, without its times of creation, which paging narrows: those are ``low`` and
    ``high``, the first and the last millisecond that may be. ``params``: name, value, name, value…"""

    clauses: tuple[str, ...]
    params: tuple[str, ...]
    low: int | None
    high: int | None

    def between(self, low: int | None, high: int | None) -> str:
        """The whole question, for what was created in these milliseconds (both inclusive)."""
        clauses = (*_range("created", low, high), *self.clauses)
        return " ".join(clauses) or "*"


def asked(query: SearchQuery, region: str | None = None) -> Asked | None:
    """The question for RediSearch; None: nothing can match. ``region`` is where numbers without a country code are at
    home. Raises :class:`QueryRefused`."""
    clauses: list[str] = []
    params: list[str] = []
    for field, values in _values(query, region):
        known = [value for value in dict.fromkeys(values) if value]
        if not known:
            return None
        names = [f"p{len(params) // 2 + number}" for number in range(len(known))]
        params += [part for pair in zip(names, known, strict=True) for part in pair]
        clauses.append(f"@{field}:{{{'|'.join(f'${name}' for name in names)}}}")
    if query.name_words is not None:
        name = _phrase(query.name_words.split())
        if not name:
            return None
        clauses.append(f"@names:({name})")
    if query.text is not None:
        phrases = _phrases(query.text)
        if not phrases:
            return None
        clauses += [f"@text|subject:({phrase})" for phrase in phrases]
    low, high = _bounds("created", query.created_from, query.created_to)
    first, last = _bounds("started", query.started_from, query.started_to)
    if _nothing(low, high) or _nothing(first, last):
        return None
    clauses += _range("started", first, last)
    return Asked(tuple(clauses), tuple(params), low, high)


def _values(query: SearchQuery, region: str | None) -> Iterator[tuple[str, list[str]]]:
    """The fields that are compared as a whole, with the values of which one must be there."""
    if query.tel is not None:
        yield "tel", _tels(query.tel, region)
    if query.mailto is not None:
        yield "mailto", [*map(token, normalise_mailto(query.mailto)), mailto_token(query.mailto)]
    if query.sip is not None:
        yield "sip", [token(normalise_sip(query.sip) or query.sip)]
    if query.name is not None:
        yield "name", [token(query.name)]
    if query.tag is not None:
        yield "tag", [tag_token(query.tag)]
    for field in ("analysis", "dialog", "adapter", "state", "form", "signature"):
        value: str | None = getattr(query, field)
        if value is not None:
            yield field, [token(value)]
    if query.adapters:
        yield "adapter", [token(each) for each in query.adapters]
    for tag in query.tags:
        yield "tag", [tag_token(tag)]


def _tels(text: str, region: str | None) -> list[str]:
    """Every spelling that a document may be found by if it means this number. One that names an extension behind a
    number means both, and is not looked for by the extension alone."""
    if len(text) > LONGEST_NAME:
        return [token(text)]
    e164, extension, _ = normalise_tel(text, region)
    exact = tel_tokens(text, region)[-1:]
    if e164 is not None:
        return [e164, e164[1:], *_national(e164, region), *exact]
    bare = extension or digits(text)
    return [bare, *([f"+{bare}"] if len(bare) >= SHORTEST_BARE else []), *exact]


def _national(e164: str, region: str | None) -> list[str]:
    """The number as it is written inside of ``region``, if it is at home there."""
    if region is None:
        return []
    import phonenumbers

    code = str(phonenumbers.country_code_for_region(region))
    return [e164[1 + len(code) :]] if e164[1:].startswith(code) else []


# --- words -----------------------------------------------------------------------------------------------------

_QUOTES = '"\u201c\u201d\u201e\u00ab\u00bb'
_UNIT = re.compile(f"[{_QUOTES}]([^{_QUOTES}]*)[{_QUOTES}]?|([^\\s{_QUOTES}]+)")


def _phrases(text: str) -> list[str]:
    """Each word and each quoted phrase of a text. What has no letter and no digit says nothing and is passed over."""
    if len(text) > LONGEST_TEXT:
        raise QueryRefused(f"text: at most {LONGEST_TEXT} characters can be searched for")
    units = [_phrase([quoted or word]) for quoted, word in _UNIT.findall(text)]
    found = list(dict.fromkeys(unit for unit in units if unit))
    if sum(1 + unit.count(" ") for unit in found) > MOST_WORDS:
        raise QueryRefused(f"text: at most {MOST_WORDS} words can be searched for")
    return found


def _phrase(parts: list[str]) -> str:
    """The words of a text as RediSearch wants them said: alone, or as a phrase. They are letters and digits only."""
    plain = words(" ".join(parts))
    return f'"{plain}"' if " " in plain else plain


# --- times -----------------------------------------------------------------------------------------------------


def _bounds(name: str, first: datetime | None, end: datetime | None) -> tuple[int | None, int | None]:
    """Milliseconds, both inclusive."""
    for moment in (first, end):
        if moment is not None and moment.tzinfo is None:
            raise QueryRefused(f"{name}: a time needs a zone, such as 2026-11-02T09:00:00Z")
    low = None if first is None else math.ceil(seconds_of(first) * 1000)
    return low, None if end is None else math.ceil(seconds_of(end) * 1000) - 1


def _nothing(low: int | None, high: int | None) -> bool:
    return low is not None and high is not None and low > high


def _range(field: str, low: int | None, high: int | None) -> tuple[str, ...]:
    if low is None and high is None:
        return ()
    return (f"@{field}:[{'-inf' if low is None else low} {'+inf' if high is None else high}]",)
