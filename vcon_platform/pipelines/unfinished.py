"""After Redis was lost: which conversations were on their way, and back into their queues with them.

Queues are Redis' alone. What the archive has kept of each vCon is which queues it was to enter, and the ledger knows
in which pipelines its way has come to an end; the difference still waits. What had been done but not recorded when
Redis was lost is done again: results that cost money are bought again in that case, rows are replaced by equal ones.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import batched

from vcon_platform.ledger.store import Ledger
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.leases import Queues

ROUND = 1_000


def requeue_unfinished(uuids: Sequence[str], documents: DocumentStore, queues: Queues, ledger: Ledger) -> Counter[str]:
    """Enter these vCons into the queues they were to enter and in whose pipelines they have not ended; how many, by
    queue. Raises LedgerUnavailable: nothing more is queued then, and it may be called again."""
    queued: Counter[str] = Counter()
    for chunk in batched(uuids, ROUND):
        ended = ledger.ended(chunk)
        waiting: dict[str, list[str]] = {}
        for uuid in chunk:
            for queue in filter(None, documents.meta(uuid).get("queues", "").split(",")):
                if (uuid, queue) not in ended:
                    waiting.setdefault(queue, []).append(uuid)
        for queue, found in waiting.items():
            queues.push(queue, found)
            queued[queue] += len(found)
    return queued
