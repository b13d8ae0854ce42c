"""The peers' contracts, operation by operation: each one's success and each of its errors, by status and body.

The rows are those of the reference's tables. What an operation does beyond its answer is tested where it lives
(``test_py_vcon.py``, ``test_conserver.py``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi.testclient import TestClient

from tests.api.conftest import Shared
from vcon_platform.api.app import create_app
from vcon_platform.pipelines import current
from vcon_platform.services import pipeline_edits
from vcon_platform.store import keys
from vcon_platform.store.jobs import DeadJob, new_job
from vcon_platform.store.leases import Queues
from vcon_platform.vcon.uuids import new_uuid

NOWHERE = "018f3a2b-4c5d-8e6f-9012-3456789abcde"
SET = {"processor_name": "set_parameters", "processor_options": {"parameters": {"team": "night"}}}
SLOW = {"processor_name": "jq", "processor_options": {"jq_queries": {"x": "last(range(1e12))"}}}
PIPELINE = {"pipeline_options": {}, "processors": [SET]}
DEFINITIONS = {
    "notes": {"pipeline_options": {"success_queue": "finished"}, "processors": [SET]},
    "slow": {"pipeline_options": {"timeout": 0.2}, "processors": [SLOW]},
}


class World:
    """What the rows ask about."""

    def __init__(self, shared: Shared, client: TestClient, old: TestClient) -> None:
        self.client, self.old, self.redis = client, old, shared.redis
        self.partner = shared.client("ingest:notes")
        self.uuid = self.post()
        self.signed = self.post(json.loads(Path("tests/data/vcons/core-03/ab_call_ext_rec_signed.vcon").read_text()))
        Queues(self.redis).push("notes", [new_job(self.uuid) for _ in range(3)])
        leased = Queues(self.redis).lease("notes", batch_id="run-1", owner="run-1", limit=2)
        self.leased = [job.id for job in leased[0]]
        self.redis.hset(keys.SERVERS, "h:1:2:3", orjson.dumps({"state": "running", "last_heartbeat": 5.0}))
        dead = DeadJob(
            job=new_job(self.uuid),
            code="broken",
            error="it failed",
            processor="delay",
            batch_id="b",
            run_id="r",
            pipeline="notes",
        )
        self.redis.rpush(keys.dead("notes"), dead.to_bytes())

    def vcon(self, **members: Any) -> dict[str, Any]:
        given = {"vcon": "0.0.2", "uuid": new_uuid(), "created_at": "2026-11-02T09:00:00+00:00"}
        return {**given, "parties": [{"tel": "+16175550100"}], "dialog": [], **members}

    def post(self, vcon: dict[str, Any] | None = None) -> str:
        vcon = vcon or self.vcon()
        self.client.post("/vcon", json=vcon).raise_for_status()
        if "uuid" in vcon:
            return str(vcon["uuid"])
        return str(self.client.get("/v1/vcons?form=signed").json()["vcons"][0]["uuid"])


@pytest.fixture(scope="module")
def world(shared: Shared, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("definitions")
    for name, definition in DEFINITIONS.items():
        (folder / f"{name}.json").write_text(json.dumps(definition))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(current, "LOOK_EVERY", 0.0, raising=False)
        patch.setattr(pipeline_edits, "go_live", lambda *_, **__: None)  # there is no Dagster here
        settings = shared.settings.model_copy(update={"pipelines_dir_setting": folder})
        app = create_app(settings)
        old = create_app(settings.model_copy(update={"compat": "py_vcon"}))
        headers = dict(shared.admin.headers)
        yield World(shared, TestClient(app, headers=headers), TestClient(old, headers=headers))


Ask = Callable[[World], tuple[str, Any]]
"""The path of a request, and its JSON body or None."""


def to(path: str, body: Any = None) -> Ask:
    return lambda world: (path.format(uuid=world.uuid, signed=world.signed, leased=world.leased, new=new_uuid()), body)


def new(path: str, **members: Any) -> Ask:
    return lambda world: (path, world.vcon(**members))


def io(processor: str, **options: Any) -> Ask:
    def ask(world: World) -> tuple[str, Any]:
        return f"/processIO/{processor}", {"processor_io": {"vcons": [world.vcon()]}, "processor_options": options}

    return ask


SIGN = {"private_pem_key": "env:VCON_KEY_NONE", "cert_chain_pems": ["env:VCON_KEY_CHAIN"]}

PY_VCON: list[tuple[str, Ask, int, str]] = [
    ("GET", to("/server/info"), 200, "py_vcon_server"),
    ("GET", to("/server/queues"), 200, "notes"),
    ("POST", to("/server/queue/notes", {"weight": 2}), 204, ""),
    ("POST", to("/server/queue/notes", {"weight": "x"}), 422, "weight"),
    ("DELETE", to("/server/queue/notes"), 204, ""),
    ("DELETE", to("/server/queue/nothing"), 404, "queue: nothing not found"),
    ("GET", to("/servers"), 200, "h:1:2:3"),
    ("DELETE", to("/servers/h:1:2:3"), 204, ""),
    ("DELETE", to("/servers/h:1:2:3"), 404, "server state for: h:1:2:3 not found"),
    ("GET", to("/queues"), 200, "notes"),
    ("GET", to("/queue/notes"), 200, "vcon_uuid"),
    ("GET", to("/queue/nothing"), 404, "queue: nothing not found"),
    ("POST", to("/queue/mine"), 204, ""),
    ("POST", to("/queue/mine"), 422, "queue: mine already exists"),
    ("PUT", to("/queue/mine", {"vcon_uuid": [NOWHERE]}), 200, "1"),
    ("PUT", to("/queue/mine", {"vcon_uuid": "x"}), 422, "vcon_uuid"),
    ("PUT", to("/queue/nothing", {"vcon_uuid": [NOWHERE]}), 404, "QueueDoesNotExist"),
    ("PUT", to("/queue/mine", {"vcon_uuid": []}), 422, "exactly one"),
    ("DELETE", to("/queue/mine"), 200, NOWHERE),
    ("DELETE", to("/queue/mine"), 404, "queue: mine not found"),
    ("GET", to("/in_progress"), 200, "run-1"),
    ("PUT", to("/in_progress/{leased[0]}"), 204, ""),
    ("PUT", to("/in_progress/{leased[0]}"), 404, "not found"),
    ("DELETE", to("/in_progress/{leased[1]}"), 204, ""),
    ("DELETE", to("/in_progress/{leased[1]}"), 404, "not found"),
    ("PUT", to("/pipeline/mine", PIPELINE), 204, ""),
    ("PUT", to("/pipeline/mine", {"processors": []}), 422, "pipeline_options"),
    (
        "PUT",
        to("/pipeline/mine", {**PIPELINE, "processors": [{**SET, "processor_name": "none"}]}),
        422,
        "processor: none not registered",
    ),
    (
        "PUT",
        to("/pipeline/mine", {**PIPELINE, "processors": [{**SET, "processor_options": {"parameters": 5}}]}),
        422,
        "/processors/0/processor_options/parameters",
    ),
    ("GET", to("/pipeline/notes"), 200, "should_process"),
    ("GET", to("/pipeline/nothing"), 404, "pipeline: nothing not found"),
    ("GET", to("/pipelines"), 200, "notes"),
    ("DELETE", to("/pipeline/mine"), 204, ""),
    ("DELETE", to("/pipeline/mine"), 404, "pipeline: mine not found"),
    ("POST", new("/pipeline/notes/run"), 200, "vcons_modified"),
    ("POST", new("/pipeline/notes/run?return_results=false"), 200, "null"),
    ("POST", new("/pipeline/nothing/run"), 404, "pipeline: nothing not found"),
    ("POST", new("/pipeline/slow/run"), 504, "jq"),
    ("POST", to("/pipeline/notes/run", {"a": 1}), 422, "detail"),
    ("POST", to("/pipeline/notes/run/{uuid}"), 200, "night"),
    ("POST", to("/pipeline/nothing/run/{uuid}"), 404, "pipeline: nothing not found"),
    ("POST", to("/pipeline/slow/run/{uuid}"), 504, "jq"),
    ("POST", to(f"/pipeline/notes/run/{NOWHERE}"), 404, "VconNotFound"),
    ("POST", new("/vcon"), 204, ""),
    ("POST", new("/vcon", uuid=None), 422, "vCon UUID: not set"),
    ("POST", new("/vcon", parties=5), 422, "parties"),
    ("GET", to("/vcon/{uuid}"), 200, "0.0.2"),
    ("GET", to("/vcon/{signed}"), 200, "signatures"),
    ("GET", to(f"/vcon/{NOWHERE}"), 404, f"vCon UUID: {NOWHERE} not found"),
    ("GET", to("/vcon/{uuid}/jq?jq_transform=.vcon"), 200, '["0.0.2"]'),
    ("GET", to("/vcon/{uuid}/jq"), 422, "jq_transform"),
    ("GET", to("/vcon/{uuid}/jq?jq_transform=.["), 422, "jq_transform"),
    ("GET", to(f"/vcon/{NOWHERE}/jq?jq_transform=."), 404, "VconNotFound"),
    ("GET", to("/vcon/{uuid}/jsonpath?path_string=$.parties"), 200, '[[{"tel"'),
    ("GET", to("/vcon/{uuid}/jsonpath"), 422, "path_string"),
    ("GET", to(f"/vcon/{NOWHERE}/jsonpath?path_string=$"), 404, "VconNotFound"),
    ("DELETE", to("/vcon/{new}"), 204, ""),
    ("DELETE", to("/vcon/no-uuid"), 204, ""),
    ("POST", to("/process/{uuid}/create_amended", {}), 200, "amended"),
    ("POST", to(f"/process/{NOWHERE}/create_amended", {}), 404, "VconNotFound"),
    ("POST", to("/process/{uuid}/none", {}), 404, "Not Found"),
    ("POST", to("/process/{uuid}/jq", {"jq_queries": 5}), 422, "jq_queries"),
    ("POST", to("/process/{uuid}/queue_job", {}), 422, "queue_name"),
    ("POST", to("/process/{uuid}/jq", {"jq_queries": {"x": ".["}}), 422, "jq"),
    ("POST", to("/process/{signed}/sign", SIGN), 409, "InvalidVconState"),
    ("POST", to("/process/{uuid}/sign", SIGN), 503, "VCON_KEY_NONE"),
    ("POST", to("/process/{uuid}/decrypt", {"private_pem_key": "env:VCON_KEY_NONE"}), 200, '"vcons_modified":[false]'),
    ("POST", io("set_parameters", parameters={"a": 1}), 200, '"parameters":{"a":1}'),
    ("POST", io("set_parameters", parameters=1), 422, "parameters"),
    ("POST", to("/processIO/jq", {}), 422, "processor_io"),
    ("POST", to("/processIO/none", {}), 404, "Not Found"),
    ("GET", to("/docs"), 200, "swagger"),
    ("GET", to("/redoc"), 200, "redoc"),
    ("GET", to("/openapi.json"), 200, "Admin: In Progress Jobs"),
]
"""Section 1 of the reference, in its order; what changes something follows what asks for it."""

CONSERVER: list[tuple[str, Ask, int, str]] = [
    ("GET", to("/api/version"), 200, "git_commit"),
    ("GET", to("/api/health"), 200, "healthy"),
    ("GET", to("/api/stats/queue?list_name=notes"), 200, '"depth":'),
    ("GET", to("/api/vcon"), 200, "["),
    ("GET", to("/api/vcon?size=-1"), 200, "["),
    ("GET", to("/api/vcon?since=yesterday"), 422, "since"),
    ("POST", new("/api/vcon?ingress_lists=notes"), 201, '"uuid"'),
    ("POST", new("/api/vcon", uuid="5"), 422, "/uuid"),
    ("GET", to("/api/vcon/{uuid}"), 200, "+16175550100"),
    ("GET", to(f"/api/vcon/{NOWHERE}"), 404, "vCon not found"),
    ("GET", to("/api/vcon/5"), 422, "uuid"),
    ("DELETE", to("/api/vcon/{new}"), 204, ""),
    ("POST", to("/api/vcon/ingress?ingress_list=finished", [NOWHERE]), 204, ""),
    ("GET", to("/api/vcon/egress?egress_list=finished"), 200, "[]"),
    ("GET", to("/api/vcon/count?egress_list=finished"), 200, "0"),
    ("GET", to("/api/vcons?vcon_uuids={uuid}&vcon_uuids=" + NOWHERE), 200, ",null]"),
    ("GET", to("/api/vcons"), 422, "vcon_uuids"),
    ("GET", to("/api/vcons/search?tel=%2B16175550100"), 200, "["),
    ("GET", to("/api/vcons/search"), 400, "At least one search parameter must be provided"),
    ("POST", new("/api/vcon/external-ingress?ingress_list=notes"), 204, ""),
    ("POST", new("/api/vcon/external-ingress?ingress_list=none"), 403, "Ingress list 'none' not configured"),
    ("GET", to("/api/config"), 200, "chains"),
    ("POST", to("/api/config", {}), 405, "not changed this way"),
    ("GET", to("/api/dlq?ingress_list=notes"), 200, "["),
    ("POST", to("/api/dlq/reprocess?ingress_list=notes&count=1"), 200, "1"),
    ("POST", to("/api/dlq/reprocess?ingress_list=notes&count=1"), 200, "0"),
    ("POST", to("/api/dlq/reprocess?ingress_list=notes&count=0"), 422, "count"),
    ("GET", to("/api/index_vcons"), 200, ""),
    ("GET", to("/api/dlq/storage?storage_name=webhook"), 200, "[]"),
    ("POST", to("/api/dlq/storage/reprocess?storage_name=webhook"), 200, "0"),
]
"""Section 1 of the conserver's reference."""

OLD: list[tuple[str, Ask, int, str]] = [
    ("POST", to(f"/pipeline/notes/run/{NOWHERE}"), 500, "VconNotFound"),
    ("POST", new("/pipeline/slow/run"), 430, "jq"),
    ("GET", to(f"/vcon/{NOWHERE}/jq?jq_transform=."), 500, "VconNotFound"),
    ("GET", to("/vcon/{uuid}/jq?jq_transform=.["), 500, "jq_transform"),
    ("PUT", to("/queue/nothing", {"vcon_uuid": [NOWHERE]}), 500, "QueueDoesNotExist"),
    ("PUT", to("/queue/notes", {"vcon_uuid": []}), 500, "exactly one"),
    ("POST", to("/process/{signed}/sign", SIGN), 500, "InvalidVconState"),
]
"""What the peer answers where ours is another, with ``VCON_COMPAT=py_vcon``."""


def told(rows: list[tuple[str, Ask, int, str]], world: World, client: TestClient) -> str:
    """The rows that are not as they should be."""
    wrong = []
    for method, ask, status, text in rows:
        path, body = ask(world)
        answer = client.request(method, path, json=body)
        if answer.status_code != status or text not in answer.text:
            wrong.append(f"{method} {path}: {answer.status_code}, not {status} {text!r}: {answer.text[:200]}")
    return "\n".join(wrong)


def test_py_vcon_servers_operations(world: World) -> None:
    assert told(PY_VCON, world, world.client) == ""


def test_the_conservers_operations(world: World) -> None:
    assert told(CONSERVER, world, world.client) == ""


def test_the_old_statuses_where_a_setting_asks_for_them(world: World) -> None:
    assert told(OLD, world, world.old) == ""


def test_a_lists_own_key_opens_no_other_list(world: World) -> None:
    answer = world.partner.post("/api/vcon/external-ingress?ingress_list=finished", json=world.vcon())
    assert (answer.status_code, answer.json()) == (403, {"detail": "Invalid API Key for ingress list 'finished'"})
    assert world.partner.get(f"/api/vcon/{world.uuid}").status_code == 403


def test_every_operation_of_the_peers_has_a_row(world: World) -> None:
    """Of the processors' routes one stands for all."""
    have = {(method, _template(ask(world)[0])) for method, ask, _, _ in (*PY_VCON, *CONSERVER)}
    described = {
        (method.upper(), _template(path.replace("{processor}", "jq")))
        for path, operations in world.client.app.openapi()["paths"].items()  # type: ignore[attr-defined]
        for method in operations
        if not path.startswith("/v1/") and path != "/health"
    }
    assert described - have <= {("POST", "/api/vcon/egress"), ("POST", "/api/index_vcons")}, "our own twins of a GET"


def _template(path: str) -> str:
    parts = path.partition("?")[0].split("/")
    if parts[1] in ("process", "processIO"):
        return parts[1]
    fixed = {"run", "jq", "jsonpath", "search", "queue", "queues", "info", "ingress", "egress", "count", "storage",
             "external-ingress", "reprocess"}  # fmt: skip
    begin = 3 if parts[1] == "api" else 2
    return "/".join(part if place < begin or part in fixed else "*" for place, part in enumerate(parts))
