"""The conserver's API: what its clients do, they can do here, with the answers they know."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis import Redis

from vcon_platform.access.caller import Visible
from vcon_platform.access.keys import KeyStore
from vcon_platform.api.app import create_app
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.jobs import DeadJob, new_job
from vcon_platform.vcon.uuids import new_uuid

CHAIN = {
    "pipeline_options": {"feeds": ["calls"], "success_queue": "finished"},
    "processors": [
        {"processor_name": "set_parameters", "processor_options": {"parameters": {"team": "night"}}},
        {"processor_name": "send_email", "processor_options": {
            "smtp_host": "mail.example.org", "from_address": "a@example.org", "to": ["b@example.org"],
            "smtp_password": "env:SMTP_PASSWORD", "subject": "x", "text_body": "x"}},
    ],
}  # fmt: skip


@pytest.fixture
def app(settings: Settings, tmp_path: Path) -> FastAPI:
    folder = tmp_path / "definitions"
    folder.mkdir()
    (folder / "chain.json").write_text(json.dumps(CHAIN))
    return create_app(settings.model_copy(update={"pipelines_dir_setting": folder}))


@pytest.fixture
def client(app: FastAPI, settings: Settings) -> TestClient:
    key = settings.secret_path("api_key").read_text().strip()
    return TestClient(app, headers={"x-conserver-api-token": key})


def document(**members: Any) -> dict[str, Any]:
    return {
        "vcon": "0.3.0",
        "uuid": new_uuid(),
        "created_at": "2026-11-02T09:00:00+00:00",
        "parties": [{"tel": "+16175550100", "name": "Alice"}],
        "dialog": [],
        **members,
    }


def post(client: TestClient, query: str = "", **members: Any) -> str:
    answer = client.post(f"/api/vcon{query}", json=document(**members))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["uuid"])


def test_without_a_good_key_it_is_403_as_there(app: FastAPI) -> None:
    for header in ({}, {"x-conserver-api-token": "wrong"}):
        answer = TestClient(app, headers=header).get("/api/vcon")
        assert (answer.status_code, answer.json()) == (403, {"detail": "Invalid API Key"})


def test_health_needs_no_key_and_asks_redis(app: FastAPI, settings: Settings) -> None:
    answer = TestClient(app).get("/api/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "healthy")
    away = settings.model_copy(update={"redis_url_setting": _url("redis://127.0.0.1:1")})
    assert TestClient(create_app(away)).get("/api/health").status_code == 503


def _url(text: str) -> Any:
    from pydantic import SecretStr

    return SecretStr(text)


def test_the_version_is_told_and_stands_on_every_answer(client: TestClient) -> None:
    assert set(client.get("/api/version").json()) == {"version", "git_commit", "build_time"}
    assert client.get("/api/vcon").headers["x-vcon-server-version"]


def test_a_posted_vcon_comes_back_as_it_is_and_enters_its_lists(client: TestClient, redis_client: Redis) -> None:
    sent = document()
    answer = client.post("/api/vcon?ingress_lists=chain,calls&ingress_lists=chain", json=sent)
    assert answer.status_code == 201
    told = answer.json()
    assert {name: told[name] for name in ("uuid", "parties", "dialog")} == {
        name: sent[name] for name in ("uuid", "parties", "dialog")
    }
    assert client.get(f"/api/vcon/{sent['uuid']}").json() == told
    assert [redis_client.llen(keys.queue(name)) for name in ("chain", "calls")] == [1, 1]


def test_its_old_form_is_given_where_a_setting_says_so(settings: Settings) -> None:
    app = create_app(settings.model_copy(update={"egress_format": "0.0.1"}))
    client = TestClient(app, headers={"x-conserver-api-token": settings.secret_path("api_key").read_text().strip()})
    told = client.get(f"/api/vcon/{post(client)}").json()
    assert (told["vcon"], told["group"], told["redacted"]) == ("0.0.1", [], {})


def test_a_recording_that_is_kept_apart_comes_back_in_its_place(client: TestClient) -> None:
    body = base64.urlsafe_b64encode(b"RIFF" + b"\0" * 600_000).rstrip(b"=").decode()
    recording = {"type": "recording", "start": "2026-11-02T09:00:00Z", "parties": [0], "mimetype": "audio/x-wav",
                 "encoding": "base64url", "body": body}  # fmt: skip
    uuid = post(client, dialog=[recording])
    assert client.get(f"/api/vcon/{uuid}").json()["dialog"][0]["body"] == body


def test_what_is_refused_says_where_and_why(client: TestClient) -> None:
    answer = client.post("/api/vcon", json=document(uuid="5"))
    assert answer.status_code == 422
    assert "/uuid" in answer.json()["detail"]
    assert client.post("/api/vcon?ingress_lists=nothing", json=document()).status_code == 422


def test_uuids_are_listed_newest_first_by_pages_and_times(client: TestClient) -> None:
    uuids = [post(client, created_at=f"2026-11-02T09:00:0{n}Z") for n in range(5)][::-1]
    assert client.get("/api/vcon?page=1&size=2").json() == uuids[:2]
    assert client.get("/api/vcon?page=3&size=2").json() == uuids[4:]
    assert client.get("/api/vcon?size=-1").json() == uuids
    assert client.get("/api/vcon?since=2026-11-02T09:00:03Z").json() == uuids[:2]
    assert client.get("/api/vcon?until=2026-11-02T09:00:01Z").json() == uuids[4:]
    assert client.get("/api/vcon?size=0").json() == []


def test_several_come_in_the_order_they_were_asked_for_with_null_for_what_is_not_here(client: TestClient) -> None:
    one, two = post(client), post(client)
    told = client.get(f"/api/vcons?vcon_uuids={two}&vcon_uuids={new_uuid()}&vcon_uuids={one}&vcon_uuids=x").json()
    assert [each and each["uuid"] for each in told] == [two, None, one, None]
    assert client.get("/api/vcons").status_code == 422


def test_search_means_and_and_finds_numbers_in_any_spelling(client: TestClient) -> None:
    alice = post(client, parties=[{"tel": "+1 (617) 555-0100", "name": "Alice", "mailto": "alice@example.org"}])
    post(client, parties=[{"tel": "+16175550101", "name": "Alice"}])
    assert client.get("/api/vcons/search?tel=%2B16175550100").json() == [alice]
    assert client.get("/api/vcons/search?name=Alice&mailto=alice@example.org").json() == [alice]
    assert client.get("/api/vcons/search?name=Alice&mailto=nobody@example.org").json() == []
    answer = client.get("/api/vcons/search")
    assert (answer.status_code, answer.json()) == (400, {"detail": "At least one search parameter must be provided"})


def test_a_vcon_that_is_not_here_is_404_in_its_words(client: TestClient) -> None:
    answer = client.get(f"/api/vcon/{new_uuid()}")
    assert (answer.status_code, answer.json()) == (404, {"detail": "vCon not found"})
    assert client.get("/api/vcon/5").status_code == 422


def test_lists_are_first_in_first_out_and_nobody_gets_a_uuid_twice(client: TestClient) -> None:
    uuids = [post(client) for _ in range(3)]
    assert client.post("/api/vcon/ingress?ingress_list=finished", json=[*uuids, new_uuid()]).status_code == 204
    assert client.get("/api/vcon/count?egress_list=finished").json() == 3
    assert client.get("/api/stats/queue?list_name=finished").json() == {"list_name": "finished", "depth": 3}
    assert client.get("/api/vcon/egress?egress_list=finished&limit=2").json() == uuids[:2]
    assert client.get("/api/vcon/egress?egress_list=finished&limit=2").json() == uuids[2:]
    assert client.get("/api/vcon/egress?egress_list=finished").json() == []
    assert client.get("/api/vcon/egress?egress_list=nothing").json() == []
    assert client.get("/api/stats/queue?list_name=vcons").json()["depth"] == 0


def test_a_partner_posts_into_its_own_list_and_no_other(app: FastAPI, redis_client: Redis) -> None:
    _, text = KeyStore(redis_client).create("partner", ["ingest:calls"])
    partner = TestClient(app, headers={"x-conserver-api-token": text})
    assert partner.post("/api/vcon/external-ingress?ingress_list=calls", json=document()).status_code == 204
    assert redis_client.llen(keys.queue("calls")) == 1
    refused = partner.post("/api/vcon/external-ingress?ingress_list=chain", json=document())
    assert (refused.status_code, refused.json()) == (403, {"detail": "Invalid API Key for ingress list 'chain'"})
    assert partner.get("/api/vcon").status_code == 403


def test_a_list_that_nobody_works_on_is_not_configured(client: TestClient) -> None:
    answer = client.post("/api/vcon/external-ingress?ingress_list=nothing", json=document())
    assert (answer.status_code, answer.json()) == (403, {"detail": "Ingress list 'nothing' not configured"})


def test_what_failed_is_told_and_begins_again_oldest_first(client: TestClient, redis_client: Redis) -> None:
    uuids = [post(client) for _ in range(3)]
    for uuid in uuids:
        dead = DeadJob(
            job=new_job(uuid),
            code="broken",
            error="it failed",
            processor="set_parameters",
            batch_id="batch",
            run_id="run",
            pipeline="chain",
        )
        redis_client.rpush(keys.dead("chain"), dead.to_bytes())
    assert client.get("/api/dlq?ingress_list=chain").json() == uuids
    assert client.post("/api/dlq/reprocess?ingress_list=chain&count=2").json() == 2
    assert client.get("/api/dlq?ingress_list=chain").json() == uuids[2:]
    assert redis_client.llen(keys.queue("chain")) == 2
    assert client.post("/api/dlq/reprocess?ingress_list=chain&count=0").status_code == 422
    assert client.get("/api/dlq?ingress_list=nothing").status_code == 404


def test_the_configuration_is_told_without_secrets_and_cannot_be_replaced(client: TestClient) -> None:
    told = client.get("/api/config").json()
    assert told["chains"]["chain"]["ingress_lists"] == ["chain", "calls"]
    assert told["chains"]["chain"]["egress_lists"] == ["finished"]
    assert told["links"]["chain.set_parameters"]["options"] == {"parameters": {"team": "night"}}
    assert "SMTP_PASSWORD" not in client.get("/api/config").text
    assert client.post("/api/config", json={}).status_code == 405


def test_the_index_can_be_worked_out_anew(client: TestClient, redis_client: Redis) -> None:
    uuid = post(client)
    redis_client.delete(keys.search(uuid))
    assert client.get("/api/index_vcons").json() == 1
    assert client.get("/api/vcons/search?name=Alice").json() == [uuid]


def test_what_a_key_does_not_show_is_not_there(app: FastAPI, client: TestClient, redis_client: Redis) -> None:
    tagged: dict[str, Any] = {"attachments": [{"type": "tags", "encoding": "json", "body": ["tenant:acme"]}]}
    ours, theirs = post(client, **tagged), post(client)
    _, text = KeyStore(redis_client).create("acme", ["read"], visible=Visible((), ("tenant:acme",)))
    limited = TestClient(app, headers={"x-conserver-api-token": text})
    assert limited.get("/api/vcon").json() == [ours]
    assert limited.get("/api/vcons/search?name=Alice").json() == [ours]
    assert limited.get(f"/api/vcon/{theirs}").status_code == 404
    assert limited.get(f"/api/vcons?vcon_uuids={theirs}").json() == [None]
