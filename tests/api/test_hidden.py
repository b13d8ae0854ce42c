"""What a key hides cannot be revised by it, and is not told by the answer to the same bytes either."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis import Redis

from vcon_platform.access.caller import Visible
from vcon_platform.access.keys import KeyStore
from vcon_platform.api.app import create_app
from vcon_platform.settings import Settings
from vcon_platform.vcon.uuids import new_uuid

POSTS = ("/v1/vcons", "/vcon", "/api/vcon")


@pytest.fixture
def app(settings: Settings) -> FastAPI:
    return create_app(settings)


@pytest.fixture
def admin(app: FastAPI, settings: Settings) -> TestClient:
    return TestClient(app, headers={"Authorization": f"Bearer {settings.secret_path('api_key').read_text().strip()}"})


@pytest.fixture
def partner(app: FastAPI, redis_client: Redis) -> TestClient:
    _, text = KeyStore(redis_client).create(
        "acme", ["read", "ingest", "process"], visible=Visible((), ("tenant:acme",))
    )
    return TestClient(app, headers={"Authorization": f"Bearer {text}"})


def document(*tags: str) -> dict[str, Any]:
    body = orjson.dumps(list(tags)).decode()
    given: dict[str, Any] = {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": []}
    return {**given, "attachments": [{"purpose": "tags", "encoding": "json", "body": body}] if tags else []}


@pytest.mark.parametrize("path", POSTS)
def test_a_hidden_vcon_cannot_be_revised(admin: TestClient, partner: TestClient, path: str) -> None:
    theirs = document()
    admin.post("/v1/vcons", json=theirs).raise_for_status()
    taken = partner.post(
        path, json={**theirs, "subject": "mine now", "attachments": document("tenant:acme")["attachments"]}
    )
    assert taken.status_code == 409
    assert "subject" not in admin.get(f"/v1/vcons/{theirs['uuid']}").json()


@pytest.mark.parametrize("path", POSTS)
def test_one_that_it_shows_can(partner: TestClient, path: str) -> None:
    ours = document("tenant:acme")
    partner.post(path, json=ours).raise_for_status()
    partner.post(path, json={**ours, "subject": "more"}).raise_for_status()
    assert partner.get(f"/v1/vcons/{ours['uuid']}").json()["subject"] == "more"


def test_a_line_of_many_neither_and_the_others_are_in(admin: TestClient, partner: TestClient) -> None:
    theirs, ours = document(), document("tenant:acme")
    admin.post("/v1/vcons", json=theirs).raise_for_status()
    sent = b"\n".join(map(orjson.dumps, ({**theirs, "subject": "mine now"}, ours)))
    told = [orjson.loads(line) for line in partner.post("/v1/bulk/vcons", content=sent).content.splitlines()]
    assert [each.get("code") or each["outcome"] for each in told] == ["uuid_taken", "created"]


def test_the_same_bytes_again_are_known_but_what_became_of_them_is_not_told(
    admin: TestClient, partner: TestClient
) -> None:
    raw = orjson.dumps(document())
    assert partner.post("/v1/vcons", content=raw).status_code == 201, "its own, and without the tag hidden from it"
    again = partner.post("/v1/vcons", content=raw)
    assert (again.status_code, again.json()["outcome"]) == (200, "known")
    assert partner.post("/vcon", content=raw).status_code == 204
    assert partner.post("/api/vcon", content=raw).status_code == 409, "whose answer is the vCon as it is now"
    assert admin.post("/api/vcon", content=raw).status_code == 201
