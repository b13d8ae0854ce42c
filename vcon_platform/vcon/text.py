"""The text of a text dialog: chat messages, SMS, e-mails.

Belongs here: getting words out of plain text, HTML and e-mail bodies. Not here: taking a MIME body apart
(``mime.py``), transcripts (``transcripts.py``), or attachments that were sent along (they are attachments of the
vCon).
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

import orjson

from vcon_platform.vcon.media import BodyError, decode_base64url
from vcon_platform.vcon.mime import decode_text, text_parts

_UNSEEN = re.compile(r"</(script|style|title|template|noscript)", re.IGNORECASE)
_TAG = re.compile(r"/?([a-z][a-z0-9]*)", re.IGNORECASE)
_ATTRIBUTES = re.compile(r"""(?:[^>"']|"[^"]*"|'[^']*')*+>""")  # possessive: never tried a second way
_BREAKS = frozenset("br p div li ul ol tr table h1 h2 h3 h4 h5 h6 blockquote pre section article hr".split())  # noqa: SIM905
_LONGEST_TYPE = 1_024


def html_text(page: str) -> str:
    """The visible text of a piece of HTML, one line per block; malformed HTML gives what can be seen of it. Time is
    linear in its length, which the standard library's parser does not promise."""
    lines = (" ".join(_unescaped(line).split()) for line in "".join(_visible(" ".join(page.splitlines()))).split("\n"))
    return "\n".join(line for line in lines if line)


def _visible(page: str) -> list[str]:
    """Text between tags, with a newline where a block begins. Whatever is begun and never ended hides the rest, as
    in a browser; only a quote that is never closed is taken for a letter."""
    parts: list[str] = []
    quotes = True
    place = 0
    while (begin := page.find("<", place)) >= 0:
        parts.append(page[place:begin])
        if page.startswith("<!--", begin):
            end = page.find("-->", begin + 4)
            place = len(page) if end < 0 else end + 3
            continue
        tag = _TAG.match(page, begin + 1)
        if tag is None and page[begin + 1 : begin + 2] not in ("!", "?", "/"):
            parts.append("<")  # a lone one is text: 3 < 4
            place = begin + 1
            continue
        closed = _ATTRIBUTES.match(page, begin + 1) if quotes else None
        if closed is None:
            quotes = False
            end = page.find(">", begin)
            place = len(page) if end < 0 else end + 1
        else:
            place = closed.end()
        name = tag[1].lower() if tag else ""
        if name in _BREAKS:
            parts.append("\n")
        elif tag and page[begin + 1] != "/" and _UNSEEN.fullmatch(f"</{name}"):
            place = _end_of(page, name, place)
    parts.append(page[place:])
    return parts


def _end_of(page: str, name: str, place: int) -> int:
    """Where the element that begins at ``place`` ends."""
    for end in _UNSEEN.finditer(page, place):
        if end[1].lower() == name:
            return end.start()
    return len(page)


def _unescaped(line: str) -> str:
    try:
        return html.unescape(line)
    except ValueError:  # a character number of thousands of digits
        return line


def message_text(dialog: Mapping[str, Any]) -> str:
    """What a text dialog says. Empty for other dialogs, for one without a body, and for a body that is not text.
    Of an e-mail the plain part, else its HTML part; never what was attached to it."""
    if dialog.get("type") != "text":
        return ""
    mediatype = dialog.get("mediatype", dialog.get("mimetype"))
    if mediatype == "text/plain" and dialog.get("encoding") == "none":  # what a chat's messages are: no detour
        plain = dialog.get("body")
        return plain.strip() if isinstance(plain, str) else ""
    body = _body(dialog)
    mediatype = mediatype if isinstance(mediatype, str) else "text/plain"
    kind = mediatype.partition(";")[0].strip().lower()
    if not body or len(mediatype) > _LONGEST_TYPE:
        return ""
    if kind.startswith("multipart/") or kind == "message/rfc822":
        return _message(mediatype, body)
    if isinstance(body, bytes):
        body = decode_text(body, _charset(mediatype))
    if kind in ("text/html", "application/xhtml+xml"):
        return html_text(body)
    return body.strip() if kind.startswith("text/") or "/" not in kind else ""


def _body(dialog: Mapping[str, Any]) -> str | bytes:
    body, encoding = dialog.get("body"), dialog.get("encoding")
    if not isinstance(body, str):
        return ""
    if encoding in ("base64url", "base64"):
        try:
            return decode_base64url(body)
        except BodyError:
            return ""
    if encoding == "json" and body.startswith('"'):  # until draft -02 a JSON body was a string of JSON
        try:
            value = orjson.loads(body)
        except (orjson.JSONDecodeError, UnicodeEncodeError):
            return body
        return value if isinstance(value, str) else body
    return body


def _charset(mediatype: str) -> str | None:
    found = re.search(r"""charset\s*=\s*["']?([\w.:-]{1,40})""", mediatype, re.IGNORECASE)
    return found[1] if found else None


def _message(mediatype: str, body: str | bytes) -> str:
    """The plain part of an e-mail, else the text of its HTML part."""
    parts = [part for part in text_parts(mediatype, body) if not part.attached]
    for wanted in ("text/plain", "text/html"):
        for part in parts:
            if part.mediatype == wanted:
                text = html_text(part.text) if wanted == "text/html" else part.text.strip()
                if text:
                    return text
    return ""
