"""Which members draft -04 demands or recommends, by the kind of object: a table, and what a document lacks of it.

Belongs here: the cells M and S of the draft's tables (sections 4.1 to 4.5), read by ``conformance.py``. Not here: what
a member may hold, which the schema says.

A placeholder (an element that was left out of a redacted copy so that indexes hold) lacks nothing: it is an object
with no member but ``type``, and a disposition where that is ``incomplete``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vcon_platform.vcon.document import ARRAYS

Level = Literal["must", "should"]


@dataclass(frozen=True, slots=True)
class Missing:
    """A member that is not there. ``pointer``: of the object it belongs in; ``member``: its name, or names of which
    one would do, joined by ``|``; ``level``: the draft's word for it."""

    pointer: str
    member: str
    level: Level


_DIALOG_MUST: dict[str, tuple[str, ...]] = {"recording-set": ("recordings",), "incomplete": ("disposition",)}
_DIALOG_SHOULD: dict[str, tuple[str, ...]] = {
    "recording": ("start", "parties"),
    "recording-set": ("start", "parties"),
    "text": ("start", "parties"),
    "incomplete": ("start",),
    "transfer": ("transferee", "transferor", "transfer_target", "original", "consultation", "target_dialog"),
}
_CONTENT = "body|url"
_KEY_EVENTS = ("keydown", "keyup")


def missing(view: Mapping[str, Any], original: Mapping[str, Any] | None = None) -> Iterator[Missing]:
    """What the document lacks, in its own order. ``view`` is the 0.4.0 view; where the migration fills in a member of
    its own (``created_at``, ``encoding``, an analysis' ``vendor``), ``original`` says whether it had come."""
    came = view if original is None else original
    yield from _lacking("", came, "must", "uuid", "created_at")
    if not any(isinstance(view.get(array), list) and view[array] for array in ARRAYS):
        yield Missing("", "|".join(ARRAYS), "should")
    for name in ("redacted", "amended"):
        reference = view.get(name)
        if isinstance(reference, Mapping):
            yield from _reference(name, reference)
    yield from _dialogs(view, came)
    for index, entry, as_it_came in _elements("analysis", view, came):
        pointer = f"/analysis/{index}"
        yield from _lacking(pointer, entry, "must", "type")
        yield from _lacking(pointer, as_it_came, "must", "vendor")
        yield from _content(pointer, entry, as_it_came, mediatype=False)
    for index, entry, as_it_came in _elements("attachments", view, came):
        pointer = f"/attachments/{index}"
        yield from _lacking(pointer, entry, "must", "start", "party", "dialog")
        yield from _content(pointer, entry, as_it_came, mediatype=True)


def _dialogs(view: Mapping[str, Any], came: Mapping[str, Any]) -> Iterator[Missing]:
    in_sets = _in_sets(view)
    for index, entry, as_it_came in _elements("dialog", view, came):
        pointer, kind = f"/dialog/{index}", entry.get("type")
        yield from _lacking(pointer, entry, "must", "type")
        if not isinstance(kind, str):
            continue
        yield from _lacking(pointer, entry, "must", *_DIALOG_MUST.get(kind, ()))
        if entry.keys() <= {"type", "disposition"}:
            continue
        yield from _lacking(pointer, entry, "should", *_DIALOG_SHOULD.get(kind, ()))
        if kind in ("recording", "text"):
            if "body" not in entry and "url" not in entry:
                yield Missing(pointer, _CONTENT, "should")
            if kind == "recording" and index in in_sets:
                yield from _lacking(pointer, entry, "should", "recording_set")
        yield from _content(pointer, entry, as_it_came, mediatype=True)
        history = entry.get("party_history")
        for number, event in enumerate(history if isinstance(history, list) else ()):
            if isinstance(event, Mapping):
                needs = ("button",) if event.get("event") in _KEY_EVENTS else ()
                yield from _lacking(
                    f"{pointer}/party_history/{number}", event, "must", "party", "time", "event", *needs
                )


def _elements(
    array: str, view: Mapping[str, Any], came: Mapping[str, Any]
) -> Iterator[tuple[int, Mapping[str, Any], Mapping[str, Any]]]:
    """Elements that are no placeholders, each with the same one as it came (no migration moves elements)."""
    entries, before = view.get(array), came.get(array)
    if not isinstance(entries, list):
        return
    before = before if isinstance(before, list) else []
    for index, entry in enumerate(entries):
        if isinstance(entry, Mapping) and entry:
            as_it_came = before[index] if index < len(before) else entry
            yield index, entry, as_it_came if isinstance(as_it_came, Mapping) else entry


def _in_sets(view: Mapping[str, Any]) -> set[int]:
    dialogs = view.get("dialog")
    sets = (
        [entry.get("recordings") for entry in dialogs if isinstance(entry, Mapping)]
        if isinstance(dialogs, list)
        else []
    )
    return {index for found in sets if isinstance(found, list) for index in found if isinstance(index, int)}


def _content(
    pointer: str, entry: Mapping[str, Any], as_it_came: Mapping[str, Any], *, mediatype: bool
) -> Iterator[Missing]:
    if "body" in entry and entry["body"] not in ("", None):
        yield from _lacking(pointer, as_it_came, "must", "encoding")
        if mediatype:
            yield from _lacking(pointer, entry, "must", "mediatype")
    if "url" in entry:
        yield from _lacking(pointer, entry, "must", "content_hash")


def _reference(name: str, reference: Mapping[str, Any]) -> Iterator[Missing]:
    pointer = f"/{name}"
    if name == "redacted":
        yield from _lacking(pointer, reference, "must", "type")
        yield from _lacking(pointer, reference, "should", "uuid")
    elif "uuid" not in reference and "url" not in reference:
        yield Missing(pointer, "uuid|url", "must")
    if "url" in reference:
        yield from _lacking(pointer, reference, "must", "content_hash")


def _lacking(pointer: str, entry: Mapping[str, Any], level: Level, *members: str) -> Iterator[Missing]:
    for member in members:
        if member not in entry:
            yield Missing(pointer, member, level)
