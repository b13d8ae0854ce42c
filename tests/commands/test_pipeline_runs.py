"""``pipelines simulate`` and ``pipelines run`` as somebody types them."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from redis import Redis

from tests.commands.conftest import Add, Run, document
from vcon_platform.settings import Settings
from vcon_platform.store.opening import Store

PIPELINE = """
processors:
  - processor_name: set_parameters
    processor_options: {parameters: {language: en}}
  - processor_name: queue_job
    processor_options: {queue_name: next}
"""


@pytest.fixture(autouse=True)
def pipelines(deployed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one pipeline, ``greet``."""
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "greet.yaml").write_text(PIPELINE)
    (folder / "next.yaml").write_text("processors: []")
    monkeypatch.setenv("VCON_PIPELINES_DIR", str(folder))
    monkeypatch.setenv("VCON_WEBSERVER_PORT", "1")  # nobody listens there: Dagster's absence fails nothing
    return folder


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    file = tmp_path / "chat.vcon"
    file.write_bytes(orjson.dumps(document()))
    return file


def test_a_simulation_shows_each_step_and_leaves_no_trace(run: Run, add: Add, redis_client: Redis) -> None:
    uuid = add()
    before = {key: redis_client.dump(key) for key in redis_client.keys("*")}
    shown = run("pipelines", "simulate", "greet", uuid)
    assert shown.exit_code == 0, shown.output
    assert '+ parameter /language: "en"' in shown.output
    assert f"> queue next: {uuid}" in shown.output
    assert "would be done" in shown.output
    assert {key: redis_client.dump(key) for key in redis_client.keys("*")} == before


def test_a_definition_file_is_simulated_on_a_vcon_file(run: Run, pipelines: Path, sample: Path) -> None:
    shown = run("pipelines", "simulate", pipelines / "greet.yaml", sample, "--json")
    told = orjson.loads(shown.output)
    assert [step["what"] for step in told["steps"]] == ["processed", "processed"]
    assert told["verdict"]["ending"] == "done"


def test_a_long_change_is_shortened(run: Run, pipelines: Path, sample: Path) -> None:
    words = [{"word": f"word{n}", "parts": [*range(20)]} for n in range(20)]
    text = orjson.dumps(
        {"processors": [{"processor_name": "set_parameters", "processor_options": {"parameters": {"said": words}}}]}
    )
    (pipelines / "long.json").write_bytes(text)
    shown = run("pipelines", "simulate", "long", sample)
    assert len(shown.output) < 1500
    assert "characters; --json shows more)" in " ".join(shown.output.split())


def test_what_costs_is_not_bought_and_that_is_said(run: Run, pipelines: Path, tmp_path: Path) -> None:
    recording = {"type": "recording", "start": "2026-11-02T09:00:00Z", "duration": 35, "parties": 0, "body": "UklGRg"}
    file = tmp_path / "call.json"
    file.write_bytes(
        orjson.dumps(document(dialog=[{**recording, "encoding": "base64url", "mediatype": "audio/x-wav"}]))
    )
    (pipelines / "listen.yaml").write_text("processors: [{processor_name: transcribe}]")
    shown = run("pipelines", "simulate", "listen", file)
    assert "not bought: would call transcribe for 1 recording of 35 s" in shown.output
    assert "--buy" in shown.output


def test_a_run_without_save_keeps_the_document(run: Run, add: Add, store: Store) -> None:
    uuid = add()
    shown = run("pipelines", "run", "greet", uuid)
    assert (shown.exit_code, "is done" in shown.output) == (0, True)
    assert store.documents.read_one(uuid).revision == 1


def test_a_run_queues_what_it_was_told_to(run: Run, add: Add, redis_client: Redis) -> None:
    uuid = add()
    told = orjson.loads(run("pipelines", "run", "greet", uuid, "--json", "--parameters", '{"a": 1}').output)
    assert told["parameters"] == {"a": 1, "language": "en"}
    [entry] = redis_client.lrange("queue:next", 0, -1)
    assert orjson.loads(entry)["vcon_uuid"] == [uuid]


def test_a_file_is_taken_in_when_it_is_saved(run: Run, sample: Path, store: Store) -> None:
    assert run("pipelines", "run", "greet", sample, "--save").exit_code == 0
    assert store.documents.known([orjson.loads(sample.read_bytes())["uuid"]])


def test_a_file_is_not_stored_without(run: Run, sample: Path, store: Store) -> None:
    assert run("pipelines", "run", "greet", sample).exit_code == 0
    assert not store.documents.known([orjson.loads(sample.read_bytes())["uuid"]])


def test_a_conversation_that_fails_exits_with_3(run: Run, pipelines: Path, sample: Path) -> None:
    entry = {"processor_name": "set_parameters", "processor_options": {"input_vcon_index": 7, "parameters": {}}}
    (pipelines / "wrong.json").write_bytes(orjson.dumps({"processors": [entry]}))
    done = run("pipelines", "run", "wrong", sample)
    assert done.exit_code == 3, done.output
    assert "input_vcon_index" in done.output
    assert run("pipelines", "simulate", "wrong", sample).exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("greet", "nowhere.json"), "neither a uuid nor a file"),
        (("unknown", "018f3a2b-4c5d-8e6f-9012-3456789abcde"), "there is no pipeline"),
        (("greet", "018f3a2b-4c5d-8e6f-9012-3456789abcde"), "not in the store"),
        (("greet", "-", "--parameters", "[]"), "JSON object"),
    ],
)
@pytest.mark.parametrize("verb", ["run", "simulate"])
def test_wrong_input_exits_with_2_and_says_so(run: Run, verb: str, arguments: tuple[str, ...], says: str) -> None:
    done = run("pipelines", verb, *arguments, input=orjson.dumps(document()))
    assert (done.exit_code, says in done.output) == (2, True), done.output


def test_one_processor_runs_with_options(run: Run, sample: Path) -> None:
    options = '{"parameters": {"language": "de"}}'
    told = orjson.loads(run("processors", "run", "set_parameters", sample, "--options", options, "--json").output)
    assert told["parameters"] == {"language": "de"}


def test_wrong_options_of_a_processor_are_named_by_their_place(run: Run, sample: Path) -> None:
    done = run("processors", "run", "set_parameters", sample, "--options", '{"paramters": {}}')
    assert (done.exit_code, "/paramters" in done.output) == (2, True)
