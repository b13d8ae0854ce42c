"""Reading transcripts in the shapes that vendors write.

Belongs here: one reader per shape, from the decoded body of an analysis to :class:`Piece` s in the body's own order.
Not here: single values (``pieces.py``), plain text (``plain.py``) and captions (``captions.py``); which analysis is a
transcript, whose turn it was, and time order (``turns.py``).

Shapes: segments with words, as WTF, Whisper and this platform write them; Deepgram's results and its single
alternatives; lists of turns under any of the names in use; plain text with a blank line between turns. A reader
takes what it recognises and passes over the rest. None raises, whatever the body is, and none takes more than
linear time: a meeting's transcript has a hundred thousand words.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import orjson

from vcon_platform.vcon.captions import are_captions, captions
from vcon_platform.vcon.pieces import (
    Piece,
    Word,
    channel,
    confidence,
    first,
    index,
    moment,
    name,
    number,
    objects,
    offset,
    text_of,
)
from vcon_platform.vcon.plain import plain

__all__ = ["Piece", "Word", "pieces"]

_LISTS = ("segments", "turns", "utterances", "messages", "conversation")


def pieces(body: Any, voices: Collection[str] = (), *, words: bool = True) -> list[Piece]:
    """The turns of a transcript's body, whatever its shape; [] where nothing in it can be read. ``voices``: casefolded
    names that begin a turn where they stand before a colon in plain text. Without ``words`` a turn that has any has
    some of them, and all else is the same: reading them all takes four times as long as the turns themselves."""
    body, read = _unpacked(body), _words if words else _outermost
    if isinstance(body, str):
        return _text(body, voices)
    if isinstance(body, list):
        return _listed(body, read)
    return _keyed(body, voices, read) if isinstance(body, dict) else []


def _unpacked(body: Any) -> Any:
    """JSON inside a string, once or twice, is opened; other strings are text."""
    for _ in range(2):
        if not isinstance(body, str) or not body[:100].lstrip().startswith(("{", "[", '"')):
            break
        try:
            body = orjson.loads(body)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            break
    return body


def _text(text: Any, voices: Collection[str]) -> list[Piece]:
    if not isinstance(text, str):
        return []
    return list(captions(text)) if are_captions(text) else plain(text, voices)


# --- words and turns -------------------------------------------------------------------------------------------


def _word(source: Mapping[str, Any]) -> Word | None:
    text = text_of(first(source, "punctuated_word", "text", "word"))
    if not text:
        return None
    sure = confidence(first(source, "confidence", "probability", "score"))
    return Word(text, number(source.get("start")), number(source.get("end")), sure)


Sources = Sequence[Mapping[str, Any]]
Read = Callable[[Sources], tuple[Word, ...]]
"""Reads the words of a turn: all of them, or those that its times may have to be taken from."""


def _words(sources: Sources) -> tuple[Word, ...]:
    return tuple(word for source in sources if (word := _word(source)) is not None)


def _outermost(sources: Sources) -> tuple[Word, ...]:
    for source in sources:
        if (begin := _word(source)) is not None:
            return begin, next(word for source in reversed(sources) if (word := _word(source)) is not None)
    return ()


def _turn(source: Mapping[str, Any], sources: Sources, read: Read) -> Piece | None:
    """One object of a list of turns, utterances or segments, and its words."""
    text = text_of(first(source, "text", "message", "transcript", "content", "utterance", "sentence", "body"))
    words = read(sources) if text else _words(sources)
    text = text or " ".join(word.text for word in words)
    if not text:
        return None
    start, end = _times(source)
    length = number(source.get("duration"))
    at = moment(source.get("start")) if start is None else None
    if end is None and length is not None:
        end = length if start is None else start + length
    return Piece(
        text=text,
        party=index(first(source, "party", "parties")),
        speaker=name(first(source, "speaker", "speaker_label", "role", "name")),
        channel=channel(source.get("channel")),
        start=start if start is not None or not words else words[0].start,
        end=end if end is not None or not words else words[-1].end,
        confidence=confidence(source.get("confidence")),
        words=words,
        at=at,
    )


def _times(source: Mapping[str, Any]) -> tuple[float | None, float | None]:
    start = offset(first(source, "start", "start_time", "begin"))
    end = offset(first(source, "end", "end_time", "stop"))
    offsets = source.get("offsets")
    if start is None and isinstance(offsets, dict):  # whisper.cpp counts milliseconds
        begun, over = number(offsets.get("from")), number(offsets.get("to"))
        start = None if begun is None else begun / 1000
        end = None if over is None else over / 1000
    return start, end


Lookup = Callable[[Any], Mapping[str, Any] | None]


def _listed(items: list[Any], read: Read, lookup: Lookup | None = None) -> list[Piece]:
    """A list of turns: objects, or bare texts. ``lookup`` finds a word that a turn names by its number."""
    found: list[Piece] = []
    for item in items:
        if isinstance(item, str):
            if text := item.strip():
                found.append(Piece(text=text))
        elif isinstance(item, dict):
            listed = item.get("words")
            sources = _word_sources(listed if isinstance(listed, list) else [], lookup)
            piece = _turn(item, sources, read)
            if piece is not None:
                found.append(piece)
    return found


def _word_sources(listed: list[Any], lookup: Lookup | None) -> Sources:
    found = (entry if isinstance(entry, dict) else lookup(entry) if lookup else None for entry in listed)
    return [source for source in found if source is not None]


def _word_lookup(words: list[dict[str, Any]]) -> Lookup:
    """WTF's segments name their words by id, which is the place in the list where no ids are given."""
    by_id: dict[int, Mapping[str, Any]] = {}

    def lookup(entry: Any) -> Mapping[str, Any] | None:
        if not by_id:  # at the first word that is named: most segments hold theirs
            for place, word in enumerate(words):
                identity = index(word.get("id"))
                by_id.setdefault(place if identity is None else identity, word)
        identity = index(entry)
        return None if identity is None else by_id.get(identity)  # lists may run past; the draft's own example does

    return lookup


def _runs(words: list[dict[str, Any]], ends: Iterable[float | None]) -> Iterator[list[dict[str, Any]]]:
    """The words shared out, in their order: each time those that begin before the next of ``ends``."""
    place = 0
    for end in ends:
        begin = place
        while place < len(words) and end is not None and (number(words[place].get("start")) or 0.0) < end:
            place += 1
        yield words[begin:place]


# --- shapes ----------------------------------------------------------------------------------------------------


def _keyed(body: dict[str, Any], voices: Collection[str], read: Read) -> list[Piece]:
    """An object: the first of the known members that holds turns."""
    results = body.get("results")
    if isinstance(results, dict):
        return _deepgram(results, voices, read)
    words = objects(body.get("words"))
    lookup = _word_lookup(words)
    for member in _LISTS:
        if isinstance(body.get(member), list) and (found := _listed(body[member], read, lookup)):
            return _labelled(_with_words(found, words, read), body.get("speakers"))
    if "alternatives" in body:
        return _deepgram({"channels": [body]}, voices, read)
    if ("paragraphs" in body or words) and (found := _alternative(body, None, voices, read)):
        return found
    whole = first(body, "transcript", "text", "transcription")
    if isinstance(whole, dict):
        whole = whole.get("text")
    if isinstance(whole, list):
        return _listed(whole, read)
    return _text(whole, voices)


def _with_words(found: list[Piece], words: list[dict[str, Any]], read: Read) -> list[Piece]:
    """Whisper may list the words beside segments that do not name them: then time says whose they are."""
    if not words or any(piece.words or piece.end is None for piece in found):
        return found
    runs = _runs(words, (piece.end for piece in found))
    return [replace(piece, words=read(run)) for piece, run in zip(found, runs, strict=True)]


def _labelled(found: list[Piece], speakers: Any) -> list[Piece]:
    """WTF's table of speakers may say what the numbers of the segments are called."""
    table = speakers.items() if isinstance(speakers, dict) else ((item.get("id"), item) for item in objects(speakers))
    labels: dict[str, str] = {}
    for key, entry in table:
        label = text_of(first(entry, "label", "name") if isinstance(entry, dict) else entry)[:200]
        if label and (known := name(key)) is not None:
            labels[known] = label
    if not labels:
        return found
    return [replace(p, speaker=labels.get(p.speaker, p.speaker)) if p.speaker is not None else p for p in found]


def _deepgram(results: dict[str, Any], voices: Collection[str], read: Read) -> list[Piece]:
    if found := _listed(results["utterances"], read) if isinstance(results.get("utterances"), list) else []:
        return found
    channels = objects(results.get("channels"))
    timed: list[tuple[float, Piece]] = []
    for place, entry in enumerate(channels):
        alternatives = objects(entry.get("alternatives"))
        if alternatives:
            now = 0.0  # a piece without a time follows the one before it
            only = channel(place) if len(channels) > 1 else None
            for piece in _alternative(alternatives[0], only, voices, read):
                now = now if piece.start is None else piece.start
                timed.append((now, piece))
    if len(channels) > 1:
        timed.sort(key=lambda entry: entry[0])
    return [piece for _, piece in timed]


def _alternative(
    alternative: dict[str, Any], number_of: int | None, voices: Collection[str], read: Read
) -> list[Piece]:
    """One channel's best hypothesis: by paragraphs, else by changes of the speaker, else as plain text."""
    words = objects(alternative.get("words"))
    paragraphs = alternative.get("paragraphs")
    listed = objects(paragraphs.get("paragraphs") if isinstance(paragraphs, dict) else paragraphs)
    found: list[Piece] = []
    for paragraph, run in zip(listed, _runs(words, (number(p.get("end")) for p in listed)), strict=True):
        sentences = " ".join(text_of(sentence.get("text")) for sentence in objects(paragraph.get("sentences")))
        if (piece := _turn({**paragraph, "text": sentences or paragraph.get("text")}, run, read)) is not None:
            found.append(piece)
    if not found:
        for speaker, spoken in groupby(words, key=lambda word: name(word.get("speaker"))):
            if (piece := _turn({"speaker": speaker}, list(spoken), read)) is not None:
                found.append(piece)
    whole = _text(first(alternative, "transcript", "text"), voices)
    if not found:
        found = whole
    elif len(found) == len(whole) == 1 and not listed:  # the words of some vendors have no punctuation
        found = [replace(found[0], text=whole[0].text)]
    return found if number_of is None else [replace(piece, channel=number_of) for piece in found]
