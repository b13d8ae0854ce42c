"""The catalogue as it is now, for those who do not run in Dagster: the REST API and the command line.

Belongs here: noticing that something changed, cheaply. Not here: what a run executes; that is pinned to what its code
server had loaded (``orchestration/pinning.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vcon_platform.pipelines.catalogue import Catalogue, catalogue, sources
from vcon_platform.processors.registry import Registry, load_processors
from vcon_platform.settings import Settings

if TYPE_CHECKING:
    from redis import Redis


class CurrentCatalogue:
    """The catalogue of ``settings`` and the Redis of ``client`` (None: files alone). Shared by threads."""

    def __init__(self, settings: Settings, client: Redis | None = None, registry: Registry | None = None) -> None:
        self._settings, self._client = settings, client
        self._registry = registry

    @property
    def registry(self) -> Registry:
        """The processors installed."""
        if self._registry is None:
            self._registry = load_processors()
        return self._registry

    def get(self) -> Catalogue:
        """The catalogue as it is now."""
        return catalogue(sources(self._settings.pipelines_dir), self.registry)
