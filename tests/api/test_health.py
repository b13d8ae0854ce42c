"""The health page: what it says, how quickly, and what it keeps to itself."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from tests.support import free_port
from vcon_platform.api.app import create_app
from vcon_platform.settings import Settings


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


def test_it_is_ok_when_both_servers_answer(settings: Settings) -> None:
    answer = TestClient(create_app(settings)).get("/health")
    assert answer.status_code == 200
    body = answer.json()
    assert body["status"] == "ok"
    assert set(body["services"]) == {"redis", "postgres"}
    assert all(
        service["ok"] and service["ms"] > 0 and service["reason"] is None for service in body["services"].values()
    )


def test_head_answers_as_get_without_a_body(settings: Settings) -> None:
    answer = TestClient(create_app(settings)).head("/health")
    assert answer.status_code == 200
    assert answer.content == b""


def test_it_is_503_and_names_the_service_but_no_secret(settings: Settings) -> None:
    broken = settings.model_copy(
        update={
            "redis_url_setting": Settings(
                _env_file=None, redis_url_setting=f"redis://:hunter2@127.0.0.1:{free_port()}/0"
            ).redis_url_setting
        }
    )
    answer = TestClient(create_app(broken)).get("/health")
    assert answer.status_code == 503
    body = answer.json()
    assert body["status"] == "unavailable"
    assert body["services"]["redis"]["ok"] is False
    assert body["services"]["postgres"]["ok"] is True
    assert "hunter2" not in answer.text
    assert "127.0.0.1" not in answer.text


def test_servers_that_hang_do_not_hang_the_page(silent_port: int) -> None:
    hanging = Settings(
        _env_file=None,
        redis_url_setting=f"redis://127.0.0.1:{silent_port}/0",
        postgres_url_setting=f"postgresql://postgres@127.0.0.1:{silent_port}/postgres",
    )
    client = TestClient(create_app(hanging))
    began = time.monotonic()
    answer = client.get("/health")
    assert answer.status_code == 503
    assert time.monotonic() - began < 5
    assert not any(service["ok"] for service in answer.json()["services"].values())


def test_an_installation_that_was_never_started_is_unavailable_not_an_error(tmp_path: Path) -> None:
    never = Settings(_env_file=None, data_dir_setting=tmp_path)
    answer = TestClient(create_app(never)).get("/health")
    assert answer.status_code == 503


def test_the_documentation_page_is_there(settings: Settings) -> None:
    app = create_app(settings)
    key = settings.secret_path("api_key").read_text().strip()
    client = TestClient(app, headers={"Authorization": f"Bearer {key}"})
    assert client.get("/docs").status_code == 200
    assert "503" in client.get("/openapi.json").json()["paths"]["/health"]["get"]["responses"]
