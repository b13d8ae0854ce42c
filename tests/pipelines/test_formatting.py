"""Options from parameters: only plain names, and the options model has the last word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.pipelines.engine_support import WriteOptions
from vcon_platform.pipelines.formatting import OptionsRefused, TemplateFault, Templates, faults, parse

WHERE = "/processors/2/processor_options"


def _options(templates: dict[str, str], parameters: dict[str, Any], **rest: Any) -> WriteOptions:
    chosen = Templates(WriteOptions(format_options=templates, **rest), WHERE).options(parameters)
    assert isinstance(chosen, WriteOptions)
    return chosen


def test_a_parameter_stands_where_its_name_is() -> None:
    assert _options({"text": "on {DATE}: {n} calls"}, {"DATE": "Monday", "n": 3}).text == "on Monday: 3 calls"


def test_true_becomes_a_bool_and_five_a_number() -> None:
    chosen = _options({"should_process": "{bad}", "times": "{n}"}, {"bad": False, "n": 5})
    assert (chosen.should_process, chosen.times) == (False, 5)


def test_other_options_stay() -> None:
    assert _options({"times": "{n}"}, {"n": 5}, text="as it was").text == "as it was"


def test_doubled_braces_are_braces() -> None:
    assert _options({"text": '{{"a": {n}}}'}, {"n": 5}).text == '{"a": 5}'


def test_lists_and_objects_are_json() -> None:
    assert _options({"text": "{it}"}, {"it": {"a": ["b", None]}}).text == '{"a":["b",null]}'


def test_format_options_itself_has_no_effect() -> None:
    assert _options({"format_options": "{nothing}", "text": "x"}, {}).text == "x"


def test_a_missing_parameter_is_named_with_the_options_place() -> None:
    with pytest.raises(OptionsRefused, match=f"{WHERE}/format_options/text: .*'text' needs the parameter 'gone'"):
        _options({"text": "{gone}"}, {})


def test_an_option_that_there_is_not_is_named() -> None:
    with pytest.raises(OptionsRefused, match="/format_options/nope: the processor has no such option"):
        _options({"nope": "x"}, {})


def test_a_value_that_does_not_fit_is_refused_without_being_quoted() -> None:
    with pytest.raises(OptionsRefused) as refused:
        _options({"times": "{n}"}, {"n": "+1 555 0100"})
    assert "times" in str(refused.value)
    assert "0100" not in str(refused.value)


@pytest.mark.parametrize("template", ["{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{a:{b}}", "{", "}", "{a.__class__}"])
def test_anything_but_a_plain_name_is_no_template(template: str) -> None:
    with pytest.raises(TemplateFault):
        parse(template)


def test_a_definitions_templates_can_be_checked_beforehand() -> None:
    found = dict(faults(WriteOptions(format_options={"nope": "x", "text": "{a.b}", "times": "{n}"})))
    assert found.keys() == {"nope", "text"}


@given(st.text())
@settings(max_examples=100)
def test_text_without_braces_comes_out_as_it_went_in(text: str) -> None:
    escaped = text.replace("{", "{{").replace("}", "}}")
    assert _options({"text": escaped}, {}).text == text


@given(st.text(alphabet="ab{}.[]!:0"), st.text())
@settings(max_examples=200)
def test_a_template_yields_text_or_a_refusal(template: str, value: str) -> None:
    try:
        text = _options({"text": template}, {"a": value, "b": value}).text
    except OptionsRefused:
        return
    assert isinstance(text, str)
