"""docs/consent.md and docs/processors-integrity.md say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vcon_platform.pipelines.definition import read_definition
from vcon_platform.pipelines.texts import parse_text
from vcon_platform.processors.registry import load_processors
from vcon_platform.vcon import consent

DOCS = Path(__file__).parents[2] / "docs"
CONSENT, INTEGRITY = (DOCS / "consent.md").read_text(), (DOCS / "processors-integrity.md").read_text()


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", CONSENT + INTEGRITY, re.S))
def test_every_example_is_a_pipeline(text: str) -> None:
    whole = text if "processors:" in text else f"processors:\n{text}"
    assert read_definition("example", parse_text("example.yaml", whole), load_processors()).steps


def test_every_code_of_a_refusal_is_told() -> None:
    assert [code for code in consent._WHY if code != "granted" and f"`{code}`" not in CONSENT] == []


@pytest.mark.parametrize("cls", [cls for cls in load_processors() if cls.effects.purpose], ids=lambda cls: cls.name)
def test_the_purpose_of_every_processor_is_told(cls: type) -> None:
    assert f"`{cls.effects.purpose}`" in CONSENT  # type: ignore[attr-defined]
