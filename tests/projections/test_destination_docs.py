"""The pages of destinations name every kind, and their examples can be used."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.projections.examples import projection
from vcon_platform.projections.destination import ENTRY_POINTS, destination_kind
from vcon_platform.settings import project_root

DOCS = project_root() / "docs"
INDEX = (DOCS / "destinations.md").read_text()
PAGES = sorted((DOCS / "destinations").glob("*.md"))
EXAMPLES = [
    (page.stem, number, text)
    for page in PAGES
    for number, text in enumerate(re.findall(r"```yaml\n(destinations:.*?)```", page.read_text(), re.DOTALL))
]


def test_every_kind_is_in_the_index() -> None:
    kinds = {entry.name for entry in entry_points(group=ENTRY_POINTS) if entry.value.startswith("vcon_platform.")}
    assert set(re.findall(r"\[`(\w+)`\]\(destinations/", INDEX)) == kinds


@pytest.mark.parametrize("page", [DOCS / "destinations.md", DOCS / "analysts.md", *PAGES], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([\w./-]+\.md)(?:#[\w-]+)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).is_file()] == []


@pytest.mark.parametrize(("page", "number", "text"), EXAMPLES, ids=[f"{page}-{number}" for page, number, _ in EXAMPLES])
def test_an_example_is_a_good_declaration(page: str, number: int, text: str) -> None:
    given: list[dict[str, Any]] = yaml.safe_load(text)["destinations"]
    columns = [
        {"name": "uuid", "type": "text", "from": "uuid"},
        {"name": "created_at", "type": "timestamptz", "from": "created_at"},
        {"name": "agent", "type": "text", "from": "agent.name"},
        {"name": "customer", "type": "text", "from": "customer.name"},
        {"name": "seconds", "type": "numeric", "from": "duration_seconds"},
    ]
    for each in given:  # a page may show one kind twice
        declared = projection(columns=columns, destinations=[each])
        kind = destination_kind(declared.destinations[0].kind)
        kind.check(declared)
        assert kind.target(declared)
