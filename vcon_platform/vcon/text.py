"""The text of a text dialog: chat messages, SMS, e-mails.

Belongs here: getting words out of plain text, HTML and MIME parts. Not here: transcripts (``transcripts.py``), or
attachments that were sent along (they are attachments of the vCon).
"""

from __future__ import annotations

from collections.abc import Mapping
from email import message_from_string
from email.message import Message
from html.parser import HTMLParser
from typing import Any

from vcon_platform.vcon.media import BodyError, decode_base64url

_SILENT = ("script", "style", "head", "title")
_BREAKS = ("br", "p", "div", "li", "tr", "h1", "h2", "h3", "blockquote")


class _Words(HTMLParser):
    """Collects what a reader of the page would see."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 (the base's name)
        if tag in _SILENT:
            self._silent += 1
        elif tag in _BREAKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)


def html_text(html: str) -> str:
    """The visible text of a piece of HTML, one line per block; malformed HTML gives what can be seen of it."""
    words = _Words()
    words.feed(html)
    words.close()
    lines = (" ".join(line.split()) for line in "".join(words.parts).splitlines())
    return "\n".join(line for line in lines if line)


def message_text(dialog: Mapping[str, Any]) -> str:
    """What a text dialog says. Empty for other dialogs, for one without a body, and for a body that is not text."""
    body = dialog.get("body")
    if dialog.get("type") != "text" or not isinstance(body, str):
        return ""
    if dialog.get("encoding") == "base64url":
        try:
            body = decode_base64url(body).decode("utf-8", "replace")
        except BodyError:
            return ""
    mediatype = dialog.get("mediatype", dialog.get("mimetype"))
    mediatype = " ".join(mediatype.split()) if isinstance(mediatype, str) else "text/plain"
    kind = mediatype.partition(";")[0].strip().lower()
    if kind.startswith("multipart/"):
        return _first_text(message_from_string(f"Content-Type: {mediatype}\n\n{body}"))
    if kind in ("text/html", "application/xhtml+xml"):
        return html_text(body)
    return body.strip() if kind.startswith("text/") or "/" not in kind else ""


def _first_text(message: Message) -> str:
    """The plain part of an e-mail, else the text of its HTML part."""
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    for wanted in ("plain", "html"):
        for part in parts:
            if part.get_content_subtype() == wanted and part.get_content_disposition() != "attachment":
                raw = part.get_payload(decode=True)
                text = raw.decode("utf-8", "replace") if isinstance(raw, bytes) else ""
                if text.strip():
                    return html_text(text) if wanted == "html" else text.strip()
    return ""
