"""Keeps a batch's lease alive while a run works on it, and tells the run when it has lost it."""

from __future__ import annotations

import logging
import threading
from types import TracebackType
from typing import Self

from vcon_platform.errors import PlatformError
from vcon_platform.store.leases import Queues

logger = logging.getLogger(__name__)


class LeaseLost(PlatformError):
    """The lease ended while the run was stalled; another run has the jobs. Nothing more is done or committed here."""


class LeaseKeeper:
    """Beats every ``interval`` seconds in a thread of its own, from ``start`` to ``stop``.

    A beat that fails because Redis is away is only logged: the lease may outlive the outage, and if it does not, the
    commit is fenced anyway.
    """

    def __init__(self, queues: Queues, batch_id: str, owner: str, interval: float) -> None:
        self._queues = queues
        self._batch_id = batch_id
        self._owner = owner
        self._interval = interval
        self._over = threading.Event()
        self._lost = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"lease-{batch_id[:8]}", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Begin to beat."""
        self._thread.start()

    def stop(self) -> None:
        """Stop beating; the lease itself is ended by settling or handing back."""
        self._over.set()

    def check(self) -> None:
        """Raise :class:`LeaseLost` if the lease is somebody else's by now."""
        if self._lost.is_set():
            raise LeaseLost(
                f"batch {self._batch_id}: the lease ended while this run was stalled; its jobs are back in their "
                "queue or with another run. Nothing is lost. Raise VCON_LEASE_SECONDS if runs stall often."
            )

    def _beat(self) -> None:
        import redis

        while not self._over.wait(self._interval):
            try:
                if not self._queues.beat(self._batch_id, owner=self._owner):
                    self._lost.set()
                    return
            except redis.RedisError as error:
                logger.warning("batch %s: no heartbeat (%s)", self._batch_id, type(error).__name__)
