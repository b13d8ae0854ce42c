"""docs/cli.md has every verb, and no other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from vcon_platform.cli import app

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text()
TABLES = PAGE.partition("## From py-vcon's")[0]


def _verbs(group: Any, before: tuple[str, ...] = ()) -> Iterator[str]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, (*before, name))
        else:
            yield " ".join((*before, name))


VERBS = sorted(_verbs(typer.main.get_command(app)))


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_on_the_page(verb: str) -> None:
    assert re.search(rf"`{verb}[ `]", TABLES), f"docs/cli.md has no {verb}: add it to the table of what it is for"


def test_no_verb_on_the_page_is_gone() -> None:
    cells = [cell for line in TABLES.splitlines() if line.startswith("| `") for cell in [line.split(" | ")[0]]]
    named = {match[1].strip() for cell in cells for match in re.finditer(r"`([a-z][a-z -]*?)(?=[`\[]| [A-Z\[-])", cell)}
    assert named <= set(VERBS)
