"""Headers that a definition or a declaration adds to what is posted: which it may name, and no secret among them.

Belongs here: what a header may be. Not here: what else is sent (``outgoing.py`` and who calls it).
"""

from __future__ import annotations

import re
from collections.abc import Callable

HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,4000}")
"""What may stand in a header: one line of ASCII."""
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_SECRET = re.compile(r"auth(?!ors?$)|cookie|token|secret|password|(^|[-_])(api-?)?key$", re.IGNORECASE)
_OURS = frozenset(
    {
        *("host", "content-length", "transfer-encoding", "connection", "accept-encoding", "user-agent"),
        *("idempotency-key", "webhook-id", "webhook-timestamp", "webhook-signature"),
    }
)


def check_headers(value: dict[str, str], reference: Callable[[str], str], variable: str) -> dict[str, str]:
    """The headers, if these may be sent; a value may be a reference, which ``reference`` checks, and one that looks
    like a secret must be one (``variable`` says which). Raises ValueError."""
    for name, text in value.items():
        if not _TOKEN.fullmatch(name):
            raise ValueError(f"{name[:40]!r} is no name of a header")
        if name.lower() in _OURS:
            raise ValueError(f"may not hold {name!r}: it is set here")
        if text.startswith("env:"):
            reference(text)
        elif _SECRET.search(name):  # the value is not repeated
            raise ValueError(f"{name!r} holds a secret: write env:NAME and set the variable NAME ({variable})")
        elif not HEADER_VALUE.fullmatch(text):
            raise ValueError(f"the value of {name!r} must be one line of ASCII")
    return value
