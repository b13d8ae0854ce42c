"""Many vCons in one request: each line its answer, one bad line harms no other, memory does not grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis import Redis

from vcon_platform.access.caller import Visible
from vcon_platform.access.keys import KeyStore
from vcon_platform.api import bulk
from vcon_platform.api.app import create_app
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def client(app: FastAPI, settings: Settings) -> TestClient:
    return TestClient(app, headers={"Authorization": f"Bearer {settings.secret_path('api_key').read_text().strip()}"})


def document(**members: Any) -> dict[str, Any]:
    return {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [], "dialog": [], **members}


def lines(raw: bytes) -> list[Any]:
    return [orjson.loads(line) for line in raw.splitlines()]


def test_every_line_is_answered_in_its_order_and_one_bad_line_harms_no_other(
    client: TestClient, redis_client: Redis
) -> None:
    good = [document() for _ in range(150)]
    sent = [*map(orjson.dumps, good[:70]), b'{"uuid": 5}', b"", *map(orjson.dumps, good[70:])]
    answer = client.post("/v1/bulk/vcons?queue=recall", content=b"\r\n".join(sent))
    assert answer.status_code == 200
    told = lines(answer.content)
    assert [each["line"] for each in told] == list(range(1, 152))
    assert [each.get("uuid") for each in told] == [
        *(each["uuid"] for each in good[:70]),
        None,
        *(each["uuid"] for each in good[70:]),
    ]
    assert told[70]["faults"][0]["pointer"]
    assert redis_client.llen(keys.queue("recall")) == 150


def test_who_sends_everything_again_is_told_what_is_known(client: TestClient) -> None:
    sent = b"\n".join(orjson.dumps(document()) for _ in range(3))
    client.post("/v1/bulk/vcons", content=sent)
    assert [each["outcome"] for each in lines(client.post("/v1/bulk/vcons", content=sent).content)] == ["known"] * 3


def test_lines_may_come_in_any_pieces(client: TestClient) -> None:
    sent = b"\n".join(orjson.dumps(document()) for _ in range(5))

    def pieces() -> Iterator[bytes]:
        for at in range(0, len(sent), 7):
            yield sent[at : at + 7]

    assert len(lines(client.post("/v1/bulk/vcons", content=pieces()).content)) == 5


def test_a_line_without_an_end_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "LONGEST_LINE", 1000)
    answer = client.post("/v1/bulk/vcons", content=orjson.dumps(document(subject="x" * 2000)))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_an_unknown_queue_is_refused_before_anything_is_read(client: TestClient, redis_client: Redis) -> None:
    answer = client.post("/v1/bulk/vcons?queue=nothing", content=orjson.dumps(document()))
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_queue")
    assert redis_client.zcard(keys.LISTING) == 0


def test_all_that_was_taken_in_is_given_out_as_it_is(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "_PAGE", 2)
    body = {"type": "text", "start": "2026-11-02T09:00:00Z", "parties": [0], "mediatype": "text/plain",
            "encoding": "none", "body": "long " * 100_000}  # fmt: skip
    sent = [document(created_at=f"2026-11-02T09:00:0{n}Z") for n in range(4)]
    sent.append(document(created_at="2026-11-02T09:00:09Z", parties=[{}], dialog=[body]))
    client.post("/v1/bulk/vcons", content=b"\n".join(map(orjson.dumps, sent)))
    answer = client.get("/v1/bulk/vcons")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert lines(answer.content) == sent[::-1]


def test_what_is_asked_for_and_what_the_key_shows_is_given_out(
    app: FastAPI, client: TestClient, redis_client: Redis
) -> None:
    tagged = {"attachments": [{"purpose": "tags", "encoding": "json", "body": ["tenant:acme"]}]}
    ours, other = document(**tagged), document()
    client.post("/v1/bulk/vcons?source=chat", content=orjson.dumps(ours) + b"\n" + orjson.dumps(other))
    assert [each["uuid"] for each in lines(client.get("/v1/bulk/vcons?tag=tenant:acme").content)] == [ours["uuid"]]
    _, text = KeyStore(redis_client).create("acme", ["read"], visible=Visible((), ("tenant:acme",)))
    limited = TestClient(app, headers={"Authorization": f"Bearer {text}"})
    assert [each["uuid"] for each in lines(limited.get("/v1/bulk/vcons").content)] == [ours["uuid"]]
    refused = client.get("/v1/bulk/vcons?since=now")
    assert (refused.status_code, refused.json()["code"]) == (422, "bad_time")
