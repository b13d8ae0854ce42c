"""Consent enforced by the engine: asked before every step that needs a purpose, and never by one that does not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from redis import Redis

from tests.pipelines.engine_support import lent
from tests.pipelines.support import REGISTRY as PLAIN
from tests.pipelines.support import Mark, engine
from tests.processors.test_consent_gate import basis
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.direct import run_pipeline
from vcon_platform.pipelines.engine import Engine, Settled
from vcon_platform.pipelines.simulate import Simulator
from vcon_platform.processors.base import Effects, ProcessorIO
from vcon_platform.processors.consent_gate import ConsentGate
from vcon_platform.processors.registry import Registry
from vcon_platform.store import keys
from vcon_platform.store.commits import NewVcon
from vcon_platform.store.objects import local_objects
from vcon_platform.store.reading import ReadingStore
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid


class Listen(Mark):
    """Needs a purpose."""

    name = "listen"
    effects = Effects(changes=True, purpose="transcription")


class Find(Mark):
    """Records what it found, of a kind that there is not."""

    name = "find"

    def process(self, io: ProcessorIO, options: Any) -> ProcessorIO:
        io.record("found")  # type: ignore[arg-type]
        return io


REGISTRY = Registry({**PLAIN.classes, **{cls.name: cls for cls in (Listen, Find, ConsentGate)}})
ENFORCED: dict[str, Any] = {"consent": "enforced"}


@pytest.fixture
def work(redis_url: str, redis_client: Redis, tmp_path: Path) -> Iterator[Engine]:
    work = engine(redis_client, tmp_path, parts={"lending": partial(lent, redis_url, tmp_path)})
    yield work
    work.close()


def piped(*processors: str, chosen: dict[str, Any] | None = None, **options: Any) -> Definition:
    raw = {
        "pipeline_options": options,
        "processors": [{"processor_name": each, "processor_options": chosen or {}} for each in processors],
    }
    return read_definition("recall", raw, REGISTRY)


def call(work: Engine, *records: dict[str, Any]) -> str:
    """A stored and queued vCon with these records."""
    data = {
        "uuid": new_uuid(),
        "created_at": "2026-11-02T09:00:00+00:00",
        "parties": [{"name": "Alice"}],
        "dialog": [],
        "analysis": [],
        "attachments": list(records),
    }
    [(uuid, _)] = work.documents.create([NewVcon(Vcon(data), queues=["recall"])])
    return uuid


def settled(work: Engine, pipeline: Definition) -> Settled:
    batch = work.open(pipeline, batch_id="r", owner="r", limit=10)
    for position, step in enumerate(pipeline.steps):
        work.step(batch, position, step)
    return work.settle(pipeline, batch)


def events(client: Redis) -> list[dict[str, Any]]:
    stream = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.OUTBOX))
    return [event for _, fields in stream for event in orjson.loads(fields[b"events"])]


def types(work: Engine, uuid: str) -> list[str]:
    return [entry["type"] for entry in work.documents.read_one(uuid).analysis]


def test_what_is_refused_ends_before_the_step_as_filtered_by_consent(work: Engine) -> None:
    uuid = call(work, basis(denied=("transcription",)))
    done = settled(work, piped("mark", "listen", "mark", **ENFORCED))
    assert done.filtered_by == {"consent": 1}
    assert types(work, uuid) == ["seen"]


def test_what_is_allowed_goes_all_the_way(work: Engine) -> None:
    uuid = call(work, basis("transcription"))
    assert settled(work, piped("listen", "mark", **ENFORCED)).counts == {"done": 1}
    assert types(work, uuid) == ["seen", "seen"]


def test_nobody_is_asked_where_it_is_off(work: Engine) -> None:
    call(work)
    assert settled(work, piped("listen")).counts == {"done": 1}


def test_nobody_is_asked_for_a_step_that_needs_no_purpose(work: Engine, redis_client: Redis) -> None:
    call(work)
    assert settled(work, piped("mark", **ENFORCED)).counts == {"done": 1}
    assert "consent" not in [event["event"] for event in events(redis_client)]


def test_nobody_is_asked_for_a_step_that_does_not_happen(work: Engine) -> None:
    call(work)
    assert settled(work, piped("listen", chosen={"should_process": False}, **ENFORCED)).counts == {"done": 1}


@pytest.mark.parametrize("yes", [True, False])
def test_each_decision_is_in_the_ledger(work: Engine, redis_client: Redis, yes: bool) -> None:
    uuid = call(work, basis("transcription") if yes else basis(denied=("transcription",)))
    settled(work, piped("listen", **ENFORCED))
    [asked] = [event for event in events(redis_client) if event["event"] == "consent"]
    assert (asked["vcon_uuid"], asked["processor"]) == (uuid, "listen")
    assert (asked["detail"]["purpose"], asked["detail"]["allowed"]) == ("transcription", yes)


def test_a_refusal_names_no_people(work: Engine, redis_client: Redis) -> None:
    call(work, basis(denied=("transcription",)))
    settled(work, piped("listen", **ENFORCED))
    assert "Alice" not in str(events(redis_client))


def test_a_denial_that_came_meanwhile_stops_the_next_step(work: Engine) -> None:
    """Asked before every step: one that an earlier step found counts."""

    class Heard(Mark):
        name = "heard"

        def process(self, io: ProcessorIO, options: Any) -> ProcessorIO:
            io.vcon.append("attachments", basis(denied=("transcription",)))
            return io

    registry = Registry({**REGISTRY.classes, "heard": Heard})
    names = [{"processor_name": name} for name in ("heard", "listen")]
    pipeline = read_definition("recall", {"pipeline_options": ENFORCED, "processors": names}, registry)
    call(work, basis("transcription"))
    assert settled(work, pipeline).filtered_by == {"consent": 1}


def test_a_simulation_goes_by_the_same_rule(work: Engine, redis_client: Redis, tmp_path: Path) -> None:
    reading = ReadingStore(redis_client, local_objects(tmp_path))
    simulator = Simulator(work, media=reading.media, results=reading.results, projections={})
    vcon = work.documents.read_one(call(work))
    told = simulator.run(piped("listen", "mark", **ENFORCED), vcon)
    assert [step.what for step in told.steps] == ["filtered", "not_reached"]


def test_a_direct_run_goes_by_the_same_rule(work: Engine) -> None:
    assert run_pipeline(work, piped("listen", **ENFORCED), call(work)).verdict.processor == "consent"


@pytest.mark.parametrize("limit", [{}, {"timeout": 20}])
def test_the_gates_decisions_are_in_the_ledger_too(work: Engine, redis_client: Redis, limit: dict[str, Any]) -> None:
    call(work, basis("analysis"))
    chosen = {"purposes": ["analysis", "training"], "quarantine_queue": "look", **limit}
    done = settled(work, piped("consent_gate", chosen=chosen))
    assert done.filtered_by == {"consent_gate": 1}
    told = [event["detail"]["purpose"] for event in events(redis_client) if event["event"] == "consent"]
    assert told == ["analysis", "training"]
    assert redis_client.llen(keys.queue("look")) == 1


def test_a_record_that_the_ledger_has_no_word_for_fails_the_conversation(work: Engine) -> None:
    call(work)
    done = settled(work, piped("find"))
    [failure] = done.failures.values()
    assert failure.code == "not_keepable"
