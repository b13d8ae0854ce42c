"""List and search over HTTP: everything once, page by page, and nothing that the key does not show."""

from __future__ import annotations

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


def post(client: TestClient, source: str = "api", **members: Any) -> str:
    document = {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [], "dialog": [], **members}
    answer = client.post(f"/v1/vcons?source={source}", json=document)
    assert answer.status_code in (201, 202), answer.text
    return str(answer.json()["uuid"])


def found(client: TestClient, query: str = "") -> list[str]:
    answer = client.get(f"/v1/vcons{query}")
    assert answer.status_code == 200, answer.text
    return [each["uuid"] for each in answer.json()["vcons"]]


def test_all_vcons_are_given_once_newest_first_page_by_page(client: TestClient) -> None:
    uuids = [post(client, created_at=f"2026-11-02T09:00:0{second}Z") for second in range(5)]
    got: list[str] = []
    cursor = ""
    while True:
        page = client.get(f"/v1/vcons?limit=2{cursor}").json()
        got += [each["uuid"] for each in page["vcons"]]
        assert page["total"] == 5
        if page["cursor"] is None:
            break
        cursor = f"&cursor={page['cursor']}"
    assert got == uuids[::-1]


def test_all_that_is_asked_must_be_true(client: TestClient) -> None:
    tagged = {"attachments": [{"purpose": "tags", "encoding": "json", "body": ["team:north"]}]}
    ours = post(
        client, "chat", parties=[{"tel": "+16175550100", "mailto": "a@example.org"}], subject="kettle", **tagged
    )
    post(client, "chat", parties=[{"tel": "+16175550101"}], subject="kettle")
    for query in ("?tel=%2B16175550100", "?mailto=a@example.org", "?tag=team:north", "?text=kettle&tag=team:north"):
        assert found(client, query) == [ours]
    assert found(client, "?text=kettle&tag=team:south") == []
    assert len(found(client, "?adapter=chat&since=2026-11-02&until=2026-11-03T00:00:00Z")) == 2
    assert found(client, "?until=2026-11-02") == []


def test_what_is_known_beside_the_document_is_told(client: TestClient) -> None:
    uuid = post(client, "chat")
    assert client.get("/v1/vcons").json()["vcons"] == [
        {"uuid": uuid, "adapter": "chat", "day": "2026-11-02", "form": "unsigned", "state": "ready", "revision": 1}
    ]


def test_a_key_finds_only_what_it_shows(app: FastAPI, client: TestClient, redis_client: Redis) -> None:
    acme = {"attachments": [{"purpose": "tags", "encoding": "json", "body": ["tenant:acme", "team:north"]}]}
    ours = post(client, "chat", **acme)
    post(client, "chat")
    post(client, "mail", **acme)
    _, text = KeyStore(redis_client).create("acme", ["read"], visible=Visible(("chat",), ("tenant:acme",)))
    limited = TestClient(app, headers={"Authorization": f"Bearer {text}"})
    assert found(limited) == [ours]
    assert found(limited, "?tag=team:north") == [ours]
    assert found(limited, "?adapter=mail") == []
    assert limited.get("/v1/vcons").json()["total"] == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?since=yesterday", "bad_time"),
        ("?until=2026-11-02T09:00:00", "bad_time"),
        ("?cursor=xyz", "bad_cursor"),
        ("?limit=0", "bad_request"),
        ("?text=" + "%20".join(f"w{number}" for number in range(200)), "bad_query"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused_with_the_reason(client: TestClient, query: str, code: str) -> None:
    answer = client.get(f"/v1/vcons{query}")
    assert (answer.status_code, answer.json()["code"]) == (422, code)
