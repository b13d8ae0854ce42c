"""Filters, tags and routes, run as pipelines run them: where each conversation ends up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from redis import Redis

from tests.fakes.model_api import KEY, fake_openai
from tests.pipelines.engine_support import walk
from tests.pipelines.support import engine
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.engine import Engine
from vcon_platform.pipelines.texts import parse_text
from vcon_platform.processors.registry import load_processors
from vcon_platform.store import keys
from vcon_platform.store.commits import NewVcon
from vcon_platform.store.jobs import read_waiting
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.tags import tags
from vcon_platform.vcon.uuids import new_uuid

REGISTRY = load_processors()
DOCS = Path(__file__).parents[2] / "docs"
TEXTS = ("I want my money back.", "Thank you, it is great.", "Where is my parcel?")


@pytest.fixture
def work(redis_client: Redis, tmp_path: Path) -> Iterator[Engine]:
    work = engine(redis_client, tmp_path, parts={"registry": REGISTRY})
    yield work
    work.close()


def piped(*steps: tuple[str, dict[str, Any]]) -> Definition:
    processors = [{"processor_name": name, "processor_options": options} for name, options in steps]
    return read_definition("incoming", {"processors": processors}, REGISTRY)


def run(work: Engine, pipeline: Definition) -> tuple[list[str], dict[str, int]]:
    """The conversations, and how they ended."""
    dialog = {"type": "text", "start": "2026-11-02T09:00:00Z", "parties": [0]}
    shared = {"created_at": "2026-11-02T09:00:00+00:00", "parties": [{}], "analysis": [], "attachments": []}
    made = [Vcon({"uuid": new_uuid(), "dialog": [{**dialog, "body": text}], **shared}) for text in TEXTS]
    uuids = [uuid for uuid, _ in work.documents.create(NewVcon(vcon, queues=["incoming"]) for vcon in made)]
    batch = work.open(pipeline, batch_id="run-1", owner="run-1", limit=100)
    walk(work, pipeline, batch)
    return uuids, work.settle(pipeline, batch).counts


def queued(client: Redis, name: str) -> list[str]:
    jobs = [read_waiting(raw) for raw in cast("list[bytes]", client.lrange(keys.queue(name), 0, -1))]
    return [uuid for job in jobs for uuid in job.vcon_uuids]


def test_words_make_a_tag_and_the_tag_finds_the_queue(work: Engine, redis_client: Redis) -> None:
    pipeline = piped(
        ("keyword_filter", {"phrases": ["money back", "refund"], "otherwise": "go_on"}),
        ("tag", {"tags": ["refund"], "format_options": {"should_process": "{keyword_filter_passed}"}}),
        ("tag_router", {"tag_routes": {"refund": "refunds"}, "default_queue": "others", "forward_original": False}),
    )
    uuids, counts = run(work, pipeline)
    assert counts == {"filtered": 3}
    assert (queued(redis_client, "refunds"), queued(redis_client, "others")) == (uuids[:1], uuids[1:])
    assert tags(work.documents.read_one(uuids[0])) == [("refund", "refund")]


def test_who_does_not_pass_goes_no_further(work: Engine, redis_client: Redis) -> None:
    pipeline = piped(
        ("jq_filter", {"filter": '.dialog[0].body | test("\\\\?$")'}),
        ("sampler", {"value": 100}),
        ("delay", {"since": "created"}),
        ("queue_job", {"queue_name": "questions"}),
    )
    uuids, counts = run(work, pipeline)
    assert (counts, queued(redis_client, "questions")) == ({"done": 1, "filtered": 2}, uuids[2:])


def test_a_mood_is_a_tag_to_route_by(work: Engine, redis_client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    def say(request: dict[str, Any]) -> str:
        happy = "great" in str(request["messages"][0])
        return orjson.dumps({"overall": {"label": "positive" if happy else "negative", "score": happy - 0.5}}).decode()

    pipeline = piped(
        ("sentiment", {"detail": "overall", "tag": "mood"}),
        ("tag_router", {"tag_routes": {"mood:negative": "call_back"}}),
    )
    with fake_openai(say) as fake:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{fake.url}/v1")
        uuids, counts = run(work, pipeline)
    assert (counts, set(queued(redis_client, "call_back"))) == ({"done": 3}, {uuids[0], uuids[2]})


@pytest.mark.parametrize("page", ["processors-filters.md", "processors-conversation.md"])
def test_the_example_of_the_page_is_a_pipeline(page: str) -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", (DOCS / page).read_text(), re.S)
    assert len(read_definition("example", parse_text("example.yaml", text), REGISTRY).steps) == 5
