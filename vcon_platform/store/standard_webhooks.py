"""The signature of Standard Webhooks, scheme v1, for whoever posts something: processors and destinations.

Receivers have libraries that verify it (https://www.standardwebhooks.com).
"""

from __future__ import annotations

import base64
import hashlib
import hmac


def secret_bytes(text: str) -> bytes:
    """The key that a secret stands for: ``whsec_...`` is base64, anything else is taken as it is. Raises ValueError."""
    if not text.startswith("whsec_"):
        return text.encode()
    return base64.b64decode(text.removeprefix("whsec_"), validate=True)


def signature(key: str, moment: int, content: bytes, secret: bytes) -> str:
    """The header ``webhook-signature`` of a message with this id (``webhook-id``) and time (``webhook-timestamp``)."""
    signed = hmac.new(secret, f"{key}.{moment}.".encode() + content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"
