"""The named extractors on vCons of every making."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.projections.examples import DONE, call
from vcon_platform.projections.extract import EXTRACTORS
from vcon_platform.projections.outcome import Outcome
from vcon_platform.vcon.document import Vcon


def value(name: str, vcon: Vcon, outcome: Outcome = DONE) -> Any:
    return EXTRACTORS[name].extract(vcon, outcome)


def two(first: dict[str, Any], second: dict[str, Any], direction: str | None, **dialog: Any) -> Vcon:
    """Two parties, the first of whom is A and the second B, in one dialog."""
    adapter = {"purpose": "adapter", "body": {"direction": direction} if direction else {}}
    return call(
        parties=[{"name": "A"} | first, {"name": "B"} | second],
        dialog=[{"type": "recording", "parties": [0, 1]} | dialog],
        attachments=[adapter],
    )


def test_what_the_document_says_plainly_is_handed_on() -> None:
    vcon = call(subject="Ofen brummt")
    assert value("uuid", vcon) == vcon.uuid
    assert value("created_at", vcon) == "2026-03-01T23:30:00-02:00"
    assert value("subject", vcon) == "Ofen brummt"
    assert value("adapter", vcon) == "freeswitch"
    assert value("direction", vcon) == "inbound"
    assert (value("agent.name", vcon), value("agent.tel", vcon)) == ("Ben Beispiel", "+49301000")
    assert (value("customer.name", vcon), value("customer.tel", vcon)) == ("Ada Kunde", "+4930123456")


@pytest.mark.parametrize(
    ("first", "second", "direction", "dialog", "agent", "customer"),
    [
        ({"role": "agent"}, {"role": "customer"}, None, {}, "A", "B"),
        ({"meta": {"role": "Customer"}}, {"meta": {"role": " AGENT "}}, None, {}, "B", "A"),
        ({"role": "agent"}, {}, "inbound", {}, "A", "B"),
        ({}, {"role": "client"}, "inbound", {}, "A", "B"),
        ({}, {}, "inbound", {}, "B", "A"),
        ({}, {}, "outbound", {}, "A", "B"),
        ({}, {}, "inbound", {"originator": 1}, "A", "B"),
        ({}, {}, "outbound", {"originator": 1}, "B", "A"),
        ({}, {}, "inbound", {"parties": [[1], [0]]}, "A", "B"),
        ({}, {}, "inbound", {"parties": [7, True, None]}, None, None),
        ({}, {}, "inbound", {"originator": True}, "B", "A"),
        ({}, {}, "internal", {}, None, None),
        ({}, {}, None, {}, None, None),
        ({"role": "agent"}, {"role": "agent"}, "inbound", {}, "A", None),
        ({"role": "supervisor"}, {}, "outbound", {}, "A", "B"),
    ],
)
def test_agent_and_customer_are_told_apart_by_role_else_by_who_called(
    first: dict[str, Any],
    second: dict[str, Any],
    direction: str | None,
    dialog: dict[str, Any],
    agent: str | None,
    customer: str | None,
) -> None:
    vcon = two(first, second, direction, **dialog)
    assert (value("agent.name", vcon), value("customer.name", vcon)) == (agent, customer)


@pytest.mark.parametrize(
    "members",
    [
        {"attachments": [{"type": "adapter", "encoding": "json", "body": '{"direction": "Inbound"}'}]},
        {"attachments": [], "dialog": [{"type": "text", "meta": {"direction": "in"}}]},
        {"attachments": [], "meta": {"direction": "INBOUND"}},
    ],
)
def test_the_direction_is_found_where_makers_put_it(members: dict[str, Any]) -> None:
    assert value("direction", call(**members)) == "inbound"


@pytest.mark.parametrize(
    ("dialog", "start", "seconds"),
    [
        ([], None, None),
        ([{"type": "incomplete", "start": "2026-01-01T00:00:00Z"}], "2026-01-01T00:00:00Z", None),
        ([{"duration": 61}], None, 61),
        ([{"duration": 20.5}, {"duration": 30}], None, 30),
        ([{"start": "2026-01-01T00:00:00Z", "duration": 61.0}], "2026-01-01T00:00:00Z", 61),
        (  # one dialog per channel
            [{"start": "2026-01-01T00:00:00Z", "duration": 60}, {"start": "2026-01-01T00:00:01Z", "duration": 60.25}],
            "2026-01-01T00:00:00Z",
            61.25,
        ),
        (  # a transfer, in another time zone, told in the wrong order
            [{"start": "2026-01-01T02:01:00+02:00", "duration": 30}, {"start": "2025-12-31T23:59:00Z", "duration": 10}],
            "2025-12-31T23:59:00Z",
            150,
        ),
        ([{"start": "Tuesday", "duration": -1}, {"start": 5, "duration": "long"}, {"duration": True}], None, None),
    ],
)
def test_start_and_duration_span_all_dialogs(dialog: list[Any], start: str | None, seconds: float | None) -> None:
    vcon = call(dialog=dialog)
    assert value("start", vcon) == start
    assert value("duration_seconds", vcon) == seconds
    assert not isinstance(value("duration_seconds", vcon), float) or seconds != int(seconds or 0)


def test_the_disposition_is_the_vcons_own_word_else_answered() -> None:
    assert value("disposition", call()) == "answered"
    assert value("disposition", call(dialog=[{"type": "incomplete", "disposition": "no-answer"}])) == "no-answer"
    assert value("disposition", call(dialog=[])) is None


@pytest.mark.parametrize(
    "body",
    [
        {"transcript": {"text": "we recall it", "language": "en"}},
        '{"transcript": {"text": "we recall it", "language": "en"}}',
        {"transcript": "we recall it", "detected_language": "en"},
    ],
)
def test_the_transcript_is_read_in_every_shape(body: Any) -> None:
    vcon = call(analysis=[{"type": "transcript", "dialog": 0, "vendor": "x", "encoding": "json", "body": body}])
    assert value("transcript.text", vcon) == "we recall it"
    assert value("transcript.language", vcon) == "en"


def test_without_a_transcript_there_is_no_text() -> None:
    assert value("transcript.text", call()) is None
    assert value("transcript.language", call()) is None


def test_the_verdict_is_the_outcomes() -> None:
    outcome = Outcome("recall", "ab12", "filtered", "no word of it", "recall_finder")
    assert [
        value(name, call(), outcome)
        for name in ("verdict", "verdict_reason", "verdict_processor", "pipeline", "pipeline_version")
    ] == ["filtered", "no word of it", "recall_finder", "recall", "ab12"]
    assert value("verdict_reason", call()) is None


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just("2026-01-01T00:00:00Z"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["role", "name", "meta", "start", "duration", "parties", "originator", "type", "body", "direction"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=50)
@given(
    parties=st.lists(
        st.dictionaries(st.sampled_from(["role", "name", "tel", "meta"]), HOSTILE, max_size=3), max_size=3
    ),
    dialog=st.lists(
        st.dictionaries(
            st.sampled_from(["type", "parties", "originator", "start", "duration", "meta"]), HOSTILE, max_size=5
        ),
        max_size=3,
    ),
    body=HOSTILE,
    subject=HOSTILE,
)
def test_no_document_makes_an_extractor_raise(parties: Any, dialog: Any, body: Any, subject: Any) -> None:
    vcon = call(
        parties=parties,
        dialog=dialog,
        subject=subject,
        attachments=[{"purpose": "adapter", "body": body}],
        analysis=[{"type": "transcript", "body": body}],
    )
    for extractor in EXTRACTORS.values():
        extracted = extractor.extract(vcon, DONE)
        assert extracted is None or isinstance(extracted, str | int | float)
