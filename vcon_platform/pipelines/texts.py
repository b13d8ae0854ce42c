"""Definition texts: YAML or JSON, read strictly, so that no two readers see two things in one text.

Belongs here: text to a plain JSON value. Not here: what the value means (``definition.py``).

YAML is read by its 1.2 core rules: ``yes``, ``no`` and ``on`` are words, not booleans; dates are texts. Refused with
the line and the place: a member given twice, a key that is no text, a number that JSON cannot hold, tags other than
the core's, and more than is sane (size, depth, aliases that multiply). The events of libyaml's parser are put together
here, because its own composer recurses and dies of deep nesting, and knows none of these rules.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vcon_platform.pipelines.faults import DefinitionError, DefinitionFault, pointer
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.strict_json import read_json

if TYPE_CHECKING:
    from yaml.events import Event, ScalarEvent

SUFFIXES = (".yaml", ".yml", ".json")
MOST_BYTES = 256 * 1024
"""Of a text, and of a definition as JSON."""
MOST_VALUES = 20_000
"""Of one definition, aliases counted as often as they are used, long texts as one for every 16 letters."""
DEEPEST = 40
MOST_INTEGER = (1 << 53) - 1

_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOLEAN = {**dict.fromkeys(("true", "True", "TRUE"), True), **dict.fromkeys(("false", "False", "FALSE"), False)}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_OCTAL, _HEX = re.compile(r"0o[0-7]+"), re.compile(r"0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_CORE = "tag:yaml.org,2002:"


PRICES_FILE = "prices.yaml"
"""Stands beside the pipelines and is none."""


def sources(folder: Path) -> dict[str, str]:
    """File name to text of every definition file in a folder (not in its sub folders, no hidden ones, not the prices).
    What cannot be read as UTF-8 text has its fault found when it is parsed, like any other."""
    if not folder.is_dir():
        return {}
    found = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and not path.name.startswith("."))
    return {path.name: _text(path) for path in found if path.is_file() and path.name != PRICES_FILE}


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1).decode("utf-8", "replace")
    except OSError:
        return "\ufffd"


def parse_text(file: str, text: str) -> Any:
    """The value of a YAML or JSON text (by the file's ending). Raises :class:`DefinitionError` with the place."""
    if len(text) > MOST_BYTES:
        raise DefinitionError(f"{file} is larger than {MOST_BYTES // 1024} KiB; a definition holds no data")
    if "\ufffd" in text:
        raise DefinitionError(f"{file} cannot be read as UTF-8 text; check its encoding and its permissions")
    return _json(file, text) if file.endswith(".json") else _Builder(file).build(text)


def _json(file: str, text: str) -> Any:
    try:
        raw = text.encode()
        return read_json(raw, Limits(depth=DEEPEST, members=MOST_VALUES, elements=MOST_VALUES))
    except UnicodeEncodeError:
        raise DefinitionError(f"{file} holds half a character (a lone surrogate); remove it") from None
    except Rejected as refused:
        raise DefinitionError(
            f"{file} cannot be read",
            *(DefinitionFault(fault.pointer, fault.message) for fault in refused.faults),
        ) from None


def not_plain(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[DefinitionFault]:
    """What of a value is not plain JSON of a sane depth: for values that no text of ours was parsed into."""
    if len(at) > DEEPEST:
        yield DefinitionFault(pointer(*at), f"deeper than {DEEPEST}")
    elif isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(key, str) and _is_text(key):
                yield from not_plain(inner, (*at, key))
            else:
                yield DefinitionFault(pointer(*at), "the name of a member must be a text")
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from not_plain(inner, (*at, index))
    elif isinstance(value, str):
        if not _is_text(value):
            yield DefinitionFault(pointer(*at), "holds half a character (a lone surrogate)")
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield DefinitionFault(pointer(*at), "must be a finite number")
    elif isinstance(value, int):
        if abs(value) > MOST_INTEGER:
            yield DefinitionFault(pointer(*at), "is beyond 2^53 - 1; write it as a text")
    elif value is not None:
        yield DefinitionFault(pointer(*at), f"a {type(value).__name__} is no JSON value")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Merge(str):
    """``<<`` without quotes: as a member's name it means a merge."""

    __slots__ = ()


class _Open:
    """A container whose end has not been read yet."""

    __slots__ = ("anchor", "key", "keys", "merged", "size", "value")

    def __init__(self, value: dict[str, Any] | list[Any], anchor: str | None) -> None:
        self.value, self.anchor = value, anchor
        self.key: str | None = None
        self.size = 1
        self.merged: list[Any] = []
        self.keys: set[str] = set()


class _Builder:
    """Puts the events of one YAML text together."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._stack: list[_Open] = []
        self._anchors: dict[str, tuple[Any, int]] = {}
        self._done: list[Any] = []

    def build(self, text: str) -> Any:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        try:
            for event in yaml.parse(text, Loader=loader):
                self._take(event)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark is not None else ""
            problem = getattr(error, "problem", None) or str(error)
            raise DefinitionError(f"{self._file}{line} cannot be read: {' '.join(str(problem).split())}") from None
        except RecursionError:
            raise DefinitionError(f"{self._file} is nested too deeply") from None
        return self._done[0] if self._done else None

    def _take(self, event: Event) -> None:
        import yaml

        match event:
            case yaml.ScalarEvent():
                self._add(self._scalar(event), 1 + len(event.value) // 16, event, event.anchor)
            case yaml.AliasEvent():
                if event.anchor not in self._anchors:
                    raise self._fault(event, f"alias *{event.anchor} has no anchor before it, or stands inside its own")
                value, size = self._anchors[event.anchor]
                self._add(value, size, event, None)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._tag(event, event.tag, "map" if isinstance(event, yaml.MappingStartEvent) else "seq")
                if len(self._stack) >= DEEPEST:
                    raise self._fault(event, f"is nested deeper than {DEEPEST}")
                top = self._stack[-1] if self._stack else None
                if top is not None and isinstance(top.value, dict) and top.key is None:
                    raise self._fault(event, "the name of a member must be a text")
                self._stack.append(_Open({} if isinstance(event, yaml.MappingStartEvent) else [], event.anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                closed = self._stack.pop()
                if isinstance(closed.value, dict):
                    for merged in closed.merged:
                        closed.value = {**merged, **closed.value}
                self._add(closed.value, closed.size, event, closed.anchor)
            case yaml.DocumentStartEvent():
                if self._done:
                    raise self._fault(event, "a file holds one definition; split it")

    def _add(self, value: Any, size: int, event: Event, anchor: str | None) -> None:
        if anchor is not None:
            self._anchors[anchor] = (value, size)
        if not self._stack:
            self._done.append(str(value) if isinstance(value, _Merge) else value)
            return
        top = self._stack[-1]
        if isinstance(value, _Merge) and not (isinstance(top.value, dict) and top.key is None):
            value = str(value)
        top.size += size
        if top.size > MOST_VALUES:
            raise self._fault(event, f"more than {MOST_VALUES} values (aliases count as often as they are used)")
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is None:
            if not isinstance(value, str):
                raise self._fault(event, "the name of a member must be a text: put it in quotes")
            if value in top.keys:
                raise self._fault(event, f"member {value!r} is given twice; keep one")
            top.keys.add(value)
            top.key = value
        elif isinstance(top.key, _Merge):
            merged = value if isinstance(value, list) else [value]
            if not all(isinstance(each, dict) for each in merged):
                raise self._fault(event, "'<<' takes an alias of a mapping")
            top.merged += merged
            top.key = None
        else:
            top.value[top.key] = value
            top.key = None

    def _scalar(self, event: ScalarEvent) -> Any:
        text: str = event.value
        if event.tag is not None or not event.implicit[0]:
            self._tag(event, event.tag, "str")
            return text
        if text == "<<":
            return _Merge(text)
        if text in _NULL:
            return None
        if text in _BOOLEAN:
            return _BOOLEAN[text]
        number = self._number(text)
        if number is None:
            return text
        if isinstance(number, int) and abs(number) > MOST_INTEGER:
            raise self._fault(event, "a number beyond 2^53 - 1: put it in quotes")
        if isinstance(number, float) and not math.isfinite(number):
            raise self._fault(event, "must be a finite number")
        return number

    @staticmethod
    def _number(text: str) -> int | float | None:
        if len(text) > 400:
            return None
        if _INTEGER.fullmatch(text):
            return int(text)
        if _OCTAL.fullmatch(text):
            return int(text[2:], 8)
        if _HEX.fullmatch(text):
            return int(text[2:], 16)
        if _NOT_FINITE.fullmatch(text):
            return math.inf
        return float(text) if _FLOAT.fullmatch(text) else None

    def _tag(self, event: Event, tag: str | None, core: str) -> None:
        if tag not in (None, "!", _CORE + core):
            raise self._fault(event, "tags are not read here; write the value plainly")

    def _fault(self, event: Event, message: str) -> DefinitionError:
        parts: list[str | int] = []
        for level in self._stack:
            if isinstance(level.value, list):
                parts.append(len(level.value))
            elif level.key is not None:
                parts.append(level.key)
        mark = event.start_mark
        where = f"{self._file}, line {mark.line + 1}" if mark is not None else self._file
        return DefinitionError(DefinitionFault(pointer(*parts), f"{where}: {message}"))
