"""A processor that buys, and an engine with accounts on the test's Redis."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import orjson
from pydantic import Field
from redis import Redis

from tests.pipelines.support import REGISTRY as PLAIN
from tests.pipelines.support import engine
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.engine import Engine
from vcon_platform.pipelines.prices import PriceFile
from vcon_platform.pipelines.purchases import Purchasing
from vcon_platform.pipelines.timed_child import Lent
from vcon_platform.processors.base import Effects, Processor, ProcessorIO, ProcessorOptions, TransientError, Usage
from vcon_platform.processors.registry import Registry
from vcon_platform.store import keys
from vcon_platform.store.accounts import Accounts
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import local_objects
from vcon_platform.store.results import StoredResults

PRICES = "{currency: EUR, services: {ears: {'*': {per_minute: 0.6}}}}"
"""One cent a second."""


class ShopOptions(ProcessorOptions):
    seconds: float = Field(default=10.0, title="Seconds", description="Of audio that a call uses.")


class Shop(Processor[ShopOptions]):
    """Buys something under the name that the subject is."""

    name = "shop"
    version = "1"
    title = "Shop"
    description = "Buys."
    effects = Effects(costs=True, network=True, changes=True)
    options = ShopOptions
    bought: list[str] = []  # noqa: RUF012 - over all conversations of a test
    opened = threading.Event()

    def process(self, io: ProcessorIO, options: ShopOptions) -> ProcessorIO:
        what = str(io.vcon.data["subject"])

        def call() -> tuple[Any, Usage]:
            if what == "away":
                raise TransientError("the shop is closed")
            Shop.bought.append(what)
            Shop.opened.wait(10)
            return {"what": what}, Usage("ears", "one", seconds=options.seconds, input_tokens=2, output_tokens=3)

        io.vcon.append("analysis", {"type": "bought", "body": io.buy(self, (what,), call)})
        return io


Shop.opened.set()
REGISTRY = Registry({**PLAIN.classes, Shop.name: Shop})


def shopping(
    name: str = "notes", seconds: float = 10.0, options: dict[str, Any] | None = None, **pipeline: Any
) -> Definition:
    """A pipeline that buys once."""
    entry = {"processor_name": "shop", "processor_options": {"seconds": seconds, **(options or {})}}
    return read_definition(name, {"pipeline_options": pipeline, "processors": [entry]}, REGISTRY)


def purchasing(client: Redis, folder: Path) -> Purchasing:
    """Budgets and accounts, with the prices of the folder."""
    return Purchasing(Accounts(client), PriceFile(folder))


def shop_engine(client: Redis, folder: Path, **parts: Any) -> Engine:
    """An engine that keeps them."""
    return engine(client, folder, parts={"purchasing": purchasing(client, folder), **parts})


def lent(url: str, folder: Path) -> Lent:
    """What it lends in a process of its own."""
    client = Redis.from_url(url)
    media = MediaStore(local_objects(folder), 1024)
    return Lent(media, StoredResults(client), {}, purchasing(client, folder))


def used_events(client: Redis) -> list[dict[str, Any]]:
    """What the ledger will be told of uses."""
    entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.OUTBOX))
    events = [event for _, fields in entries for event in orjson.loads(fields[b"events"])]
    return [event for event in events if event["event"] == "used"]
