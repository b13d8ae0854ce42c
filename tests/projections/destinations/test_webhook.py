"""Rows posted to an address: what a receiver is told, once each, and what each of its answers means."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from redis import Redis

from tests.fakes.services import Answer
from tests.fakes.webhook_receiver import Receiver, webhook_receiver
from tests.projections.destination_suite import DAYS, SECRET, A, B, Declared, DestinationSuite, Stored, a_set, row
from tests.projections.destination_suite import suite_projection as declared
from tests.support import free_port
from vcon_platform.projections.destination import Connections, destination_kind
from vcon_platform.projections.destinations import calling
from vcon_platform.projections.destinations.webhook import WebhookDestination
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable, ProjectionInvalid
from vcon_platform.projections.model import Projection
from vcon_platform.services.redis import RedisServer

SECRET_KEY = b"a signing secret"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with webhook_receiver(SECRET_KEY) as running:
        yield running


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def waits(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> list[float]:
    """No time passes while a destination waits; how long it would have waited."""
    waited: list[float] = []
    monkeypatch.setattr(calling, "pause", waited.append)
    monkeypatch.setenv("WEBHOOK_URL", receiver.url)
    monkeypatch.setenv("WEBHOOK_SECRET", SECRET_KEY.decode())
    receiver.service.next.clear()
    receiver.refuses.clear()
    return waited


def connected(projection: Projection, redis: Redis) -> WebhookDestination:
    def never() -> Any:
        raise AssertionError("not needed")

    return WebhookDestination.connect(
        projection, Connections(postgres=never, redis=lambda: redis, objects=never, data_dir=Path("/nowhere"))
    )


@pytest.fixture
def projection() -> Projection:
    return declared("webhook", url="env:WEBHOOK_URL", signing_secret="env:WEBHOOK_SECRET")


@pytest.fixture
def destination(projection: Projection, redis: Redis) -> WebhookDestination:
    return connected(projection, redis)


class TestWebhookStandard(DestinationSuite):
    examples = 15

    @pytest.fixture
    def stored(self, receiver: Receiver, projection: Projection) -> Stored:
        return lambda: [each for rows in receiver.tables.get(projection.name, {}).values() for each in rows]

    @pytest.fixture
    def unreachable(self, projection: Projection, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> WebhookDestination:
        monkeypatch.setenv("WEBHOOK_URL", f"http://127.0.0.1:{free_port()}/{SECRET}")
        return connected(projection, redis)

    @pytest.fixture
    def refused(self, projection: Projection, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> WebhookDestination:
        monkeypatch.setenv("WEBHOOK_SECRET", SECRET)
        return connected(projection, redis)


def test_it_is_found_by_its_entry_point() -> None:
    assert destination_kind("webhook") is WebhookDestination


def test_numbers_keep_every_digit_and_times_are_in_utc(
    destination: WebhookDestination, projection: Projection, receiver: Receiver
) -> None:
    each = a_set(projection, A, DAYS[0], row(0, seconds="0.10000000000000000001", at="2026-03-01T10:30:00+01:00"))
    Declared(projection, [each]).land(destination)
    body = receiver.service.asked[-1].body
    assert b'"seconds":0.10000000000000000001' in body
    assert b'"at":"2026-03-01T09:30:00Z"' in body
    destination.erase(projection, [A])


def test_a_deletion_holds_no_row(destination: WebhookDestination, projection: Projection, receiver: Receiver) -> None:
    Declared(projection, [a_set(projection, A, DAYS[0], row(0, "secret words"))]).land(destination)
    destination.erase(projection, [A])
    told = orjson.loads(receiver.service.asked[-1].body)
    assert told == {"id": told["id"], "type": "rows.deleted", "projection": "suite", "uuid": A, "day": DAYS[0]}


def test_a_lost_answer_is_sent_again_under_the_same_id(
    destination: WebhookDestination, projection: Projection, receiver: Receiver
) -> None:
    receiver.service.next.append(Answer(503, {}, {"Retry-After": "2"}))
    receiver.service.asked.clear()
    Declared(projection, [a_set(projection, A, DAYS[0])]).land(destination)
    first, second = receiver.service.asked
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    destination.erase(projection, [A])


def test_it_waits_as_long_as_the_receiver_asks(
    destination: WebhookDestination, projection: Projection, receiver: Receiver, waits: list[float]
) -> None:
    receiver.service.next.append(Answer(429, {}, {"Retry-After": "17"}))
    Declared(projection, [a_set(projection, A, DAYS[0])]).land(destination)
    assert waits == [17]
    destination.erase(projection, [A])


def test_one_that_asks_for_too_much_patience_is_left_for_later(
    destination: WebhookDestination, projection: Projection, receiver: Receiver, waits: list[float]
) -> None:
    receiver.service.next.append(Answer(429, {}, {"Retry-After": "1800"}))
    with pytest.raises(DestinationUnavailable, match="the rows follow"):
        Declared(projection, [a_set(projection, A, DAYS[0])]).land(destination)
    assert waits == []


@pytest.mark.parametrize("answer", [Answer(200, b"cut off", cut=True), Answer(500, b"<html>"), Answer(408, b"")])
def test_what_may_pass_is_tried_again(
    destination: WebhookDestination, projection: Projection, receiver: Receiver, answer: Answer
) -> None:
    receiver.service.next.append(answer)
    landed = Declared(projection, [a_set(projection, A, DAYS[0])]).land(destination)
    assert list(landed.written) == [A]
    destination.erase(projection, [A])


def test_a_conversation_that_the_receiver_cannot_take_is_told_and_its_neighbours_land(
    destination: WebhookDestination, projection: Projection, receiver: Receiver
) -> None:
    """What it took of that conversation before is out of date: it is taken back."""
    told = Declared(projection, [a_set(projection, A, DAYS[0]), a_set(projection, B, DAYS[0])])
    told.land(destination)
    receiver.refuses.add(A)
    told.set(A, DAYS[0], row(0, "new"))
    told.set(B, DAYS[0], row(0, "new"))
    landed = told.land(destination)
    assert [(each.uuid, each.column, each.reason) for each in landed.rejected] == [
        (A, None, "the receiver answered with status 422")
    ]
    assert set(receiver.tables["suite"]) == {B}
    destination.erase(projection, [A, B])


def test_what_was_acknowledged_before_it_broke_off_is_not_sent_again(
    projection: Projection, redis: Redis, receiver: Receiver
) -> None:
    one_at_a_time = declared("webhook", url="env:WEBHOOK_URL", signing_secret="env:WEBHOOK_SECRET", at_once=1)
    destination = connected(one_at_a_time, redis)
    told = Declared(one_at_a_time, [a_set(projection, A, DAYS[0]), a_set(projection, B, DAYS[0])])
    receiver.service.next.extend([Answer(403, {})])
    with pytest.raises(DestinationError, match="check the key"):
        told.land(destination)
    receiver.service.asked.clear()
    assert list(told.land(destination).written) == [A, B]
    receiver.service.asked.clear()
    told.land(destination)
    assert receiver.service.asked == []
    destination.erase(projection, [A, B])


def test_a_row_that_does_not_fit_is_not_sent_again_at_every_landing(
    destination: WebhookDestination, projection: Projection, receiver: Receiver
) -> None:
    told = Declared(projection, [a_set(projection, A, DAYS[0], row(0), row(1, seconds="many"))])
    told.land(destination)
    receiver.service.asked.clear()
    assert len(told.land(destination).rejected) == 1
    assert receiver.service.asked == []
    destination.erase(projection, [A])


def test_a_projection_that_is_pointed_elsewhere_is_sent_there_as_a_whole(
    destination: WebhookDestination, projection: Projection, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Declared(projection, [a_set(projection, A, DAYS[0])])
    told.land(destination)
    elsewhere = declared("webhook", url="env:WEBHOOK_ELSEWHERE")
    with webhook_receiver() as other:
        monkeypatch.setenv("WEBHOOK_ELSEWHERE", other.url)
        there = connected(elsewhere, redis)
        Declared(elsewhere, told.sets.values()).land(there)
        assert set(other.tables["suite"]) == {A}
        there.erase(elsewhere, [A])
    destination.erase(projection, [A])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({}, "url"),
        ({"url": "ftp://example.com/"}, "must be an address"),
        ({"url": "env:POSTGRES_URL"}, "may not name the variable POSTGRES_URL"),
        ({"url": "env:WEBHOOK_URL", "signing_secret": "plain"}, "must be a reference"),
        ({"url": "env:WEBHOOK_URL", "headers": {"Authorization": "Bearer x"}}, "holds a secret"),
        ({"url": "env:WEBHOOK_URL", "at_once": 100}, "at_once"),
        ({"url": "env:WEBHOOK_URL", "sing": True}, "sing"),
    ],
)
def test_a_declaration_that_cannot_be_served_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionInvalid, match=told):
        WebhookDestination.check(declared("webhook", **options))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"url": "https://127.0.0.1/in"}, "not a public one"),
        ({"url": "https://hooks.example.com/in", "headers": {"X-Key": "env:WEBHOOK_SECRET"}}, "VCON_WEBHOOK_HOSTS"),
        ({"url": "env:WEBHOOK_NOWHERE"}, "WEBHOOK_NOWHERE.* is not set"),
        ({"url": "env:WEBHOOK_URL", "signing_secret": "env:WEBHOOK_BROKEN"}, "no base64"),
    ],
)
def test_what_this_installation_does_not_allow_is_not_called(
    options: dict[str, Any], told: str, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_BROKEN", "whsec_%%%")
    with pytest.raises(DestinationError, match=told):
        connected(declared("webhook", **options), redis)


def test_the_target_tells_no_key_of_an_address() -> None:
    shown = WebhookDestination.target(declared("webhook", url="https://hooks.example.com/T0/secret?key=1"))
    assert shown == "https://hooks.example.com (suite)"
