"""Definitions: what is wrong is named by its place, with the valid choices; what py_vcon_server wrote is accepted."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from tests.pipelines.support import REGISTRY, Mark, definition
from vcon_platform.pipelines.catalogue import catalogue
from vcon_platform.pipelines.definition import DefinitionError, hash_of, read_definition
from vcon_platform.pipelines.names import name_fault, suggested
from vcon_platform.pipelines.wiring import wiring
from vcon_platform.processors.base import Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.registry import Registry, load_processors

DATA = Path(__file__).parents[1] / "data"
REAL = load_processors()


class PostOptions(ProcessorOptions):
    password: str = Field(default="", title="Password", json_schema_extra={"secret": True})
    queue_name: str = Field(default="", title="Queue")


class Post(Processor[PostOptions]):
    """Has a secret."""

    name = "post"
    version = "1"
    title = "Post"
    description = "Does nothing."
    options = PostOptions

    def process(self, io: ProcessorIO, options: PostOptions) -> ProcessorIO:
        return io


WITH_SECRET = Registry({**REGISTRY.classes, "post": Post})


def _refused(raw: Any, name: str = "recall") -> str:
    with pytest.raises(DefinitionError) as refused:
        read_definition(name, raw, REGISTRY)
    return str(refused.value)


@pytest.mark.parametrize("example", ["meeting_notes", "bad_calls"])
def test_py_vcon_servers_json_is_accepted_unchanged(example: str) -> None:
    raw = json.loads((DATA / "py_vcon" / f"{example}.json").read_text())
    read = read_definition(example, raw, REAL)
    assert [step.processor.name for step in read.steps] == [each["processor_name"] for each in raw["processors"]]
    assert (read.raw, read.options.success_queue) == (raw, None)


def test_save_vcons_may_be_null_as_py_vcon_server_has_it() -> None:
    raw = {"pipeline_options": {"save_vcons": None, "timeout": None, "label": None}, "processors": []}
    assert read_definition("notes", raw, REGISTRY).options.save_vcons is None


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


# --- options nobody has, remarks everybody has ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({"processors": [], "pipeline_option": {}}, "/pipeline_option"),
        ({"processors": [{"processor_name": "mark", "processor_option": {}}]}, "/processors/0/processor_option"),
        ({"processors": [{"processor_name": "mark", "processor_options": {"nots": ""}}]}, "/processor_options/nots"),
        (
            {"processors": [{"processor_name": "mark", "processor_options": {"format_options": {"marc": ""}}}]},
            "/processor_options/format_options/marc",
        ),
    ],
)
def test_a_member_that_is_none_is_refused_wherever_it_stands(raw: Any, place: str) -> None:
    assert f"{place}: no such" in _refused(raw)
    assert "did you mean" in _refused(raw)


@pytest.mark.parametrize("template", ["{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{a"])
def test_a_text_that_is_no_template_is_refused_before_any_conversation_meets_it(template: str) -> None:
    step = {"processor_name": "mark", "processor_options": {"format_options": {"label": template}}}
    assert "/processors/0/processor_options/format_options/label: " in _refused({"processors": [step]})


def test_remarks_are_let_pass_everywhere() -> None:
    remarks = {"comment": "a", "label": "b", "notes": "c"}
    step = {**remarks, "processor_name": "mark", "processor_options": dict(remarks)}
    raw = {**remarks, "pipeline_options": dict(remarks), "processors": [step]}
    assert read_definition("notes", raw, REGISTRY).steps[0].comment == "a"


def test_a_remark_that_is_no_text_is_refused() -> None:
    assert "/processors/0/label: must be a text" in _refused({"processors": [{"processor_name": "mark", "label": 7}]})


# --- secrets ----------------------------------------------------------------------------------------------------


def _post(**options: Any) -> Any:
    return {"processors": [{"processor_name": "post", "processor_options": options}]}


def test_a_secret_that_stands_in_the_definition_is_refused_and_not_repeated() -> None:
    with pytest.raises(DefinitionError) as refused:
        read_definition("mails", _post(password="hush-hush"), WITH_SECRET)
    assert "/processors/0/processor_options/password" in str(refused.value)
    assert "env:VCON_SECRET_PASSWORD" in str(refused.value)
    assert "hush" not in str(refused.value)


@pytest.mark.parametrize("value", ["", "env:VCON_SECRET_MAIL"])
def test_a_secret_may_be_a_reference_or_empty(value: str) -> None:
    assert read_definition("mails", _post(password=value), WITH_SECRET).steps


def test_a_secret_cannot_come_from_a_parameter() -> None:
    with pytest.raises(DefinitionError, match="cannot come from a parameter"):
        read_definition("mails", _post(format_options={"password": "{x}"}), WITH_SECRET)


# --- names ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "instead"),
    [
        ("bad-calls", "bad_calls"),
        ("a.b", "a_b"),
        ("a__stream", "a_stream"),
        ("config", "p_config"),
        ("Type", "p_Type"),
        ("land_projections", "p_land_projections"),
        ("reprocess_calls", "p_reprocess_calls"),
        ("_x_", "x"),
        ("", "pipeline_1"),
        ("ü", "pipeline_1"),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_one_that_can(name: str, instead: str) -> None:
    assert f"call it {instead!r}" in _refused({"processors": []}, name=name)
    assert name_fault(instead) is None


@given(st.text(max_size=120))
def test_the_name_suggested_can_always_be_taken(name: str) -> None:
    assert name_fault(suggested(name)) is None


def test_steps_never_share_a_name() -> None:
    clash = type("Clash", (Mark,), {"name": "mark_0"})
    registry = Registry({"mark": Mark, "mark_0": clash})
    raw = {"processors": [{"processor_name": each} for each in ("mark", "mark", "mark_0")]}
    names = [step.name for step in read_definition("x", raw, registry).steps]
    assert len(set(names)) == 3


# --- queues that lead round ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "place"),
    [
        ({"success_queue": "recall"}, "/pipeline_options/success_queue"),
        ({"failure_queue": "recall"}, "/pipeline_options/failure_queue"),
        ({"feeds": ["in"], "success_queue": "in"}, "/pipeline_options/success_queue"),
        ({"feeds": ["recall"]}, "/pipeline_options/feeds/0"),
        ({"feeds": ["in", "in"]}, "/pipeline_options/feeds/1"),
        ({"feeds": ["a:b"]}, "/pipeline_options/feeds/0"),
        ({"success_queue": "a b"}, "/pipeline_options/success_queue"),
    ],
)
def test_a_queue_by_which_jobs_would_come_back_is_refused(options: dict[str, Any], place: str) -> None:
    assert f"{place}: " in _refused({"pipeline_options": options, "processors": []})


def test_queues_that_are_no_pipelines_may_have_dots_and_dashes() -> None:
    assert definition(feeds=["a-b.c"], failure_queue="failed-ones").queues == ("recall", "a-b.c", "failed-ones")


def test_a_circle_over_several_pipelines_is_named() -> None:
    others = {
        "b": definition(name="b", feeds=["to_b"], success_queue="c"),
        "c": definition(name="c", success_queue="a"),
    }
    [fault] = wiring(definition(name="a", success_queue="to_b"), others).faults
    assert "a → b → c → a" in fault.message


def test_a_job_queued_to_where_nobody_works_is_a_warning() -> None:
    read = read_definition("mails", _post(queue_name="later"), WITH_SECRET)
    told = wiring(read, {})
    assert (told.faults, [each.pointer for each in told.warnings]) == (
        (),
        ["/processors/0/processor_options/queue_name"],
    )


def test_two_files_that_clash_run_both_without_the_feed_and_it_is_told() -> None:
    texts = {"a.yaml": "{processors: [], pipeline_options: {feeds: [b, in]}}", "b.yaml": "processors: []"}
    found = catalogue(texts, REGISTRY)
    assert (list(found.pipelines), found.pipelines["a"].options.feeds) == (["a", "b"], ("in",))
    assert "feed 'b' is not in use" in found.warnings["a"][0]


# --- values that are none -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, b"x", {1: 2}, "\ud800", {"\ud800": 1}])
def test_what_is_no_json_is_refused_with_its_place(value: Any) -> None:
    assert "/processors/0" in _refused({"processors": [{"comment": value}]})


def test_a_definition_that_is_too_large_is_refused() -> None:
    assert "256 KiB" in _refused({"processors": [], "notes": "x" * 300_000})


def test_more_processors_than_a_graph_can_show_are_refused() -> None:
    assert "split the pipeline" in _refused({"processors": [{"processor_name": "mark"}] * 101})


def test_an_option_is_refused_in_our_words() -> None:
    options = {"phrases": [], "said_by": ["agent"]}
    with pytest.raises(DefinitionError) as refused:
        read_definition("x", {"processors": [{"processor_name": "keyword_filter", "processor_options": options}]}, REAL)
    assert str(refused.value) == "/processors/0/processor_options/phrases: must not be empty"
    key = {"private_pem_key": "-----BEGIN PRIVATE KEY-----"}
    with pytest.raises(DefinitionError) as refused:
        read_definition("x", {"processors": [{"processor_name": "sign", "processor_options": key}]}, REAL)
    assert "Value error" not in str(refused.value)
