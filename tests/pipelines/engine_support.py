"""Processors for the engine's own tests: they block, die, add, queue, send; and what is lent in processes."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from pydantic import Field
from redis import Redis

from tests.pipelines.support import REGISTRY as PLAIN
from vcon_platform.pipelines.batch import Batch, Settled
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.engine import Engine
from vcon_platform.pipelines.timed_child import Lent
from vcon_platform.processors.base import (
    Effect,
    Effects,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    QueuedJob,
    TransientError,
)
from vcon_platform.processors.registry import Registry
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import local_objects
from vcon_platform.store.results import StoredResults
from vcon_platform.vcon.document import Vcon


class WriteOptions(ProcessorOptions):
    text: str = Field(default="", title="Text", description="What is written.")
    times: int = Field(default=1, title="Times", description="How often.")


class Write(Processor[WriteOptions]):
    """Appends its options as they were for this conversation."""

    name = "write"
    version = "1"
    title = "Write"
    description = "Appends its options."
    effects = Effects(changes=True)
    options = WriteOptions

    def process(self, io: ProcessorIO, options: WriteOptions) -> ProcessorIO:
        io.vcon.append("analysis", {"type": "written", "body": options.text, "times": options.times})
        return io


class Ask(Processor[ProcessorOptions]):
    """Adds a vCon, queues a job and sends an effect, then does what the subject says."""

    name = "ask"
    version = "3"
    title = "Ask"
    description = "Asks for everything."
    effects = Effects(changes=True, sends=True, may_drop=True)
    tries: dict[str, int] = {}  # noqa: RUF012 - counts over all tests, by uuid

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        uuid = io.vcon.uuid
        self.tries[uuid] = self.tries.get(uuid, 0) + 1
        io.parameters["score"] = 7
        copy = Vcon({**io.vcon.data, "uuid": io.new_uuid(), "subject": "a copy"})
        io.add(copy)
        io.queue(QueuedJob("next", (uuid,), {"score": 7}))
        io.send(Effect({"to": "nobody"}, "a mail"))
        match io.vcon.data["subject"]:
            case "ask once more" if self.tries[uuid] == 1:
                raise TransientError("not just now")
            case "ask in vain":
                raise PermanentError("no")
            case "ask and drop":
                io.drop("it says so")
        return io


class Hang(Processor[ProcessorOptions]):
    """Blocks, dies, asks the cache or fails, as the subject says."""

    name = "hang"
    version = "1"
    title = "Hang"
    description = "Takes its time."
    effects = Effects(changes=True)

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        match io.vcon.data["subject"]:
            case "hang":
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
                while True:
                    time.sleep(60)
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "cache":
                value = io.context.results.get_or_compute(("hang",), lambda: "kept")
                io.vcon.append("analysis", {"type": value})
            case "environment":
                io.vcon.append("analysis", {"type": os.environ.get("VCON_TEST_WORD", "")})
            case "soon":
                raise TransientError("not just now", retry_after=7)
            case "never":
                raise PermanentError("no")
            case "bug":
                raise ValueError("a secret of +1 555 0100")
            case _:
                io.vcon.append("analysis", {"type": "hung", "pid": os.getpid(), "left": io.context.remaining()})
        return io


class NetworkHang(Hang):
    """The same for the network."""

    name = "network_hang"
    effects = Effects(changes=True, network=True)


class Gate(Processor[ProcessorOptions]):
    """Stays until it is let go, and counts who came."""

    name = "gate"
    version = "1"
    title = "Gate"
    description = "Waits."
    effects = Effects(network=True)
    pool = "gates"
    opened = threading.Event()
    inside = 0
    most = 0
    lock = threading.Lock()

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        with Gate.lock:
            Gate.inside += 1
            Gate.most = max(Gate.most, Gate.inside)
        Gate.opened.wait(20)
        with Gate.lock:
            Gate.inside -= 1
        return io


class Strange(Processor[ProcessorOptions]):
    """Leaves what is no JSON."""

    name = "strange"
    version = "1"
    title = "Strange"
    description = "Leaves what cannot be kept."
    effects = Effects(changes=True)

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        if io.vcon.data["subject"] == "strange":
            io.parameters["it"] = object()
        return io


class Second(Processor[ProcessorOptions]):
    """Appends to every vCon of the conversation."""

    name = "second"
    version = "1"
    title = "Second"
    description = "Appends to all."
    effects = Effects(changes=True)

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        for vcon in io.vcons:
            vcon.append("analysis", {"type": "all"})
            if vcon.data["subject"] == "put":
                vcon.put("subject", "changed")
        return io


REGISTRY = Registry(
    {**PLAIN.classes, **{cls.name: cls for cls in (Write, Ask, Hang, NetworkHang, Gate, Strange, Second)}}
)


def piped(*processors: str | tuple[str, dict[str, Any]], **options: Any) -> Definition:
    """A pipeline of these processors, each with its options."""
    entries = [(each, {}) if isinstance(each, str) else each for each in processors]
    raw = {
        "pipeline_options": options,
        "processors": [{"processor_name": name, "processor_options": chosen} for name, chosen in entries],
    }
    return read_definition("recall", raw, REGISTRY)


def walk(work: Engine, pipeline: Definition, batch: Batch) -> None:
    """All steps."""
    for position, step in enumerate(pipeline.steps):
        work.step(batch, position, step)


def run(work: Engine, pipeline: Definition, name: str = "run-1") -> Settled:
    """Open, walk, settle."""
    batch = work.open(pipeline, batch_id=name, owner=name, limit=100)
    walk(work, pipeline, batch)
    return work.settle(pipeline, batch)


def lent(url: str, folder: Path) -> Lent:
    """What the engine of a test lends, in a process of its own."""
    return Lent(MediaStore(local_objects(folder), 1024), StoredResults(Redis.from_url(url)), {})
