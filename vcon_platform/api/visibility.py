"""What a caller does not see is not there: a vCon that its key hides is answered as one that does not exist.

Belongs here: looking that up for single vCons. Not here: which vCons a key shows (``access/caller.py``).
"""

from __future__ import annotations

from vcon_platform.access.caller import Caller
from vcon_platform.ingress.answer import UUID_TAKEN, Answer, Outcome
from vcon_platform.store.documents import DocumentStore, Missing
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.tags import tags


def must_see(caller: Caller, documents: DocumentStore, uuid: str, vcon: Vcon | None = None) -> None:
    """Raise :class:`Missing` for a vCon that this caller may not see. ``vcon``: the document, where it was read."""
    if caller.visible.everything:
        return
    found = vcon or documents.read_one(uuid)
    held = [f"{name}:{value}" for name, value in tags(found)]
    if not caller.visible.shows(documents.meta(uuid).get("adapter"), held):
        raise Missing(f"vCon {uuid} is not in the store")


def may_run(caller: Caller, documents: DocumentStore, answer: Answer) -> str:
    """The uuid of a vCon that this caller just brought, to be run. Raises Rejected where these bytes are an earlier
    revision of one that is hidden from them by now."""
    if answer.outcome is Outcome.KNOWN:
        try:
            must_see(caller, documents, answer.uuid)
        except Missing:
            raise Rejected(UUID_TAKEN) from None
    return answer.uuid
