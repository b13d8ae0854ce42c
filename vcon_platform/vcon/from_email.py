"""A vCon of an e-mail as mail programs save it (RFC 5322).

Belongs here: which header becomes what (vcon_format.md, e-mail: one message is one text dialog, its parties are From,
To, Cc and Bcc, its body the raw MIME body). Not here: reading such a body (``mime.py``, ``text.py``), sending mail.

Attachments stay where they are, in the MIME body. The uuid follows from the Message-ID, so that one message makes one
vCon however often it is made.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from datetime import tzinfo
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.utils import getaddresses, parsedate_to_datetime
from typing import Any

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.dates import written
from vcon_platform.vcon.media import encode_base64url
from vcon_platform.vcon.uuids import derived_uuid

_BLANK_LINE = re.compile(rb"\r?\n[ \t]*\r?\n")
_PEOPLE = ("from", "to", "cc", "bcc")


class NoEmail(PlatformError):
    """What was given is no e-mail that a vCon can be made of."""


def vcon_of_email(content: bytes, zone: tzinfo) -> dict[str, Any]:
    """The vCon of a message. ``zone``: of a date that names none. Raises :class:`NoEmail` where there is no sender or
    no date: nothing is invented."""
    message = BytesParser().parsebytes(content, headersonly=True)
    parties = _parties(message)
    if not _addresses(message, "from"):
        raise NoEmail("the message names no sender: is it an e-mail as a mail program saves it (.eml)?")
    try:
        sent = parsedate_to_datetime(_text(message, "date"))
    except (ValueError, OverflowError):
        raise NoEmail("the message has no date that can be read (header Date)") from None
    if sent.tzinfo is None:
        sent = sent.replace(tzinfo=zone)
    message_id = _text(message, "message-id")
    dialog: dict[str, Any] = {"type": "text", "start": written(sent), "parties": list(range(len(parties)))}
    dialog |= {"originator": 0, **_body(message, content)}
    data: dict[str, Any] = {
        "vcon": "0.4.0",
        "uuid": derived_uuid(sent, "email", message_id or hashlib.sha256(content).hexdigest()),
        "created_at": written(sent),
        "parties": parties,
        "dialog": [dialog],
    }
    if message_id:
        dialog["message_id"] = message_id
    if subject := _text(message, "subject"):
        data["subject"] = subject
    return data


def _parties(message: Message) -> list[dict[str, Any]]:
    """Everybody once, the sender first."""
    found: dict[str, dict[str, Any]] = {}
    for header in _PEOPLE:
        for name, address in _addresses(message, header):
            found.setdefault(address.lower(), {"mailto": address, **({"name": name} if name else {})})
    return list(found.values())


def _addresses(message: Message, header: str) -> list[tuple[str, str]]:
    values = [str(value) for value in message.get_all(header, [])]
    return [(_decoded(name), address) for name, address in getaddresses(values) if "@" in address]


def _text(message: Message, header: str) -> str:
    return _decoded(str(message.get(header, "")))


def _decoded(value: str) -> str:
    """A header as people read it, on one line. Bytes of no charset are no text."""
    with suppress(LookupError, ValueError, MessageError):  # a charset that nobody knows, or bytes that are none of it
        value = str(make_header(decode_header(value)))
    return " ".join(value.encode("utf-8", "replace").decode().split())


def _body(message: Message, content: bytes) -> dict[str, Any]:
    kind = message.get_content_type()
    if kind.startswith("multipart/"):
        blank = _BLANK_LINE.search(content)
        raw = content[blank.end() :] if blank else b""
        boundary = message.get_boundary()
        return {"mediatype": f'{kind}; boundary="{boundary}"' if boundary else kind, **_encoded(raw)}
    raw = _payload(message)
    if not kind.startswith("text/"):
        return {"mediatype": kind, "body": encode_base64url(raw), "encoding": "base64url"}
    try:
        text = raw.decode(str(message.get_param("charset", "utf-8")))
    except (LookupError, ValueError):  # no such charset, or bytes that are none of it
        text = raw.decode("utf-8", "replace")
    return {"mediatype": kind, "body": text, "encoding": "none"}


def _payload(message: Message) -> bytes:
    payload = message.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _encoded(raw: bytes) -> dict[str, str]:
    try:
        return {"body": raw.decode(), "encoding": "none"}
    except UnicodeDecodeError:
        return {"body": encode_base64url(raw), "encoding": "base64url"}
