"""The conserver's language-model links: each of their options is an option here, or is told to be none."""

from __future__ import annotations

from typing import Any

import pytest

from vcon_platform.processors.counterparts import Options
from vcon_platform.processors.counterparts_models import COUNTERPARTS
from vcon_platform.processors.registry import load_processors

LINKS = {each.link: each for each in COUNTERPARTS}
CHECK = {"tag_name": "a", "tag_value": "b", "evaluation_question": "c?"}
FULL: dict[str, dict[str, Any]] = {
    "analyze": {"prompt": "x", "analysis_type": "y", "system_prompt": "z"},
    "analyze_and_label": {"prompt": "x", "analysis_type": "y", "response_format": {"type": "json_object"}},
    "analyze_vcon": {"prompt": "x", "analysis_type": "y", "system_prompt": "z", "remove_body_properties": False},
    "check_and_tag": {**CHECK, "analysis_type": "t", "verbosity": "low", "minimal_reasoning": True},
    "detect_engagement": {"prompt": "x", "analysis_type": "y"},
    "hugging_llm_link": {"HUGGINGFACE_API_KEY": "env:VCON_SECRET_X", "max_length": 500, "use_local_model": False},
}
"""Every option of each link's own."""
SHARED = {
    "model": "gpt-4o",
    "temperature": 0.3,
    "sampling_rate": 0.5,
    "only_if": {"section": "attachments", "type": "tags", "includes": "a:b"},
}


def translated(link: str, given: dict[str, Any]) -> Options:
    """The options as ours, after our processor has taken them."""
    found = LINKS[link].translate(given)
    load_processors().get(LINKS[link].processor).options.model_validate(found.options)
    return found


def test_every_link_of_the_family_is_here() -> None:
    assert set(LINKS) == set(FULL)


@pytest.mark.parametrize("link", LINKS)
def test_every_option_is_taken(link: str) -> None:
    found = translated(link, {**SHARED, **FULL[link]})
    assert found.refused == {}
    assert {name: found.options[name] for name in SHARED} == SHARED


@pytest.mark.parametrize("link", LINKS)
def test_a_link_without_options_has_its_defaults(link: str) -> None:
    assert translated(link, CHECK if link == "check_and_tag" else {}).refused == {}


@pytest.mark.parametrize("link", LINKS)
def test_what_no_link_knows_is_told(link: str) -> None:
    assert "nonsense" in translated(link, {**FULL[link], "nonsense": 1}).refused


@pytest.mark.parametrize("link", LINKS)
def test_a_rate_of_nought_is_told_to_mean_never(link: str) -> None:
    found = translated(link, {**FULL[link], "sampling_rate": 0})
    assert found.options["sampling_rate"] == 0
    assert any("never" in note for note in found.notes)


@pytest.mark.parametrize(
    ("link", "model"),
    [("analyze_and_label", "gpt-4-turbo"), ("check_and_tag", "gpt-5"), ("detect_engagement", "gpt-4.1")],
)
def test_a_default_model_that_is_offered_is_kept(link: str, model: str) -> None:
    assert translated(link, FULL[link]).options["model"] == model


@pytest.mark.parametrize("link", ["analyze", "analyze_vcon"])
def test_a_default_model_that_is_no_more_gives_way_and_is_told(link: str) -> None:
    found = translated(link, {})
    assert "model" not in found.options
    assert any("no longer offered" in note for note in found.notes)


def test_an_address_becomes_a_variable_and_is_not_repeated() -> None:
    address = "https://user:secret@proxy.example.org"
    found = translated("analyze", {"LITELLM_PROXY_URL": address, "LITELLM_MASTER_KEY": "env:VCON_SECRET_K"})
    assert (found.options["base_url"], found.options["api_key"]) == ("env:LITELLM_PROXY_URL", "env:VCON_SECRET_K")
    assert address not in str(found)


def test_azure_keeps_its_version() -> None:
    given = {
        "AZURE_OPENAI_ENDPOINT": "env:AZURE_OPENAI_ENDPOINT",
        "AZURE_OPENAI_API_KEY": "env:VCON_SECRET_A",
        "AZURE_OPENAI_API_VERSION": "2025-01-01",
    }
    found = translated("analyze", given)
    assert (found.options["azure_endpoint"], found.options["api_version"]) == (
        "env:AZURE_OPENAI_ENDPOINT",
        "2025-01-01",
    )


def test_a_proxy_goes_before_azure() -> None:
    found = translated("analyze", {"LITELLM_PROXY_URL": "x", "AZURE_OPENAI_ENDPOINT": "y"})
    assert "azure_endpoint" not in found.options


@pytest.mark.parametrize("place", ["body.paragraphs.transcript", "body"])
def test_the_usual_place_of_a_transcript_means_any_transcript(place: str) -> None:
    found = translated("analyze", {"source": {"analysis_type": "transcript", "text_location": place}})
    assert "source" not in found.options


def test_another_source_is_kept_with_one_half_missing() -> None:
    found = translated("analyze", {"source": {"analysis_type": "summary"}})
    assert found.options["source"] == {"analysis_type": "summary", "text_location": ""}


def test_verbosity_and_reasoning_are_further_parameters() -> None:
    found = translated("check_and_tag", FULL["check_and_tag"])
    assert found.options["additional"] == {"verbosity": "low", "reasoning_effort": "minimal"}


def test_usage_that_was_sent_elsewhere_stands_in_the_ledger() -> None:
    found = translated("analyze", {"send_ai_usage_data_to_url": "https://x.example", "ai_usage_api_token": "env:X"})
    assert set(found.refused) == {"send_ai_usage_data_to_url", "ai_usage_api_token"}


def test_a_model_on_the_machine_is_told_how_it_is_reached() -> None:
    found = translated("hugging_llm_link", {"use_local_model": True})
    assert "HUGGINGFACE_BASE_URL" in found.refused["use_local_model"]


@pytest.mark.parametrize("condition", [{"section": "dialog", "type": "x", "includes": "y"}, {"type": "x"}, "x"])
def test_a_condition_that_never_holds_is_told(condition: Any) -> None:
    assert "only_if" in translated("analyze", {"only_if": condition}).refused
