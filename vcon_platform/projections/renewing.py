"""Rows made anew from the store's documents: for a projection that is new, and after its declaration was changed.

Belongs here: which conversations of a day need that, and committing their rows. Not here: what rows a document gives
(``rows.py``), bringing them to a destination (``landing.py``).

The outcome that some columns are filled from stands beside the rows in the document; where there are none yet, the
ledger has it. What a pipeline writes at the same time wins: a commit that meets another is left out here, for that
other one has made the rows by the declaration of today.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import batched

from vcon_platform.projections.errors import RowError
from vcon_platform.projections.model import Projection
from vcon_platform.projections.outcome import Outcome
from vcon_platform.projections.rows import build_rows, find_outcome, find_rows, put_rows, version_of, withdraw_rows
from vcon_platform.store.commits import Commit, Committed, RowMark
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.listing import Listing
from vcon_platform.vcon.document import Vcon

CHUNK = 500
"""Documents read and committed at a time."""
_PAGE = 1_000
_DAY = timedelta(days=1)


@dataclass(slots=True)
class Renewed:
    """How many conversations' rows were ``made`` anew, and how many could not be: ``failed`` cannot be read, have no
    day, or were written by a pipeline in the same moment."""

    made: int = 0
    failed: int = 0

    def __iadd__(self, other: Renewed) -> Renewed:
        self.made += other.made
        self.failed += other.failed
        return self


class Renewal:
    """Makes rows of one projection anew. ``outcomes`` gives how conversations ended in the projection's pipelines, by
    uuid (``Ledger.outcomes_of``)."""

    def __init__(
        self,
        projection: Projection,
        documents: DocumentStore,
        listing: Listing,
        outcomes: Callable[[Sequence[str]], Mapping[str, Outcome]],
    ) -> None:
        self._projection = projection
        self._documents = documents
        self._listing = listing
        self._outcomes = outcomes

    def size(self, day: str) -> int:
        """How many conversations of this day (ISO) may have rows."""
        first = datetime.fromisoformat(day).replace(tzinfo=UTC)
        return self._listing.page(created_from=first, created_to=first + _DAY, limit=1).total

    def outdated(self, rows: Mapping[str, str]) -> list[str]:
        """Those of ``rows`` (uuid to hash) that were made by another version of the declaration."""
        return [uuid for uuid, digest in rows.items() if version_of(digest) != self._projection.version]

    def day(self, day: str, rows: Mapping[str, str]) -> Renewed:
        """Everything that a day (ISO) lacks; ``rows`` (uuid to hash) are those that it has. Only projections with
        ``rows: conversation`` can lack any: what the processor leaves out has none."""
        done = self.renew(day, self.outdated(rows))
        if self._projection.rows == "conversation":
            for uuids in batched(self._created_on(day, rows), CHUNK):
                ended = self._outcomes(uuids)
                done += self._make(day, [uuid for uuid in uuids if uuid in ended], ended)
        return done

    def renew(self, day: str, uuids: Sequence[str]) -> Renewed:
        """Make the rows of these conversations anew, which stand on ``day``. Raises StoreUnavailable."""
        done = Renewed()
        for chunk in batched(uuids, CHUNK):
            done += self._make(day, chunk, None)
        return done

    def _created_on(self, day: str, known: Collection[str]) -> Iterator[str]:
        first = datetime.fromisoformat(day).replace(tzinfo=UTC)
        cursor: str | None = None
        while True:
            page = self._listing.page(
                created_from=first, created_to=first + _DAY, newest_first=False, limit=_PAGE, cursor=cursor
            )
            yield from (uuid for uuid in page.uuids if uuid not in known)
            cursor = page.cursor
            if cursor is None:
                return

    def _make(self, day: str, uuids: Sequence[str], outcomes: Mapping[str, Outcome] | None) -> Renewed:
        done = Renewed()
        vcons = self._documents.read(uuids)
        if outcomes is None:
            found = {uuid: find_outcome(vcon, self._projection.name) for uuid, vcon in vcons.items()}
            unknown = [uuid for uuid, outcome in found.items() if outcome is None]
            outcomes = {uuid: outcome for uuid, outcome in found.items() if outcome is not None}
            outcomes |= self._outcomes(unknown) if unknown else {}
        commits: list[Commit] = []
        for uuid, vcon in vcons.items():
            outcome = outcomes.get(uuid)
            if outcome is None or not readable(vcon):
                done.failed += 1
                continue
            try:
                commits += self._commit(day, vcon, outcome)
            except RowError:
                done.failed += 1
        for _, committed in self._documents.commit(commits):
            if committed is Committed.OK:
                done.made += 1
            else:
                done.failed += 1
        return done

    def _commit(self, day: str, vcon: Vcon, outcome: Outcome) -> list[Commit]:
        """What is to be committed; nothing where the conversation has no rows and had none. Raises RowError."""
        name = self._projection.name
        rows = build_rows(self._projection, vcon, outcome)
        marks = []
        if rows.rows:
            put_rows(vcon, rows, self._projection, outcome)
            marks = [RowMark(name, rows.day, vcon.uuid, rows.hash)]
        elif find_rows(vcon, name) is None:
            return []
        else:
            withdraw_rows(vcon, name)
        if not rows.rows or rows.day != day:
            marks.append(RowMark(name, day, vcon.uuid, ""))
        return [Commit(vcon, rows=marks)]


def readable(vcon: Vcon) -> bool:
    """False for a document that is encrypted and that nobody here can read: its rows stay what they are."""
    return not vcon.data.keys() <= {"uuid", "created_at", "attachments"}
