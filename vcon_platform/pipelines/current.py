"""The definitions as they are now: read once by a code server when it loads, and again and again by API and CLI.

Belongs here: where the texts come from (the folder, Redis, the local copy of Redis), and noticing cheaply that
something changed. Not here: what a run executes. A run is given the texts that its code server had read
(``orchestration/pinning.py``), and asks nobody.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.pipelines.catalogue import Catalogue, catalogue
from vcon_platform.pipelines.local_copy import load_copy, save_copy
from vcon_platform.pipelines.stored import Snapshot, StoredDefinitions
from vcon_platform.pipelines.texts import SUFFIXES, sources
from vcon_platform.processors.registry import Registry, load_processors
from vcon_platform.settings import Settings, SettingsError
from vcon_platform.store.connection import StoreUnavailable

if TYPE_CHECKING:
    from redis import Redis

LOOK_EVERY = 0.5
"""Seconds for which :class:`CurrentCatalogue` takes for granted that nothing changed."""
READ_EVERY = 30.0
"""Seconds after which it reads Redis even if its counter stands still: other software does not count."""
PATIENCE = 3.0
"""Seconds that a code server's load waits for Redis before it uses the local copy."""


@dataclass(frozen=True, slots=True)
class PipelineTexts:
    """Every definition there is, unchecked: ``files`` (file name to text), ``stored`` (name to JSON), ``unreadable``
    (stored ones, and why), ``last_good`` (name to the JSON that was in use last)."""

    files: Mapping[str, str] = field(default_factory=dict)
    stored: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)
    last_good: Mapping[str, str] = field(default_factory=dict)

    def check(self, registry: Registry) -> Catalogue:
        """The catalogue of these texts."""
        return catalogue(self.files, registry, stored=self.stored, last_good=self.last_good, unreadable=self.unreadable)


def patient_client(settings: Settings) -> Redis | None:
    """A client that gives up after :data:`PATIENCE` seconds; None if the embedded Redis was never started."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        url = settings.redis_url()
    except SettingsError:
        return None
    return redis.Redis.from_url(
        url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
    )


def load_texts(settings: Settings, registry: Registry, client: Redis | None = None) -> PipelineTexts:
    """What a code server loads. Versions that loaded well are written down; a definition that did not comes with the
    one that was in use before. Never raises for Redis: while it is away the local copy stands in."""
    asked = client if client is not None else patient_client(settings)
    files = sources(settings.pipelines_dir)
    try:
        snapshot = _snapshot(asked, files, load_copy(settings.data_dir))
    except StoreUnavailable:
        asked, snapshot = None, load_copy(settings.data_dir) or Snapshot()
    texts = PipelineTexts(files, snapshot.definitions, snapshot.unreadable, snapshot.live)
    found = texts.check(registry)
    if asked is not None:
        live = _record(StoredDefinitions(asked), found, snapshot)
        save_copy(settings.data_dir, replace(snapshot, live=live))
    return replace(texts, last_good={name: snapshot.live[name] for name in sorted(found.fallen_back)})


def _snapshot(client: Redis | None, files: Mapping[str, str], copy: Snapshot | None) -> Snapshot:
    if client is None:
        raise StoreUnavailable("Redis was never started")
    stored = StoredDefinitions(client)
    names = {Path(file).stem for file in files}
    snapshot = stored.snapshot()
    if snapshot.changes == 0 and not snapshot.definitions and copy is not None and copy.changes > 0:
        stored.restore(copy.definitions, by="code server")
        snapshot = replace(stored.snapshot(), live={**copy.live, **snapshot.live})
    counted = stored.snapshot(names - set(snapshot.numbers)).numbers
    return replace(snapshot, numbers={**snapshot.numbers, **counted})


def _record(stored: StoredDefinitions, found: Catalogue, snapshot: Snapshot) -> dict[str, str]:
    """Write down what loaded; gives the definitions that are live now."""
    gone = snapshot.live.keys() - found.pipelines.keys() - found.broken.keys()
    with suppress(PlatformError):  # as below: the load goes on without
        stored.forget_live(gone)
    live = {name: text for name, text in snapshot.live.items() if name not in gone}
    for name, definition in found.pipelines.items():
        text = orjson.dumps(definition.raw).decode()
        if name in found.fallen_back:
            continue
        if live.get(name) != text or not snapshot.numbers.get(name):
            by = "file" if definition.source == "file" else "other software"
            try:
                stored.record(name, definition.raw, definition.source, by, base=snapshot.numbers.get(name))
            except PlatformError:  # the load goes on without it; the next one writes it down
                continue
        live[name] = text
    return live


class CurrentCatalogue:
    """The catalogue of ``settings`` and the Redis of ``client`` (None: files alone). Shared by threads.

    While Redis is away its part stays as it was when it was last read, at first as the local copy has it.
    """

    def __init__(self, settings: Settings, client: Redis | None = None, registry: Registry | None = None) -> None:
        self._settings = settings
        self._stored = StoredDefinitions(client) if client is not None else None
        self._registry = registry
        self._lock = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._catalogue: Catalogue | None = None
        self._folder: Any = None
        self._looked = self._read = -READ_EVERY

    @property
    def registry(self) -> Registry:
        """The processors installed."""
        if self._registry is None:
            self._registry = load_processors()
        return self._registry

    def get(self) -> Catalogue:
        """The catalogue as it is now, give or take :data:`LOOK_EVERY` seconds."""
        with self._lock:
            now = time.monotonic()
            if self._catalogue is not None and now - self._looked < LOOK_EVERY:
                return self._catalogue
            folder, snapshot = _stamp(self._settings.pipelines_dir), self._stored_now(now)
            if self._catalogue is None or folder != self._folder or snapshot is not self._snapshot:
                files = sources(self._settings.pipelines_dir)
                texts = PipelineTexts(files, snapshot.definitions, snapshot.unreadable, snapshot.live)
                self._catalogue = texts.check(self.registry)
                self._folder, self._snapshot = folder, snapshot
            self._looked = time.monotonic()
            return self._catalogue

    def refresh(self) -> Catalogue:
        """The catalogue as it is at this moment: for who has just written."""
        with self._lock:
            self._looked = self._read = -READ_EVERY
        return self.get()

    def _stored_now(self, now: float) -> Snapshot:
        known = self._snapshot
        if self._stored is None:
            return known or Snapshot()
        try:
            if known is not None and now - self._read < READ_EVERY and self._stored.changes() == known.changes:
                return known
            fresh = self._stored.snapshot()
            self._read = now
        except StoreUnavailable:
            return known or load_copy(self._settings.data_dir) or Snapshot()
        return known if known == fresh else fresh


def _stamp(folder: Path) -> Any:
    """Changes when a definition file does."""
    if not folder.is_dir():
        return None
    found = []
    for path in folder.iterdir():
        if path.suffix in SUFFIXES:
            about = path.stat()
            found.append((path.name, about.st_mtime_ns, about.st_size))
    return sorted(found)
