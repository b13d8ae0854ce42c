"""What a run tells in the UI of what it bought."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.support import free_port
from vcon_platform.orchestration.report import bought_metadata
from vcon_platform.pipelines.prices import PriceFile
from vcon_platform.pipelines.purchases import Purchasing
from vcon_platform.processors.base import Buyer, Usage
from vcon_platform.store.accounts import Accounts
from vcon_platform.vcon.uuids import new_uuid

PRICES = "{currency: EUR, services: {deepgram: {'*': {per_minute: 0.6}}}}"


@pytest.fixture
def purchasing(redis_client: Redis, tmp_path: Path) -> Purchasing:
    (tmp_path / "prices.yaml").write_text(PRICES)
    return Purchasing(Accounts(redis_client), PriceFile(tmp_path))


def _told(purchasing: Purchasing, *used: Usage) -> dict[str, Any]:
    for usage in used:
        purchasing.within(None, run_id="run-1").after(Buyer(new_uuid(), "notes", "v", "ask", "1", "j"), usage)
    return {name: value.value for name, value in bought_metadata(purchasing, "run-1").items()}


def test_a_run_that_bought_nothing_tells_nothing(purchasing: Purchasing) -> None:
    purchasing.within(None, run_id="run-2").after(Buyer(new_uuid(), "notes", "v", "ask", "1", "j"), Usage("deepgram"))
    assert _told(purchasing) == {}
    assert bought_metadata(None, "run-1") == {}


def test_calls_audio_and_price_are_told(purchasing: Purchasing) -> None:
    assert _told(purchasing, Usage("deepgram", "nova-3", seconds=60), Usage("deepgram", "nova-3", seconds=30)) == {
        "bought_calls": 2,
        "bought_seconds_of_audio": 90.0,
        "bought_price_EUR": 0.9,
    }


def test_what_has_no_price_is_named(purchasing: Purchasing) -> None:
    assert _told(purchasing, Usage("openai", "gpt-x", input_tokens=3, output_tokens=4)) == {
        "bought_calls": 1,
        "bought_tokens": 7,
        "bought_without_price": "openai/gpt-x",
    }


def test_a_redis_that_is_away_does_not_fail_the_run(tmp_path: Path) -> None:
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    away = Redis(port=free_port(), retry=Retry(NoBackoff(), 0))
    assert bought_metadata(Purchasing(Accounts(away), PriceFile(tmp_path)), "run-1") == {}
