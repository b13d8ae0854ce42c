"""The housekeeping sensor: what it did stands in its tick, and one duty that cannot be done stops no other."""

from __future__ import annotations

from pathlib import Path

import dagster as dg
import pytest
from redis import Redis

from resources.object_store import ObjectStoreResource
from resources.postgres import PostgresResource
from resources.redis import RedisResource
from sensors.housekeeping import housekeeping
from vcon_platform.settings import Settings, load_settings
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import open_objects


@pytest.fixture
def here(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("REDIS_URL", settings.redis_url())
    monkeypatch.setenv("POSTGRES_URL", settings.postgres_url())
    monkeypatch.setenv("VCON_DATA_DIR", str(tmp_path / "data"))
    return load_settings()


def _tick() -> str:
    resources = {"redis": RedisResource(), "object_store": ObjectStoreResource(), "postgres": PostgresResource()}
    with dg.build_sensor_context(resources=resources) as context:
        return housekeeping.evaluate_tick(context).skip_message or ""


def test_a_first_tick_sweeps_checkpoints_and_media(here: Settings) -> None:
    assert "0 checkpoints swept, 0 media deleted (0 bytes), 0 set aside" in _tick()


def test_media_that_must_not_be_swept_stop_nothing_else(here: Settings, redis_client: Redis) -> None:
    MediaStore(open_objects(here.objects_url), 8, redis_client).keep_chunks([b"kept"])
    redis_client.flushall()
    told = _tick()
    assert told.startswith("0 jobs handed back, 0 ledger events shipped")
    assert "media not swept: Redis was emptied" in told
