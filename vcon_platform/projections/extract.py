"""Named extractors: the values that a column may be filled from.

Each is a pure function of the document and of the outcome of its pipeline. Text is handed on verbatim: a name like
``=HYPERLINK(...)`` is somebody's name, and each destination must keep it text. An extractor gives None where the
document does not say; it never guesses, and hostile members (a name that is a list) count as absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import orjson

from vcon_platform.projections.bare import document_digest
from vcon_platform.projections.outcome import Outcome
from vcon_platform.vcon.dialogs import duration, started_at
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import BodyError, decode_base64url
from vcon_platform.vcon.turns import TRANSCRIPT_TYPES, transcript_text

Extract = Callable[[Vcon, Outcome], Any]

WHOLE = "vcon"
"""The extractor of the whole document. Rows carry its digest; the document itself is put in when they land."""


@dataclass(frozen=True, slots=True)
class Extractor:
    """One source of values: what it means, and which vCon members it reads (for column lineage)."""

    name: str
    description: str
    reads: tuple[str, ...]
    extract: Extract


def text_or_none(value: Any) -> str | None:
    """The value, if it is text."""
    return value if isinstance(value, str) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def content(entry: Mapping[str, Any]) -> Any:
    """The body of an attachment or analysis: JSON as JSON, also where it stands as text; bytes only where they are said
    to be text."""
    body, encoding = entry.get("body"), entry.get("encoding")
    if not isinstance(body, str):
        return body
    if encoding in ("base64url", "base64"):
        if not str(entry.get("mediatype", "")).startswith(("text/", "application/json")):
            return None
        try:
            body = decode_base64url(body).decode()
        except (BodyError, UnicodeDecodeError):
            return None
    if encoding == "json" or body.lstrip()[:1] in ("{", "["):  # a text that is a number stays the text that it is
        try:
            return orjson.loads(body)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return body
    return body


def first_text(values: Iterable[Any]) -> str | None:
    """The first that is text and not empty."""
    return next((value for value in values if isinstance(value, str) and value), None)


# --- who took part ---------------------------------------------------------------------------------------------

_ROLES = {
    "agent": "agent",
    "representative": "agent",
    "operator": "agent",
    "customer": "customer",
    "client": "customer",
    "consumer": "customer",
}
_DIRECTIONS = {
    "inbound": "inbound",
    "in": "inbound",
    "outbound": "outbound",
    "out": "outbound",
    "internal": "internal",
}


def role_of(party: Mapping[str, Any]) -> str | None:
    """``agent`` or ``customer``, by the word that the party's maker has for it."""
    role = text_or_none(party.get("role")) or text_or_none(_mapping(party.get("meta")).get("role"))
    return _ROLES.get(role.strip().casefold()) if role else None


def _indexes(parties: Any) -> list[int]:
    """The party indexes of a dialog, flattened in order (one, a list, or one list per channel)."""
    if isinstance(parties, bool):
        return []
    if isinstance(parties, int):
        return [parties]
    if isinstance(parties, list):
        return [index for item in parties for index in _indexes(item)]
    return []


def _originator(vcon: Vcon) -> tuple[int, list[int]] | None:
    """Who began the first dialog that says so, and everybody in it."""
    for dialog in vcon.dialog:
        if isinstance(dialog, dict) and dialog.get("type") != "transfer":
            present = [index for index in _indexes(dialog.get("parties")) if 0 <= index < len(vcon.parties)]
            if present:
                said = dialog.get("originator")
                origin = next((index for index in present if index == said and said is not True), present[0])
                return origin, present
    return None


def party_index(vcon: Vcon, side: str) -> int | None:
    """Index of the first party on one side (``agent`` or ``customer``), or None.

    By the party's ``role``. Where no party has that role: in a conversation of two, the one without a role, if the
    other one's is known. Where no role is known at all: by who began it and the direction.
    """
    roles = [role_of(_mapping(party)) for party in vcon.parties]
    if side in roles:
        return roles.index(side)
    if any(roles):
        return roles.index(None) if len(roles) == 2 and None in roles else None
    began, way = _originator(vcon), direction(vcon)
    if began is None or way not in ("inbound", "outbound"):
        return None
    origin, present = began
    if (side == "customer") == (way == "inbound"):
        return origin
    return next((index for index in present if index != origin), None)


def _party_member(side: str, *members: str) -> Extract:
    def extract(vcon: Vcon, _: Outcome) -> str | None:
        index = party_index(vcon, side)
        return None if index is None else first_text(_mapping(vcon.parties[index]).get(member) for member in members)

    return extract


# --- what the source said --------------------------------------------------------------------------------------


def _adapter_body(vcon: Vcon) -> Mapping[str, Any]:
    """The body of the attachment in which the adapter says what made this vCon."""
    return next((_mapping(content(entry)) for _, entry in vcon.attachments_for("adapter")), {})


def adapter_names(vcon: Vcon) -> list[str]:
    """What the adapter that captured the conversation is called: the kind of adapter, and its name in this
    installation."""
    body = _adapter_body(vcon)
    return [name for name in (body.get("adapter"), body.get("name")) if isinstance(name, str) and name]


def _said(vcon: Vcon, member: str) -> Iterable[Any]:
    """A conversation-wide fact, from the best place to the worst."""
    yield _adapter_body(vcon).get(member)
    for dialog in vcon.dialog:
        entry = _mapping(dialog)
        yield entry.get(member)
        yield _mapping(entry.get("meta")).get(member)
    yield _mapping(vcon.data.get("meta")).get(member)


def direction(vcon: Vcon) -> str | None:
    """``inbound``, ``outbound`` or ``internal``, seen from the organisation; None where nothing says so."""
    said = first_text(_said(vcon, "direction"))
    return _DIRECTIONS.get(said.strip().casefold()) if said else None


def _disposition(vcon: Vcon, _: Outcome) -> str | None:
    dialogs = [_mapping(dialog) for dialog in vcon.dialog]
    said = first_text(entry.get("disposition") for entry in dialogs) or first_text(_said(vcon, "disposition"))
    if said:
        return said
    return "answered" if any(entry.get("type") in ("recording", "text") for entry in dialogs) else None


# --- when, and how long ----------------------------------------------------------------------------------------


def _starts(vcon: Vcon) -> list[tuple[float, str, float | None]]:
    """Per dialog that has a readable start: epoch seconds, the start as written, duration in seconds."""
    entries = (_mapping(dialog) for dialog in vcon.dialog)
    return [(at, str(entry["start"]), duration(entry)) for entry in entries if (at := started_at(entry)) is not None]


def _start(vcon: Vcon, _: Outcome) -> str | None:
    return min(_starts(vcon), key=lambda found: found[0], default=(0.0, None, None))[1]


def _duration(vcon: Vcon, _: Outcome) -> float | int | None:
    timed = [(start, seconds) for start, _, seconds in _starts(vcon) if seconds is not None]
    if timed:  # dialogs may overlap (one per channel) or follow each other (after a transfer)
        total = max(start + seconds for start, seconds in timed) - min(start for start, _ in timed)
    else:
        known = [length for dialog in vcon.dialog if (length := duration(_mapping(dialog))) is not None]
        if not known:
            return None
        total = max(known)
    total = round(total, 3)
    return int(total) if total.is_integer() else total


# --- what was said ---------------------------------------------------------------------------------------------


def _transcript_text(vcon: Vcon, _: Outcome) -> str | None:
    return transcript_text(vcon) or None


def transcript_language(vcon: Vcon) -> str | None:
    """The language that a transcript says it is in."""
    for entry in vcon.analysis:
        if isinstance(entry, dict) and entry.get("type") in TRANSCRIPT_TYPES:
            body = _mapping(content(entry))
            inner = _mapping(body.get("transcript"))
            found = first_text((inner.get("language"), body.get("language"), body.get("detected_language")))
            if found:
                return found
    return None


def _extractors() -> Iterable[Extractor]:
    yield Extractor("uuid", "The conversation's uuid", ("uuid",), lambda vcon, _: vcon.uuid)
    yield Extractor("created_at", "When the vCon was created", ("created_at",), lambda vcon, _: vcon.created_at)
    yield Extractor("start", "When the first dialog began", ("dialog.start",), _start)
    yield Extractor(
        "duration_seconds",
        "Seconds from the first dialog's start to the last one's end",
        ("dialog.start", "dialog.duration"),
        _duration,
    )
    yield Extractor(
        "direction",
        "inbound, outbound or internal",
        ("attachments.adapter", "dialog.meta"),
        lambda vcon, _: direction(vcon),
    )
    yield Extractor(
        "disposition",
        "How the conversation ended: the vCon's own word (no-answer, busy ...), else answered",
        ("dialog.disposition", "dialog.type"),
        _disposition,
    )
    yield Extractor(
        "adapter",
        "The adapter that captured the conversation",
        ("attachments.adapter",),
        lambda vcon, _: next(iter(adapter_names(vcon)), None),
    )
    yield Extractor("subject", "The subject", ("subject",), lambda vcon, _: text_or_none(vcon.data.get("subject")))
    for side in ("agent", "customer"):
        reads = ("parties.role", "dialog.originator")
        yield Extractor(f"{side}.name", f"The {side}'s name", ("parties.name", *reads), _party_member(side, "name"))
        yield Extractor(f"{side}.tel", f"The {side}'s number", ("parties.tel", *reads), _party_member(side, "tel"))
    yield Extractor("transcript.text", "What was said, as text", ("analysis.transcript",), _transcript_text)
    yield Extractor(
        "transcript.language",
        "The language that was spoken",
        ("analysis.transcript",),
        lambda vcon, _: transcript_language(vcon),
    )
    yield Extractor("verdict", "done, filtered or failed", (), lambda _, outcome: outcome.verdict)
    yield Extractor("verdict_reason", "Why it was filtered or failed", (), lambda _, outcome: outcome.reason or None)
    yield Extractor("verdict_processor", "What filtered or failed it", (), lambda _, outcome: outcome.processor)
    yield Extractor(WHOLE, "The whole document as JSON", ("vcon",), lambda vcon, _: document_digest(vcon))
    yield Extractor("pipeline", "The pipeline that decided", (), lambda _, outcome: outcome.pipeline)
    yield Extractor("pipeline_version", "Its version", (), lambda _, outcome: outcome.pipeline_version)


EXTRACTORS: Mapping[str, Extractor] = MappingProxyType({extractor.name: extractor for extractor in _extractors()})
"""All named extractors."""
