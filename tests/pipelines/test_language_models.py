"""Processors that ask a language model, run as pipelines run them: in threads, in a process of their own, again."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.fakes.model_api import KEY, fake_openai, refusal
from tests.fakes.services import Service
from tests.pipelines.engine_support import lent, walk
from tests.pipelines.support import engine
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.engine import Engine
from vcon_platform.processors.registry import load_processors
from vcon_platform.store.commits import NewVcon
from vcon_platform.store.jobs import new_job
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.tags import tags
from vcon_platform.vcon.uuids import new_uuid

ENGAGED = {"section": "attachments", "type": "tags", "includes": "engagement:true"}
REGISTRY = load_processors()


def say(request: dict[str, Any]) -> str:
    """Nobody talks to a voice mail; of all else an angry customer talks."""
    said = " ".join(m["content"] for m in request["messages"] if m["role"] == "user")
    if "response_format" in request:
        return '{"applies": true}'
    return str("voice mail" not in said).lower()


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    with fake_openai(say) as fake:
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", f"{fake.url}/v1")
        yield fake


@pytest.fixture
def work(redis_url: str, redis_client: Redis, tmp_path: Path) -> Iterator[Engine]:
    work = engine(redis_client, tmp_path, parts={"lending": partial(lent, redis_url, tmp_path), "registry": REGISTRY})
    yield work
    work.close()


def piped(**options: Any) -> Definition:
    check = {"tag_name": "mood", "tag_value": "angry", "evaluation_question": "Is the customer angry?"}
    raw = [("detect_engagement", options), ("check_and_tag", {**check, "only_if": ENGAGED, **options})]
    processors = [{"processor_name": name, "processor_options": chosen} for name, chosen in raw]
    return read_definition("recall", {"processors": processors}, REGISTRY)


def conversations(work: Engine, *texts: str) -> list[str]:
    dialog = {"type": "text", "start": "2026-11-02T09:00:00Z", "parties": [0]}
    made = [
        Vcon(
            {
                "uuid": new_uuid(),
                "created_at": "2026-11-02T09:00:00+00:00",
                "parties": [{"name": "Alice"}],
                "dialog": [{**dialog, "body": text}],
                "analysis": [],
                "attachments": [],
            }
        )
        for text in texts
    ]
    return [uuid for uuid, _ in work.documents.create(NewVcon(vcon, queues=["recall"]) for vcon in made)]


def settle(work: Engine, pipeline: Definition, name: str = "run-1") -> dict[str, int]:
    batch = work.open(pipeline, batch_id=name, owner=name, limit=100)
    walk(work, pipeline, batch)
    return work.settle(pipeline, batch).counts


@pytest.mark.parametrize("options", [{}, {"timeout": 30}], ids=["threads", "a process of its own"])
def test_only_people_who_talked_are_asked_about(service: Service, work: Engine, options: dict[str, Any]) -> None:
    people, machine = conversations(work, "My bill is wrong.", "This is a voice mail.")
    assert settle(work, piped(**options)) == {"done": 2}
    assert tags(work.documents.read_one(people)) == [("engagement", "true"), ("mood", "angry")]
    assert tags(work.documents.read_one(machine)) == [("engagement", "false")]
    assert len(service.asked) == 3


def test_one_refused_question_fails_one_conversation(service: Service, work: Engine) -> None:
    service.next.append(refusal(401, "invalid_api_key"))
    conversations(work, "One.", "Two.", "Three.")
    assert settle(work, piped()) == {"done": 2, "failed": 1}


def test_a_limit_is_waited_for_and_the_question_put_again(service: Service, work: Engine) -> None:
    service.next.extend([refusal(429, "rate_limit_exceeded")] * 2)
    conversations(work, "One.")
    assert settle(work, piped()) == {"done": 1}


def test_a_second_run_asks_nothing(service: Service, work: Engine) -> None:
    [uuid] = conversations(work, "My bill is wrong.")
    settle(work, piped())
    before = work.documents.read_one(uuid).data
    work.queues.push("recall", [new_job(uuid)])
    assert settle(work, piped(), "run-2") == {"done": 1}
    assert (len(service.asked), work.documents.read_one(uuid).data) == (2, before)
