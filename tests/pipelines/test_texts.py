"""Definition texts are read strictly: what two readers could see differently is refused, with its place."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vcon_platform.pipelines.faults import DefinitionError
from vcon_platform.pipelines.texts import MOST_BYTES, MOST_INTEGER, parse_text, sources
from vcon_platform.pipelines.yaml_text import as_yaml


def _refused(text: str, file: str = "x.yaml") -> str:
    with pytest.raises(DefinitionError) as refused:
        parse_text(file, text)
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("'7'", "7"),
        ("", None),
        ("~", None),
        ("!!str 7", "7"),
    ],
)
def test_yaml_is_read_by_its_core_rules(text: str, value: Any) -> None:
    read = parse_text("x.yaml", f"a: {text}")["a"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("processors: []\nprocessors: []", "/: ", "line 2: member 'processors' is given twice"),
        ("a:\n  - {b: 1, b: 2}", "/a/0", "given twice"),
        ("a: {1: x}", "/a", "must be a text"),
        ("a: {true: x}", "/a", "must be a text"),
        ("? [a]\n: b", "/: ", "must be a text"),
        ("a: [.inf]", "/a/0", "finite"),
        ("a: 9007199254740993", "/a", "in quotes"),
        ("a: !!python/object:os.system x", "/a", "tags are not read"),
        ("a: !!binary aGk=", "/a", "tags are not read"),
        ("a: *b", "/a", "no anchor"),
        ("a: &b [*b]", "/a/0", "no anchor"),
        ("a: 1\n---\nb: 2", "/: ", "one definition"),
        ("a: [", "x.yaml, line", "cannot be read"),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_its_place(text: str, place: str, words: str) -> None:
    told = _refused(text)
    assert place in told
    assert words in told


def test_a_member_given_twice_in_json_is_refused_with_its_place() -> None:
    assert "/processors" in _refused('{"processors": [], "processors": []}', "x.json")


def test_aliases_and_merges_are_read() -> None:
    text = "base: &base {words: [a], language: en}\nuse: {<<: *base, language: de}\nagain: *base"
    read = parse_text("x.yaml", text)
    assert (read["use"], read["again"]) == ({"words": ["a"], "language": "de"}, read["base"])


def test_aliases_that_multiply_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "more than" in _refused("\n".join(lines))


def test_an_alias_of_a_long_text_counts_as_long() -> None:
    assert "more than" in _refused(f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 100)}]")


@pytest.mark.parametrize("text", ["[" * 100_000, "a: " * 50_000, "- " * 100_000, "{a: " * 50_000])
def test_no_depth_of_nesting_does_harm(text: str) -> None:
    _refused(text)


def test_a_text_that_is_too_large_is_refused_before_it_is_parsed() -> None:
    assert "larger than 256 KiB" in _refused("a" * (MOST_BYTES + 1))


def test_a_file_that_is_no_text_has_its_fault_told_and_spoils_no_other(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "good.yaml").write_text("processors: []")
    (tmp_path / ".hidden.yaml").write_text("")
    (tmp_path / "folder.yaml").mkdir()
    found = sources(tmp_path)
    assert list(found) == ["bad.yaml", "good.yaml"]
    assert "UTF-8" in _refused(found["bad.yaml"])


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MOST_INTEGER, MOST_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffd"), max_size=20)
    | st.sampled_from(["1e5", "0o7", "0x1", ".5", "no", "~", "a: b", "x\ny\n", "x \ny", "\n", " a", "12", "+1", "1_0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab <-:0", max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), _VALUES, max_size=3))
@example({"a": "\x85"})
@example({"a": "a\u2028b \u2029"})
def test_what_is_written_as_yaml_reads_back_the_same(value: dict[str, Any]) -> None:
    assert parse_text("x.yaml", as_yaml(value)) == value


@given(st.text(max_size=60) | st.text("{}[]:-&*!|>'\"\n a1,", max_size=60))
def test_no_text_makes_the_reader_crash(text: str) -> None:
    for file in ("x.yaml", "x.json"):
        with contextlib.suppress(DefinitionError):
            parse_text(file, text)
