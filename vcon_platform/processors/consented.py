"""Asking whether a conversation may be used for a purpose: the engine before a step, the processor ``consent_gate``.

Belongs here: which records are looked at, and whose data it is. Not here: what records say and what follows from it
(``vcon/consent_records.py``, ``vcon/consent.py``).

A copy (amended, redacted) is of the same conversation: what was said about its original holds for it too, as long as
the original is at hand. A redacted copy carries no records of its own, since it is made from an allow-list, and its
parties may be nothing but places; so whose data it is, is asked of the original.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import Any

from vcon_platform.processors.base import ProcessorIO
from vcon_platform.vcon.consent import Decision, Whose, decide, people
from vcon_platform.vcon.consent_records import Statement, read_statements
from vcon_platform.vcon.document import Vcon


def decisions(
    io: ProcessorIO, index: int, purposes: Iterable[str], *, whose: Whose = "everyone", met: Collection[str] = ()
) -> list[Decision]:
    """The decision on each purpose, now, for the vCon at ``index``. ``met``: conditions that this installation meets.
    Raises what reading a record raises for a passing reason (``error.transient``)."""
    family = list(_with_originals(io.vcons, index))
    statements: list[Statement] = []
    for vcon in family:
        statements += read_statements(vcon.data, io.context.media.body)
    asked, now = people(family[-1].data, whose), time.time()
    return [decide(statements, purpose, asked, now=now, met=met) for purpose in purposes]


def _with_originals(vcons: list[Vcon], index: int) -> Iterable[Vcon]:
    """The vCon and, as far as they are at hand, what it was made from; each once."""
    here = {vcon.uuid: vcon for vcon in vcons}
    vcon: Vcon | None = vcons[index]
    while vcon is not None:
        yield vcon
        here.pop(vcon.uuid, None)
        vcon = here.get(_original(vcon.data))


def _original(data: dict[str, Any]) -> str:
    for member in ("redacted", "amended"):
        reference = data.get(member)
        if isinstance(reference, dict) and isinstance(reference.get("uuid"), str):
            return str(reference["uuid"])
    return ""
