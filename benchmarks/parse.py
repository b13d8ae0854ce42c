"""How fast a document is read, against ``orjson`` alone and against the ``vcon`` package.

    python benchmarks/parse.py [--rounds N]

Two comparisons, each at 5 KB, 1 MB and 20 MB with one recording inline, and at 5 KB and 1 MB of chat; the ways take
turns, the median of the rounds:

- JSON: ``read_json`` (duplicate keys, depth, sizes, numbers, surrogates) against ``orjson.loads``;
- document: ``open_document`` and ``receive`` (gates 1 to 3, hash, long bodies set aside, migration) against the
  ``vcon`` package's parse, ``is_valid`` and dump.

Prints one JSON object; times are of the processor, so that other work on the machine counts little. Ratios are what
counts, the machine's speed changes. ``read_json / orjson`` is how many times as long ``read_json`` takes, ``package /
platform`` how many times as long the package takes.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import io
import json
import logging
import random
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

sys.path.insert(0, str(Path(__file__).parent))

from ingest import document, package_reader

from vcon_platform.settings import Settings
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.opened import open_document
from vcon_platform.vcon.received import Policy, receive
from vcon_platform.vcon.strict_json import read_json

BYTES_PER_ROUND = 4_000_000
"""Small documents are read as often as makes this many bytes: a clock cannot tell a few microseconds."""


def with_recording(chosen: random.Random, size: int) -> bytes:
    """A call of about ``size`` bytes, nearly all of them one recording inside."""
    value = orjson.loads(document(chosen))
    body = base64.urlsafe_b64encode(b"RIFF\0\0\0\0WAVE" + chosen.randbytes(size * 3 // 4 - 600)).rstrip(b"=")
    recording = {"type": "recording", "start": value["created_at"], "duration": 60.5, "parties": [0, 1]}
    value["dialog"] = [{**recording, "mediatype": "audio/x-wav", "encoding": "base64url", "body": body.decode()}]
    return orjson.dumps(value)


def chat(chosen: random.Random, size: int) -> bytes:
    """A chat of about ``size`` bytes."""
    value = orjson.loads(document(chosen))
    messages = value["dialog"]
    value["dialog"] = messages * max(1, size * len(messages) // len(orjson.dumps(value)) // len(messages))
    return orjson.dumps(value)


def ways() -> dict[str, Callable[[bytes], object]]:
    """What is compared."""
    limits, inline_max, reader = Limits(), Settings(_env_file=None).media_inline_max, package_reader()

    def platform(raw: bytes) -> None:
        policy = Policy(received_at=datetime.now(UTC), limits=limits)
        with (
            open_document(raw, media_type=None, limits=limits, hoist_over=inline_max) as opened,
            receive(opened.value, policy, skeleton=opened.skeleton),
        ):
            pass

    def package(raw: bytes) -> None:
        read = reader.build_from_json(raw.decode())
        read.is_valid()
        read.to_json()

    return {
        "orjson": orjson.loads,
        "read_json": lambda raw: read_json(raw, limits),
        "package": package,
        "platform": platform,
    }


def milliseconds(run: Callable[[bytes], object], raw: bytes) -> float:
    """For one document, the mean of as many as a round has."""
    times = max(1, BYTES_PER_ROUND // len(raw))
    began = time.process_time()
    for _ in range(times):
        run(raw)
    return (time.process_time() - began) / times * 1000


def compare(compared: dict[str, Callable[[bytes], object]], raw: bytes, rounds: int) -> dict[str, Any]:
    """All ways on one document."""
    taken: dict[str, list[float]] = {name: [] for name in compared}
    for _ in range(rounds):
        for name, run in compared.items():
            with contextlib.redirect_stdout(io.StringIO()):
                taken[name].append(milliseconds(run, raw))
    medians = {name: statistics.median(found) for name, found in taken.items()}
    return {
        "bytes": len(raw),
        "milliseconds": {name: round(median, 4) for name, median in medians.items()},
        "read_json / orjson": round(medians["read_json"] / medians["orjson"], 2),
        "package / platform": round(medians["package"] / medians["platform"], 1),
    }


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=7)
    given = arguments.parse_args()
    logging.disable()
    chosen, compared = random.Random(1), ways()
    documents = {
        "recording, 5 KB": with_recording(chosen, 5_000),
        "recording, 1 MB": with_recording(chosen, 1_000_000),
        "recording, 20 MB": with_recording(chosen, 20_000_000),
        "chat, 5 KB": chat(chosen, 5_000),
        "chat, 1 MB": chat(chosen, 1_000_000),
    }
    print(json.dumps({name: compare(compared, raw, given.rounds) for name, raw in documents.items()}, indent=1))


if __name__ == "__main__":
    main()
