"""Requests that come at the same time are served together: one thread, one round trip for all of them.

Whoever comes while a group is being served is in the next; whoever comes alone waits for nobody. Where many wait, the
next group begins while the one before it waits for Redis and the archive. A document that is posted alone costs a
thread's turn, an object of the archive and a round trip to Redis of its own; of a group of fifty each costs a fiftieth
of that. So a group begins when the loop has read all that had come, and not with the first of it; and nobody begins
a small one while another is under way: many small groups cost more than a few large ones.

Belongs here: who is in which group, and that each gets its own answer. Not here: what is done (``parts.py``).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from vcon_platform.errors import PlatformError

MOST = 32
"""Requests in one group. With more of them fewer groups are under way, and while those wait nobody works."""
AT_ONCE = 4
"""Groups that are served at once, a second and more only where there are enough of them."""
ENOUGH = 8
"""Requests that are worth another group; fewer would be better off in a larger one."""


@dataclass(slots=True)
class _Waiting[Asked, Answer]:
    asked: Asked
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Answer]


class Gathered[Asked, Answer]:
    """``serve`` is given what some requests ask for and gives an answer, or an error, for each, in their order; it runs
    in threads of its own. Where it raises, those that have no answer yet are served one by one, so that nobody is
    harmed by a neighbour, until two in a row fail on what is not theirs (Redis is away)."""

    def __init__(self, name: str, serve: Callable[[Sequence[Asked]], Iterable[Answer | Exception]]) -> None:
        self._serve = serve
        self._waiting: deque[_Waiting[Asked, Answer]] = deque()
        self._lock = threading.Lock()
        self._busy = 0
        self._called: asyncio.AbstractEventLoop | None = None  # which will begin a group in a moment
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix=name)

    async def ask(self, asked: Asked) -> Answer:
        """The answer to this one. Raises its error."""
        loop = asyncio.get_running_loop()
        waiting: _Waiting[Asked, Answer] = _Waiting(asked, loop, loop.create_future())
        with self._lock:
            self._waiting.append(waiting)
            call = self._called is not loop and self._is_time()
            if call:
                self._called = loop
        if call:
            loop.call_soon(self._begin)
        return await waiting.future

    def _is_time(self) -> bool:
        """Whether another thread should serve a group."""
        return self._busy == 0 or (self._busy < AT_ONCE and len(self._waiting) >= ENOUGH)

    def _begin(self) -> None:
        with self._lock:
            self._called = None
            begin = bool(self._waiting) and self._is_time()
            self._busy += begin
        if begin:
            self._threads.submit(self._work)

    def _work(self) -> None:
        while True:
            with self._lock:
                count = len(self._waiting)
                if not count or (self._busy > 1 and count < ENOUGH):  # another thread is there for those
                    self._busy -= 1
                    return
                group = [self._waiting.popleft() for _ in range(min(MOST, count))]
            _tell(group, self._answers([each.asked for each in group]))

    def _answers(self, group: Sequence[Asked]) -> list[Answer | Exception]:
        answers: list[Answer | Exception] = []
        failure = self._into(answers, group)
        if failure is None:
            return answers
        if len(group) == 1:
            return [failure]
        in_a_row = 0
        for each in group[len(answers) :]:
            if in_a_row == 2:
                answers.append(failure)
                continue
            told: list[Answer | Exception] = []
            alone = self._into(told, [each])
            in_a_row = in_a_row + 1 if isinstance(alone, PlatformError) else 0
            failure = alone or failure
            answers.append(alone if alone is not None else told[0])
        return answers

    def _into(self, answers: list[Answer | Exception], group: Sequence[Asked]) -> Exception | None:
        try:
            answers.extend(self._serve(group))
        except Exception as error:  # whatever it is, whoever waits must hear of it
            return error
        return None


def _tell[Asked, Answer](group: Sequence[_Waiting[Asked, Answer]], answers: Sequence[Answer | Exception]) -> None:
    """One call into each loop for all that wait there."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Answer], Answer | Exception]]] = {}
    for each, answer in zip(group, answers, strict=True):
        by_loop.setdefault(each.loop, []).append((each.future, answer))
    for loop, told in by_loop.items():
        try:
            loop.call_soon_threadsafe(_set, told)
        except RuntimeError:  # the loop has ended, and with it those who waited
            continue


def _set[Answer](told: Sequence[tuple[asyncio.Future[Answer], Answer | Exception]]) -> None:
    for future, answer in told:
        if future.done():  # whoever waited hung up
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
