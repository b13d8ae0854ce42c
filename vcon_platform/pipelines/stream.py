"""The stream lane: one long-lived run that takes jobs as they come, in micro-batches, milliseconds after they came.

The same engine, leases, ledger and queues as the batch lane; only the walk is another. Knows nothing of Dagster:
``orchestration/stream_job.py`` gives it to a run's op. How it works:

- Workers take turns to look for jobs, so that one of them polls and the others work or sleep. A pipeline that computes
  has one worker and micro-batches of ``stream_batch``: more would only share the interpreter's lock. One that waits for
  the network has so many workers and such small micro-batches that ``concurrency`` conversations are in flight, each
  going its own way: none waits until the slowest of a large batch has its answer.
- The caller's thread only waits and reports, so that an interrupt ("Terminate" in the UI) finds it at once, and never
  in the middle of a command to Redis. Then workers stop at the next step and what is in hand goes back to the front.
- A worker that hangs in somebody else's server cannot be stopped; its jobs go back all the same, and the fence around
  every commit keeps it from settling them a second time.
- Redis may be away for a while: everything waits for it. What was leased stays leased for as long as the lease lasts.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields

from vcon_platform.errors import trace_of
from vcon_platform.pipelines.batch import Batch
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.engine import Engine, Settled
from vcon_platform.pipelines.feeding import fan_out
from vcon_platform.pipelines.latency import Latencies
from vcon_platform.pipelines.succession import PROVEN_SECONDS, Life, Streams, why_leave
from vcon_platform.store.connection import StoreUnavailable

logger = logging.getLogger(__name__)

WORKERS = 2
"""Without processors that wait for the network: while Redis works for one micro-batch, the other one is computed."""
SWITCH_SECONDS = 0.0005
"""How long a thread may keep the interpreter while another one waits for it (``sys.setswitchinterval``): with Python's
5 ms, a worker that has Redis' answer waits longer for its turn than Redis needed. The run's process sets it."""
MOST_WORKERS = 64
"""Micro-batches in flight; beyond that they grow instead, because each costs some round trips."""
SHORTEST_POLL, LONGEST_POLL = 0.02, 0.05
"""Seconds between two looks at an empty queue."""
FEED_SECONDS = 0.05
BEAT_SECONDS = 1.0
REPORT_SECONDS = 30.0
NAMED_FAILURES = 50
FAULT_SECONDS = 1.0
"""Pause after a fault of our own, so that it is not repeated a hundred times a second."""
CANCEL_SECONDS = 0.5
"""So long a cancelled run waits for its workers before it gives back what they hold."""
CANCEL_DELIVERY_SECONDS = 5.0
"""So long it waits for a mail that is just being sent."""
DELIVERED_AT_ONCE = 4
FIRST_BACKOFF, LONGEST_BACKOFF = 0.1, 2.0


@dataclass(slots=True)
class StreamReport:
    """What a stream did in a stretch of time. ``failures`` names the first fifty conversations that failed."""

    settled: Settled = field(default_factory=Settled)
    latencies: Latencies = field(default_factory=Latencies)
    """From entering the queue to the end of the commit."""
    batches: int = 0
    abandoned: int = 0
    """Micro-batches given up because of a fault of our own; their jobs went back to the queue."""

    def happened(self) -> bool:
        """True if there is anything to tell."""
        return bool(self.batches or self.abandoned)

    def add(self, settled: Settled, queued_at: Sequence[float]) -> None:
        """One more micro-batch."""
        self.batches += 1
        _merge(self.settled, settled)
        now = time.time()
        for at in queued_at:
            self.latencies.add(now - at)

    def merge(self, other: StreamReport) -> None:
        """All that another stretch had."""
        self.batches += other.batches
        self.abandoned += other.abandoned
        _merge(self.settled, other.settled)
        self.latencies.merge(other.latencies)


def _merge(into: Settled, other: Settled) -> None:
    """Add figures to figures; of what is kept by conversation only the first ones."""
    for each in fields(Settled):
        mine, more = getattr(into, each.name), getattr(other, each.name)
        if isinstance(mine, Counter):
            mine.update(more)
        elif isinstance(mine, dict):
            mine.update({key: more[key] for key in list(more)[: max(0, NAMED_FAILURES - len(mine))]})
        else:
            setattr(into, each.name, mine + more)


class Stream:
    """One run of a stream pipeline. ``feeds``: the feeds of this pipeline with all that list them. ``redrive``: earlier
    runs whose dead jobs are taken up first."""

    def __init__(
        self,
        engine: Engine,
        definition: Definition,
        streams: Streams,
        *,
        run_id: str,
        lease_seconds: float,
        feeds: Mapping[str, Sequence[Definition]] | None = None,
        redrive: set[str] | None = None,
        report_seconds: float = REPORT_SECONDS,
    ) -> None:
        self._engine = engine
        self._definition = definition
        self._streams = streams
        self._run_id = run_id
        self._lease_beat = max(0.5, lease_seconds / 4)
        self._feeds = feeds or {}
        self._redrive = redrive or set()
        self._report_seconds = report_seconds
        options = definition.options
        network = any(step.processor.waits(step.options) for step in definition.steps)
        self._workers = min(MOST_WORKERS, options.concurrency) if network else WORKERS
        share = math.ceil(options.concurrency / self._workers) if network else options.stream_batch
        self._limit = min(options.stream_batch, share)
        self._turn = threading.Lock()
        self._count = 0
        self._fed_at = 0.0
        self._state = threading.Lock()
        self._in_hand: dict[str, int] = {}  # batch id to its number
        self._lost: set[str] = set()
        self._since_report = StreamReport()
        self._working = 0
        self._all_ended = threading.Event()
        self._leaving = threading.Event()  # nothing more is leased
        self._cancelled = threading.Event()  # what is in hand is given back
        self._over = threading.Event()  # the threads that serve the workers end
        self._to_deliver = threading.Event()
        self.why_left = ""

    def work(self, report: Callable[[StreamReport], None]) -> StreamReport:
        """Work until it is time to leave, and give the figures of the whole. ``report`` is called now and then with
        the figures since it was called last; if it raises, they are told later. Whatever interrupts this thread ends
        the work within a second, and nothing stays in hand."""
        life = self._patiently(lambda: self._streams.announce(self._name, self._run_id, self._definition.version))
        total = StreamReport()
        workers = [self._thread(self._worker, f"stream-{number}") for number in range(self._workers)]
        servants = [self._thread(self._beat, "stream-beat", life), self._thread(self._deliver, "stream-deliver")]
        self._working = len(workers)
        well = False
        try:
            for thread in (*servants, *workers):
                thread.start()
            while not self._all_ended.wait(self._report_seconds):
                self._report(report, total)
            well = True
        except BaseException:
            self._cancel()
            raise
        finally:
            self._over.set()
            self._to_deliver.set()
            with suppress(Exception):  # Redis may be away; the announcement grows stale by itself
                self._streams.leave(self._name, self._run_id, well=well)
            # What is being sent is sent to its end: else nobody knows whether it was.
            if servants[1].is_alive():
                servants[1].join(None if well else CANCEL_DELIVERY_SECONDS)
        self._report(report, total, last=True)
        return total

    def leave(self, why: str) -> None:
        """Lease nothing more; what is in hand is finished."""
        if not self._leaving.is_set():
            self.why_left = why
            self._leaving.set()

    @property
    def _name(self) -> str:
        return self._definition.name

    @staticmethod
    def _thread(target: Callable[..., None], name: str, *args: object) -> threading.Thread:
        # Daemons: one that hangs in somebody else's server must not keep a cancelled process alive.
        return threading.Thread(target=target, name=name, args=args, daemon=True)

    # --- workers ------------------------------------------------------------------------------------------------

    def _worker(self) -> None:
        try:
            while not self._leaving.is_set():
                with self._turn:
                    batch = self._next()
                if batch is not None:
                    self._finish(batch)
        finally:
            with self._state:
                self._working -= 1
                if not self._working:
                    self._all_ended.set()

    def _next(self) -> Batch | None:
        """Look for jobs until there are some, or it is time to leave."""
        poll, number = SHORTEST_POLL, self._count
        batch_id = f"{self._run_id}:{number}"
        with self._state:
            self._in_hand[batch_id] = number  # before it exists: what is leased is beaten for from the first moment
        while not self._leaving.is_set():
            batch = self._patiently(lambda: self._open(batch_id), give_up=self._leaving)
            if batch is not None and batch.items:
                self._count += 1
                return batch
            self._leaving.wait(poll)
            poll = min(LONGEST_POLL, poll * 1.2)
        # An answer that was lost with the connection may have leased something.
        self._give_back([batch_id])
        return None

    def _open(self, batch_id: str) -> Batch:
        if self._redrive:
            batch = self._engine.redrive(
                self._definition, failed_in=self._redrive, batch_id=batch_id, owner=self._run_id
            )
            self._redrive = set()
            if batch.items:
                return batch
        if self._feeds and time.monotonic() - self._fed_at > FEED_SECONDS:
            fan_out(self._engine.queues, self._feeds, limit=self._definition.options.stream_batch)
            self._fed_at = time.monotonic()
        return self._engine.open(self._definition, batch_id=batch_id, owner=self._run_id, limit=self._limit)

    def _finish(self, batch: Batch) -> None:
        try:
            for position, step in enumerate(self._definition.steps):
                if self._given_up(batch.id):
                    return
                self._engine.step(batch, position, step)
            queued_at = [item.job.queued_at for item in batch.items if item.job.queued_at]
            settled = self._settle(batch)
            if settled is None:
                return
            with self._state:
                self._since_report.add(settled, queued_at)
            if settled.effects:
                self._to_deliver.set()
        except Exception as error:
            logger.error("batch %s is given up; its jobs go back: %s", batch.id, trace_of(error))
            with self._state:
                self._since_report.abandoned += 1
            self._give_back([batch.id], attempt=True)  # or a batch that breaks the engine would do so for ever
            self._leaving.wait(FAULT_SECONDS)
        finally:
            if not self._cancelled.is_set():
                with self._state:
                    self._in_hand.pop(batch.id, None)
                    self._lost.discard(batch.id)

    def _settle(self, batch: Batch) -> Settled | None:
        give_up = self._cancelled
        return self._patiently(
            lambda: None if self._given_up(batch.id) else self._engine.settle(self._definition, batch), give_up=give_up
        )

    def _given_up(self, batch_id: str) -> bool:
        return self._cancelled.is_set() or batch_id in self._lost

    def _patiently[T](self, work: Callable[[], T], *, give_up: threading.Event | None = None) -> T:
        """Do what needs Redis; wait for it as long as it is away, unless it is time to give up."""
        import redis

        pause = FIRST_BACKOFF
        while True:
            try:
                return work()
            except (redis.ConnectionError, redis.TimeoutError, StoreUnavailable) as error:
                if give_up is not None and give_up.is_set():
                    raise
                logger.warning("pipeline %s: Redis is away (%s); waiting", self._name, type(error).__name__)
                (give_up or self._cancelled).wait(pause)
                pause = min(LONGEST_BACKOFF, pause * 2)

    # --- what serves the workers --------------------------------------------------------------------------------

    def _beat(self, life: Life) -> None:
        next_lease = time.monotonic() + self._lease_beat
        while not self._over.wait(BEAT_SECONDS):
            with _logged("beat"):
                if time.monotonic() >= next_lease:
                    self._beat_leases()
                    next_lease = time.monotonic() + self._lease_beat
                life = self._streams.beat(self._name, life, proven=time.time() - life.since > PROVEN_SECONDS)
                state = self._streams.read([self._name])[self._name]
                why = why_leave(
                    life,
                    state,
                    stream_seconds=self._definition.options.stream_seconds,
                    paused=self._engine.queues.state([self._name])[self._name].paused,
                    now=time.time(),
                )
                if why:
                    self.leave(why)

    def _beat_leases(self) -> None:
        with self._state:
            held = [batch_id for batch_id, number in self._in_hand.items() if number < self._count]
            opening = [batch_id for batch_id in self._in_hand if batch_id not in held]
        lost = self._engine.queues.beat_all([*held, *opening], owner=self._run_id)
        with self._state:
            self._lost |= lost & set(held) & self._in_hand.keys()

    def _deliver(self) -> None:
        """Carry out what the settled conversations asked for, as soon as it is asked."""
        while not self._over.is_set():
            self._to_deliver.wait()
            self._to_deliver.clear()
            with _logged("delivery"):
                while self._engine.deliver(DELIVERED_AT_ONCE).counts.total() and not self._cancelled.is_set():
                    pass

    # --- the caller's thread ------------------------------------------------------------------------------------

    def _report(self, report: Callable[[StreamReport], None], total: StreamReport, *, last: bool = False) -> None:
        with self._state:
            told, self._since_report = self._since_report, StreamReport()
        if not told.happened():
            return
        try:
            report(told)
        except Exception as error:  # Postgres may be away
            logger.warning("pipeline %s: could not report (%s)", self._name, type(error).__name__)
            if not last:
                with self._state:
                    told.merge(self._since_report)
                    self._since_report = told
                return
        total.merge(told)

    def _cancel(self) -> None:
        """Stop within a second, whatever the workers are at."""
        self._leaving.set()
        self._cancelled.set()
        self._all_ended.wait(CANCEL_SECONDS)
        with self._state:
            newest_first = sorted(self._in_hand, key=lambda batch_id: -self._in_hand[batch_id])
        self._give_back(newest_first)  # so that the oldest jobs end up in front

    def _give_back(self, batch_ids: Sequence[str], *, attempt: bool = False) -> None:
        for batch_id in batch_ids:
            with _logged("hand-back"):
                self._engine.queues.hand_back(batch_id, owner=self._run_id, attempt=attempt)
            with self._state:
                self._in_hand.pop(batch_id, None)


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Redis may be away: leases outlive that, and what does not comes back to its queue by itself."""
    try:
        yield
    except Exception as error:
        logger.warning("stream: no %s (%s)", what, type(error).__name__)
