"""How fast each pipeline works, as its runs measure it: the dispatcher sizes the next run by it.

A rate belongs to a version of the definition: an edited one is measured anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

import orjson

from vcon_platform.pipelines.definition import Definition
from vcon_platform.store import keys

if TYPE_CHECKING:
    from redis import Redis

TELLING_SECONDS = 30.0
"""A shorter run says little about a long one: what it spends is mostly the fixed costs of its ops, which are seconds on
a busy machine. Judged by them a pipeline would get small runs, and spend even more on fixed costs."""
NEW_SHARE = 0.5
"""How much of the rate the last run decides."""


def mixed(known: float | None, jobs: int, seconds: float, *, at_once: int) -> float | None:
    """The rate (jobs/s) after a run of so many jobs in so many seconds. A run that was short, or that had fewer jobs
    than are worked on at once, can only be too slow: it may raise what is known, and never lowers it."""
    measured = jobs / max(seconds, 0.001)
    if seconds < TELLING_SECONDS or jobs < at_once:
        return known if known is None else max(known, measured)
    return measured if known is None else known + NEW_SHARE * (measured - known)


def record_rate(client: Redis, definition: Definition, *, jobs: int, seconds: float) -> None:
    """Tell of a batch: how many jobs it had, and the seconds from its lease to the end of its commit."""
    if jobs <= 0:
        return
    network = any(step.processor.waits(step.options) for step in definition.steps)
    known = read_rates(client, [definition]).get(definition.name)
    rate = mixed(known, jobs, seconds, at_once=definition.options.concurrency if network else 1)
    if rate is not None:
        value = orjson.dumps({"version": definition.version, "rate": rate})
        client.hset(keys.RATES, definition.name, value)  # two runs at once: the later one counts, which is fine


def read_rates(client: Redis, definitions: Iterable[Definition]) -> dict[str, float]:
    """Jobs per second of those pipelines whose present version was measured."""
    wanted = {definition.name: definition.version for definition in definitions}
    if not wanted:
        return {}
    found = cast("list[bytes | None]", client.hmget(keys.RATES, list(wanted)))
    rates: dict[str, float] = {}
    for (name, version), raw in zip(wanted.items(), found, strict=True):
        value = orjson.loads(raw) if raw else {}
        if value.get("version") == version:
            rates[name] = float(value["rate"])
    return rates
