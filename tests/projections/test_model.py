"""What a declaration may say, and how it is told what is wrong."""

from __future__ import annotations

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
    return "; ".join(problems(error.value))


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
        ({"nmae": "x"}, "/", "did you mean 'name'?"),
    ],
)
def test_a_fault_is_named_with_its_place_and_the_cure(members: dict[str, Any], place: str, hint: str) -> None:
    found = problems_of(**members)
    assert found.startswith(place)
    assert hint in found


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


def test_options_are_found_by_kind() -> None:
    assert projection().options_for("postgres") == {"table": "calls"}
    with pytest.raises(ProjectionError, match="no destination 'sheets'"):
        projection().options_for("sheets")


def test_a_declaration_survives_being_written_and_read_again() -> None:
    written = projection().model_dump(by_alias=True)
    assert Projection.model_validate(written) == projection()
