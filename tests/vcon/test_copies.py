"""Amended and redacted copies: what each takes over, and what never."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.conformance import report
from vcon_platform.vcon.copies import Allow, amended_copy, redacted_copy, refuse_inline_vcon
from vcon_platform.vcon.document import ARRAYS, Vcon
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.media import encode_base64url

VCONS = Path(__file__).parent.parent / "data" / "vcons"
NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
FIRST, SECOND, THIRD = (f"01990b2c-0000-7000-8000-00000000000{number}" for number in (1, 2, 3))


def _full() -> Vcon:
    return Vcon(orjson.loads((VCONS / "made" / "full_04.vcon").read_bytes()), revision=7)


def _small(**rest: Any) -> Vcon:
    return Vcon({"uuid": FIRST, "created_at": "2026-09-07T09:00:00Z", **rest})


# -- amended ----------------------------------------------------------------------------------------------------------


def test_an_amended_copy_holds_everything_and_points_back() -> None:
    original = _full()
    made = amended_copy(original, now=NOW)
    own = {"uuid", "created_at", "updated_at", "amended"}
    assert {k: v for k, v in made.data.items() if k not in own} == {
        k: v for k, v in original.data.items() if k not in own
    }
    assert made.data["amended"] == {"uuid": original.uuid}
    assert made.uuid != original.uuid


def test_a_copy_is_a_vcon_of_its_own_created_now_and_never_updated() -> None:
    made = amended_copy(_full(), now=NOW)
    assert made.created_at == "2026-11-02T09:30:00+00:00"
    assert "updated_at" not in made.data
    assert (made.revision, made.changes) == (0, [])


def test_changing_an_amended_copy_leaves_the_original_alone() -> None:
    original = _full()
    before = copy.deepcopy(original.data)
    made = amended_copy(original, now=NOW)
    made.data["parties"][0]["name"] = "somebody else"
    made.data["dialog"][0]["session_id"]["local"] = "changed"
    made.append("analysis", {"type": "summary", "vendor": "x"})
    assert original.data == before


def test_an_amended_copy_of_a_redacted_vcon_points_at_that_one_only() -> None:
    made = amended_copy(_small(redacted={"uuid": SECOND, "type": "names"}, subject="x"), now=NOW, uuid=THIRD)
    assert made.data["amended"] == {"uuid": FIRST}
    assert "redacted" not in made.data


def test_an_amended_copy_of_a_conformant_vcon_is_conformant() -> None:
    assert report(amended_copy(_full(), now=NOW).data).conformant


def test_a_copy_cannot_take_its_originals_uuid() -> None:
    with pytest.raises(ValueError, match="uuid of its own"):
        amended_copy(_small(), now=NOW, uuid=FIRST)


def test_a_vcon_with_its_prior_version_inline_is_not_amended() -> None:
    with pytest.raises(Rejected) as refused:
        amended_copy(_small(amended={"uuid": SECOND, "body": "{}", "encoding": "json"}), now=NOW)
    assert (refused.value.status, refused.value.code) == (422, "inline_original")


# -- redacted ---------------------------------------------------------------------------------------------------------


def test_a_redacted_copy_holds_nothing_unless_it_is_allowed() -> None:
    original = _full()
    original.data["extensions"] = []
    made = redacted_copy(original, "everything", Allow(), now=NOW)
    said = made.to_bytes().decode()
    for secret in ("Alice", "+1202", "example.com", "4711", "leg-1", "sha512-", "tags", "transcript", "a84b4c"):
        assert secret not in said
    assert set(made.data) == {"uuid", "created_at", "redacted", *ARRAYS}


def test_indexes_mean_the_same_in_a_redacted_copy() -> None:
    original = _full()
    made = redacted_copy(original, "everything", Allow(), now=NOW)
    assert [len(made.data[array]) for array in ARRAYS] == [len(original.data[array]) for array in ARRAYS]
    assert made.data["parties"] == [{}] * len(original.parties)
    assert made.data["analysis"] == [{}] * len(original.analysis)
    assert [entry["type"] for entry in made.dialog] == [entry["type"] for entry in original.dialog]


def test_a_placeholder_keeps_what_the_draft_demands_of_its_type() -> None:
    dialog = [
        {"type": "incomplete", "disposition": "busy", "start": "2026-09-07T09:00:00Z"},
        {"type": "incomplete", "disposition": "Alice hung up on Bob"},
        {"type": "recording-set", "recordings": [3, "Alice"], "parties": [0]},
        {"type": "recording", "filename": "alice.wav"},
        {"type": "Alice's own type"},
    ]
    made = redacted_copy(_small(dialog=dialog), "all", Allow(), now=NOW)
    assert made.dialog == [
        {"type": "incomplete", "disposition": "busy"},
        {"type": "incomplete", "disposition": "failed"},
        {"type": "recording-set", "recordings": [3]},
        {"type": "recording"},
        {},
    ]


def test_only_the_members_that_were_named_are_taken_over() -> None:
    allow = Allow(
        top=("subject",),
        parties={1: ("role", "tel")},
        dialog=("start", "duration", "parties"),
        analysis={0: ("type", "vendor")},
    )
    original = _full()
    made = redacted_copy(original, "names", allow, now=NOW)
    assert made.data["subject"] == original.data["subject"]
    assert made.parties[:2] == [{}, {"role": "agent", "tel": "tel:+12025550102"}]
    assert set(made.dialog[1]) == {"type", "start", "duration", "parties"}
    assert set(made.analysis[0]) == {"type", "vendor"}
    assert made.data["redacted"] == {"uuid": original.uuid, "type": "names"}


def test_allowing_a_members_name_does_not_bring_back_what_a_copy_has_of_its_own() -> None:
    original = _small(updated_at="2026-09-08T09:00:00Z", amended={"uuid": SECOND}, parties=[{"name": "Alice"}])
    made = redacted_copy(original, "x", Allow(top=("uuid", "updated_at", "amended", "parties")), now=NOW)
    assert made.uuid != FIRST
    assert not made.data.keys() & {"updated_at", "amended"}
    assert made.parties == [{}]


def test_what_is_taken_over_is_copied() -> None:
    original = _full()
    before = copy.deepcopy(original.data)
    made = redacted_copy(original, "x", Allow(dialog=("session_id", "party_history")), now=NOW)
    made.dialog[0]["party_history"].clear()
    assert original.data == before


@pytest.mark.parametrize("member", ["extensions", "critical"])
def test_a_vcon_with_an_extension_nobody_knows_is_not_redacted(member: str) -> None:
    with pytest.raises(Rejected) as refused:
        redacted_copy(_small(**{member: ["CC", "x_escrow"]}), "x", Allow(), now=NOW)
    assert [(fault.code, fault.pointer) for fault in refused.value.faults] == [("unknown_extension", f"/{member}")]


def test_extensions_and_critical_of_known_names_stay() -> None:
    made = redacted_copy(_small(extensions=["CC"], critical=["CC"]), "x", Allow(), now=NOW)
    assert (made.data["extensions"], made.data["critical"]) == (["CC"], ["CC"])


_WHOLE = {"uuid": FIRST, "created_at": "2026-09-07T09:00:00Z", "parties": [{"name": "Alice"}]}
_SIGNED = {"payload": "e30", "signatures": [{}]}


@pytest.mark.parametrize(
    ("entry", "pointer"),
    [
        ({"body": _WHOLE, "encoding": "json"}, "/attachments/0/body"),
        ({"body": orjson.dumps(_WHOLE).decode(), "encoding": "none"}, "/attachments/0/body"),
        ({"body": encode_base64url(orjson.dumps(_SIGNED)), "encoding": "base64url"}, "/attachments/0/body"),
        ({"body": "H4sIAAAA", "encoding": "base64url", "mediatype": "application/vcon+gzip"}, "/attachments/0/body"),
        ({"body": {"before": [_WHOLE]}, "encoding": "json"}, "/attachments/0/body/before/0"),
        ({"meta/data": _SIGNED}, "/attachments/0/meta~1data"),
    ],
)
def test_an_original_within_what_is_allowed_is_refused(entry: dict[str, Any], pointer: str) -> None:
    with pytest.raises(Rejected) as refused:
        redacted_copy(_small(attachments=[entry]), "x", Allow(attachments=tuple(entry)), now=NOW)
    assert [(f.code, f.pointer, f.status) for f in refused.value.faults] == [("inline_original", pointer, 422)]


def test_a_redacted_reference_with_its_original_inline_is_refused() -> None:
    with pytest.raises(Rejected, match="inline_original"):
        refuse_inline_vcon({"uuid": SECOND, "redacted": {"uuid": FIRST, "type": "x", "body": "e30"}, "parties": []})


@pytest.mark.parametrize(
    "body", ["Hello { there", "{not json", "ünlesbar", "{}", {"uuid": "x", "parties": [0, 1]}, ["x"], "", None, 7]
)
def test_ordinary_bodies_are_no_inline_originals(body: object) -> None:
    refuse_inline_vcon({"uuid": FIRST, "attachments": [{"body": body, "encoding": "json"}]})


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=60)
@given(
    st.fixed_dictionaries({array: st.lists(_json, max_size=3) for array in ARRAYS}), st.dictionaries(st.text(), _json)
)
def test_nothing_of_any_document_survives_an_empty_allow_list(arrays: dict[str, Any], rest: dict[str, Any]) -> None:
    rest = {name: value for name, value in rest.items() if name not in ("uuid", "extensions", "critical")}
    made = redacted_copy(Vcon({**rest, **arrays, "uuid": FIRST}), "x", Allow(), now=NOW)
    assert set(made.data) == {"uuid", "created_at", "redacted", *ARRAYS}
    for array in ARRAYS:
        assert [set(entry) - {"type", "disposition", "recordings"} for entry in made.data[array]] == [set()] * len(
            arrays[array]
        )
