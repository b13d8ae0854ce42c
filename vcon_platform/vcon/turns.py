"""The turn table: what was said or written, by whom and when, whoever transcribed it.

Belongs here: which transcript is taken, whose turn it was, time order. Not here: the shapes that vendors write
(``transcripts.py``), the text of messages (``text.py``), making a transcript (``processors/transcribe.py``).

Everything here is a pure function of the document. Documents come from many makers, so nothing about them is
believed: what cannot be read is passed over, and no document raises.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeGuard

from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.text import message_text
from vcon_platform.vcon.transcripts import Piece, Word, pieces

__all__ = ["TRANSCRIPT_TYPES", "Turn", "Word", "has_transcript", "parties_by_channel", "transcript_text", "turns"]

TRANSCRIPT_TYPES = ("transcript", "wtf_transcription", "transcription", "diarized", "transcript-redacted")
"""Analysis types (and, of old, attachment purposes) whose bodies are transcripts."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn. ``dialog`` and ``party`` are indexes into the document; ``turn`` counts within the dialog from 0.

    ``start`` and ``end`` are seconds from the start of the dialog, None where the transcript has no times. ``party``
    is set only where the document says who it was; ``speaker`` is what the transcript calls the voice.
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


def turns(vcon: Vcon | Mapping[str, Any]) -> list[Turn]:
    """Every turn of the conversation in time order. Where several transcripts cover one dialog the richest is
    taken, the latest among equals; a text dialog's own body goes before any transcript of it."""
    data = vcon.data if isinstance(vcon, Vcon) else vcon
    dialogs, names = _array(data, "dialog"), _speaker_names(_array(data, "parties"))
    messages = {index: text for index, dialog in enumerate(dialogs) if (text := message_text(dialog))}
    said: list[tuple[int | None, list[Piece]]] = [
        (index, [Piece(text=text, party=_author(dialogs[index]), start=0.0)]) for index, text in messages.items()
    ]
    said += _chosen(data, covered=set(messages))

    begins = _beginnings(dialogs)
    rows: list[tuple[float, int, Turn]] = []
    for dialog, found in said:
        entry = {} if dialog is None else dialogs[dialog]
        begin, clock = (begins[0][0] if begins else 0.0, None) if dialog is None else begins[dialog]
        channels = 1 + max((piece.channel or 0 for piece in found), default=0)
        by_channel = parties_by_channel(entry.get("parties"), channels)
        now = 0.0  # a turn without a time follows the one before it
        for number, piece in enumerate(found):
            start, end = _times(piece, clock)
            now = now if start is None else start
            turn = Turn(
                dialog=dialog,
                turn=number,
                party=_party(piece, by_channel, names, len(_array(data, "parties"))),
                speaker=piece.speaker,
                channel=piece.channel,
                start=start,
                end=end,
                text=piece.text,
                confidence=piece.confidence,
                words=piece.words,
            )
            rows.append((begin + now, len(dialogs) if dialog is None else dialog, turn))
    rows.sort(key=lambda row: row[:2])  # stable: turns of one moment keep their order
    return [turn for _, _, turn in rows]


def transcript_text(vcon: Vcon | Mapping[str, Any]) -> str:
    """The turns' texts, one after the other, joined by newlines; text dialogs included. Empty: nothing is known to
    have been said."""
    return "\n".join(turn.text for turn in turns(vcon))


def has_transcript(vcon: Vcon | Mapping[str, Any], dialog: int) -> bool:
    """True if an analysis is the transcript of this dialog: also the empty one of a silent recording."""
    data = vcon.data if isinstance(vcon, Vcon) else vcon
    only = (0,) if len(_array(data, "dialog")) == 1 else ()
    return any(
        dialog in (covered or only)
        for covered, entry in _transcripts(data)
        if entry.get("body") is not None or "url" in entry
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


def _array(data: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A document's array. What is no object counts as an empty one: indexes are positions and must not move."""
    value = data.get(name)
    return [item if isinstance(item, dict) else {} for item in value] if isinstance(value, list) else []


def _transcripts(data: Mapping[str, Any]) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
    """(dialogs it covers, entry) of whatever calls itself a transcript; no dialogs: it does not say."""
    count = len(_array(data, "dialog"))
    for entry in _array(data, "attachments") + _array(data, "analysis"):
        kinds = (entry.get("type"), entry.get("purpose"))
        if any(isinstance(kind, str) and kind in TRANSCRIPT_TYPES for kind in kinds):
            dialogs = entry.get("dialog")
            listed = dialogs if isinstance(dialogs, list) else [dialogs]
            yield tuple(d for d in listed if _is_index(d) and d < count), entry


def _chosen(data: Mapping[str, Any], covered: set[int]) -> list[tuple[int | None, list[Piece]]]:
    """One transcript per dialog. One that names no dialog is that of the only dialog, or of the whole
    conversation if no other was found."""
    count = len(_array(data, "dialog"))
    found = []
    for place, (dialogs, entry) in enumerate(_transcripts(data)):
        body = pieces(entry["body"] if "body" in entry else entry.get("transcript"))
        if body:
            found.append((bool(dialogs), _richness(body), place, dialogs or ((0,) if count == 1 else ()), body))
    found.sort(key=lambda candidate: candidate[:3], reverse=True)
    taken: list[tuple[int | None, list[Piece]]] = []
    for _, _, _, dialogs, body in found:
        if dialogs and covered.isdisjoint(dialogs):
            covered.update(dialogs)
            taken.append((dialogs[0], body))
        elif not dialogs and not covered:
            return [(None, body)]
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
        for name in {str(party.get(member)).strip().casefold() for member in ("name", "role") if party.get(member)}:
            names[name] = None if name in names else index
    return names


def _party(piece: Piece, by_channel: list[int | None], names: dict[str, int | None], count: int) -> int | None:
    """The party of a turn: as the transcript says, else by a name or role that is one party's alone, else by the
    channel. A bare speaker number is the vendor's own count of voices and says nothing about parties."""
    party = piece.party
    if party is None and piece.speaker is not None:
        party = names.get(piece.speaker.casefold())
    if party is None and piece.speaker is None and piece.channel is None and len(by_channel) == 1:
        party = by_channel[0]
    if party is None and piece.channel is not None and piece.channel < len(by_channel):
        party = by_channel[piece.channel]
    return party if party is not None and party < count else None


# --- when ------------------------------------------------------------------------------------------------------


def _moment(value: Any) -> datetime | None:
    """A dialog's start: RFC 3339, or RFC 2822 as of old. Without a zone: UTC."""
    if not isinstance(value, str):
        return None
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(value)
            return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        except (ValueError, TypeError, OverflowError, IndexError):
            continue
    return None


def _beginnings(dialogs: list[dict[str, Any]]) -> list[tuple[float, datetime | None]]:
    """When each dialog began, for sorting, and as a time. One without a readable start follows the one before."""
    begins: list[tuple[float, datetime | None]] = []
    latest = 0.0
    for dialog in dialogs:
        clock = _moment(dialog.get("start"))
        if clock is not None:
            latest = (clock - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()  # timestamp() fails for year 1
        begins.append((latest, clock))
    return begins


def _times(piece: Piece, clock: datetime | None) -> tuple[float | None, float | None]:
    """Start and end in seconds from the dialog's start, also where the transcript gives times of day."""
    if piece.at is None:
        return piece.start, piece.end
    if clock is None:
        return None, None
    at = piece.at if piece.at.tzinfo else piece.at.replace(tzinfo=UTC)
    start = max(0.0, round((at - clock).total_seconds(), 3))
    return start, None if piece.end is None else round(start + piece.end, 3)
