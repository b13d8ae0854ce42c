"""Landing: make a destination hold, on some days, exactly the rows that the store says exist.

Belongs here: where the rows come from, in what portions, and what is remembered afterwards. Comparing and writing is
``reconcile.py``, making rows anew ``renewing.py``.

Many days are landed in groups of about :data:`GROUP` conversations, at least a day each, one after the other: a year's
backfill that is killed has landed the groups before, and the next one finds them as they should be.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from uuid import NAMESPACE_URL, uuid5

from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.projections.destination import Destination, Faults
from vcon_platform.projections.errors import RowError
from vcon_platform.projections.model import Projection
from vcon_platform.projections.reconcile import Landed, compare, reconcile
from vcon_platform.projections.renewing import Renewal, Renewed
from vcon_platform.projections.rows import PURPOSE, RowSet, find_rows, rows_from_attachment, with_document
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.rows import RowIndex
from vcon_platform.vcon.document import Vcon

logger = logging.getLogger(__name__)

GROUP = 10_000
"""Conversations that are landed in one session, unless a single day has more."""


@dataclass(frozen=True, slots=True)
class LandedGroup:
    """Some days that were landed together.

    ``eligible``: conversations that have rows on these days. ``renewed``: whose rows were made anew before. ``erased``:
    uuids that the destination holds though they were removed from the store. ``faults``: what a look at the rows found,
    None where the kind cannot look. ``settled``: False where something changed meanwhile, so that the days are behind
    already and what differs proves nothing.
    """

    days: tuple[str, ...]
    landed: Landed
    eligible: int
    renewed: Renewed
    erased: tuple[str, ...]
    faults: Faults | None
    settled: bool
    seconds: float


def landing_mark(destination: Destination | type[Destination], projection: Projection) -> str:
    """Under which name the index remembers how far a destination is: a projection that is pointed at another target
    has landed nothing there."""
    target = destination.target(projection)
    return f"{destination.kind}:{hashlib.sha256(target.encode()).hexdigest()[:8]}"


def land(
    projection: Projection,
    destination: Destination,
    days: Sequence[str],
    *,
    index: RowIndex,
    documents: DocumentStore,
    record: Callable[[Sequence[LedgerEvent]], object],
    run_id: str,
    renewal: Renewal,
    complete: bool = False,
) -> Iterator[LandedGroup]:
    """Land these days (ISO), group by group: ``record`` what was landed, then say what was done. ``complete``: first
    make the rows that are missing, and anew those of another version of the declaration; else only those of them that
    are to be written anyway. Idempotent.

    The days' counters are read before the rows: a row that changes meanwhile leaves its day behind, and it is landed
    again. Raises what the destination and ``record`` raise; what was not told of by then stays behind.
    """
    destination.ensure(projection)
    work = _Landing(projection, destination, index, documents, record, run_id, renewal, complete)
    sizes = index.sizes(projection.name, days)
    if complete:  # of a new projection there are no rows yet
        sizes = {day: max(size, renewal.size(day)) for day, size in sizes.items()}
    for group in _groups(sorted(set(days)), sizes):
        yield work.land(group)


def _groups(days: Sequence[str], sizes: Mapping[str, int]) -> Iterator[list[str]]:
    group: list[str] = []
    size = 0
    for day in days:
        if group and size + sizes[day] > GROUP:
            yield group
            group, size = [], 0
        group.append(day)
        size += sizes[day]
    if group:
        yield group


@dataclass(frozen=True, slots=True)
class _Landing:
    """What all groups have in common."""

    projection: Projection
    destination: Destination
    index: RowIndex
    documents: DocumentStore
    record: Callable[[Sequence[LedgerEvent]], object]
    run_id: str
    renewal: Renewal
    complete: bool

    def land(self, days: list[str]) -> LandedGroup:
        began = monotonic()
        name = self.projection.name
        renewed = Renewed()
        if self.complete:
            for day, rows in self.index.by_day(name, days).items():
                renewed += self.renewal.day(day, rows)
        generations, expected = self._expected(days)
        held = self.destination.held(self.projection, days)
        differs = frozenset(compare(held, _merged(expected)).read)
        for day, rows in expected.items():  # their values are those of another declaration
            outdated = self.renewal.outdated({uuid: digest for uuid, digest in rows.items() if uuid in differs})
            if outdated and not self.complete:
                renewed += self.renewal.renew(day, outdated)
        if renewed.made and not self.complete:
            generations, expected = self._expected(days)
        wanted = _merged(expected)
        landed = reconcile(self.projection, self.destination, days, wanted, self._rows, held=held)
        doubtful = {*landed.missing, *_on_two_days(expected)}
        for day in days if doubtful else ():
            self._forget(day, [(uuid, expected[day][uuid]) for uuid in sorted(doubtful & expected[day].keys())])
        self.record([*self._events(landed)])
        self.index.landed(name, landing_mark(self.destination, self.projection), generations)
        return LandedGroup(
            days=tuple(days),
            landed=landed,
            eligible=len(wanted) - len(landed.missing),
            renewed=renewed,
            erased=self._erased(landed.held),
            faults=self.destination.faults(self.projection, days),
            settled=self.index.generations(name, days) == generations,
            seconds=monotonic() - began,
        )

    def _expected(self, days: Sequence[str]) -> tuple[dict[str, str], dict[str, dict[str, str]]]:
        generations = self.index.generations(self.projection.name, days)
        return generations, self.index.by_day(self.projection.name, days)

    def _rows(self, uuids: Sequence[str]) -> Iterable[RowSet]:
        """The rows that these vCons carry. Of two sets of one projection (two pipelines at once) the later counts."""
        if self.projection.whole_columns:
            yield from self._with_documents(uuids)
            return
        for uuid, bodies in self.documents.attachment_bodies(uuids, PURPOSE):
            own = [body for body in bodies if isinstance(body, dict) and body.get("projection") == self.projection.name]
            if own and own[-1].get("hash"):
                try:
                    yield rows_from_attachment(uuid, {"body": own[-1]})
                except RowError as error:  # told as missing by reconcile; its neighbours land
                    logger.warning("%s", error)

    def _with_documents(self, uuids: Sequence[str]) -> Iterator[RowSet]:
        for vcon in self.documents.read(uuids).values():
            try:
                found = find_rows(vcon, self.projection.name)
            except RowError as error:
                logger.warning("%s", error)
            else:
                if found is not None:
                    yield with_document(self.projection, found, vcon)

    def _forget(self, day: str, missing: Sequence[tuple[str, str]]) -> None:
        """Take off the day what its documents do not have there any more, as far as that is certain."""
        vcons = self.documents.read([uuid for uuid, _ in missing])
        stale = [
            (uuid, digest, str(vcons[uuid].revision or "") if uuid in vcons else "")
            for uuid, digest in missing
            if self._is_stale(day, vcons.get(uuid))
        ]
        if stale:
            self.index.forget(self.projection.name, day, stale)

    def _is_stale(self, day: str, vcon: Vcon | None) -> bool:
        if vcon is None:
            return True
        try:
            found = find_rows(vcon, self.projection.name)
        except RowError:
            return False  # the index is right: there should be rows, and somebody spoilt them
        return found is None or found.day != day

    def _erased(self, held: Mapping[str, str]) -> tuple[str, ...]:
        removed = self.documents.removed(list(held))
        return tuple(sorted(removed - self.documents.known(sorted(removed)))) if removed else ()

    def _events(self, landed: Landed) -> Iterator[LedgerEvent]:
        target = f"{self.destination.kind}:{self.destination.target(self.projection)}"
        yield from self._told(landed.hashes, EventKind.PROJECTED, target)
        yield from self._told(dict.fromkeys(landed.deleted, ""), EventKind.UNPROJECTED, target)

    def _told(self, rows: Mapping[str, str], kind: EventKind, target: str) -> Iterator[LedgerEvent]:
        for uuid, digest in rows.items():
            # The same rows landed by the same run are the same event, however often the landing was begun.
            name = f"{self.run_id}/{kind}/{target}/{uuid}/{digest}"
            yield LedgerEvent(
                vcon_uuid=uuid,
                event=kind,
                run_id=self.run_id,
                detail={"projection": self.projection.name, "destination": target, "rows": digest},
                event_id=str(uuid5(NAMESPACE_URL, name)),
            )


def _merged(by_day: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {uuid: digest for rows in by_day.values() for uuid, digest in rows.items()}


def _on_two_days(by_day: Mapping[str, Mapping[str, str]]) -> set[str]:
    """Conversations that have moved to another day, and still stand on the one before."""
    if sum(map(len, by_day.values())) == len(_merged(by_day)):
        return set()
    seen: set[str] = set()
    twice: set[str] = set()
    for rows in by_day.values():
        twice |= seen & rows.keys()
        seen |= rows.keys()
    return twice
