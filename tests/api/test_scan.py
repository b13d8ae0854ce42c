"""Some thousands of requests that nobody would send in good faith, to a real server over a socket: it answers, stays
up, grows no fatter, and keeps nothing by halves. ``VCON_SCAN=10000`` makes so many of them, and calls each
operation twenty times (``docs/api.md``)."""

from __future__ import annotations

import asyncio
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import orjson
import psutil
import psycopg2
import pytest
import redis

from tests.api.made_up import Made, Maker, status_of
from tests.support import child, eventually, free_port
from vcon_platform.services.postgres import PostgresServer, create_schemas, libpq_url
from vcon_platform.services.programs import api_command
from vcon_platform.services.redis import RedisServer
from vcon_platform.settings import ENV_FILE_VARIABLE, Settings
from vcon_platform.store.check import SOUND, Difference, check
from vcon_platform.store.opening import open_store

COUNT = int(os.environ.get("VCON_SCAN", "1000"))
HOSTILE = Path(__file__).parents[1] / "data" / "hostile"
RUNS = re.compile("run|process|pipeline", re.IGNORECASE)
AT_ONCE = 8
GROWTH = 60 << 20
"""Bytes that the server may grow by while it is scanned, once it has seen a third: caches fill, and Python's heap is
given back in large pieces only."""


@dataclass(frozen=True, slots=True)
class Served:
    """A server in a process of its own."""

    port: int
    key: str
    process: psutil.Process
    settings: Settings
    log: Path

    def send(self, requests: Iterable[Made]) -> Counter[int | None]:
        """How often each status was answered. Fails where one is that a server must not give."""
        return asyncio.run(self._send(iter(requests)))

    async def _send(self, requests: Iterator[Made]) -> Counter[int | None]:
        told: Counter[int | None] = Counter()
        faults: list[str] = []

        async def some() -> None:
            for made in requests:
                status = await status_of(made, self.port, self.key)
                told[status] += 1
                if not (_is_good(made, status) or (status is None and not _is_http(made))):
                    faults.append(f"{status or 'no answer'}: {made!r:.1000}")

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(some())
        assert faults == []
        return told


def _is_good(made: Made, status: int | None) -> bool:
    """502 and 504 are true of a run whose processor asked somebody else in vain, or was too slow."""
    return status is not None and (
        status < 500 or status == 503 or (status in (502, 504) and bool(RUNS.search(made.target)))
    )


def _is_http(made: Made) -> bool:
    return made.announced is None and made.method.isalpha()


@pytest.fixture(scope="module")
def served(
    redis_server: RedisServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("scan")
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
    connection = psycopg2.connect(libpq_url(postgres_server.url()))
    connection.autocommit = True
    connection.cursor().execute("DROP DATABASE IF EXISTS scan")
    connection.cursor().execute("CREATE DATABASE scan")
    connection.close()
    create_schemas(postgres_server.url("scan"))
    port, log = free_port(), folder / "log"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VCON_")},
        ENV_FILE_VARIABLE: "",
        "VCON_DATA_DIR": str(folder / "data"),
        "REDIS_URL": redis_server.url,
        "POSTGRES_URL": postgres_server.url("scan"),
        "VCON_WEBSERVER_PORT": str(free_port()),
    }
    settings = Settings(_env_file=None, data_dir_setting=folder / "data", redis_url_setting=redis_server.url)
    with child([sys.executable, "-W", "ignore", *api_command(port)], log, env=environment, cwd=Path.cwd()) as process:
        eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200, 60)
        key = settings.secret_path("api_key").read_text().strip()
        yield Served(port, key, psutil.Process(process.pid), settings, log)


@pytest.fixture
def maker(served: Served) -> Maker:
    bodies = [path.read_bytes() for path in sorted(HOSTILE.iterdir()) if path.stat().st_size < 200_000]
    with httpx.Client(base_url=f"http://127.0.0.1:{served.port}", timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {served.key}"
        uuids = [f"01990b2c-7d10-8a41-9c3e-{number:012x}" for number in range(5)]
        for number, uuid in enumerate(uuids):
            document = {"uuid": uuid, "created_at": "2026-11-02T09:00:00Z", "parties": [{"tel": "+15550100"}]}
            client.post("/v1/vcons", json=document).raise_for_status()
            bodies.append(orjson.dumps({**document, "uuid": f"{uuid[:24]}{number + 1000:012x}", "subject": "more"}))
        return Maker(client.get("/openapi.json").json(), bodies, uuids, random.Random(6))


def assert_sound(served: Served) -> None:
    """It is up, nothing fell over, and what is stored is whole."""
    assert httpx.get(f"http://127.0.0.1:{served.port}/health", timeout=10).status_code == 200
    assert re.findall(r"^request .*", served.log.read_text(), re.MULTILINE) == []
    store = open_store(served.settings)
    told = list(check(store.client, store.archive, store.media, deep=True))
    assert len(told) >= 5
    assert [each for each in told if isinstance(each, Difference) and each.fault not in SOUND] == []


@pytest.mark.timeout(600)
def test_a_scan_leaves_it_up_its_memory_flat_and_nothing_half_stored(served: Served, maker: Maker) -> None:
    first = served.send(maker.mutated(COUNT // 3))
    before = served.process.memory_info().rss
    told = first + served.send(maker.mutated(COUNT - COUNT // 3))
    assert served.process.memory_info().rss - before < GROWTH
    assert {200, 201, 204, 400, 404, 405, 422} <= set(told), "what was sent reaches far enough to be worth sending"
    assert_sound(served)


def test_no_operation_falls_over_whatever_it_is_called_with(served: Served, maker: Maker) -> None:
    served.send(maker.of_each_operation(max(3, COUNT // 500)))
    assert_sound(served)
