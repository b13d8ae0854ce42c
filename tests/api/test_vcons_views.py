"""What is known of one vCon: revisions, turns, bodies, lineage."""

from __future__ import annotations

import base64
import os
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis import Redis

from vcon_platform.access.caller import Visible
from vcon_platform.access.keys import KeyStore
from vcon_platform.api.app import create_app
from vcon_platform.settings import Settings
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def client(app: FastAPI, settings: Settings) -> TestClient:
    return TestClient(app, headers={"Authorization": f"Bearer {settings.secret_path('api_key').read_text().strip()}"})


def post(client: TestClient, **members: Any) -> str:
    document = {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [], "dialog": [], **members}
    answer = client.post("/v1/vcons", json=document)
    assert answer.status_code in (200, 201, 202), answer.text
    return str(answer.json()["uuid"])


def recording(raw: bytes, mediatype: str = "audio/x-wav") -> dict[str, Any]:
    return {
        "type": "recording",
        "start": "2026-11-02T09:00:00Z",
        "parties": [0],
        "mediatype": mediatype,
        "encoding": "base64url",
        "body": base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
    }


LONG = os.urandom(3_000_000)
"""Longer than what stays in a document, and than one piece."""
SHORT = b"RIFF short"


@pytest.fixture(params=[LONG, SHORT], ids=["kept apart", "in the document"])
def body(request: pytest.FixtureRequest) -> bytes:
    return bytes(request.param)


@pytest.fixture
def path(client: TestClient, body: bytes) -> str:
    return f"/v1/vcons/{post(client, parties=[{}], dialog=[recording(body)])}/media/dialog/0"


def test_a_body_is_given_decoded_with_its_type_and_is_never_a_page_of_ours(
    client: TestClient, path: str, body: bytes
) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.content) == (200, body)
    assert answer.headers["content-type"] == "audio/x-wav"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"] == "attachment"
    assert answer.headers["content-length"] == str(len(body))


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-3", slice(0, 4)),
        ("bytes=2-", slice(2, None)),
        ("bytes=-4", slice(-4, None)),
        ("bytes=5-99999999", slice(5, None)),
    ],
)
def test_a_part_is_given_as_asked(client: TestClient, path: str, body: bytes, asked: str, part: slice) -> None:
    answer = client.get(path, headers={"Range": asked})
    assert (answer.status_code, answer.content) == (206, body[part])
    start, stop, _ = part.indices(len(body))
    assert answer.headers["content-range"] == f"bytes {start}-{stop - 1}/{len(body)}"


def test_a_part_over_several_pieces_is_whole(client: TestClient) -> None:
    path = f"/v1/vcons/{post(client, parties=[{}], dialog=[recording(LONG)])}/media/dialog/0"
    assert client.get(path, headers={"Range": "bytes=1000000-2999998"}).content == LONG[1_000_000:2_999_999]


def test_a_part_that_is_not_there_is_refused_and_what_is_no_range_is_the_whole(
    client: TestClient, path: str, body: bytes
) -> None:
    answer = client.get(path, headers={"Range": f"bytes={len(body)}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{len(body)}")
    for other in ("bytes=0-1,4-5", "lines=1-2", "bytes=9-2", "bytes=-"):
        assert client.get(path, headers={"Range": other}).content == body


def test_what_is_kept_outside_is_not_fetched_for_a_reader(client: TestClient) -> None:
    outside = {"type": "recording", "start": "2026-11-02T09:00:00Z", "parties": [0], "url": "https://127.0.0.1/a.wav"}
    uuid = post(client, parties=[{}], dialog=[outside])
    answer = client.get(f"/v1/vcons/{uuid}/media/dialog/0")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_body")
    assert client.get(f"/v1/vcons/{uuid}/media/dialog/7").status_code == 404


def test_its_revisions_are_told(client: TestClient) -> None:
    uuid = post(client)
    post(client, uuid=uuid, subject="again")
    told = client.get(f"/v1/vcons/{uuid}/revisions").json()
    assert [(each["revision"], each["posted"]) for each in told] == [(1, True), (2, True)]


def test_its_turns_are_told_in_time_order(client: TestClient) -> None:
    said = [
        {"type": "text", "start": f"2026-11-02T09:00:{second}Z", "parties": [party], "originator": party,
         "mediatype": "text/plain", "encoding": "none", "body": text}
        for second, party, text in (("30", 1, "second"), ("10", 0, "first"))
    ]  # fmt: skip
    uuid = post(client, parties=[{"name": "A"}, {"name": "B"}], dialog=said)
    answer = client.get(f"/v1/vcons/{uuid}/turns").json()
    assert [(turn["party"], turn["text"]) for turn in answer["turns"]] == [(0, "first"), (1, "second")]


def test_what_happened_to_it_and_its_relatives_are_told(app: FastAPI, client: TestClient, redis_client: Redis) -> None:
    original = post(client)
    copy = post(client, amended={"uuid": original})
    told = client.get(f"/v1/vcons/{copy}/lineage").json()
    assert [event["event"] for event in told["events"]] == ["created"]
    assert told["kin"] == [{"uuid": original, "role": "original", "kind": "amended", "via": copy, "found": True}]
    _, text = KeyStore(redis_client).create("x", ["read"], visible=Visible(("nothing",)))
    hidden = TestClient(app, headers={"Authorization": f"Bearer {text}"})
    for what in ("revisions", "turns", "lineage", "media/dialog/0"):
        assert hidden.get(f"/v1/vcons/{copy}/{what}").status_code == 404
