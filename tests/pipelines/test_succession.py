"""How one stream run follows another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from redis import Redis

from tests.pipelines.support import definition
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.dispatch import RunUnderWay
from vcon_platform.pipelines.succession import (
    Asked,
    Drain,
    Life,
    StreamPlan,
    Streams,
    StreamState,
    plan_streams,
    why_leave,
)
from vcon_platform.store.waiting import QueueState

NOW = 1_000_000.0
CHAT = definition("mark", name="chat", lane="stream", stream_seconds=600.0)


def life(run_id: str = "one", *, age: float = 100.0, silent: float = 1.0, version: str = CHAT.version) -> Life:
    return Life(run_id, version, NOW - age, NOW - silent)


def run(run_id: str = "one", *, started: bool = True, age: float = 200.0, pipeline: str = "chat") -> RunUnderWay:
    return RunUnderWay(run_id, pipeline, "stream", age=age, started=started)


def plan(
    *runs: RunUnderWay, state: StreamState | None = None, queue: QueueState | None = None, of: Definition = CHAT
) -> StreamPlan:
    return plan_streams([of], {"chat": queue or QueueState()}, runs, {"chat": state or StreamState()}, NOW)


def leave(mine: Life, *others: Life, paused: bool = False, **state: Any) -> str:
    known = StreamState(lives=(mine, *others), **state)
    return why_leave(mine, known, stream_seconds=600.0, paused=paused, now=NOW)


# --- when a run leaves ----------------------------------------------------------------------------------------------


def test_a_run_that_is_alone_goes_on_beyond_its_time() -> None:
    assert leave(life(age=900)) == ""


def test_a_run_leaves_when_a_newer_one_works() -> None:
    assert leave(life(age=600), life("two", age=1)) == "followed by run two"


def test_the_newer_one_stays() -> None:
    assert leave(life("two", age=1), life(age=600)) == ""


def test_a_newer_one_that_stopped_beating_is_not_relied_on() -> None:
    assert leave(life(age=600), life("two", age=100, silent=60)) == ""


def test_a_run_that_nobody_follows_ends_at_twice_its_time() -> None:
    assert "no run came" in leave(life(age=1200))


def test_a_drain_waits_for_the_successor_unless_the_queue_is_paused() -> None:
    assert leave(life(), drain=Drain(NOW - 5)) == ""
    assert leave(life(), drain=Drain(NOW - 5), paused=True) == "drained"
    assert leave(life(), drain=Drain(NOW - 5, followed=False)) == "drained"


def test_a_drain_that_was_asked_for_before_it_began_is_none_of_its_business() -> None:
    assert leave(life(age=10), drain=Drain(NOW - 60, followed=False)) == ""


def test_a_paused_stream_ends_at_its_time() -> None:
    assert "paused" in leave(life(age=600), paused=True)


# --- when a run is started ------------------------------------------------------------------------------------------


def test_a_stream_without_a_run_gets_one() -> None:
    planned = plan()
    assert [(each.definition.name, each.lane) for each in planned.runs] == [("chat", "stream")]
    assert planned.asked == {"chat": Asked(NOW, 1)}


def test_a_run_on_its_way_is_waited_for() -> None:
    assert plan(run(started=False, age=9_999)).runs == []
    assert plan(run(age=5)).runs == []


def test_a_run_that_works_is_left_alone() -> None:
    assert plan(run(), state=StreamState((life(),))).runs == []


def test_an_old_run_is_followed_once() -> None:
    state = StreamState((life(age=600),))
    assert len(plan(run(), state=state).runs) == 1
    assert plan(run(), run("two", started=False), state=state).runs == []
    assert plan(run(), run("two"), state=StreamState((life(age=600), life("two", age=1)))).runs == []


def test_a_run_of_an_older_version_is_followed() -> None:
    assert len(plan(run(), state=StreamState((life(version="older"),))).runs) == 1


def test_a_drained_run_is_followed() -> None:
    assert len(plan(run(), state=StreamState((life(),), drain=Drain(NOW - 1))).runs) == 1


def test_a_run_that_dagster_ended_is_replaced_at_once_though_it_beat_just_now() -> None:
    assert len(plan(state=StreamState((life(),))).runs) == 1


def test_a_run_that_stopped_beating_is_replaced_though_dagster_takes_it_for_alive() -> None:
    assert len(plan(run(), state=StreamState((life(silent=60),))).runs) == 1


def test_a_run_that_never_announced_itself_is_not_waited_for_for_ever() -> None:
    assert len(plan(run(age=500)).runs) == 1


def test_a_paused_stream_gets_no_run() -> None:
    planned = plan(queue=QueueState(normal=4, paused=True))
    assert (planned.runs, planned.notes) == ([], ["chat: paused, 4 wait"])
    assert plan(run(), state=StreamState((life(age=700),)), queue=QueueState(paused=True)).runs == []


def test_runs_that_die_at_once_are_started_ever_more_seldom() -> None:
    starts, asked, now = 0, Asked(), NOW
    while now < NOW + 600:
        planned = plan_streams([CHAT], {"chat": QueueState()}, [], {"chat": StreamState(asked=asked)}, now)
        starts, asked, now = starts + len(planned.runs), planned.asked.get("chat", asked), now + 5
    assert 4 <= starts <= 7


def test_a_stream_that_is_none_any_more_is_told_to_end_once() -> None:
    batch = definition("mark", name="chat")
    state = StreamState((life(),))
    assert plan(run(), state=state, of=batch).unwanted == ["chat"]
    assert plan(run(), state=replace(state, drain=Drain(NOW, followed=False)), of=batch).unwanted == []


# --- Redis ----------------------------------------------------------------------------------------------------------


def test_announcements_are_read_back(redis_client: Redis) -> None:
    streams = Streams(redis_client)
    mine = streams.announce("chat", "one", "v1")
    streams.ask("chat", Asked(5.0, 2))
    streams.drain("chat", followed=False)
    state = streams.read(["chat", "other"])
    assert state["chat"].lives == (mine,)
    assert state["chat"].asked == Asked(5.0, 2)
    assert state["chat"].drain is not None
    assert not state["chat"].drain.followed
    assert state["other"] == StreamState()


def test_a_run_that_worked_for_a_while_clears_the_waits(redis_client: Redis) -> None:
    streams = Streams(redis_client)
    mine = streams.announce("chat", "one", "v1")
    streams.ask("chat", Asked(5.0, 2))
    assert streams.beat("chat", mine, proven=True).beat >= mine.beat
    assert streams.read(["chat"])["chat"].asked == Asked()


def test_announcements_of_dead_runs_are_forgotten(redis_client: Redis) -> None:
    streams = Streams(redis_client)
    streams.announce("chat", "one", "v1")
    state = streams.read(["chat"])["chat"]
    streams.forget_dead("chat", state, state.lives[0].beat + 1000)
    assert streams.read(["chat"])["chat"].lives == ()
