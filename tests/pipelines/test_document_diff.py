"""Differences of documents: complete, with pointers, and short enough to be read."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.pipelines.document_diff import Edit, difference, shortened

_LEAVES = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/~", max_size=3)
_VALUES = st.recursive(
    _LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text("ab/~", max_size=2), each, max_size=3)
)


def _patched(value: Any, edits: list[Edit]) -> Any:
    """RFC 6902 as far as it is used here."""
    value = copy.deepcopy(value)
    for edit in edits:
        if edit.pointer == "":
            value = edit.after
            continue
        *path, last = [part.replace("~1", "/").replace("~0", "~") for part in edit.pointer[1:].split("/")]
        holder = value
        for part in path:
            holder = holder[int(part)] if isinstance(holder, list) else holder[part]
        if isinstance(holder, list):
            place = int(last)
            if edit.op == "remove":
                del holder[place]
            elif edit.op == "add":
                holder.insert(place, edit.after)
            else:
                holder[place] = edit.after
        elif edit.op == "remove":
            del holder[last]
        else:
            holder[last] = edit.after
    return value


@given(_VALUES, _VALUES)
@settings(max_examples=200)
def test_the_edits_make_the_one_document_of_the_other(before: Any, after: Any) -> None:
    assert repr(_sorted(_patched(before, difference(before, after)))) == repr(_sorted(after))


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _sorted(value[name]) for name in sorted(value)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def test_an_appended_element_is_told_by_its_place() -> None:
    [edit] = difference({"analysis": [{"a": 1}]}, {"analysis": [{"a": 1}, {"b": 2}]})
    assert edit.to_json() == {"op": "add", "path": "/analysis/1", "value": {"b": 2}}


def test_a_changed_member_is_told_with_what_it_was() -> None:
    [edit] = difference({"a/b": {"c": 1}}, {"a/b": {"c": 2}})
    assert edit.lines() == ["- /a~1b/c: 1", "+ /a~1b/c: 2"]


def test_long_text_says_how_long_it_was() -> None:
    told = shortened({"body": "x" * 5000})["body"]
    assert told.endswith("… (5,000 characters)")
    assert len(told) < 250


def test_a_recording_is_told_by_its_size() -> None:
    assert shortened({"encoding": "base64url", "body": "A" * 4000})["body"] == "(3,000 bytes)"


def test_long_arrays_say_how_much_is_left_out() -> None:
    assert shortened(list(range(100)))[-1] == "… (80 more)"
