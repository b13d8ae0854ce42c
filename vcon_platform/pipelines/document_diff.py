"""What became of a document: a list of edits with JSON pointers, for people and for programs.

Belongs here: comparing two JSON values and writing the difference down. Not here: how they came to differ.

Arrays are compared place by place, because in a vCon an index is an identity (dialogs and analyses point at each other
by it, and nothing is ever removed): a library that finds the shortest patch would tell of moves that never were. What
is long is shortened on the way out: nobody reads a recording, and a diff must not carry one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson

LONGEST_TEXT = 200
"""Characters of a text that are shown; a sentence or two says what it is."""
MOST_MEMBERS = 20
"""Elements of an array, or members of an object, that are shown of a value."""

Op = Literal["add", "replace", "remove"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One difference, as an operation of RFC 6902 with the value that was there before."""

    op: Op
    pointer: str
    """RFC 6901; "" is the whole document."""
    before: Any = None
    after: Any = None

    def to_json(self) -> dict[str, Any]:
        """The operation, its values shortened; ``was`` is what stood there."""
        told: dict[str, Any] = {"op": self.op, "path": self.pointer}
        if self.op != "remove":
            told["value"] = shortened(self.after)
        if self.op != "add":
            told["was"] = shortened(self.before)
        return told

    def lines(self) -> list[str]:
        """The edit as one or two lines that begin with ``+`` or ``-``."""
        place = self.pointer or "/"
        gone = [] if self.op == "add" else [f"- {place}: {_compact(self.before)}"]
        come = [] if self.op == "remove" else [f"+ {place}: {_compact(self.after)}"]
        return gone + come


def difference(before: Any, after: Any, pointer: str = "") -> list[Edit]:
    """Every place where ``after`` differs from ``before``, in the order of the document. Numbers are equal by value
    (1 and 1.0), true and 1 are not; the order of members does not matter."""
    return list(_edits(before, after, pointer))


def _edits(before: Any, after: Any, pointer: str) -> Iterator[Edit]:
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name in before:
            if name not in after:
                yield Edit("remove", f"{pointer}/{_escaped(name)}", before=before[name])
            else:
                yield from _edits(before[name], after[name], f"{pointer}/{_escaped(name)}")
        for name in after:
            if name not in before:
                yield Edit("add", f"{pointer}/{_escaped(name)}", after=after[name])
    elif isinstance(before, list) and isinstance(after, list):
        for index, (old, new) in enumerate(zip(before, after, strict=False)):
            yield from _edits(old, new, f"{pointer}/{index}")
        for index in range(len(before), len(after)):
            yield Edit("add", f"{pointer}/{index}", after=after[index])
        for index in reversed(range(len(after), len(before))):  # as a patch is applied: the last one first
            yield Edit("remove", f"{pointer}/{index}", before=before[index])
    elif not _same(before, after):
        yield Edit("replace", pointer, before=before, after=after)


def _same(before: Any, after: Any) -> bool:
    if isinstance(before, bool) or isinstance(after, bool):
        return before is after
    return bool(before == after)


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def shortened(value: Any) -> Any:
    """A JSON value fit to be looked at: long texts, arrays and objects say how long they were."""
    if isinstance(value, str):
        if len(value) <= LONGEST_TEXT:
            return value
        return f"{value[:LONGEST_TEXT]}… ({len(value):,} characters)"
    if isinstance(value, Mapping):
        binary = value.get("encoding") == "base64url" and isinstance(value.get("body"), str)
        told = {
            name: f"({len(each) * 3 // 4:,} bytes)" if binary and name == "body" else shortened(each)
            for name, each in list(value.items())[:MOST_MEMBERS]
        }
        if len(value) > MOST_MEMBERS:
            told["…"] = f"({len(value) - MOST_MEMBERS:,} more members)"
        return told
    if isinstance(value, Sequence):
        rest = len(value) - MOST_MEMBERS
        return [*map(shortened, value[:MOST_MEMBERS]), *([f"… ({rest:,} more)"] if rest > 0 else [])]
    return value


def _compact(value: Any) -> str:
    return orjson.dumps(shortened(value), default=str).decode()
