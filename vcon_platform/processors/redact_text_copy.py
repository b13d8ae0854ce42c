"""The redacted copy: what of a document goes into it, member by member.

Belongs here: the empty copy with its structure, text with marks in the shapes of dialogs and analyses, the copy that
``redact_text`` and ``redact_audio`` share. Not here: the allow-list's rules (``vcon/copies.py``), finding
(``personal_data.py``), sound (``redact_audio.py``).

Everything in a copy is either structure (types, times, indexes, each checked to be one), or text that was put together
from what lies between the findings, or was asked for by name. Nothing is taken over as it stands: not a filename, a
hash, a url, a speaker's label, a word of a transcript that was not looked through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import PermanentError, ProcessorIO
from vcon_platform.processors.personal_data_labels import Span, masked
from vcon_platform.processors.redact_text_lines import Looked
from vcon_platform.vcon.copies import Allow, redacted_copy, refuse_inline_vcon
from vcon_platform.vcon.dates import read_date
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.lineage import link_back

VENDOR = "vcon-platform"


def copy_in_hand(io: ProcessorIO) -> Vcon | None:
    """The redacted copy of this vCon that an earlier processor of this pipeline made, not stored yet."""
    for vcon in io.vcons:
        redacted = vcon.data.get("redacted")
        if vcon.revision == 0 and isinstance(redacted, dict) and redacted.get("uuid") == io.vcon.uuid:
            return vcon
    return None


def new_copy(io: ProcessorIO, kind: str) -> Vcon:
    """A copy that holds the structure of the document and nothing else. Nothing is changed yet: :func:`hand_on` does.

    Raises PermanentError for a document that cannot be redacted (extensions nobody knows)."""
    uuid = io.new_uuid()
    try:
        copy = redacted_copy(io.vcon, kind, Allow(), now=_made(uuid), uuid=uuid)
    except PlatformError as error:
        raise PermanentError(f"vCon {io.vcon.uuid} cannot be redacted: {error}") from None
    for entry, dialog in zip(copy.dialog, io.vcon.dialog, strict=True):
        if isinstance(dialog, dict) and entry.get("type") in ("recording", "text", "transfer", "incomplete"):
            entry |= structure(dialog)
    return copy


def refuse_originals(values: Iterable[Any]) -> None:
    """Raises PermanentError where something that is to go into a copy holds a whole vCon."""
    try:
        refuse_inline_vcon({"analysis": list(values)})
    except PlatformError as error:
        raise PermanentError(f"it cannot be redacted with what was asked for: {error}") from None


def hand_on(io: ProcessorIO, copy: Vcon) -> None:
    """Have the copy stored, with both linked."""
    copy.changes.clear()  # a new vCon is stored whole
    link_back(io.vcon, copy)
    io.add(copy)


def _made(uuid: str) -> datetime:
    """The time that the uuid holds: the job's, so that a repeated job makes the same copy again."""
    milliseconds = UUID(uuid).int >> 80
    return datetime.fromtimestamp(milliseconds / 1000, UTC) if milliseconds else datetime.now(UTC)


# --- structure -------------------------------------------------------------------------------------------------


def structure(dialog: Mapping[str, Any]) -> dict[str, Any]:
    """When, how long and between whom: of each member only what is what it should be."""
    kept: dict[str, Any] = {}
    start = dialog.get("start")
    if isinstance(start, str) and (moment := read_date(start, UTC)) is not None:
        kept["start"] = datetime.fromtimestamp(moment.seconds, UTC).isoformat()
    if _is_number(duration := dialog.get("duration")):
        kept["duration"] = duration
    if (parties := _indexes(dialog.get("parties"))) is not None:
        kept["parties"] = parties
    if type(originator := dialog.get("originator")) is int and originator >= 0:
        kept["originator"] = originator
    return kept


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _indexes(value: Any, depth: int = 0) -> Any:
    """An index, or lists of indexes (and null for a silent channel); None for anything else."""
    if type(value) is int and 0 <= value < 1_000_000:
        return value
    if isinstance(value, list) and depth < 2:
        found = [None if item is None else _indexes(item, depth + 1) for item in value]
        return None if any(a is None and b is not None for a, b in zip(found, value, strict=True)) else found
    return None


# --- what was said ---------------------------------------------------------------------------------------------


def said_in(looked: Iterable[Looked], mark: str) -> dict[int | None, list[tuple[Looked, str]]]:
    """The turns of each dialog (None: of all of them) with their masked text."""
    found: dict[int | None, list[tuple[Looked, str]]] = {}
    for each in looked:
        found.setdefault(each.turn.dialog, []).append((each, masked(each.turn.text, each.spans, mark)))
    return found


def message(text: str) -> dict[str, Any]:
    """The content of a text dialog."""
    return {"mediatype": "text/plain", "encoding": "none", "body": text}


def transcript(dialog: int | None, said: Sequence[tuple[Looked, str]], mark: str) -> dict[str, Any]:
    """A transcript analysis in the shape that ``transcribe`` writes: readers need not know that it was redacted. A
    masked stretch is one word with the mark, from the first masked word's beginning to the last one's end."""
    segments: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    voices: dict[str, str] = {}
    for each, text in said:
        first = len(words)
        words += [{"id": first + n, **word} for n, word in enumerate(_words(each, mark))]
        segments.append(
            {
                "id": len(segments),
                **_timed(each.turn.start, each.turn.end),
                "text": text,
                **({} if each.turn.confidence is None else {"confidence": each.turn.confidence}),
                **_who(each, voices),
                "words": list(range(first, len(words))),
            }
        )
    return {
        "type": "transcript",
        **({} if dialog is None else {"dialog": dialog}),
        "vendor": VENDOR,
        "product": "redact_text",
        "schema": "wtf",
        "mediatype": "application/json",
        "encoding": "json",
        "body": {
            "transcript": {"text": " ".join(text for _, text in said if text)},
            "segments": segments,
            "words": words,
        },
    }


def _timed(start: float | None, end: float | None) -> dict[str, float]:
    return {name: value for name, value in (("start", start), ("end", end)) if value is not None}


def _who(each: Looked, voices: dict[str, str]) -> dict[str, Any]:
    """Whose turn it is: the party, else the channel, else a number for the voice, whose label may be a name."""
    turn = each.turn
    who: dict[str, Any] = {} if turn.channel is None else {"channel": turn.channel}
    if turn.party is not None:
        return {**who, "speaker": turn.party, "party": turn.party}
    if turn.speaker is None:
        return who
    return {**who, "speaker": voices.setdefault(turn.speaker, f"voice-{len(voices) + 1}")}


def _words(each: Looked, mark: str) -> list[dict[str, Any]]:
    if each.places is None:
        return []
    words: list[dict[str, Any]] = []
    last: int | None = None
    for word, (begin, end) in zip(each.turn.words, each.places, strict=True):
        hit = next((n for n, span in enumerate(each.spans) if span.start < end and begin < span.end), None)
        if hit is None:
            sure = {} if word.confidence is None else {"confidence": word.confidence}
            words.append({**_timed(word.start, word.end), "text": word.text, **sure})
        elif last != hit:
            words.append({**_timed(word.start, word.end), "text": mark.replace("{label}", each.spans[hit].label)})
        elif word.end is not None:
            words[-1]["end"] = word.end
        last = hit
    return words


def report(dialogs: Iterable[int], spans: Iterable[Sequence[Span]], labels: Sequence[str]) -> dict[str, Any]:
    """An analysis that says how many findings of which kind were masked, for who audits: numbers, no content."""
    counts = Counter(span.label for each in spans for span in each)
    return {
        "type": "redaction",
        "dialog": sorted(dialogs),
        "vendor": VENDOR,
        "product": "redact_text",
        "schema": "counts",
        "mediatype": "application/json",
        "encoding": "json",
        "body": {"masked": dict(sorted(counts.items())), "looked_for": list(labels)},
    }


# --- what was asked for ----------------------------------------------------------------------------------------


def texts_in(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names of members too, in an order that :func:`with_texts` repeats."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from texts_in(item)


def with_texts(value: Any, masked_text: Callable[[], str]) -> Any:
    """The value with each text replaced by what ``masked_text`` gives next. Numbers of seven digits or more, which may
    be a telephone's, become null."""
    if isinstance(value, str):
        return masked_text()
    if isinstance(value, list):
        return [with_texts(item, masked_text) for item in value]
    if isinstance(value, dict):
        clean: dict[str, Any] = {}
        for item in value.values():
            name = masked_text()
            while name in clean:  # two names that are one mark now
                name += "'"
            clean[name] = with_texts(item, masked_text)
        return clean
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= 1e6:
        return None
    return value


def opened(body: Any, encoding: object) -> Any:
    """A body as a value whose texts can be looked through; None where it is bytes."""
    if encoding in ("base64url", "base64"):
        return None
    if isinstance(body, str) and body.lstrip()[:1] in ("{", "["):
        try:
            return orjson.loads(body)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return body
    return body
