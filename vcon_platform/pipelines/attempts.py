"""Trying a processor again within a run, while its fault is a passing one.

Belongs here: how often, and how long to wait. Not here: retries of the job, later (``settling.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError

from vcon_platform.errors import PlatformError

ATTEMPTS = 4
"""Tries of one processor on one conversation: waits of about 0.5, 1 and 2 s bridge a rate limit or a restart."""
LONGEST_WAIT = 60.0
"""Seconds that a run waits for a service that said how long; what takes longer is for a retry of the job."""


def try_again(
    attempt: Callable[[], None],
    error: PlatformError,
    *,
    wait: float,
    stop: threading.Event,
    may: Callable[[], bool] = lambda: True,
) -> None:
    """Repeat ``attempt``, whose first try ended with ``error``. ``wait``: seconds before the second try. ``may``: asked
    after each fault whether another try makes sense. Raises the last fault; once ``stop`` is set, it neither waits nor
    begins another try."""
    from tenacity import (
        RetryCallState,
        Retrying,
        retry_if_exception,
        sleep_using_event,
        stop_after_attempt,
        stop_when_event_set,
        wait_exponential_jitter,
    )

    exponential = wait_exponential_jitter(wait, max=30, jitter=wait)
    first = [error]

    def once() -> None:
        if first:  # it has been made already
            raise first.pop()
        if stop.is_set():
            raise CancelledError
        attempt()

    def pause(state: RetryCallState) -> float:
        asked = getattr(state.outcome.exception() if state.outcome else None, "retry_after", None) or 0.0
        return min(LONGEST_WAIT, max(exponential(state), asked))

    Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, PlatformError) and error.transient and may()),
        stop=stop_after_attempt(ATTEMPTS) | stop_when_event_set(stop),
        wait=pause,
        sleep=sleep_using_event(stop),
        reraise=True,
    )(once)
