"""Slots: never more than the limit at once, whoever dies, and nobody waits for ever."""

from __future__ import annotations

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis

from tests.support import child, eventually
from vcon_platform.settings import Settings, SettingsError
from vcon_platform.store.slots import Slots


def test_a_pool_never_has_more_holders_than_its_limit_and_all_get_their_turn(redis_client: Redis) -> None:
    pools = [Slots(redis_client, {"deepgram": 3}) for _ in range(4)]
    lock, inside, most = threading.Lock(), 0, 0

    def call(number: int) -> bool:
        nonlocal inside, most
        with pools[number % 4].slot("deepgram"):
            with lock:
                inside += 1
                most = max(most, inside)
            held = pools[0].held("deepgram")
            with lock:
                inside -= 1
        return held <= 3

    with ThreadPoolExecutor(12) as threads:
        assert all(threads.map(call, range(120)))
    assert most <= 3
    assert pools[0].held("deepgram") == 0


def test_a_pool_without_a_limit_is_entered_at_once(redis_client: Redis) -> None:
    slots = Slots(redis_client, {"deepgram": 1})
    with slots.slot("openai"), slots.slot("openai"), slots.slot(None) as entered:
        assert entered


def test_who_gives_up_is_told_and_holds_nothing(redis_client: Redis) -> None:
    slots = Slots(redis_client, {"deepgram": 1})
    with slots.slot("deepgram"), slots.slot("deepgram", give_up=lambda: True) as entered:
        assert not entered
        assert slots.held("deepgram") == 1


def test_the_slot_of_a_process_that_was_killed_becomes_free(
    redis_client: Redis, redis_url: str, tmp_path: Path
) -> None:
    holder = tmp_path / "holder.py"
    holder.write_text(
        "import sys, redis, signal\n"
        "from vcon_platform.store.slots import Slots\n"
        "with Slots(redis.Redis.from_url(sys.argv[1]), {'deepgram': 1}, expiry=0.3).slot('deepgram'):\n"
        "    signal.pause()\n"
    )
    slots = Slots(redis_client, {"deepgram": 1}, expiry=0.3)
    root = Path(__file__).parents[2]
    with child(
        [sys.executable, holder, redis_url], tmp_path / "log", cwd=root, env={"PYTHONPATH": str(root)}
    ) as process:
        eventually(lambda: slots.held("deepgram") == 1, message="the other process holds it", interval=0.02)
        process.kill()
        with slots.slot("deepgram") as entered:
            assert entered


def test_a_slot_that_is_held_for_long_stays_held(redis_client: Redis) -> None:
    slots = Slots(redis_client, {"deepgram": 1}, expiry=0.2)
    over = threading.Event()
    threading.Timer(0.8, over.set).start()
    with slots.slot("deepgram"), slots.slot("deepgram", give_up=over.is_set) as entered:
        assert not entered


def test_an_error_in_the_block_frees_the_slot(redis_client: Redis) -> None:
    slots = Slots(redis_client, {"deepgram": 1})
    with pytest.raises(ValueError, match="no"), slots.slot("deepgram"):
        raise ValueError("no")
    assert slots.held("deepgram") == 0


def test_the_setting_names_pools_and_limits() -> None:
    assert Settings(_env_file=None, pools_setting=" deepgram:5, openai:20 ").pools == {"deepgram": 5, "openai": 20}
    assert Settings(_env_file=None).pools == {}


@pytest.mark.parametrize("text", ["deepgram", "deepgram:0", "deepgram:x", ":5", "a:1,a:2", "a b:1"])
def test_a_setting_that_cannot_be_is_told_with_the_cure(text: str) -> None:
    with pytest.raises(SettingsError, match="deepgram:5"):
        _ = Settings(_env_file=None, pools_setting=text).pools
