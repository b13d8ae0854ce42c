"""vCons over HTTP: nobody without a key, everything durable when the answer is there, errors that name the place."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient
from redis import Redis

from tests.support import free_port
from vcon_platform.api.app import create_app
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def client(settings: Settings) -> TestClient:
    app = create_app(settings)
    return TestClient(app, headers={"Authorization": f"Bearer {settings.secret_path('api_key').read_text().strip()}"})


def _document(**members: Any) -> dict[str, Any]:
    return {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [{"tel": "+15550100"}], **members}


def test_a_posted_document_is_stored_archived_and_queued(client: TestClient, redis_client: Redis) -> None:
    document = _document()
    answer = client.post("/v1/vcons?queue=recall&queue=recall", json=document)
    assert (answer.status_code, answer.json()["outcome"], answer.json()["revision"]) == (201, "created", 1)
    assert client.get(answer.headers["Location"]).json() == document
    assert redis_client.llen(keys.queue("recall")) == 1


def test_a_queue_that_cannot_be_is_refused_and_nothing_is_kept(client: TestClient, redis_client: Redis) -> None:
    answer = client.post("/v1/vcons?queue=a:b", json=_document())
    assert (answer.status_code, answer.json()["code"], redis_client.keys("*")) == (422, "bad_queue", [])


def test_its_exact_bytes_come_back(client: TestClient) -> None:
    raw = orjson.dumps(_document(), option=orjson.OPT_INDENT_2)
    uuid = client.post("/v1/vcons", content=raw).json()["uuid"]
    answer = client.get(f"/v1/vcons/{uuid}/original")
    assert answer.content == raw
    digest = base64.b64encode(hashlib.sha256(raw).digest()).decode()
    assert answer.headers["Repr-Digest"] == f"sha-256=:{digest}:"


def test_a_recording_comes_back_in_its_place(client: TestClient) -> None:
    recording = {
        "type": "recording",
        "start": "2026-11-02T09:00:00Z",
        "parties": 0,
        "mediatype": "audio/x-wav",
        "encoding": "base64url",
        "body": "UklGRgAAAABXQVZF" + "A" * 2_000_000,
    }
    document = _document(dialog=[recording])
    uuid = client.post("/v1/vcons", json=document).json()["uuid"]
    assert client.get(f"/v1/vcons/{uuid}").json() == document
    [dialog] = client.get(f"/v1/vcons/{uuid}?media=false").json()["dialog"]
    assert dialog["url"].startswith("vcon-media:")


def test_an_older_version_can_be_asked_for(client: TestClient) -> None:
    uuid = client.post("/v1/vcons", json=_document(subject="x")).json()["uuid"]
    assert client.get(f"/v1/vcons/{uuid}?version=0.0.1").json()["vcon"] == "0.0.1"


def test_a_refused_document_names_each_place_and_what_to_do(client: TestClient) -> None:
    answer = client.post("/v1/vcons", json=_document(dialog=[{"type": "text", "parties": 7}]))
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    [fault] = [each for each in answer.json()["faults"] if each["code"] == "bad_index"]
    assert fault["pointer"] == "/dialog/0/parties"


def test_the_report_tells_what_was_found(client: TestClient) -> None:
    document = _document()
    del document["created_at"]
    uuid = client.post("/v1/vcons", json=document).json()["uuid"]
    report = client.get(f"/v1/vcons/{uuid}/report").json()
    assert "created_at_derived" in {each["code"] for each in report["warnings"]}
    assert report["conformant"] is False


def test_a_document_over_the_cap_is_refused_while_it_comes_in(settings: Settings) -> None:
    small = settings.model_copy(update={"document_bytes": 2048})
    app = create_app(small)
    key = small.secret_path("api_key").read_text().strip()
    answer = TestClient(app, headers={"Authorization": f"Bearer {key}"}).post("/v1/vcons", content=b" " * 5000)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize("path", ["", "/original", "/report"])
def test_an_unknown_vcon_is_404(client: TestClient, path: str) -> None:
    answer = client.get(f"/v1/vcons/{new_uuid()}{path}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_what_is_no_uuid_is_told(client: TestClient) -> None:
    assert client.get("/v1/vcons/..%2f..%2fetc").status_code in (404, 422)
    assert client.get("/v1/vcons/5").json()["code"] == "bad_uuid"


def test_a_redis_that_is_away_is_503_and_when_to_come_again(settings: Settings) -> None:
    away = settings.model_copy(
        update={
            "redis_url_setting": Settings(
                _env_file=None, redis_url_setting=f"redis://:hunter2@127.0.0.1:{free_port()}/0"
            ).redis_url_setting
        }
    )
    app = create_app(away)
    key = away.secret_path("api_key").read_text().strip()
    answer = TestClient(app, headers={"Authorization": f"Bearer {key}"}).post("/v1/vcons", json=_document())
    assert (answer.status_code, answer.json()["code"]) == (503, "redis_unavailable")
    assert "hunter2" not in answer.text
    assert answer.headers["Retry-After"]
