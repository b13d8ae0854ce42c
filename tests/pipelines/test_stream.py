"""The stream lane on a real Redis: quick, handed over without a gap, ended with nothing left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisAway

from tests.pipelines.support import Mark, NetworkMark, definition, engine, stored
from tests.support import eventually
from vcon_platform.pipelines import stream as stream_module
from vcon_platform.pipelines.batch import Verdict
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.engine import Engine
from vcon_platform.pipelines.feeding import fan_out, feeds_of
from vcon_platform.pipelines.latency import Latencies
from vcon_platform.pipelines.stream import Stream, StreamReport
from vcon_platform.pipelines.succession import Streams
from vcon_platform.processors.base import ProcessorIO
from vcon_platform.store import keys
from vcon_platform.store.jobs import new_job

CHAT = definition("mark", name="chat", lane="stream")


@pytest.fixture(autouse=True)
def _quick_beats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "BEAT_SECONDS", 0.05)


@pytest.fixture
def work(redis_client: Redis, tmp_path: Path) -> Engine:
    return engine(redis_client, tmp_path)


class Running:
    """A stream in a thread, as its run's main thread would have it."""

    def __init__(self, work: Engine, client: Redis, of: Definition = CHAT, run_id: str = "one", **rest: Any) -> None:
        self.reports: list[StreamReport] = []
        rest = {"lease_seconds": 60, "report_seconds": 0.05, **rest}
        self.stream = Stream(work, of, Streams(client), run_id=run_id, **rest)
        self.total: StreamReport | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.total = self.stream.work(self.reports.append)

    def ended(self) -> StreamReport:
        self.stream.leave("the test is over")
        self.thread.join(20)
        assert self.total is not None
        return self.total


@pytest.fixture
def start(work: Engine, redis_client: Redis) -> Iterator[Callable[..., Running]]:
    """Starts streams; whatever the test left running is ended."""
    started: list[Running] = []

    def begin(*args: Any, **rest: Any) -> Running:
        started.append(Running(work, redis_client, *args, **rest))
        return started[-1]

    yield begin
    for running in started:
        running.stream.leave("the test is over")
        running.thread.join(10)


def marks(work: Engine, uuids: list[str]) -> list[int]:
    """How many analyses each of these vCons has."""
    found = work.documents.read(uuids)
    return [len(found[uuid].data["analysis"]) for uuid in uuids]


def idle(work: Engine, queue: str = "chat") -> bool:
    state = work.queues.state([queue])[queue]
    return state.waiting == 0 and state.leased == 0


def nothing_in_hand(client: Redis) -> bool:
    return not client.keys("batch:*") and not client.zcard(keys.LEASES)


def test_what_comes_in_is_done_at_once(work: Engine, start: Callable[..., Running]) -> None:
    running = start()
    uuids = [uuid for _ in range(20) for uuid in stored(work, "hello", queue="chat")]
    eventually(lambda: idle(work))
    total = running.ended()
    assert marks(work, uuids) == [1] * 20
    assert total.settled.counts == {"done": 20}
    p95 = total.latencies.percentile(0.95)
    assert p95 is not None
    assert p95 < 1.0  # 10 ms on a quiet machine; eight suites may share this one


def test_a_backlog_is_taken_in_micro_batches(work: Engine, start: Callable[..., Running], redis_client: Redis) -> None:
    uuids = stored(work, *["hello"] * 250, queue="chat")
    running = start()
    eventually(lambda: idle(work))
    total = running.ended()
    assert total.batches == 3
    assert marks(work, uuids) == [1] * 250
    assert nothing_in_hand(redis_client)


def test_failures_go_to_the_dead_queue_and_do_not_end_it(
    work: Engine, start: Callable[..., Running], redis_client: Redis
) -> None:
    judge = definition("judge", "mark", name="chat", lane="stream")
    running = start(judge)
    [bad] = stored(work, "permanent", queue="chat")
    eventually(lambda: work.queues.dead("chat"))
    [good] = stored(work, "fine", queue="chat")
    eventually(lambda: idle(work))
    total = running.ended()
    assert total.settled.counts == {"failed": 1, "done": 1}
    assert [*total.settled.failures] == [bad]
    assert [(dead.run_id, dead.batch_id) for dead in work.queues.dead("chat")] == [("one", "one:0")]
    assert marks(work, [good]) == [1]


def test_a_re_executed_run_takes_up_first_what_failed_in_the_one_before(
    work: Engine, start: Callable[..., Running]
) -> None:
    judge = definition("judge", name="chat", lane="stream")
    first = start(judge)
    [bad] = stored(work, "permanent", queue="chat")
    eventually(lambda: work.queues.dead("chat"))
    first.ended()
    second = start(definition("mark", name="chat", lane="stream"), "two", redrive={"one"})
    eventually(lambda: idle(work) and not work.queues.dead("chat"))
    assert second.ended().settled.counts == {"done": 1}
    assert marks(work, [bad]) == [1]


def test_reports_come_now_and_then_and_only_if_something_happened(work: Engine, start: Callable[..., Running]) -> None:
    running = start()
    stored(work, "hello", queue="chat")
    eventually(lambda: running.reports)
    assert len(running.ended().settled.counts) == 1
    assert [report.settled.counts["done"] for report in running.reports] == [1]


def test_a_report_that_could_not_be_made_is_made_later(work: Engine, redis_client: Redis) -> None:
    told: list[int] = []

    def report(figures: StreamReport) -> None:
        told.append(figures.settled.counts["done"])
        if len(told) == 1:
            raise ConnectionError("Postgres is away")

    stream = Stream(work, CHAT, Streams(redis_client), run_id="one", lease_seconds=60, report_seconds=0.05)
    thread = threading.Thread(target=stream.work, args=[report], daemon=True)
    thread.start()
    stored(work, "hello", queue="chat")
    eventually(lambda: len(told) >= 2)
    stream.leave("the test is over")
    thread.join(10)
    assert told[:2] == [1, 1]


def test_a_successor_takes_over_without_a_gap_and_without_a_double(
    work: Engine, start: Callable[..., Running], redis_client: Redis
) -> None:
    first = start()
    uuids = stored(work, "hello", queue="chat")
    eventually(lambda: idle(work), message="the first run works")
    second = None
    for number in range(60):
        uuids += stored(work, "hello", queue="chat")
        if number == 20:
            second = start(run_id="two")
    assert second is not None
    first.thread.join(20)
    assert first.stream.why_left == "followed by run two"
    uuids += stored(work, "hello", queue="chat")
    eventually(lambda: idle(work))
    assert first.total is not None
    done = first.total.settled.counts["done"], second.ended().settled.counts["done"]
    assert sum(done) == len(uuids)
    assert min(done) > 0
    assert marks(work, uuids) == [1] * len(uuids)
    assert redis_client.hlen(keys.streams("chat")) == 0


def test_without_a_successor_it_ends_at_twice_its_time(start: Callable[..., Running]) -> None:
    running = start(definition("mark", name="chat", lane="stream", stream_seconds=0.2))
    running.thread.join(10)
    assert "no run came to follow it" in running.stream.why_left


def test_a_paused_queue_is_left_alone(work: Engine, start: Callable[..., Running]) -> None:
    work.queues.pause("chat")
    stored(work, "hello", queue="chat")
    running = start()
    eventually(lambda: Streams(work.queues._client).read(["chat"])["chat"].lives)
    Streams(work.queues._client).drain("chat")
    running.thread.join(10)
    assert running.stream.why_left == "drained"
    assert work.queues.depth("chat") == 1


# --- an end that nobody planned -------------------------------------------------------------------------------------


class Terminated(BaseException):
    """What 'Terminate' in the UI becomes in the run's main thread."""


def test_an_interrupt_stops_within_a_second_and_gives_back_what_is_in_hand_in_its_order(
    work: Engine, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, held = threading.Event(), threading.Event()

    def hangs(self: Mark, io: ProcessorIO, options: object) -> ProcessorIO:
        held.set()
        go_on.wait(20)
        return io

    monkeypatch.setattr(NetworkMark, "process", hangs)
    uuids = stored(work, *["hello"] * 6, queue="chat")
    slow = definition("network_mark", name="chat", lane="stream", concurrency=4)
    stream = Stream(work, slow, Streams(redis_client), run_id="one", lease_seconds=60, report_seconds=0.05)
    began: list[float] = []

    def interrupt(*_: object) -> None:
        held.wait(10)
        began.append(time.monotonic())
        raise Terminated

    monkeypatch.setattr(stream, "_report", interrupt)
    with pytest.raises(Terminated):
        stream.work(lambda _: None)
    assert time.monotonic() - began[0] < 8  # a second, on a machine that is not busy; what hangs, takes 20
    waiting = [job.vcon_uuids[0] for job in work.queues.jobs("chat")]
    assert waiting == uuids
    assert nothing_in_hand(redis_client)
    go_on.set()  # a worker that comes back now must settle nothing
    eventually(lambda: not [each for each in threading.enumerate() if each.name.startswith("stream-")])
    assert [job.vcon_uuids[0] for job in work.queues.jobs("chat")] == uuids
    assert marks(work, uuids) == [0] * 6


def test_what_a_killed_run_held_is_done_by_the_next_one(
    work: Engine, start: Callable[..., Running], redis_client: Redis
) -> None:
    uuids = stored(work, *["hello"] * 5, queue="chat")
    work.open(CHAT, batch_id="killed:0", owner="killed", limit=3)
    running = start()
    redis_client.zadd(keys.LEASES, {"killed:0": 0})  # its lease has ended
    work.queues.expire()
    eventually(lambda: idle(work))
    assert running.ended().settled.counts == {"done": 5}
    assert marks(work, uuids) == [1] * 5


def test_it_waits_for_redis_and_goes_on(
    work: Engine, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    away = threading.Event()
    for name in ("open", "settle"):
        original = getattr(work, name)

        def unless_away(*args: Any, _original: Any = original, **rest: Any) -> Any:
            if away.is_set():
                raise RedisAway("Connection refused")
            return _original(*args, **rest)

        monkeypatch.setattr(work, name, unless_away)
    running = start()
    uuids = stored(work, "before", queue="chat")
    eventually(lambda: idle(work))
    away.set()
    uuids += stored(work, "meanwhile", queue="chat")
    assert not idle(work)
    away.clear()
    eventually(lambda: idle(work))
    assert running.ended().settled.counts == {"done": 2}
    assert marks(work, uuids) == [1, 1]


def test_a_batch_that_breaks_the_engine_ends_as_poison(
    work: Engine, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_module, "FAULT_SECONDS", 0.01)
    step = work.step

    def breaks(batch: Any, *rest: Any) -> Any:
        if batch.under_way():
            raise RuntimeError("a bug")
        return step(batch, *rest)

    monkeypatch.setattr(work, "step", breaks)
    stored(work, "hello", queue="chat")
    running = start()
    eventually(lambda: work.queues.dead("chat"))
    assert [dead.code for dead in work.queues.dead("chat")] == ["poison"]
    assert running.ended().abandoned == 5


def test_a_lost_lease_is_left_to_whoever_has_it(
    work: Engine, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, held = threading.Event(), threading.Event()

    def hangs(self: Mark, io: ProcessorIO, options: object) -> ProcessorIO:
        held.set()
        go_on.wait(20)
        return io

    monkeypatch.setattr(Mark, "process", hangs)
    running = start(lease_seconds=1)
    stored(work, "hello", queue="chat")
    eventually(held.is_set)
    work.queues.pause("chat")
    work.queues.hand_back("one:0", owner="one")
    eventually(lambda: running.stream._lost)
    go_on.set()
    assert running.ended().settled.counts == {}
    assert work.queues.depth("chat") == 1


# --- the network ----------------------------------------------------------------------------------------------------


def test_conversations_that_wait_for_the_network_are_in_flight_together_and_none_waits_for_the_slowest(
    work: Engine, start: Callable[..., Running], monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once, most, lock, go_on = [0], [0], threading.Lock(), threading.Event()

    def waits(self: Mark, io: ProcessorIO, options: object) -> ProcessorIO:
        with lock:
            at_once[0] += 1
            most[0] = max(most[0], at_once[0])
        if io.vcon.data.get("subject") == "slow":
            go_on.wait(20)
        with lock:
            at_once[0] -= 1
        return io

    monkeypatch.setattr(NetworkMark, "process", waits)
    running = start(definition("network_mark", name="chat", lane="stream", concurrency=8))
    stored(work, *["slow"] * 7, *["quick"] * 20, queue="chat")
    eventually(lambda: work.queues.state(["chat"])["chat"].waiting == 0)
    eventually(lambda: work.queues.state(["chat"])["chat"].leased == 7)
    go_on.set()
    assert running.ended().settled.counts == {"done": 27}
    assert most[0] == 8


# --- feeds and figures ----------------------------------------------------------------------------------------------


def test_a_stream_empties_its_feeds_itself(work: Engine, start: Callable[..., Running]) -> None:
    fed = definition("mark", name="chat", lane="stream", feeds=["intake"])
    other = definition("mark", name="other", feeds=["intake"])
    running = start(fed, feeds=feeds_of([fed, other]))
    uuids = stored(work, "hello", queue="intake")
    eventually(lambda: marks(work, uuids) == [1])
    running.ended()
    assert work.queues.depth("other") == 1


def test_a_feed_waits_while_one_of_its_pipelines_has_no_room(work: Engine) -> None:
    small, large = (
        definition("mark", name="a", feeds=["intake"], max_waiting=2),
        definition("mark", name="b", feeds=["intake"]),
    )
    work.queues.push("intake", [new_job(f"018f0000-0000-8000-8000-00000000000{at}") for at in range(5)])
    notes = fan_out(work.queues, feeds_of([large, small]), limit=100)
    assert (work.queues.depth("a"), work.queues.depth("b"), work.queues.depth("intake")) == (2, 2, 3)
    assert notes == ["feed intake: 3 wait, no room in a"]


def test_a_paused_feed_is_not_fanned_out(work: Engine) -> None:
    work.queues.push("intake", [new_job("018f0000-0000-8000-8000-000000000001")])
    work.queues.pause("intake")
    assert fan_out(work.queues, feeds_of([definition("mark", feeds=["intake"])]), limit=9) == [
        "feed intake: paused, 1 wait"
    ]


def test_percentiles_are_right_within_ten_per_cent() -> None:
    latencies = Latencies()
    for milliseconds in range(1, 1001):
        latencies.add(milliseconds / 1000)
    for share in (0.5, 0.95, 1.0):
        assert latencies.percentile(share) == pytest.approx(share, rel=0.1)
    assert Latencies().percentile(0.5) is None


def test_figures_of_stretches_add_up_and_name_fifty_failures_at_most() -> None:
    total = StreamReport()
    for stretch in range(3):
        part = StreamReport(batches=1)
        for number in range(40):
            verdict = Verdict("failed", "no")
            part.settled.counts["failed"] += 1
            part.settled.failures[f"{stretch}-{number}"] = verdict
        total.merge(part)
    assert (total.batches, total.settled.counts["failed"], len(total.settled.failures)) == (3, 120, 50)
