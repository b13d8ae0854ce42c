"""The options of every processor that asks a language model: what is refused before anything is asked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from vcon_platform.pipelines.definition import read_definition
from vcon_platform.processors.analyze import Analyze, AnalyzeOptions
from vcon_platform.processors.model_options import ModelOptions, service_of
from vcon_platform.processors.registry import load_processors


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"api_key": "sk-secret"}, "write env:NAME"),
        ({"api_key": "env:POSTGRES_URL"}, "may not name"),
        ({"base_url": "https://elsewhere.example.org"}, "write env:NAME"),
        ({"azure_endpoint": "https://elsewhere.example.org"}, "write env:NAME"),
        ({"additional": {"messages": []}}, "its own option"),
        ({"additional": {"n": 100}}, "what comes back"),
        ({"additional": {"store": True}}, "a copy kept elsewhere"),
        ({"additional": {"x": "y" * 20_000}}, "larger than 20,000 bytes"),
        ({"sampling_rate": 1.5}, "less than or equal to 1"),
        ({"only_if": {"type": "tags"}}, "includes"),
        ({"only_if": {"section": "dialog", "type": "a", "includes": "b"}}, "section"),
        ({"long": "cut"}, "split"),
        ({"context_tokens": 10}, "256"),
    ],
)
def test_options_that_cannot_work_are_refused_beforehand(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        ModelOptions.model_validate(options)


@pytest.mark.parametrize(
    ("options", "variable", "service"),
    [
        ({}, "", "openai"),
        ({"base_url": "env:LITELLM_PROXY_URL"}, "LITELLM_PROXY_URL", "litellm"),
        ({"base_url": "env:HUGGINGFACE_BASE_URL"}, "HUGGINGFACE_BASE_URL", "huggingface"),
        ({"azure_endpoint": "env:AZURE_OPENAI_ENDPOINT"}, "AZURE_OPENAI_ENDPOINT", "azure_openai"),
        ({"azure_endpoint": "env:VCON_SECRET_AZURE"}, "VCON_SECRET_AZURE", "azure_openai"),
    ],
)
def test_what_is_used_is_put_down_to_whose_service_it_is(
    monkeypatch: pytest.MonkeyPatch, options: dict[str, Any], variable: str, service: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "key")
    if variable:
        monkeypatch.setenv(variable, "https://x.example.org")
    assert service_of(ModelOptions.model_validate(options)).usage_name == service


def test_a_service_does_not_show_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    assert "sk-secret" not in repr(service_of(ModelOptions()))


def test_the_example_of_the_documentation_is_valid() -> None:
    page = (Path(__file__).parents[2] / "docs" / "processors-language-models.md").read_text()
    [example] = re.findall(r"```yaml\n(.*?)```", page, re.S)
    assert len(read_definition("calls", yaml.safe_load(example), load_processors()).steps) == 4


def test_every_processor_of_the_family_has_a_section() -> None:
    page = (Path(__file__).parents[2] / "docs" / "processors-language-models.md").read_text()
    registry = load_processors()
    family = [name for name in registry.names if issubclass(registry.get(name).options, ModelOptions)]
    own = (
        "openai_chat_completion",
        "analyze",
        "analyze_and_label",
        "analyze_vcon",
        "check_and_tag",
        "detect_engagement",
    )
    assert set(own) <= set(family)
    assert [name for name in own if f"\n## {name}\n" not in page] == []


def test_each_service_has_a_limit_of_its_own() -> None:
    azure = {"azure_endpoint": "env:AZURE_OPENAI_ENDPOINT"}
    pools = [Analyze.pool_of(AnalyzeOptions.model_validate(given)) for given in ({}, azure)]
    assert pools == ["openai", "azure_openai"]
