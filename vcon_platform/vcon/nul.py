"""U+0000, which is legal in JSON and in no Postgres text, C string or file name.

Belongs here: taking it out of the view. Not here: the original bytes, which keep it.
"""

from __future__ import annotations

import itertools
from typing import Any

import orjson

NUL = "\0"


def clean(data: dict[str, Any]) -> bool:
    """Take U+0000 out of a document, in place; whether there was any."""
    try:
        if b"\\u0000" not in orjson.dumps(data, default=_nothing):  # far quicker than looking at every value
            return False
    except (TypeError, ValueError):  # beyond what orjson writes, which gate 1 never lets through
        pass
    return _walk(data)


def strip_nul(value: Any) -> Any:
    """The value without U+0000, containers changed in place."""
    if type(value) is str:
        return value.replace(NUL, "")
    _walk(value)
    return value


def _nothing(_: object) -> None:
    """What a hoisted body is written as: its text is base64."""


def _walk(value: Any) -> bool:
    found, todo = False, [value]
    while todo:
        holder = todo.pop()
        entries: Any = ()
        if type(holder) is dict:
            if any(NUL in name for name in holder):
                found = True
                _rename(holder)
            entries = list(holder.items())
        elif type(holder) is list:
            entries = enumerate(holder)
        for key, inner in entries:
            if type(inner) is not str:
                todo.append(inner)
            elif NUL in inner:
                found = True
                holder[key] = inner.replace(NUL, "")
    return found


def _rename(holder: dict[str, Any]) -> None:
    """Two names that become one: the later gets U+FFFD and a number."""
    members = list(holder.items())
    taken = {name for name in holder if NUL not in name}
    number = itertools.count(2)
    holder.clear()
    for name, inner in members:
        new = name
        if NUL in name:
            new = short = name.replace(NUL, "")
            while new in taken:
                new = f"{short}\ufffd{next(number)}"
            taken.add(new)
        holder[new] = inner
