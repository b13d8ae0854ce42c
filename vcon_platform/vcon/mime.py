"""The parts of a MIME body, as e-mail dialogs carry it (draft -03: the raw body, its boundary in ``mediatype``).

Belongs here: finding the parts and decoding them to text. Not here: which part is the message (``text.py``).

Why not the standard library's message parser: on nested boundaries its time is quadratic and its depth unbounded,
and of a body that is text already it loses every letter outside Latin-1. Only the headers of a part are read by it.
"""

from __future__ import annotations

import binascii
import codecs
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser
from itertools import islice

DEPTH = 8
"""Nested multiparts that are opened. Real e-mail has three or four."""

PARTS = 500
"""Parts of one message that are read."""

_HEADER = 65_536
_FIELD = 2_000  # below what int() refuses: parameters may be numbered (RFC 2231)
_CONTENT = re.compile(r"^content-(?:type|disposition|transfer-encoding):.*(?:\r?\n[ \t].*)*", re.I | re.M)
_BLANK_LINE = re.compile(r"\r?\n[ \t]*\r?\n")
_CHARSETS = (
    "utf-8",
    "utf-16",
    "ascii",
    "iso8859",
    "iso2022",
    "cp",
    "koi8",
    "gb",
    "big5",
    "shift",
    "euc",
    "hz",
    "mac",
    "tis",
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part that is text: its media type, whether it was sent as an attachment, what it says."""

    mediatype: str
    attached: bool
    text: str


def text_parts(mediatype: str, body: str | bytes) -> list[Part]:
    """The text parts of a body with this media type, in their order. Never raises; time is linear in its size."""
    raw = isinstance(body, bytes)
    text = body.decode("latin-1") if isinstance(body, bytes) else body  # one character per byte, until a part decodes
    header = _header(f"Content-Type: {' '.join(mediatype.split())}")
    return list(islice(_parts(header, text, raw, 0), PARTS))


def decode_text(data: bytes, charset: str | None) -> str:
    """Bytes as text in the charset they are said to be in, else UTF-8; what does not fit becomes U+FFFD."""
    try:
        name = codecs.lookup(charset or "utf-8").name
    except (LookupError, ValueError):
        name = "utf-8"
    return data.decode(name if name.startswith(_CHARSETS) else "utf-8", "replace")


def _header(text: str) -> Message:
    return HeaderParser().parsestr("\n".join(field[0][:_FIELD] for field in _CONTENT.finditer(text, 0, _HEADER)))


def _parts(header: Message, text: str, raw: bool, depth: int) -> Iterator[Part]:
    kind = header.get_content_maintype()
    if kind == "multipart":
        boundary = header.get_boundary()
        if boundary and depth < DEPTH:
            for entity in islice(_split(text, f"--{boundary}"), PARTS):
                yield from _entity(entity, raw, depth + 1)
    elif header.get_content_type() == "message/rfc822":
        if depth < DEPTH:
            yield from _entity(text, raw, depth + 1)
    elif kind == "text":
        attached = header.get_content_disposition() == "attachment"
        yield Part(header.get_content_type(), attached, _decoded(header, text, raw))


def _entity(text: str, raw: bool, depth: int) -> Iterator[Part]:
    """A part as it stands between two boundaries: headers, a blank line, content."""
    if text.startswith(("\n", "\r\n")):  # no headers at all: plain text (RFC 2046 section 5.1)
        yield from _parts(_header(""), text.lstrip("\r\n"), raw, depth)
        return
    blank = _BLANK_LINE.search(text)
    head, content = (text[: blank.start()], text[blank.end() :]) if blank else (text, "")
    yield from _parts(_header(head), content, raw, depth)


def _split(text: str, delimiter: str) -> Iterator[str]:
    """What stands between the lines that are this delimiter."""
    begin = None
    place = 0 if text.startswith(delimiter) else text.find(f"\n{delimiter}") + 1 or -1
    while place >= 0:
        line = text.find("\n", place)
        line_end = len(text) if line < 0 else line
        rest = text[place + len(delimiter) : min(line_end, place + len(delimiter) + 100)].strip()
        if rest in ("", "--"):
            if begin is not None:
                yield text[begin : place - 1].removesuffix("\r") if place > begin else ""
            if rest == "--":
                return
            begin = min(line_end + 1, len(text))
        place = text.find(f"\n{delimiter}", line_end) + 1 or -1
    if begin is not None:  # broken off: the last part has no end
        yield text[begin:]


def _decoded(header: Message, text: str, raw: bool) -> str:
    encoding = str(header.get("content-transfer-encoding", "")).strip().lower()
    charset = header.get_content_charset()
    if encoding == "quoted-printable":
        return decode_text(quopri.decodestring(text.encode("utf-8", "replace")), charset)
    if encoding == "base64":
        try:
            return decode_text(binascii.a2b_base64(text.encode("ascii", "ignore")), charset)
        except binascii.Error:
            return ""
    return decode_text(text.encode("latin-1"), charset) if raw else text
