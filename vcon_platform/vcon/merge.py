"""New content under a known uuid: what pipelines had added to the old content is carried over.

Belongs here: which additions survive, and where their indexes point afterwards. Not here: storing the result
(``ingress/door.py``).

A uuid names a series of revisions: an e-mail thread grows, a recorder posts the call again with its recording. Whoever
posts knows nothing of the transcript that was bought meanwhile. So three documents are compared: ``posted``, the
content as it was posted before; ``ours``, that content with what was changed since; ``theirs``, the new content. What
differs between the first two is ours and is made again on the third. What was posted before and is not any more was
taken out on purpose and stays out.

An addition that speaks of a dialog moves with it. If its dialog is not in the new content any more, or has another
recording now, it is left behind: a transcript of another recording would be a lie. The archive keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from vcon_platform.vcon.document import ARRAYS, Append, ArrayName, Change, Put

_CONTENT = ("body", "url", "content_hash")
_POINTERS = {
    "dialog": "dialog",
    "attachment": "attachments",
    "party": "parties",
    "parties": "parties",
    "originator": "parties",
}
"""Members of an addition that hold indexes, and the arrays they point into."""
_ORDER: tuple[ArrayName, ...] = ("parties", "dialog", "attachments", "analysis")
"""What is pointed at comes before what points at it, so that its new place is known."""


def carried_over(
    posted: Mapping[str, Any], ours: Mapping[str, Any], theirs: Mapping[str, Any]
) -> tuple[list[Change], int]:
    """The changes that bring our additions into ``theirs``, and how many had to be left behind. Pure."""
    changes: list[Change] = []
    left = 0
    moved: dict[str, dict[int, int]] = {}
    for array in _ORDER:
        before, now, new = _array(posted, array), _array(ours, array), _array(theirs, array)
        there_already = _by_value(new)
        places = moved[array] = _moved(now[: len(before)], new, there_already)
        changes += [  # replaced by us, and not by them
            Put(array, index, value)
            for index, value in enumerate(now[: len(before)])
            if value != before[index] and index < len(new) and new[index] == before[index]
        ]
        place = len(new)
        for index, value in enumerate(now[len(before) :], len(before)):
            if (there := there_already.get(_key(value))) is not None:
                places[index] = there
            elif (carried := _repointed(value, moved)) is None:
                left += 1
            elif (there := there_already.get(_key(carried))) is not None:
                places[index] = there
            else:
                places[index] = place
                place += 1
                changes.append(Append(array, carried))
    changes += [
        Put(member, None, ours[member])
        for member in sorted(ours.keys() - {*ARRAYS, "uuid", "created_at", "updated_at"})
        if ours[member] != posted.get(member) and theirs.get(member) == posted.get(member)
    ]
    return changes, left


def _key(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _by_value(values: Sequence[Any]) -> dict[bytes, int]:
    """The place of each value, the first of equal ones: long arrays are compared in one pass."""
    places: dict[bytes, int] = {}
    for index, value in enumerate(values):
        places.setdefault(_key(value), index)
    return places


def _array(document: Mapping[str, Any], name: str) -> list[Any]:
    value = document.get(name)
    return value if isinstance(value, list) else []


def _moved(old: Sequence[Any], new: Sequence[Any], by_value: Mapping[bytes, int]) -> dict[int, int]:
    """Where each element is now: in its place if that is still the same thing, else wherever an equal one is."""
    places: dict[int, int] = {}
    for index, value in enumerate(old):
        if index < len(new) and _same(value, new[index]):
            places[index] = index
        elif (place := by_value.get(_key(value))) is not None:
            places[index] = place
    return places


def _same(one: Any, other: Any) -> bool:
    """True if an element may have been edited but is about the same thing: same content, and same kind and start."""
    if one == other:
        return True
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    return all(one.get(member) == other.get(member) for member in (*_CONTENT, "type", "start"))


def _repointed(value: Any, moved: Mapping[str, Mapping[int, int]]) -> Any:
    """The element with its indexes where things are now; None if one of them is not there any more."""
    if not isinstance(value, dict):
        return value
    fresh = value
    for member, array in _POINTERS.items():
        if member not in value:
            continue
        pointed = _mapped(value[member], moved.get(array, {}))
        if pointed is None:
            return None
        if pointed != value[member]:
            fresh = {**fresh, member: pointed}
    return fresh


def _mapped(pointer: Any, places: Mapping[int, int]) -> Any:
    if isinstance(pointer, bool) or not isinstance(pointer, int | list):
        return pointer
    if isinstance(pointer, int):
        return places.get(pointer)
    mapped = [_mapped(each, places) for each in pointer]
    return None if any(each is None for each in mapped) else mapped
