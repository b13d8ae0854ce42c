"""One installation's store, put together from its settings: what the API, the CLI, runs and tests work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from vcon_platform.settings import Settings
from vcon_platform.store.archive import Archive
from vcon_platform.store.connection import connect
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.fetch import Fetcher, FetchMode, FetchPolicy
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import open_objects
from vcon_platform.store.search import SearchIndex

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from redis import Redis


@dataclass(frozen=True, slots=True)
class Store:
    """Redis, the object store, and what stands on them."""

    client: Redis
    objects: ObjectStore
    archive: Archive
    documents: DocumentStore
    index: SearchIndex
    media: MediaStore


def open_store(settings: Settings, *, client: Redis | None = None, objects: ObjectStore | None = None) -> Store:
    """Put the store together. Cheap; connects when first used. ``client`` and ``objects`` are given by who has them
    already."""
    chosen = client if client is not None else connect(settings.redis_url())
    kept = objects if objects is not None else open_objects(settings.objects_url)
    archive = Archive(kept)
    return Store(
        client=chosen,
        objects=kept,
        archive=archive,
        documents=DocumentStore(chosen, archive, live_seconds=settings.live_seconds, region=settings.region),
        index=SearchIndex(chosen, region=settings.region),
        media=MediaStore(kept, settings.media_inline_max, chosen, Fetcher(_fetch_policy(settings)), settings.spool_dir),
    )


def _fetch_policy(settings: Settings) -> FetchPolicy:
    return FetchPolicy(
        mode=FetchMode(settings.fetch),
        hosts=settings.fetch_hosts,
        ports=settings.fetch_ports,
        max_bytes=settings.fetch_max_bytes,
        seconds=settings.fetch_seconds,
    )
