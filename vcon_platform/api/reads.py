"""Who read what: one event in the ledger for each vCon, reader, kind of reading and hour.

Noted in memory and written to the ledger's outbox once a second, many in one go: an answer waits for nothing. A process
that is killed loses the notes of its last second. The event of an hour has the same id whoever writes it, so several
processes, and one that forgot what it wrote already, make one of it.

Belongs here: gathering. Not here: which routes are readings of a conversation (they say so), the ledger's shape.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from itertools import batched
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.store import keys
from vcon_platform.store.commits import event_array
from vcon_platform.store.connection import StoreUnavailable, explained

if TYPE_CHECKING:
    from redis import Redis

    from vcon_platform.access.caller import Caller

EVERY = 1.0
"""Seconds between two writings."""
HOUR = 3600
_ENTRY = 500
"""Events in one entry of the outbox."""
_MOST = 200_000
"""Readings that are remembered as told; after so many they are told again, to no effect."""
_NAMES = UUID("7f0c9a52-1d3e-4b7a-9a55-2c1f0e6b8d47")
_log = logging.getLogger(__name__)

type _Reading = tuple[str, str, str]
"""uuid, reader, what."""


class Reads:
    """Readings of this process. ``client`` gives Redis when there is something to write. Thread-safe."""

    def __init__(self, client: Callable[[], Redis], clock: Callable[[], float] = time.time) -> None:
        self._client = client
        self._clock = clock
        self._hour = 0
        self._told: set[_Reading] = set()
        self._waiting: list[tuple[_Reading, int]] = []
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def note(self, who: Caller, uuid: str, what: str = "document") -> None:
        """Somebody read this of a vCon."""
        reading = (uuid, who.alias, what)
        if reading in self._told and self._clock() < self._hour + HOUR:
            return
        self._note([reading])

    def note_all(self, who: Caller, uuids: Iterable[str], what: str) -> None:
        """Somebody read this of many."""
        self._note([(uuid, who.alias, what) for uuid in uuids])

    def _note(self, readings: list[_Reading]) -> None:
        with self._lock:
            now = self._clock()
            if now >= self._hour + HOUR or len(self._told) > _MOST:
                self._told.clear()
                self._hour = int(now // HOUR) * HOUR
            for reading in readings:
                if reading not in self._told:
                    self._told.add(reading)
                    self._waiting.append((reading, self._hour))
            if self._waiting and self._thread is None:
                self._thread = threading.Thread(target=self._write_on, name="reads", daemon=True)
                self._thread.start()

    def flush(self) -> None:
        """Write down what was noted so far. What Redis does not take waits for the next time."""
        with self._lock:
            readings, self._waiting = self._waiting, []
        if not readings:
            return
        done = 0
        try:
            with explained():
                for some in batched(readings, _ENTRY):
                    events = [_event(reading, hour) for reading, hour in some]
                    self._client().xadd(keys.OUTBOX, {"events": event_array(events)})
                    done += len(some)
        except StoreUnavailable as error:
            with self._lock:
                self._waiting = (readings[done:] + self._waiting)[:_MOST]
            _log.warning("readings could not be written down: %s", error)

    def _write_on(self) -> None:
        pause = threading.Event()  # never set
        while not pause.wait(EVERY):
            self.flush()
            with self._lock:
                if not self._waiting:
                    self._thread = None
                    return


def _event(reading: _Reading, hour: int) -> bytes:
    uuid, by, what = reading
    event_id = str(uuid5(_NAMES, f"{uuid} {by} {what} {hour}"))
    detail = {"by": by, "what": what}
    return LedgerEvent(vcon_uuid=uuid, event=EventKind.READ, detail=detail, event_id=event_id).to_bytes()
