"""``jq``: questions and answers, and filters that must not do any harm."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tests.processors.support import document, io_of
from vcon_platform.jq_child import JqChild, JqError
from vcon_platform.processors.base import PermanentError, ProcessorIO
from vcon_platform.processors.jq_query import JqOptions, JqQuery
from vcon_platform.processors.testing import processor_tests

PARTIES = [{"name": "Alice", "tel": "+15550100"}, {"name": "Bob"}]


def call() -> ProcessorIO:
    io = io_of(document(parties=PARTIES))
    io.parameters["limit"] = 7
    return io


def ask(**queries: str) -> dict[str, Any]:
    return JqQuery().process(call(), JqOptions(jq_queries=queries)).parameters


@pytest.fixture(scope="module")
def child() -> Iterator[JqChild]:
    found = JqChild(seconds=30, memory_bytes=512 << 20, output_bytes=100_000)
    yield found
    found.close()


TestJqStandard = processor_tests(
    JqQuery, example_io=call, options={"jq_queries": {"names": "[.vcons[0].parties[]?.name]"}}
)


def test_the_first_output_becomes_the_parameter() -> None:
    assert ask(first=".vcons[0].parties[].name")["first"] == "Alice"


def test_parameters_can_be_asked_about() -> None:
    assert ask(bad=".parameters.limit < 8")["bad"] is True


def test_no_output_is_null() -> None:
    assert ask(nobody="empty") == {"limit": 7, "nobody": None}


def test_a_query_that_fails_is_named_and_sets_nothing() -> None:
    io = call()
    with pytest.raises(PermanentError, match=r"^/jq_queries/b: it failed on this conversation: Cannot index"):
        JqQuery().process(io, JqOptions(jq_queries={"a": "1", "b": ".vcons.name"}))
    assert io.parameters == {"limit": 7}


def test_what_is_no_filter_is_refused_with_the_definition() -> None:
    with pytest.raises(ValidationError, match=r"b: it is no jq filter: syntax error.*; c: .*foo/1 is not defined"):
        JqOptions(jq_queries={"a": ".", "b": ".[", "c": "foo(1)"})


# --- filters of strangers --------------------------------------------------------------------------------------


def test_the_environment_is_not_to_be_seen(child: JqChild, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    assert child.first(["env.OPENAI_API_KEY", "$ENV.OPENAI_API_KEY", "env.PATH"], None) == [None] * 3


def test_no_file_can_be_read(child: JqChild, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text('{"secret": 1}')
    for how in ("import", "include"):
        name = " as $x" if how == "import" else ""
        with pytest.raises(JqError):
            child.first([f'{how} "x"{name} {{"search": "{tmp_path}"}}; .'], None)


@pytest.mark.parametrize("program", ["last(range(1e12))", "def f: f; f", "[repeat(1)]", '"x" * 1000000000 | length'])
def test_one_that_never_ends_or_takes_all_memory_is_stopped(child: JqChild, program: str) -> None:
    with pytest.raises(JqError, match=r"took longer|memory"):
        child.first([program], None, seconds=0.5)
    assert child.first(["1"], None) == [1]


def test_one_that_overruns_is_named_among_others(child: JqChild) -> None:
    with pytest.raises(JqError) as raised:
        child.first([".", "last(range(1e12))", "."], 1, seconds=2)
    assert raised.value.position == 1


def test_an_output_without_end_ends() -> None:
    child = JqChild(seconds=60, output_bytes=100_000)  # a busy machine must not make it one that takes too long
    with pytest.raises(JqError, match="too large"):
        child.first(["[range(100000)]"], None)
    child.close()


def test_one_of_many_outputs_comes_at_once(child: JqChild) -> None:
    assert child.first(["range(1e12)"], None) == [0]


@pytest.mark.parametrize(
    "program", ["tonumber", "error", "error({a: .})", ". + 1", "fromjson", 'strptime("%Y")', ".[0]"]
)
def test_faults_hold_nothing_of_the_conversation(child: JqChild, program: str) -> None:
    for value in ("Alice) and (Smith", {"Alice": "Smith"}):
        with pytest.raises(JqError) as raised:
            child.first([program], value)
        assert "Alice" not in str(raised.value)
        assert "Smith" not in str(raised.value)


def test_answers_are_json_whatever_they_are(child: JqChild) -> None:
    assert child.first(["nan", "[infinite, -infinite]", '"\\u0000"', "1e1000"], None)[0] is None


def test_it_is_used_again_and_not_started_anew(child: JqChild) -> None:
    child.first(["."], 1)
    before = child._process
    child.first([". + 1"], 1)
    assert child._process is before


def test_a_child_that_was_killed_is_replaced(child: JqChild) -> None:
    child.first(["."], 1)
    assert child._process is not None
    child._process.kill()
    child._process.wait()
    assert child.first(["."], 1) == [1]
