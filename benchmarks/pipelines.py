"""What a pipeline costs: 10,000 vCons of 5 KB through four trivial processors, against plain loops over Redis.

    python benchmarks/pipelines.py [--vcons N] [--rounds N] [--network]

Each processor reads the document, counts a word in it and appends a small analysis. Compared, interleaved, the median
of the rounds:

- plain: read and append, two round trips per processor and vCon;
- plain, pipelined: the same, processor by processor, 100 commands per pipeline;
- same work: the pipelined loop which also writes what the engine writes beside the document: once per vCon the search
  inputs (RediSearch reads the text again), the revision and five ledger events;
- stream: what a stream run does, micro-batches of 100: lease, read, four processors, commit;
- batch: the engine as a run of the batch lane uses it: all in one batch, written down after each op.

The loops promise nothing. The engine's two ways have lease and fence, the record in the archive before each
commit, one atomic commit per vCon with five ledger events, and the search index, which reads a vCon's text again when
an analysis of a new type is added (a third of Redis' work here). Every way is checked for exactly four
analyses per vCon.

``--network`` measures something else: processors that wait one second for the network, at 64 and at 256 conversations
at once; 1.0 is what that concurrency allows.

Prints one JSON object. Ratios are what counts, of rates and of CPU time (this process and Redis together, which a busy
machine disturbs less); "vCons per second" only say how quick the machine was.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import batched
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parent))

from embedded import embedded_store
from ingest import document

from vcon_platform.ingress.answer import Answer, Source
from vcon_platform.ingress.door import Door
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.deliveries import effects_outbox
from vcon_platform.pipelines.engine import Engine
from vcon_platform.pipelines.stream import SWITCH_SECONDS, Stream
from vcon_platform.pipelines.succession import Streams
from vcon_platform.processors.base import Effects, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.registry import Registry
from vcon_platform.store import keys
from vcon_platform.store.checkpoints import Checkpoints
from vcon_platform.store.leases import Queues
from vcon_platform.store.opening import Store
from vcon_platform.store.results import StoredResults
from vcon_platform.vcon.uuids import new_uuid

STEPS = 4
AT = "2026-11-02T09:00:00.000000+00:00"
DETAIL = {"pipeline": "bench", "version": "0123456789ab", "processor": "count", "run": new_uuid(), "job": new_uuid()}
PER_PIPELINE = 100


def counted(data: Mapping[str, Any]) -> dict[str, Any]:
    """The trivial work: an analysis that says how often a word was said."""
    said = sum(dialog["body"].count("order") for dialog in data["dialog"])
    return {"type": "count", "dialog": [0], "vendor": "benchmark", "encoding": "none", "body": f"order: {said}"}


class Count(Processor[ProcessorOptions]):
    """Appends how often a word was said."""

    name = "count"
    version = "1"
    title = "Count"
    description = "Appends how often a word was said."
    effects = Effects(changes=True)

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:  # noqa: ARG002 - the contract's
        """Count."""
        io.vcon.append("analysis", counted(io.vcon.data))
        return io


class Wait(Count):
    """The same after a second."""

    name = "wait"
    effects = Effects(changes=True, network=True)

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        """Wait and count."""
        time.sleep(1)
        return super().process(io, options)


REGISTRY = Registry({cls.name: cls for cls in (Count, Wait)})


def pipeline(name: str, *processors: str, **options: Any) -> Definition:
    """A definition of these processors."""
    raw = {"pipeline_options": options, "processors": [{"processor_name": each} for each in processors]}
    return read_definition(name, raw, REGISTRY)


def engine_of(store: Store) -> Engine:
    """The engine over this store, without projections."""
    return Engine(
        documents=store.documents,
        queues=Queues(store.client),
        media=store.media,
        results=StoredResults(store.client),
        projections={},
        outbox=effects_outbox(store.client),
    )


# --- the ways --------------------------------------------------------------------------------------------------


def put_plain(store: Store, uuids: Sequence[str], raws: Sequence[bytes]) -> None:
    """The same documents where the plain loops find them."""
    for chunk in batched(zip(uuids, raws, strict=True), PER_PIPELINE):
        pipe = store.client.pipeline(transaction=False)
        for uuid, raw in chunk:
            value = orjson.loads(raw) | {"analysis": []}
            pipe.execute_command("JSON.SET", f"plain:{uuid}", "$", orjson.dumps(value))  # type: ignore[no-untyped-call]
        pipe.execute()


def plain(store: Store, uuids: Sequence[str]) -> None:
    """Two round trips per processor and vCon."""
    run = store.client.execute_command
    for _ in range(STEPS):
        for uuid in uuids:
            key = f"plain:{uuid}"
            data = orjson.loads(run("JSON.GET", key))  # type: ignore[no-untyped-call]
            run("JSON.ARRAPPEND", key, "$.analysis", orjson.dumps(counted(data)))  # type: ignore[no-untyped-call]


def plain_pipelined(store: Store, uuids: Sequence[str]) -> None:
    """The same in pipelines of 100."""
    for _ in range(STEPS):
        for chunk in batched(uuids, PER_PIPELINE):
            pipe = store.client.pipeline(transaction=False)
            for uuid in chunk:
                pipe.execute_command("JSON.GET", f"plain:{uuid}")  # type: ignore[no-untyped-call]
            raws = pipe.execute()
            pipe = store.client.pipeline(transaction=False)
            for uuid, raw in zip(chunk, raws, strict=True):
                appended = orjson.dumps(counted(orjson.loads(raw)))
                pipe.execute_command("JSON.ARRAPPEND", f"plain:{uuid}", "$.analysis", appended)  # type: ignore[no-untyped-call]
            pipe.execute()


def same_work(store: Store, uuids: Sequence[str]) -> None:
    """The pipelined loop on the stored vCons, with the writes that the engine makes beside the document."""
    for step in range(STEPS):
        for chunk in batched(uuids, PER_PIPELINE):
            pipe = store.client.pipeline(transaction=False)
            for uuid in chunk:
                pipe.execute_command("JSON.GET", keys.document(uuid))  # type: ignore[no-untyped-call]
            raws = pipe.execute()
            pipe = store.client.pipeline(transaction=False)
            for uuid, raw in zip(chunk, raws, strict=True):
                data = orjson.loads(raw)
                appended = orjson.dumps(counted(data))
                if "analysis" in data:
                    pipe.execute_command("JSON.ARRAPPEND", keys.document(uuid), "$.analysis", appended)  # type: ignore[no-untyped-call]
                else:
                    pipe.execute_command("JSON.SET", keys.document(uuid), "$.analysis", b"[" + appended + b"]")  # type: ignore[no-untyped-call]
                if step == STEPS - 1:
                    events = [{"vcon_uuid": uuid, "event": "processed", "at": AT, "detail": DETAIL}] * (STEPS + 1)
                    pipe.hset(keys.search(uuid), "analysis", "count")
                    pipe.hset(keys.meta(uuid), mapping={"revision": 2, "commit": uuid})
                    pipe.xadd(keys.OUTBOX, {"events": orjson.dumps(events)})
            pipe.execute()


def stream(store: Store, engine: Engine, definition: Definition) -> None:
    """A stream run's work until the queue is empty."""
    run = Stream(engine, definition, Streams(store.client), run_id=new_uuid(), lease_seconds=60)
    worker = threading.Thread(target=run.work, args=(lambda _: None,))
    worker.start()
    queues = [definition.name]
    while (state := engine.queues.state(queues)[definition.name]).normal or state.leased:
        time.sleep(0.02)
    run.leave("the queue is empty")
    worker.join()


def one_batch(store: Store, engine: Engine, definition: Definition) -> None:
    """All in one batch, written down after each op as a run does."""
    run_id, checkpoints = new_uuid(), Checkpoints(store.objects)
    batch = engine.open(definition, batch_id=run_id, owner=run_id, limit=10_000)
    checkpoints.save(run_id, "lease", batch.to_bytes())
    for position, step in enumerate(definition.steps):
        engine.step(batch, position, step)
        checkpoints.save(run_id, step.name, batch.to_bytes())
    engine.settle(definition, batch)
    checkpoints.forget(run_id)


# --- measuring -------------------------------------------------------------------------------------------------


def taken_in(store: Store, chosen: random.Random, count: int, queue: str = "") -> tuple[list[str], list[bytes]]:
    """So many vCons in the store and, if one is named, in a queue."""
    raws = [document(chosen) for _ in range(count)]
    answers = Door(store.documents, store.media).take_many(raws, Source("bench", queues=(queue,) if queue else ()))
    return [answer.uuid for answer in answers if isinstance(answer, Answer)], raws


def cpu_seconds(store: Store) -> float:
    """CPU time of this process and of Redis so far."""
    told: Any = store.client.info("cpu")
    return time.process_time() + float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def check(store: Store, key: Callable[[str], str], uuids: Sequence[str], length: int = STEPS) -> None:
    """Stop unless each vCon has exactly so many analyses."""
    for chunk in batched(uuids, 1000):
        pipe = store.client.pipeline(transaction=False)
        for uuid in chunk:
            pipe.execute_command("JSON.ARRLEN", key(uuid), "$.analysis")  # type: ignore[no-untyped-call]
        if any(lengths != [length] for lengths in pipe.execute()):
            raise SystemExit("a vCon has not as many analyses as there are processors")


def compare(store: Store, vcons: int, rounds: int) -> dict[str, Any]:
    """The five ways."""
    engine, chosen = engine_of(store), random.Random(1)
    definition = pipeline("bench", *["count"] * STEPS)
    names = ("plain", "plain, pipelined", "same work", "stream", "batch")
    rates: dict[str, list[float]] = {name: [] for name in names}
    costs: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            of_engine = name in ("stream", "batch")
            uuids, raws = taken_in(store, chosen, vcons, "bench" if of_engine else "")
            if name.startswith("plain"):
                put_plain(store, uuids, raws)
            store.client.delete(keys.OUTBOX)  # housekeeping ships it; here nothing does
            began, spent = time.perf_counter(), cpu_seconds(store)
            match name:
                case "plain":
                    plain(store, uuids)
                case "plain, pipelined":
                    plain_pipelined(store, uuids)
                case "same work":
                    same_work(store, uuids)
                case "stream":
                    stream(store, engine, definition)
                case _:
                    one_batch(store, engine, definition)
            rates[name].append(vcons / (time.perf_counter() - began))
            costs[name].append((cpu_seconds(store) - spent) / vcons)
            check(store, "plain:{}".format if name.startswith("plain") else keys.document, uuids)
            store.client.delete(*(f"plain:{uuid}" for uuid in uuids))
    rate = {name: round(statistics.median(found)) for name, found in rates.items()}
    cost = {name: statistics.median(found) for name, found in costs.items()}
    return {
        "vcons_per_second": rate,
        "cpu_us_per_vcon": {name: round(seconds * 1e6) for name, seconds in cost.items()},
        "ratios": {
            f"{way} / {base}": {
                "rate": round(rate[way] / rate[base], 2),
                "cpu": round(cost[base] / cost[way], 2),
            }
            for way in ("stream", "batch")
            for base in ("same work", "plain, pipelined", "plain")
        },
    }


def network(store: Store, concurrency: int) -> dict[str, Any]:
    """One batch through a processor that waits a second."""
    engine, chosen, count = engine_of(store), random.Random(2), concurrency * 10
    definition = pipeline("waits", "wait", concurrency=concurrency)
    uuids, _ = taken_in(store, chosen, count, "waits")
    began = time.perf_counter()
    batch = engine.open(definition, batch_id=new_uuid(), owner="network", limit=count)
    engine.step(batch, 0, definition.steps[0])
    engine.settle(definition, batch)
    seconds = time.perf_counter() - began
    check(store, keys.document, uuids, 1)
    return {
        "vcons_per_second": round(count / seconds, 1),
        "of what is allowed": round(count / seconds / concurrency, 2),
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--vcons", type=int, default=10_000)
    arguments.add_argument("--rounds", type=int, default=3)
    arguments.add_argument("--network", action="store_true")
    given = arguments.parse_args()
    sys.setswitchinterval(SWITCH_SECONDS)  # as a stream run does
    with embedded_store() as store:
        if given.network:
            answer = {f"{concurrency} at once": network(store, concurrency) for concurrency in (64, 256)}
        else:
            answer = compare(store, given.vcons, given.rounds)
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
