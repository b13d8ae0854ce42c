"""A small store whose conversations get rows, and destinations that land them: what the landing's tests play with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from redis import Redis

from tests.projections.examples import DONE, call
from tests.support import document_store
from vcon_platform.ledger.events import LedgerEvent
from vcon_platform.pipelines.removal import rows_ever
from vcon_platform.pipelines.verdict_rows import row_marks
from vcon_platform.projections.destination import Destination
from vcon_platform.projections.landing import LandedGroup, land, landing_mark
from vcon_platform.projections.model import Projection
from vcon_platform.projections.outcome import Outcome
from vcon_platform.projections.renewing import Renewal
from vcon_platform.projections.rows import build_rows, find_rows, put_rows, withdraw_rows
from vcon_platform.store.commits import Commit, NewVcon
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.listing import Listing
from vcon_platform.store.removing import Remover
from vcon_platform.store.rows import RowIndex
from vcon_platform.vcon.document import Vcon

_numbers = count(1)


@dataclass
class World:
    """The store of one Redis. ``outcomes`` is what the ledger would tell."""

    client: Redis
    folder: Path
    projection: Projection
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    events: list[LedgerEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.index = RowIndex(self.client)
        self.documents = self._store()

    def _store(self) -> DocumentStore:
        return document_store(self.client, self.folder / str(next(_numbers)))

    def empty(self) -> None:
        """Another store, in which there is nothing."""
        self.client.flushdb()
        self.documents = self._store()

    def create(self, uuid: str, day: str, **members: Any) -> None:
        """A conversation of this day, without rows."""
        vcon = call(uuid=uuid, created_at=f"{day}T10:00:00Z", **members)
        list(self.documents.create([NewVcon(vcon)]))

    def change(self, uuid: str, change: Any) -> None:
        """Change the document as a pipeline does, rows and marks together; nothing if there is no such vCon."""
        vcon = self.documents.read([uuid]).get(uuid)
        if vcon is not None:
            change(vcon)
            list(self.documents.commit([Commit(vcon, rows=row_marks(vcon))]))

    def rows(self, uuid: str, **members: Any) -> None:
        """Let these members of the document be so, and its rows follow."""

        def change(vcon: Vcon) -> None:
            for name, value in members.items():
                vcon.put(name, value)
            put_rows(vcon, build_rows(self.projection, vcon, DONE), self.projection, DONE)

        self.change(uuid, change)

    def withdraw(self, uuid: str) -> None:
        """It is filtered now, and has no rows any more."""
        self.change(uuid, lambda vcon: withdraw_rows(vcon, self.projection.name))

    def remove(self, uuid: str) -> None:
        """It is erased from the store."""
        if self.documents.known([uuid]):
            Remover(self.client, self.documents).remove(uuid, rows=rows_ever, event=lambda _: b"{}")

    def truth(self, uuids: Sequence[str]) -> dict[str, tuple[str, str]]:
        """uuid to day and hash of the rows that the documents carry."""
        found = {uuid: find_rows(vcon, self.projection.name) for uuid, vcon in self.documents.read(uuids).items()}
        return {uuid: (rows.day, rows.hash) for uuid, rows in found.items() if rows is not None}

    def behind(self, destination: Destination) -> list[str]:
        """The days that a destination is behind on."""
        return self.index.behind(self.projection.name, landing_mark(destination, self.projection))

    def land(self, destination: Destination, days: Sequence[str], *, complete: bool = False) -> list[LandedGroup]:
        """Land these days, as a run does."""
        return list(
            land(
                self.projection,
                destination,
                days,
                index=self.index,
                documents=self.documents,
                record=self.events.extend,
                run_id=f"run {next(_numbers)}",
                renewal=Renewal(self.projection, self.documents, Listing(self.client), self._ended),
                complete=complete,
            )
        )

    def _ended(self, uuids: Sequence[str]) -> Mapping[str, Outcome]:
        return {uuid: self.outcomes[uuid] for uuid in uuids if uuid in self.outcomes}
