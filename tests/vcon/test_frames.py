"""A conversation as a DataFrame."""

from __future__ import annotations

from typing import Any

import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.document import Vcon


def vcon(**members: Any) -> Vcon:
    return Vcon(
        {
            "vcon": "0.4.0",
            "uuid": "018f2b6e-4c1d-8a52-9f7e-0d3c5b1a2e4f",
            "created_at": "2026-03-02T09:00:00Z",
            "parties": [{"name": "Ada", "role": "customer"}, {"name": 7}],
            "dialog": [],
            **members,
        }
    )


def message(start: str, party: int, text: str) -> dict[str, Any]:
    return {
        "type": "text",
        "start": start,
        "parties": party,
        "mediatype": "text/plain",
        "body": text,
        "encoding": "none",
    }


def test_turns_come_in_order_with_the_partys_name_and_the_moment() -> None:
    frame = vcon(
        dialog=[message("2026-03-02T11:00:05+02:00", 1, "How so?"), message("2026-03-02T09:00:00Z", 0, "It burns")]
    ).to_frame()
    assert frame["text"].tolist() == ["It burns", "How so?"]
    assert frame["dialog"].tolist() == [1, 0]
    assert frame["name"].tolist() == ["Ada", pd.NA]
    assert frame["role"].tolist() == ["customer", pd.NA]
    assert frame["at"].tolist() == [pd.Timestamp("2026-03-02T09:00:00Z"), pd.Timestamp("2026-03-02T09:00:05Z")]


def test_a_conversation_of_which_nothing_is_known_has_the_same_columns() -> None:
    said, nothing = vcon(dialog=[message("2026-03-02T09:00:00Z", 0, "hi")]).to_frame(), vcon().to_frame()
    assert len(nothing) == 0
    assert nothing.dtypes.equals(said.dtypes)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("9999-12-31T23:59:59-12:00"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["start", "parties", "body"]), inner),
    max_leaves=6,
)


@settings(max_examples=30)
@given(_ANY, _ANY, _ANY)
def test_whatever_a_document_holds_it_gives_a_frame(start: Any, party: Any, parties: Any) -> None:
    dialog = [message("", 0, "hi") | {"start": start, "parties": party}]
    assert "text" in vcon(dialog=dialog, parties=parties).to_frame()
