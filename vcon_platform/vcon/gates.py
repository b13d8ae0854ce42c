"""Gates 2 and 3 on values: identity, indexes, dates, durations (vcon_format.md section 5).

Belongs here: checks of one value that say what is wrong and where, and bring other legal spellings to one. Not here:
the bytes (gate 1, ``strict_json.py``), content and its encodings (``migrate_content.py``), which member holds what
(``migrate.py``, ``migrate_dialog.py``).

Conformance is not judged: a missing ``start`` or an unknown party type is a matter of the report. What is refused is
what no later reader could use without guessing: an index that points at nothing, a date that names no moment.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from vcon_platform.vcon.dates import from_epoch, read_date, written
from vcon_platform.vcon.notes import Notes

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NIL = "00000000-0000-0000-0000-000000000000"
_MAX = "ffffffff-ffff-ffff-ffff-ffffffffffff"


def canonical_uuid(value: Any) -> str | None:
    """The one form in which a uuid is a key (lower case, hyphens), or None if ``value`` is none. Upper case and a
    ``urn:uuid:`` before it are other spellings; nil and max are no ids."""
    if type(value) is not str or len(value) > 45:
        return None
    if _UUID.fullmatch(value) is None:
        value = value.lower().removeprefix("urn:uuid:")
        if _UUID.fullmatch(value) is None:
            return None
    return None if value in (_NIL, _MAX) else value


def check_uuid(data: dict[str, Any], notes: Notes) -> None:
    """The document's own uuid: required, and made canonical."""
    value = data.get("uuid")
    if value is None:
        notes.fault("uuid_required", "/uuid", "a vCon needs a uuid; none is ever invented for it")
        return
    uuid = canonical_uuid(value)
    if uuid is None:
        notes.fault("bad_uuid", "/uuid", "it is not a UUID (RFC 9562), or the nil or max one")
        return
    if uuid != value:
        data["uuid"] = uuid
        notes.finding("uuid_normalised", "/uuid", "it was brought to lower case without a urn prefix")
    notes.uuid = uuid


def uuid_moment(uuid: str) -> datetime | None:
    """The time in a version 7 or 8 uuid: its first 48 bits as milliseconds, as RFC 9562 and the draft write them."""
    if not uuid or uuid[14] not in "78":
        return None
    milliseconds = int(uuid[:8] + uuid[9:13], 16)
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


# --- dates and numbers -----------------------------------------------------------------------------------------


def check_date(holder: dict[str, Any], member: str, place: str, notes: Notes, *, epoch: bool) -> float | None:
    """A date that must lie in the sane range, brought to RFC 3339; its seconds since 1970. ``epoch``: a number is one
    of seconds or milliseconds (inside dialogs and attachments only)."""
    value = holder[member]
    moment = None
    if type(value) is str:
        moment = read_date(value, notes.zone)
    elif epoch and type(value) in (int, float):
        moment = from_epoch(value, notes.earliest, notes.latest)
    if moment is None:
        notes.fault("bad_date", f"{place}/{member}", "it is no date and time; write RFC 3339 (2026-01-31T12:00:00Z)")
        return None
    if not notes.earliest <= moment.seconds <= notes.latest:
        message = f"it lies outside {notes.policy.earliest.year} to {notes.policy.latest.year}, which this source takes"
        notes.fault("bad_date", f"{place}/{member}", message)
        return None
    if moment.rewritten:
        holder[member] = moment.text
        if moment.assumed:
            code, message = "tz_assumed", "it names no time zone; the source's configured zone was taken"
        elif type(value) is str:
            code, message = "date_rewritten", "it was brought to the form of RFC 3339"
        else:
            code, message = "epoch_converted", "a number was taken as time since 1970 and written as RFC 3339"
        notes.finding(code, f"{place}/{member}", message)
    return moment.seconds


def check_duration(item: dict[str, Any], place: str, notes: Notes) -> None:
    """Seconds, a number that is not negative. A number in a string is one."""
    value = item["duration"]
    if type(value) is str:
        try:
            number = float(value) if len(value) <= 32 else math.nan
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            value = item["duration"] = int(number) if number.is_integer() else number
            notes.finding("duration_converted", f"{place}/duration", "a number in a string was taken as seconds")
    if type(value) not in (int, float) or value != value:
        notes.fault("wrong_type", f"{place}/duration", "it must be a number of seconds")
    elif value < 0:
        notes.finding("bad_duration", f"{place}/duration", "it is negative; readers take it as not known")


# --- indexes ---------------------------------------------------------------------------------------------------


def check_index(value: Any, count: int, what: str, place: str, notes: Notes) -> None:
    """One index of ``count`` elements of the array ``what``."""
    if type(value) is not int or not 0 <= value < count:
        _bad_index(place, what, count, notes)


def check_indexes(value: Any, count: int, what: str, place: str, notes: Notes) -> None:
    """One index or an array of them."""
    if type(value) is list:
        for number, item in enumerate(value):
            if type(item) is not int or not 0 <= item < count:
                _bad_index(f"{place}/{number}", what, count, notes)
    elif type(value) is not int or not 0 <= value < count:
        _bad_index(place, what, count, notes)


def check_parties(value: Any, place: str, notes: Notes) -> None:
    """A dialog's parties: an index, an array of indexes, or one entry per channel (index, array of them, null)."""
    count = notes.parties
    if type(value) is list:
        for item in value:
            if type(item) is not int or not 0 <= item < count:
                break
        else:
            return
    for path in _bad_parties(value, count):
        _bad_index("/".join((f"{place}/parties", *map(str, path))), "parties", count, notes)


def _bad_parties(value: Any, count: int) -> Iterator[tuple[int, ...]]:
    """Paths to what is no party, from the value on."""
    if type(value) is not list:
        if type(value) is not int or not 0 <= value < count:
            yield ()
        return
    for channel, item in enumerate(value):
        if type(item) is list:
            for number, inner in enumerate(item):
                if type(inner) is not int or not 0 <= inner < count:
                    yield (channel, number)
        elif item is not None and (type(item) is not int or not 0 <= item < count):
            yield (channel,)


def _bad_index(place: str, what: str, count: int, notes: Notes) -> None:
    notes.fault("bad_index", place, f"it must be the index of one of the {count} elements of /{what}")


# --- what is missing -------------------------------------------------------------------------------------------


def derived_created_at(first_start: float | None, notes: Notes) -> str:
    """What stands for a missing ``created_at``: the time in the uuid, else of the first dialog, else of receipt."""
    moment = uuid_moment(notes.uuid)
    if moment is not None and notes.policy.earliest <= moment <= notes.policy.latest:
        return written(moment)
    if first_start is not None:
        return written(_EPOCH + timedelta(microseconds=round(first_start * 1_000_000)))
    return written(notes.policy.received_at.astimezone(UTC))
