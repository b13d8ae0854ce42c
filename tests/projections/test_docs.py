"""The guide says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import get_args

from vcon_platform.ledger.events import EventKind
from vcon_platform.projections.catalogue import parse_projection
from vcon_platform.projections.extract import EXTRACTORS
from vcon_platform.projections.grains import ELEMENT_EXTRACTORS, GRAINS
from vcon_platform.projections.masking import Mask
from vcon_platform.projections.sources import FINDERS
from vcon_platform.projections.values import ColumnType
from vcon_platform.settings import project_root

GUIDE = (project_root() / "docs" / "projections.md").read_text()


def test_the_guides_example_is_a_good_declaration() -> None:
    example = re.search(r"```yaml\n(.*?)```", GUIDE, re.DOTALL)
    assert example is not None
    assert parse_projection(example[1], "example").name == "long_calls"


def test_the_guide_names_every_extractor_and_type_with_its_description() -> None:
    named = [(name, extractor.description) for name, extractor in EXTRACTORS.items()]
    named += [(name, extractor.description) for name, extractor in ELEMENT_EXTRACTORS.items()]
    named += [(f"{name}({finder.argument.upper()})", finder.description) for name, finder in FINDERS.items()]
    for name, description in named:
        assert f"| `{name}` | {description} |" in GUIDE
    for column_type in get_args(ColumnType):
        assert f"`{column_type}`" in GUIDE


def test_the_guide_names_every_grain_mask_and_shipped_declaration() -> None:
    assert all(f"| `{word}` |" in GUIDE for word in (*GRAINS, *get_args(Mask)))
    shipped = (project_root() / "pipelines" / "projections").glob("*.yaml")
    assert all(f"| `{file.name}` |" in GUIDE for file in shipped)


def test_the_ledgers_guide_names_every_event() -> None:
    guide = (project_root() / "docs" / "ledger.md").read_text()
    assert all(f"`{kind}`" in guide for kind in EventKind)


def test_the_declaration_can_be_imported_without_any_driver() -> None:
    """Every processor imports it."""
    check = (
        "import sys, vcon_platform.projections.model; "
        "sys.exit(bool({'sqlalchemy', 'psycopg2', 'redis', 'dagster'} & sys.modules.keys()))"
    )
    subprocess.run([sys.executable, "-c", check], check=True)
