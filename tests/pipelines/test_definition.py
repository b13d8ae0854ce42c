"""Definitions: what is wrong is named by its place, with the valid choices; what py_vcon_server wrote is accepted."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipelines.support import REGISTRY, definition
from vcon_platform.pipelines.catalogue import catalogue
from vcon_platform.pipelines.definition import DefinitionError, hash_of, read_definition


def _refused(raw: Any, name: str = "recall") -> str:
    with pytest.raises(DefinitionError) as refused:
        read_definition(name, raw, REGISTRY)
    return str(refused.value)


def test_py_vcon_servers_json_is_accepted_unchanged() -> None:
    raw = {
        "pipeline_options": {"save_vcons": True, "timeout": 30, "failure_queue": None, "success_queue": None},
        "processors": [{"processor_name": "mark", "comment": "why", "processor_options": {"mark": "x", "comment": ""}}],
    }
    read = read_definition("notes", raw, REGISTRY)
    assert [step.name for step in read.steps] == ["mark"]
    assert read.options.timeout == 30


def test_a_misspelt_option_is_named_with_the_likeliest_meant() -> None:
    fault = _refused({"processors": [{"processor_name": "mark", "processor_options": {"marc": "x"}}]})
    assert "/processors/0/processor_options/marc" in fault
    assert "did you mean 'mark'" in fault


def test_an_unknown_processor_is_named_with_those_there_are() -> None:
    fault = _refused({"processors": [{"processor_name": "mrak"}]})
    assert "/processors/0/processor_name" in fault
    assert "mark" in fault


def test_every_fault_is_told_at_once() -> None:
    fault = _refused({"pipeline_options": {"batch_size": 0}, "processors": [{"processor_name": 7}], "procesors": []})
    for place in ("/pipeline_options/batch_size", "/processors/0/processor_name", "/procesors"):
        assert place in fault


def test_a_processor_that_occurs_twice_has_its_position_in_its_name() -> None:
    assert [step.name for step in definition("mark", "judge", "mark").steps] == ["mark_0", "judge", "mark_2"]


def test_an_empty_pipeline_is_legal() -> None:
    assert definition().steps == ()


def test_a_name_that_dagster_cannot_have_is_refused() -> None:
    assert "letters, digits and '_'" in _refused({"processors": []}, name="a-b")


def test_the_version_changes_with_the_text_and_not_with_the_order_of_members() -> None:
    assert hash_of({"a": 1, "b": 2}) == hash_of({"b": 2, "a": 1}) != hash_of({"a": 1, "b": 3})


def test_a_broken_file_takes_no_other_down() -> None:
    found = catalogue({"good.yaml": "processors: []", "bad.yaml": "processors: [", "worse.json": "{"}, REGISTRY)
    assert list(found.pipelines) == ["good"]
    assert set(found.broken) == {"bad", "worse"}
    with pytest.raises(DefinitionError, match="is broken"):
        found.get("bad")


def test_two_files_of_one_name_are_told() -> None:
    found = catalogue({"a.json": '{"processors": []}', "a.yaml": "processors: []"}, REGISTRY)
    assert "two files define" in found.broken["a"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
_NEAR = st.fixed_dictionaries(
    {}, optional={"processors": _JSON | st.lists(_JSON), "pipeline_options": _JSON, "label": _JSON, "x": _JSON}
)


@given(_JSON | _NEAR)
def test_no_json_makes_reading_a_definition_crash(raw: Any) -> None:
    with contextlib.suppress(DefinitionError):
        read_definition("any", raw, REGISTRY)
