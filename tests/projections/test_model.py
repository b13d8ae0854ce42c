"""What a declaration may say, and how it is told what is wrong."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.projections.examples import projection
from vcon_platform.projections.errors import ProjectionError
from vcon_platform.projections.explain import problems
from vcon_platform.projections.model import Projection, identifier

UUID = {"name": "uuid", "type": "text", "from": "uuid"}


def column(**members: Any) -> dict[str, Any]:
    return {"name": "agent", "type": "text", "from": "agent.name"} | members


def problems_of(**members: Any) -> str:
    with pytest.raises(ValidationError) as error:
        projection(**members)
    return "; ".join(problems(error.value, Projection))


def test_the_key_is_the_uuid_unless_said_otherwise() -> None:
    assert projection().key == ["uuid"]
    assert projection().uuid_column == "uuid"


@pytest.mark.parametrize(
    ("members", "place", "hint"),
    [
        ({"columns": [UUID, column(**{"from": "custmer.tel"})]}, "/columns/1/from", "did you mean 'customer.tel'?"),
        ({"columns": [UUID, column(type="timestamp")]}, "/columns/1/type", "did you mean 'timestamptz'?"),
        ({"columns": [UUID, column(descripton="x")]}, "/columns/1", "did you mean 'description'?"),
        ({"columns": [UUID, column(name="Agent Name")]}, "/columns/1/name", "no identifier"),
        ({"columns": [UUID, column(name="_row_hash")]}, "/columns/1/name", "reserved"),
        ({"columns": [UUID, column(name="xmin")]}, "/columns/1/name", "reserved"),
        ({"columns": [UUID, column(), column()]}, "/columns/2/name", "is there twice"),
        ({"columns": [column()]}, "/columns", "exactly one column"),
        ({"columns": [UUID, column(name="other", **{"from": "uuid"})]}, "/columns", "exactly one column"),
        ({"columns": [UUID, column()], "key": ["agent"]}, "/key", "must name 'uuid'"),
        ({"columns": [UUID, column()], "key": ["uuid", "agnet"]}, "/key/1", "did you mean 'agent'?"),
        ({"rows": "conversations"}, "/rows", "did you mean 'conversation'?"),
        ({"pipelines": []}, "/pipelines", "at least 1"),
        ({"pipelines": "recall"}, "/pipelines", "must be a list"),
        ({"destinations": [{"postgres": {}, "sheets": {}}]}, "/destinations/0", "one member"),
        ({"destinations": [{"postgres": {}}, {"postgres": {}}]}, "/destinations", "a kind twice"),
        ({"name": 'x"; DROP TABLE calls'}, "/name", "no identifier"),
        ({"grain": "partie"}, "/grain", "did you mean 'party'?"),
        ({"grain": {"each": ".parties[]", "of": 1}}, "/grain", "'of' is not a member here"),
        ({"grain": {}}, "/grain", "needs 'each', a jq filter, or 'from'"),
        ({"grain": {"from": "party.name"}}, "/grain/from", "reads an element"),
        ({"grain": {"from": "analyses(x)"}}, "/grain/from", "is not an extractor"),
        ({"grain": {"each": ".parties["}}, "/grain/each", "no jq filter"),
        ({"grain": "party"}, "/key/1", "'position' is not a column"),
        ({"grain": "party", "key": ["uuid"]}, "/key", "more than the uuid"),
        ({"columns": [UUID, column(**{"from": "turn.text"})]}, "/columns/1/from", "say 'grain: turn'"),
        ({"columns": [UUID, column(jq=".a")]}, "/columns/1", "both 'from' and 'jq'"),
        ({"columns": [UUID, {"name": "a", "type": "text"}]}, "/columns/1", "needs 'from' or 'jq'"),
        ({"columns": [UUID, {"name": "a", "type": "text", "jq": ".a |\n foo"}]}, "/columns/1/jq", "line 2"),
        ({"columns": [UUID, column(mask="hash")]}, "/columns/1", "say 'pii: true'"),
        ({"columns": [UUID, column(mask="hsah", pii=True)]}, "/columns/1/mask", "did you mean 'hash'?"),
        ({"columns": [UUID, column(mask="hash", pii=True, type="jsonb")]}, "/columns/1", "must be text"),
        ({"columns": [UUID, column(mask="drop", pii=True, required=True)]}, "/columns/1", "leaves it empty"),
        ({"columns": [UUID | {"pii": True, "mask": "hash"}]}, "/columns/0", "cannot be masked"),
        ({"columns": [UUID, column(type="jsonb")], "key": ["uuid", "agent"]}, "/key/1", "cannot be a key"),
        ({"source": {"pipelines": ["a"]}}, "/pipelines", "stands in /source too"),
        ({"source": {"tgas": ["a"]}}, "/source", "did you mean 'tags'?"),
        ({"source": {"where": ".a["}}, "/source/where", "no jq filter"),
        ({"pii_key": "secret"}, "/pii_key", "env:NAME"),
        ({"pii_key": "env:REDIS_URL"}, "/pii_key", "only VCON_PII_"),
        ({"nmae": "x"}, "/", "did you mean 'name'?"),
    ],
)
def test_a_fault_is_named_with_its_place_and_the_cure(members: dict[str, Any], place: str, hint: str) -> None:
    found = problems_of(**members)
    assert found.startswith(place)
    assert hint in found


def test_what_is_missing_is_told_with_what_it_may_be() -> None:
    given = projection().model_dump(by_alias=True, exclude={"rows"})
    with pytest.raises(ValidationError) as error:
        Projection.model_validate(given)
    assert "/rows is missing; it is one of processor, conversation" in problems(error.value, Projection)


@given(st.text())
def test_only_harmless_text_is_an_identifier(text: str) -> None:
    try:
        accepted = identifier(text)
    except ValueError:
        return
    assert accepted == text
    assert 1 <= len(text) <= 63
    assert set(text) <= set("abcdefghijklmnopqrstuvwxyz0123456789_")


def test_the_version_changes_with_the_values_and_with_nothing_else() -> None:
    base = projection()
    assert (
        projection(description="x", owner="team:y", pipelines=["a"], destinations=[{"sheets": {}}]).version
        == base.version
    )
    assert projection(name="other").version != base.version
    assert projection(columns=[UUID]).version != base.version


@pytest.mark.parametrize(
    "members",
    [
        {"source": {"where": ".subject"}},
        {"source": {"tags": ["a"]}},
        {"key": ["uuid", "seconds"]},
        {"grain": "party", "key": ["uuid", "seconds"]},
        {"pii_key": "env:VCON_PII_OTHER"},
    ],
)
def test_the_version_changes_with_which_rows_there_are(members: dict[str, Any]) -> None:
    assert projection(**members).version != projection().version


@pytest.mark.parametrize(
    "change", [{"mask": "partial", "pii": True}, {"required": True}, {"type": "jsonb"}, {"from": "agent.tel"}]
)
def test_the_version_changes_with_what_a_column_shows(change: dict[str, Any]) -> None:
    assert projection(columns=[UUID, column(**change)]).version != projection(columns=[UUID, column()]).version


def test_the_key_is_found_by_what_fills_the_columns() -> None:
    columns = [{"name": "call", "type": "text", "from": "uuid"}, {"name": "n", "type": "integer", "from": "position"}]
    assert projection(columns=columns, grain="turn").key == ["call", "n"]


def test_a_column_knows_what_it_reads_for_the_lineage() -> None:
    columns = [
        UUID,
        {"name": "n", "type": "integer", "from": "position"},
        {"name": "a", "type": "jsonb", "jq": ".parties[0].name, .analysis"},
        {"name": "b", "type": "jsonb", "jq": "$element.x"},
        {"name": "c", "type": "jsonb", "jq": "keys"},
        {"name": "d", "type": "jsonb", "from": "element.x"},
    ]
    declared = projection(columns=columns, grain={"each": ".dialog[]"})
    assert [declared.reads(each) for each in declared.columns] == [
        ("uuid",),
        (),
        ("parties", "analysis"),
        ("dialog",),
        ("vcon",),
        ("dialog",),
    ]


def test_a_declaration_can_be_sent_to_another_process() -> None:
    declared = projection(grain={"each": ".parties[]"}, key=["uuid", "customer"])
    assert declared.version
    assert pickle.loads(pickle.dumps(declared)) == declared  # noqa: S301 - our own


def test_options_are_found_by_kind() -> None:
    assert projection().options_for("postgres") == {"table": "calls"}
    with pytest.raises(ProjectionError, match="no destination 'sheets'"):
        projection().options_for("sheets")


def test_a_declaration_survives_being_written_and_read_again() -> None:
    written = projection().model_dump(by_alias=True)
    assert Projection.model_validate(written) == projection()
