"""Events as they happen: over a socket, as a client sees them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import uvicorn
from redis import Redis

from tests.support import eventually, free_port
from vcon_platform.access.caller import Visible
from vcon_platform.access.keys import KeyStore
from vcon_platform.api.app import create_app
from vcon_platform.settings import Settings
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def url(settings: Settings) -> Iterator[str]:
    port = free_port()
    server = uvicorn.Server(
        uvicorn.Config(create_app(settings), port=port, log_level="error", timeout_graceful_shutdown=0)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


@pytest.fixture
def header(settings: Settings) -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.secret_path('api_key').read_text().strip()}"}


class Reader:
    """A client that reads a stream in a thread of its own."""

    def __init__(self, url: str, header: dict[str, str], query: str = "") -> None:
        self.text = ""
        self._thread = threading.Thread(target=self._read, args=(f"{url}/v1/events{query}", header), daemon=True)
        self._thread.start()
        eventually(lambda: self.text, message="it listens")

    def _read(self, url: str, header: dict[str, str]) -> None:
        with (
            contextlib.suppress(httpx.RemoteProtocolError),  # the server is stopped while it streams
            httpx.stream("GET", url, headers=header, timeout=30) as answer,
        ):
            for piece in answer.iter_text():
                self.text += piece

    def events(self) -> list[tuple[str, str]]:
        return [tuple(part.split("\n"))[:2] for part in self.text.split("\n\n") if part.startswith("event")]  # type: ignore[misc]


def post(url: str, header: dict[str, str], **members: Any) -> str:
    document = {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [], "dialog": [], **members}
    return str(httpx.post(f"{url}/v1/vcons?source=chat", headers=header, json=document).json()["uuid"])


def test_what_happens_is_told_as_it_happens(url: str, header: dict[str, str], redis_client: Redis) -> None:
    reader = Reader(url, header)
    uuid = post(url, header)
    redis_client.publish("pipeline:recall:done", uuid)
    expected = [
        ("event: created", f'data: {{"uuid":"{uuid}"}}'),
        ("event: done", f'data: {{"uuid":"{uuid}","pipeline":"recall"}}'),
    ]
    eventually(lambda: reader.events() == expected, 10)


def test_only_what_was_asked_for_is_told(url: str, header: dict[str, str], redis_client: Redis) -> None:
    ours, other = new_uuid(), new_uuid()
    reader = Reader(url, header, f"?pipeline=recall&uuid={ours}")
    for pipeline, uuid in (("recall", other), ("notes", ours), ("recall", ours)):
        redis_client.publish(f"pipeline:{pipeline}:failed", uuid)
    eventually(lambda: reader.events() == [("event: failed", f'data: {{"uuid":"{ours}","pipeline":"recall"}}')], 10)


def test_what_a_key_does_not_show_is_not_told(url: str, header: dict[str, str], redis_client: Redis) -> None:
    tagged = {"attachments": [{"purpose": "tags", "encoding": "json", "body": ["tenant:acme"]}]}
    _, text = KeyStore(redis_client).create("acme", ["read"], visible=Visible((), ("tenant:acme",)))
    reader = Reader(url, {"Authorization": f"Bearer {text}"})
    post(url, header)
    ours = post(url, header, **tagged)
    eventually(lambda: [data for _, data in reader.events()] == [f'data: {{"uuid":"{ours}"}}'], 10)
