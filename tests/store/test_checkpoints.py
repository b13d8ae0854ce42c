"""Checkpoints and results: kept by name, found again, never mixed up."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from redis import Redis

from vcon_platform.store.checkpoints import Checkpoints
from vcon_platform.store.objects import local_objects
from vcon_platform.store.results import StoredResults


def test_a_checkpoint_is_found_by_run_and_step_until_it_is_forgotten(tmp_path: Path) -> None:
    checkpoints = Checkpoints(local_objects(tmp_path))
    checkpoints.save("run-1", "recall__steps.lease", b"one")
    checkpoints.save("run-2", "recall__steps.lease", b"two")
    checkpoints.forget("run-1")
    assert checkpoints.load("run-1", "recall__steps.lease") is None
    assert checkpoints.load("run-2", "recall__steps.lease") == b"two"


def test_sweeping_deletes_what_is_older_and_nothing_else(tmp_path: Path) -> None:
    checkpoints = Checkpoints(local_objects(tmp_path))
    checkpoints.save("run-1", "step", b"one")
    assert checkpoints.sweep(timedelta(hours=1)) == 0
    assert checkpoints.sweep(timedelta(seconds=-60)) == 1
    assert checkpoints.load("run-1", "step") is None


def test_a_result_is_computed_once(redis_client: Redis) -> None:
    results, computed = StoredResults(redis_client), []

    def compute() -> dict[str, float]:
        computed.append(1)
        return {"confidence": 0.5}

    parts = ("sha512-x", "transcribe", "1")
    assert results.get_or_compute(parts, compute) == results.get_or_compute(parts, compute) == {"confidence": 0.5}
    assert len(computed) == 1
