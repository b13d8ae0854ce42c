"""The conserver's links for speech to text: every one has a counterpart whose options are valid, and nothing of a link
is lost without a word."""

from typing import Any

import pytest

from vcon_platform.processors.counterparts import Options
from vcon_platform.processors.counterparts_speech import COUNTERPARTS
from vcon_platform.processors.registry import load_processors

LINKS = {counterpart.link: counterpart for counterpart in COUNTERPARTS}


def translated(link: str, options: dict[str, Any]) -> tuple[Any, Options]:
    """Our options, validated, and what is told."""
    counterpart = LINKS[link]
    found = counterpart.translate(options)
    return load_processors().get(counterpart.processor).options.model_validate(found.options), found


@pytest.mark.parametrize("link", LINKS)
def test_a_link_without_options_has_valid_ones_here(link: str) -> None:
    _, found = translated(link, {})
    assert found.refused == {}


@pytest.mark.parametrize("link", LINKS)
def test_an_option_that_nobody_knows_is_named(link: str) -> None:
    _, found = translated(link, {"no_such_option": 1})
    assert "no_such_option" in found.refused


def test_deepgrams_own_options_become_ours_or_additional_ones() -> None:
    options, found = translated(
        "deepgram_link",
        {
            "DEEPGRAM_KEY": "env:VCON_SECRET_DEEPGRAM_KEY",
            "api": {"model": "nova-2", "detect_language": True, "smart_format": True, "keywords": "x", "callback": "y"},
            "send_ai_usage_data_to_url": "https://x.example.org",
        },
    )
    assert (options.model, options.language, options.smart_format, options.punctuate) == ("nova-2", "auto", True, False)
    assert options.additional == {"keywords": "x"}
    assert (options.minimum_duration, options.minimum_confidence) == (60, 0.5)
    assert options.api_key == "env:VCON_SECRET_DEEPGRAM_KEY"
    assert set(found.refused) == {"api.callback", "send_ai_usage_data_to_url"}


def test_openai_keeps_its_model_and_pieces() -> None:
    options, found = translated(
        "openai_transcribe",
        {"OPENAI_API_KEY": "env:OPENAI_API_KEY", "max_chunk_duration": 1200, "silence_len": 1000, "language": "de"},
    )
    assert (options.engine, options.model, options.language) == ("openai", "gpt-4o-transcribe", "de")
    assert options.max_chunk_duration == 700
    assert len(found.notes) == 3


def test_azure_is_told_where_its_address_goes() -> None:
    options, found = translated(
        "openai_transcribe",
        {"AZURE_OPENAI_ENDPOINT": "https://me.example.com", "AZURE_OPENAI_API_KEY": "env:VCON_SECRET_A"},
    )
    assert (options.azure_endpoint, options.api_key) == ("env:AZURE_OPENAI_ENDPOINT", "env:VCON_SECRET_A")
    assert any("AZURE_OPENAI_ENDPOINT to https://me.example.com" in note for note in found.notes)


@pytest.mark.parametrize(
    ("vendor", "engine"),
    [
        ("openai", "openai"),
        ("groq", "groq"),
        ("hugging_face", "hugging_face"),
        ("deepgram", "deepgram"),
        ("whisper_builtin", "local"),
    ],
)
@pytest.mark.parametrize("member", ["vendor_options", "transcribe_options"])
def test_the_link_that_hands_on_becomes_the_engine(vendor: str, engine: str, member: str) -> None:
    options, found = translated("transcribe", {"vendor": vendor, member: {"minimum_duration": 7}})
    assert options.engine == engine
    assert options.minimum_duration == 7 or "minimum_duration" in found.refused


def test_a_vendor_that_the_link_does_not_know_is_named() -> None:
    options, found = translated("transcribe", {"vendor": "acme"})
    assert options.engine == "local"
    assert "vendor" in found.refused


def test_wtf_stays_wtf() -> None:
    options, found = translated(
        "wtf_transcribe",
        {"vfun-server-url": "http://vfun.example.com/wtf", "diarize": True, "vfun-timeout": 60, "url-timeout": 5},
    )
    assert (options.engine, options.outputs, options.engine_options) == ("vfun", ("wtf",), {"diarize": True})
    assert options.answer_within == 60
    assert found.notes == ["set the environment variable VFUN_SERVER_URL to http://vfun.example.com/wtf"]
    assert set(found.refused) == {"url-timeout"}


def test_the_kind_of_audio_is_not_taken_from_a_link() -> None:
    _, found = translated("groq_whisper", {"API_KEY": "env:VCON_SECRET_GROQ", "Content-Type": "audio/flac"})
    assert found.refused == {"Content-Type": "the kind of audio is told by its first bytes"}
