"""The library's objects, put together from Dagster's resources: what ops, sensors and assets work with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from vcon_platform.pipelines.deliveries import effects_outbox
from vcon_platform.pipelines.engine import Engine, EnginePolicy
from vcon_platform.pipelines.originals import StoredOriginals
from vcon_platform.pipelines.purchases import purchasing_of
from vcon_platform.projections.model import Projection
from vcon_platform.settings import Settings, load_settings
from vcon_platform.store.checkpoints import Checkpoints
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.leases import Queues
from vcon_platform.store.media import MediaStore
from vcon_platform.store.opening import Store, open_store
from vcon_platform.store.results import StoredResults
from vcon_platform.store.slots import Slots

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from redis import Redis


class HasRedis(Protocol):
    """A resource that gives a Redis client."""

    def client(self) -> Redis: ...


class HasObjects(Protocol):
    """A resource that gives an object store."""

    def objects(self) -> ObjectStore: ...


@dataclass(frozen=True, slots=True)
class Runtime:
    """One process's store and engine."""

    settings: Settings
    store: Store
    queues: Queues
    checkpoints: Checkpoints
    engine: Engine

    @property
    def client(self) -> Redis:
        """Redis."""
        return self.store.client

    @property
    def documents(self) -> DocumentStore:
        """The vCons."""
        return self.store.documents

    @property
    def media(self) -> MediaStore:
        """Their recordings."""
        return self.store.media


def runtime(redis: HasRedis, objects: HasObjects, projections: Mapping[str, Projection]) -> Runtime:
    """Put the library together. Cheap; connects when first used."""
    settings = load_settings()
    store = open_store(settings, client=redis.client(), objects=objects.objects())
    queues = Queues(store.client, settings.lease_seconds * 1000)
    engine = Engine(
        documents=store.documents,
        queues=queues,
        media=store.media,
        results=StoredResults(store.client),
        projections=projections,
        policy=EnginePolicy(max_attempts=settings.max_attempts),
        slots=Slots(store.client, settings.pools),
        outbox=effects_outbox(store.client),
        purchasing=purchasing_of(settings, store.client),
        originals=StoredOriginals(settings, store.documents, store.media),
    )
    return Runtime(settings, store, queues, Checkpoints(store.objects), engine)
