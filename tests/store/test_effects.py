"""Effects: each is in exactly one state, carried out once, and the ledger is told once."""

from __future__ import annotations

from contextlib import suppress
from typing import Any, cast

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from vcon_platform.store import keys
from vcon_platform.store.effects import EffectsOutbox, EffectUnknown, KeptEffect, new_effect

UUID = "018f3a2b-4c5d-8e6f-9012-3456789abcde"


def entry(body: Any = "hello", **about: Any) -> bytes:
    given = {"vcon_uuid": UUID, "pipeline": "notes", "step": "mail", "processor": "send_email", "version": "1", **about}
    return new_effect(**given, body={"text": body}, summary="a mail")


def event_of(effect: KeptEffect, sent: bool, reason: str) -> bytes:
    return orjson.dumps([effect.key, sent, reason])


@pytest.fixture
def outbox(redis_client: Redis) -> EffectsOutbox:
    return EffectsOutbox(redis_client, event_of)


def ask(client: Redis, *entries: bytes) -> None:
    client.rpush(keys.EFFECTS, *(entries or [entry()]))


def begin(outbox: EffectsOutbox, owner: str = "run-1") -> KeptEffect:
    [effect] = outbox.claim(1, owner)
    return effect


def told(client: Redis) -> list[Any]:
    """The events in the outbox of the ledger: [sent, reason]."""
    entries = cast("list[Any]", client.xrange(keys.OUTBOX))
    return [event[1:] for _, fields in entries for event in orjson.loads(fields[b"events"])]


def states(outbox: EffectsOutbox) -> dict[str, int]:
    return {state: count for state, count in outbox.counts().items() if count}


# --- the key ---------------------------------------------------------------------------------------------------


def _key(raw: bytes) -> str:
    return str(orjson.loads(raw)["key"])


def test_the_key_does_not_depend_on_run_time_or_order_of_members() -> None:
    one = new_effect(UUID, "p", "s", "m", "1", {"a": 1, "b": 2}, "x", batch_id="1", run_id="1")
    other = new_effect(UUID, "p", "s", "m", "1", {"b": 2, "a": 1}, "y", batch_id="2", run_id="2")
    assert _key(one) == _key(other)


def test_what_it_is_about_goes_before_what_it_says() -> None:
    one = new_effect(UUID, "p", "s", "m", "1", {"said": 1}, about={"to": "x"})
    same = new_effect(UUID, "p", "s", "m", "1", {"said": 2}, about={"to": "x"})
    other = new_effect(UUID, "p", "s", "m", "1", {"said": 1}, about={"to": "y"})
    assert _key(one) == _key(same) != _key(other)


@pytest.mark.parametrize("other", [{"vcon_uuid": "x"}, {"pipeline": "x"}, {"step": "x"}, {"version": "2"}, {"body": 1}])
def test_another_purpose_or_content_is_another_effect(other: dict[str, Any]) -> None:
    assert _key(entry(**other)) != _key(entry())


# --- once ------------------------------------------------------------------------------------------------------


def test_what_was_sent_is_forgotten_but_for_its_key(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    assert outbox.sent(begin(outbox), "run-1")
    assert states(outbox) == {"sent": 1}
    assert redis_client.keys("effects:*") == [b"effects:sent"]


def test_what_is_asked_for_again_is_not_sent_again_and_told_once(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client, entry(), entry())
    outbox.sent(begin(outbox), "run-1")
    ask(redis_client, entry())
    assert outbox.claim(5, "run-1") == []
    assert told(redis_client) == [[True, ""]]


def test_what_is_being_sent_is_not_begun_by_another(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    begin(outbox)
    ask(redis_client)
    assert outbox.claim(5, "run-2") == []


def test_one_that_was_refused_is_tried_when_it_is_asked_for_again(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    outbox.refuse(begin(outbox), "run-1", "no such recipient")
    ask(redis_client)
    assert begin(outbox).reason == ""
    assert states(outbox) == {"sending": 1}


def test_a_sent_key_is_forgotten_after_its_time(redis_client: Redis) -> None:
    outbox = EffectsOutbox(redis_client, event_of, keep_seconds=0)
    ask(redis_client)
    outbox.sent(begin(outbox), "run-1")
    ask(redis_client)
    assert begin(outbox).tries == 1


def test_a_forgotten_one_is_sent_again(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    effect = begin(outbox)
    outbox.sent(effect, "run-1")
    assert outbox.forget(effect.key)
    ask(redis_client)
    assert begin(outbox).key == effect.key


# --- what goes wrong -------------------------------------------------------------------------------------------


def test_a_passing_fault_puts_it_off(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    assert outbox.later(begin(outbox), "run-1", 3600, "busy")
    assert outbox.claim(1, "run-1") == []
    [effect] = outbox.entries("later")
    assert (effect.reason, effect.tries) == ("busy", 1)


def test_one_that_is_due_again_goes_before_those_that_wait(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client, entry("first"), entry("second"))
    outbox.later(begin(outbox), "run-1", 0, "busy")
    effect = begin(outbox)
    assert (effect.body, effect.tries) == ({"text": "first"}, 2)


def test_a_refused_one_is_told_with_its_reason(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    assert outbox.refuse(begin(outbox), "run-1", "no such recipient")
    assert told(redis_client) == [[False, "no such recipient"]]
    assert states(outbox) == {"refused": 1}


def test_one_whose_process_died_is_uncertain_and_not_tried_again(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    begin(outbox)
    assert outbox.settle_uncertain(0) == 1
    ask(redis_client)
    assert outbox.claim(1, "run-2") == []
    assert states(outbox) == {"uncertain": 1}
    assert [sent for sent, _ in told(redis_client)] == [False]


def test_one_that_was_begun_just_now_is_not_uncertain(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    begin(outbox)
    assert outbox.settle_uncertain(60) == 0


def test_a_slow_one_that_comes_off_after_all_counts_as_sent(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    effect = begin(outbox)
    outbox.settle_uncertain(0)
    assert outbox.sent(effect, "run-1")
    assert states(outbox) == {"sent": 1}


def test_only_who_began_it_can_end_it(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    effect = begin(outbox)
    ends = [
        outbox.sent(effect, "run-2"),
        outbox.later(effect, "run-2", 1, "x"),
        outbox.refuse(effect, "run-2", "x"),
        outbox.doubt(effect, "run-2", "x"),
    ]
    assert ends == [False] * 4
    assert told(redis_client) == []


def test_what_is_no_effect_is_put_out_of_the_way(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client, b'{"key":"abc123"}', b"[" * 5000, entry())
    assert [effect.body for effect in outbox.claim(3, "run-1")] == [{"text": "hello"}]
    assert outbox.claim(3, "run-1") == []
    assert outbox.settle_uncertain(0) == 1


# --- what an operator decides ----------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["later", "refused", "uncertain"])
def test_resend_has_it_tried_again(outbox: EffectsOutbox, redis_client: Redis, state: str) -> None:
    ask(redis_client)
    effect = begin(outbox)
    _put(outbox, effect, state)
    assert outbox.resend(effect.key).key == effect.key
    again = begin(outbox)
    assert (again.key, again.tries) == (effect.key, 1)


@pytest.mark.parametrize("state", ["later", "refused", "uncertain"])
def test_drop_gives_it_up_and_tells(outbox: EffectsOutbox, redis_client: Redis, state: str) -> None:
    ask(redis_client)
    effect = begin(outbox)
    _put(outbox, effect, state)
    outbox.drop(effect.key)
    assert states(outbox) == {}
    assert told(redis_client)[-1] == [False, "dropped by an operator"]


def _put(outbox: EffectsOutbox, effect: KeptEffect, state: str) -> None:
    match state:
        case "later":
            outbox.later(effect, "run-1", 3600, "busy")
        case "refused":
            outbox.refuse(effect, "run-1", "no")
        case _:
            outbox.settle_uncertain(0)


def test_one_that_waits_can_be_dropped(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client, entry("a"), entry("b"))
    [first, _] = outbox.entries("waiting")
    outbox.drop(first.key)
    assert [effect.body for effect in outbox.entries("waiting")] == [{"text": "b"}]


def test_one_that_is_being_sent_cannot_be_dropped_or_resent(outbox: EffectsOutbox, redis_client: Redis) -> None:
    ask(redis_client)
    effect = begin(outbox)
    with pytest.raises(EffectUnknown):
        outbox.drop(effect.key)
    with pytest.raises(EffectUnknown):
        outbox.resend(effect.key)
    assert states(outbox) == {"sending": 1}


# --- in any order ----------------------------------------------------------------------------------------------

_STEPS = st.lists(
    st.tuples(st.sampled_from(["ask", "claim", "sent", "later", "refuse", "die", "resend", "drop"]), st.integers(0, 2)),
    max_size=30,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=_STEPS)
def test_whatever_happens_nothing_is_sent_twice_or_in_two_states(redis_client: Redis, steps: list[Any]) -> None:
    redis_client.flushall()
    outbox = EffectsOutbox(redis_client, event_of)
    begun: dict[str, KeptEffect] = {}
    sent: list[str] = []
    for step, which in steps:
        raw = entry(which)
        key = _key(raw)
        match step:
            case "ask":
                ask(redis_client, raw)
            case "claim":
                begun |= {effect.key: effect for effect in outbox.claim(1, "run")}
            case "die":
                outbox.settle_uncertain(-1)
            case "sent" if key in begun and outbox.sent(begun[key], "run"):
                sent.append(key)
            case "later" if key in begun:
                outbox.later(begun[key], "run", 0, "busy")
            case "refuse" if key in begun:
                outbox.refuse(begun[key], "run", "no")
            case "resend" | "drop":
                with suppress(EffectUnknown):
                    getattr(outbox, step)(key)
        places = [e.key for state in ("sending", "later", "refused", "uncertain") for e in outbox.entries(state)]
        places += [each for each in sent if redis_client.zscore(keys.effects("sent"), each) is not None]
        assert len(places) == len(set(places))
    assert len(sent) == len(set(sent))
