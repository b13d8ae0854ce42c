"""``GET /v1/usage``: what was used, and what is left of budgets."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis import Redis

from tests.api.support import NO_GATE
from vcon_platform.api.app import create_app
from vcon_platform.api.auth import KeyRequired
from vcon_platform.api.problems import add_problems
from vcon_platform.api.usage import router
from vcon_platform.pipelines.purchases import purchasing_of
from vcon_platform.processors.base import Buyer, Usage
from vcon_platform.settings import Settings
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def chosen(settings: Settings, tmp_path: Path, redis_client: Redis) -> Settings:
    folder = tmp_path / "definitions"
    folder.mkdir()
    (folder / "prices.yaml").write_text("{currency: EUR, services: {deepgram: {'*': {per_minute: 0.6}}}}")
    (folder / "notes.yaml").write_text("{pipeline_options: {budget: {per: day, price: 2}}, processors: []}")
    chosen = settings.model_copy(update={"pipelines_dir_setting": folder})
    within = purchasing_of(chosen, redis_client).within(None)
    within.after(Buyer(new_uuid(), "notes", "v", "deepgram", "1", "j"), Usage("deepgram", "nova-3", seconds=90))
    return chosen


def _client(settings: Settings) -> TestClient:
    app = FastAPI()
    add_problems(app)
    app.add_middleware(KeyRequired, gate=NO_GATE)
    app.include_router(router(settings, NO_GATE))
    return TestClient(app)


def test_the_answer_has_sums_and_budgets(chosen: Settings) -> None:
    told = _client(chosen).get("/v1/usage", params={"by": "service"}).json()
    assert told["usage"] == [
        {
            "name": "deepgram",
            "calls": 1,
            "conversations": 1,
            "seconds": 90.0,
            "input_tokens": 0,
            "output_tokens": 0,
            "prices": [{"currency": "EUR", "price": "0.9"}],
            "calls_without_price": 0,
        }
    ]
    [budget] = told["budgets"]
    assert (budget["pipeline"], budget["per"], budget["currency"]) == ("notes", "day", "EUR")
    assert budget["limits"] == [{"what": "price", "used": 0.9, "most": 2.0, "left": 1.1}]


def test_only_what_was_used_in_the_time_asked_for_is_counted(chosen: Settings) -> None:
    client = _client(chosen)
    assert client.get("/v1/usage", params={"until": "2026-01-01"}).json()["usage"] == []
    assert len(client.get("/v1/usage", params={"since": "2026-01-01T00:00:00Z"}).json()["usage"]) == 1


@pytest.mark.parametrize("asked", [{"by": "mood"}, {"since": "yesterday"}])
def test_a_question_that_cannot_be_is_refused(chosen: Settings, asked: dict[str, str]) -> None:
    assert _client(chosen).get("/v1/usage", params=asked).status_code == 422


def test_it_is_there_for_who_may_operate_and_for_nobody_without_a_key(chosen: Settings) -> None:
    client = TestClient(create_app(chosen))
    assert client.get("/v1/usage").status_code == 401
    key = chosen.secret_path("api_key").read_text().strip()
    assert client.get("/v1/usage", headers={"Authorization": f"Bearer {key}"}).status_code == 200
