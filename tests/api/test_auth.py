"""Nobody gets in without a key; with one, each route lets in whom its scope says, and nobody else."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from tests.api.conftest import Shared
from vcon_platform.access.caller import Visible
from vcon_platform.access.keys import KeyStore
from vcon_platform.access.scopes import SCOPES
from vcon_platform.api.auth import OPEN
from vcon_platform.settings import Settings
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def app(shared: Shared) -> FastAPI:
    return shared.app


@pytest.fixture
def settings(shared: Shared) -> Settings:
    return shared.settings


@pytest.fixture
def keys(shared: Shared) -> KeyStore:
    return KeyStore(shared.redis)


def routes(app: FastAPI) -> Iterator[tuple[str, str]]:
    """(method, path) of every operation, with something in place of each parameter."""
    yield "POST", "/api/config"  # refused, and so not described
    for path, operations in app.openapi()["paths"].items():
        for method in operations:
            yield (
                method.upper(),
                re.sub(r"\{(\w+)\}", lambda found: new_uuid() if "uuid" in found[1] else "recall", path),
            )


STRANGERS: dict[str, dict[str, str]] = {
    "no key": {},
    "a wrong key": {"Authorization": "Bearer wrong"},
    "a wrong password": {"Authorization": f"Basic {b64encode(b':wrong').decode()}"},
    "half a header": {"Authorization": "Basic ***"},
    "a wrong conserver token": {"x-conserver-api-token": "wrong"},
}


@pytest.mark.parametrize("who", STRANGERS)
def test_strangers_get_in_nowhere_but_on_the_health_page(app: FastAPI, who: str) -> None:
    client = TestClient(app, headers=STRANGERS[who])
    operations = [*routes(app), ("GET", "/openapi.json"), ("GET", "/docs"), ("GET", "/no/such/path")]
    assert len(operations) > 20
    answers = {path: client.request(method, path).status_code for method, path in operations if path not in OPEN}
    refused = {path: 403 if path.startswith("/api/") else 401 for path in answers}
    assert answers == refused


def test_a_stranger_is_told_how_to_get_in(app: FastAPI) -> None:
    answer = TestClient(app).get("/v1/queues")
    assert answer.headers["www-authenticate"].startswith("Bearer, Basic ")
    assert answer.json()["code"] == "key_required"
    assert "vcon-platform keys create" in answer.json()["detail"]


def test_a_stranger_does_not_have_its_body_read(app: FastAPI) -> None:
    def body() -> Iterator[bytes]:
        raise AssertionError("the body is read")
        yield b""

    assert TestClient(app).post("/v1/simulate", content=body()).status_code == 401


OPENED_BY = {
    ("POST", "/v1/vcons"): {"ingest"},
    ("GET", "/v1/vcons"): {"read"},
    ("DELETE", "/v1/vcons"): {"erase"},
    ("GET", "/v1/queues"): {"read", "operate"},
    ("POST", "/v1/queues"): {"operate"},
    ("GET", "/v1/pipelines"): {"read", "operate"},
    ("PUT", "/v1/pipelines"): {"operate"},
    ("POST", "/v1/pipelines"): {"operate"},
    ("DELETE", "/v1/pipelines"): {"operate"},
    ("POST", "/v1/processors"): {"process"},
    ("POST", "/v1/simulate"): {"process"},
    ("GET", "/v1/processors"): {"read", "operate", "process"},
    ("GET", "/v1/usage"): {"operate"},
    ("POST", "/v1/bulk"): {"ingest"},
    ("GET", "/v1/bulk"): {"read"},
    ("GET", "/api/version"): set(SCOPES),
    ("GET", "/api/vcon"): {"read"},
    ("GET", "/api/vcons"): {"read"},
    ("POST", "/api/vcon"): {"ingest"},
    ("DELETE", "/api/vcon"): {"erase"},
    ("GET", "/api/dlq"): {"read", "operate"},
    ("POST", "/api/dlq"): {"operate"},
    ("GET", "/api/config"): {"operate"},
    ("POST", "/api/config"): set(),
    ("GET", "/api/index_vcons"): {"operate"},
    ("POST", "/api/index_vcons"): {"operate"},
    ("GET", "/api/stats"): {"read", "operate", "ingest"},
    ("POST", "/vcon"): {"ingest"},
    ("GET", "/vcon"): {"read"},
    ("DELETE", "/vcon"): {"erase"},
    ("POST", "/process"): {"process"},
    ("POST", "/processIO"): {"process"},
    **{
        ("GET", f"/{area}"): {"read", "operate"}
        for area in ("server", "servers", "queue", "queues", "in_progress", "pipeline", "pipelines")
    },
    **{
        (method, f"/{area}"): {"operate"}
        for area in ("server", "servers", "queue", "in_progress", "pipeline")
        for method in ("PUT", "POST", "DELETE")
    },
    ("GET", "/v1/events"): {"read"},
}
"""By method and the beginning of the path."""
EXCEPTIONS = {
    "/v1/pipelines/{name}/validate": {"read", "operate"},
    "/v1/pipelines/{name}/run": {"process"},
    "/v1/pipelines/{name}/run/{uuid}": {"process"},
    "/v1/pipelines/{name}/simulate": {"process"},
    "/pipeline/{name}/run": {"process"},
    "/pipeline/{name}/run/{uuid}": {"process"},
    "/api/vcon/egress": {"read", "operate"},
    "/api/vcon/count": {"read", "operate"},
    "/api/vcon/external-ingress": {"ingest"},
}


QUERIES = {
    "/v1/events": "?seconds=0",
    "/api/stats/queue": "?list_name=recall",
    "/api/vcon/egress": "?egress_list=recall",
    "/api/vcon/count": "?egress_list=recall",
    "/api/vcon/ingress": "?ingress_list=recall",
    "/api/vcon/external-ingress": "?ingress_list=recall",
    "/api/dlq": "?ingress_list=recall",
    "/api/dlq/reprocess": "?ingress_list=recall",
    "/api/dlq/storage": "?storage_name=webhook",
    "/api/dlq/storage/reprocess": "?storage_name=webhook",
}
"""What a route asks for before it looks at the scope."""


def test_each_route_lets_in_whom_its_scope_says_and_nobody_else(app: FastAPI, keys: KeyStore) -> None:
    clients = {
        name: TestClient(app, headers={"Authorization": f"Bearer {keys.create(name, [name])[1]}"}) for name in SCOPES
    }
    wrong = []
    for method, path in routes(app):
        if path in OPEN:
            continue
        area = "/".join(path.split("/")[: 3 if path.startswith(("/v1/", "/api/")) else 2])
        template = path.replace("recall", "{name}")
        exception = next((opened for each, opened in EXCEPTIONS.items() if _same(each, template)), None)
        expected = (exception or OPENED_BY[method, area]) | {"admin"}
        query = QUERIES.get(path, "")
        got = {
            name
            for name, client in clients.items()
            if client.request(method, path + query, json=["x"]).status_code != 403
        }
        if got != expected:
            wrong.append((method, path, got, expected))
    assert wrong == []


def _same(template: str, path: str) -> bool:
    one, other = template.split("/"), path.split("/")
    return len(one) == len(other) and all(a == b or a == "{uuid}" for a, b in zip(one, other, strict=True))


def post(app: FastAPI, text: str, uuid: str, query: str = "", **members: Any) -> int:
    document = {"uuid": uuid, "created_at": "2026-11-02T09:00:00Z", "parties": [], "dialog": [], **members}
    client = TestClient(app, headers={"Authorization": f"Bearer {text}"})
    return client.post(f"/v1/vcons{query}", json=document).status_code


def test_a_key_for_one_queue_posts_into_that_queue_only(app: FastAPI, keys: KeyStore, settings: Settings) -> None:
    _, text = keys.create("calls", ["ingest:recall"])
    assert post(app, text, new_uuid(), "?queue=other") == 403
    assert post(app, text, new_uuid()) == 403
    assert post(app, text, new_uuid(), "?queue=recall") in (201, 202)


def test_an_expired_or_revoked_key_is_refused_with_the_reason(app: FastAPI, keys: KeyStore) -> None:
    key, text = keys.create("x", ["read"], expires_at=datetime.now(UTC) + timedelta(seconds=60))
    keys.revoke(key.id)
    answer = TestClient(app, headers={"Authorization": f"Bearer {text}"}).get("/v1/queues")
    assert (answer.status_code, answer.json()["code"]) == (401, "key_refused")
    assert "revoked" in answer.json()["detail"]


@pytest.mark.parametrize("way", ["bearer", "basic", "conserver"])
def test_a_key_may_come_in_each_of_three_ways(app: FastAPI, keys: KeyStore, way: str) -> None:
    _, text = keys.create("x", ["read"])
    header = {
        "bearer": {"Authorization": f"Bearer {text}"},
        "basic": {"Authorization": f"Basic {b64encode(f'anybody:{text}'.encode()).decode()}"},
        "conserver": {"x-conserver-api-token": text},
    }[way]
    assert TestClient(app, headers=header).get("/v1/queues").status_code == 200


def test_a_key_that_asks_too_often_is_told_when_to_come_again(app: FastAPI, keys: KeyStore) -> None:
    _, text = keys.create("x", ["read"], rate=0.5)
    client = TestClient(app, headers={"Authorization": f"Bearer {text}"})
    assert client.get("/v1/queues").status_code == 200
    answer = client.get("/v1/queues")
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_requests")
    assert int(answer.headers["retry-after"]) in (1, 2)


def test_what_a_key_may_not_see_is_not_there(app: FastAPI, keys: KeyStore, settings: Settings) -> None:
    admin = settings.secret_path("api_key").read_text().strip()
    tagged = {"attachments": [{"purpose": "tags", "encoding": "json", "body": ["tenant:acme"]}]}
    ours, theirs, other_way = new_uuid(), new_uuid(), new_uuid()
    assert post(app, admin, ours, "?source=chat", **tagged) in (201, 202)
    assert post(app, admin, theirs, "?source=chat") in (201, 202)
    assert post(app, admin, other_way, "?source=mail", **tagged) in (201, 202)
    _, text = keys.create("acme", ["read", "process"], visible=Visible(("chat",), ("tenant:acme",)))
    client = TestClient(app, headers={"Authorization": f"Bearer {text}"})
    for path in ("", "/original", "/report"):
        assert client.get(f"/v1/vcons/{ours}{path}").status_code == 200
        for hidden in (theirs, other_way, new_uuid()):
            assert client.get(f"/v1/vcons/{hidden}{path}").status_code == 404
    ran = client.post(f"/v1/processors/set_parameters/run/{theirs}", json={"parameters": {}})
    assert ran.status_code == 404
    assert client.post(f"/v1/processors/set_parameters/run/{ours}", json={"parameters": {}}).status_code == 200
