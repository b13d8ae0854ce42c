"""After Redis was lost: which conversations were on their way, and back into their queues with them.

Queues are Redis' alone. What the archive has kept of each vCon is which queues it was to enter; the ledger knows which
further queues it entered later (by a processor, a feed, an operator, for a retry), and where its way has ended. The
difference, but for what waits in Redis or is being worked on, still waits. It is queued as a plain job of its own:
parameters, priority and the time of a retry were Redis' alone. What had been done but not recorded when Redis was lost
is done again: results that cost money are bought again in that case, rows are replaced by equal ones.

This may be broken off, repeated, and called on a Redis that lost nothing. That is why it looks in this order: a job
that is neither waiting nor leased has ended before, so its event is in the outbox at the latest; then the outbox is
brought to the ledger; then the ledger is asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import batched
from typing import TYPE_CHECKING

from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.leases import Queues

if TYPE_CHECKING:
    from redis import Redis

ROUND = 1_000


def requeue_unfinished(uuids: Iterable[str], documents: DocumentStore, client: Redis, ledger: Ledger) -> Counter[str]:
    """Enter these vCons into the queues they were to enter, where they do not wait and in whose pipelines they have not
    ended; how many, by queue. Raises LedgerUnavailable: nothing more is queued then, and it may be called again."""
    queues = Queues(client)
    known = list(uuids)
    meant: dict[str, set[str]] = {}
    for uuid in known:
        for queue in filter(None, documents.meta(uuid).get("queues", "").split(",")):
            meant.setdefault(queue, set()).add(uuid)
    for (uuid, queue), over in _ways(ledger, known).items():
        if not over:
            meant.setdefault(queue, set()).add(uuid)
    missing: dict[str, list[str]] = {}
    for queue, found in meant.items():
        unsettled = queues.unsettled(queue)
        missing[queue] = [uuid for uuid in known if uuid in found and uuid not in unsettled]
    ship_all(client, ledger)
    queued: Counter[str] = Counter()
    for queue, left in missing.items():
        for chunk in batched(left, ROUND):
            ways = ledger.ways(chunk)
            waiting = [uuid for uuid in chunk if not ways.get((uuid, queue), False)]
            queued[queue] += queues.push(queue, waiting)
    return +queued


def _ways(ledger: Ledger, uuids: Sequence[str]) -> dict[tuple[str, str], bool]:
    found: dict[tuple[str, str], bool] = {}
    for chunk in batched(uuids, ROUND):
        found |= ledger.ways(chunk)
    return found
