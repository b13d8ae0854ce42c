"""What a large recording costs: a later append, and memory while it comes in.

    python benchmarks/large.py [--appends N] [--append-megabytes N] [--memory-megabytes N]

- append: milliseconds of ``DocumentStore.update`` that adds an analysis of 2 KB, to a vCon that came with a recording
  of 20 MB inside and to one that came with none, taking turns; the medians and their ratio. Both grow alike.
- memory: a JSON file with one recording of 200 MB inside (267 MB of base64) goes through the door of one process, and
  by HTTP into another that serves the API; the resident memory of each before, its peak (Linux: VmHWM), and the
  seconds. Both have taken a small document in before, so that loading the libraries is not counted.

Prints one JSON object. Megabytes are millions of bytes.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from embedded import embedded_store
from ingest import document

from vcon_platform.ingress.answer import Source
from vcon_platform.ingress.door import Door
from vcon_platform.ingress.opening import open_door
from vcon_platform.services.programs import api_command
from vcon_platform.settings import load_settings
from vcon_platform.store.opening import Store, open_store
from vcon_platform.vcon.document import Append, Vcon

MB = 1_000_000
PIECE = 3 << 18
"""Bytes encoded at a time; a multiple of three, so that base64 texts join."""
MARK = "RECORDING"


# --- documents --------------------------------------------------------------------------------------------------


def write_document(path: Path, recording_bytes: int, chosen: random.Random) -> str:
    """Write a vCon with one recording of so many bytes inside, in pieces; gives its uuid."""
    value = orjson.loads(document(chosen))
    recording = {"type": "recording", "start": value["created_at"], "duration": 60.5, "parties": [0, 1]}
    value["dialog"] = [{**recording, "mediatype": "audio/x-wav", "encoding": "base64url", "body": MARK}]
    before, after = orjson.dumps(value).split(MARK.encode())
    with path.open("wb") as file:
        file.write(before)
        left, head = recording_bytes, b"RIFF\0\0\0\0WAVE"
        while left > 0:
            piece = (head + chosen.randbytes(min(PIECE, left) - len(head)))[:left]
            head, left = b"", left - len(piece)
            file.write(base64.urlsafe_b64encode(piece).rstrip(b"="))
        file.write(after)
    return str(value["uuid"])


# --- appends ----------------------------------------------------------------------------------------------------


def appends(store: Store, folder: Path, times: int, recording_bytes: int) -> dict[str, Any]:
    """The same appends to a vCon with a long recording and to one without."""
    chosen, door, source = random.Random(1), Door(store.documents, store.media), Source("bench")
    path = folder / "append.json"
    uuids = {"with": write_document(path, recording_bytes, chosen)}
    with path.open("rb") as file:
        door.take(file, source)
    value = orjson.loads(document(chosen))
    value["dialog"] = value["dialog"][:1]  # as few as the other has: the two are to differ in the recording only
    uuids["without"] = door.take(orjson.dumps(value), source).uuid
    analysis = {"type": "summary", "vendor": "benchmark", "dialog": 0, "encoding": "none", "body": "word " * 400}

    def add(vcon: Vcon) -> None:
        vcon.apply(Append("analysis", dict(analysis)))

    taken: dict[str, list[float]] = {name: [] for name in uuids}
    for _ in range(times):
        for name, uuid in uuids.items():
            began = time.perf_counter()
            store.documents.update(uuid, add)
            taken[name].append((time.perf_counter() - began) * 1000)
    medians = {name: statistics.median(found) for name, found in taken.items()}
    return {
        "recording_megabytes": recording_bytes / MB,
        "appends_each": times,
        "milliseconds_with_recording": round(medians["with"], 2),
        "milliseconds_without": round(medians["without"], 2),
        "with / without": round(medians["with"] / medians["without"], 2),
    }


# --- memory -----------------------------------------------------------------------------------------------------


def peak_bytes(pid: int) -> int:
    """The most resident memory a process ever had (the counter starts anew with its program)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("this system does not tell a process's peak memory; run the benchmark on Linux")


def memory_of(pid: int, take: Callable[[], object]) -> dict[str, float]:
    """Memory of a process before and at most, and the seconds, while something is taken in."""
    resident, peak_before = psutil.Process(pid).memory_info().rss, peak_bytes(pid)
    began = time.perf_counter()
    take()
    seconds, peak = time.perf_counter() - began, peak_bytes(pid)
    return {
        "rss_before_megabytes": round(resident / MB, 1),
        "peak_before_megabytes": round(peak_before / MB, 1),
        "peak_megabytes": round(peak / MB, 1),
        "peak_growth_megabytes": round((peak - resident) / MB, 1),
        "seconds": round(seconds, 2),
    }


def through_the_door(path: Path) -> None:
    """In a child: take the file in by the door and print what it cost."""
    settings = load_settings()
    door, source = open_door(settings, open_store(settings)), Source("bench")
    door.take(document(random.Random()), source)

    def take() -> None:
        with path.open("rb") as file:
            answer = door.take(file, source)
        assert str(answer.outcome) == "created"

    print(json.dumps(memory_of(os.getpid(), take)))


def in_a_child(path: Path, environment: dict[str, str]) -> dict[str, Any]:
    """What :func:`through_the_door` prints."""
    command = [sys.executable, "-W", "ignore", __file__, "--child", str(path)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return dict(orjson.loads(done.stdout))


def pieces(path: Path) -> Iterator[bytes]:
    """A file's bytes, so that it is posted without being in memory."""
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            yield piece


@contextmanager
def served(environment: dict[str, str]) -> Iterator[tuple[int, str]]:
    """The API in a process of its own: its process id and address."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, *api_command(port)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while process.poll() is None:
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield process.pid, f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def by_http(path: Path, environment: dict[str, str]) -> dict[str, Any]:
    """Post the file to the API and look at the memory of the process that serves it."""
    with served(environment) as (pid, address):
        key = (Path(environment["VCON_DATA_DIR"]) / "secrets" / "api_key").read_text().strip()
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/vcon"}
        with httpx.Client(base_url=address, headers=headers, timeout=None) as client:  # noqa: S113 - it may take long
            client.post("/v1/vcons", content=document(random.Random())).raise_for_status()

            def take() -> None:
                answer = client.post("/v1/vcons", content=pieces(path)).raise_for_status()
                assert answer.json()["outcome"] == "created"

            return dict(memory_of(pid, take))


def redis_url(store: Store) -> str:
    """The address of the Redis that a store stands on, for other processes."""
    given = store.client.connection_pool.connection_kwargs
    return f"redis://:{given['password']}@{given['host']}:{given['port']}/{given.get('db', 0)}"


def memory(redis: str, folder: Path, recording_bytes: int) -> dict[str, Any]:
    """Both ways in, each with a document of its own: bytes that are known already would not be written."""
    environment = {**os.environ, "VCON_DATA_DIR": str(folder / "data"), "REDIS_URL": redis}
    answer: dict[str, Any] = {"recording_megabytes": recording_bytes / MB}
    path = folder / "memory.json"
    for name, measured in (("door", in_a_child), ("http", by_http)):
        write_document(path, recording_bytes, random.Random(name))
        answer["document_megabytes"] = round(path.stat().st_size / MB, 1)
        answer[name] = measured(path, environment)
    return answer


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--appends", type=int, default=200)
    arguments.add_argument("--append-megabytes", type=int, default=20)
    arguments.add_argument("--memory-megabytes", type=int, default=200)
    arguments.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.child is not None:
        through_the_door(given.child)
        return
    answer: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="vcon-benchmark-") as name:
        folder = Path(name)
        with embedded_store() as store:
            answer["append"] = appends(store, folder, given.appends, given.append_megabytes * MB)
        with embedded_store() as store:  # another: a Redis belongs to one object store, here that of the children
            answer["memory"] = memory(redis_url(store), folder, given.memory_megabytes * MB)
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
