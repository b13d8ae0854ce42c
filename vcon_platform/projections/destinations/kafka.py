"""Kafka as a destination: every change of a conversation's rows as a record of a topic, keyed by its uuid.

Belongs here: the options, the topic, producing. Not here: the message and what was sent already (``messages.py``).

A record holds a conversation's whole set and a tombstone (no value) its deletion, so a compacted topic comes to hold
what a table would. A log cannot be asked cheaply what it holds, nor does it forget at once: an older record of a
conversation is gone when the topic has been compacted. So the topic is made compacted, and one that is not is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from vcon_platform.projections.destination import Connections, Step
from vcon_platform.projections.destinations.calling import needed
from vcon_platform.projections.destinations.messages import DELETED, Message, MessageDestination, Receipt
from vcon_platform.projections.destinations.option_fields import seconds_to_answer, secret
from vcon_platform.projections.errors import DestinationError, DestinationUnavailable, SchemaConflict
from vcon_platform.projections.model import Projection
from vcon_platform.references import reference

if TYPE_CHECKING:
    from redis import Redis

TITLE = "Kafka"
PORTION = 1_000
"""Records between two notes of what was acknowledged."""
_TOPIC = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,248}")
_KAFKA = reference("KAFKA_")


def _topic_name(value: str) -> str:
    if value and not _TOPIC.fullmatch(value):
        raise ValueError("must be a name of a topic: letters, digits, '.', '_', '-'")
    return value


class KafkaOptions(BaseModel):
    """What ``kafka`` must be told."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    servers: Annotated[str, AfterValidator(_KAFKA)] = Field(
        default="env:KAFKA_SERVERS",
        title="Servers",
        description="env:KAFKA_SERVERS, or another variable of that kind: host:9092,host:9092.",
    )
    topic: Annotated[str, AfterValidator(_topic_name)] = Field(
        default="", title="Topic", description="The topic; by default vcon. and the projection's name."
    )
    tls: bool = Field(default=False, title="TLS", description="Connect by TLS. The servers' certificates are checked.")
    user: Annotated[str, AfterValidator(_KAFKA)] = secret("User", "env:KAFKA_…: the user's name.")
    password: Annotated[str, AfterValidator(_KAFKA)] = secret("Password", "env:KAFKA_…: the user's password.")
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field(
        default="SCRAM-SHA-512", title="Mechanism", description="How the user signs in (SASL)."
    )
    partitions: int = Field(default=1, ge=1, le=1000, title="Partitions", description="Of a new topic.")
    replicas: int | None = Field(
        default=None, ge=1, le=10, title="Replicas", description="Of a new topic. By default the servers'."
    )
    answer_within: float = seconds_to_answer(
        "Seconds within which a record must be acknowledged by all replicas in sync."
    )


class KafkaDestination(MessageDestination):
    """Changes of rows as records of a topic."""

    kind: ClassVar[str] = "kafka"
    title: ClassVar[str] = TITLE
    options: ClassVar[type[BaseModel]] = KafkaOptions

    def __init__(self, client: Redis, settings: dict[str, Any], seconds: float) -> None:
        super().__init__(client)
        self._settings = settings
        self._seconds = seconds
        self._producer_made: Any = None
        self._ready: set[str] = set()
        self._denied = False

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:
        try:
            import confluent_kafka
        except ImportError:
            raise DestinationError(
                f"projection {projection.name}: {TITLE} needs a package more: pip install 'vcon-platform[kafka]'"
            ) from None
        del confluent_kafka
        options = _options(projection)
        settings: dict[str, Any] = {
            "bootstrap.servers": needed(projection.name, TITLE, "servers", options.servers),
            "client.id": "vcon-platform",
            "security.protocol": f"{'SASL_' if options.user or options.password else ''}"
            f"{'SSL' if options.tls else 'PLAINTEXT'}",
            "socket.timeout.ms": int(min(options.answer_within, 60) * 1000),
            "log_level": 0,  # its words may quote addresses
        }
        if options.user or options.password:
            settings |= {
                "sasl.mechanism": options.mechanism,
                "sasl.username": needed(projection.name, TITLE, "user", options.user),
                "sasl.password": needed(projection.name, TITLE, "password", options.password),
            }
        return cls(connections.redis(), settings, options.answer_within)

    @classmethod
    def target(cls, projection: Projection) -> str:
        return _options(projection).topic or f"vcon.{projection.name}"

    def ensure(self, projection: Projection) -> None:
        """Makes the topic, compacted. Raises SchemaConflict for one that is there and forgets by time."""
        topic = self.target(projection)
        if topic in self._ready:
            return
        policy = self._policy(projection)
        if policy is None:
            self._create(projection)
        elif "compact" not in policy:
            raise SchemaConflict(_not_compacted(projection, topic))
        self._ready.add(topic)

    def plan(self, projection: Projection) -> list[Step]:
        topic, policy = self.target(projection), self._policy(projection)
        if policy is None:
            return [Step(f"kafka-topics --create --topic {topic} --config cleanup.policy=compact")]
        if "compact" not in policy:
            statement = f"kafka-configs --alter --topic {topic} --add-config cleanup.policy=compact"
            return [Step(statement, refused=_not_compacted(projection, topic))]
        return []

    def send(self, projection: Projection, messages: Sequence[Message]) -> Iterator[Sequence[Receipt]]:
        from confluent_kafka import KafkaError, KafkaException

        topic, producer = self.target(projection), self._producer()
        too_much = (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD)
        for at in range(0, len(messages), PORTION):
            receipts: list[Receipt] = []
            failed: list[Any] = []

            def delivered(error: Any, _: Any, message: Message) -> None:
                if error is None:
                    receipts.append(Receipt(message))  # noqa: B023 - all have come before the next portion begins
                elif error.code() in too_much:
                    receipts.append(Receipt(message, f"the topic refuses it: {error.name()}"))  # noqa: B023
                else:
                    failed.append(error)  # noqa: B023

            for message in messages[at : at + PORTION]:
                headers = [("id", message.id.encode()), ("type", message.type.encode())]
                value = None if message.type == DELETED else message.body
                try:
                    producer.produce(
                        topic,
                        key=message.uuid.encode(),
                        value=value,
                        headers=headers,
                        on_delivery=lambda error, record, message=message: delivered(error, record, message),
                    )
                except KafkaException as error:  # larger than the client itself may send
                    delivered(error.args[0], None, message)
            producer.flush()  # ends: every record is acknowledged or given up within its time
            yield receipts
            if failed:
                raise self._explained(projection, failed[0])

    def _producer(self) -> Any:
        if self._producer_made is None:
            from confluent_kafka import Producer

            self._producer_made = Producer(
                self._settings
                | {
                    "enable.idempotence": True,
                    "acks": "all",
                    "delivery.timeout.ms": int(self._seconds * 1000),
                    "linger.ms": 5,
                    "compression.type": "zstd",
                    "queue.buffering.max.messages": PORTION * 2,
                    "queue.buffering.max.kbytes": 1 << 20,
                    "error_cb": self._heard,
                }
            )
        return self._producer_made

    def _heard(self, error: Any) -> None:
        """The client tells by the way that it was not let in; the records only run out of time."""
        from confluent_kafka import KafkaError

        self._denied = self._denied or error.code() == KafkaError._AUTHENTICATION

    def _admin(self) -> Any:
        from confluent_kafka.admin import AdminClient

        return AdminClient(self._settings | {"error_cb": self._heard})

    def _policy(self, projection: Projection) -> str | None:
        """The topic's cleanup policy; None where there is no such topic."""
        from confluent_kafka import KafkaException
        from confluent_kafka.admin import ConfigResource, ResourceType

        topic, admin = self.target(projection), self._admin()
        try:
            found = admin.list_topics(timeout=min(self._seconds, 30))
            if topic not in found.topics:
                return None
            resource = ConfigResource(ResourceType.TOPIC, topic)
            told = admin.describe_configs([resource], request_timeout=min(self._seconds, 30))[resource].result()
        except KafkaException as error:
            admin.poll(0)  # hears what the client tells by the way
            raise self._explained(projection, error.args[0]) from None
        return str(told["cleanup.policy"].value)

    def _create(self, projection: Projection) -> None:
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.admin import NewTopic

        topic, options = self.target(projection), _options(projection)
        wanted = NewTopic(
            topic,
            num_partitions=options.partitions,
            replication_factor=options.replicas or -1,
            config={"cleanup.policy": "compact"},
        )
        admin = self._admin()
        try:
            admin.create_topics([wanted], request_timeout=min(self._seconds, 30))[topic].result()
        except KafkaException as error:
            if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                raise self._explained(projection, error.args[0]) from None

    def _explained(self, projection: Projection, error: Any) -> DestinationError:
        """The client's error by its name: its text may quote an address."""
        from confluent_kafka import KafkaError

        place = f"projection {projection.name}: {TITLE}, topic {self.target(projection)}"
        denied = (
            KafkaError._AUTHENTICATION,
            KafkaError.SASL_AUTHENTICATION_FAILED,
            KafkaError.TOPIC_AUTHORIZATION_FAILED,
            KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        )
        if self._denied or error.code() in denied:
            return DestinationError(f"{place}: is refused ({error.name()}); check user, password and rights")
        away = (
            KafkaError._MSG_TIMED_OUT,
            KafkaError._TIMED_OUT,
            KafkaError._TRANSPORT,
            KafkaError._ALL_BROKERS_DOWN,
            KafkaError._RESOLVE,
            KafkaError._PURGE_QUEUE,
        )
        if error.retriable() or error.code() in away:
            return DestinationUnavailable(
                f"{place}: cannot be reached or is too busy ({error.name()}); the rows follow at the next try"
            )
        return DestinationError(f"{place}: {error.name()}")


def _options(projection: Projection) -> KafkaOptions:
    return KafkaOptions.model_validate(dict(projection.options_for(KafkaDestination.kind)))


def _not_compacted(projection: Projection, topic: str) -> str:
    return (
        f"projection {projection.name}: topic {topic} is not compacted: it would keep what was erased, and forget what "
        f"is still true. Give the projection another topic, or let this one be compacted (cleanup.policy=compact)"
    )
