"""How much memory a document with a long recording takes while it is opened from a file, and how long that takes.

    python benchmarks/stream.py [--megabytes N]

Prints one JSON object: peak memory beyond what the process had before, for a recording of N MB (default 200) that is
set aside and then read once, as on the way into the media store; as plain JSON and as gzip. Each runs in a process of
its own, because a process's peak memory never goes down again. Set against it, in the same run: how long it takes to
only read and hash the file (SHA-256, as every document is), decode the base64 and hash that (SHA-512).
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from transcribe import peak_memory

from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.opened import open_document

BLOCK = (1 << 20) // 3 * 3  # whole base64 quanta
START = b'{"vcon":"0.4.0","dialog":[{"type":"recording","encoding":"base64url","body":"'
HOIST_OVER = 100_000


def write(path: Path, megabytes: int) -> None:
    """A document whose recording is noise of this many megabytes; gzip if its name says so."""
    with gzip.open(path, "wb", 1) if path.suffix == ".gz" else path.open("wb") as file:
        file.write(START)
        for _ in range(megabytes):
            file.write(base64.urlsafe_b64encode(os.urandom(BLOCK)))
        file.write(b'"}]}')


def measure(path: Path) -> dict[str, Any]:
    """Open one document and read its recording."""
    before, began = peak_memory(), time.perf_counter()
    with (
        path.open("rb") as source,
        open_document(
            source, media_type=None, limits=Limits(), hoist_over=HOIST_OVER, spool_dir=path.parent
        ) as document,
    ):
        opened = time.perf_counter() - began
        size = sum(len(piece) for piece in document.bodies[0].chunks())
        skeleton = len(document.skeleton)
    return {
        "file_mb": path.stat().st_size >> 20,
        "recording_mb": size >> 20,
        "left_bytes": skeleton,
        "seconds": round(opened, 2),
        "memory_before_mb": before,
        "peak_growth_mb": peak_memory() - before,
    }


def least_seconds(path: Path) -> float:
    """Reading, hashing, decoding and hashing again, and nothing else."""
    came, decoded, began = hashlib.sha256(), hashlib.sha512(), time.perf_counter()
    with path.open("rb") as file:
        came.update(file.read(len(START)))
        while block := file.read(BLOCK // 3 * 4):
            came.update(block)
            decoded.update(base64.urlsafe_b64decode(block.removesuffix(b'"}]}')))
    return round(time.perf_counter() - began, 2)


def main() -> None:
    """Measure both forms, each in a process of its own."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--megabytes", type=int, default=200)
    arguments.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.one:
        print(json.dumps(measure(given.one)))
        return
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("long.vcon", "long.vcon.gz"):
            path = Path(folder) / name
            write(path, given.megabytes)
            if path.suffix == ".vcon":
                results["least_seconds"] = least_seconds(path)
            shown = subprocess.run([sys.executable, __file__, "--one", str(path)], stdout=subprocess.PIPE, check=True)
            results[name] = json.loads(shown.stdout)
            path.unlink()
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
