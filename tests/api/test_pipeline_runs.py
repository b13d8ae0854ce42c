"""Direct runs and simulations over HTTP: the right status for each ending, and an API that stays quick meanwhile."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis import Redis

from tests.api.support import NO_GATE
from tests.pipelines import direct_support
from tests.support import eventually
from vcon_platform.api import health, pipeline_runs
from vcon_platform.api.auth import KeyRequired
from vcon_platform.api.problems import add_problems
from vcon_platform.pipelines import attempts, current
from vcon_platform.processors.base import (
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    TransientError,
)
from vcon_platform.processors.registry import Registry
from vcon_platform.services.direct_record import DirectRecord
from vcon_platform.settings import Settings
from vcon_platform.store.opening import open_store
from vcon_platform.vcon.uuids import new_uuid

FILES: dict[str, list[Any]] = {
    "greet": ["mark", "score", "pass_on"],
    "judging": ["judge"],
    "slow": [{"processor_name": "blocking", "processor_options": {"timeout": 0.3}}],
    "unset": ["unset"],
    "down": ["down"],
    "buys": ["buying"],
    "next": [],
    "held": ["held"],
}
let_go = threading.Event()


class _Test(Processor[ProcessorOptions]):
    version = "1"
    title = "Test"
    description = "Test."


class NotSet(PermanentError):
    code = "not_configured"


class Unset(_Test):
    name = "unset"

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        raise NotSet("listeners is not configured: set LISTENERS_KEY")


class Down(_Test):
    name = "down"

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        raise TransientError("listeners answered 500", retry_after=0.01)


class Held(_Test):
    name = "held"

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        let_go.wait(20)
        return io


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    for name, processors in FILES.items():
        entries = [{"processor_name": each} if isinstance(each, str) else each for each in processors]
        (folder / f"{name}.json").write_bytes(orjson.dumps({"processors": entries}))
    (folder / "broken.json").write_text('{"processors": 5}')
    registry = Registry(
        {**direct_support.REGISTRY.classes, **{each.name: each for each in (Unset, Down, Held)}},
        {"absent": "a library is missing"},
    )
    monkeypatch.setattr(current, "load_processors", lambda: registry)
    monkeypatch.setattr(attempts, "ATTEMPTS", 1)
    return settings.model_copy(update={"pipelines_dir_setting": folder})


@pytest.fixture
def counted() -> list[tuple[str, dict[str, int]]]:
    return []


@pytest.fixture
def client(settings: Settings, counted: list[Any]) -> TestClient:
    app = FastAPI()
    add_problems(app)
    app.add_middleware(KeyRequired, gate=NO_GATE)
    record = DirectRecord(lambda name, counts: counted.append((name, dict(counts))), interval=0.01)
    app.include_router(pipeline_runs.router(settings, NO_GATE, record=record))
    app.include_router(health.router(settings))
    return TestClient(app)


def _document(**members: Any) -> dict[str, Any]:
    return {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "subject": "x", "parties": [], **members}


@pytest.fixture
def uuid(client: TestClient, settings: Settings) -> str:
    """A stored vCon."""
    document = _document()
    assert client.post("/v1/pipelines/next/run?save=true", json=document).status_code == 200
    return str(document["uuid"])


def test_a_posted_vcon_comes_back_processed_and_is_not_stored(client: TestClient, settings: Settings) -> None:
    document = _document()
    answer = client.post("/v1/pipelines/greet/run", json=document)
    told = answer.json()
    assert (answer.status_code, told["parameters"]) == (200, {"score": 1})
    assert told["vcons"][0]["analysis"][0]["type"] == "seen"
    assert told["vcons_modified"] == [True]
    assert told["queue_jobs"] == [{"job_type": "vcon_uuid", "to_queue": "next", "vcon_uuids": [document["uuid"]]}]
    assert open_store(settings).documents.known([document["uuid"]]) == set()


def test_a_stored_vcon_is_changed_only_with_save(client: TestClient, settings: Settings, uuid: str) -> None:
    documents = open_store(settings).documents
    client.post(f"/v1/pipelines/greet/run/{uuid}")
    assert documents.read_one(uuid).analysis == []
    client.post(f"/v1/pipelines/greet/run/{uuid}?save=true")
    assert len(documents.read_one(uuid).analysis) == 1


def test_one_processor_runs_with_the_posted_options(client: TestClient, uuid: str) -> None:
    told = client.post(f"/v1/processors/mark/run/{uuid}", json={"mark": "heard"}).json()
    assert told["vcons"][0]["analysis"][0]["type"] == "heard"


def test_results_can_be_left_out(client: TestClient, uuid: str) -> None:
    told = client.post(f"/v1/pipelines/greet/run/{uuid}?results=false").json()
    assert (set(told), told["run"]["ending"]) == ({"run"}, "done")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v1/pipelines/unknown/run/{uuid}", 404, "not_found"),
        ("/v1/pipelines/broken/run/{uuid}", 409, "pipeline_broken"),
        ("/v1/pipelines/greet/run/018f3a2b-4c5d-8e6f-9012-3456789abcde", 404, "not_found"),
        ("/v1/pipelines/greet/run/nonsense", 422, "bad_uuid"),
        ("/v1/pipelines/greet/run/{uuid}?parameters=5", 422, "bad_parameters"),
        ("/v1/processors/unknown/run/{uuid}", 404, "not_found"),
        ("/v1/processors/absent/run/{uuid}", 503, "processor_unavailable"),
        ("/v1/pipelines/slow/run/{uuid}", 504, "timeout"),
        ("/v1/pipelines/unset/run/{uuid}", 503, "not_configured"),
        ("/v1/pipelines/down/run/{uuid}", 502, "provider_failed"),
    ],
)
def test_each_fault_has_its_status(client: TestClient, uuid: str, path: str, status: int, code: str) -> None:
    answer = client.post(path.format(uuid=uuid))
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_bad_options_are_named_by_their_place(client: TestClient, uuid: str) -> None:
    answer = client.post(f"/v1/processors/mark/run/{uuid}", json={"marc": "heard"})
    assert (answer.status_code, answer.json()["faults"][0]["pointer"]) == (422, "/marc")


def test_a_conversation_that_fails_says_where_and_why(client: TestClient) -> None:
    answer = client.post("/v1/pipelines/judging/run", json=_document(subject="permanent"))
    told = answer.json()
    assert (answer.status_code, told["code"], told["processor"]) == (422, "run_failed", "judge")
    assert "this can never work" in told["detail"]


def test_a_document_that_is_refused_is_told_as_by_any_route(client: TestClient) -> None:
    answer = client.post("/v1/pipelines/greet/run", json=_document(dialog=[{"type": "text", "parties": 7}]))
    assert answer.json()["faults"][0]["pointer"] == "/dialog/0/parties"


def test_a_simulation_tells_each_step_and_writes_nothing(client: TestClient, uuid: str, redis_client: Redis) -> None:
    before = {key: redis_client.dump(key) for key in redis_client.keys("*")}
    told = client.post("/v1/pipelines/greet/simulate", json={"uuid": uuid}).json()
    assert [step["what"] for step in told["steps"]] == ["processed"] * 3
    assert told["steps"][2]["queued"][0]["queue"] == "next"
    assert {key: redis_client.dump(key) for key in redis_client.keys("*")} == before


def test_a_posted_definition_is_simulated_on_a_posted_vcon(client: TestClient) -> None:
    body = {"definition": {"processors": [{"processor_name": "buying"}]}, "vcon": _document()}
    told = client.post("/v1/simulate", json=body).json()
    assert told["steps"][0]["what"] == "not_bought"


def test_a_broken_posted_definition_is_refused_with_the_place(client: TestClient) -> None:
    body = {"definition": {"processors": [{"processor_name": "marc"}]}, "vcon": _document()}
    answer = client.post("/v1/simulate", json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_definition")
    assert "/processors/0" in answer.json()["detail"]


def test_a_simulation_needs_one_vcon(client: TestClient) -> None:
    assert client.post("/v1/pipelines/greet/simulate", json={}).json()["code"] == "bad_input"


def test_runs_are_counted_for_dagster(client: TestClient, uuid: str, counted: list[tuple[str, dict[str, int]]]) -> None:
    client.post(f"/v1/pipelines/greet/run/{uuid}")
    assert eventually(lambda: ("greet", {"done": 1}) in counted, timeout=5)


def test_the_api_answers_while_every_run_is_under_way(client: TestClient) -> None:
    let_go.clear()
    more = 2 * pipeline_runs.RUNS_AT_ONCE + 4  # than may run or wait
    with client, ThreadPoolExecutor(more) as callers:
        try:
            held = [callers.submit(client.post, "/v1/pipelines/held/run", json=_document()) for _ in range(more)]
            refused = eventually(lambda: [each.result() for each in held if each.done()], timeout=15)
            assert refused[0].json()["code"] == "busy"
            assert client.get("/health").status_code == 200
        finally:
            let_go.set()
        assert {each.result().status_code for each in held} == {200, 503}
