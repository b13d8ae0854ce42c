"""docs/usage.md says what the code does: its examples can be used."""

from __future__ import annotations

import re
from pathlib import Path

from vcon_platform.ledger.usage import _COLUMNS
from vcon_platform.pipelines.definition import read_definition
from vcon_platform.pipelines.prices import read_prices
from vcon_platform.pipelines.texts import parse_text
from vcon_platform.processors.base import Usage
from vcon_platform.processors.registry import load_processors

DOCS = (Path(__file__).parents[2] / "docs" / "usage.md").read_text()
PRICES, DEFINITION = re.findall(r"```yaml\n(.*?)```", DOCS, re.S)


def test_the_prices_can_be_read() -> None:
    prices = read_prices(PRICES)
    assert prices.currency == "EUR"
    assert prices.of(Usage("openai", "small-model-2026", input_tokens=1)) is not None


def test_the_budget_can_be_used() -> None:
    assert read_definition("notes", parse_text("notes.yaml", DEFINITION), load_processors()).options.budget is not None


def test_every_column_of_the_view_is_there() -> None:
    assert {name for name, _, _ in _COLUMNS} <= set(re.findall(r"`(\w+)`", DOCS))
