"""An interrupt is noticed though it woke nobody, as one does that comes just before the main thread sleeps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from vcon_platform.pipelines.threads import in_threads, result_of


class Interrupted(Exception):
    pass


def interrupted_soon_waking_nobody() -> None:
    """Python handles signals in the main thread, and the system wakes the timer's."""
    threading.Timer(0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)).start()


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    def handler(*_: object) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, handler)
    yield
    signal.signal(signal.SIGUSR1, before)


def test_an_interrupt_is_noticed_while_results_are_awaited() -> None:
    released = threading.Event()
    waited: list[bool] = []
    interrupted_soon_waking_nobody()
    try:
        with pytest.raises(Interrupted):
            list(
                in_threads(lambda _: waited.append(released.wait(30)), [1], threads=1, name="t", stop=threading.Event())
            )
        assert not waited
    finally:
        released.set()


def test_an_interrupt_is_noticed_while_a_future_is_awaited() -> None:
    future: Future[bool] = Future()
    late = threading.Timer(30, future.set_result, [True])
    late.start()
    interrupted_soon_waking_nobody()
    try:
        with pytest.raises(Interrupted):
            result_of(future)
        assert not future.done()
    finally:
        late.cancel()


def test_a_future_gives_what_it_came_to() -> None:
    future: Future[int] = Future()
    threading.Timer(0.01, future.set_result, [7]).start()
    assert result_of(future) == 7
