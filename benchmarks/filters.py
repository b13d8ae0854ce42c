"""How long the filters take for one conversation: ``python benchmarks/filters.py``.

Measures ``process`` alone, without store and queue, on a synthetic call of 200 turns (about 20 minutes, 3,000 words)
whose transcript has a time for every word. Prints microseconds per conversation, the best of several rounds, because
what else the machine does only ever adds to it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any

from vcon_platform.processors.base import MediaReader, ProcessorContext, ProcessorIO
from vcon_platform.processors.registry import load_processors
from vcon_platform.processors.running import run
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

TURNS, WORDS, ROUNDS, EACH = 200, 15, 15, 10


class Nothing(MediaReader):
    """No body is read here."""

    def body(self, entry: Mapping[str, Any]) -> bytes:
        raise NotImplementedError

    def content_hash(self, entry: Mapping[str, Any]) -> str:
        raise NotImplementedError


class Unkept:
    """No result is kept here."""

    def get_or_compute(self, parts: tuple[str, ...], compute: Callable[[], Any]) -> Any:
        del parts
        return compute()


def call(words: list[str]) -> dict[str, Any]:
    """A call of two, in the shape that transcribe writes."""
    segments = []
    for turn in range(TURNS):
        said = random.choices(words, k=WORDS)
        times = [
            {"text": word, "start": turn * 6 + n * 0.3, "end": turn * 6 + n * 0.3 + 0.2, "confidence": 0.9}
            for n, word in enumerate(said)
        ]
        segments.append(
            {"party": turn % 2, "start": turn * 6, "end": turn * 6 + 5, "text": " ".join(said), "words": times}
        )
    return {
        "uuid": new_uuid(),
        "created_at": "2026-09-01T12:00:00Z",
        "parties": [{"name": "Alice", "role": "agent"}, {"name": "Bob", "role": "customer"}],
        "dialog": [{"type": "recording", "start": "2026-09-01T12:00:00Z", "parties": [0, 1]}],
        "analysis": [{"type": "transcript", "dialog": 0, "body": {"segments": segments}}],
        "attachments": [{"purpose": "tags", "encoding": "json", "body": ["team:north", "topic:billing"]}],
    }


def microseconds(name: str, options: dict[str, Any], document: dict[str, Any]) -> float:
    """Per conversation."""
    processor_class = load_processors().get(name)
    processor, chosen = processor_class(), processor_class.options.model_validate(options)
    context = ProcessorContext(media=Nothing(), results=Unkept(), projections={}, pipeline="bench")
    rounds = []
    for _ in range(ROUNDS):
        ios = [ProcessorIO([Vcon({**document})], context) for _ in range(EACH)]
        began = time.perf_counter()
        for io in ios:
            run(processor, io, chosen)
        rounds.append((time.perf_counter() - began) / EACH)
    return min(rounds) * 1e6


def main() -> None:
    """Print the table."""
    random.seed(5)
    words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(2, 9))) for _ in range(3000)]
    document = call(words)
    many = [" ".join(random.sample(words, 2)) for _ in range(500)]
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("recall_finder", "recall_finder", {}),
        ("keyword_filter, 4 phrases", "keyword_filter", {"phrases": many[:4]}),
        ("keyword_filter, 500 phrases", "keyword_filter", {"phrases": many}),
        ("keyword_filter, said_by", "keyword_filter", {"phrases": many[:4], "said_by": ["agent"]}),
        ("jq_filter", "jq_filter", {"filter": ".analysis | length > 0"}),
        ("sampler", "sampler", {"value": 100}),
        ("tag_router", "tag_router", {"tag_routes": {"team": "north"}}),
    ]
    for what, name, options in steps:
        print(f"{what:30} {microseconds(name, options, document):9.0f} µs")


if __name__ == "__main__":
    main()
