"""Whose words they are: from channels and voices to the parties of a dialog.

Belongs here: the rules. Not here: telling voices apart (engines do), what a dialog says of channels
(``vcon/turns.py``).

A channel is a party's if the dialog says so. A voice that a service tells apart on one channel is nobody's unless the
definition says by which rule: a wrong name is worse than none, for it ends in a report about the wrong person. A rule
applies only where as many voices were heard as the dialog has parties.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vcon_platform.processors.speech import Segment, Transcription
from vcon_platform.processors.transcribe_options import Voices
from vcon_platform.vcon.turns import parties_by_channel


def owners(
    heard: Transcription, dialog: Mapping[str, Any], rule: Voices, named: Mapping[str, int]
) -> list[dict[str, Any]]:
    """For each segment the members ``channel``, ``speaker`` and ``party``, as far as they are known. ``named``: voices
    whose parties the definition names."""
    by_channel = parties_by_channel(dialog.get("parties"), heard.channels)
    by_voice = {**_ruled(heard.segments, dialog, rule), **named} if heard.channels == 1 else dict(named)
    return [_who(segment, heard.channels, by_channel, by_voice) for segment in heard.segments]


def _who(
    segment: Segment, channels: int, by_channel: Sequence[int | None], by_voice: Mapping[str, int]
) -> dict[str, Any]:
    who: dict[str, Any] = {"channel": segment.channel} if channels > 1 else {}
    party = by_voice.get(segment.speaker) if segment.speaker is not None else None
    if party is None and segment.channel < len(by_channel):
        party = by_channel[segment.channel]
    if party is not None:
        return {**who, "speaker": party, "party": party}
    if segment.speaker is not None:
        return {**who, "speaker": segment.speaker}
    return {**who, "speaker": f"channel-{segment.channel}"} if channels > 1 else who


def _ruled(segments: Sequence[Segment], dialog: Mapping[str, Any], rule: Voices) -> dict[str, int]:
    voices = list(dict.fromkeys(segment.speaker for segment in segments if segment.speaker is not None))
    parties = _parties(dialog.get("parties"))
    if rule == "unknown" or len(voices) != len(parties):
        return {}
    if rule == "in_order":
        return dict(zip(voices, parties, strict=True))
    if len(parties) != 2:
        return {}
    originator = dialog.get("originator")
    caller = originator if _is_index(originator) and originator in parties else parties[0]
    called = next(party for party in parties if party != caller)
    return dict(zip(voices, (called, caller), strict=True))


def _parties(value: Any) -> list[int]:
    """The dialog's parties, each once, in its order, also where they are given per channel."""
    flat = [value] if _is_index(value) else value if isinstance(value, list) else []
    found = [party for entry in flat for party in (entry if isinstance(entry, list) else [entry])]
    return list(dict.fromkeys(party for party in found if _is_index(party)))


def _is_index(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
