"""Rows of every grain: which conversations have some, and what stands in them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.projections.examples import DONE, call, projection
from vcon_platform.projections.catalogue import load_projections
from vcon_platform.projections.column import FAULTS
from vcon_platform.projections.fitting import fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import build_rows, find_rows, put_rows, version_of, with_document
from vcon_platform.projections.values import fit
from vcon_platform.settings import project_root
from vcon_platform.vcon.document import Vcon

DATA = Path(__file__).parents[1] / "data"
UUID = {"name": "uuid", "type": "text", "from": "uuid"}
POSITION = {"name": "position", "type": "integer", "from": "position"}


def of_grain(grain: Any, *columns: dict[str, Any], **members: Any) -> Projection:
    return projection(grain=grain, columns=[UUID, POSITION, *columns], **members)


def shown(declared: Projection, vcon: Vcon, column: str) -> list[Any]:
    return [row[column] for row in build_rows(declared, vcon, DONE).rows]


def tagged(*tags: str, **members: Any) -> Vcon:
    adapter = {"purpose": "adapter", "body": {"adapter": "freeswitch", "name": "front_desk"}}
    return call(attachments=[adapter, {"purpose": "tags", "body": list(tags)}], **members)


# --- which conversations have rows -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "has"),
    [
        ({}, True),
        ({"adapters": ["freeswitch"]}, True),
        ({"adapters": ["mail", "front_desk"]}, True),
        ({"adapters": ["mail"]}, False),
        ({"tags": ["team:north", "team:south"]}, True),
        ({"tags": ["team"]}, True),
        ({"tags": ["team:south"]}, False),
        ({"tags": ["team"], "adapters": ["mail"]}, False),
        ({"where": '.parties[0].role == "customer"'}, True),
        ({"where": ".subject"}, False),
        ({"where": "empty"}, False),
        ({"where": '$outcome.verdict == "done"'}, True),
    ],
)
def test_all_that_the_source_says_must_hold(source: dict[str, Any], has: bool) -> None:
    declared = Projection.model_validate(
        {**projection().model_dump(by_alias=True), "source": {"pipelines": ["recall"], **source}}
    )
    assert bool(build_rows(declared, tagged("team:north"), DONE).rows) is has


def test_a_conversation_without_rows_has_no_hash_and_its_earlier_rows_go() -> None:
    vcon = tagged("team:north")
    put_rows(vcon, build_rows(projection(), vcon, DONE), projection(), DONE)
    none = projection(source={"where": "false"})
    rows = build_rows(none, vcon, DONE)
    assert (rows.rows, rows.hash) == ((), "")
    assert put_rows(vcon, rows, none, DONE) is True
    assert find_rows(vcon, "calls") is None
    assert put_rows(vcon, rows, none, DONE) is False


def test_rows_that_were_posted_as_text_go_too() -> None:
    vcon, rows = call(), build_rows(projection(), call(), DONE)
    body = {"projection": "calls", "day": rows.day, "hash": rows.hash, "rows": [dict(row) for row in rows.rows]}
    vcon.append("attachments", {"purpose": "projection", "encoding": "json", "body": orjson.dumps(body).decode()})
    assert find_rows(vcon, "calls") is not None
    assert put_rows(vcon, build_rows(projection(source={"where": "false"}), vcon, DONE), projection(), DONE) is True
    assert find_rows(vcon, "calls") is None


# --- what a row stands for -------------------------------------------------------------------------------------


def test_each_party_has_a_row_with_the_conversations_own_values_beside_it() -> None:
    declared = of_grain(
        "party",
        {"name": "name", "type": "text", "from": "party.name"},
        {"name": "direction", "type": "text", "from": "direction"},
    )
    vcon = call()
    rows = build_rows(declared, vcon, DONE)
    assert rows.rows == (
        {"uuid": vcon.uuid, "position": 0, "name": "Ada Kunde", "direction": "inbound"},
        {"uuid": vcon.uuid, "position": 1, "name": "Ben Beispiel", "direction": "inbound"},
    )
    assert rows.hash.endswith("-2")


def test_a_filter_may_give_the_elements() -> None:
    declared = of_grain(
        {"each": '.parties[] | select(.role == "agent")'},
        {"name": "name", "type": "text", "from": "element.name"},
        {"name": "again", "type": "text", "jq": '"\\($position) \\($element.tel) \\(.parties | length)"'},
    )
    assert shown(declared, call(), "name") == ["Ben Beispiel"]
    assert shown(declared, call(), "again") == ["0 +49301000 2"]


@pytest.mark.parametrize(
    ("body", "scores"), [({"criteria": [{"score": 2}, {}]}, [2, None]), ({"criteria": "none"}, []), ("text", [])]
)
def test_a_list_that_an_extractor_finds_may_give_the_elements(body: Any, scores: list[Any]) -> None:
    declared = of_grain(
        {"from": "analysis(card).body.criteria"}, {"name": "score", "type": "integer", "from": "element.score"}
    )
    assert shown(declared, call(analysis=[{"type": "card", "body": body}]), "score") == scores
    assert declared.reads(declared.columns[2]) == ("analysis.card",)


def test_a_column_may_be_a_filter_on_the_conversation_and_the_element() -> None:
    declared = of_grain(
        "dialog",
        {"name": "rounded", "type": "bigint", "jq": "$element.duration | floor"},
        {"name": "verdict", "type": "text", "jq": "$outcome.verdict # of the pipeline"},
        {"name": "none", "type": "text", "jq": "empty"},
    )
    [row] = build_rows(declared, call(), DONE).rows
    assert (row["rounded"], row["verdict"], row["none"]) == (61, "done", None)


def test_filters_do_not_see_rows_nor_sound() -> None:
    vcon = call(dialog=[{"type": "recording", "body": "UklGRg", "encoding": "base64url"}])
    put_rows(vcon, build_rows(projection(), vcon, DONE), projection(), DONE)
    declared = projection(
        columns=[UUID, {"name": "seen", "type": "jsonb", "jq": "[[.attachments[].purpose], (.dialog[0] | keys)]"}]
    )
    assert shown(declared, vcon, "seen") == [[["adapter"], ["content_hash", "type"]]]


# --- what cannot be had ----------------------------------------------------------------------------------------


def test_a_filter_that_fails_on_one_element_costs_its_row_only() -> None:
    declared = of_grain("tag", {"name": "number", "type": "integer", "jq": "$element.value | tonumber"})
    rows = build_rows(declared, tagged("a:1", "b:many", "c:3"), DONE)
    landed, [told] = fitted(declared, [rows], fit)
    assert [row.values[2] for row in landed] == ["1", "3"]
    assert (told.uuid, told.column) == (rows.uuid, "number")
    assert "many" not in told.reason


@pytest.mark.parametrize("members", [{"source": {"where": '"x" | tonumber'}}, {"grain": {"each": '"x" | tonumber'}}])
def test_where_and_grain_that_fail_are_told_and_nothing_lands(members: dict[str, Any]) -> None:
    declared = projection(columns=[UUID, POSITION], key=["uuid", "position"], **members)
    landed, [told] = fitted(declared, [build_rows(declared, call(), DONE)], fit)
    assert landed == []
    assert told.column is None


@pytest.mark.parametrize(
    "program", ["halt", "halt_error", "input", "error(null)", "label $out | break $out", "$ENV.HOME"]
)
def test_no_filter_gets_out_of_its_place(program: str) -> None:
    columns = [UUID, POSITION, {"name": "odd", "type": "jsonb", "jq": program}]
    for members in ({}, {"source": {"where": program}}, {"grain": {"each": program}}):
        declared = projection(columns=columns, key=["uuid", "position"], **members)
        rows = build_rows(declared, call(), DONE)
        landed, _ = fitted(declared, [rows], fit)
        assert all(row.values[2] is None for row in landed)


@pytest.mark.parametrize("program", ["1e30 | . * 1e30", "pow(2;100)", "[range(300)] | reduce .[] as $n (0; [.])"])
def test_no_value_of_a_filter_is_too_strange_to_be_carried(program: str) -> None:
    declared = projection(columns=[UUID, {"name": "odd", "type": "jsonb", "jq": program}])
    [row] = build_rows(declared, call(), DONE).rows
    assert row["odd"] is None or isinstance(row["odd"], int | float)
    assert row.get(FAULTS, ["odd"]) == ["odd"]


def test_a_body_nested_too_deeply_is_told_and_harms_no_other_column() -> None:
    deep = "[" * 900 + "]" * 900
    declared = of_grain("analysis", {"name": "body", "type": "jsonb", "from": "analysis.body"})
    rows = build_rows(declared, call(analysis=[{"type": "x", "body": deep}, {"type": "y", "body": "text"}]), DONE)
    landed, [told] = fitted(declared, [rows], fit)
    assert ([row.values[2] for row in landed], told.column) == (['"text"'], "body")


def test_what_is_required_and_empty_is_told() -> None:
    declared = of_grain("party", {"name": "mail", "type": "text", "from": "party.mailto", "required": True})
    landed, told = fitted(declared, [build_rows(declared, call(), DONE)], fit)
    assert landed == []
    assert {(each.column, each.reason) for each in told} == {("mail", "empty, and required")}


# --- what is hidden --------------------------------------------------------------------------------------------


def test_no_attachment_holds_what_is_masked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_PII_TEST", "secret")
    named = {"pii": True, "type": "text"}
    declared = projection(
        pii_key="env:VCON_PII_TEST",
        columns=[
            UUID,
            {"name": "person", "from": "customer.tel", "mask": "hash", **named},
            {"name": "tel", "from": "customer.tel", "mask": "partial", **named},
            {"name": "agent", "jq": ".parties[1].name", "mask": "drop", **named},
        ],
    )
    vcon = call()
    rows = build_rows(declared, vcon, DONE)
    put_rows(vcon, rows, declared, DONE)
    carried = orjson.dumps(vcon.attachments[-1]["body"]["rows"]).decode()
    assert "+4930123456" not in carried
    assert "Ben" not in carried
    assert (rows.rows[0]["tel"], rows.rows[0]["agent"], len(rows.rows[0]["person"])) == ("+*******456", None, 64)


def test_without_the_key_the_value_is_told_as_missing_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VCON_PII_TEST", raising=False)
    hidden = {"name": "person", "type": "text", "from": "customer.tel", "pii": True, "mask": "hash"}
    declared = projection(pii_key="env:VCON_PII_TEST", columns=[UUID, hidden])
    vcon = call()
    unsound = build_rows(declared, vcon, DONE)
    assert (unsound.rows[0]["person"], unsound.rows[0][FAULTS]) == (None, ["person"])
    assert version_of(unsound.hash) != declared.version  # it is made anew when its day lands
    monkeypatch.setenv("VCON_PII_TEST", "secret")
    assert version_of(build_rows(declared, vcon, DONE).hash) == declared.version


# --- the whole document ----------------------------------------------------------------------------------------


def test_the_document_is_not_carried_in_itself_and_stands_in_what_lands() -> None:
    declared = projection(columns=[UUID, {"name": "vcon", "type": "jsonb", "from": "vcon"}])
    vcon = call()
    rows = build_rows(declared, vcon, DONE)
    assert rows.rows[0]["vcon"].startswith("sha256:")
    put_rows(vcon, rows, declared, DONE)
    assert build_rows(declared, vcon, DONE).hash == rows.hash  # the row does not change what it is made from
    landed = with_document(declared, rows, vcon)
    assert landed.rows[0]["vcon"]["parties"] == vcon.parties
    assert [each["purpose"] for each in landed.rows[0]["vcon"]["attachments"]] == ["adapter"]
    assert landed.hash == rows.hash


# --- hostile documents -----------------------------------------------------------------------------------------

SHIPPED = load_projections(project_root() / "pipelines" / "projections")


def documents() -> Iterator[dict[str, Any]]:
    for folder in ("hostile", "vcons"):
        for file in sorted((DATA / folder).rglob("*.json")):
            if file.stat().st_size > 100_000:
                continue
            try:
                data = orjson.loads(file.read_bytes())
            except orjson.JSONDecodeError:
                continue
            if isinstance(data, dict) and all(isinstance(each, dict) for each in data.get("attachments") or []):
                yield data | {"uuid": "018f2b6e-4c1d-8a52-9f7e-0d3c5b1a2e4f", "created_at": "2026-03-01T00:00:00Z"}


@pytest.mark.parametrize("name", SHIPPED)
def test_every_document_we_have_gives_rows_that_fit(name: str) -> None:
    declared, found = SHIPPED[name], list(documents())
    assert len(found) > 30
    for data in found:
        rows = build_rows(declared, Vcon(data), DONE)
        landed, rejected = fitted(declared, [rows], fit)
        assert len(landed) + len(rejected) == len(rows.rows)
        assert all(told.column not in (None, "uuid", "position") for told in rejected)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "type", "body"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=40, deadline=None)
@given(JSON)
def test_whatever_a_document_holds_the_rows_are_carried_and_read_back(value: Any) -> None:
    declared = of_grain(
        {"each": ".analysis[]?"},
        {"name": "body", "type": "jsonb", "from": "element.body"},
        {"name": "length", "type": "integer", "jq": "$element.body | length"},
        {"name": "latest", "type": "text", "from": "analysis(x).body"},
    )
    vcon = call(analysis=[{"type": "x", "body": value}, {"type": "x", "body": [value]}])
    rows = build_rows(declared, vcon, DONE)
    put_rows(vcon, rows, declared, DONE)
    found = find_rows(vcon, declared.name)
    assert found is not None
    assert (found.hash, len(found.rows)) == (rows.hash, len(rows.rows))
    fitted(declared, [found], fit)
