"""Ids of vCons.

Two kinds: fresh ones (RFC 9562 version 7, random bits) and derived ones (version 8), which an adapter makes from
the id the source gave the conversation. A derived id is what makes capturing idempotent: whoever finds the same
call again, however it was found and whatever crashed in between, arrives at the same ``vcon:{uuid}``.

The draft's own version-8 recipe (host name and clock, no randomness) collides between processes and is not used.
"""

from __future__ import annotations

import hashlib
import os
import time
from datetime import datetime


def _assemble(milliseconds: int, version: int, bits: int) -> str:
    value = (milliseconds & (1 << 48) - 1) << 80
    value |= version << 76 | (bits >> 62 & 0xFFF) << 64
    value |= 0b10 << 62 | bits & (1 << 62) - 1
    text = f"{value:032x}"  # str(UUID(int=value)), at a third of the time
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def new_uuid() -> str:
    """A fresh uuid: version 7, 48 bits of milliseconds, 12 of their fraction (RFC 9562 section 6.2, method 3: ids made
    one after the other in a process sort in that order), 62 random bits."""
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    fraction = (nanoseconds << 12) // 1_000_000
    return _assemble(milliseconds, 7, fraction << 62 | int.from_bytes(os.urandom(8)) >> 2)


def derived_uuid(at: datetime, *parts: str) -> str:
    """The uuid that ``parts`` (source kind, source, its id of the conversation) always give: version 8, the
    milliseconds of ``at`` (timezone-aware, the conversation's start), 74 bits of SHA-256 over the parts."""
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    return _assemble(round(at.timestamp() * 1000), 8, int.from_bytes(digest[:10]))
