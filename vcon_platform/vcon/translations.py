"""Translations of what was said, as analyses of type ``translation``, and the turn table in another language.

Belongs here: the shape of such an analysis, and reading it. Not here: the turn table itself (``turns.py``), making a
translation (``processors/translate.py``).

A translation is no transcript: it never takes the place of what was really said, so its type is none that the turn
table takes. Its body has the shape of one all the same (WTF's, with ``segments``), so whatever reads transcripts reads
it. Each segment names the turn that it translates, by dialog and place, and a digest of its text: where the transcript
was made again, or mended, the translation of other words is not put down to it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import orjson

from vcon_platform.vcon.dialogs import array
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.turns import Turn, turns

TRANSLATION = "translation"
"""The analysis' type."""


def translation_body(language: str, spoken: str, table: Sequence[Turn], texts: Mapping[int, str]) -> dict[str, Any]:
    """The body of an analysis: ``texts`` are translations by the turns' places in ``table``. ``spoken``: the language
    of the original, empty if nobody knows."""
    segments = [_segment(number, table[place], texts[place]) for number, place in enumerate(sorted(texts))]
    return {
        "language": language,
        **({"from": spoken} if spoken else {}),
        "transcript": {"text": "\n".join(segment["text"] for segment in segments), "language": language},
        "segments": segments,
    }


def _segment(number: int, turn: Turn, text: str) -> dict[str, Any]:
    known = {
        "dialog": turn.dialog,
        "party": turn.party,
        "speaker": turn.speaker,
        "channel": turn.channel,
        "start": turn.start,
        "end": turn.end,
    }
    told = {name: value for name, value in known.items() if value is not None}
    return {"id": number, **told, "turn": turn.turn, "text": text, "of": _digest(turn.text)}


def translated_turns(vcon: Vcon | Mapping[str, Any], language: str) -> list[Turn]:
    """The turn table with every turn in ``language`` that was translated into it; the others as they were said. Times,
    parties and places are those of ``turns(vcon)``; no turn has words, and a translated one no confidence."""
    data = vcon.data if isinstance(vcon, Vcon) else vcon
    table = turns(data, words=False)
    said: dict[tuple[Any, Any, Any], str] = {}
    for entry in array(data, "analysis"):
        body = _body(entry)
        if entry.get("type") == TRANSLATION and _is(body.get("language"), language):
            said.update(_texts(body.get("segments")))
    if not said:
        return table
    return [_translated(turn, said.get((turn.dialog, turn.turn, _digest(turn.text)))) for turn in table]


def _is(found: Any, wanted: str) -> bool:
    return isinstance(found, str) and found.casefold() == wanted.casefold()


def _body(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    body = entry.get("body")
    if isinstance(body, str):
        try:
            body = orjson.loads(body)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return {}
    return body if isinstance(body, dict) else {}


def _texts(segments: Any) -> Iterable[tuple[tuple[Any, Any, Any], str]]:
    for segment in segments if isinstance(segments, list) else []:
        if not isinstance(segment, dict):
            continue
        place = (segment.get("dialog"), segment.get("turn"), segment.get("of"))
        text = segment.get("text")
        plain = all(value is None or isinstance(value, int | str) for value in place)
        if plain and isinstance(text, str) and text.strip():
            yield place, text


def _translated(turn: Turn, text: str | None) -> Turn:
    return turn if text is None else replace(turn, text=text, words=(), confidence=None)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:16]
