"""The option ``input_dialogs``: which dialogs of a conversation a processor works on, as py_vcon_server writes it.

``""``, ``":"`` and ``"0:"`` are all, ``"n"`` is one, ``"n:m"`` and ``"n:m:i"`` are Python's slices (negative ends count
from the end), ``[]`` none and ``[1, 4]`` these. Dialogs that a conversation does not have are no fault: one definition
serves conversations of any length.
"""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, StrictInt

_SLICE = re.compile(r"\s*(-?\d{1,9})?\s*(?::\s*(-?\d{1,9})?\s*(?::\s*(-?\d{1,9})?\s*)?)?", re.ASCII)


def _checked(value: str | tuple[int, ...]) -> str | tuple[int, ...]:
    if isinstance(value, str):
        _slice(value)
    elif any(index < 0 for index in value):
        raise ValueError("a list has indexes from 0 on; count from the end with a slice, e.g. '-2:'")
    return value


InputDialogs = Annotated[str | tuple[StrictInt, ...], AfterValidator(_checked)]
"""The option's type."""


def _slice(text: str) -> slice:
    found = _SLICE.fullmatch(text)
    if found is None:
        raise ValueError("must be '', 'n', 'n:m' or 'n:m:i' as in Python, or a list of indexes")
    start, stop, step = (None if part is None else int(part) for part in found.groups())
    if step == 0:
        raise ValueError("the step of 'n:m:i' must not be 0")
    if ":" not in text and start is not None:
        return slice(start, None if start == -1 else start + 1)
    return slice(start, stop, step)


def chosen(value: str | tuple[int, ...], count: int) -> list[int]:
    """The indexes that ``value`` names of ``count`` dialogs, each once, in its order."""
    if isinstance(value, str):
        return list(range(count)[_slice(value)])
    return [index for index in dict.fromkeys(value) if index < count]


def is_all(value: str | tuple[int, ...]) -> bool:
    """True if every dialog is meant, however many there are."""
    return isinstance(value, str) and _slice(value) in (slice(None, None, None), slice(0, None, None))
