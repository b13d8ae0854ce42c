"""Removing a vCon: what stands on the store's own removal: the rows it has in projections, and the ledger's event.

Belongs here: that, for whoever removes (the APIs, the command line). Not here: how the store forgets
(``store/removing.py``); reaching what was sent to others, which is erasure.
"""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from vcon_platform.ledger.events import EventForm, EventKind
from vcon_platform.projections.rows import rows_of
from vcon_platform.store.opening import Store
from vcon_platform.store.records import Record
from vcon_platform.store.removing import Remover
from vcon_platform.vcon.document import Vcon


def remove(store: Store, uuid: str, *, by: str, expect: int | None = None) -> int:
    """Remove a vCon; gives the removal's revision. ``by``: whose doing it is, for the ledger (a key's id). Raises what
    :meth:`Remover.remove` does."""
    form = EventForm(EventKind.DELETED)
    return Remover(store.client, store.documents).remove(
        uuid, rows=rows_ever, event=lambda revision: form.event(uuid, revision, by=by), expect=expect
    )


def rows_ever(vcon: Vcon, records: Sequence[Record]) -> set[tuple[str, str]]:
    """(projection, day) of each row that was ever told of this vCon; some may be gone long since."""
    found = {(name, day) for name, day, _ in rows_of(vcon.data)}
    for record in records:
        if record.view is not None:
            found |= {(name, day) for name, day, _ in rows_of(orjson.loads(record.view))}
        attachments = [change.value for change in record.changes]
        found |= {(name, day) for name, day, _ in rows_of({"attachments": attachments})}
    return found
