"""What a run writes down between two ops, in the object store that all run workers share.

Small: references, parameters and pending changes, never documents or audio. Kept until the batch is settled without
a failure, else until ``sweep`` finds it old.
"""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import ObjectStore

KEEP = timedelta(days=7)
"""For as long as somebody may still want to re-execute a failed run from its failure."""


class Checkpoints:
    """Bytes by run and step."""

    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    @staticmethod
    def _key(run_id: str, step: str) -> str:
        return f"checkpoints/{run_id}/{step}.json.z"

    def save(self, run_id: str, step: str, data: bytes) -> None:
        """Keep what a step made."""
        import obstore

        obstore.put(self._objects, self._key(run_id, step), zlib.compress(data, 1))

    def load(self, run_id: str, step: str) -> bytes | None:
        """What the step made, None if it is not kept (any more)."""
        import obstore

        try:
            return zlib.decompress(bytes(obstore.get(self._objects, self._key(run_id, step)).bytes()))
        except FileNotFoundError:
            return None

    def forget(self, run_id: str) -> None:
        """Delete all that a run wrote down."""
        import obstore

        paths = [meta["path"] for chunk in obstore.list(self._objects, f"checkpoints/{run_id}") for meta in chunk]
        if paths:
            obstore.delete(self._objects, paths)

    def sweep(self, keep: timedelta = KEEP) -> int:
        """Delete what is older than ``keep``; gives how many were deleted."""
        import obstore

        oldest = datetime.now(UTC) - keep
        old = [
            meta["path"]
            for chunk in obstore.list(self._objects, "checkpoints")
            for meta in chunk
            if meta["last_modified"] < oldest
        ]
        if old:
            obstore.delete(self._objects, old)
        return len(old)
