"""What a row stands for: the whole conversation, or each of its parties, dialogs, turns, analyses or tags.

Belongs here: the elements of each grain, and the extractors that read one. Not here: values of the whole conversation
(``extract.py``), which every grain may use too; elements that a jq filter gives (``expressions.py``).

An element keeps its position also where its neighbours are hostile: positions are what a document's parts point at each
other with, and what tells the rows of a conversation apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal, get_args

from vcon_platform.projections.extract import (
    content,
    first_text,
    party_index,
    role_of,
    text_or_none,
    transcript_language,
)
from vcon_platform.vcon.dialogs import array, duration, ended_at, started_at
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.tags import tags
from vcon_platform.vcon.text import message_text
from vcon_platform.vcon.turns import TRANSCRIPT_TYPES, Turn, turns

Grain = Literal["vcon", "party", "dialog", "turn", "analysis", "tag"]
GRAINS: tuple[Grain, ...] = get_args(Grain)
EACH = "each"
"""The grain whose elements a jq filter gives."""

_TURN = tuple(field.name for field in fields(Turn) if field.name != "words")
_ARRAYS = {"party": "parties", "dialog": "dialog", "analysis": "analysis"}


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its number from 0, and an object of the document, a :class:`Turn`, a (name, value), any JSON."""

    position: int
    value: Any


def elements(vcon: Vcon, grain: str) -> list[Element]:
    """The elements of a conversation, in the order of the document (turns: in time order); of the grain vcon the one
    that there is."""
    found: Sequence[Any]
    match grain:
        case "turn":
            found = turns(vcon, words=False)
        case "tag":
            found = tags(vcon)
        case "party" | "dialog" | "analysis":
            found = array(vcon.data, _ARRAYS[grain])
        case _:
            found = [None]
    return [Element(position, value) for position, value in enumerate(found)]


def as_json(value: Any) -> Any:
    """An element as a jq filter is given it."""
    if isinstance(value, Turn):
        return {name: getattr(value, name) for name in _TURN}
    if isinstance(value, tuple):
        return {"name": value[0], "value": value[1]}
    return value


class Around:
    """The conversation around an element, with what every element asks for looked up once: a document may have ten
    thousand of them."""

    def __init__(self, vcon: Vcon) -> None:
        self.vcon = vcon

    @cached_property
    def parties(self) -> list[dict[str, Any]]:
        """The parties; hostile ones are empty."""
        return array(self.vcon.data, "parties")

    @cached_property
    def sides(self) -> Mapping[int, str]:
        """Position of a party to ``agent`` or ``customer``."""
        found = ((party_index(self.vcon, side), side) for side in ("customer", "agent"))
        return {index: side for index, side in found if index is not None}

    @cached_property
    def starts(self) -> Sequence[float | None]:
        """When each dialog began."""
        return [started_at(dialog) for dialog in array(self.vcon.data, "dialog")]

    @cached_property
    def language(self) -> str | None:
        """The language of the transcript."""
        return transcript_language(self.vcon)


ElementExtract = Callable[[Around, Element], Any]


@dataclass(frozen=True, slots=True)
class ElementExtractor:
    """One source of values of an element: as :class:`~.extract.Extractor`; ``grain``: whose elements, "" for all."""

    name: str
    description: str
    reads: tuple[str, ...]
    grain: str
    extract: ElementExtract


def _member(*names: str) -> ElementExtract:
    return lambda _, element: first_text(element.value.get(name) for name in names)


def _own(reader: Callable[[Mapping[str, Any]], Any]) -> ElementExtract:
    return lambda _, element: reader(element.value)


def _turn(name: str) -> ElementExtract:
    return lambda _, element: getattr(element.value, name)


# --- parties ---------------------------------------------------------------------------------------------------


def _side(around: Around, element: Element) -> str | None:
    return around.sides.get(element.position)


def _party_extractors() -> Iterable[ElementExtractor]:
    def party(name: str, description: str, reads: tuple[str, ...], extract: ElementExtract) -> ElementExtractor:
        return ElementExtractor(f"party.{name}", description, reads, "party", extract)

    for member, meaning in (
        ("name", "The party's name"),
        ("tel", "The party's number"),
        ("mailto", "The party's mail address"),
        ("sip", "The party's SIP address"),
        ("uuid", "The party's uuid"),
    ):
        yield party(member, meaning, (f"parties.{member}",), _member(member))
    yield party("role", "The party's role, as the document has it", ("parties.role",), _own(_role))
    yield party("side", "agent or customer, as agent.name and customer.name choose", ("parties.role",), _side)
    yield party("validation", "How the party was identified", ("parties.validation",), _member("validation"))


def _role(party: Mapping[str, Any]) -> str | None:
    meta = party.get("meta")
    return first_text((party.get("role"), meta.get("role") if isinstance(meta, dict) else None))


# --- dialogs ---------------------------------------------------------------------------------------------------


def _moment(seconds: float | None) -> str | None:
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return None


def _indexes(value: Any) -> list[int] | None:
    if isinstance(value, bool) or not isinstance(value, int | list):
        return None
    if isinstance(value, int):
        return [value] if abs(value) < 1 << 31 else None
    return [index for item in value for index in _indexes(item) or ()]


def _index(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 31 else None


def _dialog_extractors() -> Iterable[ElementExtractor]:
    def dialog(name: str, description: str, extract: ElementExtract) -> ElementExtractor:
        return ElementExtractor(f"dialog.{name}", description, (f"dialog.{name}",), "dialog", extract)

    yield dialog("type", "recording, text, transfer or incomplete", _member("type"))
    yield dialog("start", "When the dialog began", _own(lambda entry: _moment(started_at(entry))))
    yield dialog("end", "When the dialog ended", _own(lambda entry: _moment(ended_at(entry))))
    yield dialog("duration", "Seconds that the dialog took", _own(duration))
    yield dialog(
        "parties", "Who took part, as positions in the document's parties", _own(lambda e: _indexes(e.get("parties")))
    )
    yield dialog("originator", "Who began it, as a position", _own(lambda entry: _index(entry.get("originator"))))
    yield dialog("disposition", "Why there is none: no-answer, busy ...", _member("disposition"))
    yield dialog("mediatype", "The media type", _member("mediatype", "mimetype"))
    yield dialog("filename", "The name of the file", _member("filename"))
    yield dialog("url", "Where the media is", _member("url"))
    yield dialog("content_hash", "The hash of the media", _member("content_hash"))
    yield dialog("session_id", "The session's name at its maker", _own(lambda entry: entry.get("session_id")))
    yield dialog("text", "The message of a text dialog", _own(lambda entry: message_text(entry) or None))


# --- turns -----------------------------------------------------------------------------------------------------


def _speaker(around: Around, turn: Turn) -> Mapping[str, Any]:
    return {} if turn.party is None else around.parties[turn.party]


def _turn_name(around: Around, element: Element) -> str | None:
    return first_text((_speaker(around, element.value).get("name"), element.value.speaker))


def _turn_role(around: Around, element: Element) -> str | None:
    turn: Turn = element.value
    if turn.party is None:
        return None
    party = _speaker(around, turn)
    return role_of(party) or around.sides.get(turn.party) or _role(party)


def _turn_at(around: Around, element: Element) -> str | None:
    turn: Turn = element.value
    begin = None if turn.dialog is None else around.starts[turn.dialog]
    return None if begin is None or turn.start is None else _moment(begin + turn.start)


def _turn_extractors() -> Iterable[ElementExtractor]:
    reads = ("analysis.transcript", "dialog.body")

    def turn(name: str, description: str, extract: ElementExtract, *more: str) -> ElementExtractor:
        return ElementExtractor(f"turn.{name}", description, (*reads, *more), "turn", extract)

    yield turn("text", "What was said or written", _turn("text"))
    yield turn("speaker", "Who: the party's name, else what the transcript calls the voice", _turn_name, "parties.name")
    yield turn("role", "agent or customer, else the party's role", _turn_role, "parties.role")
    yield turn("party", "Who, as a position in the document's parties", _turn("party"))
    yield turn("dialog", "The dialog, as a position", _turn("dialog"))
    yield turn("channel", "The channel of the recording", _turn("channel"))
    yield turn("start", "Seconds from the dialog's start to the turn's", _turn("start"))
    yield turn("end", "Seconds from the dialog's start to the turn's end", _turn("end"))
    yield turn("at", "When the turn began", _turn_at, "dialog.start")
    yield turn("confidence", "How sure the transcriber is, 0 to 1", _turn("confidence"))
    yield turn("vendor", "Who transcribed it; empty for a message", _turn("vendor"))
    yield turn("language", "The language of the transcript", lambda around, _: around.language)


# --- analyses and tags -----------------------------------------------------------------------------------------


def _result(entry: Mapping[str, Any]) -> Any:
    return None if entry.get("type") in TRANSCRIPT_TYPES else content(entry)


def _analysis_extractors() -> Iterable[ElementExtractor]:
    def analysis(name: str, description: str, extract: ElementExtract) -> ElementExtractor:
        return ElementExtractor(f"analysis.{name}", description, (f"analysis.{name}",), "analysis", extract)

    for member, meaning in (
        ("type", "What kind of analysis it is"),
        ("vendor", "Who made it"),
        ("product", "With what"),
        ("schema", "The schema of its body"),
        ("mediatype", "The media type of its body"),
    ):
        yield analysis(member, meaning, _member(member))
    yield analysis("dialog", "The dialogs it is about, as positions", _own(lambda entry: _indexes(entry.get("dialog"))))
    yield analysis("body", "The body; JSON as JSON", _own(content))
    yield analysis("text", "The body, where it is text", _own(lambda entry: text_or_none(content(entry))))
    yield analysis("result", "The body of what is no transcript: a transcript's is in the turns", _own(_result))


def _extractors() -> Iterable[ElementExtractor]:
    yield ElementExtractor("position", "The number of the row's element, from 0", (), "", lambda _, e: e.position)
    yield ElementExtractor("element", "The element itself, as JSON", ("element",), "", lambda _, e: as_json(e.value))
    yield from _party_extractors()
    yield from _dialog_extractors()
    yield from _turn_extractors()
    yield from _analysis_extractors()
    yield ElementExtractor("tag.name", "The tag's name", ("attachments.tags",), "tag", lambda _, e: e.value[0])
    yield ElementExtractor("tag.value", "The tag's value", ("attachments.tags",), "tag", lambda _, e: e.value[1])


ELEMENT_EXTRACTORS: Mapping[str, ElementExtractor] = MappingProxyType({each.name: each for each in _extractors()})
"""All extractors that read an element."""

GRAIN_READS: Mapping[str, str] = MappingProxyType(
    {
        "party": "parties",
        "dialog": "dialog",
        "turn": "analysis.transcript",
        "analysis": "analysis",
        "tag": "attachments.tags",
    }
)
"""The vCon member that a grain's elements come from."""
