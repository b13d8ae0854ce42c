"""How one stream run follows another without a gap and without a double.

A stream run that is ready to work *announces* itself in Redis and beats there. Of those that beat, the newest works;
an older one sees it, finishes what it has in hand and ends. So the old run works until the new one does, and a run
that somebody starts by hand simply takes over. (Two that work for a moment do no harm: each job is leased once.)

Here is what the dispatcher and the stream runs decide from what stands in Redis, as pure functions, and the reading and
writing of it. Working on jobs is ``stream.py``'s, starting runs the sensor's.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import orjson

from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.dispatch import Plan, PlannedRun, RunUnderWay
from vcon_platform.store import keys
from vcon_platform.store.waiting import QueueState

if TYPE_CHECKING:
    from redis import Redis

STALE_SECONDS = 30.0
"""A run that did not beat for so long is not counted on any more: its process is gone, or as good as gone."""
STARTING_SECONDS = 120.0
"""So long a run may take from being asked for to its announcement, once its process runs."""
PROVEN_SECONDS = 30.0
"""A run that worked for so long has started well: the one after it is not held back."""
FIRST_WAIT_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 300.0
OVERTIME = 2.0
"""A run that nobody follows ends at this multiple of its time all the same."""


@dataclass(frozen=True, slots=True)
class Life:
    """A stream run that has announced itself: since when it works, and when it beat last (epoch seconds)."""

    run_id: str
    version: str
    since: float
    beat: float

    def fresh(self, now: float) -> bool:
        """True if its process is there."""
        return now - self.beat < STALE_SECONDS


@dataclass(frozen=True, slots=True)
class Drain:
    """A request that the runs that began before ``at`` end: when a successor works, or (not ``followed``) at once."""

    at: float
    followed: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """When a run was asked for last, and how often since one has started well."""

    at: float = 0.0
    tries: int = 0

    def wait(self, now: float) -> float:
        """Seconds until the next one may be asked for: runs that die at once must not be started every 5 s."""
        if not self.tries:
            return 0.0
        pause = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2.0 ** (self.tries - 1))
        return max(0.0, self.at + pause - now)


@dataclass(frozen=True, slots=True)
class StreamState:
    """What stands in Redis about the stream runs of one pipeline."""

    lives: tuple[Life, ...] = ()
    drain: Drain | None = None
    asked: Asked = field(default_factory=Asked)


# --- decisions ---------------------------------------------------------------------------------------------------


def why_leave(mine: Life, state: StreamState, *, stream_seconds: float, paused: bool, now: float) -> str:
    """Why this run should finish what it has in hand and end; empty if it should go on."""
    newer = [life for life in state.lives if life.fresh(now) and (life.since, life.run_id) > (mine.since, mine.run_id)]
    if newer:
        return f"followed by run {max(newer, key=lambda life: life.since).run_id}"
    if state.drain is not None and state.drain.at > mine.since and (paused or not state.drain.followed):
        return "drained"
    age = now - mine.since
    if paused and age >= stream_seconds:
        return "its time is over and the queue is paused"
    if age >= OVERTIME * stream_seconds:
        return "its time is over and no run came to follow it"
    return ""


def why_follow(life: Life, state: StreamState, definition: Definition, now: float) -> str:
    """Why the newest run of a pipeline needs a successor; empty if it does not."""
    if life.version != definition.version:
        return f"it runs version {life.version}, loaded is {definition.version}"
    if state.drain is not None and state.drain.at > life.since:
        return "a drain was asked for"
    if now - life.since >= definition.options.stream_seconds:
        return f"it is {now - life.since:.0f} s old"
    return ""


@dataclass(slots=True)
class StreamPlan(Plan):
    """``asked``: what to remember of the runs asked for. ``unwanted``: pipelines whose stream runs must end, because
    the loaded definitions have no such stream."""

    asked: dict[str, Asked] = field(default_factory=dict)
    unwanted: list[str] = field(default_factory=list)


def plan_streams(
    definitions: Sequence[Definition],
    states: Mapping[str, QueueState],
    runs: Iterable[RunUnderWay],
    streams: Mapping[str, StreamState],
    now: float,
) -> StreamPlan:
    """The stream runs to start now. At most one run is on its way for each pipeline."""
    plan = StreamPlan()
    by_pipeline: dict[str, list[RunUnderWay]] = {}
    for run in runs:
        if run.lane == "stream":
            by_pipeline.setdefault(run.pipeline, []).append(run)
    wanted = {definition.name: definition for definition in definitions if definition.options.lane == "stream"}
    for name, definition in wanted.items():
        state = streams.get(name, StreamState())
        note, needed = _need(definition, states[name], by_pipeline.get(name, []), state, now)
        if needed and (wait := state.asked.wait(now)):
            note, needed = f"{note}; the last one came to nothing, next try in {wait:.0f} s", False
        if needed:
            plan.runs.append(PlannedRun(definition, "stream", definition.options.stream_batch, states[name].ready))
            plan.asked[name] = Asked(now, state.asked.tries + 1)
        plan.notes.append(f"{name}: {note}")
    for name in sorted(by_pipeline.keys() - wanted):
        state = streams.get(name, StreamState())
        newest = max((life.since for life in state.lives if life.fresh(now)), default=None)
        if newest is not None and (state.drain is None or state.drain.at <= newest):
            plan.unwanted.append(name)
            plan.notes.append(f"{name}: no stream any more, its run is told to end")
    return plan


def _need(
    definition: Definition, queue: QueueState, runs: Sequence[RunUnderWay], state: StreamState, now: float
) -> tuple[str, bool]:
    """What to tell of a stream, and whether it needs a run."""
    lives = {life.run_id: life for life in state.lives}
    working = [lives[run.run_id] for run in runs if run.run_id in lives and lives[run.run_id].fresh(now)]
    coming = [run for run in runs if run.run_id not in lives and (not run.started or run.age < STARTING_SECONDS)]
    if coming:
        return "a stream run is starting", False
    if not working:
        if queue.paused:
            return f"paused, {queue.ready} wait", False
        return "no stream run works", True
    newest = max(working, key=lambda life: (life.since, life.run_id))
    if len(working) > 1:
        return f"run {newest.run_id} takes over", False
    why = why_follow(newest, state, definition, now)
    if why and not queue.paused:
        return f"run {newest.run_id} is followed: {why}", True
    return ("paused, " if queue.paused else "") + f"run {newest.run_id} stands by", False


# --- Redis -------------------------------------------------------------------------------------------------------


class Streams:
    """The announcements of stream runs in one Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def announce(self, pipeline: str, run_id: str, version: str) -> Life:
        """A run is ready to work: from here on older ones leave."""
        now = time.time()
        life = Life(run_id, version, now, now)
        self._write(pipeline, life)
        return life

    def beat(self, pipeline: str, life: Life, *, proven: bool) -> Life:
        """The run is still there. ``proven``: it has worked for long enough to say that it started well."""
        beating = replace(life, beat=time.time())
        self._write(pipeline, beating)
        if proven:
            self._client.delete(keys.stream_asked(pipeline))
        return beating

    def _write(self, pipeline: str, life: Life) -> None:
        value = {"version": life.version, "since": life.since, "beat": life.beat}
        self._client.hset(keys.streams(pipeline), life.run_id, orjson.dumps(value))

    def leave(self, pipeline: str, run_id: str, *, well: bool) -> None:
        """A run has ended. ``well``: as it should, so that the next one need not be held back."""
        self._client.hdel(keys.streams(pipeline), run_id)
        if well:
            self._client.delete(keys.stream_asked(pipeline))

    def ask(self, pipeline: str, asked: Asked) -> None:
        """Remember that a run was asked for."""
        self._client.set(keys.stream_asked(pipeline), orjson.dumps([asked.at, asked.tries]), ex=3600)

    def drain(self, pipeline: str, *, followed: bool = True) -> None:
        """Have the present runs end: as soon as a successor works, or at once."""
        self._client.set(keys.stream_drain(pipeline), orjson.dumps([time.time(), followed]), ex=86_400)

    def read(self, pipelines: Sequence[str]) -> dict[str, StreamState]:
        """What is known of each of these pipelines' streams, in one round trip."""
        if not pipelines:
            return {}
        pipeline = self._client.pipeline(transaction=False)
        for name in pipelines:
            pipeline.hgetall(keys.streams(name))
            pipeline.get(keys.stream_drain(name))
            pipeline.get(keys.stream_asked(name))
        replies = iter(pipeline.execute())
        return {name: _state(next(replies), next(replies), next(replies)) for name in pipelines}

    def forget_dead(self, pipeline: str, state: StreamState, now: float) -> None:
        """Delete the announcements of runs that stopped beating long ago."""
        gone = [life.run_id for life in state.lives if now - life.beat > 10 * STALE_SECONDS]
        if gone:
            self._client.hdel(keys.streams(pipeline), *gone)


def _state(lives: Mapping[bytes, bytes], drain: bytes | None, asked: bytes | None) -> StreamState:
    return StreamState(
        lives=tuple(Life(run_id=run_id.decode(), **orjson.loads(raw)) for run_id, raw in lives.items()),
        drain=Drain(*orjson.loads(drain)) if drain else None,
        asked=Asked(*orjson.loads(asked)) if asked else Asked(),
    )
