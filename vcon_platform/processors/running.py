"""Calling a processor, whichever way it is written: ``def process`` or ``async def process``.

Belongs here: that one call; steps, processes with a time limit, direct runs, simulations and the standard tests all
make it by :func:`run`, so a processor behaves the same in each. Not here: what its answer or error means
(``pipelines/steps.py``).

A coroutine runs in the thread that works on the conversation, in an event loop of its own that ends with it. So an
asynchronous processor needs nothing of the platform, blocks nobody but its own conversation if it blocks, and leaves no
task behind. It costs less than half a millisecond per conversation, and nothing that belongs to an event loop (a
client) can be kept from one conversation to the next: open it inside ``process``.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable
from typing import Any

from vcon_platform.processors.base import PermanentError, Processor, ProcessorIO, ProcessorOptions


class Cancelled(PermanentError):
    """An asynchronous processor let the cancellation of one of its own tasks through."""

    code = "cancelled"


def run(processor: Processor[Any], io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
    """Let ``processor`` do its work on one conversation. Raises what it raises.

    Whatever it gives back is handed on unseen: that it is a ProcessorIO is for the caller to check.
    """
    answer = processor.process(io, options)
    return _finished(answer, processor.name) if inspect.isawaitable(answer) else answer


def _finished(answer: Awaitable[ProcessorIO], name: str) -> ProcessorIO:
    """What an awaitable comes to."""
    import asyncio
    from concurrent.futures import ThreadPoolExecutor

    async def awaited() -> ProcessorIO:
        return await answer

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:  # whoever calls us is a coroutine itself (a notebook): its loop cannot run ours, another thread can
        with ThreadPoolExecutor(1) as other:
            return other.submit(_finished, answer, name).result()
    try:
        return asyncio.run(awaited())
    except asyncio.CancelledError:  # no Exception: it would end the whole batch and not this conversation
        raise Cancelled(
            f"processor {name} was cancelled from within: it awaited a task that was cancelled, and must catch that"
        ) from None
