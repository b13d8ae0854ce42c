"""Processors with a time limit work in processes of their own, because nothing else stops a call that blocks.

Belongs here: those processes, and what their end means for a conversation. Not here: which steps have a limit and how
long it is (``steps.py``), what happens inside (``timed_child.py``).

A conversation costs 0.4 to 0.8 ms more than in the run's own process (on two shared cores), and the first one a second
or two: that is when the server starts from which the processes are forked (never the run itself, which has
threads). What is lent to processors (recordings, the result cache) is opened in the process when a processor asks for
it. A process ends itself by an alarm of the system when its time is up, so that it does so in native code too, and
though its parent be dead; what it imports before that is not counted.
"""

from __future__ import annotations

import atexit
import logging
import multiprocessing
import os
import signal
import threading
from concurrent.futures import CancelledError
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.pipelines import enveloped, timed_child
from vcon_platform.pipelines.batch import Batch
from vcon_platform.pipelines.threads import result_of
from vcon_platform.pipelines.timed_child import Task
from vcon_platform.processors.base import (
    Effect,
    NotApplicable,
    PermanentError,
    ProcessorIO,
    QueuedJob,
    Recorded,
    TransientError,
)
from vcon_platform.vcon.document import Vcon, change_from_json

if TYPE_CHECKING:
    from pebble import ProcessFuture, ProcessPool

logger = logging.getLogger(__name__)

MOST_PROCESSES = 32
"""At once, for processors that wait for the network: a process has 20 to 35 MB of its own."""

_PRELOAD = ("vcon_platform.pipelines.timed_child", "vcon_platform.store.opening", "redis", "obstore")


class TookTooLong(PermanentError):
    """A processor was stopped because its time was up."""

    code = "timeout"


class WorkerDied(PermanentError):
    """A processor's process ended by itself (out of memory, a crash in native code)."""

    code = "worker_died"


class NoProcess(PlatformError):
    """The processes cannot be started, or were lost."""

    transient = True


class Unforeseen(Exception):
    """A processor raised what is no PlatformError; ``name`` is its class, the trace is in the log."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def processes(network: bool, concurrency: int, waiting: int) -> int:
    """How many processes work on a step at once."""
    return max(1, min(waiting, concurrency, MOST_PROCESSES) if network else min(waiting, os.cpu_count() or 1))


class TimedWorkers:
    """Processes that lend what ``lending`` (pickled) opens, started when first needed. Thread-safe. One for all engines
    of a process that lend the same: :func:`workers_for`."""

    def __init__(self, lending: bytes) -> None:
        self._lending = lending
        self._lock = threading.Lock()
        self._pool: ProcessPool | None = None
        self._size = 0

    def process(
        self, io: ProcessorIO, task: Task, *, size: int, running: set[ProcessFuture[bytes]], name: str
    ) -> tuple[ProcessorIO, float]:
        """Have the task done in a process, one of at least ``size``, and give what came of it and the seconds it
        took. ``running`` holds the future meanwhile; cancelling that one kills the process. Raises what the processor
        raised (:class:`Unforeseen` for what is no PlatformError), :class:`TookTooLong`, :class:`WorkerDied`."""
        from pebble import ProcessExpired

        future: ProcessFuture[bytes] | None = None
        try:
            future = self._pool_of(size).schedule(timed_child.run, args=(task,), timeout=task.limit + timed_child.GRACE)
            running.add(future)
            raw = result_of(future)
        except TimeoutError:
            raise _too_long(name, task) from None
        except ProcessExpired as expired:
            if expired.exitcode == -signal.SIGALRM:
                raise _too_long(name, task) from None
            raise WorkerDied(
                f"the process of processor {name} died (exit code {expired.exitcode}) at this conversation; the "
                "others went on. Out of memory, or a crash in native code: the system's log knows"
            ) from None
        except CancelledError:
            raise
        except Exception as error:  # of the processes, not of the processor: begin with new ones next time
            self.stop()
            raise NoProcess(
                f"processor {name} has a time limit, and no process could be had for it ({type(error).__name__})"
            ) from error
        except BaseException:  # the run is cancelled
            if future is not None:
                future.cancel()  # type: ignore[no-untyped-call]
            raise
        finally:
            if future is not None:
                running.discard(future)
        answer = orjson.loads(raw)
        if "error" in answer:
            raise _raised(answer, name)
        return _applied(io, answer), answer["seconds"]

    def stop(self) -> None:
        """End all processes, whatever they are at."""
        with self._lock:
            pool, self._pool, self._size = self._pool, None, 0
        if pool is not None:
            pool.stop()  # type: ignore[no-untyped-call]
            pool.join()

    def _pool_of(self, size: int) -> ProcessPool:
        """The processes, at least so many: more replace fewer, who still finish what they have begun."""
        with self._lock:
            if self._pool is None or self._size < size:
                if self._pool is not None:
                    self._pool.close()  # type: ignore[no-untyped-call]
                    threading.Thread(target=self._pool.join, daemon=True).start()
                self._size = 1 << (size - 1).bit_length()
                self._pool = self._started(self._size)
            return self._pool

    def _started(self, size: int) -> ProcessPool:
        from pebble import ProcessPool

        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(_PRELOAD))
        return ProcessPool(
            size, initializer=timed_child.begin, initargs=(self._lending, dict(os.environ)), context=context
        )


_shared: dict[bytes, TimedWorkers] = {}


def workers_for(lending: bytes) -> TimedWorkers:
    """The processes of this process that lend this (a pickled :data:`~timed_child.Lending`)."""
    return _shared.setdefault(lending, TimedWorkers(lending))


@atexit.register
def _stop_all() -> None:
    for workers in _shared.values():
        workers.stop()


def task_of(io: ProcessorIO, what: bytes, limit: float, batch: Batch) -> Task:
    """The conversation as it goes to a process."""
    return Task(
        what=what,
        vcons=tuple((vcon.to_bytes(), vcon.revision, vcon.commit, vcon.sealed, vcon.envelope) for vcon in io.vcons),
        parameters=orjson.dumps(io.parameters),
        pipeline=io.context.pipeline,
        pipeline_version=io.context.pipeline_version,
        job_id=io.job_id,
        position=io.position,
        input_index=io.input_index,
        limit=limit,
        budget=batch.options.budget if batch.options else None,
        batch_id=batch.id,
        run_id=batch.owner,
    )


def _too_long(name: str, task: Task) -> TookTooLong:
    return TookTooLong(
        f"processor {name} took longer than {task.limit:g} s and was stopped; raise its processor_options.timeout or "
        "the pipeline_options.timeout, whichever is nearer"
    )


def _raised(answer: dict[str, Any], name: str) -> Exception:
    message, code = answer["message"], answer["code"]
    match answer["error"]:
        case "not_applicable":
            return NotApplicable(message)
        case "transient":
            error: TransientError | PermanentError = TransientError(message, retry_after=answer["retry_after"])
        case "permanent":
            error = PermanentError(message)
        case _:
            logger.error("processor %s failed in its process:\n%s", name, answer["trace"])
            return Unforeseen(code)
    error.code = code
    return error


def _applied(io: ProcessorIO, answer: dict[str, Any]) -> ProcessorIO:
    """The conversation with what the process made of it."""
    for vcon, changes, form in zip(io.vcons, answer["changes"], answer["forms"], strict=False):
        if form is not None:
            enveloped.take_up(vcon, form)
        for change in changes:
            vcon.apply(change_from_json(change))
    for data, form in zip(answer["added"], answer["added_forms"], strict=True):
        io.add(Vcon(data) if form is None else enveloped.enveloped(Vcon(data), form))
    io.parameters = answer["parameters"]
    io.dropped = answer["dropped"]
    io.queued += [QueuedJob(**{**each, "vcon_uuids": tuple(each["vcon_uuids"])}) for each in answer["queued"]]
    io.effects += [Effect(**each) for each in answer["effects"]]
    io.recorded += [Recorded(**each) for each in answer["recorded"]]
    return io
