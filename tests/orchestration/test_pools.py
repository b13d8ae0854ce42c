"""Concurrency pools: ops of one provider take turns over all runs, and no run ever waits for itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import dagster as dg
import pytest
from redis import Redis

from tests.orchestration.support import chats, definitions, run
from tests.support import eventually
from vcon_platform.orchestration.pools import set_pool_limits
from vcon_platform.processors.recall_finder import RecallFinder
from vcon_platform.settings import Settings
from vcon_platform.store.leases import Queues

TWICE = "processors: [{processor_name: recall_finder}, {processor_name: recall_finder}]"


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """One whose storage knows pools; that in memory does not."""
    with dg.instance_for_test(overrides={"concurrency": {"pools": {"granularity": "op"}}}) as instance:
        yield instance


@pytest.fixture(autouse=True)
def _in_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RecallFinder, "pool", "words")


def _limits(instance: dg.DagsterInstance) -> dict[str, int]:
    return {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()}


def test_limits_are_set_once_and_those_set_by_hand_are_kept(instance: dg.DagsterInstance) -> None:
    instance.event_log_storage.set_concurrency_slots("by_hand", 7)
    assert set_pool_limits(instance, {"words": 2}) == ["words"]
    assert set_pool_limits(instance, {"words": 2}) == []
    assert set_pool_limits(instance, {"words": 3}) == ["words"]
    assert _limits(instance) == {"by_hand": 7, "words": 3}


def test_the_ops_of_a_processor_with_a_pool_are_in_it(deployed: Settings) -> None:
    job = definitions(deployed, recall=TWICE).resolve_job_def("recall")
    graph = next(iter(job.graph.node_defs))
    assert isinstance(graph, dg.GraphDefinition)
    pools = {node.name: node.definition.pool for node in graph.nodes if isinstance(node.definition, dg.OpDefinition)}
    assert pools == {"lease": None, "recall_finder_0": "words", "recall_finder_1": "words", "settle": None}


def test_a_pipeline_with_several_ops_of_one_pool_passes_through_its_only_slot(
    deployed: Settings, instance: dg.DagsterInstance
) -> None:
    set_pool_limits(instance, {"words": 1})
    chats(deployed, "a recall")
    assert run(definitions(deployed, recall=TWICE), instance).success


def test_without_a_limit_nobody_waits(deployed: Settings, instance: dg.DagsterInstance) -> None:
    chats(deployed, "a recall")
    assert run(definitions(deployed), instance).success


def test_a_run_waits_for_the_slot_of_another_and_keeps_its_jobs_meanwhile(
    deployed: Settings, redis_client: Redis, instance: dg.DagsterInstance
) -> None:
    set_pool_limits(instance, {"words": 1})
    storage = instance.event_log_storage
    storage.claim_concurrency_slot("words", "another run", "its step")
    chats(deployed, "a recall")
    done: list[bool] = []
    waiting = threading.Thread(target=lambda: done.append(run(definitions(deployed), instance).success), daemon=True)
    waiting.start()
    eventually(lambda: storage.get_concurrency_info("words").pending_step_count == 1, message="it stands in line")
    assert Queues(redis_client).state(["recall"])["recall"].leased == 1
    assert not done
    storage.free_concurrency_slots_for_run("another run")
    eventually(lambda: done == [True], message="it went on")
