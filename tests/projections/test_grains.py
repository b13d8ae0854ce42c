"""What a row stands for, and what is read of it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.projections.examples import call
from vcon_platform.projections.grains import ELEMENT_EXTRACTORS, GRAINS, Around, as_json, elements
from vcon_platform.vcon.document import Vcon


def conversation() -> Vcon:
    return call(
        dialog=[
            {
                "type": "recording",
                "start": "2026-03-02T01:30:05Z",
                "duration": 60,
                "parties": [0, 1],
                "originator": 0,
                "mediatype": "audio/x-wav",
            },
            {"type": "text", "start": "2026-03-02T01:32:00Z", "parties": [1], "body": "Bye", "encoding": "none"},
            "no dialog",
        ],
        analysis=[
            {
                "type": "transcript",
                "dialog": 0,
                "vendor": "v",
                "encoding": "json",
                "body": [
                    {"speaker": "Ada Kunde", "message": "Hello", "start": 1.5},
                    {"speaker": "robot", "message": "Welcome", "start": 2.5},
                ],
            },
            {"type": "summary", "vendor": "v", "product": "p", "dialog": [0, 1], "body": '{"mood": "calm"}'},
        ],
        attachments=[{"purpose": "tags", "body": ["team:north", "vip:"]}],
    )


def column(name: str, vcon: Vcon | None = None) -> list[Any]:
    vcon = vcon or conversation()
    grain = ELEMENT_EXTRACTORS[name].grain
    around = Around(vcon)
    return [ELEMENT_EXTRACTORS[name].extract(around, element) for element in elements(vcon, grain)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("party.name", ["Ada Kunde", "Ben Beispiel"]),
        ("party.tel", ["+4930123456", "+49301000"]),
        ("party.role", ["customer", "agent"]),
        ("party.side", ["customer", "agent"]),
        ("party.mailto", [None, None]),
        ("dialog.type", ["recording", "text", None]),
        ("dialog.start", ["2026-03-02T01:30:05+00:00", "2026-03-02T01:32:00+00:00", None]),
        ("dialog.end", ["2026-03-02T01:31:05+00:00", None, None]),
        ("dialog.duration", [60.0, None, None]),
        ("dialog.parties", [[0, 1], [1], None]),
        ("dialog.originator", [0, None, None]),
        ("dialog.text", [None, "Bye", None]),
        ("turn.text", ["Hello", "Welcome", "Bye"]),
        ("turn.speaker", ["Ada Kunde", "robot", "Ben Beispiel"]),
        ("turn.role", ["customer", None, "agent"]),
        ("turn.start", [1.5, 2.5, 0.0]),
        (
            "turn.at",
            ["2026-03-02T01:30:06.500000+00:00", "2026-03-02T01:30:07.500000+00:00", "2026-03-02T01:32:00+00:00"],
        ),
        ("turn.dialog", [0, 0, 1]),
        ("turn.vendor", ["v", "v", None]),
        ("analysis.type", ["transcript", "summary"]),
        ("analysis.product", [None, "p"]),
        ("analysis.dialog", [[0], [0, 1]]),
        ("analysis.result", [None, {"mood": "calm"}]),
        ("tag.name", ["team", "vip"]),
        ("tag.value", ["north", ""]),
    ],
)
def test_each_element_is_read(name: str, values: list[Any]) -> None:
    assert column(name) == values


def test_positions_count_from_nought_and_the_whole_has_one() -> None:
    assert [element.position for element in elements(conversation(), "dialog")] == [0, 1, 2]
    assert len(elements(conversation(), "vcon")) == 1


def test_an_element_is_json_for_a_filter() -> None:
    turn = as_json(elements(conversation(), "turn")[0].value)
    assert (turn["text"], turn["party"]) == ("Hello", 0)
    assert as_json(("team", "north")) == {"name": "team", "value": "north"}


HOSTILE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("2026-01-01T00:00:00Z"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "name", "start", "duration", "parties", "type", "body", "speaker", "message"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=10,
)
ENTRIES = st.lists(
    HOSTILE
    | st.fixed_dictionaries({"type": st.sampled_from(["transcript", "text", "x"]), "body": HOSTILE, "start": HOSTILE}),
    max_size=3,
)


@settings(max_examples=60, deadline=None)
@given(parties=ENTRIES, dialog=ENTRIES, analysis=ENTRIES, tagged=HOSTILE)
def test_no_document_makes_an_element_raise(parties: Any, dialog: Any, analysis: Any, tagged: Any) -> None:
    data = call().data | {"parties": parties, "dialog": dialog, "analysis": analysis}
    vcon = Vcon(data | {"attachments": [{"purpose": "tags", "body": tagged}]})
    around = Around(vcon)
    for grain in GRAINS:
        found = elements(vcon, grain)
        for extractor in ELEMENT_EXTRACTORS.values():
            if extractor.grain == grain:
                for element in found:
                    extractor.extract(around, element)
