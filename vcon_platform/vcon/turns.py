"""The turn table: what was said or written, by whom and when, whoever transcribed it.

Belongs here: which transcript is taken, whose turn it was, time order. Not here: the shapes that vendors write
(``transcripts.py``), the text of messages (``text.py``), making a transcript (``processors/transcribe.py``).

Everything here is a pure function of the document. Documents come from many makers, so nothing about them is
believed: what cannot be read is passed over, and no document raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC
from operator import itemgetter
from typing import Any, TypeGuard

from vcon_platform.vcon.dates import read_date
from vcon_platform.vcon.dialogs import array, beginnings
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import BodyError, decode_base64url
from vcon_platform.vcon.pieces import Piece, Word, first
from vcon_platform.vcon.text import message_text
from vcon_platform.vcon.transcripts import pieces

__all__ = ["TRANSCRIPT_TYPES", "Turn", "Word", "has_transcript", "parties_by_channel", "transcript_text", "turns"]

TRANSCRIPT_TYPES = ("transcript", "wtf_transcription", "transcription", "diarized", "transcript-redacted")
"""Analysis types, and attachment purposes, whose bodies are transcripts."""

_SHAPED_TYPES = ("analysis_info",)
"""Types that say nothing: what has the shape of a conversation, a list of {speaker, message}, is a transcript."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. ``dialog`` and ``party`` are indexes into the document; ``turn`` counts within the dialog from 0.

    ``start`` and ``end`` are seconds from the start of the dialog, None where the transcript has no times. ``party``
    is set only where the document says who it was; ``speaker`` is what the transcript calls the voice. ``vendor``
    made the transcript; None: it is a message, or nobody says.
    """

    dialog: int | None
    turn: int
    party: int | None
    speaker: str | None
    channel: int | None
    start: float | None
    end: float | None
    text: str
    confidence: float | None
    words: tuple[Word, ...] = ()
    vendor: str | None = None


@dataclass(frozen=True, slots=True)
class _Said:
    """What was said in one dialog (None: in all of them), and who transcribed it."""

    dialog: int | None
    pieces: list[Piece]
    vendor: str | None = None


def turns(vcon: Vcon | Mapping[str, Any], *, words: bool = True) -> list[Turn]:
    """Every turn of the conversation in time order. Where several transcripts cover one dialog the richest is
    taken, the latest among equals; a text dialog's own body goes before any transcript of it. Without ``words`` the
    turns are the same but have none, which is several times as quick."""
    data = vcon.data if isinstance(vcon, Vcon) else vcon
    dialogs, parties = array(data, "dialog"), array(data, "parties")
    names = _speaker_names(parties)
    messages = {index: text for index, dialog in enumerate(dialogs) if (text := message_text(dialog))}
    said = [
        _Said(index, [Piece(text=text, party=_author(dialogs[index]), start=0.0)]) for index, text in messages.items()
    ]
    said += _chosen(data, len(dialogs), names, covered=set(messages), words=words)

    begins = beginnings(dialogs)
    rows: list[tuple[float, int, Turn]] = []
    for entry in said:
        dialog = entry.dialog
        begin, clock = (begins[0][0] if begins else 0.0, None) if dialog is None else begins[dialog]
        channels = 1 + max((piece.channel or 0 for piece in entry.pieces), default=0)
        by_channel = parties_by_channel(None if dialog is None else dialogs[dialog].get("parties"), channels)
        now = 0.0  # a turn without a time follows the one before it
        for number, piece in enumerate(entry.pieces):
            start, end = _times(piece, clock)
            now = now if start is None else start
            turn = Turn(
                dialog=dialog,
                turn=number,
                party=_party(piece, by_channel, names, len(parties)),
                speaker=piece.speaker,
                channel=piece.channel,
                start=start,
                end=end,
                text=piece.text,
                confidence=piece.confidence,
                words=piece.words if words else (),
                vendor=entry.vendor,
            )
            rows.append((begin + now, len(dialogs) if dialog is None else dialog, turn))
    rows.sort(key=lambda row: row[:2])  # stable: turns of one moment keep their order
    return [turn for _, _, turn in rows]


def transcript_text(vcon: Vcon | Mapping[str, Any]) -> str:
    """The turns' texts, one after the other, joined by newlines; text dialogs included. Empty: nothing is known to
    have been said."""
    data = vcon.data if isinstance(vcon, Vcon) else vcon
    dialogs = array(data, "dialog")
    if next(_transcripts(data, len(dialogs)), None) is not None:
        return "\n".join(turn.text for turn in turns(data, words=False))
    # A chat needs no turn table: its messages in time order are its text. Each vCon that comes in is asked for it.
    said: list[tuple[float, str]] = []
    latest, known, in_order = 0.0, None, True  # as in `beginnings`; messages often have the start of the one before
    for dialog in dialogs:
        get = dialog.get
        start = get("start")
        if start != known and start.__class__ is str:
            found = read_date(start, UTC)
            before, known = latest, start
            latest = before if found is None else found.seconds
            in_order = in_order and before <= latest
        if get("mediatype") == "text/plain" and get("encoding") == "none" and get("type") == "text":
            body = get("body")  # as message_text does, without the call
            text = body.strip() if body.__class__ is str else ""
        else:
            text = message_text(dialog)
        if text:
            said.append((latest, text))
    if not in_order:
        said.sort(key=itemgetter(0))
    return "\n".join([text for _, text in said])


def has_transcript(vcon: Vcon | Mapping[str, Any], dialog: int) -> bool:
    """True if an analysis is the transcript of this dialog: also the empty one of a silent recording."""
    data = vcon.data if isinstance(vcon, Vcon) else vcon
    count = len(array(data, "dialog"))
    only = (0,) if count == 1 else ()
    return any(
        dialog in (covered or only)
        for covered, entry in _transcripts(data, count)
        if first(entry, "body", "transcript") is not None or "url" in entry
    )


def parties_by_channel(parties: Any, channels: int) -> list[int | None]:
    """The party that each of ``channels`` channels carries, None where that is not one known party.

    A dialog's ``parties`` is an index, a list of indexes, or a list with an index, a list or null per channel
    (null: a silent channel). A list is taken per channel only if it has as many elements as there are channels.
    """
    if (only := _single(parties)) is not None:
        return [only] * channels
    if isinstance(parties, list) and channels > 1 and len(parties) == channels:
        return [_single(entry) for entry in parties]
    return [None] * channels


# --- which transcripts -----------------------------------------------------------------------------------------


def _transcripts(data: Mapping[str, Any], count: int) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """(dialogs it covers, entry) of whatever calls itself a transcript; no dialogs: it does not say."""
    for entry in array(data, "attachments") + array(data, "analysis"):
        if any(_is_transcript(kind, entry) for kind in (entry.get("type"), entry.get("purpose"))):
            dialogs = entry.get("dialog")
            listed = dialogs if isinstance(dialogs, list) else [dialogs]
            yield tuple(d for d in listed if _is_index(d) and d < count), entry


def _is_transcript(kind: Any, entry: Mapping[str, Any]) -> bool:
    if not isinstance(kind, str):
        return False
    if kind in _SHAPED_TYPES:
        body = entry.get("body")
        return (
            isinstance(body, list)
            and bool(body)
            and all(isinstance(item, dict) and "speaker" in item and "message" in item for item in body)
        )
    return kind in TRANSCRIPT_TYPES


def _body(entry: Mapping[str, Any]) -> Any:
    """The transcript itself, which versions before 0.0.1 called ``transcript``; decoded where it is base64url."""
    body = first(entry, "body", "transcript")
    if isinstance(body, str) and entry.get("encoding") in ("base64url", "base64"):
        try:
            return decode_base64url(body).decode("utf-8", "replace")
        except BodyError:
            return None
    return body


def _chosen(
    data: Mapping[str, Any], count: int, names: Mapping[str, int | None], covered: set[int], *, words: bool
) -> list[_Said]:
    """One transcript per dialog. One that names no dialog is that of the only dialog, or of the whole
    conversation if no other was found."""
    found = []
    for place, (dialogs, entry) in enumerate(_transcripts(data, count)):
        body = pieces(_body(entry), names, words=words)
        if body:
            vendor = entry.get("vendor")
            said = _Said(None, body, vendor if isinstance(vendor, str) and vendor else None)
            found.append((bool(dialogs), _richness(body), place, dialogs or ((0,) if count == 1 else ()), said))
    found.sort(key=lambda candidate: candidate[:3], reverse=True)
    taken: list[_Said] = []
    for _, _, _, dialogs, said in found:
        if dialogs and covered.isdisjoint(dialogs):
            covered.update(dialogs)
            taken.append(replace(said, dialog=dialogs[0]))
        elif not dialogs and not covered:
            return [said]
    return taken


def _richness(found: list[Piece]) -> tuple[bool, bool, bool]:
    """Word times, turn times, voices told apart."""
    return (
        any(piece.words for piece in found),
        any(piece.start is not None for piece in found),
        any(piece.party is not None or piece.speaker is not None for piece in found),
    )


# --- who -------------------------------------------------------------------------------------------------------


def _is_index(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _single(parties: Any) -> int | None:
    """The one party of an index, or of a list (of lists) of one."""
    while isinstance(parties, list) and len(parties) == 1:
        parties = parties[0]
    return parties if _is_index(parties) else None


def _author(dialog: Mapping[str, Any]) -> int | None:
    """Who wrote a message: the originator, else the first party."""
    originator, parties = dialog.get("originator"), dialog.get("parties")
    if _is_index(originator):
        return originator
    return _single(parties[:1] if isinstance(parties, list) else parties)


def _speaker_names(parties: list[dict[str, Any]]) -> dict[str, int | None]:
    """Names and roles, as transcripts may call voices, and whose they are; None: more than one party's."""
    names: dict[str, int | None] = {}
    for index, party in enumerate(parties):
        meta = party.get("meta")
        called = (party.get("name"), party.get("role"), meta.get("role") if isinstance(meta, dict) else None)
        for name in {text.strip().casefold() for text in called if isinstance(text, str) and text.strip()}:
            names[name] = None if name in names else index
    return names


def _named(speaker: str, names: Mapping[str, int | None]) -> int | None:
    """The party with this name or role, also where a role stands behind the name: ``Bob (Customer)``."""
    name = speaker.casefold()
    if name not in names and name.endswith(")"):
        name = name.rpartition("(")[0].strip()
    return names.get(name)


def _party(piece: Piece, by_channel: list[int | None], names: Mapping[str, int | None], count: int) -> int | None:
    """The party of a turn: as the transcript says, else by a name or role that is one party's alone, else by the
    channel. A bare speaker number is the vendor's own count of voices and says nothing about parties."""
    party = piece.party
    if party is None and piece.speaker is not None:
        party = _named(piece.speaker, names)
    if party is None and piece.speaker is None and piece.channel is None and len(by_channel) == 1:
        party = by_channel[0]
    if party is None and piece.channel is not None and piece.channel < len(by_channel):
        party = by_channel[piece.channel]
    return party if party is not None and party < count else None


# --- when ------------------------------------------------------------------------------------------------------


def _times(piece: Piece, clock: float | None) -> tuple[float | None, float | None]:
    """Start and end in seconds from the dialog's start, also where the transcript gives times of day."""
    if piece.at is None:
        return piece.start, piece.end
    if clock is None:
        return None, None
    start = max(0.0, round(piece.at - clock, 3))
    return start, None if piece.end is None else round(start + piece.end, 3)
