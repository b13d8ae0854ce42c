"""Which members draft -04 demands or recommends, by the kind of object: a table, and what a document lacks of it.

Belongs here: the cells M and S of the draft's tables (sections 4.1 to 4.5), read by ``conformance.py``. Not here: what
a member may hold, which the schema says.

A placeholder (an element that was left out of a redacted copy so that indexes hold) lacks nothing: it is an object
with no member but ``type``, and a disposition where that is ``incomplete``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

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


def missing(view: Mapping[str, Any], filled_in: Collection[str] = ()) -> Iterator[Missing]:
    """What the document lacks, in its own order. ``view`` is the 0.4.0 view; ``filled_in``: pointers of members that
    it did not come with and the migration filled in, such as ``/created_at``: they are missing too."""
    lacking = partial(_lacking, filled_in)
    yield from lacking("", view, "must", "uuid", "created_at")
    if not any(isinstance(view.get(array), list) and view[array] for array in ARRAYS):
        yield Missing("", "|".join(ARRAYS), "should")
    for name in ("redacted", "amended"):
        reference = view.get(name)
        if isinstance(reference, Mapping):
            yield from _reference(name, reference, lacking)
    yield from _dialogs(view, lacking)
    for pointer, entry in _elements("analysis", view):
        yield from lacking(pointer, entry, "must", "type", "vendor")
        yield from _content(pointer, entry, lacking, mediatype=False)
    for pointer, entry in _elements("attachments", view):
        yield from lacking(pointer, entry, "must", "start", "party", "dialog")
        yield from _content(pointer, entry, lacking, mediatype=True)


class _Lacking(Protocol):
    def __call__(self, pointer: str, entry: Mapping[str, Any], level: Level, *members: str) -> Iterator[Missing]: ...


def _lacking(
    filled_in: Collection[str], pointer: str, entry: Mapping[str, Any], level: Level, *members: str
) -> Iterator[Missing]:
    for member in members:
        if member not in entry or (filled_in and f"{pointer}/{member}" in filled_in):
            yield Missing(pointer, member, level)


def _dialogs(view: Mapping[str, Any], lacking: _Lacking) -> Iterator[Missing]:
    in_sets = _in_sets(view)
    for pointer, entry in _elements("dialog", view):
        kind = entry.get("type")
        yield from lacking(pointer, entry, "must", "type")
        if not isinstance(kind, str):
            continue
        yield from lacking(pointer, entry, "must", *_DIALOG_MUST.get(kind, ()))
        if entry.keys() <= {"type", "disposition"}:
            continue
        yield from lacking(pointer, entry, "should", *_DIALOG_SHOULD.get(kind, ()))
        if kind in ("recording", "text"):
            if "body" not in entry and "url" not in entry:
                yield Missing(pointer, _CONTENT, "should")
            if kind == "recording" and pointer in in_sets:
                yield from lacking(pointer, entry, "should", "recording_set")
        yield from _content(pointer, entry, lacking, mediatype=True)
        history = entry.get("party_history")
        for number, event in enumerate(history if isinstance(history, list) else ()):
            if isinstance(event, Mapping):
                needs = ("button",) if event.get("event") in _KEY_EVENTS else ()
                yield from lacking(f"{pointer}/party_history/{number}", event, "must", "party", "time", "event", *needs)


def _elements(array: str, view: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Elements with their pointers, without empty placeholders."""
    entries = view.get(array)
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, Mapping) and entry:
            yield f"/{array}/{index}", entry


def _in_sets(view: Mapping[str, Any]) -> set[str]:
    """Pointers of the recordings that some recording-set lists."""
    found = [entry.get("recordings") for _, entry in _elements("dialog", view)]
    return {f"/dialog/{index}" for indexes in found if isinstance(indexes, list) for index in indexes}


def _content(pointer: str, entry: Mapping[str, Any], lacking: _Lacking, *, mediatype: bool) -> Iterator[Missing]:
    if "body" in entry and entry["body"] not in ("", None):
        yield from lacking(pointer, entry, "must", "encoding", *(("mediatype",) if mediatype else ()))
    if "url" in entry:
        yield from lacking(pointer, entry, "must", "content_hash")


def _reference(name: str, reference: Mapping[str, Any], lacking: _Lacking) -> Iterator[Missing]:
    pointer = f"/{name}"
    if name == "redacted":
        yield from lacking(pointer, reference, "must", "type")
        yield from lacking(pointer, reference, "should", "uuid")
    elif "uuid" not in reference and "url" not in reference:
        yield Missing(pointer, "uuid|url", "must")
    if "url" in reference:
        yield from lacking(pointer, reference, "must", "content_hash")
