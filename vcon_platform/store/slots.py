"""Slots: at most N at once in a pool, across all processes of all machines.

Belongs here: counting holders. Not here: which processor belongs to which pool (the processor says that), Dagster's own
pools (they count steps; what a provider limits is calls).

A slot has an end. One thread of each process moves the ends of the slots that it holds, so a process that dies frees
them by doing nothing, and a call that takes long keeps its own. Who waits asks again after a short time with jitter;
that is fair enough where calls take a second, and there is no queue that a dead waiter could stand in.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from vcon_platform.store import keys, scripts
from vcon_platform.store.connection import StoreUnavailable, explained
from vcon_platform.vcon.uuids import new_uuid

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

FIRST_WAIT = 0.01
LONGEST_WAIT = 0.25
"""Seconds between two looks for a free slot; half of it on average."""


class Slots:
    """The pools of one installation. ``limits``: pool to how many may hold a slot at once; ``others``: the same for
    every pool that is not named (None: no limit). ``expiry``: seconds after which the slots of a process that died are
    free."""

    def __init__(
        self, client: Redis, limits: Mapping[str, int], *, others: int | None = None, expiry: float = 30.0
    ) -> None:
        self._client = client
        self._limits = dict(limits)
        self._others = others
        self._expiry_ms = max(1, int(expiry * 1000))
        self._slot = scripts.script(client, "slot")
        self._held: dict[str, str] = {}
        self._lock = threading.Lock()
        self._renewer: threading.Thread | None = None

    @contextmanager
    def slot(self, pool: str | None, *, give_up: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Hold a slot of a pool while the block runs; waits for one. ``give_up`` is asked between two looks: once it is
        true the block runs without a slot and is told False. Raises StoreUnavailable."""
        if pool is None or (most := self._limits.get(pool, self._others)) is None:
            yield True
            return
        holder = new_uuid()
        wait = FIRST_WAIT
        while not self._take(pool, holder, most):
            if give_up():
                yield False
                return
            time.sleep(random.uniform(0, wait))  # noqa: S311 - others want a turn
            wait = min(LONGEST_WAIT, wait * 1.5)
        with self._lock:
            self._held[holder] = pool
            self._keep_renewing()
        try:
            yield True
        finally:
            with self._lock:
                del self._held[holder]
            try:  # what was done while it was held must not be lost for this: the slot ends by itself
                with explained():
                    self._client.zrem(keys.pool(pool), holder)
            except StoreUnavailable as error:
                logger.warning("pool %s: a slot was not given back, and ends by itself (%s)", pool, error)

    def held(self, pool: str) -> int:
        """How many hold a slot of a pool now."""
        with explained():
            seconds, micros = self._client.time()
            return self._client.zcount(keys.pool(pool), seconds * 1000 + micros // 1000, "+inf")

    def _take(self, pool: str, holder: str, most: int) -> bool:
        with explained():
            return bool(self._slot(keys=[keys.pool(pool)], args=[most, holder, self._expiry_ms]))

    def _keep_renewing(self) -> None:
        """Start the thread that moves the ends; it stops by itself when nothing has been held for a while."""
        if self._renewer is None or not self._renewer.is_alive():
            self._renewer = threading.Thread(target=self._renew, name="slots", daemon=True)
            self._renewer.start()

    def _renew(self) -> None:
        while True:
            time.sleep(self._expiry_ms / 3000)
            with self._lock:
                held = dict(self._held)
                if not held:
                    self._renewer = None
                    return
            for holder, pool in held.items():
                try:
                    self._extend(pool, holder)
                except Exception as error:  # the next round tries again; the slot has two more before it ends
                    logger.warning("pool %s: a slot was not prolonged (%s)", pool, type(error).__name__)

    def _extend(self, pool: str, holder: str) -> None:
        """Move the end of a slot; one that was given back meanwhile, or that ran out, is left alone."""
        seconds, micros = self._client.time()
        end = seconds * 1000 + micros // 1000 + self._expiry_ms
        pipeline = self._client.pipeline(transaction=True)
        pipeline.zadd(keys.pool(pool), {holder: end}, xx=True)
        pipeline.pexpire(keys.pool(pool), 2 * self._expiry_ms)
        pipeline.execute()
