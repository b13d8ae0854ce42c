"""What the REST API costs over HTTP, against a bare Starlette handler that does one JSON.SET (``bare.py``).

    python benchmarks/rest.py [--seconds N] [--rounds N] [--connections N] [--workers 1 2] [--upload-megabytes N]

Needs ``wrk`` (Debian and Ubuntu: apt-get install wrk; macOS: brew install wrk). Both are served by real uvicorn
processes with the options of ``vcon-platform up``, on one embedded Redis (append-only file on), and asked in turns in
the same run: each POST brings a vCon of 4.5 KB that is new (half of them chats with 14 messages, half calls with a
small recording), each GET asks for one of some chats that were posted before.

- ``per_second``, ``p50_ms``, ``p99_ms``: as wrk tells them; the median of the rounds.
- ``rate / bare``: the median of the ratios of each round. Rounds are short and many: a shared machine changes its speed
  from minute to minute, and both have the same one in a round.
- ``cpu_us``: processor time for each request, of the server's processes and of Redis. On a machine that others use
  too, these and the ratios say more than the rates.
- ``upload``: a recording of 200 MB inside a vCon, posted to the API: memory before and at most.

Prints one JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import psutil

sys.path.insert(0, str(Path(__file__).parent))

from embedded import embedded_store, free_port
from ingest import document, recording
from large import MB, by_http, redis_url

from vcon_platform.services.programs import api_command
from vcon_platform.store.opening import Store

PATHS = {"/v1/vcons": "/v1/vcons/%s", "/vcon": "/vcon/%s", "/api/vcon": "/api/vcon/%s"}
"""Where each of the three APIs takes a vCon, and gives it back."""
TEMPLATES = 50
UUID = "UUID-GOES-HERE"
LUA = """
local headers = {["Authorization"] = "Bearer KEY", ["Content-Type"] = "application/json"}
local bodies, number, stamp = {}, 0, "STAMP"
for line in io.lines("FOLDER/bodies") do
  local at = line:find("UUID", 1, true)
  bodies[#bodies + 1] = {line:sub(1, at - 1), line:sub(at + #"UUID")}
end
local known = {}
for line in io.lines("FOLDER/known") do known[#known + 1] = line end
local failed = 0
function request()
  number = number + 1
  if "METHOD" == "GET" then return wrk.format("GET", string.format("PATH", known[number % #known + 1]), headers) end
  local body = bodies[number % #bodies + 1]
  local uuid = string.format("%s-%04x-7%03x-8%03x-%012x", stamp, number / 4096 % 65536, number % 4096, 0, number)
  return wrk.format("POST", "PATH", headers, body[1] .. uuid .. body[2])
end
"""


class Wrk:
    """The load tool, with its input in ``folder``."""

    def __init__(self, folder: Path, connections: int) -> None:
        found = shutil.which("wrk")
        if found is None:
            sys.exit("wrk is not installed. Debian, Ubuntu: apt-get install wrk. macOS: brew install wrk.")
        self._program, self._folder, self._connections = found, folder, connections
        chosen = random.Random(1)
        self.known: list[str] = []
        lines = []
        for number in range(TEMPLATES):
            value = orjson.loads((document, recording)[number % 2](chosen))
            lines.append(orjson.dumps({**value, "uuid": UUID}))
        (folder / "bodies").write_bytes(b"\n".join(lines))

    def keep_known(self, address: str, path: str, key: str) -> None:
        """Post what the GETs will ask for."""
        chosen = random.Random()
        documents = [document(chosen) for _ in range(100)]
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
            for each in documents:
                client.post(path, content=each).raise_for_status()
        (self._folder / "known").write_text("\n".join(orjson.loads(each)["uuid"] for each in documents))

    def run(self, address: str, method: str, path: str, key: str, seconds: float) -> dict[str, float]:
        """Requests per second and latencies. Stops where anything is answered other than 2xx."""
        values = {"KEY": key, "STAMP": os.urandom(4).hex(), "FOLDER": str(self._folder), "METHOD": method, "PATH": path}
        script = self._folder / "requests.lua"
        text = LUA.replace("UUID", UUID)
        for name, value in values.items():
            text = text.replace(name, value)
        script.write_text(text)
        command = [self._program, "-t1", f"-c{self._connections}", f"-d{seconds:g}s", "--latency", "--timeout", "30s"]
        done = subprocess.run([*command, "-s", str(script), address], check=True, capture_output=True, text=True)
        if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
            sys.exit(f"{method} {path}: {done.stdout}")
        return {
            "per_second": float(_told(r"Requests/sec:\s+([\d.]+)", done.stdout)),
            "requests": float(_told(r"(\d+) requests in", done.stdout)),
            "p50_ms": _milliseconds(_told(r"\n +50%\s+(\S+)", done.stdout)),
            "p99_ms": _milliseconds(_told(r"\n +99%\s+(\S+)", done.stdout)),
        }


def _told(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        sys.exit(f"wrk says something else than expected:\n{text}")
    return found[1]


def _milliseconds(text: str) -> float:
    found = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text)
    assert found is not None, text
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}[found[2]]


@contextmanager
def served(command: Sequence[str], port: int, environment: dict[str, str]) -> Iterator[psutil.Process]:
    """A server, until the block ends."""
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            for _ in range(600):
                try:
                    httpx.get(f"http://127.0.0.1:{port}/health", timeout=5)
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def cpu_seconds(server: psutil.Process, store: Store) -> tuple[float, float]:
    """Processor time so far of a server with its workers, and of Redis."""
    times = [each.cpu_times() for each in (server, *server.children(recursive=True))]
    told: Any = store.client.info("cpu")
    return sum(each.user + each.system for each in times), float(told["used_cpu_user"]) + float(told["used_cpu_sys"])


def compared(store: Store, folder: Path, given: argparse.Namespace, workers: int) -> dict[str, Any]:
    """Both servers with so many workers, in turns."""
    environment = {**os.environ, "VCON_DATA_DIR": str(folder / "data"), "REDIS_URL": redis_url(store)}
    environment |= {"VCON_API_WORKERS": str(workers), "VCON_ENV_FILE": ""}
    ours, bare = free_port(), free_port()
    options = ["--no-access-log", "--no-server-header", "--workers", str(workers)]
    bare_command = [
        sys.executable,
        "-m",
        "uvicorn",
        "--factory",
        "bare:create_app",
        "--app-dir",
        str(Path(__file__).parent),
    ]
    found: dict[str, list[dict[str, float]]] = {}
    with (
        served([sys.executable, *api_command(ours, workers)], ours, environment) as our_server,
        served([*bare_command, "--port", str(bare), *options], bare, environment) as bare_server,
    ):
        key = (folder / "data" / "secrets" / "api_key").read_text().strip()
        wrk = Wrk(folder, given.connections)
        asked = [("bare", bare, bare_server, "/v1/vcons", "/v1/vcons/%s")]
        asked += [(path, ours, our_server, path, by) for path, by in PATHS.items() if path in given.paths]
        for number in range(given.rounds + 1):
            for name, port, server, path, by in asked:
                address = f"http://127.0.0.1:{port}"
                wrk.keep_known(address, path, key)
                for method, at in (("POST", path), ("GET", by)):
                    before = cpu_seconds(server, store)
                    told = wrk.run(address, method, at, key, given.seconds if number else 1)
                    spent = [b - a for a, b in zip(before, cpu_seconds(server, store), strict=True)]
                    told |= {
                        "cpu_us": spent[0] * 1e6 / told["requests"],
                        "redis_cpu_us": spent[1] * 1e6 / told["requests"],
                    }
                    if number:  # the first round warms up
                        found.setdefault(f"{method} {name}", []).append(told)
    answer: dict[str, Any] = {
        name: {each: round(statistics.median(run[each] for run in runs), 2) for each in runs[0] if each != "requests"}
        for name, runs in found.items()
    }
    for name, told in answer.items():
        method = name.partition(" ")[0]
        pairs = zip(found[name], found[f"{method} bare"], strict=True)
        told["rate / bare"] = round(
            statistics.median(run["per_second"] / other["per_second"] for run, other in pairs), 2
        )
        told["bare cpu / cpu"] = round(answer[f"{method} bare"]["cpu_us"] / told["cpu_us"], 2)
    return answer


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=int, default=2)
    arguments.add_argument("--rounds", type=int, default=9)
    arguments.add_argument("--connections", type=int, default=64)
    arguments.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments.add_argument("--paths", nargs="+", default=list(PATHS), choices=list(PATHS))
    arguments.add_argument("--upload-megabytes", type=int, default=200, help="0: no upload")
    given = arguments.parse_args()
    answer: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="vcon-benchmark-") as name:
        folder = Path(name)
        for workers in given.workers:
            with embedded_store() as store:
                (folder / str(workers)).mkdir()
                answer[f"{workers} workers"] = compared(store, folder / str(workers), given, workers)
        if given.upload_megabytes:
            with embedded_store() as store:
                from large import write_document

                environment = {**os.environ, "VCON_DATA_DIR": str(folder / "data"), "REDIS_URL": redis_url(store)}
                write_document(folder / "large.json", given.upload_megabytes * MB, random.Random(1))
                answer["upload"] = by_http(folder / "large.json", environment)
    print(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
