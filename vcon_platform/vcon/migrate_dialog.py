"""Dialogs of any version as 0.4.0 dialogs.

Belongs here: dialog types and what each allows, the older names that only dialogs had, their indexes and dates
(vcon_format.md sections 2.3 and 6, rules 2, 4, 5). Not here: content (``migrate_content.py``), other elements
(``migrate.py``), which turn was whose (``turns.py``).

Only of a transfer are forbidden members dropped, as readers would otherwise take its parties for people who spoke. In
all other types they are told and kept: they are content, and readers of the view can pass over them.
"""

from __future__ import annotations

from typing import Any

from vcon_platform.vcon.dates import read_date
from vcon_platform.vcon.gates import check_date, check_duration, check_index, check_indexes, check_parties
from vcon_platform.vcon.migrate_content import content, rename
from vcon_platform.vcon.notes import Notes

TYPES = frozenset(("recording", "recording-set", "text", "transfer", "incomplete"))
_OLD_TYPES = {
    "audio": "recording",
    "video": "recording",
    "email": "text",
    "recording_set": "recording-set",
    **{name: name for name in TYPES},  # in other letters
}
_OLD = frozenset(("transfer-target", "target-dialog", "session_id"))
_DIALOG_LEGS = frozenset(("original", "consultation", "target_dialog"))
_PARTY_LEGS = frozenset(("transferee", "transferor", "transfer_target"))
_LEGS = _DIALOG_LEGS | _PARTY_LEGS
_LINKS = _LEGS | {"recordings", "recording_set", "party_history"}
_CONTENT = frozenset(
    ("mediatype", "filename", "body", "encoding", "url", "content_hash", "mimetype", "alg", "signature")
)

_FORBIDDEN: dict[str, frozenset[str]] = {
    "recording": _LEGS | {"recordings"},
    "recording-set": _LEGS | _CONTENT | {"recording_set", "message_id"},
    "text": _LEGS | {"recordings", "recording_set"},
    "transfer": _CONTENT
    | {"parties", "originator", "party_history", "session_id", "recordings", "recording_set", "message_id"},
    "incomplete": _LEGS | _CONTENT | {"recordings", "recording_set", "message_id"},
}

KNOWN = frozenset(
    {"type", "start", "duration", "parties", "originator", "disposition", "message_id", "application"}
    | _LINKS
    | _OLD
    | _CONTENT
)
"""Members whose null counts as absent."""


def dialog(item: dict[str, Any], index: int, notes: Notes) -> float | None:
    """Bring one dialog to the 0.4.0 form, and check it. Gives when it began, in seconds since 1970."""
    if item.keys() == _MESSAGE and (began := _plain_message(item, notes)) is not None:
        return began
    place = f"/dialog/{index}"
    if None in item.values():
        drop_nulls(item, KNOWN)
    if not _OLD.isdisjoint(item):
        _old_members(item, place, notes)
    given = item.get("type")
    kind = given if type(given) is str and given in TYPES else _type(item, place, notes)
    forbidden = _FORBIDDEN.get(kind)
    if forbidden is not None and not forbidden.isdisjoint(item):
        _forbidden(item, kind, item.keys() & forbidden, place, notes)
    if kind == "incomplete" and not item.get("disposition"):
        message = "an incomplete dialog needs one: no-answer, congestion, failed, busy, hung-up or voicemail-no-message"
        notes.fault("disposition_required", f"{place}/disposition", message)
    if "duration" in item:
        check_duration(item, place, notes)
    if "parties" in item:
        check_parties(item["parties"], place, notes)
    if "originator" in item:
        check_index(item["originator"], notes.parties, "parties", f"{place}/originator", notes)
    if not _LINKS.isdisjoint(item):
        _links(item, index, place, notes)
    content(item, place, notes, media=kind == "recording")
    return check_date(item, "start", place, notes, epoch=True) if "start" in item else None


_MESSAGE = frozenset(("type", "start", "parties", "mediatype", "encoding", "body"))


def _plain_message(item: dict[str, Any], notes: Notes) -> float | None:
    """When a message of a chat began that is as every rule here wants it; None: look closer. Chats have hundreds of
    them, and all the rules one by one take four times as long."""
    if item["type"] != "text" or item["encoding"] != "none" or item["mediatype"] != "text/plain":
        return None
    parties, start = item["parties"], item["start"]
    if type(item["body"]) is not str or type(parties) is not int or not 0 <= parties < notes.parties:
        return None
    moment = read_date(start, notes.zone) if type(start) is str else None
    if moment is None or moment.rewritten or not notes.earliest <= moment.seconds <= notes.latest:
        return None
    return moment.seconds


def drop_nulls(item: dict[str, Any], known: frozenset[str]) -> None:
    """Take out known members that are null, which says no more than their absence. A json body may be null."""
    for member in [name for name in item if item[name] is None and name in known]:
        if member != "body" or item.get("encoding") != "json" or item.get("url"):
            del item[member]


def _old_members(item: dict[str, Any], place: str, notes: Notes) -> None:
    for old, new in (("transfer-target", "transfer_target"), ("target-dialog", "target_dialog")):
        if old in item:
            rename(item, old, new, place, notes)
            notes.older("0.0.2")
    session = item.get("session_id")
    if type(session) is str or (type(session) is list and any(type(one) is str for one in session)):
        notes.older("0.3.0")
        if type(session) is str:
            item["session_id"] = {"local": session}
        else:
            item["session_id"] = [{"local": one} if type(one) is str else one for one in session]
        notes.finding("session_id_migrated", f"{place}/session_id", "an id is written as {local, remote} since 0.4.0")


def _type(item: dict[str, Any], place: str, notes: Notes) -> str:
    """A type that is none of the five: an older name of one, or one that we do not know, which is kept."""
    if "type" not in item:
        if item:  # {} is a placeholder (-03): it keeps the indexes of what comes after it
            notes.finding("type_missing", f"{place}/type", "there is none; readers pass over such a dialog")
        return ""
    kind = item["type"]
    if type(kind) is not str:
        notes.fault("wrong_type", f"{place}/type", "it must be a string")
        return ""
    new = _OLD_TYPES.get(kind.lower())
    if new is None:
        notes.finding("unknown_type", f"{place}/type", "no draft knows this type of dialog; it is kept as it is")
        return kind
    item["type"] = new
    if kind.lower() == "email":
        item.setdefault("application", "email")
    notes.finding("type_migrated", f"{place}/type", f"its name is {new} since")
    return new


def _forbidden(item: dict[str, Any], kind: str, members: set[str], place: str, notes: Notes) -> None:
    for member in sorted(members):
        if kind == "transfer":
            del item[member]
        kept = "left out" if kind == "transfer" else "kept"
        notes.finding(
            "forbidden_parameter", f"{place}/{member}", f"a dialog of this type must not have it; it is {kept}"
        )


def _links(item: dict[str, Any], index: int, place: str, notes: Notes) -> None:
    dialogs = notes.dialogs
    if "recordings" in item:
        recordings, at = item["recordings"], f"{place}/recordings"
        if type(recordings) is list:
            check_indexes(recordings, dialogs, "dialog", at, notes)
            if index in recordings:
                notes.fault("bad_index", f"{at}/{recordings.index(index)}", "a recording-set cannot be part of itself")
        else:
            notes.fault("wrong_type", at, "it must be an array of indexes of /dialog")
    if "recording_set" in item:
        check_index(item["recording_set"], dialogs, "dialog", f"{place}/recording_set", notes)
    for member in sorted(_LEGS & item.keys()):
        what, count = ("parties", notes.parties) if member in _PARTY_LEGS else ("dialog", dialogs)
        check_indexes(item[member], count, what, f"{place}/{member}", notes)
    if "party_history" in item:
        _history(item["party_history"], f"{place}/party_history", notes)


def _history(history: Any, place: str, notes: Notes) -> None:
    if type(history) is not list:
        notes.fault("wrong_type", place, "it must be an array of objects")
        return
    for number, event in enumerate(history):
        if type(event) is not dict:
            notes.fault("wrong_type", f"{place}/{number}", "it must be an object")
            continue
        if event.get("party") is not None:
            check_index(event["party"], notes.parties, "parties", f"{place}/{number}/party", notes)
        if event.get("time") is not None:
            check_date(event, "time", f"{place}/{number}", notes, epoch=True)
