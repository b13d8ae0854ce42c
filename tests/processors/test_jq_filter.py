"""``jq_filter``: which conversations go on by a jq filter."""

from typing import Any

import pytest
from pydantic import ValidationError

from tests.processors.support import document, io_of
from vcon_platform.processors.base import PermanentError, ProcessorIO
from vcon_platform.processors.jq_filter import JqFilter, JqFilterOptions
from vcon_platform.processors.testing import processor_tests

TAGS = {"purpose": "tags", "encoding": "json", "body": ["team:north", "vip:vip"]}
SCORE = {"type": "score", "encoding": "json", "body": {"total": 7}}


def call() -> ProcessorIO:
    return io_of(document(attachments=[TAGS], analysis=[SCORE]))


def run(program: str, **options: Any) -> ProcessorIO:
    return JqFilter().process(call(), JqFilterOptions(filter=program, **options))


TestJqFilterStandard = processor_tests(
    JqFilter,
    example_io=call,
    options={"filter": ".parties | length > 1"},
    failing_io=lambda: io_of(document(parties=True)),
)


@pytest.mark.parametrize(
    ("program", "goes_on"),
    [
        (".analysis[0].body.total > 5", True),
        (".analysis[0].body.total > 9", False),
        ('.attachments[] | select(.purpose == "tags") | .body | index("vip:vip")', True),
        ("empty", False),
        ("null", False),
        ("0", True),
        ("false, true", False),
    ],
)
def test_the_truth_of_the_first_output_decides(program: str, goes_on: bool) -> None:
    io = run(program)
    assert (io.dropped is None) is goes_on
    assert io.parameters == {"jq_filter_passed": goes_on}


def test_those_that_do_not_match_may_go_on_instead() -> None:
    assert run("false", forward_matches=False).dropped is None
    assert run("true", forward_matches=False).dropped == "the jq filter holds of it"


def test_why_it_ends_here_is_told_in_the_definitions_words() -> None:
    assert run("false").dropped == "the jq filter does not hold of it"
    assert run("false", reason="score below 5").dropped == "score below 5"


def test_a_filter_that_fails_is_no_verdict() -> None:
    with pytest.raises(PermanentError, match=r"^/filter: "):
        run('.analysis[0].body | test("total")')


@pytest.mark.parametrize(
    "program", [".analysis[0].body | fromjson | .total == 7", '.attachments[0].body | contains("vip")']
)
def test_filters_for_a_conserver_find_texts(program: str) -> None:
    assert run(program, bodies="texts").dropped is None
    assert run(program, bodies="either").dropped is None


def test_filters_on_values_run_beside_them() -> None:
    assert run(".analysis[0].body.total == 7", bodies="either").dropped is None


def test_parameters_are_asked_too() -> None:
    io = call()
    io.parameters["vip"] = True
    options = JqFilterOptions(filter=".parameters.vip and (.vcons | length == 1)", given="all")
    assert JqFilter().process(io, options).dropped is None


def test_texts_leave_the_vcon_as_it_is() -> None:
    io = call()
    JqFilter().process(io, JqFilterOptions(filter=".", bodies="texts"))
    assert io.vcon.analysis[0]["body"] == {"total": 7}


@pytest.mark.parametrize("program", ["", ".a |", "no_such_function"])
def test_what_does_not_compile_is_refused_with_the_definition(program: str) -> None:
    with pytest.raises(ValidationError):
        JqFilterOptions(filter=program)
