"""Many conversations at once in threads that nobody has to wait for.

Why not ``ThreadPoolExecutor``: Python joins its threads before the process may end, so one call that never comes back
would keep a cancelled run alive. These are daemons.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from queue import SimpleQueue


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
            result, error = results.get()
            if error is not None:
                raise error
            yield result  # type: ignore[misc]  # there is one where there is no error
    finally:
        stop.set()


_END = object()
