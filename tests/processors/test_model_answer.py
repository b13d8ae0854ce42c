"""Reading a model's answer: fences, JSON, schemas, and faults that repeat no word of it."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from vcon_platform.processors.model_answer import (
    AnswerSchema,
    Malformed,
    check_schema,
    is_strict,
    json_in,
    text_of,
    tokens_of,
    unfenced,
)

CLOSED: dict[str, Any] = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "marks": {"type": "array", "items": {"type": "integer"}}},
    "required": ["name", "marks"],
    "additionalProperties": False,
}
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


class Options(BaseModel):
    json_schema: AnswerSchema = None


@given(values, st.sampled_from(["{}", "```json\n{}\n```", "```\n{}\n```", "\n```JSON \r\n{}\r\n```\n"]))
@settings(max_examples=60, deadline=None)
def test_a_json_value_is_read_with_and_without_a_fence(value: Any, form: str) -> None:
    assert json_in(form.replace("{}", orjson.dumps(value).decode(), 1)) == value


@given(st.text(max_size=60))
@settings(max_examples=60, deadline=None)
def test_whatever_a_model_says_is_a_value_or_malformed(text: str) -> None:
    with contextlib.suppress(Malformed):
        json_in(text)


def test_a_value_in_the_one_code_block_of_an_answer_is_found() -> None:
    assert json_in('Here it is:\n```json\n{"a": 1}\n```\nAnything else?') == {"a": 1}


def test_of_two_code_blocks_none_is_taken() -> None:
    with pytest.raises(Malformed):
        json_in("```json\n{}\n```\nor\n```json\n[]\n```")


@pytest.mark.parametrize(
    "content",
    ["Yes.", "<think>\nno?\n</think>\n\nYes.", [{"type": "text", "text": "Ye"}, {"type": "text", "text": "s."}]],
)
def test_what_a_model_thought_and_how_it_is_cut_up_is_no_part_of_the_answer(content: Any) -> None:
    assert text_of({"choices": [{"message": {"content": content}}]}) == "Yes."


@pytest.mark.parametrize("content", [None, 5, [], [None], [{"text": 5}], {}])
def test_an_answer_that_is_no_text_is_empty(content: Any) -> None:
    assert text_of({"choices": [{"message": {"content": content}}]}) == ""


def test_a_text_that_only_holds_a_fence_keeps_it() -> None:
    assert unfenced("see:\n```json\n{}\n```") == "see:\n```json\n{}\n```"


@given(values)
@settings(max_examples=60, deadline=None)
def test_a_value_meets_the_schema_or_is_malformed(value: Any) -> None:
    with contextlib.suppress(Malformed):
        check_schema(value, CLOSED)
        assert set(value) == {"name", "marks"}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"name": "Alice", "marks": ["Bob"]}, "/marks/0 does not meet type"),
        ({"name": "Alice"}, "the whole of it does not meet required"),
        ({"name": "Alice", "marks": [], "Bob": 1}, "the whole of it does not meet additionalProperties"),
        ({"name": ["Bob"], "marks": []}, "/name does not meet type"),
    ],
)
def test_a_fault_names_the_place_and_no_word_of_the_answer(value: Any, told: str) -> None:
    with pytest.raises(Malformed, match=told) as raised:
        check_schema(value, CLOSED)
    assert "Alice" not in raised.value.for_people
    assert "Bob" not in raised.value.for_people


def test_a_member_that_no_schema_names_is_not_repeated() -> None:
    with pytest.raises(Malformed, match=r"^/\* does not meet") as raised:
        check_schema({"Alice": "x"}, {"type": "object", "additionalProperties": {"type": "integer"}})
    assert "Alice" not in str(raised.value)


def test_no_schema_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("it asked the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    with pytest.raises(Exception, match=r"Unresolvable|elsewhere"):
        check_schema({}, {"$ref": "http://127.0.0.1:1/schema.json"})


def test_a_schema_without_end_ends() -> None:
    with pytest.raises(Malformed, match="nested too deeply"):
        check_schema({}, {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}})


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "objekt"}, "is no JSON Schema"),
        ({"$ref": "https://example.org/schema.json"}, "refer to parts of its own"),
        ({"$ref": "#"}, "refer to parts of its own"),
        ({"$ref": "#/$defs/b", "$defs": {"a": {}}}, "refer to parts of its own"),
        ({"type": "string", "pattern": "(a+)+$"}, "may not hold 'pattern'"),
        ({"properties": {"a": {"patternProperties": {"(a+)+": {}}}}}, "may not hold 'patternProperties'"),
        ({"$id": "https://example.org/"}, r"may not hold '\$id'"),
        ({"enum": ["x" * 100_001]}, "larger than 100,000 bytes"),
    ],
)
def test_a_schema_that_fetches_or_takes_for_ever_is_refused_beforehand(schema: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        Options(json_schema=schema)


def test_a_member_may_be_called_as_a_keyword_is() -> None:
    schema = {"type": "object", "properties": {"pattern": {"type": "string"}, "type": {"type": "string"}}}
    assert Options(json_schema=schema).json_schema == schema


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "required": ["name"]}, False),
        ({"type": "array", "items": CLOSED}, False),
        ({**CLOSED, "properties": {"name": {"type": "object"}, "marks": {}}}, False),
        ({**CLOSED, "properties": {"name": CLOSED, "marks": {}}}, True),
    ],
)
def test_the_strict_mode_is_asked_for_only_where_it_is_taken(schema: dict[str, Any], strict: bool) -> None:
    assert is_strict(schema) is strict


@pytest.mark.parametrize("usage", [None, [], "many", {"prompt_tokens": "3"}, {"prompt_tokens": True}])
def test_usage_that_is_none_is_left_out(usage: Any) -> None:
    assert tokens_of({"usage": usage}) == {}
