"""A vCon's new form as its commit says it: the original bytes, what is kept beside them, the ledger's event.

Belongs here: making that of an :class:`~vcon_platform.vcon.document.Envelope`. Not here: giving a vCon another form
(processors, by ``Vcon.reform``), when it is committed (``settling.py``), carrying it between processes
(``enveloped.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vcon_platform.ledger.events import EventForm
from vcon_platform.store.commits import Posted
from vcon_platform.store.media import MediaStore
from vcon_platform.store.originals import kept_original
from vcon_platform.vcon.document import Vcon


@dataclass(frozen=True, slots=True)
class Reformed:
    """What a commit is given for it; nothing of a vCon that kept its form."""

    posted: Posted | None = None
    meta: Mapping[str, str] = field(default_factory=dict)
    events: tuple[bytes, ...] = ()


AS_IT_WAS = Reformed()


def reformed(vcon: Vcon, media: MediaStore, revised: EventForm) -> Reformed:
    """What the commit of this vCon says of the form that it was given. Long members of the bytes are kept as media."""
    envelope = vcon.envelope
    if envelope is None or envelope.kept:
        return AS_IT_WAS
    original, revision = kept_original(envelope.raw, media), vcon.revision + 1
    event = revised.event(vcon.uuid, revision, sha256=original.sha256, form=envelope.meta.get("form", ""))
    meta = {**envelope.meta, f"posted:{original.sha256}": str(revision)}
    return Reformed(Posted(envelope.view, original), meta, (event,))
