"""What stands around every request: ids, limits, headers, and an answer where a route fell over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from fastapi import FastAPI, Request
from fastapi.testclient import TestClient
from starlette.types import Message

from vcon_platform.api.app import create_app
from vcon_platform.api.problems import add_problems
from vcon_platform.api.shelter import HEADERS, Shelter
from vcon_platform.settings import Settings, SettingsError


@pytest.fixture
def client() -> TestClient:
    app = FastAPI()
    add_problems(app)
    app.add_middleware(Shelter, body_bytes=1000)

    @app.post("/v1/count")
    async def count(request: Request) -> int:
        return len(await request.body())

    @app.get("/v1/fall/{name}")
    def fall(name: str) -> None:
        raise ValueError(f"what {name} said")

    return TestClient(app, raise_server_exceptions=False)


def test_every_answer_has_an_id_and_the_headers_that_keep_browsers_out_of_trouble(client: TestClient) -> None:
    for answer in (client.post("/v1/count", content=b"x"), client.get("/nothing"), client.get("/v1/fall/x")):
        assert answer.headers["x-request-id"]
        assert {name: answer.headers.get(name) for name in HEADERS} == dict(HEADERS)


def test_a_clients_own_id_is_kept_if_it_can_stand_in_a_log(client: TestClient) -> None:
    assert client.get("/nothing", headers={"X-Request-Id": "job-7"}).headers["x-request-id"] == "job-7"
    assert client.get("/nothing", headers={"X-Request-Id": "a b"}).headers["x-request-id"] != "a b"


def pieces(*parts: bytes) -> Iterator[bytes]:
    yield from parts


def test_a_body_is_counted_whatever_its_headers_say(client: TestClient) -> None:
    assert client.post("/v1/count", content=b"x" * 1000).json() == 1000
    announced = client.post("/v1/count", content=b"x" * 1001)
    streamed = client.post("/v1/count", content=pieces(b"x" * 600, b"x" * 600))
    for answer in (announced, streamed):
        assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_what_fell_over_is_answered_with_its_id_and_logged_without_what_people_said(
    client: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        answer = client.get("/v1/fall/alice", headers={"X-Request-Id": "r-1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "r-1" in answer.json()["detail"]
    assert "alice" not in answer.text
    assert "r-1" in caplog.text
    assert "/v1/fall/{name}" in caplog.text
    assert "alice" not in caplog.text


def answered(messages: list[Message | float], **limits: Any) -> int:
    """The status for a body whose pieces come one after the other; a number is a wait in seconds."""
    waiting = iter(messages)
    sent: list[Message] = []

    async def receive() -> Message:
        for each in waiting:
            if not isinstance(each, float):
                return each
            await asyncio.sleep(each)
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            more = (await receive()).get("more_body", False)
        await send({"type": "http.response.start", "status": 204, "headers": []})

    scope: Any = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(Shelter(app, body_bytes=10_000, **limits)(scope, receive, send))
    return int(sent[0]["status"])


def piece(size: int, more: bool = True) -> Message:
    return {"type": "http.request", "body": b"x" * size, "more_body": more}


def test_a_body_that_stops_coming_is_given_up() -> None:
    assert answered([piece(1), 5.0, piece(1, more=False)], piece_seconds=0.05) == 408
    assert answered([piece(1), 0.01, piece(1, more=False)], piece_seconds=0.5) == 204


def test_a_body_that_drips_is_given_up() -> None:
    drips: list[Message | float] = [each for _ in range(20) for each in (0.03, piece(1))]
    assert answered([*drips, piece(1, more=False)], piece_seconds=0.1, slowest=1000) == 408


def test_other_pages_scripts_are_let_in_only_where_a_setting_says_so(settings: Settings) -> None:
    page = {"Origin": "https://desk.example.org", "Access-Control-Request-Method": "GET"}
    closed = TestClient(create_app(settings)).options("/v1/vcons", headers=page)
    assert "access-control-allow-origin" not in closed.headers
    chosen = settings.model_copy(update={"cors_origins_setting": "https://desk.example.org"})
    opened = TestClient(create_app(chosen))
    assert opened.options("/v1/vcons", headers=page).headers["access-control-allow-origin"] == page["Origin"]
    other = opened.options("/v1/vcons", headers={**page, "Origin": "https://evil.example.org"})
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("text", ["*", "desk.example.org", "https://desk.example.org/"])
def test_what_is_no_origin_is_refused_with_the_cure(settings: Settings, text: str) -> None:
    with pytest.raises(SettingsError, match="VCON_CORS_ORIGINS"):
        _ = settings.model_copy(update={"cors_origins_setting": text}).cors_origins


def test_what_cannot_be_written_down_is_the_clients_fault_and_other_type_errors_are_ours() -> None:
    app = FastAPI()
    add_problems(app)
    app.add_middleware(Shelter, body_bytes=1000)

    @app.post("/v1/keep")
    def keep(value: dict[str, Any]) -> int:
        return len(orjson.dumps(value)) if "of" not in value else value["of"] + ""

    client = TestClient(app, raise_server_exceptions=False)
    refused = client.post("/v1/keep", json={"number": 2**64})
    assert (refused.status_code, refused.json()["code"]) == (422, "number_too_long")
    refused = client.post("/v1/keep", content=rb'{"text": "\ud800"}', headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (422, "not_unicode")
    assert client.post("/v1/keep", json={"of": 1}).status_code == 500
