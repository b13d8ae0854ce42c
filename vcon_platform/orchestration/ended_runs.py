"""Hooks between runs and leases: what a run leaves behind that did not end by itself.

Belongs here: giving back the batches of runs that ended without settling them, and ending runs whose process is gone
without a word. Looked at by ``housekeeping`` every few seconds, instead of by Dagster's run status sensors: those
tick every 30 s, take a few runs each, and fall behind silently. Here nothing is remembered between two looks, so
nothing can be missed, and looking twice does no harm.

Not here: leases that end because nobody beats for them (``Queues.expire``). They are the safety net below this: they
need no Dagster, but wait for ``VCON_LEASE_SECONDS``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import dagster as dg

from vcon_platform.store import keys
from vcon_platform.store.leases import Queues

if TYPE_CHECKING:
    from redis import Redis

WILL_RETRY = "dagster/will_retry"
SILENT_SECONDS = 20.0
"""A run that says nothing for so long and has no process is gone; the code server, where it can, tells sooner."""
_CLOCK_SECONDS = 2.0


def _owners(client: Redis) -> dict[str, list[str]]:
    """Run id to the batches leased to it now."""
    batches = [raw.decode() for raw in cast("list[bytes]", client.zrange(keys.LEASES, 0, -1))]
    pipeline = client.pipeline(transaction=False)
    for batch_id in batches:
        pipeline.hget(keys.batch(batch_id), "owner")
    found: dict[str, list[str]] = {}
    for batch_id, owner in zip(batches, pipeline.execute(), strict=True):
        if owner:
            found.setdefault(owner.decode(), []).append(batch_id)
    return found


def hand_back_ended(instance: dg.DagsterInstance, client: Redis, queues: Queues) -> int:
    """Give back what runs hold that are over: failed for good, cancelled, or done. The jobs, at the front of their
    queue. A run that Dagster will continue keeps its batch, which the next run takes over as it is; so does one of
    which it is not known yet. Should its process live on, its commits are refused from now on."""
    held = _owners(client)
    if not held:
        return 0
    ended = dg.RunsFilter(
        run_ids=sorted(held),
        statuses=[dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED, dg.DagsterRunStatus.SUCCESS],
    )
    handed = 0
    for run in instance.get_runs(ended):
        failed = run.status is dg.DagsterRunStatus.FAILURE
        if failed and not is_given_up(run.tags, instance.run_retries_enabled):
            continue
        for batch_id in held[run.run_id]:
            handed += max(0, queues.hand_back(batch_id, owner=run.run_id, attempt=failed))
    return handed


def is_given_up(tags: Mapping[str, str], retries_enabled: bool) -> bool:
    """True if no other run will continue a failed one. Dagster writes the tag a moment after the failure."""
    return tags.get(WILL_RETRY) == "false" or not retries_enabled


def fail_lost(instance: dg.DagsterInstance, now: float | None = None) -> list[str]:
    """End the runs that Dagster takes for started though their process is gone; their ids.

    With Dagster's default launcher the code server watches the processes of its runs. When it dies itself they go on
    without it, and if one of them dies then, nobody notices before ``max_runtime_seconds``, and its place among the
    runs at once stays taken. To be called on the machine of the code server, which is where those processes are.
    """
    from dagster._core.launcher import DefaultRunLauncher

    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return []  # other launchers are asked for their runs' health by Dagster's own monitoring
    moment = now or time.time()
    failed = []
    for run in instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
        if _is_lost(instance, run.run_id, moment) and _still_started(instance, run.run_id):
            instance.report_run_failed(
                run,
                "The process of this run is gone, and nobody was there to notice: its code server had died before. "
                "Its jobs are not lost: the run that continues it takes them over, or they return to their queue.",
            )
            failed.append(run.run_id)
    return failed


def _is_lost(instance: dg.DagsterInstance, run_id: str, now: float) -> bool:
    latest = instance.get_records_for_run(run_id, limit=1, ascending=False).records
    if not latest or now - latest[0].timestamp < SILENT_SECONDS:
        return False
    told = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT, limit=20).records
    started = [(pid, record.timestamp) for record in told if (pid := _pid(record.event_log_entry)) is not None]
    return bool(started) and not _lives(*started[-1])


def _pid(entry: dg.EventLogEntry) -> int | None:
    data: Any = entry.get_dagster_event().event_specific_data
    value = getattr(data, "metadata", {}).get("pid")
    text = str(getattr(value, "value", ""))
    return int(text) if text.isdecimal() else None


def _lives(pid: int, told_at: float) -> bool:
    """True if the process that told its id at that time is alive; another one may have got its number since."""
    import psutil

    try:
        process = psutil.Process(pid)
        return process.create_time() <= told_at + _CLOCK_SECONDS and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True


def _still_started(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Asked after its process was seen to be gone: a process writes its end down before it ends."""
    run = instance.get_run_by_id(run_id)
    return run is not None and run.status is dg.DagsterRunStatus.STARTED
