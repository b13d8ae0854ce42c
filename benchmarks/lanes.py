"""How long a conversation waits in either lane, through the real processes, and what a hand-over and a kill cost.

    python benchmarks/lanes.py [--seconds N] [--rates 1,10,100] [--backlog N]

Starts an installation of its own in a temporary folder (embedded Redis and Postgres, Dagster's processes) with two
pipelines of four trivial processors, ``calm`` in the batch lane and ``quick`` in the stream lane, and stores vCons at
each rate. A latency is the time from before the vCon is stored to the message of its commit (``pipeline:{name}:done``).
While ``quick`` is measured its run is followed by another every 20 s; at the end the run that works is killed (kill -9)
and the time is taken until conversations are done again, and until the one it held is. Prints one JSON object.

``--backlog`` measures that alone: so many vCons of 5 KB wait for ``count``, a pipeline of four processors that each
read the document and append a small analysis; how long until all are done, from the moment the queue is open, Dagster's
clocks and launches included; and, in the same Redis, a plain loop that reads and appends with two round trips per
processor and vCon.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any, cast

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1]))

import psutil
from redis import Redis

from tests.support import free_port
from vcon_platform.services.stack import Stack
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.commits import NewVcon
from vcon_platform.store.connection import connect
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.leases import Queues
from vcon_platform.store.opening import open_store
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

CALM = """
processors:
  - {processor_name: set_parameters, processor_options: {parameters: {a: 1}}}
  - {processor_name: set_parameters, processor_options: {parameters: {b: 2}}}
  - {processor_name: set_parameters, processor_options: {parameters: {c: 3}}}
  - {processor_name: set_parameters, processor_options: {parameters: {d: 4}}}
"""
COUNT = json.dumps({"pipeline_options": {}, "processors": [{"processor_name": "count", "processor_options": {}}] * 4})
QUICK = "pipeline_options: {lane: stream, stream_seconds: 20}" + CALM


class Done:
    """When each conversation was committed, as Redis told it."""

    def __init__(self, client: Redis) -> None:
        self.at: dict[str, float] = {}
        self.times: dict[str, int] = {}
        self._messages = client.pubsub(ignore_subscribe_messages=True)  # type: ignore[no-untyped-call]
        self._messages.subscribe("pipeline:calm:done", "pipeline:quick:done")
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over.is_set():
            message = self._messages.get_message(timeout=0.5)
            if message is None:
                continue
            uuid = message["data"].decode()
            self.at.setdefault(uuid, time.time())
            self.times[uuid] = self.times.get(uuid, 0) + 1

    def close(self) -> None:
        """Listen no more."""
        self._over.set()
        self._thread.join(5)

    def wait(self, uuids: list[str], seconds: float = 120.0) -> None:
        """Until all are done."""
        until = time.time() + seconds
        while time.time() < until and not all(uuid in self.at for uuid in uuids):
            time.sleep(0.01)


def store(documents: DocumentStore, pipeline: str) -> tuple[str, float]:
    """One new vCon; its uuid and when it came."""
    uuid, now = new_uuid(), time.time()
    members: dict[str, Any] = {"parties": [], "dialog": [], "analysis": [], "attachments": []}
    vcon = Vcon({"uuid": uuid, "created_at": "2026-11-02T09:00:00+00:00", "subject": "x" * 500, **members})
    list(documents.create([NewVcon(vcon, queues=[pipeline])]))
    return uuid, now


def measure(documents: DocumentStore, done: Done, pipeline: str, rate: float, seconds: float) -> dict[str, Any]:
    """Latencies of what comes at this rate."""
    came: dict[str, float] = {}
    began = time.time()
    for number in range(round(rate * seconds)):
        time.sleep(max(0.0, began + number / rate - time.time()))
        uuid, at = store(documents, pipeline)
        came[uuid] = at
    done.wait(list(came))
    took = sorted(done.at[uuid] - at for uuid, at in came.items() if uuid in done.at)
    return {
        "pipeline": pipeline,
        "rate": rate,
        "conversations": len(came),
        "not_done": len(came) - len(took),
        "done_twice": sum(done.times.get(uuid, 0) > 1 for uuid in came),
        "p50": round(statistics.median(took), 3),
        "p95": round(took[int(0.95 * (len(took) - 1))], 3),
        "max": round(took[-1], 3),
    }


def stream_process(client: Redis) -> tuple[str, int]:
    """The run that works as ``quick`` and its process."""
    found = cast("dict[bytes, bytes]", client.hgetall("stream:quick"))
    lives = {run.decode(): json.loads(raw) for run, raw in found.items()}
    run_id = max(lives, key=lambda each: lives[each]["since"])
    for process in psutil.process_iter(["cmdline"]):
        if run_id in " ".join(process.info["cmdline"] or []):  # what copies the run's output; the run is its parent
            return run_id, process.ppid()
    raise SystemExit(f"no process for run {run_id}")


def killed(client: Redis, documents: DocumentStore, done: Done) -> dict[str, Any]:
    """What a kill -9 of the stream run costs."""
    while len(client.hkeys("stream:quick")) > 1:  # not in the middle of a hand-over
        time.sleep(0.1)
    run_id, pid = stream_process(client)
    os.kill(pid, signal.SIGKILL)
    at = time.time()
    came = [store(documents, "quick")[0] for _ in range(20)]
    done.wait(came)
    return {
        "killed": run_id[:8],
        "done_again_after": round(max(done.at[uuid] for uuid in came) - at, 2),
        "done_twice": sum(done.times.get(uuid, 0) > 1 for uuid in came),
    }


COUNTERS = """
import sys
sys.path.insert(0, {benchmarks!r})
from pipelines import Count
"""


def install_counters(folder: Path) -> None:
    """The processor ``count`` of ``benchmarks/pipelines.py`` as a plugin that the platform's processes find."""
    folder.mkdir()
    (folder / "counters.py").write_text(COUNTERS.format(benchmarks=str(Path(__file__).parent)))
    info = folder / "counters-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: counters\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[vcon_platform.processors]\ncount = counters:Count\n")
    os.environ["PYTHONPATH"] = str(folder)


def backlog(stack: Stack, client: Redis, count: int) -> dict[str, Any]:
    """What waits, through the real daemon; and the plain loop."""
    import pipelines

    store, queues = open_store(stack.settings, client=client), Queues(client)
    chosen = random.Random(1)
    uuids, raws = pipelines.taken_in(store, chosen, count)
    queues.pause("count")
    queues.push("count", uuids)
    began = time.perf_counter()
    queues.resume("count")
    while (state := queues.state(["count"])["count"]).normal or state.leased:
        time.sleep(0.1)
    seconds = time.perf_counter() - began
    pipelines.check(store, keys.document, uuids)
    few = max(1, count // 10)
    pipelines.put_plain(store, uuids[:few], raws[:few])
    began = time.perf_counter()
    pipelines.plain(store, uuids[:few])
    plain = few / (time.perf_counter() - began)
    return {
        "backlog": count,
        "seconds": round(seconds, 1),
        "vcons_per_second": round(count / seconds),
        "plain loop, vcons_per_second": round(plain),
        "ratio": round(count / seconds / plain, 2),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40.0)
    parser.add_argument("--rates", default="1,10,100")
    parser.add_argument("--backlog", type=int, default=0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="vcon-lanes-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        definitions = Path(folder) / "pipelines"
        definitions.mkdir()
        (definitions / "calm.yaml").write_text(CALM)
        (definitions / "quick.yaml").write_text(QUICK)
        if given.backlog:
            install_counters(Path(folder) / "plugins")
            (definitions / "count.json").write_text(COUNT)
            (definitions / "quick.yaml").unlink()
        chosen: dict[str, Any] = {
            name: free_port()
            for name in ("redis_port", "postgres_port", "code_server_port", "webserver_port", "api_port")
        }
        data = Path(folder) / "data"
        stack = Stack(Settings(_env_file=None, data_dir_setting=data, pipelines_dir_setting=definitions, **chosen))
        try:
            stack.up()
            client = connect(stack.settings.redis_url())
            if given.backlog:
                print(json.dumps(backlog(stack, client, given.backlog), indent=1))
                return
            documents = open_store(stack.settings, client=client).documents
            done = Done(client)
            done.wait([store(documents, "quick")[0], store(documents, "calm")[0]])  # both have run once
            told: list[Any] = []
            for rate in map(float, given.rates.split(",")):
                told += [measure(documents, done, name, rate, given.seconds) for name in ("quick", "calm")]
                print(json.dumps(told[-2:]), file=sys.stderr)
            told.append(killed(client, documents, done))
            print(json.dumps(told, indent=1))
            done.close()
        finally:
            stack.down()


if __name__ == "__main__":
    main()
