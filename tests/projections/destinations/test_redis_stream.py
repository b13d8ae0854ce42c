"""Rows as entries of a stream, in a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from redis import Redis

from tests.projections.destination_suite import DAYS, SECRET, A, B, Declared, DestinationSuite, Stored, a_set, row
from tests.projections.destination_suite import suite_projection as declared
from tests.projections.support import with_redis
from tests.support import free_port
from vcon_platform.projections.destination import destination_kind
from vcon_platform.projections.destinations.redis_stream import RedisStreamDestination
from vcon_platform.projections.errors import DestinationError, ProjectionInvalid
from vcon_platform.projections.model import Projection
from vcon_platform.services.redis import RedisServer

STREAM = "projection:suite"


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as client:
        yield client


def entries(redis: Redis, stream: str = STREAM) -> list[dict[str, Any]]:
    found: Any = redis.xrange(stream)
    return [{name.decode(): value.decode() for name, value in fields.items()} for _, fields in found]


def connected(projection: Projection, redis: Redis) -> RedisStreamDestination:
    return RedisStreamDestination.connect(projection, with_redis(redis))


@pytest.fixture
def projection() -> Projection:
    return declared("redis_stream")


@pytest.fixture
def destination(projection: Projection, redis: Redis) -> RedisStreamDestination:
    return connected(projection, redis)


class TestRedisStreamStandard(DestinationSuite):
    @pytest.fixture
    def stored(self, redis: Redis) -> Stored:
        def rows() -> list[dict[str, Any]]:
            table: dict[str, list[dict[str, Any]]] = {}
            for entry in entries(redis):
                told = orjson.loads(entry["message"])
                table[told["uuid"]] = told.get("rows", [])
            return [each for own in table.values() for each in own]

        return rows

    @pytest.fixture
    def unreachable(self, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> RedisStreamDestination:
        monkeypatch.setenv("REDIS_STREAM_URL", f"redis://:{SECRET}@127.0.0.1:{free_port()}/0")
        return connected(declared("redis_stream", url="env:REDIS_STREAM_URL"), redis)

    @pytest.fixture
    def refused(
        self, redis: Redis, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> RedisStreamDestination:
        monkeypatch.setenv("REDIS_STREAM_URL", redis_server.url.replace("test-password", SECRET))
        return connected(declared("redis_stream", url="env:REDIS_STREAM_URL"), redis)


def test_it_is_found_by_its_entry_point() -> None:
    assert destination_kind("redis_stream") is RedisStreamDestination


def test_the_stream_holds_the_newest_entry_of_each_conversation(
    destination: RedisStreamDestination, projection: Projection, redis: Redis
) -> None:
    redis.flushdb()
    told = Declared(projection, [a_set(projection, A, DAYS[0]), a_set(projection, B, DAYS[0])])
    told.land(destination)
    told.set(A, DAYS[1], row(0, "new"))
    told.land(destination)
    assert [(entry["uuid"], entry["day"]) for entry in entries(redis)] == [(B, DAYS[0]), (A, DAYS[1])]
    destination.erase(projection, [A, B])


def test_an_erasure_leaves_no_row_in_redis(
    destination: RedisStreamDestination, projection: Projection, redis: Redis
) -> None:
    redis.flushdb()
    Declared(projection, [a_set(projection, A, DAYS[0], row(0, "private words"))]).land(destination)
    destination.erase(projection, [A])
    assert [entry["type"] for entry in entries(redis)] == ["rows.deleted"]
    assert "private words" not in str(entries(redis))
    assert redis.hgetall(f"{STREAM}:entries") == {}


def test_a_stream_with_a_limit_drops_the_oldest(redis: Redis) -> None:
    projection = declared("redis_stream", stream="projection:short", at_most=1)
    destination = connected(projection, redis)
    sets = [a_set(projection, f"018f2b6e-4c1d-8a52-9f7e-{n:012x}", DAYS[0]) for n in range(300)]
    Declared(projection, sets).land(destination)
    assert int(redis.xlen("projection:short")) < 300
    destination.erase(projection, [each.uuid for each in sets])


def test_a_key_that_is_no_stream_is_told(redis: Redis, redis_server: RedisServer) -> None:
    redis.set("projection:taken", "x")
    projection = declared("redis_stream", stream="projection:taken")
    with pytest.raises(DestinationError, match="something else than a stream"):
        Declared(projection, [a_set(projection, A, DAYS[0])]).land(connected(projection, redis))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"stream": "ledger:outbox"}, "must begin with 'projection:'"),
        ({"url": "redis://:secret@host/"}, "must be a reference"),
        ({"url": "env:REDIS_URL"}, "may not name"),
        ({"stream": "a b"}, "must be a name"),
        ({"at_most": -1}, "at_most"),
    ],
)
def test_a_declaration_that_cannot_be_served_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionInvalid, match=told):
        RedisStreamDestination.check(declared("redis_stream", **options))


def test_in_a_redis_of_ones_own_a_stream_may_have_any_name() -> None:
    RedisStreamDestination.check(declared("redis_stream", url="env:REDIS_STREAM_URL", stream="crm:calls"))
