"""Why a JSON text is refused, and where: the exact second reading behind ``strict_json.py``.

Belongs here: the grammar, token by token, with the caps, and the faults' words. Not here: deciding what is read twice
(``strict_json.py``: only what is refused or looks as if it might be), anything about vCons.

Linear and without recursion: every byte is matched once, an integer is measured by its digits and never computed, and
the reading ends at the first fault. Messages name a byte and a member, never a value.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import NoReturn

import orjson

from vcon_platform.vcon.faults import Fault
from vcon_platform.vcon.limits import Limits

MAX_INTEGER = 2**53 - 1
"""The largest integer that every JSON reader holds exactly (RFC 8259 section 6)."""

LONGEST_NAME = 64
LONGEST_POINTER = 256

_BLOCK = 1 << 20
_MAX_DIGITS = str(MAX_INTEGER).encode()
_DOUBLE_DIGITS = 309  # an integer of more digits is beyond any double
_SPACES = rb"[ \t\n\r]*+"
_BEGUN = (  # a string without the quote that ends it; surrogates only in pairs
    rb'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u(?:[0-9a-cA-CefEF][0-9a-fA-F]{3}|[dD][0-7][0-9a-fA-F]{2}'
    rb"|[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})))*+"
)
_NUMBER = rb"-?(0|[1-9][0-9]*+)((?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+)"
_SPACE = re.compile(_SPACES)
_STRING = re.compile(_BEGUN + rb'"' + _SPACES)
_BEGINNING = re.compile(_BEGUN)
_MEMBER = re.compile(rb"(" + _BEGUN + rb'")' + _SPACES + rb":" + _SPACES)
_SCALAR = re.compile(rb"(?:" + _BEGUN + rb'"|' + _NUMBER + rb"|true|false|null)" + _SPACES)
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F][0-9a-fA-F]{2}")


def find(raw: bytes, limits: Limits, came_at: Callable[[int], int] | None = None) -> Fault | None:
    """The first fault of a JSON text (no byte order mark before it), None if it has none. ``came_at`` translates a
    place in ``raw`` for the message."""
    reader = _Reader(raw, limits, came_at)
    try:
        reader.read()
    except _Found as found:
        return found.fault
    return None


def unexplained() -> Fault:
    """The fault of a text that only the parser refuses."""
    return Fault("malformed_json", "", "the parser refuses this JSON; write it again with another library", 400)


class _Found(Exception):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault


class _Reader:
    """One reading. ``names``: the member or index that is being read of each open object and array."""

    def __init__(self, raw: bytes, limits: Limits, came_at: Callable[[int], int] | None) -> None:
        self.raw, self.limits, self.came_at = raw, limits, came_at
        self.names: list[bytes | int] = []
        self.keys: list[set[bytes] | None] = []  # of each open object; None for an array
        self.members = self.values = 0
        self.not_utf8 = _first_not_utf8(raw)

    def read(self) -> None:
        """Read it all; raises :class:`_Found`. Between the steps ``place`` is never on white space."""
        raw, keys = self.raw, self.keys
        place = self._skip(0)
        if place == len(raw):
            self._fault("empty_body", place, "nothing was sent; send one JSON object", places=False)
        while True:
            place = self._value(place)
            while keys:  # after a value: on to the next, or out of what ends here
                following, in_array = raw[place : place + 1], keys[-1] is None
                if following == b",":
                    self._count(place)
                    place = self._skip(place + 1)
                    place = self._element(place) if in_array else self._member(place)
                    break
                if following != (b"]" if in_array else b"}"):
                    self._unexpected(place, "a comma or the end of the " + ("array" if in_array else "object"))
                place = self._close(place)
            else:
                break
        if place < len(raw):
            self._fault("trailing_data", place, "more follows the document{at}; send one document at a time")
        if self.not_utf8 is not None:
            self._not_utf8()

    def _value(self, place: int) -> int:
        """The place after a value, if it has none inside, or after the first that has none of those inside."""
        while True:
            scalar = _SCALAR.match(self.raw, place)
            if scalar is not None:
                if self.not_utf8 is not None and self.not_utf8 < scalar.end():
                    self._not_utf8()
                if scalar.start(1) >= 0:
                    self._number(scalar, place)
                return scalar.end()
            first = self.raw[place : place + 1]
            if first == b"{":
                self._open(place, set())
                place = self._skip(place + 1)
                if self.raw[place : place + 1] == b"}":
                    return self._close(place)
                place = self._member(place)
            elif first == b"[":
                self._open(place, None)
                place = self._skip(place + 1)
                if self.raw[place : place + 1] == b"]":
                    return self._close(place)
                place = self._element(place)
            elif first == b'"':
                self._bad_string(place)
            else:
                self._unexpected(place, "a value")

    def _open(self, place: int, keys: set[bytes] | None) -> None:
        self._count(place)
        if len(self.names) >= self.limits.depth:
            most = self.limits.depth
            self._fault("too_deep", place, f"nested more than {most} deep{{at}}; flatten it or send it as a string")
        self.names.append(-1 if keys is None else b"")
        self.keys.append(keys)

    def _close(self, place: int) -> int:
        self.names.pop()
        self.keys.pop()
        return self._skip(place + 1)

    def _element(self, place: int) -> int:
        """The place of an array's next element, which is ``place``."""
        index, most = self.names[-1], self.limits.elements
        if isinstance(index, int):
            self.names[-1] = index = index + 1
            if index >= most:
                self.names.pop()
                self._fault("too_many_elements", place, f"an array of more than {most} elements; split it", 413)
        return place

    def _member(self, place: int) -> int:
        """The place of the value of an object's next member."""
        member = _MEMBER.match(self.raw, place)
        if member is None:
            self._bad_member(place)
        if self.not_utf8 is not None and self.not_utf8 < member.end():
            self._not_utf8()
        name = member[1]
        if b"\\" in name:
            text: str = orjson.loads(name)
            name = b'"' + text.encode() + b'"'
        self.names[-1] = name
        keys = self.keys[-1]
        if keys is not None:
            if name in keys:
                self._fault("duplicate_key", place, "this member stands twice in its object{at}; keep one of them")
            keys.add(name)
        self.members += 1
        if self.members > self.limits.members:
            self.names.clear()
            most = self.limits.members
            self._fault("too_many_members", place, f"more than {most} members in the document; split it", 413)
        return member.end()

    def _bad_member(self, place: int) -> NoReturn:
        self.names.pop()
        if self.raw[place : place + 1] != b'"':
            self._unexpected(place, "a member's name in double quotes")
        string = _STRING.match(self.raw, place)
        if string is None:
            self._bad_string(place)
        self._unexpected(string.end(), "a colon")

    def _bad_string(self, place: int) -> NoReturn:
        beginning = _BEGINNING.match(self.raw, place)
        end = beginning.end() if beginning else place
        if self.not_utf8 is not None and self.not_utf8 < end:
            self._not_utf8()
        if end >= len(self.raw):
            self._malformed(place, "a string that begins{at} does not end; the document may be cut off")
        if self.raw[end] < 0x20:
            self._malformed(end, "a control character in a string{at}; write it as \\u00XX")
        if _SURROGATE.match(self.raw, end):
            self._malformed(end, "half a surrogate pair in a string{at}; write both halves or neither")
        self._malformed(end, "a backslash in a string{at} escapes nothing that JSON knows; write it twice")

    def _number(self, number: re.Match[bytes], place: int) -> None:
        digits = number.end(1) - number.start(1)
        if number.end(2) > number.start(2):
            if _is_infinite(self.raw[place : number.end(2)]):
                message = "a number{at} beyond what a double holds; write it as a string"
                self._fault("number_out_of_range", place, message)
        elif digits >= len(_MAX_DIGITS):
            if digits > _DOUBLE_DIGITS or (digits == _DOUBLE_DIGITS and _is_infinite(number[1])):
                self._malformed(place, f"an integer of {digits} digits{{at}}; write it as a string")
            if digits > len(_MAX_DIGITS) or number[1] > _MAX_DIGITS:
                message = "an integer{at} beyond 2^53-1, which other readers would round; write it as a string"
                self._fault("big_integer", place, message, 422)

    def _count(self, place: int) -> None:
        """One more value, empty arrays and objects counting twice: all that memory has to hold."""
        self.values += 1
        most = self.limits.members + self.limits.elements
        if self.values > most:
            self.names.clear()
            self._fault("too_many_elements", place, f"more than {most} values in the document; split it", 413)

    def _skip(self, place: int) -> int:
        space = _SPACE.match(self.raw, place)
        return space.end() if space else place

    def _unexpected(self, place: int, expected: str) -> NoReturn:
        if place >= len(self.raw):
            self._malformed(place, f"the document ends{{at}} where {expected} should follow; it may be cut off")
        if self.raw[:4].count(0) or self.raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            self._malformed(place, "this is not UTF-8 but looks like UTF-16 or UTF-32; send UTF-8", places=False)
        if self.not_utf8 is not None and self.not_utf8 <= place:
            self._not_utf8()
        self._malformed(place, f"no JSON{{at}}, where {expected} should stand; write it with a JSON library")

    def _not_utf8(self) -> NoReturn:
        self._malformed(self.not_utf8 or 0, "the bytes{at} are not UTF-8; write the document as UTF-8")

    def _malformed(self, place: int, message: str, *, places: bool = True) -> NoReturn:
        self._fault("malformed_json", place, message, places=places)

    def _fault(self, code: str, place: int, message: str, status: int = 400, *, places: bool = True) -> NoReturn:
        at = ""
        if places:
            line = self.raw.count(b"\n", 0, place) + 1
            at = f" at byte {self.came_at(place) if self.came_at else place} (line {line})"
        raise _Found(Fault(code, _pointer(self.names), message.replace("{at}", at), status))


def _is_infinite(number: bytes) -> bool:
    return abs(float(number)) == float("inf")


def _pointer(names: list[bytes | int]) -> str:
    """RFC 6901, of bounded length and fit to be printed."""
    pointer = "".join(f"/{_shown(name)}" for name in names[:LONGEST_POINTER])
    return pointer if len(pointer) <= LONGEST_POINTER else pointer[: LONGEST_POINTER - 1] + "…"


def _shown(name: bytes | int) -> str:
    if isinstance(name, int):
        return str(name)
    text = name[1:-1][: 4 * LONGEST_NAME + 4].decode("utf-8", "replace")  # without its quotes
    if len(text) > LONGEST_NAME:
        text = text[: LONGEST_NAME - 1] + "…"
    text = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text)
    return text.replace("~", "~0").replace("/", "~1")


def _first_not_utf8(raw: bytes) -> int | None:
    """The place of the first byte that is not UTF-8; decoded in blocks, for memory."""
    place = 0
    while place < len(raw):
        end = place + _BLOCK
        try:
            place += codecs.utf_8_decode(raw[place:end], "strict", end >= len(raw))[1]
        except UnicodeDecodeError as error:
            return place + error.start
    return None
