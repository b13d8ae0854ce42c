"""One FreeSWITCH call, all its legs together, to one vCon.

Belongs here: what the document says. Not here: reading records (``freeswitch_cdr.py``), who the parties are
(``freeswitch_parties.py``), when a call is complete (``freeswitch.py``).

The document depends on nothing but the records: the same files always give the same uuid and the same bytes, however
and whenever they were found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from vcon_platform.adapters.freeswitch_cdr import Announced, Leg
from vcon_platform.adapters.freeswitch_parties import participants
from vcon_platform.adapters.freeswitch_recordings import Found
from vcon_platform.adapters.freeswitch_settings import FreeSwitchSettings
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import audio_mediatype
from vcon_platform.vcon.uuids import derived_uuid

_HEAD = 64  # enough for the media type and a WAV's number of channels

_DISPOSITIONS = {
    "no-answer": "NO_ANSWER NO_USER_RESPONSE ALLOTTED_TIMEOUT PROGRESS_TIMEOUT RECOVERY_ON_TIMER_EXPIRE 18 19 102",
    "busy": "USER_BUSY CALL_REJECTED BUSY_EVERYWHERE DECLINE REJECT_ALL 17 21",  # declined: busy to the caller
    "hung-up": "ORIGINATOR_CANCEL",
    "congestion": "NORMAL_CIRCUIT_CONGESTION SWITCH_CONGESTION NETWORK_OUT_OF_ORDER NORMAL_TEMPORARY_FAILURE "
    "REQUESTED_CHAN_UNAVAIL GATEWAY_DOWN CHANNEL_UNACCEPTABLE 34 38 41 42 44",
}
_BY_CAUSE = {cause: disposition for disposition, causes in _DISPOSITIONS.items() for cause in causes.split()}
_UNTELLING = {"", "0", "16", "NONE", "SUCCESS", "NORMAL_CLEARING", "NORMAL_UNSPECIFIED", "LOSE_RACE", "PICKED_OFF"}
"""Causes that say that a call ended, but not why nobody answered."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording of a call: the leg that recorded it, what its record said, and the file."""

    leg: Leg
    announced: Announced
    found: Found


@dataclass(frozen=True, slots=True)
class Call:
    """The legs of one call. ``a`` began it; ``others`` are in a fixed order (start, uuid)."""

    a: Leg
    others: tuple[Leg, ...]

    @classmethod
    def of(cls, a: Leg, others: Sequence[Leg]) -> Call:
        return cls(a, tuple(sorted(others, key=lambda leg: (leg.started, leg.uuid))))

    @property
    def legs(self) -> tuple[Leg, ...]:
        return (self.a, *self.others)

    @property
    def answered(self) -> datetime | None:
        """When two people could talk. A call that the switch answered (queue, menu) while no other leg that it called
        picked up is unanswered."""
        if not self.others:
            return self.a.answered
        times = [leg.answered for leg in self.others if leg.answered]
        return max(self.a.answered, min(times)) if self.a.answered and times else None


def build(
    call: Call,
    recorded: Sequence[Recorded],
    missing: Sequence[str],
    records: Sequence[str],
    *,
    settings: FreeSwitchSettings,
    version: str,
) -> tuple[Vcon, Mapping[int, Path]]:
    """The document, complete but for the audio, and the file of each recording dialog.

    ``missing`` names announced recordings that are not there, ``records`` the record files.
    """
    people = participants(call.a, call.others, settings)
    created_at = rfc3339(call.a.started)
    dialogs, files = _dialogs(call, recorded)
    evidence: dict[str, Any] = {
        "adapter": "freeswitch",
        "version": version,
        "source": settings.name,
        "call_uuid": call.a.uuid,
        "core_uuid": call.a.core_uuid,
        "switchname": call.a.switchname,
        "direction": people.direction,
        "hangup_cause": call.a.hangup_cause,
        "ended": rfc3339(call.a.ended) if call.a.ended else "",
        "legs": [_leg_evidence(leg) for leg in call.legs],
        "records": sorted(records),
        "recordings": [each.found.path.name for each in recorded],
        "recordings_missing": sorted(missing),
    }
    data: dict[str, Any] = {
        "vcon": "0.4.0",
        "uuid": derived_uuid(call.a.started, "freeswitch", settings.name, call.a.uuid),
        "created_at": created_at,
        "parties": [people.caller, people.callee],
        "dialog": dialogs,
        "analysis": [],
        "attachments": [
            {  # no "party": it was nobody's act, and naming party 0 would blame the caller
                "purpose": "adapter",
                "start": created_at,
                "dialog": 0,
                "mediatype": "application/json",
                "encoding": "json",
                "body": {key: value for key, value in evidence.items() if value not in ("", [])},
            }
        ],
    }
    if any("role" in party for party in data["parties"]):
        data["extensions"] = ["CC"]
    return Vcon(data), files


def rfc3339(moment: datetime) -> str:
    """A UTC timestamp, to the microsecond where there are any."""
    text = moment.astimezone(UTC).isoformat().removesuffix("+00:00")
    return (text.rstrip("0") if "." in text else text) + "Z"


def disposition(call: Call) -> str:
    """Why nobody answered, in the vCon's words.

    The A leg's own cause often says only that it ended: then what the switch saw when it called the others counts,
    and if nothing failed there, the caller gave up.
    """
    causes = [call.a.hangup_cause, call.a.value("originate_disposition", "originate_failed_cause").upper()]
    causes += [leg.hangup_cause for leg in call.others]
    causes.append(call.a.value("hangup_cause_q850"))
    telling = next((cause for cause in causes if cause not in _UNTELLING), None)
    return "hung-up" if telling is None else _BY_CAUSE.get(telling, "failed")


def _dialogs(call: Call, recorded: Sequence[Recorded]) -> tuple[list[dict[str, Any]], dict[int, Path]]:
    if recorded:
        dialogs = [_recording(call, each, alone=len(recorded) == 1) for each in recorded]
        return dialogs, {index: each.found.path for index, each in enumerate(recorded)}
    answered = call.answered
    if answered is None:
        return [
            {
                "type": "incomplete",
                "start": rfc3339(call.a.started),
                "parties": [0, 1],
                "originator": 0,
                "disposition": disposition(call),
            }
        ], {}
    dialog: dict[str, Any] = {"type": "recording", "start": rfc3339(answered), "parties": [0, 1], "originator": 0}
    ended = call.a.ended
    if ended and ended >= answered:
        dialog["duration"] = (ended - answered).total_seconds()
    elif call.a.seconds is not None:
        dialog["duration"] = call.a.seconds
    return [dialog], {}


def _recording(call: Call, recorded: Recorded, *, alone: bool) -> dict[str, Any]:
    leg, path = recorded.leg, recorded.found.path
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:  # moved away this very moment: whoever streams it will say so
        head = b""
    start = _recording_start(call, recorded)
    dialog: dict[str, Any] = {
        "type": "recording",
        "start": rfc3339(start),
        "parties": _channels(call, leg, head),
        "originator": 0,
        "mediatype": audio_mediatype(head, path.name),
        "filename": path.name,
    }
    duration = _recording_seconds(leg, start) if alone else None
    if duration is not None:
        dialog["duration"] = duration
    return dialog


def _recording_start(call: Call, recorded: Recorded) -> datetime:
    """When the first sample was taken. Recording is often switched on while it rings; unless it was told to begin with
    the answer, it began there and then."""
    answered = call.answered or call.a.answered or call.a.started
    began = recorded.announced.started
    if began is None:
        return answered
    waits = any(leg.flag(name) for leg in call.legs for name in ("record_answer_req", "record_bridge_req"))
    return max(began, answered) if waits else began


def _recording_seconds(leg: Leg, start: datetime) -> float | None:
    for name, unit in (("record_ms", 1000), ("record_seconds", 1)):
        text = leg.value(name)
        if text.isascii() and text.isdigit() and int(text[:12]) > 0:
            return int(text[:12]) / unit
    if leg.ended and leg.ended >= start:
        return (leg.ended - start).total_seconds()
    return leg.seconds


def _channels(call: Call, leg: Leg, head: bytes) -> list[int]:
    """Who is to be heard: both (one channel), or one per channel. The recording leg's own side is on the left unless
    RECORD_STEREO_SWAP is on."""
    channels = None
    if head[:4] == b"RIFF" and head[8:16] == b"WAVEfmt ":
        channels = int.from_bytes(head[22:24], "little")
    stereo = leg.flag("record_stereo") if channels is None else channels == 2
    left = 0 if leg is call.a else 1
    if stereo and leg.flag("record_stereo_swap"):
        left = 1 - left
    return [left, 1 - left] if stereo else [0, 1]


def _leg_evidence(leg: Leg) -> dict[str, Any]:
    evidence = {
        "uuid": leg.uuid,
        "leg": "b" if leg.is_b else "a",
        "answered": leg.answered is not None,
        "hangup_cause": leg.hangup_cause,
        "sip_call_id": leg.value("sip_call_id"),
    }
    return {key: value for key, value in evidence.items() if value != ""}
