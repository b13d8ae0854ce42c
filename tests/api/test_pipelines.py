"""Definitions over HTTP: stored with a version, refused with every fault and its place, never changed behind a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from redis import Redis

from tests.support import free_port
from vcon_platform.api.app import create_app
from vcon_platform.settings import Settings

DEFINITION: dict[str, Any] = {
    "pipeline_options": {"timeout": 30, "failure_queue": None},
    "processors": [{"processor_name": "recall_finder", "processor_options": {"words": ["recall"]}}],
}


@pytest.fixture
def here(settings: Settings, tmp_path: Path) -> Settings:
    """An installation without definition files, whose Dagster is down."""
    (tmp_path / "pipelines").mkdir()
    changes = {"pipelines_dir_setting": tmp_path / "pipelines", "webserver_port": free_port()}
    return settings.model_copy(update=changes)


@pytest.fixture
def client(here: Settings) -> TestClient:
    app = create_app(here)
    return TestClient(app, headers={"Authorization": f"Bearer {here.secret_path('api_key').read_text().strip()}"})


def _put(client: TestClient, name: str = "notes", definition: Any = None, **headers: str) -> Any:
    return client.put(f"/v1/pipelines/{name}?wait=0", json=definition or DEFINITION, headers=headers)


def _words(*words: str) -> dict[str, Any]:
    return {"processors": [{"processor_name": "recall_finder", "processor_options": {"words": list(words)}}]}


def test_nobody_gets_in_without_the_key(here: Settings) -> None:
    assert TestClient(create_app(here)).get("/v1/pipelines").status_code == 401


def test_a_stored_definition_comes_back(client: TestClient) -> None:
    answer = _put(client)
    assert (answer.status_code, answer.json()["number"], answer.json()["state"]) == (201, 1, "stored")
    assert client.get(answer.headers["Location"]).json() == DEFINITION


def test_a_definition_may_be_yaml_both_ways(client: TestClient) -> None:
    text = "processors:\n- processor_name: recall_finder\n  processor_options: {words: [yes]}\n"
    headers = {"Content-Type": "application/yaml"}
    assert client.put("/v1/pipelines/notes?wait=0", content=text, headers=headers).status_code == 201
    assert client.get("/v1/pipelines/notes").json()["processors"][0]["processor_options"] == {"words": ["yes"]}
    assert "words:" in client.get("/v1/pipelines/notes", headers={"Accept": "application/yaml"}).text


def test_a_refused_definition_lists_every_fault_with_its_place(client: TestClient) -> None:
    wrong = {"pipeline_options": {"timeot": 1}, "processors": [{"processor_name": "recal_finder"}]}
    answer = _put(client, definition=wrong)
    assert (answer.status_code, answer.json()["code"]) == (422, "definition_refused")
    faults = {each["pointer"]: each["message"] for each in answer.json()["faults"]}
    assert "did you mean 'timeout'" in faults["/pipeline_options/timeot"]
    assert "did you mean 'recall_finder'" in faults["/processors/0/processor_name"]


def test_a_member_that_is_given_twice_is_refused(client: TestClient) -> None:
    answer = client.put("/v1/pipelines/notes", content=b'{"processors": [], "processors": []}')
    assert (answer.status_code, answer.json()["faults"][0]["pointer"]) == (422, "/processors")


def test_validating_stores_nothing(client: TestClient) -> None:
    assert client.post("/v1/pipelines/notes/validate", json=DEFINITION).json()["processors"] == ["recall_finder"]
    assert client.get("/v1/pipelines").json() == []


def test_what_a_file_defines_is_changed_in_the_file(client: TestClient, here: Settings) -> None:
    (here.pipelines_dir / "notes.yaml").write_text("processors: []")
    for answer in (_put(client), client.delete("/v1/pipelines/notes")):
        assert (answer.status_code, answer.json()["code"]) == (409, "defined_in_file")
        assert "notes.yaml" in answer.json()["detail"]


def test_of_two_who_edit_the_same_version_the_second_is_refused(client: TestClient) -> None:
    _put(client)
    tag = client.get("/v1/pipelines/notes").headers["ETag"]
    assert _put(client, definition=_words("a"), **{"If-Match": tag}).status_code == 200
    assert _put(client, definition=_words("b"), **{"If-Match": tag}).status_code == 412
    assert _put(client, **{"If-None-Match": "*"}).status_code == 412


def test_versions_are_listed_compared_and_gone_back_to(client: TestClient) -> None:
    _put(client, definition=_words("one"))
    _put(client, definition=_words("two"))
    assert "-    - one\n+    - two" in client.get("/v1/pipelines/notes/diff?a=1").text
    back = client.post("/v1/pipelines/notes/rollback?wait=0", json={"version": 1})
    assert (back.status_code, back.json()["number"]) == (200, 3)
    assert [each["note"] for each in client.get("/v1/pipelines/notes/versions").json()] == ["", "", "as version 1"]
    assert (
        client.get("/v1/pipelines/notes").json()["processors"]
        == client.get("/v1/pipelines/notes?version=1").json()["processors"]
    )


def test_a_deleted_definition_is_gone_and_its_versions_stay(client: TestClient) -> None:
    _put(client)
    assert client.delete("/v1/pipelines/notes?wait=0").status_code == 200
    assert client.get("/v1/pipelines/notes").status_code == 404
    assert [each["source"] for each in client.get("/v1/pipelines/notes/versions").json()] == ["stored", "deleted"]
    assert client.delete("/v1/pipelines/notes").status_code == 404


def test_the_list_shows_the_broken_with_their_fault(client: TestClient, here: Settings, redis_client: Redis) -> None:
    (here.pipelines_dir / "bad.yaml").write_text("processors: [{processor_name: nope}]")
    _put(client)
    bad, notes = client.get("/v1/pipelines").json()
    assert (bad["name"], bad["version"], "no processor 'nope'" in bad["fault"]) == ("bad", None, True)
    assert (notes["name"], notes["source"], notes["live"], notes["fault"]) == ("notes", "stored", None, None)


def test_without_dagster_it_is_stored_and_said_to_go_live_later(client: TestClient) -> None:
    answer = client.put("/v1/pipelines/notes?wait=1", json=DEFINITION).json()
    assert (answer["live"], answer["state"]) == (False, "dagster_down")
    assert "when Dagster starts" in answer["message"]


def test_a_feed_that_is_another_pipelines_queue_is_refused(client: TestClient) -> None:
    _put(client, "first")
    answer = _put(client, "second", {"pipeline_options": {"feeds": ["first"]}, "processors": []})
    assert answer.json()["faults"][0]["pointer"] == "/pipeline_options/feeds/0"
