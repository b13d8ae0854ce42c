"""Accounts: sums by day, month and in all, each use counted once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from vcon_platform.store import keys
from vcon_platform.store.accounts import Accounts, Span, period

NOW = datetime(2026, 7, 30, 23, 30, tzinfo=UTC)


def _add(accounts: Accounts, at: datetime = NOW, event_id: str = "e", **amounts: str) -> None:
    accounts.add("notes", amounts, at, event=b"{}", event_id=event_id)


@pytest.mark.parametrize(
    ("span", "later", "sums"),
    [
        ("day", timedelta(0), {"price": 0.1, "calls": 1}),
        ("day", timedelta(hours=1), {"price": 0.2, "calls": 1}),
        ("day", timedelta(days=2), {}),
        ("month", timedelta(hours=1), {"price": 0.3, "calls": 2}),
        ("month", timedelta(days=2), {}),
        ("total", timedelta(days=2), {"price": 0.3, "calls": 2}),
    ],
)
def test_a_use_counts_in_its_day_its_month_and_in_all(
    redis_client: Redis, span: Span, later: timedelta, sums: dict[str, float]
) -> None:
    accounts = Accounts(redis_client)
    _add(accounts, price="0.1", calls="1", event_id="a")
    _add(accounts, NOW + timedelta(hours=1), price="0.2", calls="1", event_id="b")
    assert accounts.read("notes", span, NOW + later) == pytest.approx(sums)


def test_another_pipeline_has_an_account_of_its_own(redis_client: Redis) -> None:
    accounts = Accounts(redis_client)
    _add(accounts, calls="1")
    assert accounts.read("other", "total", NOW) == {}


def test_a_use_that_is_told_again_counts_once_and_is_one_event(redis_client: Redis) -> None:
    accounts = Accounts(redis_client)
    for _ in range(3):
        _add(accounts, calls="1")
    assert accounts.read("notes", "total", NOW) == {"calls": 1}
    assert redis_client.xlen(keys.OUTBOX) == 1


def test_uses_at_once_are_all_counted(redis_client: Redis) -> None:
    accounts = Accounts(redis_client)
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: _add(accounts, tokens="3", event_id=str(number)), range(200)))
    assert accounts.read("notes", "day", NOW) == {"tokens": 600}


def test_days_and_months_are_forgotten_and_the_total_is_not(redis_client: Redis) -> None:
    _add(Accounts(redis_client), calls="1")
    stays = {span: redis_client.ttl(keys.account("notes", period(span, NOW))) for span in ("day", "month", "total")}
    assert stays["total"] == -1
    assert 31 * 86400 < stays["day"] < stays["month"]


def test_a_run_has_an_account_too_for_as_long_as_it_may_be_asked(redis_client: Redis) -> None:
    accounts = Accounts(redis_client)
    for number in range(2):
        accounts.add("notes", {"calls": "1"}, NOW, event=b"{}", event_id=str(number), run_id="run-1")
    assert accounts.read_run("run-1") == accounts.read("notes", "day", NOW) == {"calls": 2}
    assert redis_client.ttl(keys.run_account("run-1")) > 3600
