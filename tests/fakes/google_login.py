"""Google's login as far as a service account goes: a key that only the tests know."""

from __future__ import annotations

import json
from functools import cache

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa


@cache
def private_key() -> str:
    """A key that this process made; making one takes a while."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


def service_account(address: str, key_id: str = "key") -> str:
    """The key of a service account whose login is at ``address``/token."""
    return json.dumps(
        {
            "type": "service_account",
            "client_email": "lander@example.iam.gserviceaccount.com",
            "private_key_id": key_id,
            "private_key": private_key(),
            "token_uri": f"{address}/token",
        }
    )
