"""Processors whose ``process`` is a coroutine function run wherever others run."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import orjson
import pytest
from redis import Redis

from tests.pipelines.engine_support import lent
from tests.pipelines.support import engine, stored
from tests.processors.support import ResultsInMemory, context, document, io_of
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.direct import run_processor
from vcon_platform.pipelines.engine import Engine
from vcon_platform.pipelines.simulate import Simulator
from vcon_platform.processors.base import (
    Effects,
    NotApplicable,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    TransientError,
    Usage,
)
from vcon_platform.processors.registry import Registry
from vcon_platform.processors.running import Cancelled, run
from vcon_platform.processors.testing import processor_tests
from vcon_platform.store.objects import local_objects
from vcon_platform.store.reading import ReadingStore
from vcon_platform.vcon.document import Vcon


class Awaits(Processor[ProcessorOptions]):
    """Does what the subject says, after it awaited something."""

    name = "awaits"
    version = "1"
    title = "Awaits"
    description = "Awaits something."
    effects = Effects(changes=True)
    tries: dict[str, int] = {}  # noqa: RUF012 - counts over all tests, by uuid

    async def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        await asyncio.sleep(0)
        self.tries[io.vcon.uuid] = self.tries.get(io.vcon.uuid, 0) + 1
        match io.vcon.data.get("subject"):
            case "nothing":
                raise NotApplicable("nothing to await")
            case "permanent":
                raise PermanentError("this can never work")
            case "soon" if self.tries[io.vcon.uuid] < 3:
                raise TransientError("not just now")
            case "bug":
                raise ValueError("a secret of +1 555 0100")
            case "cancelled":
                task = asyncio.create_task(asyncio.sleep(60))
                task.cancel()
                await task
            case "blocks":
                await asyncio.sleep(60)
        io.vcon.append("analysis", {"type": "awaited", "pid": os.getpid() if options.timeout else 0})
        return io


class NetworkAwaits(Awaits):
    """The same in threads."""

    name = "network_awaits"
    effects = Effects(changes=True, network=True)


class BuysTwo(Awaits):
    """Buys two results at once; each call waits until the other one has begun."""

    name = "buys_two"
    effects = Effects(changes=True, costs=True)

    async def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        both = asyncio.Barrier(2)

        async def call(what: str) -> tuple[str, Usage]:
            async with asyncio.timeout(10):
                await both.wait()
            return what, Usage("test", seconds=1)

        bought = await asyncio.gather(*(io.buy_async(self, (what,), partial(call, what)) for what in ("a", "b")))
        io.vcon.append("analysis", {"type": "bought", "body": bought})
        return io


REGISTRY = Registry({cls.name: cls for cls in (Awaits, NetworkAwaits, BuysTwo)})


def _definition(name: str = "awaits", timeout: float | None = None) -> Definition:
    options = {} if timeout is None else {"timeout": timeout}
    raw = {"processors": [{"processor_name": name, "processor_options": options}]}
    return read_definition("recall", raw, REGISTRY)


@pytest.fixture
def work(redis_url: str, redis_client: Redis, tmp_path: Path) -> Iterator[Engine]:
    work = engine(redis_client, tmp_path, parts={"lending": partial(lent, redis_url, tmp_path)})
    yield work
    work.close()


def _run(work: Engine, pipeline: Definition) -> dict[str, int]:
    batch = work.open(pipeline, batch_id="run-1", owner="run-1", limit=100)
    work.step(batch, 0, pipeline.steps[0])
    return dict(work.settle(pipeline, batch).counts)


@pytest.mark.parametrize("name", ["awaits", "network_awaits"])
def test_the_engine_awaits_a_processor(work: Engine, name: str) -> None:
    uuids = stored(work, "x", "y", "z")
    assert _run(work, _definition(name)) == {"done": 3}
    assert all(len(work.documents.read_one(uuid).analysis) == 1 for uuid in uuids)


def test_what_a_coroutine_raises_means_what_it_means_elsewhere(work: Engine) -> None:
    stored(work, "nothing", "permanent", "soon", "bug", "cancelled", "x")
    assert _run(work, _definition()) == {"done": 3, "failed": 3}
    dead = {job.code: job.error for job in work.queues.dead("recall")}
    assert set(dead) == {"PermanentError", "ValueError", "cancelled"}
    assert "555" not in str(dead)


def test_with_a_time_limit_it_is_awaited_in_a_process_of_its_own(work: Engine) -> None:
    [uuid] = stored(work, "x")
    assert _run(work, _definition(timeout=30)) == {"done": 1}
    assert work.documents.read_one(uuid).analysis[0]["pid"] not in (0, os.getpid())


def test_one_that_takes_too_long_is_stopped(work: Engine) -> None:
    stored(work, "blocks")
    assert _run(work, _definition(timeout=0.3)) == {"failed": 1}
    assert work.queues.dead("recall")[0].code == "timeout"


def test_a_direct_run_awaits_it(work: Engine) -> None:
    result = run_processor(work, Awaits, ProcessorOptions(), Vcon(document()))
    assert [entry["type"] for entry in result.vcons[0].analysis] == ["awaited"]


def test_a_simulation_awaits_it(work: Engine, redis_client: Redis, tmp_path: Path) -> None:
    reading = ReadingStore(redis_client, local_objects(tmp_path))
    simulator = Simulator(work, media=reading.media, results=reading.results, projections={})
    told = simulator.run(_definition(), Vcon(document(analysis=[])))
    assert [(step.what, len(step.documents)) for step in told.steps] == [("processed", 1)]


def test_it_can_be_called_where_an_event_loop_runs_already() -> None:
    async def notebook() -> ProcessorIO:
        return run(Awaits(), io_of(document()), ProcessorOptions())

    assert len(asyncio.run(notebook()).vcon.analysis) == 1


def test_a_cancellation_from_within_is_an_error_of_this_conversation_only() -> None:
    with pytest.raises(Cancelled, match="awaits was cancelled from within"):
        run(Awaits(), io_of(document(subject="cancelled")), ProcessorOptions())


def test_it_buys_at_once_what_it_awaits_at_once() -> None:
    results = ResultsInMemory()
    io = run(BuysTwo(), ProcessorIO([Vcon(document())], context(results=results)), ProcessorOptions())
    assert io.vcon.analysis[0]["body"] == ["a", "b"]
    assert sorted(map(orjson.loads, results.kept.values())) == ["a", "b"]


TestAwaitsStandard = processor_tests(
    Awaits,
    example_io=lambda: io_of(document()),
    failing_io=lambda: io_of(document(subject="permanent")),
)
