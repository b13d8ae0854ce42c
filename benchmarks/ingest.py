"""How fast documents of 5 KB come in, against a plain loop that promises nothing and against the ``vcon`` package.

    python benchmarks/ingest.py [--documents N] [--rounds N]

Each way stores the same documents in the same Redis (append-only file on), interleaved, the median of the rounds:

- plain: ``orjson.loads`` and one ``JSON.SET`` per document, one after the other;
- plain, pipelined: the same, 100 commands per pipeline;
- package: parse, ``is_valid`` and dump by the ``vcon`` package, nothing stored;
- door: through the gates, archived, stored, searchable, queued and recorded, one by one;
- door, pipelined: the same, 100 documents at a time.

Prints one JSON object; ratios are what counts, the machine's speed changes. The door lets Redis work while it reads on,
which needs two cores that nobody else uses; CPU times are given because they do not depend on that.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import statistics
import sys
import time
from collections.abc import Callable
from itertools import batched
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parent))

from embedded import embedded_store

from vcon_platform.ingress.answer import Source
from vcon_platform.ingress.door import Door
from vcon_platform.store.opening import Store
from vcon_platform.vcon.uuids import new_uuid

TEXT = "the caller asked about an order that has not come and wants to know when it will be at the door"
WORDS = TEXT.split()


def document(chosen: random.Random) -> bytes:
    """A chat of about 5 KB with two parties."""
    start = "2026-11-02T09:00:00+00:00"
    return orjson.dumps(
        {
            "uuid": new_uuid(),
            "created_at": start,
            "subject": " ".join(chosen.choices(WORDS, k=6)),
            "parties": [
                {"tel": f"+1617555{chosen.randrange(10_000):04d}", "name": "Ann Agent", "role": "agent"},
                {"tel": f"+1617555{chosen.randrange(10_000):04d}", "name": "Cy Customer", "role": "customer"},
            ],
            "dialog": [
                {
                    "type": "text",
                    "start": start,
                    "parties": number % 2,
                    "mediatype": "text/plain",
                    "encoding": "none",
                    "body": " ".join(chosen.choices(WORDS, k=40)),
                }
                for number in range(14)
            ],
        }
    )


def recording(chosen: random.Random) -> bytes:
    """A call of about 5 KB: two parties, a small recording inside, no text."""
    start = "2026-11-02T09:00:00+00:00"
    return orjson.dumps(
        {
            "uuid": new_uuid(),
            "created_at": start,
            "parties": [{"tel": f"+1617555{chosen.randrange(10_000):04d}"}, {"tel": "+16175550100"}],
            "dialog": [
                {
                    "type": "recording",
                    "start": start,
                    "duration": 12.5,
                    "parties": [0, 1],
                    "mediatype": "audio/x-wav",
                    "encoding": "base64url",
                    "body": "UklGRgAAAABXQVZF" + "A" * 4400,
                }
            ],
        }
    )


def package_reader() -> Any:
    """The ``vcon`` package's reader, its logging contained."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    sys.modules.setdefault("logger", logging.getLogger("vcon.dialog"))  # type: ignore[arg-type]
    import vcon

    root.handlers[:], root.level = handlers, level
    logging.getLogger("vcon").setLevel(logging.CRITICAL)  # it tells of each invalid document
    return vcon.Vcon


def ways(store: Store) -> dict[str, Callable[[list[bytes]], None]]:
    """What is compared; each takes raw documents."""
    client, door, source, reader = store.client, Door(store.documents, store.media), Source("bench"), package_reader()

    def plain(raws: list[bytes]) -> None:
        for raw in raws:
            value = orjson.loads(raw)
            client.execute_command("JSON.SET", f"plain:{value['uuid']}", "$", orjson.dumps(value))  # type: ignore[no-untyped-call]

    def plain_pipelined(raws: list[bytes]) -> None:
        for chunk in batched(raws, 100):
            pipeline = client.pipeline(transaction=False)
            for raw in chunk:
                value = orjson.loads(raw)
                pipeline.execute_command("JSON.SET", f"plain:{value['uuid']}", "$", orjson.dumps(value))  # type: ignore[no-untyped-call]
            pipeline.execute()

    def package(raws: list[bytes]) -> None:
        for raw in raws:
            read = reader.build_from_json(raw.decode())
            read.is_valid()
            read.to_json()

    def one_by_one(raws: list[bytes]) -> None:
        for raw in raws:
            door.take(raw, source)

    def pipelined(raws: list[bytes]) -> None:
        for _ in door.take_many(raws, source):
            pass

    return {
        "plain": plain,
        "plain, pipelined": plain_pipelined,
        "package": package,
        "door": one_by_one,
        "door, pipelined": pipelined,
    }


def cpu_seconds(store: Store) -> tuple[float, float]:
    """CPU time so far of this process, and of Redis."""
    told: Any = store.client.info("cpu")
    return time.process_time(), float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--documents", type=int, default=1000)
    arguments.add_argument("--rounds", type=int, default=5)
    given = arguments.parse_args()
    chosen = random.Random(1)
    answer: dict[str, Any] = {}
    with embedded_store() as store:
        compared = ways(store)
        for kind, make in (("chat with 14 messages", document), ("call with a small recording", recording)):
            rates: dict[str, list[float]] = {name: [] for name in compared}
            costs: dict[str, list[tuple[float, float]]] = {name: [] for name in compared}
            for _ in range(given.rounds):
                for name, run in compared.items():
                    raws = [make(chosen) for _ in range(given.documents)]
                    before, began = cpu_seconds(store), time.perf_counter()
                    run(raws)
                    rates[name].append(given.documents / (time.perf_counter() - began))
                    spent = [(b - a) * 1e6 / given.documents for a, b in zip(before, cpu_seconds(store), strict=True)]
                    costs[name].append((spent[0], spent[1]))
            medians = {name: round(statistics.median(found)) for name, found in rates.items()}
            answer[kind] = {
                "bytes": len(make(chosen)),
                "documents_per_second": medians,
                "cpu_us_per_document, of this process and of Redis": {
                    name: [round(statistics.median(each)) for each in zip(*found, strict=True)]
                    for name, found in costs.items()
                },
                "door / plain": round(medians["door"] / medians["plain"], 2),
                "door, pipelined / plain": round(medians["door, pipelined"] / medians["plain"], 2),
                "door, pipelined / plain, pipelined": round(
                    medians["door, pipelined"] / medians["plain, pipelined"], 2
                ),
                "door / package": round(medians["door"] / medians["package"], 1),
                "door, pipelined / package": round(medians["door, pipelined"] / medians["package"], 1),
            }
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
