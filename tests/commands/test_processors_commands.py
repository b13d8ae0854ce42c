"""``processors list`` and ``show`` on a terminal of 80 characters."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from vcon_platform.cli import app


def _shown(*arguments: str) -> list[str]:
    shown = CliRunner().invoke(app, ["processors", *arguments], env={"COLUMNS": "80", "TERM": "dumb"})
    assert shown.exit_code == 0, shown.output
    return [line.rstrip() for line in shown.output.splitlines()]


@pytest.fixture(scope="module")
def listed() -> list[str]:
    return _shown("list")


def test_each_processor_is_named_with_its_first_sentence_and_its_effects(listed: list[str]) -> None:
    at = next(n for n, line in enumerate(listed) if line.startswith(" decrypt "))
    assert [line.strip() for line in listed[at : at + 2]] == [
        "decrypt                 Opens an encrypted vCon.",
        "changes",
    ]


def test_the_list_wastes_no_lines(listed: list[str]) -> None:
    named = [line for line in listed if re.match(r" [a-z]", line)]
    assert len(listed) < 5 * len(named)


def test_options_of_its_own_come_first_and_what_must_be_given_before_them() -> None:
    lines = _shown("show", "keyword_filter")
    names = [match[1] for line in lines if (match := re.match(r" ([a-z_]+)  ", line))]
    assert names.index("phrases") < names.index("match") < names.index("should_process")
    assert any(line.split() == ["required"] or "required" in line.split()[:1] for line in lines)


def test_a_processor_without_options_says_so() -> None:
    assert "It has no options of its own." in _shown("show", "create_amended")
