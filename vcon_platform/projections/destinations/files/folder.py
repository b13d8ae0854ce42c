"""A folder of files that rows land in: ``day=2026-03-02/…`` below one place of an object store.

Belongs here: listing, reading and replacing files, one writer at a time, and errors. Not here: which rows a file holds
(``base.py``) and how they are written (``parquet.py``, ``csv.py``, ``ndjson.py``, ``object_store.py``).

A file is replaced as a whole, which every object store does at once: a reader sees the old one or the new one, never a
half. Whoever changes the folder holds a lock in Redis, because two who read a file, change different conversations and
write it back would undo each other's work.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vcon_platform.projections.destinations.files.folder_index import File, FolderIndex, Stand
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable
from vcon_platform.store import keys
from vcon_platform.store.objects import SETTING, ObjectsUnavailable, explained

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from redis import Redis

logger = logging.getLogger(__name__)

Contents = Callable[[bytes], Mapping[str, tuple[str, int]]]
"""From a file's bytes to what it holds: uuid to (hash, number of rows)."""

LOCK_SECONDS = 30
WAIT_SECONDS = 120


class Folder:
    """One projection's folder. ``target`` names it in messages; ``place`` is where it is in ``objects``."""

    def __init__(
        self,
        objects: ObjectStore,
        place: str,
        *,
        name: str,
        target: str,
        projection: str,
        index: FolderIndex,
        redis: Callable[[], Redis],
        contents: Contents,
        workers: int,
        own_url: bool,
    ) -> None:
        self._objects, self._place, self._name = objects, place, name
        self.target, self._projection = target, projection
        self.index, self._redis = index, redis
        self._contents, self._workers, self._own_url = contents, workers, own_url

    def path(self, day: str, name: str) -> str:
        """The file of this name of a day."""
        return f"{self._place}/day={day}/{name}"

    def refresh(self, days: Sequence[str] | None) -> None:
        """Let :attr:`index` be right about the files of these days, or of all."""
        import obstore

        prefixes = [f"{self._place}/"] if days is None else [f"{self._place}/day={day}/" for day in days]
        with self._explained():
            listed = {
                str(meta["path"]): str(meta["e_tag"] or f"{meta['last_modified']}-{meta['size']}")
                for prefix in prefixes
                for chunk in obstore.list(self._objects, prefix)
                for meta in chunk
                if self._is_ours(str(meta["path"]))
            }
            unknown = self.index.differs(listed, days)
            if unknown:
                self.index.put(self._mapped(lambda path: self._read(path, listed[path]), unknown))

    def _is_ours(self, path: str) -> bool:
        rest = path.removeprefix(f"{self._place}/").split("/")
        return len(rest) == 2 and rest[0].startswith("day=") and len(rest[0]) == 14 and rest[1].endswith(self._name)

    def _read(self, path: str, e_tag: str) -> File:
        data = self.read(path)
        try:
            sets = self._contents(data) if data is not None else {}
        except (ValueError, LookupError, TypeError, OSError, EOFError):
            # Not one of ours, or half of one: its rows are written anew.
            logger.warning("projection %s: a file of %s cannot be read and is replaced", self._projection, self.target)
            sets = {}
        return File(path, path.rsplit("/", 2)[1].removeprefix("day="), e_tag, sets)

    def read(self, path: str) -> bytes | None:
        """A file's bytes; None where there is no such file."""
        import obstore

        with self._explained():
            try:
                return bytes(obstore.get(self._objects, path).bytes())
            except FileNotFoundError:
                return None

    def replace(
        self, changes: Sequence[tuple[str, str]], make: Callable[[str], tuple[bytes, Mapping[str, tuple[str, int]]]]
    ) -> None:
        """Put in files, each (path, day) made when its turn comes."""
        import obstore

        def put(change: tuple[str, str]) -> File:
            path, day = change
            data, sets = make(path)
            with self._explained():
                told = obstore.put(self._objects, path, data)
            return File(path, day, str(told["e_tag"]), sets)

        self.index.put(self._mapped(put, changes))

    def remove(self, paths: Sequence[str]) -> None:
        """Take files away."""
        import obstore

        with self._explained():
            for at in range(0, len(paths), 1000):
                try:
                    obstore.delete(self._objects, list(paths[at : at + 1000]))
                except FileNotFoundError:  # a local folder minds; what is gone is gone
                    for path in paths[at : at + 1000]:
                        self._remove(path)
        self.index.forget(paths)

    def _remove(self, path: str) -> None:
        import obstore

        try:
            obstore.delete(self._objects, path)
        except FileNotFoundError:
            return

    def _mapped[S, T](self, call: Callable[[S], T], items: Sequence[S]) -> list[T]:
        if len(items) == 1 or self._workers == 1:
            return [call(item) for item in items]
        with ThreadPoolExecutor(self._workers) as pool:
            return list(pool.map(call, items))

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the folder: nobody else changes it meanwhile. Waits for another's landing to end."""
        from redis.exceptions import LockError, RedisError

        lock = self._redis().lock(
            keys.folder_lock(self.target), timeout=LOCK_SECONDS, blocking_timeout=WAIT_SECONDS, thread_local=False
        )
        try:
            if not lock.acquire():
                raise DestinationUnavailable(
                    f"projection {self._projection}: another landing has held {self.target} for {WAIT_SECONDS} s; the "
                    "rows follow at the next try"
                )
        except RedisError:
            raise DestinationUnavailable(
                f"projection {self._projection}: Redis does not answer, so {self.target} cannot be held for writing; "
                "nothing was changed, the rows follow when it is back"
            ) from None
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LOCK_SECONDS / 3):
                try:
                    lock.reacquire()
                except RedisError:  # the next try, or the end of the lock
                    logger.warning("projection %s: the lock of %s was not renewed", self._projection, self.target)

        renewer = threading.Thread(target=renew, daemon=True)
        renewer.start()
        try:
            yield
        finally:
            done.set()
            renewer.join()
            try:
                lock.release()
            except (LockError, RedisError):
                logger.warning("projection %s: the lock of %s was gone already", self._projection, self.target)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors of the object store and of the memory as this room's."""
        try:
            with explained(self._objects):
                yield
        except ObjectsUnavailable as error:
            told = str(error).replace(SETTING, "the destination's option 'url'") if self._own_url else str(error)
            kind = DestinationUnavailable if error.transient else DestinationError
            raise kind(f"projection {self._projection}: {told}") from None
        except FileNotFoundError:
            raise DestinationUnavailable(
                f"projection {self._projection}: a file of {self.target} was taken away while it was read; the rows "
                "follow at the next try"
            ) from None
        except sqlite3.OperationalError as error:
            raise DestinationUnavailable(
                f"projection {self._projection}: the memory of {self.target} in the data folder cannot be used "
                f"({error}); is the disk full? The rows follow at the next try"
            ) from None


def found_on(stands: Sequence[Stand]) -> dict[str, list[Stand]]:
    """Stands by uuid."""
    found: dict[str, list[Stand]] = {}
    for each in stands:
        found.setdefault(each.uuid, []).append(each)
    return found
