"""A mail as text: addresses that are some, headers that stay one line each.

Not here: when a mail is sent and how it gets to a server (``send_email.py``, ``smtp_delivery.py``).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, formataddr
from typing import Any

from vcon_platform.processors.email_attachments import File


def checked_address(value: str) -> str:
    """``name@host`` or ``Name <name@host>``, as it goes into a header. Raises ValueError saying what is wrong; whether
    anybody lives there is not asked."""
    from email_validator import EmailNotValidError, validate_email

    try:
        found = validate_email(value.strip(), check_deliverability=False, allow_display_name=True, allow_smtputf8=False)
    except EmailNotValidError as error:
        raise ValueError(f"is no mail address: {error}") from None
    return formataddr((found.display_name or "", found.ascii_email or found.normalized))


def bare_address(value: str) -> str:
    """The address without a display name, as the envelope has it."""
    from email.utils import parseaddr

    return parseaddr(value)[1]


def one_line(text: str) -> str:
    """The text without line breaks and control characters: what a conversation says must not begin a header."""
    return " ".join("".join(" " if unicodedata.category(c) in ("Cc", "Cs") else c for c in text).split())


def message(mail: Mapping[str, Any], key: str, files: Sequence[File] = ()) -> EmailMessage:
    """The mail of an effect, with what it brings along. Its Message-ID is made of the effect's key, so that it is the
    same at every try and mail programs show one that came twice as one."""
    built = EmailMessage(policy=SMTP.clone(cte_type="7bit"))  # fit for servers without 8BITMIME
    built["From"] = mail["from_address"]
    for header, member in (("To", "to"), ("Cc", "cc")):  # bcc is in the envelope only
        if mail[member]:
            built[header] = ", ".join(mail[member])
    built["Subject"] = one_line(mail["subject"])
    built["Date"] = format_datetime(datetime.now(UTC))
    built["Message-ID"] = f"<{key}@{bare_address(mail['from_address']).rpartition('@')[2]}>"
    built["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence note answers
    body = mail["text_body"].encode("utf-8", "replace").decode().replace("\0", "")
    built.set_content(body if body.endswith("\n") else body + "\n")
    for file in files:
        main, _, sub = file.kind.partition("/")
        params = {"charset": "utf-8"} if main == "text" else None
        built.add_attachment(file.content, maintype=main, subtype=sub, filename=file.name, params=params)
    return built


def recipients(mail: Mapping[str, Any]) -> list[str]:
    """Everybody the envelope names, each once."""
    return list(dict.fromkeys(bare_address(value) for member in ("to", "cc", "bcc") for value in mail[member]))
