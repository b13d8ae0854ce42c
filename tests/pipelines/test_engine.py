"""The engine: failure is per conversation, commits happen once, every job has exactly one ending."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import orjson
import pytest
from redis import Redis

from tests.pipelines.support import PROJECTIONS, Judge, definition, engine, stored
from vcon_platform.pipelines.batch import Batch, read_batch
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.engine import Engine, Settled
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit
from vcon_platform.store.jobs import new_job
from vcon_platform.store.leases import Queues
from vcon_platform.store.rows import RowIndex


@pytest.fixture
def work(redis_client: Redis, tmp_path: Path) -> Engine:
    return engine(redis_client, tmp_path)


def _walk(work: Engine, pipeline: Definition, batch: Batch) -> None:
    for position, step in enumerate(pipeline.steps):
        work.step(batch, position, step)


def _run(work: Engine, pipeline: Definition, run: str = "run-1") -> Settled:
    batch = work.open(pipeline, batch_id=run, owner=run, limit=100)
    _walk(work, pipeline, batch)
    return work.settle(pipeline, batch)


def _types(work: Engine, uuid: str) -> list[str]:
    return [entry["type"] for entry in work.documents.read_one(uuid).analysis]


def _events(client: Redis) -> list[tuple[str, str | None]]:
    stream = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.OUTBOX))
    entries = [orjson.loads(fields[b"events"]) for _, fields in stream]
    return [(event["event"], event["processor"]) for entry in entries for event in entry]


def test_changes_of_all_processors_are_committed_at_the_end(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    pipeline = definition("mark", "mark")
    batch = work.open(pipeline, batch_id="r", owner="r", limit=10)
    _walk(work, pipeline, batch)
    assert _types(work, uuid) == []
    assert work.settle(pipeline, batch).counts == {"done": 1}
    assert _types(work, uuid) == ["seen", "seen"]


def test_one_bad_conversation_harms_only_itself(work: Engine, redis_client: Redis) -> None:
    good, bad, other = stored(work, "x", "permanent", "y")
    settled = _run(work, definition("judge", "mark"))
    assert settled.counts == {"done": 2, "failed": 1}
    assert [_types(work, uuid) for uuid in (good, bad, other)] == [["seen"], [], ["seen"]]


def test_a_failed_job_is_in_the_dead_queue_with_its_error(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "permanent")
    _run(work, definition("judge"))
    [dead] = work.queues.dead("recall")
    assert dead.job.vcon_uuids == (uuid,)
    assert (dead.processor, dead.code, dead.error) == ("judge", "PermanentError", "this can never work")
    assert (dead.batch_id, dead.run_id, dead.job.attempts) == ("run-1", "run-1", 1)


def test_a_failure_queue_takes_the_place_of_the_dead_queue(work: Engine, redis_client: Redis) -> None:
    stored(work, "permanent")
    _run(work, definition("judge", failure_queue="repair"))
    assert work.queues.dead("recall") == []
    assert redis_client.llen(keys.queue("repair")) == 1


def test_a_success_queue_receives_what_is_done(work: Engine, redis_client: Redis) -> None:
    [uuid, _] = stored(work, "x", "drop")
    _run(work, definition("judge", success_queue="next"))
    [entry] = redis_client.lrange(keys.queue("next"), 0, -1)
    assert orjson.loads(entry)["vcon_uuid"] == [uuid]


def test_a_failure_takes_back_what_earlier_processors_changed(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "permanent")
    _run(work, definition("mark", "judge"))
    assert _types(work, uuid) == []


def test_a_filtered_conversation_keeps_what_was_made_and_goes_no_further(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "drop")
    settled = _run(work, definition("mark", "judge", "mark"))
    assert settled.counts == {"filtered": 1}
    assert settled.filtered_by == {"judge": 1}
    assert _types(work, uuid) == ["seen"]
    assert ("filtered", "judge") in _events(redis_client)


def test_a_transient_error_is_tried_again(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "soon")
    assert _run(work, definition("judge")).counts == {"done": 1}
    assert Judge.tries[uuid] == 3


def test_a_transient_error_that_stays_ends_in_the_dead_queue(work: Engine, redis_client: Redis) -> None:
    stored(work, "transient")
    _run(work, definition("judge", retries=0))
    assert work.queues.dead("recall")[0].code == "TransientError"


def test_a_permanent_error_is_not_tried_again(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "permanent")
    _run(work, definition("judge"))
    assert Judge.tries[uuid] == 1


def test_what_does_not_apply_goes_on_and_is_recorded_as_skipped(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "nothing")
    _run(work, definition("judge", "mark"))
    assert _types(work, uuid) == ["seen"]
    assert ("skipped", "judge") in _events(redis_client)


def test_a_bug_in_a_processor_fails_its_conversation_without_telling_its_content(
    work: Engine, redis_client: Redis
) -> None:
    stored(work, "bug", "x")
    assert _run(work, definition("judge")).counts == {"done": 1, "failed": 1}
    assert "+1 555 0100" not in work.queues.dead("recall")[0].error
    assert "ValueError" in work.queues.dead("recall")[0].error


def test_a_processor_that_waits_for_the_network_works_on_many_at_once(work: Engine, redis_client: Redis) -> None:
    uuids = stored(work, *["x"] * 50)
    assert _run(work, definition("network_mark")).counts == {"done": 50}
    assert all(_types(work, uuid) == ["seen"] for uuid in uuids)


def test_the_ledger_has_an_event_of_every_processor_and_of_the_end(work: Engine, redis_client: Redis) -> None:
    stored(work, "x")
    _run(work, definition("judge", "mark"))
    assert _events(redis_client) == [("processed", "judge"), ("processed", "mark"), ("done", None)]


def test_nothing_is_left_of_a_settled_batch(work: Engine, redis_client: Redis) -> None:
    stored(work, "x", "drop", "permanent")
    _run(work, definition("judge"))
    assert redis_client.keys("batch:*") == []
    assert redis_client.zcard(keys.LEASES) == 0
    assert redis_client.hlen(keys.ATTEMPTS) == 0


def test_a_job_without_a_document_is_dead_with_a_reason(work: Engine, redis_client: Redis) -> None:
    work.queues.push("recall", ["018f3a2b-4c5d-8e6f-9012-3456789abcde"])
    assert _run(work, definition("mark")).counts == {"failed": 1}
    assert work.queues.dead("recall")[0].code == "vcon_missing"


def test_a_job_that_killed_its_runs_too_often_is_stopped(redis_client: Redis, tmp_path: Path) -> None:
    work = engine(redis_client, tmp_path, max_attempts=2)
    stored(work, "x")
    for attempt in range(2):
        work.open(definition("mark"), batch_id=f"b{attempt}", owner="r", limit=1)
        redis_client.zadd(keys.LEASES, {f"b{attempt}": 1})
        work.queues.expire()
    assert _run(work, definition("mark")).counts == {"failed": 1}
    assert work.queues.dead("recall")[0].code == "poison"


def test_a_vcon_that_is_queued_twice_is_processed_twice_without_mixing(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    work.queues.push("recall", [uuid])
    assert _run(work, definition("mark")).counts == {"done": 2}
    assert _types(work, uuid) == ["seen", "seen"]


def test_a_conflicting_change_sends_the_job_back_to_be_done_on_a_fresh_read(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "put")
    pipeline = definition("judge")
    batch = work.open(pipeline, batch_id="r", owner="r", limit=1)
    _walk(work, pipeline, batch)
    meanwhile = work.documents.read_one(uuid)
    meanwhile.append("parties", {"name": "late"})
    list(work.documents.commit([Commit(meanwhile)]))
    assert work.settle(pipeline, batch).handed_back == 1
    assert _run(work, pipeline, "run-2").counts == {"done": 1}
    after = work.documents.read_one(uuid)
    assert (after.data["subject"], len(after.parties)) == ("changed", 1)


def test_a_batch_is_taken_up_where_the_dead_run_left_it(work: Engine, redis_client: Redis) -> None:
    uuids = stored(work, "x", "drop")
    pipeline = definition("mark", "judge")
    batch = work.open(pipeline, batch_id="run-1", owner="run-1", limit=10)
    work.step(batch, 0, pipeline.steps[0])
    written = read_batch(batch.to_bytes())
    resumed = work.resume(pipeline, written, owner="run-2")
    _walk(work, pipeline, resumed)
    assert work.settle(pipeline, resumed).counts == {"done": 1, "filtered": 1}
    assert [_types(work, uuid) for uuid in uuids] == [["seen"], ["seen"]]


def test_the_dead_run_itself_can_no_longer_commit(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    pipeline = definition("mark")
    zombie = work.open(pipeline, batch_id="run-1", owner="run-1", limit=10)
    _walk(work, pipeline, zombie)
    resumed = work.resume(pipeline, read_batch(zombie.to_bytes()), owner="run-2")
    assert work.settle(pipeline, zombie).lost == 1
    assert _types(work, uuid) == []
    assert work.settle(pipeline, resumed).counts == {"done": 1}
    assert _types(work, uuid) == ["seen"]


def test_settling_again_after_a_crash_in_settle_does_only_what_is_left(work: Engine, redis_client: Redis) -> None:
    uuids = stored(work, "x", "y")
    pipeline = definition("mark")
    batch = work.open(pipeline, batch_id="run-1", owner="run-1", limit=10)
    _walk(work, pipeline, batch)
    written = read_batch(batch.to_bytes())
    half = Batch(batch.id, batch.owner, batch.pipeline, batch.version, batch.items[:1])
    work.settle(pipeline, half)  # hands the second job back, as the end of the lease would
    resumed = work.resume(pipeline, written, owner="run-2")
    assert resumed.items == []
    assert _run(work, pipeline, "run-3").counts == {"done": 1}
    assert [_types(work, uuid) for uuid in uuids] == [["seen"], ["seen"]]


def test_redriving_takes_up_exactly_what_failed_in_that_run(work: Engine, redis_client: Redis) -> None:
    good, bad = stored(work, "x", "permanent")
    pipeline = definition("judge", "mark")
    _run(work, pipeline)
    repaired = work.documents.read_one(bad)
    repaired.put("subject", "repaired")
    list(work.documents.commit([Commit(repaired)]))
    batch = work.redrive(pipeline, failed_in={"run-1"}, batch_id="run-2", owner="run-2")
    assert [item.job.vcon_uuids[0] for item in batch.items] == [bad]
    _walk(work, pipeline, batch)
    assert work.settle(pipeline, batch).counts == {"done": 1}
    assert [_types(work, uuid) for uuid in (good, bad)] == [["seen"], ["seen"]]
    assert work.queues.dead("recall") == []


def test_a_conversation_projection_has_a_row_whatever_the_verdict(redis_client: Redis, tmp_path: Path) -> None:
    work = engine(redis_client, tmp_path, PROJECTIONS)
    uuids = stored(work, "x", "drop", "permanent")
    _run(work, definition("judge"))
    assert set(RowIndex(redis_client).rows("calls", ["2026-11-02"])) == set(uuids)
    verdicts = [body["rows"][0]["verdict"] for _, [body] in work.documents.attachment_bodies(uuids, "projection")]
    assert verdicts == ["done", "filtered", "failed"]


def test_the_same_outcome_again_leaves_the_row_alone(redis_client: Redis, tmp_path: Path) -> None:
    work = engine(redis_client, tmp_path, PROJECTIONS)
    [uuid] = stored(work, "x")
    _run(work, definition("judge"))
    generations = RowIndex(redis_client).generations("calls", ["2026-11-02"])
    work.queues.push("recall", [uuid])
    _run(work, definition("judge"), "run-2")
    assert RowIndex(redis_client).generations("calls", ["2026-11-02"]) == generations


def test_a_row_that_came_with_its_vcon_is_told_to_the_store(redis_client: Redis, tmp_path: Path) -> None:
    work = engine(redis_client, tmp_path, PROJECTIONS)
    [uuid] = stored(work, "x")
    _run(work, definition("judge"))
    vcon = work.documents.read_one(uuid)
    redis_client.delete("rows:calls", "rows:calls:2026-11-02")  # as on a platform that it was exported to
    work.queues.push("recall", [uuid])
    _run(work, definition("judge"), "run-2")
    assert work.documents.read_one(uuid).revision == vcon.revision
    assert set(RowIndex(redis_client).rows("calls", ["2026-11-02"])) == {uuid}


def test_without_save_vcons_nothing_is_written(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "x")
    assert _run(work, definition("mark", save_vcons=False)).counts == {"done": 1}
    assert _types(work, uuid) == []


def test_no_more_is_leased_than_the_batch_size(work: Engine, redis_client: Redis) -> None:
    stored(work, *["x"] * 5)
    assert _run(work, definition("mark", batch_size=2)).counts == {"done": 2}
    assert Queues(redis_client).depth("recall") == 3


def test_a_job_keeps_its_place_in_time(redis_client: Redis) -> None:
    assert new_job("a").id < new_job("b").id
