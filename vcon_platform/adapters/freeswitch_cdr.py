"""FreeSWITCH call records: the bytes of one mod_json_cdr file to one :class:`Leg`.

Belongs here: the wrappings a record comes in, which variable says what, and which times to believe. Not here: which
legs make a conversation (``freeswitch_call.py``), where recordings lie (``freeswitch_recordings.py``).

What is read from where follows FreeSWITCH's own sources: mod_json_cdr writes one record per leg and calls a leg a
B leg if, and only if, it has an originator's profile; ``originating_leg_uuid`` is set on such legs alone, while
``bridge_uuid`` and ``signal_bond`` stand on both legs and only tell who the partner was.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from vcon_platform.adapters.base import AdapterError

MAX_RECORD_BYTES = 8 * 1024 * 1024
"""A record is 10 to 60 KB; anything this large is no call record, and would be held in memory several times over."""

RECORDING_VARIABLES = ("record_path", "record_file_path", "record_file", "recording_file", "cc_record_filename")
"""Where dialplans, mod_callcenter and PBX distributions say what they record to (the core sets none of its own)."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST, _LATEST = 946_684_800_000_000, 4_102_444_800_000_000  # 2000 and 2100 in microseconds: else it is no clock


class RecordError(AdapterError):
    """A call record that cannot be read. ``code`` is the stable word of a :class:`Problem`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Announced:
    """A recording that the record speaks of: its path on the switch, and when recording began if that is known."""

    path: str
    started: datetime | None


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg of a call. Times are UTC; ``answered`` is None for a leg nobody answered."""

    uuid: str
    originator: str | None
    partners: frozenset[str]
    variables: Mapping[str, str]
    caller_name: str
    caller_number: str
    destination: str
    started: datetime
    answered: datetime | None
    ended: datetime | None
    seconds: float | None
    hangup_cause: str
    direction: str
    core_uuid: str
    switchname: str
    announced: tuple[Announced, ...]

    @property
    def is_b(self) -> bool:
        """True for a leg that another leg brought about."""
        return self.originator is not None

    def value(self, *names: str) -> str:
        """The first of these variables that says something. Names are as case-blind as the switch's own."""
        return next((found for name in names if (found := self.variables.get(name.lower(), ""))), "")

    def flag(self, name: str) -> bool:
        """A variable the switch would read as true."""
        return self.value(name).lower() in ("true", "yes", "on", "enable", "enabled", "active", "allow", "1", "t")


def read_leg(data: bytes, *, encoded_values: bool = True, name_uuid: str = "") -> Leg:
    """One leg from the bytes of its record file.

    ``encoded_values``: variables are URL-encoded (the switch's ``encode-values``, on by default); ``name_uuid`` is the
    uuid in the file's name, used where the record itself has none. Raises :class:`RecordError`.
    """
    record = _parse(data)
    raw = record.get("variables")
    if not isinstance(raw, dict):
        raise RecordError("not_a_record", "the file is JSON, but no call record: it has no 'variables'")
    variables = {
        key.lower(): _clean(unquote(_text(value), errors="replace") if encoded_values else _text(value))
        for key, value in reversed(raw.items())
    }
    flows = [flow for flow in _list(record.get("callflow")) if isinstance(flow, dict)]
    profiles = [profile for flow in flows if (profile := _dict(flow.get("caller_profile")))]
    latest = profiles[0] if profiles else {}  # the switch lists the newest profile first
    first = profiles[-1] if profiles else {}
    uuid = next(filter(None, map(_uuid, (variables.get("uuid"), name_uuid, latest.get("uuid")))), None)
    if uuid is None:
        raise RecordError("no_uuid", "the call record names no leg uuid, neither inside nor in the file's name")
    times = [_dict(flow.get("times")) for flow in flows]
    started = _time(variables, "start", times, "created_time")
    if started is None:
        raise RecordError("no_start", "the call record says no usable start time (start_uepoch, start_epoch)")
    answered = _time(variables, "answer", times, "answered_time")
    ended = _time(variables, "end", times, "hangup_time")
    seconds = _number(variables.get("billmsec"), 1000) or _number(variables.get("billsec"), 1)
    if answered is None and seconds:
        answered = ended - timedelta(seconds=seconds) if ended else started
    if answered and seconds is None and ended:
        seconds = max(0.0, (ended - answered).total_seconds())
    channel = _dict(record.get("channel_data"))
    return Leg(
        uuid=uuid,
        originator=_originator(uuid, variables, profiles),
        partners=frozenset(_partners(variables, profiles)) - {uuid},
        variables=variables,
        caller_name=_clean(_text(first.get("caller_id_name"))) or variables.get("caller_id_name", ""),
        caller_number=_clean(_text(first.get("caller_id_number"))) or variables.get("caller_id_number", ""),
        destination=_clean(_text(first.get("destination_number"))) or variables.get("destination_number", ""),
        started=started,
        answered=answered,
        ended=ended,
        seconds=seconds if answered else None,
        hangup_cause=variables.get("hangup_cause", "").upper(),
        direction=_clean(_text(channel.get("direction"))) or variables.get("direction", ""),
        core_uuid=_clean(_text(record.get("core-uuid"))),
        switchname=_clean(_text(record.get("switchname"))),
        announced=tuple(_announced(variables, record)),
    )


def _parse(data: bytes) -> dict[str, Any]:
    """The record's JSON. It goes by the content, as one spool folder can hold all three wrappings: a POST that failed
    leaves its body behind as it was encoded (raw, URL-encoded or base64), without its ``cdr=``."""
    if len(data) > MAX_RECORD_BYTES:
        raise RecordError("too_large", f"the file has more than {MAX_RECORD_BYTES} bytes, which no call record has")
    body = data.removeprefix(b"\xef\xbb\xbf").strip().removeprefix(b"cdr=")
    if not body:
        raise RecordError("empty", "the file is empty")
    if body[:3].upper() == b"%7B" or body[:4] == b"{%22":
        body = unquote_to_bytes(body)
    elif body[:1] != b"{":
        try:
            body = base64.b64decode(body + b"=" * (-len(body) % 4))
        except (binascii.Error, ValueError):
            raise RecordError("not_json", "the file is neither JSON nor URL-encoded or base64-encoded JSON") from None
    try:
        record = json.loads(body.rstrip(b"\x00"), object_pairs_hook=_keep_callflows, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise RecordError("not_json", f"the file is no complete JSON call record ({type(error).__name__})") from None
    if not isinstance(record, dict):
        raise RecordError("not_a_record", "the file is JSON, but no call record: it is no object")
    return record


def _keep_callflows(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Older switches repeat the member ``callflow`` where newer ones write an array; a plain parser keeps the last."""
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key == "callflow":
            found[key] = _list(found.get(key)) + _list(value)
        else:
            found[key] = value
    return found


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _originator(uuid: str, variables: Mapping[str, str], profiles: list[dict[str, Any]]) -> str | None:
    """The uuid of the leg that brought this one about. A leg that names itself is nobody's B leg."""
    named = [_uuid(variables.get("originating_leg_uuid"))]
    for profile in profiles:
        origin = _dict(profile.get("originator"))
        named += [_uuid(_dict(each).get("uuid")) for each in _list(origin.get("originator_caller_profiles"))]
    if any(named):
        named.append(_uuid(variables.get("originator")))
    return next((each for each in named if each and each != uuid), None)


def _partners(variables: Mapping[str, str], profiles: list[dict[str, Any]]) -> Iterator[str]:
    """Every other leg this one speaks of: lets the group be found by file name instead of by reading all files."""
    for name in (
        "bridge_uuid",
        "last_bridge_to",
        "signal_bond",
        "originate_signal_bond",
        "originated_legs",
        "originate_causes",
        "call_uuid",
        "originating_leg_uuid",
    ):
        yield from (found.lower() for found in _UUID.findall(variables.get(name, "")))
    for profile in profiles:
        for side in ("originator", "originatee"):
            for each in _list(_dict(profile.get(side)).get(f"{side}_caller_profiles")):
                if found := _uuid(_dict(each).get("uuid")):
                    yield found


def _announced(variables: Mapping[str, str], record: Mapping[str, Any]) -> Iterator[Announced]:
    """What the record says was recorded to, each path once. The applications' log knows when it began."""
    paths: dict[str, datetime | None] = {}
    for entry in _list(_dict(record.get("app_log")).get("applications")):
        name, argument = _text(_dict(entry).get("app_name")), _clean(_text(_dict(entry).get("app_data")))
        if name == "record_session":
            path = re.sub(r"\s+\+\d+$", "", argument)
        elif name == "record":
            path = re.sub(r"(\s+\d+){1,3}$", "", argument)
        else:
            continue
        path = re.sub(r"^(\{[^}]*\})+", "", path)
        paths.setdefault(path, _moment(_dict(entry).get("app_stamp"), 1))
    folder = variables.get("record_path", "")
    if folder and variables.get("record_name"):  # some PBXs keep folder and name apart
        joined = f"{folder.rstrip('/')}/{variables['record_name']}"
        paths.setdefault(joined if not folder.endswith(variables["record_name"]) else folder, None)
    for name in RECORDING_VARIABLES:
        if (path := variables.get(name, "")) and re.search(r"\.\w{2,5}$", path):
            paths.setdefault(path, None)
    return (Announced(path, started) for path, started in paths.items() if path and "://" not in path)


def _time(variables: Mapping[str, str], name: str, times: list[dict[str, Any]], member: str) -> datetime | None:
    """A moment: microseconds, then seconds, then the call flow. Zero means that it never came."""
    for variable, scale in ((f"{name}_uepoch", 1), (f"{name}_epoch", 1_000_000)):
        if moment := _moment(variables.get(variable), scale):
            return moment
    moments = [moment for each in times if (moment := _moment(each.get(member), 1))]
    if not moments:
        return None
    return max(moments) if member == "hangup_time" else min(moments)


def _moment(value: object, scale: int) -> datetime | None:
    text = _text(value)
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        return None
    microseconds = int(text) * scale
    if not _EARLIEST <= microseconds <= _LATEST:
        return None
    return _EPOCH + timedelta(microseconds=microseconds)


def _number(value: str | None, per_unit: int) -> float | None:
    """A count of units as seconds."""
    text = value or ""
    return int(text) / per_unit if text.isascii() and text.isdigit() and len(text) <= 12 else None


def _uuid(value: object) -> str | None:
    text = _text(value).strip()
    return text.lower() if _UUID.fullmatch(text) else None


def _text(value: object) -> str:
    """A scalar as text that is valid UTF-8 (JSON lets lone surrogates through, and no writer accepts them)."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def _clean(text: str) -> str:
    """Without control characters: names and numbers end up in tables, and Postgres holds no NUL."""
    return _CONTROL.sub(" ", text).strip()


def _dict(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
