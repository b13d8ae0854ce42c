"""Simulation: every step is told, and nothing of it stays."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.pipelines.direct_support import BUYING, definition, registry_definition
from tests.pipelines.support import PROJECTIONS, engine, stored
from vcon_platform.pipelines.engine import Engine
from vcon_platform.pipelines.simulate import Simulation, Simulator
from vcon_platform.store import keys
from vcon_platform.store.documents import Missing
from vcon_platform.store.objects import local_objects
from vcon_platform.store.reading import ReadingStore, WriteRefused, reading_client
from vcon_platform.store.results import StoredResults
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def work(redis_client: Redis, tmp_path: Path) -> Engine:
    return engine(redis_client, tmp_path, PROJECTIONS)


@pytest.fixture
def reading(redis_client: Redis, tmp_path: Path, work: Engine) -> ReadingStore:
    return ReadingStore(redis_client, local_objects(tmp_path))


@pytest.fixture
def simulator(work: Engine, reading: ReadingStore, redis_client: Redis) -> Simulator:
    return Simulator(
        work,
        media=reading.media,
        results=reading.results,
        projections=PROJECTIONS,
        bought=StoredResults(redis_client),
        bought_media=reading.media,
    )


@pytest.fixture(autouse=True)
def _nothing_bought_yet() -> None:
    BUYING.calls = 0


def _vcon(**members: Any) -> Vcon:
    return Vcon({"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "analysis": [], **members})


def _whole(client: Redis, folder: Path) -> tuple[dict[Any, Any], dict[str, bytes]]:
    """Everything that is kept, byte by byte."""
    there: dict[Any, Any] = {key: (client.dump(key), client.ttl(key) > 0) for key in client.keys("*")}
    return there, {str(each): each.read_bytes() for each in folder.rglob("*") if each.is_file()}


def _whats(simulation: Simulation) -> list[str]:
    return [step.what for step in simulation.steps]


def test_each_step_tells_what_it_changed(simulator: Simulator) -> None:
    told = simulator.run(definition("mark", "mark"), _vcon())
    assert [[edit.pointer for edit in step.documents[0].edits] for step in told.steps] == [
        ["/analysis/0"],
        ["/analysis/1"],
    ]


def test_each_step_tells_which_parameters_it_set(simulator: Simulator) -> None:
    told = simulator.run(definition("score"), _vcon(subject="abc"), parameters={"given": 1})
    [step] = told.steps
    assert [edit.to_json() for edit in step.parameters] == [{"op": "add", "path": "/score", "value": 3}]
    assert told.parameters == {"given": 1, "score": 3}


def test_what_would_be_queued_and_sent_is_told(simulator: Simulator) -> None:
    vcon = _vcon()
    told = simulator.run(definition("pass_on", "mail"), vcon)
    assert [(job.queue, job.vcon_uuids) for job in told.steps[0].queued] == [("next", (vcon.uuid,))]
    assert [(each.summary, each.body["subject"]) for each in told.steps[1].effects] == [("one mail", "hello")]


def test_a_step_that_costs_is_not_bought_and_the_rest_goes_on(simulator: Simulator) -> None:
    dialog = [{"type": "recording", "duration": 35.2}]
    told = simulator.run(definition("buying", "mark"), _vcon(dialog=dialog))
    assert _whats(told) == ["not_bought", "processed"]
    assert told.steps[0].reason.startswith("not bought: would call listeners for 1 recording of 35 s")
    assert BUYING.calls == 0
    assert told.verdict.ending == "done"


def test_what_a_step_did_before_it_had_to_buy_is_taken_back(simulator: Simulator) -> None:
    told = simulator.run(definition("buying_late"), _vcon())
    assert told.steps[0].what == "not_bought"
    assert told.vcons[0].analysis == []
    assert told.parameters == {}


def test_a_result_that_is_kept_is_used(simulator: Simulator, redis_client: Redis) -> None:
    StoredResults(redis_client).get_or_compute(("buying", "x"), lambda: "heard before")
    told = simulator.run(definition("buying"), _vcon(subject="x"))
    assert (told.steps[0].what, told.steps[0].from_cache, BUYING.calls) == ("processed", 1, 0)
    assert told.vcons[0].analysis[0]["body"] == "heard before"


def test_on_request_it_is_bought_and_kept(simulator: Simulator, redis_client: Redis) -> None:
    told = simulator.run(definition("buying"), _vcon(subject="x"), buy=True)
    assert (told.steps[0].what, told.steps[0].bought, BUYING.calls) == ("processed", 1, 1)
    simulator.run(definition("buying"), _vcon(subject="x"))
    assert BUYING.calls == 1


def test_a_step_that_only_calls_the_network_never_runs(simulator: Simulator) -> None:
    told = simulator.run(definition("network_mark", "mark"), _vcon(), buy=True)
    assert _whats(told) == ["not_run", "processed"]
    assert len(told.vcons[0].analysis) == 1


@pytest.mark.parametrize(
    ("subject", "what", "ending"),
    [("drop", "filtered", "filtered"), ("permanent", "failed", "failed"), ("nothing", "skipped", "done")],
)
def test_how_a_conversation_ends_is_told_with_the_reason(
    simulator: Simulator, subject: str, what: str, ending: str
) -> None:
    told = simulator.run(definition("judge", "mark"), _vcon(subject=subject))
    assert (told.steps[0].what, told.verdict.ending) == (what, ending)
    assert told.steps[0].reason
    assert told.steps[1].what == ("processed" if ending == "done" else "not_reached")


def test_options_come_from_parameters(simulator: Simulator) -> None:
    pipeline = registry_definition(
        ["score", {"processor_name": "mark", "processor_options": {"format_options": {"mark": "score {score}"}}}]
    )
    assert simulator.run(pipeline, _vcon(subject="abc")).vcons[0].analysis[0]["type"] == "score 3"


def test_the_row_of_the_verdict_is_told(simulator: Simulator) -> None:
    told = simulator.run(definition("judge"), _vcon(subject="drop", parties=[], dialog=[], attachments=[]))
    [rows] = told.rows
    assert rows.edits[0].after["body"]["rows"][0]["verdict"] == "filtered"


def test_time_limits_do_not_apply(simulator: Simulator) -> None:
    pipeline = registry_definition([{"processor_name": "mark", "processor_options": {"timeout": 0.000001}}])
    assert _whats(simulator.run(pipeline, _vcon())) == ["processed"]


def test_nothing_is_written(
    simulator: Simulator, reading: ReadingStore, work: Engine, redis_client: Redis, tmp_path: Path
) -> None:
    [uuid] = stored(work, "x")
    before = _whole(redis_client, tmp_path)
    pipeline = definition("mark", "judge", "score", "pass_on", "mail", "buying", "network_mark", "copying")
    told = simulator.run(pipeline, reading.read_one(uuid))
    assert told.verdict.ending == "done"
    assert _whole(redis_client, tmp_path) == before


def test_the_vcon_in_hand_stays_as_it_was(simulator: Simulator) -> None:
    vcon = _vcon()
    simulator.run(definition("mark"), vcon, parameters={})
    assert (vcon.analysis, vcon.changes) == ([], [])


def test_a_document_that_left_redis_is_read_and_not_put_back(
    reading: ReadingStore, work: Engine, redis_client: Redis, tmp_path: Path
) -> None:
    [uuid] = stored(work, "x")
    redis_client.delete(keys.document(uuid))
    before = _whole(redis_client, tmp_path)
    vcon = reading.read_one(uuid)
    assert (vcon.data["subject"], vcon.revision, vcon.changes) == ("x", 1, [])
    assert _whole(redis_client, tmp_path) == before


def test_a_vcon_that_never_was_is_missing(reading: ReadingStore, redis_client: Redis, tmp_path: Path) -> None:
    before = _whole(redis_client, tmp_path)
    with pytest.raises(Missing):
        reading.read_one(new_uuid())
    assert _whole(redis_client, tmp_path) == before


def test_whatever_would_write_is_refused(redis_client: Redis) -> None:
    client = reading_client(redis_client)
    with pytest.raises(WriteRefused, match="SET"):
        client.set("a", "b")
    with client.pipeline() as pipeline, pytest.raises(WriteRefused):
        pipeline.delete("a")
    with pytest.raises(WriteRefused):
        client.register_script("return redis.call('SET', 'a', 'b')")()
    assert redis_client.keys("*") == []


def test_a_simulation_of_a_long_chat_is_quick(simulator: Simulator) -> None:
    said = [{"type": "text", "parties": 0, "body": f"line {each}"} for each in range(500)]
    began = time.process_time()  # whatever else the machine does
    simulator.run(definition("mark", "mark", "mark"), _vcon(dialog=said))
    assert time.process_time() - began < 2
