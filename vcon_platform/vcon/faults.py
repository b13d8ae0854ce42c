"""How the gates answer: a :class:`Fault` is why a document is refused, a :class:`Finding` what is told of a kept one.

Belongs here: the three shapes that every gate shares. Not here: the rules themselves (``strict_json.py``,
``gates.py``, ``migrate.py``), or HTTP (``api/``), which only copies ``status``.

Both carry a stable code, a JSON pointer (RFC 6901) and a sentence that says what to do. None ever carries a value of
the document: they are shown in logs, in the ledger and to people who may not read the conversation.
"""

from __future__ import annotations

from dataclasses import dataclass

from vcon_platform.errors import PlatformError

SHOWN = 5
"""Faults that an error's text spells out; ``faults`` holds them all."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a document is refused. ``status`` is the HTTP answer that fits (reference: vCon ingress answers)."""

    code: str
    pointer: str
    message: str
    status: int = 422


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a reader should know of a document that is kept. ``strict``: a strict source refuses it for this."""

    code: str
    pointer: str
    message: str
    strict: bool = True


class Rejected(PlatformError):
    """A document that is not taken in. ``faults`` has at least one; the first decides ``code`` and ``status``."""

    def __init__(self, *faults: Fault) -> None:
        self.faults = faults
        shown = "; ".join(f"{fault.pointer or '/'}: {fault.message} [{fault.code}]" for fault in faults[:SHOWN])
        more = len(faults) - SHOWN
        super().__init__(shown + (f"; and {more} more" if more > 0 else ""))

    @property
    def code(self) -> str:
        """The first fault's code."""
        return self.faults[0].code

    @property
    def status(self) -> int:
        """The first fault's HTTP status."""
        return self.faults[0].status
