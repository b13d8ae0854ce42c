"""Scopes: what a caller may do.

Belongs here: their names and which covers which. Not here: who has which (``keys.py``, ``tokens.py``), which route
wants which (the room ``api/``).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys

READ: Final = "read"
INGEST: Final = "ingest"
PROCESS: Final = "process"
OPERATE: Final = "operate"
ERASE: Final = "erase"
ADMIN: Final = "admin"

SCOPES: dict[str, str] = {
    READ: "read and search vCons and all that is known of them",
    INGEST: "post vCons and have them enter any queue; 'ingest:QUEUE' only that queue",
    PROCESS: "run and simulate pipelines and processors",
    OPERATE: "see and change queues, definitions and runs",
    ERASE: "delete and erase",
    ADMIN: "everything, keys included",
}
"""Name to what it allows."""


class ScopeRefused(PlatformError):
    """A text that is no scope."""


def scope(text: str) -> str:
    """The scope of this name. Raises :class:`ScopeRefused`, with the valid choices."""
    name, colon, queue = text.partition(":")
    if name not in SCOPES or (colon and name != INGEST):
        raise ScopeRefused(f"{text!r} is no scope. There are: {', '.join(SCOPES)}, and {INGEST}:QUEUE")
    if colon:
        try:
            keys.queue(queue)
        except keys.NameRefused as error:
            raise ScopeRefused(f"{text!r}: {error}") from None
    return text


def covers(held: Collection[str], wanted: str) -> bool:
    """True if one of the scopes held allows what ``wanted`` does."""
    return ADMIN in held or wanted in held or wanted.partition(":")[0] in held
