"""Direct runs in Dagster: counts per pipeline, told as one materialisation of its asset every few seconds at most.

An event per conversation would fill Dagster's tables (reference/dagster.md), so they are counted here and told in bulk,
through the webserver's own endpoint for work that happened elsewhere: that needs no import of Dagster, which costs
seconds, and works from the API, the command line and any other process alike. The ledger has each conversation; this
is what the asset's page shows. So an outage of Dagster fails nothing: what could not be told is told with the next.

Belongs here: counting and telling. Not here: what a direct run is (``pipelines/direct.py``).
"""

from __future__ import annotations

import atexit
import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping

from vcon_platform.errors import PlatformError

logger = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two reports of one process, at least."""

Report = Callable[[str, Mapping[str, int]], None]
"""Tells Dagster of a pipeline's counts. Raises :class:`PlatformError` when it cannot."""


class DirectRecord:
    """Counts direct runs by pipeline and ending, and reports them from a thread of its own. Used by many threads."""

    def __init__(self, report: Report, interval: float = INTERVAL) -> None:
        self._report = report
        self._interval = interval
        self._counts: dict[str, Counter[str]] = {}
        self._lock = threading.Lock()
        self._reporting = threading.Lock()
        self._due = threading.Event()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, pipeline: str, ending: str) -> None:
        """Count one run. Returns at once."""
        with self._lock:
            self._counts.setdefault(pipeline, Counter())[ending] += 1
            if self._thread is None and not self._stop.is_set():
                self._thread = threading.Thread(target=self._loop, name="direct-record", daemon=True)
                self._thread.start()
                atexit.register(self.close)
        self._due.set()

    def flush(self) -> bool:
        """Report what was counted so far; False if some of it could not be told (it is kept)."""
        with self._reporting:
            with self._lock:
                taken, self._counts = self._counts, {}
            told = True
            for pipeline, counts in taken.items():
                try:
                    self._report(pipeline, counts)
                except PlatformError as error:
                    told = False
                    logger.info("direct runs of %s are not in Dagster yet: %s", pipeline, error)
                    with self._lock:
                        self._counts.setdefault(pipeline, Counter()).update(counts)
            return told

    def close(self) -> None:
        """Report once more, and end the thread."""
        self._stop.set()
        self._due.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._interval)
        self.flush()

    def _loop(self) -> None:
        while not self._stop.is_set():
            self._due.wait()
            self._due.clear()
            if self._stop.wait(self._interval):
                return
            if not self.flush():
                self._due.set()


def reported_to(url: str) -> Report:
    """Reports to the Dagster webserver at ``url``."""

    def report(pipeline: str, counts: Mapping[str, int]) -> None:
        from vcon_platform.services.dagster_client import DagsterClient

        metadata: dict[str, int | str] = {"lane": "direct", "conversations": sum(counts.values()), **counts}
        DagsterClient(url, timeout=5.0).report_materialization(("pipelines", pipeline), metadata)

    return report
