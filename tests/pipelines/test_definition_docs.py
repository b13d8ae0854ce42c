"""docs/pipelines.md says what the code does: every option is there with its default, and its example can run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from vcon_platform.pipelines.definition import read_definition
from vcon_platform.pipelines.pipeline_options import PipelineOptions
from vcon_platform.pipelines.texts import parse_text
from vcon_platform.processors.base import ProcessorOptions
from vcon_platform.processors.registry import load_processors

DOCS = (Path(__file__).parents[2] / "docs" / "pipelines.md").read_text()
REMARKS = ("label", "notes", "comment")


def _section(title: str) -> str:
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", DOCS, re.M | re.S)
    assert found
    return found.group(1)


@pytest.mark.parametrize("option", [name for name in PipelineOptions.model_fields if name not in REMARKS])
def test_every_option_of_a_pipeline_is_there_with_its_default(option: str) -> None:
    default = PipelineOptions.model_fields[option].default
    named = {
        "None": "none",
        "()": "none",
        "True": "`true`",
        "batch": "`batch`",
        "off": "`off`",
        "everyone": "`everyone`",
    }
    shown = named.get(str(default)) or f"{default:g}"
    assert f"| `{option}` | {shown} |" in _section("Options of the pipeline")


@pytest.mark.parametrize("option", [name for name in ProcessorOptions.model_fields if name not in REMARKS])
def test_every_option_of_every_step_is_there(option: str) -> None:
    assert f"| `{option}` |" in _section("Options of every step")


def test_the_example_can_run() -> None:
    [text] = re.findall(r"```yaml\n(.*?)```", DOCS, re.S)
    assert len(read_definition("example", parse_text("example.yaml", text), load_processors()).steps) == 2


def test_every_link_within_the_page_leads_somewhere() -> None:
    titles = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", DOCS, re.M)}
    assert set(re.findall(r"\]\(#([^)]+)\)", DOCS)) - titles == set(), json.dumps(sorted(titles))
