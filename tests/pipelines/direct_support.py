"""Processors that buy, send, queue and add, for direct runs and simulations."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from tests.pipelines.support import REGISTRY as PLAIN
from tests.pipelines.support import Mark
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.processors.base import (
    Effect,
    Effects,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    QueuedJob,
)
from vcon_platform.processors.registry import Registry
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid


class _Test(Processor[ProcessorOptions]):
    version = "1"
    title = "Test"
    description = "Does one thing."


class Score(_Test):
    """Sets a parameter to the length of the subject."""

    name = "score"

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        io.parameters["score"] = len(io.vcon.data.get("subject", ""))
        return io


class PassOn(_Test):
    """Queues the vCon."""

    name = "pass_on"

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        io.queue(QueuedJob("next", (io.vcon.uuid,), dict(io.parameters)))
        return io


class Mail(_Test):
    """Asks for a mail."""

    name = "mail"
    effects = Effects(sends=True)

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        io.send(Effect({"subject": "hello"}, "one mail"))
        return io


class BUYING(_Test):
    """Buys a result."""

    name = "buying"
    effects = Effects(costs=True, network=True, changes=True)
    pool = "listeners"
    calls = 0

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        body = io.context.results.get_or_compute(("buying", str(io.vcon.data.get("subject"))), self._buy)
        io.vcon.append("analysis", {"type": "heard", "body": body})
        return io

    @staticmethod
    def _buy() -> str:
        BUYING.calls += 1
        return "heard now"


class BuyingLate(BUYING):
    """Does other things first."""

    name = "buying_late"

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        io.parameters["begun"] = True
        io.vcon.append("analysis", {"type": "begun"})
        return super().process(io, options)


class Copying(_Test):
    """Adds a vCon."""

    name = "copying"
    effects = Effects(changes=True)

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        io.add(Vcon({**io.vcon.data, "uuid": new_uuid(), "amended": {"uuid": io.vcon.uuid}}))
        return io


class Blocking(_Test):
    """Never comes back."""

    name = "blocking"

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        threading.Event().wait(60)
        return io


class Meddled(_Test):
    """Replaces a member by another one, while somebody may write."""

    name = "meddled"
    effects = Effects(changes=True)
    meddle: Callable[[], None] | None = None

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        io.vcon.put("summary", io.vcon.data["subject"])
        if Meddled.meddle is not None:
            Meddled.meddle()
        return io


REGISTRY = Registry(
    {
        **PLAIN.classes,
        **{cls.name: cls for cls in (Score, PassOn, Mail, BUYING, BuyingLate, Copying, Blocking, Meddled)},
    }
)


def registry_definition(processors: list[Any], name: str = "recall", **options: Any) -> Definition:
    """A pipeline of these processors: names, or whole entries."""
    entries = [{"processor_name": each} if isinstance(each, str) else each for each in processors]
    return read_definition(name, {"pipeline_options": options, "processors": entries}, REGISTRY)


def definition(*processors: str, **options: Any) -> Definition:
    """A pipeline of these processors without options."""
    return registry_definition(list(processors), **options)


__all__ = ["BUYING", "REGISTRY", "Mark", "Meddled", "definition", "registry_definition"]
