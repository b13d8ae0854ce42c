"""Reading transcripts in the shapes that vendors write.

Belongs here: one reader per shape, from the decoded body of an analysis to :class:`Piece` s in the body's own order.
Not here: which analysis is a transcript, whose turn it was, and time order (``turns.py``).

Shapes: segments with words, as WTF, Whisper and this platform write them; Deepgram's results and its single
alternatives; lists of turns under any of the names in use; plain text with a blank line between turns. A reader
takes what it recognises and passes over the rest. None raises, whatever the body is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Word:
    """One word. Times in seconds from the start of the dialog, confidence from 0 to 1; None: not said."""

    text: str
    start: float | None
    end: float | None
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Piece:
    """One turn as the transcript has it. ``at`` is set, and ``start`` not, where it gives a time of day; ``end`` is
    then the turn's length."""

    text: str
    party: int | None = None
    speaker: str | None = None
    channel: int | None = None
    start: float | None = None
    end: float | None = None
    confidence: float | None = None
    words: tuple[Word, ...] = ()
    at: datetime | None = None


def pieces(body: Any) -> list[Piece]:
    """The turns of a transcript's body, whatever its shape; [] where nothing in it can be read."""
    body = _unpacked(body)
    if isinstance(body, str):
        return _plain(body)
    if isinstance(body, list):
        return _listed(body)
    return _keyed(body) if isinstance(body, dict) else []


def _unpacked(body: Any) -> Any:
    """JSON inside a string, once or twice, is opened; other strings are text."""
    for _ in range(2):
        if not isinstance(body, str) or not body.lstrip().startswith(("{", "[", '"')):
            break
        try:
            body = orjson.loads(body)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            break
    return body


# --- values ----------------------------------------------------------------------------------------------------


def _first(source: Mapping[str, Any], *names: str) -> Any:
    return next((source[name] for name in names if source.get(name) is not None), None)


def _text(value: Any) -> str:
    return value.strip() if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    """A number that is one: not NaN, not true, not negative. Numbers in strings count."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _index(value: Any) -> int | None:
    """A small index, also as the only element of a list or as digits."""
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    number = _number(value)
    return int(number) if number is not None and number == int(number) and number < 1_000_000 else None


def _name(value: Any) -> str | None:
    """A speaker's name: text, or a number as Deepgram and WTF write it."""
    if isinstance(value, dict):
        value = _first(value, "name", "label", "id")
    if isinstance(value, str):
        return value.strip()[:200] or None
    index = _index(value)
    return None if index is None else str(index)


def _confidence(value: Any) -> float | None:
    number = _number(value)
    return number if number is not None and number <= 1 else None


def _moment(value: Any) -> datetime | None:
    if not isinstance(value, str) or "T" not in value:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        return None


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


# --- words and turns -------------------------------------------------------------------------------------------


def _word(source: Mapping[str, Any]) -> Word | None:
    text = _text(_first(source, "punctuated_word", "text", "word"))
    if not text:
        return None
    confidence = _confidence(_first(source, "confidence", "probability", "score"))
    return Word(text, _number(source.get("start")), _number(source.get("end")), confidence)


def _words(sources: Iterable[Mapping[str, Any]]) -> tuple[Word, ...]:
    return tuple(word for source in sources if (word := _word(source)) is not None)


def _turn(source: Mapping[str, Any], words: tuple[Word, ...]) -> Piece | None:
    """One object of a list of turns, utterances or segments."""
    text = _text(_first(source, "text", "message", "transcript", "content", "utterance", "sentence", "body"))
    text = text or " ".join(word.text for word in words)
    if not text:
        return None
    start = _number(_first(source, "start", "start_time", "begin"))
    end = _number(_first(source, "end", "end_time", "stop"))
    length = _number(source.get("duration"))
    at = _moment(source.get("start")) if start is None else None
    if end is None and length is not None:
        end = length if start is None else start + length
    return Piece(
        text=text,
        party=_index(_first(source, "party", "parties")),
        speaker=_name(_first(source, "speaker", "speaker_label", "role", "name")),
        channel=_index(source.get("channel")),
        start=start if start is not None or not words else words[0].start,
        end=end if end is not None or not words else words[-1].end,
        confidence=_confidence(source.get("confidence")),
        words=words,
        at=at,
    )


def _listed(items: list[Any], lookup: Callable[[Any], Mapping[str, Any] | None] | None = None) -> list[Piece]:
    """A list of turns: objects, or bare texts. ``lookup`` finds a word that a turn names by its number."""
    found: list[Piece] = []
    for item in items:
        if isinstance(item, str):
            if text := item.strip():
                found.append(Piece(text=text))
        elif isinstance(item, dict):
            listed = item.get("words")
            sources = _word_sources(listed if isinstance(listed, list) else [], lookup)
            piece = _turn(item, _words(sources))
            if piece is not None:
                found.append(piece)
    return found


def _word_sources(
    listed: list[Any], lookup: Callable[[Any], Mapping[str, Any] | None] | None
) -> Iterator[Mapping[str, Any]]:
    for entry in listed:
        source = entry if isinstance(entry, dict) else lookup(entry) if lookup else None
        if source is not None:
            yield source


# --- shapes ----------------------------------------------------------------------------------------------------


def _keyed(body: dict[str, Any]) -> list[Piece]:
    """An object: the first of the known members that holds turns."""
    results = body.get("results")
    if isinstance(results, dict):
        return _deepgram(results)
    for name in ("segments", "turns", "utterances", "messages"):
        if isinstance(body.get(name), list) and (found := _listed(body[name], _word_lookup(body.get("words")))):
            return found
    if "alternatives" in body:
        return _deepgram({"channels": [body]})
    if "paragraphs" in body or (isinstance(body.get("words"), list) and isinstance(body.get("transcript"), str)):
        return _alternative(body, None)
    whole = _first(body, "transcript", "text", "transcription")
    if isinstance(whole, dict):
        whole = whole.get("text")
    if isinstance(whole, list):
        return _listed(whole)
    return _plain(whole) if isinstance(whole, str) else []


def _word_lookup(words: Any) -> Callable[[Any], Mapping[str, Any] | None]:
    """WTF's segments name their words by id, which is the place in the list where no ids are given."""
    by_id: dict[int, Mapping[str, Any]] = {}
    for place, word in enumerate(words if isinstance(words, list) else []):
        if isinstance(word, dict):
            identity = _index(word.get("id"))
            by_id.setdefault(place if identity is None else identity, word)

    def lookup(entry: Any) -> Mapping[str, Any] | None:
        index = _index(entry)
        return None if index is None else by_id.get(index)  # lists may run past the words; the draft's own does

    return lookup


def _deepgram(results: dict[str, Any]) -> list[Piece]:
    if found := _listed(results["utterances"]) if isinstance(results.get("utterances"), list) else []:
        return found
    channels = _objects(results.get("channels"))
    for number, channel in enumerate(channels):
        alternatives = _objects(channel.get("alternatives"))
        if alternatives:
            found += _alternative(alternatives[0], number if len(channels) > 1 else None)
    return sorted(found, key=lambda piece: piece.start or 0.0) if len(channels) > 1 else found


def _alternative(alternative: dict[str, Any], channel: int | None) -> list[Piece]:
    """One channel's best hypothesis: by paragraphs, else by changes of the speaker, else as plain text."""
    words = _objects(alternative.get("words"))
    paragraphs = alternative.get("paragraphs")
    if isinstance(paragraphs, dict):
        paragraphs = paragraphs.get("paragraphs")
    found: list[Piece] = []
    for paragraph in _objects(paragraphs):
        begin, end = _number(paragraph.get("start")), _number(paragraph.get("end"))
        sentences = " ".join(_text(sentence.get("text")) for sentence in _objects(paragraph.get("sentences")))
        count = 0
        while count < len(words) and end is not None and (_number(words[count].get("start")) or 0.0) < end:
            count += 1
        piece = _turn({**paragraph, "text": sentences, "start": begin, "end": end}, _words(words[:count]))
        words = words[count:]
        if piece is not None:
            found.append(replace(piece, channel=channel))
    if not found:
        for speaker, run in groupby(words, key=lambda word: _name(word.get("speaker"))):
            spoken = _words(run)
            if spoken and (piece := _turn({"speaker": speaker}, spoken)):
                found.append(replace(piece, channel=channel))
    return found or [replace(piece, channel=channel) for piece in _plain(alternative.get("transcript"))]


_VOICE = re.compile(r"((?:speaker|channel) ?\d{1,3}|agent|customer|caller|callee) ?: ", re.IGNORECASE)


def _plain(text: Any) -> list[Piece]:
    """Plain text: a blank line ends a turn, and ``Speaker 0: `` or ``Agent: `` before one says who it was."""
    if not isinstance(text, str):
        return []
    found: list[Piece] = []
    for filled, lines in groupby(text.splitlines(), key=lambda line: bool(line.strip())):
        if filled:
            turn = " ".join(line.strip() for line in lines)
            voice = _VOICE.match(turn)
            spoken = turn[voice.end() :].strip() if voice else turn
            if spoken:
                found.append(Piece(text=spoken, speaker=voice.group(1) if voice else None))
    return found
