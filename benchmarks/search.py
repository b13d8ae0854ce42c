"""How fast the search finds, at 100,000 documents, and what its index weighs.

    python benchmarks/search.py [--documents N] [--rounds N] [--text-bytes N]

Starts a Redis of its own, fills it with search hashes of generated conversations, and asks. Prints one JSON object:
milliseconds (p50, p95, p99) by kind of question, memory of the index, what making a hash costs, how long a write takes
alone, during searches and while a new version of the index is being built (Redis has one thread: a long answer is
everybody's wait).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import Any

import redis

from vcon_platform.services.redis import RedisServer
from vcon_platform.store import keys, search_index
from vcon_platform.store.commits import created_seconds
from vcon_platform.store.listing import Listing
from vcon_platform.store.search import SearchIndex
from vcon_platform.store.search_fields import fields
from vcon_platform.store.search_query import SearchQuery
from vcon_platform.vcon.uuids import new_uuid

PORT = 29_641
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
SECONDS_APART = 60
META = {"adapter": "freeswitch", "state": "ready", "form": "unsigned"}
SYLLABLES = "ba ce di fo gu ka le mi no pu ra se ti vo xu za".split()  # noqa: SIM905
VOCABULARY = [f"{a}{b}{c}" for a in SYLLABLES for b in SYLLABLES for c in SYLLABLES]
SPREAD = list(accumulate(1 / (rank + 1) for rank in range(len(VOCABULARY))))  # as in speech: few words, very often


class Conversations:
    """The same documents at every run."""

    def __init__(self, text_bytes: int) -> None:
        self._chance = random.Random(1)
        self._words_per_turn = 14
        self._turns = max(1, text_bytes // (7 * self._words_per_turn))

    def turn(self) -> str:
        return " ".join(self._chance.choices(VOCABULARY, cum_weights=SPREAD, k=self._words_per_turn))

    def document(self, number: int) -> dict[str, Any]:
        chance = self._chance
        at = BEGIN + timedelta(seconds=SECONDS_APART * number, milliseconds=chance.randrange(1000))
        customer = number % 30_000
        body = [
            {"speaker": f"Speaker {turn % 2}", "text": self.turn(), "start": 4.0 * turn, "end": 4.0 * turn + 3.5}
            for turn in range(self._turns)
        ]
        return {
            "uuid": new_uuid(),
            "created_at": at.isoformat(timespec="milliseconds"),
            "subject": "Call about " + VOCABULARY[number % 400],
            "parties": [
                {
                    "tel": f"+1312555{customer:05d}",
                    "name": f"Customer {customer}",
                    "mailto": f"c{customer}@example.com",
                },
                {"tel": str(1000 + number % 60), "name": f"Agent {number % 60}"},
            ],
            "dialog": [{"type": "recording", "start": at.isoformat(), "duration": 180.0, "parties": [0, 1]}],
            "analysis": [{"type": "transcript", "dialog": 0, "body": body}, {"type": "summary", "dialog": 0}],
            "attachments": [{"purpose": "tags", "body": [f"queue:q{number % 20}", "lang:en"]}],
        }


def percentiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        f"p{share}": round(1000 * ordered[min(len(ordered) - 1, len(ordered) * share // 100)], 3)
        for share in (50, 95, 99)
    }


def timed(client: redis.Redis, rounds: int, run: Callable[[int], Any]) -> dict[str, float]:
    """Percentiles, and ``redis``: the processor time that Redis spent on each, whatever else the machine did."""
    seconds = []
    before = processor_seconds(client)
    for number in range(rounds):
        began = time.perf_counter()
        run(number)
        seconds.append(time.perf_counter() - began)
    return {**percentiles(seconds), "redis": round(1000 * (processor_seconds(client) - before) / rounds, 3)}


def processor_seconds(client: redis.Redis) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def fill(client: redis.Redis, documents: int, text_bytes: int) -> dict[str, Any]:
    """Write the hashes; says what making one costs, and what writing one costs."""
    conversations = Conversations(text_bytes)
    making = writing = size = 0.0
    for start in range(0, documents, 500):
        pipeline = client.pipeline(transaction=False)
        made = [conversations.document(number) for number in range(start, min(documents, start + 500))]
        size += sum(len(json.dumps(data)) for data in made[:5]) / 5
        began = time.perf_counter()
        hashes = [fields(data, META) for data in made]
        making += time.perf_counter() - began
        for data, made_fields in zip(made, hashes, strict=True):
            pipeline.hset(keys.search(data["uuid"]), mapping=made_fields)  # type: ignore[arg-type]
            pipeline.zadd(keys.LISTING, {keys.document(data["uuid"]): created_seconds(data)})
        began = time.perf_counter()
        pipeline.execute()
        writing += time.perf_counter() - began
    rounds = -(-documents // 500)
    return {
        "document_bytes": round(size / rounds),
        "making_a_hash_us": round(1e6 * making / documents, 1),
        "writing_a_hash_us": round(1e6 * writing / documents, 1),
    }


def questions(client: redis.Redis, documents: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each kind of question, a page of 50 each."""
    index, listing, chance = SearchIndex(client), Listing(client), random.Random(2)

    def ask(make: Callable[[int], dict[str, Any]]) -> dict[str, float]:
        return timed(client, rounds, lambda number: index.search(SearchQuery(**make(number))))

    def day(number: int) -> dict[str, Any]:
        first = BEGIN + timedelta(seconds=SECONDS_APART * chance.randrange(documents))
        return {"created_from": first, "created_to": first + timedelta(days=1), "tag": f"queue:q{number % 20}"}

    def deep(query: SearchQuery) -> Callable[[int], Any]:
        cursors: list[str | None] = [None]

        def page(_: int) -> None:
            found = index.search(SearchQuery(**{**query_members(query), "cursor": cursors[-1]}))
            cursors.append(found.cursor)

        return page

    def query_members(query: SearchQuery) -> dict[str, Any]:
        return {name: getattr(query, name) for name in query.__dataclass_fields__}

    common, middle, rare = VOCABULARY[0], VOCABULARY[150], VOCABULARY[-1]
    phrases = [f"{VOCABULARY[a]} {VOCABULARY[b]}" for a in range(0, 10) for b in range(10, 20)]
    position: dict[str, str | None] = {"cursor": None}

    def list_on(_: int) -> None:
        position["cursor"] = listing.page(limit=1000, cursor=position["cursor"]).cursor

    return {
        "tel": ask(lambda number: {"tel": f"+1312555{number * 37 % 30_000:05d}"}),
        "extension (1 in 60)": ask(lambda number: {"tel": str(1000 + number % 60)}),
        "name": ask(lambda number: {"name": f"customer {number * 41 % 30_000}"}),
        "tag and one day": ask(day),
        "word of nearly all": ask(lambda _: {"text": common}),
        "word of some": ask(lambda _: {"text": middle}),
        "word of few": ask(lambda _: {"text": rare}),
        "two words": ask(lambda number: {"text": f"{VOCABULARY[number % 50]} {VOCABULARY[200 + number % 50]}"}),
        "phrase": ask(lambda number: {"text": f'"{phrases[number % len(phrases)]}"'}),
        "word and tel": ask(lambda number: {"text": common, "tel": f"+1312555{number * 37 % 30_000:05d}"}),
        "everything, page after page": timed(client, rounds, deep(SearchQuery())),
        "word of nearly all, page after page": timed(client, rounds, deep(SearchQuery(text=common))),
        "listing, first page of 50": timed(client, rounds, lambda _: listing.page()),
        "listing, pages of 1000 in a row": timed(client, rounds, list_on),
    }


def waits(url: str, during: Callable[[], Any]) -> dict[str, float]:
    """How long a small write takes by another client while something is done."""
    seconds: list[float] = []
    done = threading.Event()

    def write() -> None:
        with redis.Redis.from_url(url) as other:
            while not done.is_set():
                began = time.perf_counter()
                other.set("benchmark:probe", "x")
                seconds.append(time.perf_counter() - began)
                done.wait(0.001)

    thread = threading.Thread(target=write)
    thread.start()
    during()
    done.set()
    thread.join()
    return {**percentiles(seconds), "longest": round(1000 * max(seconds), 3)}


def rebuild(client: redis.Redis) -> float:
    """Build another version of the index beside the one that answers; gives the seconds it takes."""
    began = time.perf_counter()
    client.execute_command("FT.CREATE", "vcons:0:benchmark", *search_index.SCHEMA)  # type: ignore[no-untyped-call]
    while float((search_index.info(client, "vcons:0:benchmark") or {})["indexing"]):
        time.sleep(0.05)
    seconds = time.perf_counter() - began
    client.execute_command("FT.DROPINDEX", "vcons:0:benchmark")  # type: ignore[no-untyped-call]
    return seconds


def measure(server: RedisServer, options: argparse.Namespace) -> dict[str, Any]:
    client = redis.Redis.from_url(server.url)
    index = SearchIndex(client)
    index.ensure()
    filled = fill(client, options.documents, options.text_bytes)
    asked = questions(client, options.documents, options.rounds)
    told = search_index.info(client, search_index.ALIAS) or {}
    seconds: list[float] = []
    return {
        "documents": options.documents,
        **filled,
        "index_mb": round(float(told["total_index_memory_sz_mb"]), 1),
        "redis_mb": round(client.info("memory")["used_memory"] / 2**20, 1),
        "milliseconds": asked,
        "a write by others, ms, alone": waits(server.url, lambda: time.sleep(2)),
        "a write by others, ms, during searches": waits(
            server.url, lambda: questions(client, options.documents, max(5, options.rounds // 10))
        ),
        "a write by others, ms, while an index is built": waits(server.url, lambda: seconds.append(rebuild(client))),
        "building_an_index_seconds": round(seconds[0], 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="search latency and memory")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--text-bytes", type=int, default=2_800, help="text of a conversation; 2,800 make 5 KB of JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vcon-benchmark-") as folder:
        server = RedisServer(Path(folder) / "redis", Path(folder) / "redis.conf", PORT, "benchmark")
        server.prepare()
        with subprocess.Popen(server.command(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            try:
                while (why := server.why_not_ready(process.pid)) is not None:
                    if process.poll() is not None:
                        sys.exit(f"Redis did not start: {why}")
                    time.sleep(0.05)
                print(json.dumps(measure(server, options), indent=1))
            finally:
                process.terminate()


if __name__ == "__main__":
    main()
