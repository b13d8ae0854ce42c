"""Steps: options per conversation, several vCons, retries, limits of calls at once, what cannot be kept."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import orjson
import pytest
from redis import Redis

from tests.pipelines.engine_support import REGISTRY, Gate, piped, run, walk
from tests.pipelines.support import Judge, engine, stored
from tests.support import eventually
from vcon_platform.pipelines.batch import read_batch
from vcon_platform.pipelines.engine import Engine
from vcon_platform.processors.base import TransientError
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit
from vcon_platform.store.jobs import new_job
from vcon_platform.store.slots import Slots


@pytest.fixture
def work(redis_client: Redis, tmp_path: Path) -> Engine:
    return engine(redis_client, tmp_path)


@pytest.fixture
def gate() -> Iterator[type[Gate]]:
    Gate.opened.clear()
    Gate.inside = Gate.most = 0
    yield Gate
    Gate.opened.set()
    eventually(lambda: Gate.inside == 0)


def _types(work: Engine, uuid: str) -> list[str]:
    return [entry["type"] for entry in work.documents.read_one(uuid).analysis]


def _kinds(client: Redis) -> list[str]:
    stream = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.OUTBOX))
    return [event["event"] for _, fields in stream for event in orjson.loads(fields[b"events"])]


# --- options per conversation ----------------------------------------------------------------------------------


def test_options_come_from_each_conversations_parameters(work: Engine, redis_client: Redis) -> None:
    uuids = stored(work, "a", "b")
    work.queues.purge("recall")
    work.queues.push("recall", [new_job(uuid, parameters={"n": n}) for n, uuid in enumerate(uuids)])
    run(work, piped(("write", {"format_options": {"text": "call {n}", "times": "{n}"}})))
    written = [work.documents.read_one(uuid).analysis[0] for uuid in uuids]
    assert [(each["body"], each["times"]) for each in written] == [("call 0", 0), ("call 1", 1)]


def test_should_process_may_come_from_a_parameter(work: Engine, redis_client: Redis) -> None:
    uuids = stored(work, "a", "b")
    work.queues.purge("recall")
    work.queues.push("recall", [new_job(uuid, parameters={"bad": uuid == uuids[0]}) for uuid in uuids])
    run(work, piped(("mark", {"format_options": {"should_process": "{bad}"}})))
    assert [_types(work, uuid) for uuid in uuids] == [["seen"], []]


def test_a_missing_parameter_fails_its_conversation_for_good(work: Engine, redis_client: Redis) -> None:
    stored(work, "a")
    assert run(work, piped("judge", ("write", {"format_options": {"text": "{gone}"}}))).counts == {"failed": 1}
    [dead] = work.queues.dead("recall")
    assert "/processors/1/processor_options/format_options/text" in dead.error
    assert "'gone'" in dead.error


def test_a_first_processor_that_is_passed_over_harms_nothing(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "a")
    run(work, piped(("mark", {"should_process": False}), "mark"))
    assert _types(work, uuid) == ["seen"]


# --- several vCons ---------------------------------------------------------------------------------------------


def test_a_job_of_several_vcons_changes_all_of_them(work: Engine, redis_client: Redis) -> None:
    uuids = stored(work, "a", "b")
    work.queues.purge("recall")
    work.queues.push("recall", [new_job(*uuids)])
    assert run(work, piped("second")).counts == {"done": 1}
    assert [_types(work, uuid) for uuid in uuids] == [["all"], ["all"]]


def test_the_second_vcon_may_be_the_input(work: Engine, redis_client: Redis) -> None:
    uuids = stored(work, "a", "b")
    work.queues.purge("recall")
    work.queues.push("recall", [new_job(*uuids)])
    run(work, piped(("mark", {"input_vcon_index": 1})))
    assert [_types(work, uuid) for uuid in uuids] == [[], ["seen"]]


def test_an_index_beyond_the_vcons_fails_the_job(work: Engine, redis_client: Redis) -> None:
    stored(work, "a")
    run(work, piped(("mark", {"input_vcon_index": 1})))
    assert work.queues.dead("recall")[0].code == "input_vcon_index"


def test_two_jobs_that_share_a_vcon_both_leave_their_mark(work: Engine, redis_client: Redis) -> None:
    one, two, shared = stored(work, "a", "b", "c")
    work.queues.purge("recall")
    work.queues.push("recall", [new_job(one, shared), new_job(two, shared)])
    assert run(work, piped("second")).counts == {"done": 2}
    assert _types(work, shared) == ["all", "all"]


def test_a_job_of_which_one_vcon_is_missing_changes_none(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "a")
    work.queues.purge("recall")
    work.queues.push("recall", [new_job("018f3a2b-4c5d-8e6f-9012-3456789abcde", uuid)])
    run(work, piped("second"))
    assert work.queues.dead("recall")[0].code == "vcon_missing"
    assert _types(work, uuid) == []


def test_a_crash_between_the_documents_of_a_job_repeats_none_of_them(
    work: Engine, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuids = stored(work, "a", "b", "c")
    work.queues.purge("recall")
    work.queues.push("recall", [new_job(*uuids)])
    pipeline = piped("second")
    batch = work.open(pipeline, batch_id="run-1", owner="run-1", limit=10)
    walk(work, pipeline, batch)
    written = read_batch(batch.to_bytes())
    commit, commits = work.documents.commit, []

    def dies(requests: object) -> object:
        commits.append(1)
        if len(commits) == 2:
            raise ConnectionError
        return commit(requests)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(work.documents, "commit", dies)
        with pytest.raises(ConnectionError):
            work.settle(pipeline, batch)
    resumed = work.resume(pipeline, written, owner="run-2")
    assert work.settle(pipeline, resumed).counts == {"done": 1}
    assert [_types(work, uuid) for uuid in uuids] == [["all"], ["all"], ["all"]]


def test_a_conflict_in_a_further_document_sends_the_job_back(work: Engine, redis_client: Redis) -> None:
    own, other, third = stored(work, "a", "put", "b")
    work.queues.purge("recall")
    work.queues.push("recall", [new_job(own, third, other)])
    pipeline = piped("second")
    batch = work.open(pipeline, batch_id="r", owner="r", limit=1)
    walk(work, pipeline, batch)
    meanwhile = work.documents.read_one(other)
    meanwhile.append("parties", {"name": "late"})
    list(work.documents.commit([Commit(meanwhile)]))
    assert work.settle(pipeline, batch).handed_back == 1
    assert run(work, pipeline, "run-2").counts == {"done": 1}
    assert [_types(work, uuid) for uuid in (own, third, other)] == [["all"], ["all"], ["all"]]


# --- retries ---------------------------------------------------------------------------------------------------


def test_a_passing_fault_that_stays_queues_the_job_for_later(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "transient")
    settled = run(work, piped("mark", "judge", retry_wait=30))
    assert (settled.retried, settled.counts, settled.failures) == (1, {}, {})
    state = work.queues.state(["recall"])["recall"]
    assert (state.later, state.due) == (1, 0)
    assert _types(work, uuid) == []
    assert _kinds(redis_client)[-1] == "retried"


def test_a_retried_job_knows_why(work: Engine, redis_client: Redis) -> None:
    stored(work, "transient")
    before = time.time()
    run(work, piped("judge", retry_wait=100))
    [raw] = cast("list[bytes]", redis_client.zrange(keys.later("recall"), 0, -1))
    entry = orjson.loads(raw)
    assert (entry["retries"], entry["last_error"]["error"]) == (1, "not just now")
    assert 75 <= entry["not_before"] - before <= 130


def test_after_its_retries_a_job_is_dead(work: Engine, redis_client: Redis) -> None:
    stored(work, "transient")
    pipeline = piped("judge", retries=2, retry_wait=0.001)
    told = []
    for number in range(3):
        eventually(lambda: work.queues.depth("recall") == 1)
        settled = run(work, pipeline, f"run-{number}")
        told.append((settled.retried, settled.counts["failed"]))
    assert told == [(1, 0), (1, 0), (0, 1)]
    assert len(work.queues.dead("recall")) == 1


def test_more_retries_than_attempts_are_not_taken_for_deaths(redis_client: Redis, tmp_path: Path) -> None:
    work = engine(redis_client, tmp_path, max_attempts=2)
    stored(work, "transient")
    pipeline = piped("judge", retries=4, retry_wait=0.001)
    for number in range(5):
        eventually(lambda: work.queues.depth("recall") == 1)
        run(work, pipeline, f"run-{number}")
    assert work.queues.dead("recall")[0].code == "TransientError"


def test_a_permanent_error_is_never_queued_again(work: Engine, redis_client: Redis) -> None:
    stored(work, "permanent")
    assert run(work, piped("judge")).retried == 0


def test_a_wait_that_a_service_asked_for_is_kept(
    work: Engine, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise TransientError("slow down", retry_after=0.2)

    monkeypatch.setattr(REGISTRY.get("judge"), "process", busy)
    stored(work, "x")
    began = time.monotonic()
    run(work, piped("judge"))
    assert time.monotonic() - began >= 0.6  # three waits


def test_what_changed_something_before_it_failed_is_not_tried_again_on_it(
    work: Engine, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = Judge.process

    def careless(self: Judge, io: object, options: object) -> object:
        io.vcon.append("analysis", {"type": "half"})  # type: ignore[attr-defined]
        return process(self, io, options)  # type: ignore[arg-type]

    monkeypatch.setattr(Judge, "process", careless)
    [uuid] = stored(work, "soon")
    pipeline = piped("judge", retry_wait=0.001)
    run(work, pipeline)
    assert Judge.tries[uuid] == 1


# --- at once ---------------------------------------------------------------------------------------------------


def test_the_pipeline_says_how_many_wait_at_once(work: Engine, redis_client: Redis, gate: type[Gate]) -> None:
    stored(work, *["x"] * 12)
    pipeline = piped("gate", concurrency=5)
    batch = work.open(pipeline, batch_id="r", owner="r", limit=12)
    thread = threading.Thread(target=work.step, args=(batch, 0, pipeline.steps[0]))
    thread.start()
    eventually(lambda: gate.inside == 5)
    gate.opened.set()
    thread.join()
    assert gate.most == 5


def test_a_pool_bounds_calls_over_all_batches(redis_client: Redis, tmp_path: Path, gate: type[Gate]) -> None:
    work = engine(redis_client, tmp_path, parts={"slots": Slots(redis_client, {"gates": 2})})
    stored(work, *["x"] * 8)
    pipeline = piped("gate")
    batches = [work.open(pipeline, batch_id=f"b{n}", owner="r", limit=4) for n in range(2)]
    threads = [threading.Thread(target=work.step, args=(batch, 0, pipeline.steps[0])) for batch in batches]
    for thread in threads:
        thread.start()
    eventually(lambda: gate.inside == 2)
    gate.opened.set()
    for thread in threads:
        thread.join()
    assert gate.most == 2


def test_batches_of_several_threads_do_not_mix(work: Engine, redis_client: Redis) -> None:
    uuids = stored(work, *["x"] * 60)
    pipeline = piped("mark", "network_mark", "mark")
    threads = [threading.Thread(target=_drain, args=(work, pipeline, f"t{n}")) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(_types(work, uuid) == ["seen"] * 3 for uuid in uuids)


def _drain(work: Engine, pipeline: object, name: str) -> None:
    for number in range(100):
        batch = work.open(pipeline, batch_id=f"{name}:{number}", owner=name, limit=7)  # type: ignore[arg-type]
        if not batch.items:
            return
        walk(work, pipeline, batch)  # type: ignore[arg-type]
        work.settle(pipeline, batch)  # type: ignore[arg-type]


def test_a_cancelled_run_neither_waits_nor_begins_more(work: Engine, redis_client: Redis, gate: type[Gate]) -> None:
    uuids = stored(work, *["x"] * 9)
    pipeline = piped("gate", "mark", concurrency=3)
    batch = work.open(pipeline, batch_id="r", owner="r", limit=9)

    def interrupt() -> None:
        eventually(lambda: gate.inside == 3)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        work.step(batch, 0, pipeline.steps[0])
    assert work.queues.hand_back("r", owner="r") == 9
    gate.opened.set()
    eventually(lambda: gate.inside == 0)
    assert gate.most == 3
    assert run(work, pipeline, "run-2").counts == {"done": 9}
    assert all(_types(work, uuid) == ["seen"] for uuid in uuids)


# --- what cannot be kept ---------------------------------------------------------------------------------------


def test_what_is_no_json_fails_only_its_conversation(work: Engine, redis_client: Redis) -> None:
    stored(work, "x", "strange", "y")
    pipeline = piped("strange")
    batch = work.open(pipeline, batch_id="r", owner="r", limit=9)
    walk(work, pipeline, batch)
    assert read_batch(batch.to_bytes()).id == "r"
    assert work.settle(pipeline, batch).counts == {"done": 2, "failed": 1}
    assert work.queues.dead("recall")[0].code == "not_keepable"


def test_settling_goes_on_where_it_was_interrupted(
    work: Engine, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored(work, *["x"] * 250)
    pipeline = piped("mark")
    batch = work.open(pipeline, batch_id="r", owner="r", limit=250)
    walk(work, pipeline, batch)
    commit = work.documents.commit

    def breaks_off(requests: object) -> object:
        for number, told in enumerate(commit(requests)):  # type: ignore[arg-type]
            if number == 100:
                raise ConnectionError
            yield told

    with monkeypatch.context() as patch:
        patch.setattr(work.documents, "commit", breaks_off)
        with pytest.raises(ConnectionError):
            work.settle(pipeline, batch)
    settled = work.settle(pipeline, batch)
    assert settled.counts["done"] + settled.lost == 250
    assert settled.counts["done"] >= 100
    assert redis_client.keys("batch:*") == []


def test_a_job_that_was_not_walked_to_the_end_is_not_done(work: Engine, redis_client: Redis) -> None:
    stored(work, "x")
    pipeline = piped("mark", "mark")
    batch = work.open(pipeline, batch_id="r", owner="r", limit=1)
    work.step(batch, 0, pipeline.steps[0])
    assert work.settle(pipeline, batch).handed_back == 1
