"""Gate 1, JSON: bytes to a value, by one strict parser on every path (vcon_format.md section 5).

Belongs here: what is refused as unsafe to hold or ambiguous to read. Not here: why exactly and where, which is found
out only for what is refused (``json_faults.py``); what the value means (``gates.py``); size on the wire
(``transport.py``).

orjson parses, and refuses NaN, lone surrogates, anything but UTF-8 and anything after the value. It keeps the last of
two equal members, and knows neither our caps nor big integers. These are checked without touching every value: written
out again, a value has as many quotes as its text unless a member was dropped; a big integer is a long run of digits;
and only containers can nest. Whatever looks wrong here is read again by ``json_faults.find``, slowly and exactly, which
has the last word.

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
_MAX_INTEGER = str(MAX_INTEGER).encode()
_FOLDED = bytes.maketrans(b"123456789" + b"[: \t\n\r-", b"0" * 9 + b"," * 7)
_LONG_FOLDED = b"," + b"0" * len(_MAX_INTEGER)  # how an integer of that many digits looks, whatever is before it
_LONG_INTEGER = re.compile(rb"[\[,:\s-]([0-9]{%d,}+)(?![.eE])" % len(_MAX_INTEGER))
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
    if not _over_caps(raw, limits):
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError:
            pass
        else:
            looks_well = _looks_well(raw, value, limits)
            if looks_well or (fault := find(raw, limits, came_at)) is None:
                return value
            raise Rejected(fault)
    raise Rejected(find(raw, limits, came_at) or unexplained())


def _over_caps(raw: bytes, limits: Limits) -> bool:
    """Whether more may become objects in memory than the caps allow. Looked at before parsing, since 64 MB of brackets
    are gigabytes of lists."""
    if len(raw) < min(limits.members, limits.elements):
        return False
    return _holds_too_much(raw, limits) and _holds_too_much(_outside_strings(raw), limits)


def _holds_too_much(text: bytes, limits: Limits) -> bool:
    """By its punctuation: each value but the first comes after a comma or what it is in."""
    values = text.count(b",") + text.count(b"[") + text.count(b"{")
    return values > limits.members + limits.elements or text.count(b":") > limits.members


def _looks_well(raw: bytes, value: Any, limits: Limits) -> bool:
    """Whether the parser left nothing out and nothing is too big, too deep or too long."""
    try:
        written = orjson.dumps(value, option=orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:  # nested deeper than it writes, or an integer beyond 2^53-1
        return False
    # The same bytes: nothing was left out, and no integer was too big even for 64 bits, which is read as a float and
    # written with a point or an exponent. It is how most writers write, and spares counting.
    if raw != written and (_drops_members(raw, written) or _big_integer(raw)):
        return False
    return not _misshapen(value, written, limits)


def _drops_members(raw: bytes, written: bytes) -> bool:
    """Whether the parser left out members, as it does of two with one name: strings are missing then."""
    if b"\\" in raw and b"\\u0022" in raw:  # a quote that is written as none: count only those around strings
        raw, written = _without_escapes(raw), _without_escapes(written)
    return raw.count(b'"') != written.count(b'"')


def _big_integer(raw: bytes) -> bool:
    """Whether there is an integer beyond 2^53-1."""
    if raw[:1].isdigit():  # nothing is before it
        return len(raw) >= len(_MAX_INTEGER)
    if _LONG_FOLDED not in raw.translate(_FOLDED):
        return False
    return _big_integer_in(raw) and _big_integer_in(_outside_strings(raw))


def _big_integer_in(text: bytes) -> bool:
    for integer in _LONG_INTEGER.finditer(text):
        digits = integer[1]
        if len(digits) > len(_MAX_INTEGER) or digits > _MAX_INTEGER:
            return True
    return False


def _misshapen(value: Any, written: bytes, limits: Limits) -> bool:
    """Whether the value is nested too deep or has too long an array."""
    if len(written) <= limits.elements or written.count(b",") < limits.elements:
        opened = written.count(b"{") + written.count(b"[")
        if opened <= limits.depth:
            return False
        # an object that follows another in an array is no deeper than that one
        if opened - written.count(b"},{") - written.count(b"],[") <= limits.depth:
            return False
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(limits.depth):
        if any(len(each) > limits.elements for each in level if type(each) is list):
            return True
        level = [
            inner
            for each in level
            for inner in (each.values() if type(each) is dict else each)
            if type(inner) is dict or type(inner) is list
        ]
        if not level:
            return False
    return True


def _outside_strings(raw: bytes) -> bytes:
    """What is left of a JSON text without its strings and their quotes. Of a text that is no JSON: something. Extra
    memory: the result and a few megabytes."""
    if len(raw) <= _BLOCK:
        return b"".join(_without_escapes(raw).split(b'"')[::2])
    outside, inside, start = bytearray(), 0, 0
    while start < len(raw):
        end = start + _BLOCK
        if raw[end - 1 : end] == b"\\" and (run := _BACKSLASHES.match(raw, end)):
            end = run.end() + 1  # what the last backslash escapes stays with it
        parts = _without_escapes(raw[start:end]).split(b'"')
        outside += b"".join(parts[inside::2])
        inside = (inside + len(parts) - 1) % 2
        start = end
    return bytes(outside)


def _without_escapes(text: bytes) -> bytes:
    """The text without escaped quotes and backslashes, so that every quote left begins or ends a string."""
    return text.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in text else text


def _after_bom(came_at: Callable[[int], int] | None) -> Callable[[int], int]:
    return lambda place: came_at(place + len(BOM)) if came_at else place + len(BOM)
