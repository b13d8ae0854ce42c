"""The housekeeping sensor: what it did stands in its tick, and one duty that cannot be done stops no other."""

from __future__ import annotations

import time
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import orjson
import pytest
from redis import Redis

from resources.object_store import ObjectStoreResource
from resources.postgres import PostgresResource
from resources.redis import RedisResource
from sensors.housekeeping import housekeeping
from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.orchestration.effects_job import EFFECTS_TAG, deliver_effects
from vcon_platform.pipelines.reprocess_progress import count
from vcon_platform.settings import Settings, load_settings
from vcon_platform.store import keys
from vcon_platform.store.effects import new_effect
from vcon_platform.store.jobs import new_job
from vcon_platform.store.leases import Queues
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import open_objects
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def here(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("REDIS_URL", settings.redis_url())
    monkeypatch.setenv("POSTGRES_URL", settings.postgres_url())
    monkeypatch.setenv("VCON_DATA_DIR", str(tmp_path / "data"))
    return load_settings()


def _tick() -> str:
    with dg.DagsterInstance.ephemeral() as instance:
        return _evaluated(instance).skip_message or ""


def _evaluated(instance: dg.DagsterInstance, cursor: str | None = None) -> Any:
    resources = {"redis": RedisResource(), "object_store": ObjectStoreResource(), "postgres": PostgresResource()}
    with dg.build_sensor_context(instance=instance, cursor=cursor, resources=resources) as context:
        return housekeeping.evaluate_tick(context)


def test_a_first_tick_sweeps_checkpoints_and_media(here: Settings) -> None:
    assert "0 checkpoints swept, 0 media deleted (0 bytes), 0 set aside" in _tick()


def test_a_batch_of_a_cancelled_run_is_back_after_one_tick(
    here: Settings, instance: dg.DagsterInstance, redis_client: Redis
) -> None:
    run = instance.create_run_for_job(deliver_effects, status=dg.DagsterRunStatus.CANCELED)
    queues = Queues(redis_client)
    queues.push("sales", [new_uuid()])
    queues.lease("sales", batch_id=run.run_id, owner=run.run_id, limit=1)
    assert "1 jobs handed back" in _evaluated(instance, "1").skip_message
    assert queues.depth("sales") == 1


def test_pools_have_the_limits_of_the_setting(
    here: Settings, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VCON_POOLS", "deepgram:5")
    with dg.instance_for_test() as instance:
        assert "pool limits set: deepgram" in _evaluated(instance).skip_message
        assert {pool.name: pool.limit for pool in instance.event_log_storage.get_pool_limits()} == {"deepgram": 5}
        assert "pool limits" not in _evaluated(instance).skip_message


def _effect(asked_for: float) -> bytes:
    entry = orjson.loads(new_effect(new_uuid(), "sales", "send_email", "send_email", "1", {"to": "x"}))
    return orjson.dumps({**entry, "at": asked_for})


@pytest.mark.parametrize(("age", "runs"), [(5.0, 0), (60.0, 1)])
def test_effects_that_were_left_behind_are_sent_by_a_run(
    here: Settings, instance: dg.DagsterInstance, redis_client: Redis, age: float, runs: int
) -> None:
    redis_client.rpush(keys.EFFECTS, _effect(time.time() - age))
    assert len(_evaluated(instance).run_requests or ()) == runs


def test_one_run_at_a_time_sends_them(here: Settings, instance: dg.DagsterInstance, redis_client: Redis) -> None:
    redis_client.rpush(keys.EFFECTS, _effect(time.time() - 60))
    instance.create_run_for_job(deliver_effects, status=dg.DagsterRunStatus.STARTED, tags={EFFECTS_TAG: "true"})
    assert not _evaluated(instance).run_requests


def test_the_progress_of_a_reprocessing_is_told_while_there_is_news(
    here: Settings, instance: dg.DagsterInstance, redis_client: Redis
) -> None:
    day = date(2026, 11, 2)
    count(redis_client, "reprocess:r1", "sales", 2, day, day)
    queues = Queues(redis_client)
    queues.push("sales", [new_job(new_uuid(), priority="low", origin="reprocess:r1") for _ in range(2)])
    assert "reprocess:r1 under way: 0 of 2" in _evaluated(instance).skip_message
    assert "reprocess:r1" not in _evaluated(instance).skip_message
    queues.purge("sales", origin="reprocess:r1")
    assert "reprocess:r1 over: 2 of 2" in _evaluated(instance).skip_message
    assert "reprocess:r1" not in _evaluated(instance).skip_message
    told = instance.fetch_observations(dg.AssetKey(["reprocess", "sales"]), limit=10).records
    assert [record.asset_observation.metadata["waiting"].value for record in told if record.asset_observation] == [0, 2]


def test_a_ledger_that_is_away_keeps_no_job_from_coming_back(
    here: Settings, instance: dg.DagsterInstance, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POSTGRES_URL", "postgresql://nobody:nothing@127.0.0.1:1/nowhere")
    event = LedgerEvent(vcon_uuid=new_uuid(), event=EventKind.DONE)
    redis_client.xadd(keys.OUTBOX, {"events": b"[" + event.to_bytes() + b"]"})
    told = _evaluated(instance, "1").skip_message
    assert told.startswith("0 jobs handed back, ledger not shipped: the ledger's Postgres cannot be reached")


def test_media_that_must_not_be_swept_stop_nothing_else(here: Settings, redis_client: Redis) -> None:
    MediaStore(open_objects(here.objects_url), 8, redis_client).keep_chunks([b"kept"])
    redis_client.flushall()
    told = _tick()
    assert told.startswith("0 jobs handed back, 0 ledger events shipped")
    assert "media not swept: Redis was emptied" in told
