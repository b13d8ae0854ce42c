"""Queues: who comes first, who may enter, and moves that lose and double nothing."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import orjson
import pytest
from redis import Redis

from tests.support import document_store, eventually
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit, NewVcon
from vcon_platform.store.jobs import DeadJob, Job, new_job
from vcon_platform.store.leases import Queues
from vcon_platform.store.moves import MoveRefused
from vcon_platform.store.waiting import placed
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def queues(redis_client: Redis) -> Queues:
    return Queues(redis_client)


def _names(jobs: list[Job]) -> list[str]:
    return [job.vcon_uuids[0] for job in jobs]


def _lease(queues: Queues, batch_id: str = "b", limit: int = 100, *, urgent_only: bool = False) -> list[str]:
    return _names(queues.lease("recall", batch_id=batch_id, owner="r", limit=limit, urgent_only=urgent_only)[0])


def _told(queue: str, job: Job) -> list[bytes]:
    return [orjson.dumps([queue, job.vcon_uuids[0]])]


def _outbox(client: Redis) -> list[list[str]]:
    found = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.OUTBOX))
    return [event for _, fields in found for event in orjson.loads(fields[b"events"])]


# --- order -----------------------------------------------------------------------------------------------------


def test_a_late_urgent_job_overtakes(queues: Queues) -> None:
    queues.push("recall", [new_job("low", priority="low"), "a", "b", new_job("urgent", priority="urgent")])
    assert _lease(queues, limit=2) == ["urgent", "a"]
    assert _lease(queues, "b2") == ["b", "low"]


def test_urgent_jobs_may_be_leased_alone(queues: Queues) -> None:
    queues.push("recall", ["a", new_job("urgent", priority="urgent")])
    assert _lease(queues, urgent_only=True) == ["urgent"]
    assert queues.depth("recall") == 1


def test_jobs_that_are_handed_back_stand_before_those_of_their_priority_in_their_order(queues: Queues) -> None:
    given = [new_job(f"{priority} {number}", priority=priority) for priority in ("low", "urgent") for number in (1, 2)]
    queues.push("recall", [*given, "normal 1", "normal 2"])
    came = _lease(queues)
    queues.push("recall", [new_job("urgent 3", priority="urgent"), "normal 3", new_job("low 3", priority="low")])
    queues.hand_back("b", owner="r")
    expected = [f"{priority} {number}" for priority in ("urgent", "normal", "low") for number in (1, 2, 3)]
    assert came == [name for name in expected if not name.endswith("3")]
    assert _lease(queues, "b2") == expected


def test_a_job_is_not_leased_before_its_time(queues: Queues) -> None:
    queues.push("recall", [new_job("later", not_before=time.time() + 0.2), "now"])
    assert _lease(queues) == ["now"]
    eventually(lambda: queues.depth("recall") == 1, interval=0.02)
    assert _lease(queues, "b2") == ["later"]


def test_the_state_of_many_queues_is_told_at_once(queues: Queues) -> None:
    queues.push("recall", ["a", "b", new_job("c", priority="low"), new_job("d", not_before=time.time() + 60)])
    queues.lease("recall", batch_id="b", owner="r", limit=1)
    queues.pause("other")
    states = queues.state(["recall", "other"])
    recall = states["recall"]
    assert (recall.normal, recall.low, recall.later, recall.leased, recall.ready, recall.waiting) == (1, 1, 1, 1, 2, 3)
    assert recall.oldest == pytest.approx(time.time(), abs=30)
    assert (states["other"].paused, states["other"].oldest, recall.paused) == (True, None, False)
    assert queues.names() == ["recall"]


def test_a_paused_queue_gives_nothing_but_its_batches_live_on(queues: Queues) -> None:
    queues.push("recall", ["a", "b"])
    _lease(queues, limit=1)
    assert queues.pause("recall")
    assert _lease(queues, "b2") == []
    assert _names(queues.take_over("b", owner="r2")) == ["a"]
    assert queues.resume("recall")
    assert _lease(queues, "b2") == ["b"]


# --- dedupe ----------------------------------------------------------------------------------------------------


def test_while_a_job_waits_no_other_of_its_text_enters(queues: Queues) -> None:
    assert queues.push("recall", [new_job("a", dedupe="x"), new_job("b", dedupe="x"), new_job("c", dedupe="y")]) == 2
    assert queues.push("other", [new_job("a", dedupe="x")]) == 1
    assert _lease(queues) == ["a", "c"]
    assert queues.push("recall", [new_job("d", dedupe="x")]) == 1


def test_a_job_that_comes_back_holds_its_text_again(queues: Queues) -> None:
    queues.push("recall", [new_job("a", dedupe='x "\\ ü')])
    _lease(queues)
    queues.hand_back("b", owner="r")
    assert queues.push("recall", [new_job("b", dedupe='x "\\ ü')]) == 0


def test_a_job_that_comes_back_is_kept_although_another_of_its_text_waits(queues: Queues) -> None:
    queues.push("recall", [new_job("a", dedupe="x")])
    _lease(queues)
    queues.push("recall", [new_job("b", dedupe="x")])
    queues.hand_back("b", owner="r")
    assert _lease(queues, "b2", limit=1) == ["a"]
    assert queues.push("recall", [new_job("c", dedupe="x")]) == 0


def test_a_delayed_job_holds_its_text(queues: Queues) -> None:
    queues.push("recall", [new_job("a", dedupe="x", not_before=time.time() + 60)])
    assert queues.push("recall", [new_job("b", dedupe="x")]) == 0


def test_a_withdrawn_job_frees_its_text(queues: Queues) -> None:
    job = new_job("a", dedupe="x")
    queues.push("recall", [job, "other"])
    queues.withdraw("recall", [job.id])
    assert queues.push("recall", [new_job("b", dedupe="x")]) == 1


def test_a_queue_that_outside_software_emptied_holds_no_text(queues: Queues, redis_client: Redis) -> None:
    queues.push("recall", [new_job("a", dedupe="x")])
    redis_client.lpop(keys.queue("recall"))
    assert queues.push("recall", [new_job("b", dedupe="x")]) == 1


def test_a_mark_that_is_a_day_old_counts_no_more(queues: Queues, redis_client: Redis) -> None:
    queues.push("recall", [new_job("a", dedupe="x"), "stays"])
    redis_client.hset(keys.waiting("recall"), "x", f"{int(time.time()) - 86_401} gone")
    assert queues.push("recall", [new_job("b", dedupe="x")]) == 1


# --- moves -----------------------------------------------------------------------------------------------------


def test_a_feed_gives_each_of_its_targets_a_job_of_its_own(queues: Queues, redis_client: Redis) -> None:
    queues.push("feed", [new_job("a", parameters={"p": 1}), new_job("b", priority="urgent")])
    assert queues.fan_out("feed", ["one", "two"], events=_told) == 2
    one, two = queues.jobs("one"), queues.jobs("two")
    assert (_names(one), _names(two), queues.waiting("feed")) == (["b", "a"], ["b", "a"], 0)
    assert len({job.id for job in (*one, *two)}) == 4
    assert (one[1].parameters, one[1].origin) == ({"p": 1}, "feed:feed")
    assert sorted(_outbox(redis_client)) == [["one", "a"], ["one", "b"], ["two", "a"], ["two", "b"]]


def test_a_feed_gives_no_more_than_asked_for_and_nothing_when_paused_or_alone(queues: Queues) -> None:
    queues.push("feed", ["a", "b", "c"])
    assert queues.fan_out("feed", ["one"], limit=2) == 2
    queues.pause("feed")
    assert (queues.fan_out("feed", ["one"]), queues.waiting("feed")) == (0, 1)
    queues.resume("feed")
    assert queues.fan_out("feed", []) == 0
    with pytest.raises(MoveRefused, match="cannot feed itself"):
        queues.fan_out("feed", ["one", "feed"])


def test_what_is_no_job_leaves_the_feed_for_the_refused(queues: Queues, redis_client: Redis) -> None:
    redis_client.rpush(keys.queue("feed"), b"nonsense")
    queues.push("feed", ["a"])
    queues.fan_out("feed", ["one"])
    assert _names(queues.jobs("one")) == ["a"]
    assert redis_client.lrange("dead:feed:refused", 0, -1) == [b"nonsense"]


def test_several_dispatchers_copy_each_job_once(redis_client: Redis, redis_url: str) -> None:
    Queues(redis_client).push("feed", [f"v{number}" for number in range(300)])

    def copy(_: int) -> int:
        with Redis.from_url(redis_url) as client:
            return sum(Queues(client).fan_out("feed", ["one", "two"], limit=20) for _ in range(30))

    with ThreadPoolExecutor(4) as threads:
        assert sum(threads.map(copy, range(4))) == 300
    for target in ("one", "two"):
        assert _names(Queues(redis_client).jobs(target, 0, 1000)) == [f"v{number}" for number in range(300)]


def test_jobs_are_withdrawn_wherever_they_wait_with_their_events(queues: Queues, redis_client: Redis) -> None:
    jobs = [
        new_job("a"),
        new_job("b", priority="low"),
        new_job("c", priority="urgent"),
        new_job("d", not_before=time.time() + 60),
        new_job("stays"),
    ]
    queues.push("recall", jobs)
    taken = queues.withdraw("recall", [*(job.id for job in jobs[:4]), "no such"], events=_told)
    assert sorted(_names(taken)) == ["a", "b", "c", "d"]
    assert sorted(_outbox(redis_client)) == [["recall", name] for name in "abcd"]
    assert _names(queues.jobs("recall")) == ["stays"]


def test_a_strangers_job_can_be_withdrawn_by_the_id_it_is_shown_with(queues: Queues, redis_client: Redis) -> None:
    redis_client.rpush(keys.queue("recall"), *([b'{"vcon_uuid":["a"]}'] * 2), b'{"vcon_uuid":["b"]}')
    shown = queues.jobs("recall")
    assert len(queues.withdraw("recall", [shown[0].id])) == 2
    assert _names(queues.jobs("recall")) == ["b"]


def test_purging_takes_all_or_one_origin_and_leaves_the_order(queues: Queues, redis_client: Redis) -> None:
    jobs = [new_job(f"v{number}", origin="reprocess:1" if number % 3 else "") for number in range(3_000)]
    queues.push("recall", jobs)
    assert queues.purge("recall", "reprocess:1") == 2_000
    assert _names(queues.jobs("recall", 0, 3_000)) == [f"v{number}" for number in range(0, 3_000, 3)]
    redis_client.rpush(keys.queue("recall"), b"nonsense")
    queues.purge("recall")
    assert redis_client.exists(keys.queue("recall")) == 0


def test_a_job_is_withdrawn_or_leased_never_both(redis_client: Redis, redis_url: str) -> None:
    queues = Queues(redis_client)
    jobs = [new_job(f"v{number}") for number in range(400)]
    queues.push("recall", jobs)

    def lease(number: int) -> list[str]:
        with Redis.from_url(redis_url) as client:
            mine = Queues(client)
            return [
                job.id
                for turn in range(20)
                for job in mine.lease("recall", batch_id=f"{number}-{turn}", owner="r", limit=7)[0]
            ]

    def withdraw(_: int) -> list[str]:
        with Redis.from_url(redis_url) as client:
            mine = Queues(client)
            return [
                job.id
                for at in range(0, 400, 20)
                for job in mine.withdraw("recall", [job.id for job in jobs[at : at + 20]])
            ]

    with ThreadPoolExecutor(4) as threads:
        leased = [threads.submit(lease, number) for number in range(2)]
        withdrawn = [threads.submit(withdraw, number) for number in range(2)]
        where = [job_id for future in (*leased, *withdrawn) for job_id in future.result()]
    left = [job.id for job in queues.jobs("recall", 0, 400)]
    assert sorted([*where, *left]) == sorted(job.id for job in jobs)


def test_dead_jobs_begin_again_with_what_befell_them(queues: Queues, redis_client: Redis) -> None:
    dead = [
        DeadJob(job=new_job(name, priority="low"), code="x", error="y", processor="p", batch_id="b", run_id="r")
        for name in ("a", "b", "c")
    ]
    redis_client.rpush(keys.dead("recall"), *(each.to_bytes() for each in dead))
    assert queues.dead_count(["recall", "other"]) == {"recall": 3, "other": 0}
    assert _names(queues.requeue_dead("recall", [dead[1].job.id], events=_told)) == ["b"]
    assert len(queues.requeue_dead("recall")) == 2
    assert (queues.dead("recall"), _names(queues.jobs("recall"))) == ([], ["b", "a", "c"])
    [job, *_], _ = queues.lease("recall", batch_id="b", owner="r", limit=3)
    assert (job.attempts, job.priority, job.last_error is not None and job.last_error.error) == (1, "low", "y")
    assert _outbox(redis_client) == [["recall", "b"]]


def test_what_failed_goes_back_to_the_pipeline_it_names_or_to_a_chosen_one(queues: Queues, redis_client: Redis) -> None:
    for name, pipeline in (("a", "recall"), ("b", "other"), ("c", "")):
        dead = DeadJob(
            job=new_job(name), code="x", error="y", processor="p", batch_id="b", run_id="r", pipeline=pipeline
        )
        redis_client.rpush(keys.queue("sad"), dead.to_bytes())
    queues.push("sad", ["not failed"])
    assert sorted(_names(queues.requeue_failed("sad"))) == ["a", "b"]
    assert (_names(queues.jobs("recall")), _names(queues.jobs("other"))) == (["a"], ["b"])
    assert _names(queues.requeue_failed("sad", "recall")) == ["c"]
    assert _names(queues.jobs("sad")) == ["not failed"]


# --- what a commit pushes --------------------------------------------------------------------------------------


def test_a_commit_places_jobs_by_priority_and_time_and_honours_their_text(
    redis_client: Redis, queues: Queues, tmp_path: Path
) -> None:
    store = document_store(redis_client, tmp_path)
    vcon = Vcon({"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": []})
    list(store.create([NewVcon(vcon)]))
    jobs = [
        new_job("urgent", priority="urgent"),
        new_job("later", not_before=time.time() + 60),
        new_job("once", dedupe="x"),
        new_job("twice", dedupe="x"),
    ]
    commit = Commit(store.read_one(vcon.uuid), pushes=[placed("recall", job) for job in jobs])
    [_] = store.commit([commit])
    assert _names(queues.jobs("recall")) == ["urgent", "once", "later"]


def test_a_queue_may_have_the_name_of_a_part_of_one(queues: Queues) -> None:
    for name in ("later", "urgent", "low", "waiting"):
        queues.push(name, [new_job("a"), new_job("b", priority="urgent"), new_job("c", not_before=time.time() + 60)])
        state = queues.state([name])[name]
        assert (state.urgent, state.normal, state.later) == (1, 1, 1)
        jobs, _ = queues.lease(name, batch_id=f"batch-{name}", owner="r", limit=10)
        assert _names(jobs) == ["b", "a"]
        assert queues.hand_back(f"batch-{name}", owner="r") == 2
        assert queues.state([name])[name].ready == 2


def test_jobs_can_be_taken_out_of_a_queue_that_is_called_later(queues: Queues) -> None:
    later, now = new_job("c", not_before=time.time() + 60), new_job("a")
    queues.push("later", [later, now])
    assert _names(queues.withdraw("later", [later.id, now.id])) == ["a", "c"]
    assert queues.state(["later"])["later"].waiting == 0
