"""An answer is a promise: API and Redis are killed right after it, and the vCon is there when Redis is back."""

from __future__ import annotations

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
from fastapi.testclient import TestClient

from tests.support import child, eventually, free_port
from vcon_platform.api.app import create_app
from vcon_platform.services.programs import api_command
from vcon_platform.services.redis import RedisServer
from vcon_platform.settings import ENV_FILE_VARIABLE, Settings
from vcon_platform.vcon.uuids import new_uuid

POSTS = ("/v1/vcons", "/vcon", "/api/vcon")


def test_what_was_answered_outlives_the_api_and_redis(server_folder: Path, tmp_path: Path) -> None:
    folder = server_folder / "durable"
    server = RedisServer(folder, server_folder / "durable.conf", free_port(), "test-password")
    server.prepare()
    settings = Settings(_env_file=None, data_dir_setting=tmp_path / "data", redis_url_setting=server.url)
    environment = {
        **os.environ,
        ENV_FILE_VARIABLE: "",
        "VCON_DATA_DIR": str(tmp_path / "data"),
        "REDIS_URL": server.url,
    }
    port, uuids = free_port(), [new_uuid() for _ in range(30)]

    def post(number: int) -> int:
        document = {"uuid": uuids[number], "created_at": "2026-11-02T09:00:00Z", "parties": []}
        path = POSTS[number % len(POSTS)]
        return httpx.post(f"http://127.0.0.1:{port}{path}", json=document, headers=header, timeout=30).status_code

    with (
        child(server.command(), tmp_path / "redis.log") as redis,
        child(
            [sys.executable, "-W", "ignore", *api_command(port)], tmp_path / "api.log", env=environment, cwd=Path.cwd()
        ) as api,
        ThreadPoolExecutor(8) as threads,
    ):
        eventually(lambda: server.why_not_ready(redis.pid) is None, 30)
        eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/api/health", timeout=5).status_code == 200, 60)
        header = {"Authorization": f"Bearer {settings.secret_path('api_key').read_text().strip()}"}
        told = list(threads.map(post, range(len(uuids))))
        redis.send_signal(signal.SIGKILL)
        api.send_signal(signal.SIGKILL)
    assert set(told) <= {201, 204}
    with child(server.command(), tmp_path / "redis.log") as redis:
        eventually(lambda: server.why_not_ready(redis.pid) is None, 30)
        client = TestClient(create_app(settings), headers=header)
        assert [client.get(f"/v1/vcons/{uuid}").status_code for uuid in uuids] == [200] * len(uuids)
