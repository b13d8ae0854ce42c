"""The result cache: what cost money or minutes once is not bought twice, neither by retry nor by backfill."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.store import keys

if TYPE_CHECKING:
    from redis import Redis

KEEP_SECONDS = 30 * 24 * 3600
"""Long enough for a backfill that is repeated after somebody looked at its first result."""


class StoredResults:
    """A ``ResultCache`` in Redis. Values are JSON."""

    def __init__(self, client: Redis, keep_seconds: int = KEEP_SECONDS) -> None:
        self._client = client
        self._keep_seconds = keep_seconds

    def get_or_compute(self, parts: tuple[str, ...], compute: Callable[[], Any]) -> Any:
        """The value kept under ``parts``, else computed now and kept before it is given."""
        key = keys.result(hashlib.sha256("\x1f".join(parts).encode()).hexdigest())
        found = cast("bytes | None", self._client.get(key))
        if found is not None:
            return orjson.loads(found)
        value = compute()
        self._client.set(key, orjson.dumps(value), ex=self._keep_seconds)
        return value
