"""Amended and redacted copies: making them.

Belongs here: the two kinds of copy and what each may take over. Not here: finding personal data in what is said (a
processor does that and puts its result into the copy), signing and encrypting the original (``signing.py``,
``encryption.py``), which copy belongs to which original (``lineage.py``).

Both kinds are vCons of their own: a fresh uuid, their own ``created_at`` (a vCon's creation, fixed once set, and not
the conversation's), no ``updated_at``, and one member that points back (draft -03 sections 4.1.8 and 4.1.9). A copy of
a copy points at the copy it was made from: the chain leads on from there, and ``redacted`` excludes ``amended``.

- An **amended** copy is everything the original holds; what is to be added comes after.
- A **redacted** copy is made from an allow-list and starts out empty. A deny-list forgets: the draft's own example of
  a redacted vCon still names both callers and gives the hash of the recording. Elements that are left out stay behind
  as placeholders, all of them, so that every index means what it meant.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from vcon_platform.vcon.document import ARRAYS, Vcon
from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.media import BodyError, decode_base64url
from vcon_platform.vcon.uuids import new_uuid

__all__ = ["KNOWN_EXTENSIONS", "Allow", "Names", "amended_copy", "redacted_copy", "refuse_inline_vcon"]

Names = Collection[str] | Mapping[int, Collection[str]]
"""Members that may be taken over: of every element of an array, or of the elements at the indexes that are given."""

KNOWN_EXTENSIONS = frozenset({"CC", "lawful_basis", "wtf_transcription"})
"""Extensions whose members this platform can tell apart, so that an allow-list over them means something."""

_DISPOSITIONS = frozenset({"no-answer", "congestion", "failed", "busy", "hung-up", "voicemail-no-message"})
_DIALOG_TYPES = frozenset({"recording", "text", "transfer", "incomplete", "recording-set"})
_OWN = frozenset({"uuid", "created_at", "updated_at", "redacted", "amended", "extensions", "critical", "vcon", *ARRAYS})
"""Top-level members that a copy has of its own, or never."""


@dataclass(frozen=True, slots=True)
class Allow:
    """What a redacted copy takes over, by member name; by default nothing. ``top``: of the document itself, such as
    ``subject``. A member is taken with everything in it."""

    top: Collection[str] = ()
    parties: Names = ()
    dialog: Names = ()
    analysis: Names = ()
    attachments: Names = ()


def amended_copy(vcon: Vcon, *, now: datetime, uuid: str | None = None) -> Vcon:
    """A deep copy of ``vcon`` with ``amended`` pointing at it, not stored yet, ready to be changed. ``now``
    (timezone-aware) becomes its ``created_at``; ``uuid`` is a fresh one unless given. Raises :class:`Rejected` (422
    ``inline_original``) for a document that carries another vCon within ``redacted`` or ``amended``."""
    _refuse_inline_reference(vcon.data)
    own = _own(vcon, uuid, now)
    rest = {name: _copied(value) for name, value in vcon.data.items() if name not in _REPLACED}
    return Vcon({**own, "amended": {"uuid": vcon.uuid}, **rest})


_REPLACED = frozenset({"uuid", "created_at", "updated_at", "redacted", "amended"})


def redacted_copy(
    vcon: Vcon,
    kind: str,
    allow: Allow,
    *,
    now: datetime,
    uuid: str | None = None,
    known: Collection[str] = KNOWN_EXTENSIONS,
) -> Vcon:
    """A copy of ``vcon`` that holds what ``allow`` names and nothing else, with ``redacted`` pointing back.

    ``kind`` says what was taken out, for people (``redacted.type``). Every array keeps its length: an element of which
    nothing is taken over is ``{}``, a dialog keeps its type (an incomplete one its disposition and a recording-set its
    recordings: the draft demands them, and they name nobody). ``extensions`` and ``critical`` stay, since a reader must
    not be misled about them; they hold names from ``known`` alone.

    Raises :class:`Rejected` (422): ``unknown_extension`` if the document uses extensions that are not in ``known`` (the
    allow-list cannot know what their members mean), ``inline_original`` if the original would be within the copy.
    """
    data = vcon.data
    _refuse_unknown_extensions(data, known)
    copy: dict[str, Any] = {**_own(vcon, uuid, now), "redacted": {"uuid": vcon.uuid, "type": kind}}
    copy |= {name: _copied(data[name]) for name in ("extensions", "critical") if data.get(name)}
    copy |= {name: _copied(data[name]) for name in allow.top if name in data and name not in _OWN}
    for array in ARRAYS:
        names: Names = getattr(allow, array)
        copy[array] = [
            _kept(array, entry, names.get(index, ()) if isinstance(names, Mapping) else names)
            for index, entry in enumerate(data.get(array) or [])
        ]
    refuse_inline_vcon(copy)
    return Vcon(copy)


def refuse_inline_vcon(data: Mapping[str, Any]) -> None:
    """Refuse a document that holds another vCon: within ``redacted`` or ``amended`` (draft -04 dropped that form), as
    a body, or anywhere else. In a redacted copy it would bring the original back whole; whoever adds to one asks again
    before it is stored. Raises :class:`Rejected` (422 ``inline_original``)."""
    _refuse_inline_reference(data)
    for member, value in data.items():
        if pointer := _inline(value, f"/{member}"):
            raise Rejected(Fault("inline_original", pointer, _INLINE))


def _own(vcon: Vcon, uuid: str | None, now: datetime) -> dict[str, Any]:
    if now.tzinfo is None:
        raise ValueError("now has no timezone; a vCon's dates have one")
    if uuid == vcon.uuid:
        raise ValueError("a copy needs a uuid of its own, not its original's")
    return {"uuid": uuid or new_uuid(), "created_at": now.isoformat()}


def _copied(value: Any) -> Any:
    """A deep copy of JSON; four times as quick as copy.deepcopy, which looks for shared parts that JSON has none of."""
    if isinstance(value, dict):
        return {name: _copied(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_copied(inner) for inner in value]
    return value


def _kept(array: str, entry: object, names: Collection[str]) -> dict[str, Any]:
    if not isinstance(entry, dict):
        return {}
    kept = _placeholder(entry) if array == "dialog" else {}
    return kept | {name: _copied(value) for name, value in entry.items() if name in names}


def _placeholder(dialog: Mapping[str, Any]) -> dict[str, Any]:
    kind = dialog.get("type")
    if not isinstance(kind, str) or kind not in _DIALOG_TYPES:  # a type that nobody defined may say anything
        return {}
    placeholder: dict[str, Any] = {"type": kind}
    if kind == "incomplete":
        disposition = dialog.get("disposition")
        placeholder["disposition"] = disposition if disposition in _DISPOSITIONS else "failed"
    elif kind == "recording-set":
        recordings = dialog.get("recordings")
        entries = recordings if isinstance(recordings, list) else []
        placeholder["recordings"] = [index for index in entries if type(index) is int]
    return placeholder


def _refuse_unknown_extensions(data: Mapping[str, Any], known: Collection[str]) -> None:
    faults = []
    for member in ("extensions", "critical"):
        names = data.get(member) or []
        if not isinstance(names, list) or any(not isinstance(name, str) or name not in known for name in names):
            message = (
                "names an extension that cannot be redacted here; add support for it, or take it out by hand first"
            )
            faults.append(Fault("unknown_extension", f"/{member}", message))
    if faults:
        raise Rejected(*faults)


_INLINE = "another vCon is within this document; refer to it by uuid, or by url and content_hash"


def _refuse_inline_reference(data: Mapping[str, Any]) -> None:
    for member in ("redacted", "amended"):
        reference = data.get(member)
        if isinstance(reference, Mapping) and ("body" in reference or _is_vcon(reference)):
            raise Rejected(Fault("inline_original", f"/{member}", _INLINE))


def _inline(value: object, pointer: str) -> str | None:
    """Where a vCon is in ``value``, if one is."""
    if isinstance(value, list):
        return next((found for i, inner in enumerate(value) if (found := _inline(inner, f"{pointer}/{i}"))), None)
    if not isinstance(value, Mapping):
        return None
    if _is_vcon(value):
        return pointer
    if "body" in value:
        mediatype = value.get("mediatype")
        declared = isinstance(mediatype, str) and mediatype.strip().lower().startswith("application/vcon")
        if declared or _is_vcon(_json_in(value["body"])):
            return f"{pointer}/body"
    for name, inner in value.items():
        step = str(name).replace("~", "~0").replace("/", "~1")
        if found := _inline(inner, f"{pointer}/{step}"):
            return found
    return None


_HEAD = 64
"""Letters of a body, a multiple of four, that tell whether an object is in it: recordings are not decoded whole."""


def _json_in(body: object) -> object:
    """The object that a text or base64url body holds; None where it holds none."""
    if not isinstance(body, str):
        return None
    try:
        if body.lstrip()[:1] == "{":
            return orjson.loads(body)
        return orjson.loads(decode_base64url(body)) if decode_base64url(body[:_HEAD]).lstrip()[:1] == b"{" else None
    except (BodyError, ValueError):  # ValueError: no JSON, or letters outside ASCII where base64 was tried
        return None


def _is_vcon(value: object) -> bool:
    if not isinstance(value, Mapping):
        return False
    if value.keys() >= {"payload", "signatures"} or value.keys() >= {"ciphertext", "recipients"}:
        return True
    return "uuid" in value and any(_is_list_of_objects(value.get(array)) for array in ARRAYS)


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)
