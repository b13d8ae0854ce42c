"""One installation's pipelines for a caller who waits: what the REST API and the command line run and simulate with.

Belongs here: putting store, catalogue and engine together from the settings, and keeping them up to date in a process
that lives long. Not here: running (``direct.py``), simulating (``simulate.py``); a Dagster run puts its own together
(``orchestration/runtime.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from vcon_platform.pipelines.catalogue import sources
from vcon_platform.pipelines.current import CurrentCatalogue
from vcon_platform.pipelines.deliveries import effects_outbox
from vcon_platform.pipelines.engine import Engine, EnginePolicy
from vcon_platform.pipelines.originals import StoredOriginals
from vcon_platform.pipelines.purchases import Purchasing, purchasing_of
from vcon_platform.pipelines.simulate import Simulator
from vcon_platform.pipelines.timed_child import FromSettings
from vcon_platform.projections.catalogue import read_projections
from vcon_platform.projections.model import Projection
from vcon_platform.settings import Settings
from vcon_platform.store.leases import Queues
from vcon_platform.store.opening import Store, open_store
from vcon_platform.store.reading import ReadingStore
from vcon_platform.store.results import StoredResults
from vcon_platform.store.slots import Slots


class Workbench:
    """Opened by the first use; nothing is connected before. Shared by threads."""

    def __init__(self, settings: Settings, store: Store | None = None) -> None:
        self.settings = settings
        self._given = store
        self._lock = threading.Lock()
        self._seen: tuple[tuple[str, int, int], ...] | None = None
        self._projections: Mapping[str, Projection] = {}
        self._engine: Engine | None = None

    @cached_property
    def store(self) -> Store:
        """Redis, the object store, and what stands on them."""
        return self._given or open_store(self.settings)

    @cached_property
    def catalogue(self) -> CurrentCatalogue:
        """The pipelines as they are now."""
        return CurrentCatalogue(self.settings, self.store.client)

    @cached_property
    def reading(self) -> ReadingStore:
        """The same store for who may only look."""
        return ReadingStore(self.store.client, self.store.objects)

    @cached_property
    def purchasing(self) -> Purchasing:
        """Budgets and accounts."""
        return purchasing_of(self.settings, self.store.client)

    @property
    def projections(self) -> Mapping[str, Projection]:
        """The projections that can be used, as they are now."""
        self._refresh()
        return self._projections

    @property
    def engine(self) -> Engine:
        """What direct runs go through."""
        self._refresh()
        assert self._engine is not None  # noqa: S101 - refreshing makes one
        return self._engine

    def simulator(self) -> Simulator:
        """What simulations go through: its engine has nothing that writes."""
        store = self.store
        return Simulator(
            _engine(self.settings, store, self.projections, writes=False),
            media=self.reading.media,
            results=self.reading.results,
            projections=self.projections,
            bought=StoredResults(store.client),
            bought_media=store.media,
            purchasing=self.purchasing,
        )

    def _refresh(self) -> None:
        """Read the projections again if a file of theirs changed; looking costs one listing of a small folder."""
        folder = self.settings.pipelines_dir / "projections"
        seen = _stamps(folder)
        with self._lock:
            if seen != self._seen:
                self._projections = dict(read_projections(sources(folder)))
                self._engine = _engine(self.settings, self.store, self._projections)
                self._seen = seen


def _engine(settings: Settings, store: Store, projections: Mapping[str, Projection], *, writes: bool = True) -> Engine:
    """``writes`` False: without slots and outbox, which are kept in Redis."""
    return Engine(
        documents=store.documents,
        queues=Queues(store.client, settings.lease_seconds * 1000),
        media=store.media,
        results=StoredResults(store.client),
        projections=projections,
        policy=EnginePolicy(max_attempts=settings.max_attempts),
        slots=Slots(store.client, settings.pools) if writes else None,
        lending=FromSettings(settings, dict(projections)),
        outbox=effects_outbox(store.client) if writes else None,
        purchasing=purchasing_of(settings, store.client) if writes else None,
        originals=StoredOriginals(settings, store.documents, store.media),
    )


def _stamps(folder: Path) -> tuple[tuple[str, int, int], ...]:
    if not folder.is_dir():
        return ()
    found = ((each.name, each.stat().st_mtime_ns, each.stat().st_size) for each in folder.iterdir() if each.is_file())
    return tuple(sorted(found))
