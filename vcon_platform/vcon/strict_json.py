"""Gate 1, JSON: bytes to a value, by one strict parser on every path (vcon_format.md section 5).

Belongs here: what is refused as unsafe to hold or ambiguous to read. Not here: why exactly and where, which is found
out only for what is refused (``json_faults.py``); what the value means (``gates.py``); size on the wire
(``transport.py``).

orjson parses, and refuses NaN, lone surrogates, anything but UTF-8 and anything after the value. It keeps the last of
two equal members, and knows neither our caps nor big integers. These are checked at the speed of C, without a walk of
the value: outside its strings a JSON text is brackets, commas, colons and numbers, which only have to be counted; and
written out again, a value has as many strings as its text unless a member was dropped. Whatever looks wrong here is
read again by ``json_faults.find``, slowly and exactly, which has the last word.

A byte order mark is taken off and told as a finding, on every path.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from vcon_platform.vcon.faults import Finding, Rejected
from vcon_platform.vcon.json_faults import MAX_INTEGER, find, unexplained
from vcon_platform.vcon.limits import Limits

BOM = b"\xef\xbb\xbf"

_BLOCK = 1 << 18
_ALL_BUT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_AS_ARRAYS = bytes.maketrans(b"{}", b"[]")
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_MAX_INTEGER = str(MAX_INTEGER).encode()
_LONG = b"0" * len(_MAX_INTEGER)
_LONG_INTEGER = re.compile(rb"(?<![0-9.eE+])-?([0-9]{%d,}+)(?![.eE])" % len(_LONG))
_BACKSLASHES = re.compile(rb"\\*+")
_BOM_STRIPPED = Finding("bom_stripped", "", "a byte order mark stood before the document; write UTF-8 without it")


def read_json(
    raw: bytes,
    limits: Limits,
    findings: list[Finding] | None = None,
    *,
    came_at: Callable[[int], int] | None = None,
) -> Any:
    """The value of a JSON text.

    Raises :class:`Rejected` with one fault, whose pointer says where: 400 ``empty_body``, ``malformed_json``,
    ``trailing_data``, ``duplicate_key``, ``too_deep``, ``number_out_of_range``; 422 ``big_integer`` (beyond 2^53-1,
    which other readers would round); 413 ``too_many_members``, ``too_many_elements``. ``findings`` gets
    ``bom_stripped``. ``came_at`` translates places for messages, where ``raw`` is not quite what came.
    """
    if raw.startswith(BOM):
        raw, came_at = raw[len(BOM) :], _after_bom(came_at)
        if findings is not None:
            findings.append(_BOM_STRIPPED)
    outside, quotes = outside_strings(raw)
    if not _over_caps(outside, limits):
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
        else:
            if not _suspicious(value, outside, quotes, limits) or not (fault := find(raw, limits, came_at)):
                return value
            raise Rejected(fault)
    raise Rejected(find(raw, limits, came_at) or unexplained())


def outside_strings(raw: bytes) -> tuple[bytes, int]:
    """What is left of a JSON text without its strings and their quotes, and how many quotes that were. Of a text that
    is no JSON: something. Extra memory: the result and a few megabytes."""
    if len(raw) <= _BLOCK:
        parts = _without_escapes(raw).split(b'"')
        return b"".join(parts[::2]), len(parts) - 1
    outside, quotes, start = bytearray(), 0, 0
    while start < len(raw):
        end = start + _BLOCK
        if raw[end - 1 : end] == b"\\" and (run := _BACKSLASHES.match(raw, end)):
            end = run.end() + 1  # what the last backslash escapes stays with it
        parts = _without_escapes(raw[start:end]).split(b'"')
        outside += b"".join(parts[quotes % 2 :: 2])
        quotes += len(parts) - 1
        start = end
    return bytes(outside), quotes


def _without_escapes(text: bytes) -> bytes:
    """The text without escaped quotes and backslashes, so that every quote left begins or ends a string."""
    return text.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in text else text


def _over_caps(outside: bytes, limits: Limits) -> bool:
    """Whether the text is too deep, or holds more than may become objects in memory. Looked at before parsing, since
    64 MB of brackets are gigabytes of lists."""
    opened = outside.count(b"{") + outside.count(b"[")
    if outside.count(b":") > limits.members or opened + outside.count(b",") > limits.members + limits.elements:
        return True
    if opened <= limits.depth:
        return False
    brackets = outside.translate(_AS_ARRAYS, _ALL_BUT_BRACKETS)
    for _ in range(limits.depth):  # each time the innermost arrays go
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"")
    return bool(brackets)


def _suspicious(value: Any, outside: bytes, quotes: int, limits: Limits) -> bool:
    """Whether a parsed text may hold a duplicate member, a big integer or an array that is too long."""
    try:
        if _without_escapes(orjson.dumps(value)).count(b'"') != quotes:
            return True
    except orjson.JSONEncodeError:  # nested deeper than it writes
        return True
    if _LONG in outside.translate(_AS_ZEROS):
        for integer in _LONG_INTEGER.finditer(outside):
            digits = integer[1]
            if len(digits) > len(_MAX_INTEGER) or digits > _MAX_INTEGER:
                return True
    return outside.count(b",") >= limits.elements and _longest_array(value) > limits.elements


def _longest_array(value: Any) -> int:
    longest, waiting = 0, [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, list):
            longest = max(longest, len(each))
        else:
            each = each.values()
        waiting += [inner for inner in each if isinstance(inner, (dict, list))]
    return longest


def _after_bom(came_at: Callable[[int], int] | None) -> Callable[[int], int]:
    return lambda place: came_at(place + len(BOM)) if came_at else place + len(BOM)
