"""py_vcon_server's API: each operation, its success and its errors, as its clients know them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis import Redis

from tests.support import eventually, free_port
from vcon_platform.access.caller import Visible
from vcon_platform.access.keys import KeyStore
from vcon_platform.api.app import create_app
from vcon_platform.pipelines import current
from vcon_platform.services import pipeline_edits
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.jobs import new_job
from vcon_platform.store.leases import Queues
from vcon_platform.vcon.uuids import new_uuid

SET = {"processor_name": "set_parameters", "processor_options": {"parameters": {"team": "night"}}}
NOTES = {
    "pipeline_options": {"save_vcons": True, "timeout": 30, "failure_queue": None, "label": "Notes"},
    "processors": [
        {**SET, "comment": "first"},
        {"processor_name": "jq", "processor_options": {"jq_queries": {"subject": ".vcons[0].subject"}}},
        {"processor_name": "queue_job", "processor_options": {"queue_name": "later", "from_queue": "notes"}},
        {"processor_name": "create_amended", "processor_options": {}},
    ],
}


@pytest.fixture
def definitions(tmp_path: Path) -> Path:
    folder = tmp_path / "definitions"
    folder.mkdir()
    (folder / "notes.json").write_text(json.dumps(NOTES))
    return folder


@pytest.fixture
def chosen(settings: Settings, definitions: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(current, "LOOK_EVERY", 0.0, raising=False)
    monkeypatch.setattr(pipeline_edits, "go_live", lambda *_, **__: None)  # there is no Dagster here
    return settings.model_copy(update={"pipelines_dir_setting": definitions, "webserver_port": free_port()})


@pytest.fixture
def app(chosen: Settings) -> FastAPI:
    return create_app(chosen)


@pytest.fixture
def client(app: FastAPI, settings: Settings) -> TestClient:
    return TestClient(app, headers=admin(settings))


def admin(settings: Settings) -> dict[str, str]:
    return {"Authorization": f"Bearer {settings.secret_path('api_key').read_text().strip()}"}


def document(**members: Any) -> dict[str, Any]:
    return {
        "vcon": "0.0.2",
        "uuid": new_uuid(),
        "created_at": "2026-11-02T09:00:00+00:00",
        "subject": "kettle",
        "parties": [{"tel": "+16175550100"}, {"name": "Bob"}],
        "dialog": [],
        "analysis": [],
        "attachments": [],
        **members,
    }


def post(client: TestClient, **members: Any) -> str:
    sent = document(**members)
    answer = client.post("/vcon", json=sent)
    assert answer.status_code == 204, answer.text
    return str(sent["uuid"])


# --- vCons -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["0.0.1", "0.0.2"])
def test_what_was_posted_comes_back_in_the_version_it_was_posted_in(client: TestClient, version: str) -> None:
    told = client.get(f"/vcon/{(uuid := post(client, vcon=version))}").json()
    assert (told["vcon"], told["uuid"], told["subject"]) == (version, uuid, "kettle")
    assert told["parties"] == [{"tel": "+16175550100"}, {"name": "Bob"}]


def test_what_came_another_way_comes_in_a_version_that_its_library_reads(client: TestClient) -> None:
    sent = document(vcon="0.4.0")
    assert client.post("/v1/vcons", json=sent).status_code in (201, 202)
    assert client.get(f"/vcon/{sent['uuid']}").json()["vcon"] == "0.0.2"
    assert client.get(f"/vcon/{sent['uuid']}?version=0.4.0").json()["vcon"] == "0.4.0"


def test_a_signed_vcon_comes_back_as_it_was_posted(client: TestClient) -> None:
    content = Path("tests/data/vcons/core-03/ab_call_ext_rec_signed.vcon").read_bytes()
    assert client.post("/vcon", content=content).status_code == 204
    [found] = client.get("/v1/vcons").json()["vcons"]
    assert found["form"] == "signed"
    assert client.get(f"/vcon/{found['uuid']}").json() == orjson.loads(content)


def test_a_vcon_without_a_uuid_is_refused_in_its_words(client: TestClient) -> None:
    sent = document()
    del sent["uuid"]
    answer = client.post("/vcon", json=sent)
    assert (answer.status_code, answer.json()) == (422, {"detail": "vCon UUID: not set"})


def test_what_fits_no_form_is_refused_with_its_place(client: TestClient) -> None:
    answer = client.post("/vcon", json=document(parties="all"))
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["body", "parties"]


def test_an_unknown_vcon_is_404_in_its_words(client: TestClient) -> None:
    for given in (new_uuid(), "nonsense"):
        answer = client.get(f"/vcon/{given}")
        assert answer.status_code == 404
        assert answer.json() == {"detail": f"vCon UUID: {given} not found", "exception_class": "VconNotFound"}


def test_jq_gives_every_output(client: TestClient) -> None:
    uuid = post(client)
    assert client.get(f"/vcon/{uuid}/jq", params={"jq_transform": ".parties[] | .tel"}).json() == ["+16175550100", None]
    assert client.get(f"/vcon/{uuid}/jq").status_code == 422
    assert client.get(f"/vcon/{uuid}/jq", params={"jq_transform": ".["}).status_code == 422
    assert client.get(f"/vcon/{new_uuid()}/jq", params={"jq_transform": "."}).status_code == 404


def test_jsonpath_gives_every_match(client: TestClient) -> None:
    uuid = post(client)
    told = client.get(f"/vcon/{uuid}/jsonpath", params={"path_string": "$.parties"}).json()
    assert told == [[{"tel": "+16175550100"}, {"name": "Bob"}]]
    assert client.get(f"/vcon/{uuid}/jsonpath", params={"path_string": "$["}).status_code == 422
    assert client.get(f"/vcon/{new_uuid()}/jsonpath", params={"path_string": "$"}).status_code == 404


# --- processors ------------------------------------------------------------------------------------------------

THIRTEEN = """create_amended decrypt deepgram encrypt jq openai_chat_completion queue_job send_email set_parameters sign
text_pii_redactor verify whisper_base""".split()  # noqa: SIM905 - a list is twice as long


@pytest.mark.usefixtures("all_processors")
def test_each_processor_has_two_routes_with_its_options(client: TestClient) -> None:
    told = client.get("/openapi.json").json()
    for name in THIRTEEN:
        body = told["paths"][f"/process/{{vcon_uuid}}/{name}"]["post"]["requestBody"]["content"]["application/json"]
        schema = told["components"]["schemas"][body["schema"]["$ref"].rpartition("/")[2]]
        assert {"label", "should_process", "format_options"} <= set(schema["properties"])
        assert f"/processIO/{name}" in told["paths"]


def test_a_processor_runs_on_a_stored_vcon_and_keeps_changes_only_on_request(client: TestClient) -> None:
    uuid = post(client)
    ran = client.post(f"/process/{uuid}/create_amended", json={})
    assert ran.status_code == 200, ran.text
    told = ran.json()
    assert set(told) == {"vcons", "vcons_modified", "parameters", "queue_jobs"}
    assert [vcon["vcon"] for vcon in told["vcons"]] == ["0.0.2", "0.0.2"]
    assert told["vcons_modified"] == [True, True], "the original says of its copy"
    made = told["vcons"][1]["uuid"]
    assert client.get(f"/vcon/{made}").status_code == 404
    kept = client.post(f"/process/{uuid}/create_amended?commit_changes=true", json={}).json()["vcons"][1]["uuid"]
    assert client.get(f"/vcon/{kept}").json()["amended"]["uuid"] == uuid


def test_should_process_does_not_count_and_unknown_options_pass_and_are_told(client: TestClient) -> None:
    uuid = post(client)
    options = {"parameters": {"a": 1}, "should_process": False, "no_such_option": 5}
    ran = client.post(f"/process/{uuid}/set_parameters", json=options)
    assert ran.json()["parameters"] == {"a": 1}
    assert ran.headers["x-vcon-unknown-options"] == "no_such_option"


def test_errors_of_a_processor_run(client: TestClient) -> None:
    uuid = post(client)
    assert client.post(f"/process/{new_uuid()}/jq", json={}).status_code == 404
    assert client.post(f"/process/{uuid}/no_such_processor", json={}).status_code == 404
    assert client.post(f"/process/{uuid}/queue_job", json={}).status_code == 422
    bad = client.post(f"/process/{uuid}/jq", json={"jq_queries": {"x": ".["}})
    assert bad.status_code == 422
    index = client.post(f"/process/{uuid}/create_amended", json={"input_vcon_index": 3})
    assert index.status_code == 422


def test_a_processor_runs_on_posted_vcons_with_parameters(client: TestClient) -> None:
    io = {"vcons": [document()], "parameters": {"team": "day"}, "vcons_modified": [True], "queue_jobs": []}
    body = {"processor_io": io, "processor_options": {"jq_queries": {"who": ".parameters.team"}}}
    told = client.post("/processIO/jq", json=body).json()
    assert told["parameters"] == {"team": "day", "who": "day"}
    assert told["vcons_modified"] == [False]
    same = document()
    twice = {"processor_io": {"vcons": [same, same]}, "processor_options": {}}
    assert client.post("/processIO/create_amended", json=twice).status_code == 422
    assert client.post("/processIO/jq").status_code == 422


# --- pipelines -------------------------------------------------------------------------------------------------


def test_pipelines_are_told_with_defaults_and_exactly_the_options_given(client: TestClient) -> None:
    assert client.get("/pipelines").json() == ["notes"]
    told = client.get("/pipeline/notes").json()
    assert told["pipeline_options"]["save_vcons"] is True
    assert told["pipeline_options"]["timeout"] == 30
    assert "failure_queue" not in told["pipeline_options"]
    assert told["processors"][0] == {
        "processor_name": "set_parameters",
        "processor_options": {
            "label": "",
            "notes": "",
            "input_vcon_index": 0,
            "should_process": True,
            "format_options": {},
            "parameters": {"team": "night"},
        },
    }
    assert client.get("/pipeline/nothing").json() == {"detail": "pipeline: nothing not found"}


def test_a_pipeline_is_stored_replaced_and_deleted(client: TestClient) -> None:
    definition = {"pipeline_options": {}, "processors": [SET]}
    assert client.put("/pipeline/mine", json=definition).status_code == 204
    eventually(lambda: client.get("/pipeline/mine").status_code == 200, 10)
    assert client.put("/pipeline/mine", json={**definition, "processors": []}).status_code == 204
    assert client.delete("/pipeline/mine").status_code == 204
    eventually(lambda: client.get("/pipeline/mine").status_code == 404, 10)
    assert client.delete("/pipeline/mine").status_code == 404


def test_errors_of_definitions(client: TestClient) -> None:
    unknown = {"pipeline_options": {}, "processors": [{"processor_name": "nothing", "processor_options": {}}]}
    answer = client.put("/pipeline/mine", json=unknown)
    assert (answer.status_code, answer.json()) == (422, {"detail": "processor: nothing not registered"})
    bad = {"pipeline_options": {}, "processors": [{"processor_name": "jq", "processor_options": {"jq_queries": 5}}]}
    answer = client.put("/pipeline/mine", json=bad)
    assert answer.status_code == 422
    assert "/processors/0/processor_options/jq_queries" in str(answer.json()["detail"])
    assert client.put("/pipeline/mine", json={"processors": []}).status_code == 422


def test_a_pipeline_runs_on_a_posted_and_on_a_stored_vcon(client: TestClient, redis_client: Redis) -> None:
    sent = document()
    told = client.post("/pipeline/notes/run", json=sent).json()
    assert told["parameters"] == {"team": "night", "subject": "kettle"}
    assert told["queue_jobs"] == [
        {"job_type": "vcon_uuid", "to_queue": "later", "vcon_uuids": [sent["uuid"]], "from_queue": "notes"}
    ]
    assert redis_client.llen(keys.queue("later")) == 1, "jobs are queued in any case"
    assert client.get(f"/vcon/{sent['uuid']}").status_code == 404, "vCons are kept only on request"
    uuid = post(client)
    ran = client.post(f"/pipeline/notes/run/{uuid}?save_vcons=true").json()
    assert ran["vcons_modified"] == [True, True]
    assert client.get(f"/vcon/{ran['vcons'][1]['uuid']}").status_code == 200
    assert client.post(f"/pipeline/notes/run/{uuid}?return_results=false").json() is None
    assert client.post("/pipeline/notes/run?save_vcons=true", json=document()).status_code == 200


def test_errors_of_pipeline_runs(client: TestClient) -> None:
    assert client.post(f"/pipeline/nothing/run/{new_uuid()}").status_code == 404
    assert client.post(f"/pipeline/notes/run/{new_uuid()}").status_code == 404
    assert client.post("/pipeline/notes/run", json={"a": 1}).status_code == 422


def test_old_clients_get_the_old_statuses_where_a_setting_says_so(chosen: Settings) -> None:
    old = TestClient(create_app(chosen.model_copy(update={"compat": "py_vcon"})), headers=admin(chosen))
    assert old.post(f"/pipeline/notes/run/{new_uuid()}").status_code == 500
    assert old.get(f"/vcon/{new_uuid()}/jq", params={"jq_transform": "."}).status_code == 500
    assert old.get(f"/vcon/{new_uuid()}").status_code == 404


# --- queues ----------------------------------------------------------------------------------------------------


def test_queues_are_made_filled_looked_into_and_deleted(client: TestClient) -> None:
    assert client.post("/queue/mine").status_code == 204
    again = client.post("/queue/mine")
    assert (again.status_code, again.json()) == (422, {"detail": "queue: mine already exists"})
    uuids = [new_uuid(), new_uuid()]
    jobs = [{"job_type": "vcon_uuid", "vcon_uuid": [uuid]} for uuid in uuids]
    assert [client.put("/queue/mine", json=job).json() for job in jobs] == [1, 2]
    assert client.get("/queue/mine").json() == jobs
    assert {"mine", "notes"} <= set(client.get("/queues").json())
    assert client.delete("/queue/mine").json() == jobs
    for answer in (client.get("/queue/mine"), client.delete("/queue/mine")):
        assert answer.status_code == 404
        assert answer.json() == {"detail": "queue: mine not found", "exception_class": "QueueDoesNotExist"}


@pytest.mark.parametrize(
    ("queue", "job", "status"),
    [
        ("nothing", {"vcon_uuid": ["018f3a2b-4c5d-8e6f-9012-3456789abcde"]}, 404),
        ("notes", {"vcon_uuid": []}, 422),
        ("notes", {"vcon_uuid": ["a", "b"]}, 422),
        ("notes", {"job_type": "other", "vcon_uuid": ["018f3a2b-4c5d-8e6f-9012-3456789abcde"]}, 422),
    ],
)
def test_errors_of_jobs(client: TestClient, queue: str, job: dict[str, Any], status: int) -> None:
    assert client.put(f"/queue/{queue}", json=job).status_code == status


@pytest.fixture
def leased(client: TestClient, redis_client: Redis) -> list[str]:
    """Two jobs that are being worked on, one that waits."""
    queues = Queues(redis_client)
    jobs = [new_job(post(client)) for _ in range(3)]
    queues.push("notes", jobs)
    queues.lease("notes", batch_id="run-1", owner="run-1", limit=2)
    return [job.id for job in jobs]


def test_jobs_in_progress_are_told_and_can_be_taken_back_to_the_front(client: TestClient, leased: list[str]) -> None:
    told = client.get("/in_progress").json()
    assert set(told) == set(leased[:2])
    record = told[leased[0]]
    assert (record["id"], record["queue"], record["server"]) == (leased[0], "notes", "run-1")
    assert record["job"]["job_type"] == "vcon_uuid"
    assert client.put(f"/in_progress/{leased[1]}").status_code == 204
    assert set(client.get("/in_progress").json()) == {leased[0]}
    assert client.get("/queue/notes").json()[0] == told[leased[1]]["job"]


def test_jobs_in_progress_can_be_forgotten(client: TestClient, leased: list[str]) -> None:
    assert client.delete(f"/in_progress/{leased[0]}").status_code == 204
    assert set(client.get("/in_progress").json()) == {leased[1]}
    assert len(client.get("/queue/notes").json()) == 1
    for answer in (client.delete(f"/in_progress/{leased[0]}"), client.put("/in_progress/5")):
        assert answer.status_code == 404
        assert answer.json()["detail"].startswith("job: ")


# --- servers ---------------------------------------------------------------------------------------------------


def test_this_process_is_told_and_beats(app: FastAPI, settings: Settings, redis_client: Redis) -> None:
    with TestClient(app, headers=admin(settings)) as client:
        info = client.get("/server/info").json()
        assert {"py_vcon_server", "vcon", "host", "port", "pid", "start_time", "num_workers", "state"} <= set(info)
        eventually(lambda: redis_client.hlen(keys.SERVERS) == 1, 10)
        [(key, told)] = client.get("/servers").json().items()
        assert told["pid"] == info["pid"]
        assert told["state"] == "running"
    assert redis_client.hlen(keys.SERVERS) == 0, "it takes its record away when it ends"
    assert key.startswith("127.0.0.1:")


def test_a_process_that_does_not_beat_is_unknown_and_its_record_can_be_dropped(
    client: TestClient, redis_client: Redis
) -> None:
    redis_client.hset(keys.SERVERS, "h:1:2:3", orjson.dumps({"state": "running", "last_heartbeat": 5.0}))
    assert client.get("/servers").json()["h:1:2:3"]["state"] == "unknown"
    assert client.delete("/servers/h:1:2:3").status_code == 204
    gone = client.delete("/servers/h:1:2:3")
    assert (gone.status_code, gone.json()) == (404, {"detail": "server state for: h:1:2:3 not found"})


def test_runs_under_way_are_servers_too(client: TestClient, leased: list[str]) -> None:
    assert client.get("/servers").json()["run:run-1"]["state"] == "running"


def test_queues_that_are_worked_on_have_weights_that_can_be_set(client: TestClient, redis_client: Redis) -> None:
    assert client.get("/server/queues").json() == {"notes": {"weight": 1}}
    assert client.post("/server/queue/notes", json={"weight": 5}).status_code == 204
    assert client.get("/server/queues").json() == {"notes": {"weight": 5}}
    assert client.delete("/server/queue/notes").status_code == 204
    assert Queues(redis_client).paused() == {"notes"}
    gone = client.delete("/server/queue/notes")
    assert (gone.status_code, gone.json()) == (404, {"detail": "queue: notes not found"})
    assert client.post("/server/queue/notes", json={"weight": 1}).status_code == 204
    assert Queues(redis_client).paused() == set()
    assert client.post("/server/queue/notes", json={"weight": "x"}).status_code == 422


def test_what_a_key_does_not_show_is_not_there(app: FastAPI, client: TestClient, redis_client: Redis) -> None:
    uuid = post(client)
    _, text = KeyStore(redis_client).create("x", ["read", "process"], visible=Visible((), ("tenant:acme",)))
    limited = TestClient(app, headers={"Authorization": f"Bearer {text}"})
    assert limited.get(f"/vcon/{uuid}").status_code == 404
    assert limited.get(f"/vcon/{uuid}/jq", params={"jq_transform": "."}).status_code == 404
    assert limited.post(f"/process/{uuid}/create_amended", json={}).status_code == 404
    assert limited.post(f"/pipeline/notes/run/{uuid}").status_code == 404
