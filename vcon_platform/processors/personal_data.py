"""Finding personal data in what is said: the detector that ``redact_text``, ``redact_audio`` and ``text_pii_redactor``
ask.

Belongs here: putting the finders together, what becomes of their findings (borders, labels, what is left alone), text
with marks instead. Not here: the finders (``personal_data_*.py``), which lines a document has, what a copy holds
(``redact_text.py``).

What it is built for is calls: text as a recogniser writes it, in turns. So numbers are found however they are said and
over how many turns, a name that was found once is masked wherever it occurs, and what the document tells of its own
parties is looked for as well. At the borders it takes whole words, and what stands between two findings of one kind.

It knows English. What it finds and misses is measured on a labelled set: docs/processors-redaction.md.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from vcon_platform.processors.personal_data_known import Known, known_in
from vcon_platform.processors.personal_data_labels import LABELS, Label, Line, Span
from vcon_platform.processors.personal_data_numbers import Said, cues_in, numbers
from vcon_platform.processors.personal_data_phrases import FINDERS
from vcon_platform.processors.personal_data_tokens import CAPITALS, tokens_of
from vcon_platform.processors.personal_data_words import MONTHS, ORDINARY

_ALIKE: tuple[frozenset[Label], ...] = (
    frozenset({"CARD", "PHONE", "BANK", "NATIONAL_ID", "ID", "SECRET"}),
    frozenset({"PERSON", "LOCATION"}),
)
"""Kinds that are taken for one another: half a card number looks like a telephone's, a surname like a town. Whoever
looks for one of them gets all, because masking by the wrong name is no harm and a leak is."""

_PRECEDENCE = (
    "CUSTOM",
    "EMAIL",
    "CARD",
    "NATIONAL_ID",
    "BANK",
    "SECRET",
    "BIRTH_DATE",
    "IP",
    "PHONE",
    "LOCATION",
    "PERSON",
    "ID",
    "NAME",
)
"""Which label two findings get that overlap: the first of these."""


def find(
    lines: Sequence[Line],
    *,
    known: Known | None = None,
    labels: Collection[Label] = LABELS,
    words: Collection[str] = (),
    keep: Collection[str] = (),
) -> list[list[Span]]:
    """The personal data of a conversation, per line, in order, without overlaps.

    ``known``: what the document says of its parties. ``labels``: the kinds that are looked for, with those that are
    taken for them (numbers are one family, names of people and places another). ``words``: texts that
    are masked wherever they occur, in any case; ``keep``: words and texts that are no personal data though they look
    like it (the company's name, its own number).
    """
    from vcon_platform.processors.personal_data_model import model

    said = [Said(line.text, line.who, tokens_of(n, line.text), cues_in(line.text)) for n, line in enumerate(lines)]
    found: list[list[tuple[int, int, str]]] = [[] for _ in lines]
    for number, start, end, label in _everything(said, known or Known(), words):
        found[number].append((start, end, label))
    spoken = [number for number, line in enumerate(lines) if line.text.strip()]
    for place, start, end, label in model().find([lines[number].text for number in spoken]):
        number = spoken[place]
        if not (label in ("PERSON", "NAME", "LOCATION") and _no_name(lines[number].text, start, end)):
            found[number].append((start, end, label))
    for number, start, end in _again(said, found):
        found[number].append((start, end, "PERSON"))
    kept = _Kept(keep)
    wanted = {"CUSTOM", *labels}.union(*(alike for alike in _ALIKE if not alike.isdisjoint(labels)))
    return [
        _merged(line, [each for each in spans if each[2] in wanted], kept)
        for line, spans in zip(said, found, strict=True)
    ]


def _everything(said: Sequence[Said], known: Known, words: Collection[str]) -> Iterator[tuple[int, int, int, str]]:
    yield from numbers(said)
    for finder in FINDERS:
        yield from finder(said)
    yield from known_in(said, known)
    wanted = [" ".join(word.split()) for word in words if word.strip()]
    if wanted:
        wanted.sort(key=len, reverse=True)
        spaced = (re.escape(word).replace("\\ ", r"\s+") for word in wanted)
        pattern = re.compile("|".join(rf"(?<!\w){word}(?!\w)" for word in spaced), re.I)
        for number, line in enumerate(said):
            for match in pattern.finditer(line.text):
                yield number, match.start(), match.end(), "CUSTOM"


_NO_NAMES = ORDINARY | MONTHS


def _no_name(line: str, start: int, end: int) -> bool:
    """True if all the model calls a name are ordinary words, as it does at the beginning of a turn; or words without a
    capital in a line that has some."""
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", line[start:end])  # noqa: RUF001
    cased = any(letter.isupper() for letter in line)
    return all(
        word.casefold().replace("’", "'").removesuffix("'s") in _NO_NAMES or (cased and not word[0].isupper())  # noqa: RUF001
        for word in words
    )


def _again(said: Sequence[Said], found: Sequence[Sequence[tuple[int, int, str]]]) -> Iterator[tuple[int, int, int]]:
    """Every other place where a name occurs that was found once."""
    names = {
        token.text.removesuffix("'s")
        for line, spans in zip(said, found, strict=True)
        for token in line.tokens
        if len(token.text) > 2
        and token.text[0].isupper()
        and token.lower.removesuffix("'s") not in ORDINARY
        and not token.digits
        and any(label == "PERSON" and start < token.end and token.start < end for start, end, label in spans)
    }
    for number, line in enumerate(said):
        for token in line.tokens:
            if token.text.removesuffix("'s") in names:
                yield number, token.start, token.end


class _Kept:
    """Words and texts that are left alone."""

    def __init__(self, keep: Collection[str]) -> None:
        self._phrases = {" ".join(text.casefold().split()) for text in keep}
        self._words = {word for phrase in self._phrases for word in re.findall(r"\w+", phrase)}

    def __call__(self, text: str) -> bool:
        """True if a finding is nothing but what is kept."""
        if not self._phrases:
            return False
        words = re.findall(r"\w+", text.casefold())
        return " ".join(text.casefold().split()) in self._phrases or (
            len(words) > 0 and all(word in self._words and not word.isdigit() for word in words)
        )


_JOINS = re.compile(r"[\s.,;:'’/()#+-]{0,3}")  # noqa: RUF001
_WITHIN_ADDRESS = re.compile(rf"[\s,.;-]*(?:(?:[{CAPITALS}][\w.'’-]*|\d+)[\s,.;-]*){{0,4}}")  # noqa: RUF001
_NAMES = frozenset({"PERSON", "NAME"})
_OF_ADDRESS = frozenset({"LOCATION", "PERSON", "NAME", "ID"})


def _merged(line: Said, spans: Sequence[tuple[int, int, str]], kept: _Kept) -> list[Span]:
    """Findings at whole words, those that overlap or touch put together; between two of one kind only marks may lie."""
    wide = sorted(
        _whole(line, start, end, label)
        for start, end, label in spans
        if start < end and (label == "CUSTOM" or not kept(line.text[start:end]))
    )
    merged: list[tuple[int, int, str]] = []
    for start, end, label in wide:
        if merged:
            begin, last, before = merged[-1]
            between = line.text[last:start]
            if start < last or _joined(before, label, between):
                first = min((before, label), key=_PRECEDENCE.index)
                merged[-1] = (begin, max(last, end), first)
                continue
        merged.append((start, end, label))
    return [Span(start, end, label) for start, end, label in merged if label in LABELS]


def _joined(before: str, label: str, between: str) -> bool:
    """True if what lies between two findings belongs to both: marks, and in an address the capitalised words too."""
    if (label == before or {label, before} <= _NAMES) and _JOINS.fullmatch(between):
        return True
    address = "LOCATION" in (before, label) and {before, label} <= _OF_ADDRESS
    return address and len(between) <= 60 and _WITHIN_ADDRESS.fullmatch(between) is not None


def _whole(line: Said, start: int, end: int, label: str) -> tuple[int, int, str]:
    """The finding from the beginning of its first word to the end of its last, without marks around it."""
    touched = [token for token in line.tokens if token.start < end and start < token.end]
    words = [token for token in touched if token.is_word]
    begin, finish = start, end
    if words or touched:
        begin, finish = min(start, (words or touched)[0].start), max(end, (words or touched)[-1].end)
    while begin < finish and line.text[begin].isspace():
        begin += 1
    while finish > begin and line.text[finish - 1].isspace():
        finish -= 1
    return begin, finish, label
