"""Filling an empty Redis from the archive.

Belongs here: the walk over the archive, and what is told of it. Not here: putting one document back
(``documents.py``), queues (what waited when Redis was lost is found by whoever knows which pipelines had finished).

It may be broken off and begun again at any time: what is there already is left as it is. A Redis that only lost its
newest writes is brought up to date (a writer that died between archive and Redis may then be heard after all). Only
when the walk is over is Redis declared to be this store's (``identity.py``); until then nothing new is let in, so that
no conversation can be created a second time while its first life is still on its way back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import batched
from typing import TYPE_CHECKING

from vcon_platform.store.archive import Ref
from vcon_platform.store.commits import Restored, RowMark
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.identity import adopt
from vcon_platform.store.records import RecordBroken
from vcon_platform.store.removing import Remover, note_removed
from vcon_platform.vcon.document import Vcon

if TYPE_CHECKING:
    from redis import Redis

READERS = 8
"""vCons read from the archive at once; with a remote object store the reading is waiting."""
ROUND = 400


@dataclass(slots=True)
class Rebuilt:
    """What a rebuild did. ``broken``: uuid to why its records cannot be read; everything else went on."""

    counts: Counter[Restored] = field(default_factory=Counter)
    broken: dict[str, str] = field(default_factory=dict)


def rebuild(
    client: Redis,
    documents: DocumentStore,
    *,
    marks: Callable[[Vcon], Sequence[RowMark]],
    told: Callable[[str, Restored], object] = lambda _uuid, _what: None,
    remove: Callable[[str], object] = lambda _uuid: None,
) -> Rebuilt:
    """Put every vCon of the archive back into Redis that it does not hold: document, meta, search inputs, listing,
    references of media and rows of projections. ``told`` hears of each. ``remove`` is asked for one that Redis still
    has and that was removed by the archive's account. Raises :class:`StoreUnavailable`."""
    done = Rebuilt()
    for uuid, what in _restored(_Rebuilding(client, documents, marks, remove)):
        if isinstance(what, RecordBroken):
            done.broken[uuid] = str(what)
        else:
            done.counts[what] += 1
            told(uuid, what)
    adopt(client, documents.archive.objects, complete=not done.broken)
    return done


@dataclass(frozen=True, slots=True)
class _Rebuilding:
    client: Redis
    documents: DocumentStore
    marks: Callable[[Vcon], Sequence[RowMark]]
    remove: Callable[[str], object]

    def restore(self, found: tuple[str, list[Ref]]) -> Restored | RecordBroken:
        uuid, refs = found
        try:
            known = tip = self.documents.tip(uuid)
            if tip is not None and tip.revision < refs[-1].revision:
                tip = None  # what Redis lost in a power cut was told to somebody, and is to come true after all
            history = self.documents.archive.history(uuid, tip=tip, refs=refs)
            if history is None:
                return Restored.UNKNOWN
            what = Restored.REMOVED if history.ended else self.documents.put_back(history, marks=self.marks)
            if history.ended and known is not None:
                self.remove(uuid)
            elif history.ended:
                note_removed(self.client, history)
            if history.left:  # of what was removed, nothing but that stays
                Remover(self.client, self.documents).erase(uuid, history.left)
        except RecordBroken as broken:
            return broken
        return what


def _restored(rebuilding: _Rebuilding) -> Iterator[tuple[str, Restored | RecordBroken]]:
    with ThreadPoolExecutor(READERS, thread_name_prefix="rebuild") as readers:
        for found in batched(rebuilding.documents.archive.walk(), ROUND):
            yield from zip((uuid for uuid, _ in found), readers.map(rebuilding.restore, found), strict=True)
