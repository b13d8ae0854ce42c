"""The example pipelines do what their authors meant, at the wire: as shipped, and as posted to py_vcon_server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml
from redis import Redis

from tests.fakes import deepgram, model_api
from tests.fakes.services import Service
from tests.fakes.smtp import FakeSmtp
from tests.pipelines.support import engine
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.deliveries import effects_outbox
from vcon_platform.pipelines.engine import Engine
from vcon_platform.processors.registry import load_processors
from vcon_platform.store import keys
from vcon_platform.store.commits import NewVcon
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import encode_base64url
from vcon_platform.vcon.uuids import new_uuid

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "pipelines" / "examples"
ORIGINAL = ROOT / "tests" / "data" / "py_vcon"
BOTH = [pytest.param(SHIPPED, id="shipped"), pytest.param(ORIGINAL, id="original")]
REGISTRY = load_processors()


@pytest.fixture
def smtp() -> Iterator[FakeSmtp]:
    with FakeSmtp() as server:
        yield server


@pytest.fixture
def speech(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with deepgram.fake_deepgram() as fake:
        monkeypatch.setenv("DEEPGRAM_KEY", deepgram.KEY)
        monkeypatch.setenv("DEEPGRAM_BASE_URL", fake.url)
        yield fake


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with model_api.fake_openai(_say) as fake:
        monkeypatch.setenv("OPENAI_API_KEY", model_api.KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{fake.url}/v1")
        yield fake


def _say(request: dict[str, Any]) -> str:
    """What a model would answer: it goes by the task, and by how polite the agent was."""
    task, said = request["messages"][-1]["content"].lower(), str(request["messages"][:-2])
    if "json" in task:
        return orjson.dumps({"score": 2 if "Shut up" in said else 9, "criteria": ["manners"]}).decode()
    for word in ("action items", "notes"):
        if word in task:
            return f"- the {word}"
    return "They could hear each other."


@pytest.fixture
def work(redis_client: Redis, tmp_path: Path) -> Engine:
    return engine(redis_client, tmp_path, parts={"outbox": effects_outbox(redis_client), "registry": REGISTRY})


def example(folder: Path, name: str, smtp: FakeSmtp | None = None) -> Definition:
    """The definition; its mail server is the test's. The time limits are left out: children of their own cost seconds,
    and have tests of their own."""
    [file] = folder.glob(f"{name}.*")
    raw: dict[str, Any] = yaml.safe_load(file.read_text())
    raw["pipeline_options"].pop("timeout")
    for step in raw["processors"]:
        if step["processor_name"] == "send_email" and smtp is not None:
            step["processor_options"] |= {"smtp_host": "127.0.0.1", "smtp_port": smtp.port}
    return read_definition(name, raw, REGISTRY)


def store(work: Engine, queue: str, **members: Any) -> str:
    data = {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00+00:00", "attachments": [], "analysis": [], **members}
    [(uuid, _)] = work.documents.create([NewVcon(Vcon(data), queues=[queue])])
    return uuid


def meeting(work: Engine) -> str:
    dialog = {"type": "recording", "start": "2026-11-02T09:00:00Z", "parties": [0, 1], "mediatype": "audio/x-wav"}
    body = {"body": encode_base64url(b"RIFF....WAVE" + b"\0" * 100), "encoding": "base64url"}
    parties = [{"name": "Alice", "tel": "+15550100"}, {"name": "Bob", "tel": "+15550199"}]
    return store(work, "meeting_notes", parties=parties, dialog=[{**dialog, **body}])


def call(work: Engine, agent: str) -> str:
    turns = [{"party": 0, "text": "It does not work."}, {"party": 1, "text": agent}]
    transcript = {"type": "transcript", "dialog": 0, "vendor": "test", "encoding": "json", "body": turns}
    dialog = {"type": "recording", "start": "2026-11-02T09:00:00Z", "parties": [0, 1], "url": "https://x.example.org/a"}
    return store(work, "bad_calls", parties=[{}, {}], dialog=[dialog], analysis=[transcript])


def run(work: Engine, pipeline: Definition) -> dict[str, int]:
    batch = work.open(pipeline, batch_id=new_uuid(), owner="run", limit=100)
    for position, step in enumerate(pipeline.steps):
        work.step(batch, position, step)
    settled = work.settle(pipeline, batch)
    assert settled.failures == {}
    return dict(settled.counts)


# --- meeting notes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", BOTH)
def test_the_notes_of_a_meeting_come_by_mail(
    folder: Path, work: Engine, smtp: FakeSmtp, speech: Service, model: Service
) -> None:
    meeting(work)
    assert run(work, example(folder, "meeting_notes", smtp)) == {"done": 1}
    assert smtp.mails == []  # nothing is sent before it is settled
    assert work.deliver(10).sent == 1
    [mail] = smtp.mails
    assert mail.message["Subject"].startswith("Meeting notes ")
    assert mail.message["Subject"].endswith("2026-11-02T09:00:00Z")
    blocks = [block.strip() for block in mail.body.split("\n\n")]
    assert [block.partition("\n")[0].strip(":").upper() for block in blocks] == [
        "SUMMARY",
        "ATTENDEES",
        "NOTES",
        "ACTION ITEMS",
    ]
    assert [block.partition("\n")[2] for block in blocks] == [
        "They could hear each other.",
        "Alice x+15550100\nBob x+15550199",
        "- the notes",
        "- the action items",
    ]


def test_the_meetings_vcon_keeps_what_was_bought(work: Engine, smtp: FakeSmtp, speech: Service, model: Service) -> None:
    uuid = meeting(work)
    run(work, example(SHIPPED, "meeting_notes", smtp))
    analyses = work.documents.read_one(uuid).analysis
    assert [analysis["type"] for analysis in analyses] == ["transcript", "summary", "action items", "notes"]


def test_a_meeting_that_is_run_again_sends_no_second_mail_and_buys_nothing(
    work: Engine, smtp: FakeSmtp, speech: Service, model: Service
) -> None:
    uuid = meeting(work)
    pipeline = example(SHIPPED, "meeting_notes", smtp)
    for _ in range(2):
        run(work, pipeline)
        work.deliver(10)
        work.queues.push("meeting_notes", [uuid])
    assert (len(smtp.mails), len(speech.asked), len(model.asked)) == (1, 1, 3)


def test_a_party_without_a_number_is_listed_by_name(
    work: Engine, smtp: FakeSmtp, speech: Service, model: Service
) -> None:
    dialog = [{"type": "text", "start": "2026-11-02T09:00:00Z", "parties": [0], "body": "Hello."}]
    store(work, "meeting_notes", parties=[{"name": "Carol"}, {}], dialog=dialog)
    run(work, example(SHIPPED, "meeting_notes", smtp))
    work.deliver(10)
    assert "ATTENDEES\nCarol\nunnamed\n" in smtp.mails[0].body


# --- badly handled calls ---------------------------------------------------------------------------------------


def queued(client: Redis) -> list[dict[str, Any]]:
    return [orjson.loads(raw) for raw in client.lrange(keys.queue("bad_agent_call_job_queue"), 0, -1)]


@pytest.mark.parametrize("folder", BOTH)
def test_bad_calls_are_queued_and_good_ones_are_not(
    folder: Path, work: Engine, redis_client: Redis, model: Service
) -> None:
    bad, good = call(work, "Shut up."), call(work, "I am sorry, let us mend that.")
    assert run(work, example(folder, "bad_calls")) == {"done": 2}
    assert [job["vcon_uuid"] for job in queued(redis_client)] == [[bad]]
    scores = [work.documents.read_one(uuid).analysis[1]["body"]["score"] for uuid in (bad, good)]
    assert scores == [2, 9]


def test_a_queued_call_brings_its_score_along(work: Engine, redis_client: Redis, model: Service) -> None:
    call(work, "Shut up.")
    run(work, example(SHIPPED, "bad_calls"))
    assert queued(redis_client)[0]["parameters"] == {"agent_score": 2, "bad_agent_score": True}


@pytest.mark.parametrize("answer", ['```json\n{"score": 2}\n```', '{"score": 2}'], ids=["fenced", "bare"])
@pytest.mark.parametrize("folder", BOTH)
def test_it_does_not_matter_whether_the_model_fences_its_json(
    folder: Path, answer: str, work: Engine, redis_client: Redis, model: Service
) -> None:
    model.next.append(model_api.completion(answer))
    call(work, "Shut up.")
    run(work, example(folder, "bad_calls"))
    assert len(queued(redis_client)) == 1


def test_a_call_without_a_score_is_not_a_bad_one(work: Engine, redis_client: Redis, model: Service) -> None:
    model.next.append(model_api.completion('{"criteria": []}'))
    call(work, "Shut up.")
    run(work, example(SHIPPED, "bad_calls"))
    assert queued(redis_client) == []


# --- what is shipped -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(SHIPPED.iterdir()), ids=lambda file: file.stem)
def test_an_example_is_a_sound_definition_and_documented(file: Path) -> None:
    read_definition(file.stem, yaml.safe_load(file.read_text()), REGISTRY)
    assert f"examples/{file.name}" in (ROOT / "docs" / "examples.md").read_text()


def test_examples_are_not_loaded_by_themselves() -> None:
    from vcon_platform.pipelines.texts import sources

    assert {file.name for file in SHIPPED.iterdir()}.isdisjoint(sources(ROOT / "pipelines"))
