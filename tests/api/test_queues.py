"""Queues over HTTP: what waits, who may enter, and that an operator's word is in the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from fastapi.testclient import TestClient
from redis import Redis

from vcon_platform.api.app import create_app
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.jobs import DeadJob, new_job
from vcon_platform.store.leases import Queues
from vcon_platform.vcon.uuids import new_uuid

RECALL = """
pipeline_options: {max_waiting: 2, success_queue: happy, failure_queue: sad, feeds: [incoming]}
processors: []
"""


@pytest.fixture
def client(settings: Settings, tmp_path: Path) -> TestClient:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "recall.yaml").write_text(RECALL)
    (folder / "plain.yaml").write_text("processors: []\n")
    chosen = settings.model_copy(update={"pipelines_dir_setting": folder})
    app = create_app(chosen)
    return TestClient(app, headers={"Authorization": f"Bearer {chosen.secret_path('api_key').read_text().strip()}"})


@pytest.fixture
def queues(redis_client: Redis) -> Queues:
    return Queues(redis_client)


def _post(client: TestClient, *names: str) -> Any:
    document = {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [{"tel": "+15550100"}]}
    return client.post("/v1/vcons", params={"queue": list(names)}, json=document)


def _stored(client: TestClient) -> str:
    return str(_post(client).json()["uuid"])


def _events(redis_client: Redis) -> list[tuple[str, str, str]]:
    found = cast("list[tuple[bytes, dict[bytes, bytes]]]", redis_client.xrange(keys.OUTBOX))
    entries = [orjson.loads(fields[b"events"]) for _, fields in found]
    return [
        (each["event"], each["detail"]["queue"], each["detail"]["by"])
        for events in entries
        for each in events
        if "queue" in each.get("detail", {})
    ]


def test_nobody_gets_in_without_the_key(client: TestClient) -> None:
    assert TestClient(client.app).get("/v1/queues").status_code == 401


def test_every_queue_that_a_definition_names_is_listed_with_what_it_holds(client: TestClient) -> None:
    _post(client, "recall")
    listed = {each["name"]: each for each in client.get("/v1/queues").json()["queues"]}
    assert list(listed) == ["happy", "incoming", "plain", "recall", "sad"]
    assert (listed["recall"]["normal"], listed["recall"]["max_waiting"], listed["recall"]["pipeline"]) == (1, 2, True)
    assert (listed["sad"]["normal"], listed["sad"]["max_waiting"], listed["sad"]["pipeline"]) == (0, None, False)


def test_jobs_are_queued_with_all_that_can_be_said_of_them(client: TestClient, redis_client: Redis) -> None:
    one, two = _stored(client), _stored(client)
    body = {"uuids": [one, two], "together": True, "priority": "urgent", "parameters": {"a": 1}, "dedupe": "both"}
    assert client.post("/v1/queues/plain/jobs", json=body).json() == {"queued": 1, "duplicates": 0}
    assert client.post("/v1/queues/plain/jobs", json=body).json() == {"queued": 0, "duplicates": 1}
    [job] = client.get("/v1/queues/plain").json()["jobs"]
    assert (job["vcon_uuids"], job["priority"], job["parameters"], job["origin"]) == (
        [one, two],
        "urgent",
        {"a": 1},
        "api",
    )
    assert _events(redis_client) == [("queued", "plain", "api")] * 2


def test_a_delayed_job_waits_for_its_time(client: TestClient, queues: Queues) -> None:
    client.post("/v1/queues/plain/jobs", json={"uuids": [_stored(client)], "delay": 600})
    assert (client.get("/v1/queues/plain").json()["later"], queues.depth("plain")) == (1, 0)


def test_jobs_are_paged_in_the_order_in_which_they_are_leased(client: TestClient, queues: Queues) -> None:
    queues.push("plain", [new_job("a"), new_job("b"), new_job("c", priority="urgent"), new_job("d", priority="low")])
    pages = [client.get(f"/v1/queues/plain?start={start}&count=2").json()["jobs"] for start in (0, 2, 4)]
    assert [[job["vcon_uuids"][0] for job in page] for page in pages] == [["c", "a"], ["b", "d"], []]


def test_a_vcon_that_is_not_there_is_named_and_nothing_is_queued(client: TestClient, queues: Queues) -> None:
    missing = new_uuid()
    answer = client.post("/v1/queues/plain/jobs", json={"uuids": [_stored(client), missing]})
    assert (answer.status_code, answer.json()["code"], answer.json()["uuids"]) == (422, "unknown_vcons", [missing])
    assert queues.depth("plain") == 0


def test_what_is_no_uuid_is_told_with_its_place(client: TestClient) -> None:
    answer = client.post("/v1/queues/plain/jobs", json={"uuids": ["7"]})
    assert (answer.status_code, answer.json()["faults"][0]["pointer"]) == (422, "/uuids/0")


def test_a_dedupe_text_for_many_jobs_is_refused(client: TestClient) -> None:
    body = {"uuids": [new_uuid(), new_uuid()], "dedupe": "x"}
    assert client.post("/v1/queues/plain/jobs", json=body).status_code == 422


def test_a_paused_queue_gives_nothing_until_it_is_resumed(client: TestClient, queues: Queues) -> None:
    queues.push("plain", ["a"])
    client.post("/v1/queues/plain/pause")
    assert client.get("/v1/queues/plain").json()["paused"] is True
    assert queues.lease("plain", batch_id="b", owner="r", limit=1) == ([], [])
    client.post("/v1/queues/plain/resume")
    assert len(queues.lease("plain", batch_id="b", owner="r", limit=1)[0]) == 1


def test_jobs_are_withdrawn_by_id_by_origin_or_all(client: TestClient, queues: Queues, redis_client: Redis) -> None:
    uuids = [new_uuid() for _ in range(4)]
    jobs = [new_job(uuid, origin="reprocess:1" if uuid == uuids[1] else "") for uuid in uuids]
    queues.push("plain", jobs)
    assert client.post("/v1/queues/plain/withdraw", json={"jobs": [jobs[0].id, "no such"]}).json() == {"jobs": 1}
    assert client.post("/v1/queues/plain/withdraw", json={"origin": "reprocess:1"}).json() == {"jobs": 1}
    assert client.post("/v1/queues/plain/withdraw", json={"all": True}).json() == {"jobs": 2}
    assert _events(redis_client) == [("withdrawn", "plain", "api")] * 4


@pytest.mark.parametrize("body", [{}, {"all": True, "origin": "x"}])
def test_to_withdraw_without_saying_what_is_refused(client: TestClient, body: dict[str, Any]) -> None:
    assert client.post("/v1/queues/plain/withdraw", json=body).status_code == 422


def _fail(redis_client: Redis, where: str, uuid: str) -> str:
    job = new_job(uuid)
    dead = DeadJob(job=job, code="x", error="broken", processor="p", batch_id="b", run_id="r", pipeline="recall")
    redis_client.rpush(where, dead.to_bytes())
    return job.id


def test_failed_jobs_tell_why_and_begin_again(client: TestClient, queues: Queues, redis_client: Redis) -> None:
    chosen, _ = (
        _fail(redis_client, keys.dead("recall"), new_uuid()),
        _fail(redis_client, keys.dead("recall"), new_uuid()),
    )
    told = client.get("/v1/queues/recall/dead").json()
    assert [(each["error"]["error"], each["error"]["processor"]) for each in told] == [("broken", "p")] * 2
    assert client.post("/v1/queues/recall/redrive", json={"jobs": [chosen]}).json() == {"jobs": 1}
    [job] = queues.jobs("recall")
    assert (job.id, job.last_error is not None and job.last_error.error) == (chosen, "broken")
    assert client.post("/v1/queues/recall/redrive", json={}).json() == {"jobs": 1}
    assert _events(redis_client) == [("redriven", "recall", "api")] * 2


def test_what_stands_in_a_failure_queue_goes_back_to_where_it_failed(
    client: TestClient, queues: Queues, redis_client: Redis
) -> None:
    _fail(redis_client, keys.queue("sad"), new_uuid())
    assert len(client.get("/v1/queues/sad/dead").json()) == 1
    assert client.post("/v1/queues/sad/redrive", json={}).json() == {"jobs": 1}
    assert (queues.depth("sad"), queues.depth("recall")) == (0, 1)


def test_an_unknown_queue_is_404_with_what_may_have_been_meant(client: TestClient) -> None:
    answer = client.get("/v1/queues/recal")
    assert (answer.status_code, "did you mean 'recall'" in answer.json()["detail"]) == (404, True)


# --- what POST /v1/vcons may enter -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["recall", "plain", "happy", "sad", "incoming"])
def test_a_vcon_may_enter_every_queue_that_a_definition_names(client: TestClient, queues: Queues, name: str) -> None:
    assert (_post(client, name).status_code, queues.depth(name)) == (201, 1)


def test_a_vcon_for_a_queue_that_means_nothing_is_refused(client: TestClient, redis_client: Redis) -> None:
    answer = _post(client, "plain", "recal")
    assert (answer.status_code, answer.json()["code"]) == (422, "unknown_queue")
    assert "did you mean 'recall'" in answer.json()["detail"]
    assert redis_client.exists(keys.LISTING, keys.queue("plain")) == 0


@pytest.mark.parametrize("name", ["recall", "incoming"])
def test_a_full_queue_takes_no_vcon_and_says_when_to_come_again(
    client: TestClient, queues: Queues, redis_client: Redis, name: str
) -> None:
    queues.push(name, ["a", "b"])
    answer = _post(client, "plain", name)
    assert (answer.status_code, answer.json()["code"], answer.headers["Retry-After"]) == (429, "queue_full", "5")
    assert redis_client.exists(keys.LISTING, keys.queue("plain")) == 0
    queues.purge(name)
    assert _post(client, name).status_code == 201
