"""Deliveries: what came of an effect decides where it goes, and one that fails stops no other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import orjson
import pytest
from redis import Redis

from vcon_platform.ledger.events import read_event
from vcon_platform.pipelines import deliveries
from vcon_platform.pipelines.deliveries import deliver, effects_outbox
from vcon_platform.processors.base import (
    Effect,
    Lent,
    OutcomeUnknown,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    TransientError,
)
from vcon_platform.processors.registry import Registry
from vcon_platform.store import keys
from vcon_platform.store.effects import EffectsOutbox, new_effect

UUID = "018f3a2b-4c5d-8e6f-9012-3456789abcde"


class Postman(Processor[ProcessorOptions]):
    """Does what the effect says."""

    name = "postman"
    version = "1"
    title = "Postman"
    description = "Does what the effect says."

    def __init__(self) -> None:
        self.done: list[Mapping[str, Any]] = []

    def process(self, io: ProcessorIO, options: ProcessorOptions) -> ProcessorIO:
        return io

    def deliver(self, effect: Effect, key: str) -> None:
        match effect.body["do"]:
            case "busy":
                raise TransientError("the server is busy")
            case "wait":
                raise TransientError("the server is busy", retry_after=5000)
            case "refuse":
                raise PermanentError("no such recipient")
            case "break":
                raise OutcomeUnknown("the connection broke")
            case "bug":
                raise ValueError("+1 555 0100")
        self.done.append(effect.body)


@pytest.fixture
def outbox(redis_client: Redis) -> EffectsOutbox:
    return effects_outbox(redis_client)


def run(outbox: EffectsOutbox, client: Redis, *what: str, processor: str = "postman", **how: Any) -> dict[str, int]:
    for number, do in enumerate(what):
        body = {"do": do, "number": number}
        client.rpush(keys.EFFECTS, new_effect(UUID, "notes", "mail", processor, "1", body, "a mail", batch_id="b"))
    registry = Registry({"postman": Postman})
    return {state: n for state, n in deliver(outbox, registry.instance, owner="run-1", **how).counts.items() if n}


@pytest.mark.parametrize(
    ("do", "state"),
    [("send", "sent"), ("busy", "later"), ("refuse", "refused"), ("break", "uncertain"), ("bug", "uncertain")],
)
def test_what_came_of_it_decides_where_it_goes(outbox: EffectsOutbox, redis_client: Redis, do: str, state: str) -> None:
    assert run(outbox, redis_client, do) == {state: 1}
    assert outbox.counts()[state] == 1


def test_one_that_fails_stops_no_other(outbox: EffectsOutbox, redis_client: Redis) -> None:
    what = ["send", "bug", "refuse", "break", "busy"] * 3
    assert run(outbox, redis_client, *what) == {"sent": 3, "refused": 3, "uncertain": 6, "later": 3}


def test_no_more_are_begun_than_asked_for(outbox: EffectsOutbox, redis_client: Redis) -> None:
    assert run(outbox, redis_client, *["send"] * 7, limit=5) == {"sent": 5}


def test_none_is_begun_after_the_time_is_up(outbox: EffectsOutbox, redis_client: Redis) -> None:
    assert run(outbox, redis_client, "send", seconds=0) == {}
    assert outbox.counts()["waiting"] == 1


def test_a_processor_that_is_gone_refuses_by_name(outbox: EffectsOutbox, redis_client: Redis) -> None:
    assert run(outbox, redis_client, "send", processor="telegraph") == {"refused": 1}
    assert "telegraph" in outbox.entries("refused")[0].reason


def test_a_passing_fault_becomes_a_lasting_one_in_the_end(
    outbox: EffectsOutbox, redis_client: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "TRIES", 1)
    assert run(outbox, redis_client, "busy") == {"refused": 1}
    assert outbox.entries("refused")[0].reason == "the server is busy; given up after 1 tries"


def test_what_the_server_asked_to_wait_is_waited(outbox: EffectsOutbox, redis_client: Redis) -> None:
    run(outbox, redis_client, "wait")
    [effect] = outbox.entries("later")
    seconds, _ = redis_client.time()
    assert 4900 < effect.since - seconds <= 5001


def test_the_ledger_is_told_what_and_why_and_nothing_personal(outbox: EffectsOutbox, redis_client: Redis) -> None:
    run(outbox, redis_client, "send", "refuse", "bug")
    entries = cast("list[Any]", redis_client.xrange(keys.OUTBOX))
    raws = [event for _, fields in entries for event in orjson.loads(fields[b"events"])]
    events = [read_event(raw) for raw in raws]
    assert {(event.event, event.detail.get("reason")) for event in events} == {
        ("sent", None),
        ("not_sent", "no such recipient"),
        ("not_sent", "unexpected ValueError in processor postman"),
    }
    assert {(event.vcon_uuid, event.pipeline, event.batch_id) for event in events} == {(UUID, "notes", "b")}


def test_what_the_platform_lends_is_there_when_an_effect_is_carried_out(redis_client: Redis) -> None:
    lent = Lent(cast("Any", None), cast("Any", None))
    seen: list[Lent | None] = []

    class Borrower(Postman):
        name = "borrower"

        def deliver(self, effect: Effect, key: str) -> None:
            seen.append(effect.lent)

    outbox = effects_outbox(redis_client)
    redis_client.rpush(keys.EFFECTS, new_effect(UUID, "notes", "mail", "borrower", "1", {"do": "it"}))
    deliver(outbox, Registry({"borrower": Borrower}).instance, owner="run-1", lent=lent)
    assert seen == [lent]
