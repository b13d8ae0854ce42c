"""Many conversations at once in threads that nobody has to wait for.

Why not ``ThreadPoolExecutor``: Python joins its threads before the process may end, so one call that never comes back
would keep a cancelled run alive. These are daemons.

Why no wait here is longer than :data:`NOTICED`: a signal that comes after Python last looked for one, and before the
main thread sleeps, wakes nobody. "Terminate" would be noticed when the next result comes, which may be never.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future

NOTICED = 0.5
"""Seconds after which a caller that waits has noticed a signal."""


def in_threads[T, R](
    work: Callable[[T], R], items: Sequence[T], *, threads: int, name: str, stop: threading.Event
) -> Iterator[R]:
    """The results of ``work`` for each item, as they come. What ``work`` raises is raised here, and what has not begun
    then, or when the caller is interrupted, does not begin; what has begun is left alone, with ``stop`` set."""
    results: SimpleQueue[tuple[R | None, BaseException | None]] = SimpleQueue()
    source = iter(items)
    turn = threading.Lock()

    def run() -> None:
        while not stop.is_set():
            with turn:
                item = next(source, _END)
            if item is _END:
                return
            try:
                results.put((work(item), None))  # type: ignore[arg-type]  # it is a T
            except BaseException as error:  # raised where the results are read
                results.put((None, error))

    try:
        for number in range(min(threads, len(items))):
            threading.Thread(target=run, name=f"{name}-{number}", daemon=True).start()
        for _ in items:
            result, error = _next(results)
            if error is not None:
                raise error
            yield result  # type: ignore[misc]  # there is one where there is no error
    finally:
        stop.set()


def result_of[R](future: Future[R]) -> R:
    """The future's result, for a caller who may be interrupted meanwhile. Raises what it raises."""
    from concurrent.futures import wait

    while not wait([future], timeout=NOTICED).done:
        pass
    return future.result()


def _next[T](queue: SimpleQueue[T]) -> T:
    while True:
        try:
            return queue.get(timeout=NOTICED)
        except Empty:
            continue


_END = object()
