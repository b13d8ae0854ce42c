"""Keys: made once, shown once, kept as a hash, and no longer good when they expire or are revoked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from redis import Redis

from vcon_platform.access.caller import NotKnown, Visible
from vcon_platform.access.gatekeeper import REMEMBERED, Gatekeeper
from vcon_platform.access.keys import KeyRefused, KeyStore, UnknownKey
from vcon_platform.access.limits import RateLimits, whole_seconds
from vcon_platform.access.scopes import ScopeRefused


@pytest.fixture
def store(redis_client: Redis) -> KeyStore:
    return KeyStore(redis_client)


def test_a_key_is_good_with_all_that_it_was_made_with(store: KeyStore) -> None:
    key, text = store.create(
        " Night shift ", ["read", "ingest:recall", "read"], tenant="acme", visible=Visible(("chat",)), rate=5
    )
    assert store.check(text) == key
    caller = key.caller()
    assert (caller.label, caller.tenant, caller.rate) == ("Night shift", "acme", 5)
    assert caller.scopes == {"read", "ingest:recall"}
    assert caller.visible == Visible(("chat",))


def test_nothing_in_redis_gives_the_key_away(store: KeyStore, redis_client: Redis) -> None:
    _, text = store.create("x", ["read"])
    secret = text.rpartition("_")[2]
    assert secret not in str(redis_client.hgetall("access:keys"))


def test_another_secret_with_the_id_of_a_key_is_not_good(store: KeyStore) -> None:
    key, text = store.create("x", ["read"])
    other = "A" if text[-1] != "A" else "B"
    assert store.check(text[:-1] + other) is None
    assert store.check(f"vcp_{key.id}_") is None


@pytest.mark.parametrize("text", ["", "vcp_", "Bearer x", "vcp_aaaaaaaaaa_" + "a" * 43, "\x00", "é" * 60])
def test_what_is_no_key_is_not_good(store: KeyStore, text: str) -> None:
    assert store.check(text) is None


def test_a_revoked_key_is_not_good_and_stays_listed(store: KeyStore) -> None:
    key, text = store.create("x", ["read"])
    revoked = store.revoke(key.id)
    assert store.check(text) is None
    assert [each.state() for each in store.list()] == ["revoked"]
    assert store.revoke(key.id) == revoked


def test_a_key_is_good_until_it_expires(store: KeyStore) -> None:
    key, text = store.create("x", ["read"], expires_at=datetime.now(UTC) + timedelta(hours=1))
    assert store.check(text) is not None
    assert key.state(datetime.now(UTC) + timedelta(hours=1)) == "expired"


def test_keys_that_make_no_sense_are_refused(store: KeyStore) -> None:
    with pytest.raises(KeyRefused, match="scope"):
        store.create("x", [])
    with pytest.raises(KeyRefused, match="label"):
        store.create(" ", ["read"])
    with pytest.raises(KeyRefused, match="passed"):
        store.create("x", ["read"], expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    with pytest.raises(ScopeRefused):
        store.create("x", ["root"])
    with pytest.raises(UnknownKey):
        store.revoke("nobody")
    assert store.list() == []


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_gatekeeper_knows_the_administrator_without_redis() -> None:
    def no_redis() -> KeyStore:
        raise AssertionError("Redis was asked")

    assert Gatekeeper("secret", no_redis).caller("secret").may("admin")
    with pytest.raises(NotKnown):
        Gatekeeper("secret", no_redis).caller("other")


def test_a_revoked_key_is_remembered_for_two_seconds_at_most(store: KeyStore) -> None:
    clock = Clock()
    keeper = Gatekeeper("secret", lambda: store, clock=clock)
    key, text = store.create("x", ["read"])
    assert keeper.caller(text).id == key.id
    store.revoke(key.id)
    assert keeper.remembered(text) is not None
    clock.now = REMEMBERED
    with pytest.raises(NotKnown, match="revoked"):
        keeper.caller(text)


def test_a_caller_may_ask_as_often_as_its_rate_says() -> None:
    clock = Clock()
    limits = RateLimits(clock)
    answers = [limits.wait("a", 5) for _ in range(12)]
    assert answers[:10] == [0.0] * 10
    assert answers[10] == pytest.approx(0.2)
    assert limits.wait("b", 5) == 0, "another caller's limit is its own"
    assert limits.wait("a", 0) == 0, "no limit"
    clock.now = 0.2
    assert limits.wait("a", 5) == 0
    assert whole_seconds(limits.wait("a", 5)) == 1


def test_a_slow_rate_lets_one_request_pass() -> None:
    limits = RateLimits(Clock())
    assert limits.wait("a", 0.1) == 0
    assert limits.wait("a", 0.1) == pytest.approx(10)
