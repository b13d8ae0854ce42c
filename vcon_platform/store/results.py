"""The result cache: what cost money or minutes once is not bought twice: not by a retry, not by a backfill, and not by
two conversations with the same recording that are worked on at once, in whichever processes.

Belongs here: keeping results, and letting one buy while the others wait for what it gets. Not here: what may be bought
(``pipelines/purchases.py``), what names a result (each processor says).

Who buys holds a slot of the result's own pool (``slots.py``): a process that dies while it buys frees it within half a
minute, and one of those who wait buys in its place. If buying fails, each of them tries for itself, one after the
other: the failure of one says nothing of the next.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys
from vcon_platform.store.connection import StoreUnavailable, explained
from vcon_platform.store.slots import Slots

if TYPE_CHECKING:
    from redis import Redis

logger = logging.getLogger(__name__)

KEEP_SECONDS = 30 * 24 * 3600
"""Long enough for a backfill that is repeated after somebody looked at its first result."""
WAIT_SECONDS = 3600.0
"""For how long somebody waits for what another one is buying: longer than a long recording takes."""


class BoughtElsewhere(PlatformError):
    """The same result has been under way in another place for too long. Worth another try later."""

    transient = True


class StoredResults:
    """A ``ResultCache`` in Redis. Values are JSON. Thread-safe."""

    def __init__(
        self,
        client: Redis,
        keep_seconds: int = KEEP_SECONDS,
        *,
        wait_seconds: float = WAIT_SECONDS,
        expiry: float = 30.0,
    ) -> None:
        self._client = client
        self._keep_seconds = keep_seconds
        self._wait_seconds = wait_seconds
        self._buyers = Slots(client, {}, others=1, expiry=expiry)

    def get_or_compute(self, parts: tuple[str, ...], compute: Callable[[], Any]) -> Any:
        """The value kept under ``parts``, else computed now and kept before it is given. While somebody else computes
        it, waits for what they get. Raises what ``compute`` raises, :class:`StoreUnavailable` (then nothing was
        computed) and :class:`BoughtElsewhere`."""
        digest = _digest(parts)
        key = keys.result(digest)
        found = self._kept(key)
        if found is not None:
            return orjson.loads(found)
        deadline = time.monotonic() + self._wait_seconds

        def give_up() -> bool:
            nonlocal found
            found = self._kept(key)
            return found is not None or time.monotonic() > deadline

        with _passing(), self._buyers.slot(f"result:{digest}", give_up=give_up) as held:
            if held:
                found = self._kept(key)  # somebody may have bought it between our look and now
                if found is None:
                    found = self._computed(key, compute)
        if found is None:
            raise BoughtElsewhere(
                f"the same result has been under way for another conversation for more than {self._wait_seconds:g} s; "
                "this one is tried again later"
            )
        return orjson.loads(found)

    def kept(self, parts: tuple[str, ...]) -> bytes | None:
        """The JSON kept under ``parts``, if any. Writes nothing. Raises :class:`StoreUnavailable`."""
        return self._kept(keys.result(_digest(parts)))

    def _kept(self, key: str) -> bytes | None:
        with _passing(), explained():
            return cast("bytes | None", self._client.get(key))

    def _computed(self, key: str, compute: Callable[[], Any]) -> bytes:
        value = orjson.dumps(compute())
        try:
            with explained():
                self._client.set(key, value, ex=self._keep_seconds)
        except StoreUnavailable as error:  # it is paid for: whoever has it may still come through with it
            logger.warning("a result was bought and could not be kept: %s", error)
        return value


def _digest(parts: tuple[str, ...]) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


@contextmanager
def _passing() -> Iterator[None]:
    """A Redis that is away comes back: the conversation is tried again."""
    try:
        yield
    except StoreUnavailable as error:
        error.transient = True
        raise
