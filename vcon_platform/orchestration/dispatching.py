"""One look of the dispatcher: reads Redis and Dagster, plans, remembers, and gives the runs to ask for.

Here only what joins the two sides; decisions are in ``pipelines/dispatch.py`` and ``pipelines/succession.py``. A look
costs some round trips to Redis and one query to Dagster, whatever the number of pipelines.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import dagster as dg

from vcon_platform.orchestration import naming
from vcon_platform.orchestration.runtime import Runtime
from vcon_platform.orchestration.under_way import pipeline_runs
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.dispatch import PlannedRun, RunUnderWay, plan_batches
from vcon_platform.pipelines.dispatch_memory import DispatchMemory
from vcon_platform.pipelines.feeding import fan_out, feeds_of
from vcon_platform.pipelines.rates import read_rates
from vcon_platform.pipelines.succession import StreamPlan, Streams, plan_streams
from vcon_platform.store.waiting import QueueState

FED_PER_LOOK = 10_000
"""Jobs of each feed: about a second of Redis."""
PRIORITIES = {"batch": "0", "urgent": "5", "stream": "10"}
"""Of runs in Dagster's queue: a stream that stands still delays everybody's jobs."""


@dataclass(slots=True)
class Looked:
    """What a look came to: runs to ask for, and what is to be told of those that wait."""

    requests: list[dg.RunRequest] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def look(instance: dg.DagsterInstance, run: Runtime, definitions: Sequence[Definition]) -> Looked:
    """Feed the queues, and plan the runs of both lanes."""
    now = time.time()
    notes = fan_out(run.queues, feeds_of(definitions), limit=FED_PER_LOOK)
    states = run.queues.state([definition.name for definition in definitions])
    runs = pipeline_runs(instance, now)
    memory = DispatchMemory(run.client)
    remembered = memory.read([each.run_id for each in runs])
    runs = [replace(each, leased=each.run_id in remembered.leased) for each in runs]
    plan, share = plan_batches(
        definitions,
        states,
        runs,
        rates=read_rates(run.client, definitions),
        times=remembered.times,
        max_runs=run.settings.max_batch_runs,
        weights=remembered.weights,
    )
    memory.keep(share)
    streams = _streams(run, definitions, states, runs, now)
    requests = [run_request(planned) for planned in (*streams.runs, *plan.runs)]
    return Looked(requests, [*notes, *plan.notes, *streams.notes])


def _streams(
    run: Runtime,
    definitions: Sequence[Definition],
    states: Mapping[str, QueueState],
    runs: Sequence[RunUnderWay],
    now: float,
) -> StreamPlan:
    streams = Streams(run.client)
    names = {each.name for each in definitions if each.options.lane == "stream"}
    names |= {each.pipeline for each in runs if each.lane == "stream"}
    known = streams.read(sorted(names))
    plan = plan_streams(definitions, states, runs, known, now)
    for name, asked in plan.asked.items():
        streams.ask(name, asked)
    for name in plan.unwanted:
        streams.drain(name, followed=False)
    for name, state in known.items():
        streams.forget_dead(name, state, now)
    return plan


def run_request(planned: PlannedRun) -> dg.RunRequest:
    """A planned run as Dagster is asked for it. No run key: what waits is looked at anew at every tick."""
    definition, lane = planned.definition, planned.lane
    tags = {
        naming.PIPELINE_TAG: definition.name,
        naming.VERSION_TAG: definition.version,
        naming.LANE_TAG: lane,
        "dagster/priority": PRIORITIES[lane],
    }
    if lane == "stream":
        return dg.RunRequest(job_name=naming.stream_name(definition.name), tags=tags)
    config: dict[str, Any] = {"limit": planned.limit}
    if lane == "urgent":
        config["urgent_only"] = True
    return dg.RunRequest(
        job_name=definition.name,
        run_config={"ops": {naming.graph_name(definition.name): {"ops": {"lease": {"config": config}}}}},
        tags={**tags, naming.LIMIT_TAG: str(planned.limit)},
    )
