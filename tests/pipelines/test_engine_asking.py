"""What processors ask for (vCons, jobs, effects) happens once, with the commit that settles the job, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import orjson
import pytest
from redis import Redis

from tests.pipelines.engine_support import Ask, piped, run, walk
from tests.pipelines.support import engine, stored
from vcon_platform.pipelines.batch import read_batch
from vcon_platform.pipelines.engine import Engine
from vcon_platform.store import keys
from vcon_platform.store.jobs import new_job


@pytest.fixture
def work(redis_client: Redis, tmp_path: Path) -> Engine:
    return engine(redis_client, tmp_path)


def _documents(client: Redis) -> int:
    return len(list(client.scan_iter("vcon:*")))


def _entries(client: Redis, key: str) -> list[dict[str, object]]:
    return [orjson.loads(raw) for raw in cast("list[bytes]", client.lrange(key, 0, -1))]


def _events(client: Redis, kind: str) -> list[dict[str, object]]:
    stream = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.OUTBOX))
    events = [event for _, fields in stream for event in orjson.loads(fields[b"events"])]
    return [event for event in events if event["event"] == kind]


def test_what_a_processor_made_is_stored(work: Engine, redis_client: Redis) -> None:
    stored(work, "x")
    assert run(work, piped("ask")).counts == {"done": 1}
    assert _documents(redis_client) == 2


def test_the_ledger_knows_who_made_a_vcon(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    run(work, piped("ask"))
    [made] = _events(redis_client, "created")
    assert (made["processor"], made["processor_version"]) == ("ask", "3")
    assert cast("dict[str, str]", made["detail"])["from"] == uuid


def test_a_later_processor_works_on_what_was_made(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    run(work, piped("ask", ("write", {"input_vcon_index": 1, "text": "on the copy"})))
    made = cast("str", _events(redis_client, "created")[0]["vcon_uuid"])
    assert work.documents.read_one(made).analysis[0]["body"] == "on the copy"
    assert work.documents.read_one(uuid).analysis == []


def test_a_job_enters_its_queue_with_its_parameters(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    assert run(work, piped("ask")).queued == 1
    [entry] = _entries(redis_client, keys.queue("next"))
    assert (entry["vcon_uuid"], entry["parameters"]) == ([uuid], {"score": 7})
    [event] = _events(redis_client, "queued")
    assert cast("dict[str, str]", event["detail"])["job"] == entry["id"]


def test_an_effect_waits_to_be_carried_out(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    assert run(work, piped("ask")).effects == 1
    [entry] = _entries(redis_client, keys.EFFECTS)
    assert (entry["vcon_uuid"], entry["step"], entry["body"]) == (uuid, "ask", {"to": "nobody"})


def test_a_filtered_conversation_has_what_was_asked_for(work: Engine, redis_client: Redis) -> None:
    stored(work, "ask and drop")
    settled = run(work, piped("ask", "mark"))
    assert (settled.counts, settled.queued, settled.effects) == ({"filtered": 1}, 1, 1)
    assert _documents(redis_client) == 2


@pytest.mark.parametrize("steps", [("ask",), ("ask", "judge")])
def test_a_failed_job_has_nothing_of_what_was_asked_for(
    work: Engine, redis_client: Redis, steps: tuple[str, ...]
) -> None:
    stored(work, "permanent" if len(steps) > 1 else "ask in vain")
    settled = run(work, piped(*steps))
    assert (settled.counts, settled.queued, settled.effects) == ({"failed": 1}, 0, 0)
    assert (_documents(redis_client), redis_client.llen(keys.EFFECTS)) == (1, 0)
    assert redis_client.llen(keys.queue("next")) == 0


def test_who_is_tried_again_has_asked_once(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "ask once more")
    settled = run(work, piped("ask"))
    assert Ask.tries[uuid] == 2
    assert (settled.queued, settled.effects, _documents(redis_client)) == (1, 1, 2)


def test_a_run_that_follows_a_dead_one_does_not_ask_again(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    pipeline = piped("ask", "mark")
    batch = work.open(pipeline, batch_id="run-1", owner="run-1", limit=10)
    work.step(batch, 0, pipeline.steps[0])
    resumed = work.resume(pipeline, read_batch(batch.to_bytes()), owner="run-2")
    walk(work, pipeline, resumed)
    settled = work.settle(pipeline, resumed)
    assert Ask.tries[uuid] == 1
    assert (settled.queued, settled.effects, _documents(redis_client)) == (1, 1, 2)
    assert len(_events(redis_client, "created")) == 1


def test_a_crash_after_the_new_vcon_was_stored_makes_no_second_one(
    work: Engine, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(work, "x")
    pipeline = piped("ask")
    batch = work.open(pipeline, batch_id="run-1", owner="run-1", limit=10)
    walk(work, pipeline, batch)
    with monkeypatch.context() as patch:
        patch.setattr(type(work.documents), "commit", lambda *_: (_ for _ in ()).throw(ConnectionError))
        with pytest.raises(ConnectionError):
            work.settle(pipeline, batch)
    assert _documents(redis_client) == 2
    work.queues.hand_back("run-1", owner="run-1")
    assert run(work, pipeline, "run-2").counts == {"done": 1}
    assert _documents(redis_client) == 2


def test_another_job_of_the_same_conversation_makes_another_vcon(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    work.queues.push("recall", [uuid])
    run(work, piped("ask"))
    assert _documents(redis_client) == 3


def test_without_save_vcons_jobs_and_effects_happen_all_the_same(work: Engine, redis_client: Redis) -> None:
    stored(work, "x")
    settled = run(work, piped("ask", save_vcons=False))
    assert (settled.queued, settled.effects, _documents(redis_client)) == (1, 1, 1)


def test_an_empty_save_vcons_means_true(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    run(work, piped("mark", save_vcons=None))
    assert len(work.documents.read_one(uuid).analysis) == 1


def test_a_success_queue_receives_the_parameters(work: Engine, redis_client: Redis) -> None:
    stored(work, "x")
    run(work, piped("ask", success_queue="done"))
    [entry] = _entries(redis_client, keys.queue("done"))
    assert entry["parameters"] == {"score": 7}


def test_a_failure_queue_receives_why(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "permanent")
    work.queues.purge("recall")
    work.queues.push("recall", [new_job(uuid, parameters={"a": 1})])
    run(work, piped("judge", failure_queue="repair"))
    [entry] = _entries(redis_client, keys.queue("repair"))
    assert entry["parameters"] == {"a": 1}
    assert cast("dict[str, str]", entry["failure"])["error"] == "this can never work"
