"""Landing: make a destination hold, on some days, exactly the rows that the store says exist.

Belongs here: where the rows come from and what is remembered afterwards. Comparing and writing is ``reconcile.py``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from uuid import NAMESPACE_URL, uuid5

from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.projections.destination import Destination
from vcon_platform.projections.errors import RowError
from vcon_platform.projections.model import Projection
from vcon_platform.projections.reconcile import Landed, reconcile
from vcon_platform.projections.rows import PURPOSE, RowSet, rows_from_attachment
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.rows import RowIndex

logger = logging.getLogger(__name__)


def land(
    projection: Projection,
    destination: Destination,
    days: Sequence[str],
    *,
    index: RowIndex,
    documents: DocumentStore,
    record: Callable[[Sequence[LedgerEvent]], object],
    run_id: str,
) -> Landed:
    """Land these days (ISO), ``record`` what was landed, and say what was done. Idempotent.

    The days' counters are read before the rows: a row that changes meanwhile leaves its day behind, and it is landed
    again. Raises what the destination and ``record`` raise; the days stay behind then.
    """
    generations = index.generations(projection.name, days)
    expected = index.rows(projection.name, generations)
    landed = reconcile(projection, destination, days, expected, lambda uuids: _rows(documents, projection, uuids))
    target = f"{destination.kind}:{destination.target(projection)}"
    record(
        [
            *_events(landed.written, EventKind.PROJECTED, projection, target, expected, run_id),
            *_events(landed.deleted, EventKind.UNPROJECTED, projection, target, {}, run_id),
        ]
    )
    index.landed(projection.name, destination.kind, generations)
    return landed


def _rows(documents: DocumentStore, projection: Projection, uuids: Sequence[str]) -> Iterable[RowSet]:
    """The rows that these vCons carry. Of two sets of one projection (two pipelines at once) the later counts."""
    for uuid, bodies in documents.attachment_bodies(uuids, PURPOSE):
        own = [body for body in bodies if isinstance(body, dict) and body.get("projection") == projection.name]
        if own and own[-1].get("hash"):
            try:
                yield rows_from_attachment(uuid, {"body": own[-1]})
            except RowError as error:  # told as missing by reconcile; its neighbours land
                logger.warning("%s", error)


def _events(
    uuids: Sequence[str], kind: EventKind, projection: Projection, target: str, hashes: dict[str, str], run_id: str
) -> Iterator[LedgerEvent]:
    for uuid in uuids:
        # The same row landed by the same run is the same event, however often the landing was begun.
        name = f"{run_id}/{kind}/{target}/{uuid}/{hashes.get(uuid, '')}"
        yield LedgerEvent(
            vcon_uuid=uuid,
            event=kind,
            run_id=run_id,
            detail={"projection": projection.name, "destination": target, "rows": hashes.get(uuid, "")},
            event_id=str(uuid5(NAMESPACE_URL, name)),
        )
