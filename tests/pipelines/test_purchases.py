"""Purchases through the engine: what is used is written down, and a budget stops before more is bought."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from tests.pipelines.purchase_support import (
    PRICES,
    REGISTRY,
    Shop,
    lent,
    purchasing,
    shop_engine,
    shopping,
    used_events,
)
from tests.pipelines.support import stored
from tests.support import eventually
from vcon_platform.ledger.events import read_event
from vcon_platform.pipelines.batch import Settled
from vcon_platform.pipelines.definition import Definition, DefinitionError, read_definition
from vcon_platform.pipelines.direct import run_pipeline, run_processor
from vcon_platform.pipelines.engine import Engine
from vcon_platform.pipelines.pipeline_options import Budget
from vcon_platform.pipelines.prices import PriceFile
from vcon_platform.pipelines.purchases import BudgetExhausted, Purchasing
from vcon_platform.pipelines.simulate import Simulator
from vcon_platform.processors.base import Buyer, Usage
from vcon_platform.store.accounts import Accounts
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import local_objects
from vcon_platform.store.reading import ReadingStore
from vcon_platform.store.results import StoredResults
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture(autouse=True)
def _open_shop() -> Iterator[None]:
    Shop.bought.clear()
    Shop.opened.set()
    yield
    Shop.opened.set()


@pytest.fixture
def work(redis_url: str, redis_client: Redis, tmp_path: Path) -> Iterator[Engine]:
    (tmp_path / "prices.yaml").write_text(PRICES)
    work = shop_engine(redis_client, tmp_path, lending=partial(lent, redis_url, tmp_path))
    yield work
    work.close()


def _run(work: Engine, pipeline: Definition, *subjects: str) -> tuple[list[str], Settled]:
    uuids = stored(work, *subjects, queue=pipeline.name)
    name = new_uuid()
    batch = work.open(pipeline, batch_id=name, owner=name, limit=100)
    work.step(batch, 0, pipeline.steps[0])
    return uuids, work.settle(pipeline, batch)


def _codes(work: Engine, pipeline: str = "notes") -> list[str]:
    return [dead.code for dead in work.queues.dead(pipeline)]


# --- the account ------------------------------------------------------------------------------------------------


def test_each_call_is_an_event_with_what_it_used_and_cost(work: Engine, redis_client: Redis) -> None:
    pipeline = shopping(seconds=90)
    [uuid], _ = _run(work, pipeline, "tea")
    [event] = [read_event(each) for each in used_events(redis_client)]
    assert (event.vcon_uuid, event.pipeline, event.pipeline_version) == (uuid, "notes", pipeline.version)
    assert (event.processor, event.processor_version) == ("shop", "1")
    assert event.detail.pop("job")
    assert event.detail == {
        "service": "ears",
        "model": "one",
        "seconds": 90.0,
        "input_tokens": 2,
        "output_tokens": 3,
        "price": 0.9,
        "currency": "EUR",
    }


def test_a_use_names_the_run_it_was_in_also_from_another_process(work: Engine, redis_client: Redis) -> None:
    uuids = stored(work, "tea", "milk", queue="notes")
    for name, uuid, options in (("run-1", uuids[0], {}), ("run-2", uuids[1], {"timeout": 30})):
        pipeline = shopping(options=options)
        batch = work.open(pipeline, batch_id=f"b-{name}", owner=name, limit=1)
        assert batch.items[0].job.vcon_uuids == (uuid,)
        work.step(batch, 0, pipeline.steps[0])
        work.settle(pipeline, batch)
    told = [(event["batch_id"], event["run_id"]) for event in used_events(redis_client)]
    assert told == [("b-run-1", "run-1"), ("b-run-2", "run-2")]


def test_a_result_from_the_cache_is_no_use(work: Engine, redis_client: Redis) -> None:
    _run(work, shopping(), "tea")
    _, settled = _run(work, shopping(), "tea")
    assert settled.counts == {"done": 1}
    assert len(used_events(redis_client)) == len(Shop.bought) == 1


def test_two_conversations_that_want_the_same_at_once_buy_it_once(work: Engine, redis_client: Redis) -> None:
    Shop.opened.clear()
    threading.Timer(0.2, Shop.opened.set).start()
    uuids, settled = _run(work, shopping(), "tea", "tea", "tea")
    assert settled.counts == {"done": 3}
    assert len(used_events(redis_client)) == len(Shop.bought) == 1
    assert {work.documents.read_one(uuid).analysis[0]["body"]["what"] for uuid in uuids} == {"tea"}


def test_a_call_that_failed_used_nothing(work: Engine, redis_client: Redis) -> None:
    _, settled = _run(work, shopping(retries=0), "away")
    assert settled.counts == {"failed": 1}
    assert used_events(redis_client) == []


def test_what_was_used_is_written_down_though_the_conversation_fails_later(work: Engine, redis_client: Redis) -> None:
    raw = {"processors": [{"processor_name": "shop"}, {"processor_name": "judge"}]}
    pipeline = read_definition("notes", raw, REGISTRY)
    stored(work, "permanent", queue="notes")
    batch = work.open(pipeline, batch_id="b", owner="b", limit=1)
    for position, step in enumerate(pipeline.steps):
        work.step(batch, position, step)
    assert work.settle(pipeline, batch).counts == {"failed": 1}
    assert len(used_events(redis_client)) == 1


def test_a_processor_in_a_process_of_its_own_keeps_the_same_account(work: Engine, redis_client: Redis) -> None:
    limited = partial(shopping, seconds=60, options={"timeout": 30}, budget={"per": "total", "seconds": 100})
    assert _run(work, limited(), "tea", "milk")[1].counts == {"done": 2}
    assert [event["detail"]["seconds"] for event in used_events(redis_client)] == [60, 60]
    assert _run(work, limited(), "bread")[1].counts == {"failed": 1}
    assert _codes(work) == ["budget_exhausted"]


def test_direct_runs_are_in_the_account(work: Engine, redis_client: Redis) -> None:
    [uuid] = stored(work, "tea")
    run_pipeline(work, shopping(), uuid)
    redis_client.delete(*redis_client.keys("result:*"))
    run_processor(work, Shop, Shop.options(), uuid)
    assert [event["pipeline"] for event in used_events(redis_client)] == ["notes", "processor:shop"]


@pytest.mark.parametrize(("buy", "uses"), [(False, 0), (True, 1)])
def test_a_simulation_uses_something_only_if_it_may_buy(
    work: Engine, redis_client: Redis, tmp_path: Path, buy: bool, uses: int
) -> None:
    reading = ReadingStore(redis_client, local_objects(tmp_path))
    simulator = Simulator(
        work,
        media=reading.media,
        results=reading.results,
        projections={},
        bought=StoredResults(redis_client),
        bought_media=MediaStore(local_objects(tmp_path), 0),
        purchasing=purchasing(redis_client, tmp_path),
    )
    [uuid] = stored(work, "tea")
    [step] = simulator.run(shopping(), work.documents.read_one(uuid), buy=buy).steps
    assert step.what == ("processed" if buy else "not_bought")
    assert len(used_events(redis_client)) == uses


def test_redis_that_cannot_write_loses_no_result_and_the_log_has_the_use(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Away(Accounts):
        def __init__(self) -> None:
            pass

        def add(self, *args: Any, **options: Any) -> None:
            from vcon_platform.store.connection import StoreUnavailable

            raise StoreUnavailable("Redis is full.")

    Purchasing(Away(), PriceFile(tmp_path)).within(None).after(
        Buyer(new_uuid(), "notes", "v", "shop", "1", "j"), Usage("ears", "one", seconds=61.5)
    )
    assert "61.5" in caplog.text
    assert "Redis is full" in caplog.text


# --- budgets ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", [{"price": 0.15}, {"seconds": 15}, {"tokens": 8}])
def test_nothing_more_is_bought_once_a_budget_is_used_up(work: Engine, limit: dict[str, float]) -> None:
    pipeline = shopping(concurrency=1, budget={"per": "day", **limit})
    _, settled = _run(work, pipeline, "tea", "milk", "bread")
    assert settled.counts == {"done": 2, "failed": 1}
    assert sorted(Shop.bought) == ["milk", "tea"]
    assert _codes(work) == ["budget_exhausted"]


def test_the_refusal_says_how_much_what_to_raise_and_how_to_go_on(work: Engine) -> None:
    _run(work, shopping(budget={"per": "day", "price": 0.1}), "tea")
    _run(work, shopping(budget={"per": "day", "price": 0.1}), "milk")
    [dead] = work.queues.dead("notes")
    for words in ("0.1 of 0.1 EUR", "/pipeline_options/budget/price", "next day", "queue redrive notes"):
        assert words in dead.error


def test_a_budget_of_nothing_buys_nothing(work: Engine) -> None:
    assert _run(work, shopping(budget={"per": "total", "tokens": 0}), "tea")[1].counts == {"failed": 1}
    assert Shop.bought == []


def test_what_is_kept_already_is_given_though_the_budget_is_used_up(work: Engine) -> None:
    pipeline = shopping(budget={"per": "total", "seconds": 1})
    _run(work, pipeline, "tea")
    assert _run(work, pipeline, "tea")[1].counts == {"done": 1}


def test_a_failed_job_comes_through_when_there_is_more_budget(work: Engine) -> None:
    tight, wide = ({"per": "total", "seconds": most} for most in (5, 50))
    _run(work, shopping(budget=tight), "tea")
    _run(work, shopping(budget=tight), "milk")
    batch = work.redrive(
        shopping(budget=wide), failed_in={work.queues.dead("notes")[0].batch_id}, batch_id="b", owner="b"
    )
    work.step(batch, 0, shopping().steps[0])
    assert work.settle(shopping(), batch).counts == {"done": 1}


def test_another_pipeline_has_its_own_budget(work: Engine) -> None:
    _run(work, shopping("notes", budget={"per": "total", "seconds": 5}), "tea")
    assert _run(work, shopping("other", budget={"per": "total", "seconds": 5}), "milk")[1].counts == {"done": 1}


@pytest.mark.parametrize(("per", "hours"), [("day", 24), ("month", 24 * 32)])
def test_a_new_day_or_month_begins_anew(redis_client: Redis, tmp_path: Path, per: str, hours: int) -> None:
    now = datetime(2026, 7, 30, 12, tzinfo=UTC)
    bought = Purchasing(Accounts(redis_client), PriceFile(tmp_path), lambda: now)
    within = bought.within(Budget.model_validate({"per": per, "seconds": 1}))
    buyer = Buyer(new_uuid(), "notes", "v", "shop", "1", "j")
    within.after(buyer, Usage("ears", "one", seconds=2))
    with pytest.raises(BudgetExhausted, match="2 of 1 s of audio in 2026-07"):
        within.before(buyer)
    now += timedelta(hours=hours)
    within.before(buyer)


def test_a_budget_is_overrun_by_no_more_than_the_calls_under_way(work: Engine) -> None:
    Shop.opened.clear()
    pipeline = shopping(concurrency=3, budget={"per": "total", "seconds": 1})
    runs: list[Settled] = []
    thread = threading.Thread(target=lambda: runs.append(_run(work, pipeline, *map(str, range(9)))[1]))
    thread.start()
    eventually(lambda: len(Shop.bought) == 3, message="three calls are under way", interval=0.01)
    Shop.opened.set()
    thread.join(20)
    assert runs[0].counts == {"done": 3, "failed": 6}


# --- prices that are not known ----------------------------------------------------------------------------------


def test_a_budget_in_money_stops_where_a_price_is_missing_until_there_is_one(work: Engine, tmp_path: Path) -> None:
    file, pipeline = tmp_path / "prices.yaml", shopping(budget={"per": "total", "price": 0.15})
    file.unlink()
    assert _run(work, pipeline, "tea")[1].counts == {"done": 1}  # before, nobody could know what would be used
    assert _run(work, pipeline, "milk")[1].counts == {"failed": 1}
    [dead] = work.queues.dead("notes")
    assert dead.code == "price_unknown"
    assert "ears/one" in dead.error
    file.write_text(PRICES)
    assert _run(work, pipeline, "milk")[1].counts == {"done": 1}
    assert _run(work, pipeline, "bread")[1].counts == {"failed": 1}  # what had no price counts now
    assert _codes(work) == ["price_unknown", "budget_exhausted"]


def test_a_budget_in_seconds_needs_no_price(work: Engine, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").unlink()
    pipeline = shopping(budget={"per": "total", "seconds": 15})
    assert [_run(work, pipeline, what)[1].counts["done"] for what in ("tea", "milk", "bread")] == [1, 1, 0]


def test_prices_that_cannot_be_read_stop_a_budget_in_money_and_nobody_else(work: Engine, tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text("nonsense: 1")
    assert _run(work, shopping(budget={"per": "total", "price": 1}), "tea")[1].counts == {"failed": 1}
    assert "/nonsense" in work.queues.dead("notes")[0].error
    assert _run(work, shopping("free"), "tea")[1].counts == {"done": 1}
    assert _run(work, shopping("other", budget={"per": "total", "seconds": 1}), "milk")[1].counts == {"done": 1}


# --- the option -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "place"),
    [
        ({"per": "day"}, "/pipeline_options/budget: "),
        ({"price": 1}, "/pipeline_options/budget/per: "),
        ({"per": "week", "price": 1}, "/pipeline_options/budget/per: "),
        ({"per": "day", "price": -1}, "/pipeline_options/budget/price: "),
        ({"per": "day", "prize": 1}, "/pipeline_options/budget/prize: "),
    ],
)
def test_a_budget_that_cannot_be_is_refused_with_the_place(budget: dict[str, Any], place: str) -> None:
    with pytest.raises(DefinitionError, match=place):
        shopping(budget=budget)
