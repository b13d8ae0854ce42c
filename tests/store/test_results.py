"""The result cache: what is computed is kept, and computed once for all who ask at once."""

from __future__ import annotations

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support import child, eventually, free_port
from vcon_platform.store import keys
from vcon_platform.store.connection import StoreUnavailable
from vcon_platform.store.results import BoughtElsewhere, StoredResults

PARTS = ("transcribe", "1", "sha256-abc")


def _never() -> Any:
    raise AssertionError("it was computed again")


def test_what_was_computed_is_kept_and_given_again(redis_client: Redis) -> None:
    assert StoredResults(redis_client).get_or_compute(PARTS, lambda: {"text": "hi"}) == {"text": "hi"}
    assert StoredResults(redis_client).get_or_compute(PARTS, _never) == {"text": "hi"}


def test_a_result_is_the_same_whether_it_was_bought_or_kept(redis_client: Redis) -> None:
    results = StoredResults(redis_client)
    assert results.get_or_compute(PARTS, lambda: ("a", 1)) == results.get_or_compute(PARTS, _never) == ["a", 1]


def test_nothing_is_a_result_too(redis_client: Redis) -> None:
    results = StoredResults(redis_client)
    assert results.get_or_compute(PARTS, lambda: None) is None
    assert results.get_or_compute(PARTS, _never) is None


def test_parts_that_only_look_alike_when_joined_name_two_results(redis_client: Redis) -> None:
    results = StoredResults(redis_client)
    assert results.get_or_compute(("ab", "c"), lambda: 0) == 0
    assert results.get_or_compute(("a", "bc"), lambda: 1) == 1


def test_those_who_ask_at_once_get_what_the_first_one_buys(redis_client: Redis) -> None:
    caches = [StoredResults(redis_client) for _ in range(4)]
    bought, all_there = [], threading.Barrier(8)

    def buy() -> str:
        bought.append(1)
        time.sleep(0.1)
        return "heard"

    def ask(number: int) -> Any:
        all_there.wait()
        return caches[number % 4].get_or_compute(PARTS, buy)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == ["heard"] * 8
    assert len(bought) == 1


def test_other_results_are_not_waited_for(redis_client: Redis) -> None:
    results = StoredResults(redis_client)
    inner = results.get_or_compute(("a",), lambda: results.get_or_compute(("b",), lambda: "inner"))
    assert inner == "inner"


def test_who_waits_tries_for_itself_when_the_buyer_failed(redis_client: Redis) -> None:
    results, begun, fail = StoredResults(redis_client), threading.Event(), threading.Event()

    def failing() -> Any:
        begun.set()
        fail.wait(10)
        raise ValueError("no")

    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(results.get_or_compute, PARTS, failing)
        begun.wait(10)
        second = threads.submit(results.get_or_compute, PARTS, lambda: "heard")
        fail.set()
        assert second.result(10) == "heard"
        with pytest.raises(ValueError, match="no"):
            first.result(10)


def test_who_waited_too_long_is_told_to_come_back(redis_client: Redis) -> None:
    results, begun, over = StoredResults(redis_client, wait_seconds=0.05), threading.Event(), threading.Event()

    def long() -> str:
        begun.set()
        over.wait(10)
        return "heard"

    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(results.get_or_compute, PARTS, long)
        begun.wait(10)
        with pytest.raises(BoughtElsewhere, match="tried again") as told:
            results.get_or_compute(PARTS, _never)
        over.set()
        assert first.result(10) == "heard"
    assert told.value.transient


def test_a_buyer_that_was_killed_is_followed_by_one_who_waits(
    redis_client: Redis, redis_url: str, tmp_path: Path
) -> None:
    buyer = tmp_path / "buyer.py"
    buyer.write_text(
        "import sys, redis, signal\n"
        "from vcon_platform.store.results import StoredResults\n"
        f"StoredResults(redis.Redis.from_url(sys.argv[1]), expiry=0.3).get_or_compute({PARTS!r}, signal.pause)\n"
    )
    root = Path(__file__).parents[2]
    with child(
        [sys.executable, buyer, redis_url], tmp_path / "log", cwd=root, env={"PYTHONPATH": str(root)}
    ) as process:
        eventually(lambda: redis_client.keys("pool:result:*"), message="it buys", interval=0.02)
        process.kill()
        assert StoredResults(redis_client, expiry=0.3).get_or_compute(PARTS, lambda: "heard") == "heard"


def test_nothing_stays_behind_but_the_result(redis_client: Redis) -> None:
    StoredResults(redis_client).get_or_compute(PARTS, lambda: 1)
    [key] = cast("list[bytes]", redis_client.keys("*"))
    assert key.startswith(keys.result("").encode())
    assert redis_client.ttl(key) > 0


def test_nothing_is_bought_while_redis_is_away() -> None:
    away = Redis(port=free_port(), retry=Retry(NoBackoff(), 0))
    with pytest.raises(StoreUnavailable) as told:
        StoredResults(away).get_or_compute(PARTS, _never)
    assert told.value.transient


def test_what_was_bought_is_given_though_redis_cannot_keep_it(redis_client: Redis) -> None:
    class Full(Redis):
        def set(self, *args: Any, **options: Any) -> Any:
            from redis.exceptions import OutOfMemoryError

            raise OutOfMemoryError("OOM")

    full = Full(connection_pool=redis_client.connection_pool)
    assert StoredResults(full).get_or_compute(PARTS, lambda: "heard") == "heard"
