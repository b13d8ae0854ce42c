"""The conserver's links that ask a language model, as processors of ours.

Belongs here: what each option of such a link is here, and what is different. Not here: the shape of an entry
(``counterparts.py``), the import (``pipelines/conserver_import.py``), what the processors do.

An address is never taken over: here it stands in the environment, because the key goes there. So an import names the
variable that is to hold it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vcon_platform.processors.counterparts import Counterpart, Options
from vcon_platform.vcon.turns import TRANSCRIPT_TYPES

MAX_TOKENS = 2000
RETIRED = ("gpt-3.5-turbo-16k",)
"""Models that OpenAI has taken down; the defaults of two links."""
_KEYS = ("OPENAI_API_KEY", "openai_api_key", "api_key")
_AZURE = ("AZURE_OPENAI_ENDPOINT", "AZURE_OPENAI_API_KEY", "AZURE_OPENAI_API_VERSION")
_LITELLM = ("LITELLM_PROXY_URL", "LITELLM_MASTER_KEY")
_USAGE = ("send_ai_usage_data_to_url", "ai_usage_api_token")
_SHARED = (*_KEYS, *_AZURE, *_LITELLM, *_USAGE, "organization", "project", "only_if", "sampling_rate", "source")
_TEXT_PLACES = ("body.paragraphs.transcript", "body", "body.transcript")
_MODEL_DIFFERENCES = (
    "Asks once per question, not per analysis type: a second link of the same type in a chain works, and a mended "
    "transcript is asked about again.",
    "Transcripts of every known shape are read, line by line with who spoke; the messages of a chat are asked about "
    "together.",
    "What a link keeps in vendor_schema stands in members of the analysis (prompt, model, usage).",
    "A key or address stands in the environment; without one the conversation fails and says what to set.",
    "sampling_rate 0 is never (the conserver: always), and the same conversations are drawn at every run.",
    "An answer has max_tokens; a conversation that is too long is split, never cut.",
)


def _common(given: Mapping[str, Any], model: str | None) -> Options:
    """The options that all of these links share. ``model``: the link's default; None: ours, for theirs is no more."""
    told = Options({"max_tokens": MAX_TOKENS})
    _service(given, told)
    named = given.get("model") or model
    if named is None:
        told.notes.append("the link's default model is no longer offered; the processor's own is used")
    else:
        told.options["model"] = named
        if named in RETIRED:
            told.notes.append(f"model: OpenAI no longer offers {named}; choose another")
    for name in ("temperature", "organization", "project"):
        if given.get(name) not in (None, ""):
            told.options[name] = given[name]
    _sampling(given, told)
    _only_if(given, told)
    _source(given, told)
    for name in _USAGE:
        if given.get(name):
            told.refused[name] = "usage is not sent anywhere; it stands in the ledger (vcon-platform usage)"
    return told


def _service(given: Mapping[str, Any], told: Options) -> None:
    """A proxy goes before Azure, and that before OpenAI, as in the link."""
    if given.get("LITELLM_PROXY_URL"):
        told.options["base_url"] = _address(given, "LITELLM_PROXY_URL", told)
        told.options["api_key"] = _reference(given.get("LITELLM_MASTER_KEY"), "LITELLM_MASTER_KEY")
    elif given.get("AZURE_OPENAI_ENDPOINT"):
        told.options["azure_endpoint"] = _address(given, "AZURE_OPENAI_ENDPOINT", told)
        told.options["api_key"] = _reference(given.get("AZURE_OPENAI_API_KEY"), "AZURE_OPENAI_API_KEY")
        if given.get("AZURE_OPENAI_API_VERSION"):
            told.options["api_version"] = given["AZURE_OPENAI_API_VERSION"]
    elif key := next((given[name] for name in _KEYS if given.get(name)), None):
        told.options["api_key"] = _reference(key, "OPENAI_API_KEY")


def _reference(value: Any, variable: str) -> str:
    """What stands there if it is a reference (the import has made it one), else the variable."""
    return value if isinstance(value, str) and value.startswith("env:") else f"env:{variable}"


def _address(given: Mapping[str, Any], name: str, told: Options) -> str:
    reference = _reference(given[name], name)
    if reference != given[name]:
        told.notes.append(f"{name}: set the environment variable {name} to the address that stands there")
    return reference


def _sampling(given: Mapping[str, Any], told: Options) -> None:
    rate = given.get("sampling_rate")
    if rate is None:
        return
    if isinstance(rate, bool) or not isinstance(rate, int | float):
        told.refused["sampling_rate"] = "is no number from 0 to 1; every conversation is asked about"
        return
    if rate == 0:
        told.notes.append("sampling_rate: 0 is never here; to the conserver it is always")
    told.options["sampling_rate"] = min(1, max(0, rate))


def _only_if(given: Mapping[str, Any], told: Options) -> None:
    condition = given.get("only_if")
    if not condition:
        return
    if not isinstance(condition, Mapping):
        told.refused["only_if"] = "is no object"
        return
    kind = condition.get("type") or condition.get("purpose")
    if condition.get("section") not in ("attachments", "analysis") or not kind or not condition.get("includes"):
        told.refused["only_if"] = "names no section, type or includes, so that the link never runs; correct it"
        return
    told.options["only_if"] = {"section": condition["section"], "type": kind, "includes": condition["includes"]}


def _source(given: Mapping[str, Any], told: Options) -> None:
    source = given.get("source")
    if not isinstance(source, Mapping):
        return
    kind, place = source.get("analysis_type") or "transcript", source.get("text_location") or ""
    if kind in TRANSCRIPT_TYPES and place in ("", *_TEXT_PLACES):
        place = ""
    if (kind, place) != ("transcript", ""):
        told.options["source"] = {"analysis_type": kind, "text_location": place}


def _rest(given: Mapping[str, Any], told: Options, *taken: str) -> Options:
    for name in given.keys() - {*_SHARED, "model", "temperature", *taken}:
        told.refused[name] = "is no option that the link has"
    return told


def _texts(given: Mapping[str, Any], told: Options, *names: str) -> None:
    for name in names:
        if given.get(name):
            told.options[name] = given[name]


# --- the links -------------------------------------------------------------------------------------------------


def _analyze(given: Mapping[str, Any]) -> Options:
    told = _common(given, None)
    _texts(given, told, "prompt", "analysis_type", "system_prompt")
    if not given.get("prompt"):
        told.notes.append("prompt: the link has none by default; here it is asked for a summary")
    return _rest(given, told, "prompt", "analysis_type", "system_prompt")


def _analyze_and_label(given: Mapping[str, Any]) -> Options:
    told = _common(given, "gpt-4-turbo")
    _texts(given, told, "prompt", "analysis_type")
    if given.get("response_format") not in (None, {"type": "json_object"}):
        told.refused["response_format"] = "the answer is always a JSON object here"
    return _rest(given, told, "prompt", "analysis_type", "response_format")


def _analyze_vcon(given: Mapping[str, Any]) -> Options:
    told = _common(given, None)
    told.options.pop("source", None)
    _texts(given, told, "prompt", "analysis_type", "system_prompt")
    if "remove_body_properties" in given:
        told.options["remove_body_properties"] = bool(given["remove_body_properties"])
    return _rest(given, told, "prompt", "analysis_type", "system_prompt", "remove_body_properties")


def _check_and_tag(given: Mapping[str, Any]) -> Options:
    told = _common(given, "gpt-5")
    _texts(given, told, "tag_name", "tag_value", "evaluation_question", "analysis_type")
    if given.get("response_format") not in (None, {"type": "json_object"}):
        told.refused["response_format"] = "the answer is always a JSON object here"
    additional: dict[str, Any] = {}
    if given.get("verbosity"):
        additional["verbosity"] = given["verbosity"]
    if given.get("minimal_reasoning"):
        additional["reasoning_effort"] = "minimal"
    if additional:
        told.options["additional"] = additional
    taken = ("tag_name", "tag_value", "evaluation_question", "analysis_type", "response_format")
    return _rest(given, told, *taken, "verbosity", "minimal_reasoning")


def _detect_engagement(given: Mapping[str, Any]) -> Options:
    told = _common(given, "gpt-4.1")
    _texts(given, told, "prompt", "analysis_type")
    return _rest(given, told, "prompt", "analysis_type")


_HUGGING_SCHEMA = {
    "type": "object",
    "properties": {
        "summary": {"type": "string"},
        "sentiment": {"type": "string"},
        "key_points": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["summary", "sentiment", "key_points"],
    "additionalProperties": False,
}


def _hugging_llm(given: Mapping[str, Any]) -> Options:
    told = Options(
        {
            "analysis_type": "llm_analysis",
            "prompt": "Summarize the conversation, name its sentiment, and list its key points.",
            "json_schema": _HUGGING_SCHEMA,
            "model": given.get("model") or "meta-llama/Llama-2-70b-chat-hf",
            "max_tokens": given.get("max_length") or 1000,
            "temperature": given.get("temperature", 0.7),
            "messages": "single",
            "api_key": _reference(given.get("HUGGINGFACE_API_KEY"), "HUGGINGFACE_API_KEY"),
            "base_url": "env:HUGGINGFACE_BASE_URL",
        },
        notes=[
            "set the environment variable HUGGINGFACE_BASE_URL to the address of Hugging Face's router "
            "(https://router.huggingface.co/v1), or of a server of your own that speaks OpenAI's protocol",
        ],
    )
    _sampling(given, told)
    _only_if(given, told)
    if given.get("use_local_model"):
        told.refused["use_local_model"] = (
            "no model is loaded into the platform; run it in a server that speaks OpenAI's protocol (vLLM, llama.cpp, "
            "Ollama) and set HUGGINGFACE_BASE_URL to its address"
        )
    for name in given.keys() - {
        "HUGGINGFACE_API_KEY",
        *("model", "use_local_model", "max_length", "temperature", "only_if", "sampling_rate"),
    }:
        told.refused[name] = "is no option that the link has"
    return told


COUNTERPARTS: tuple[Counterpart, ...] = (
    Counterpart("analyze", "analyze", _analyze, _MODEL_DIFFERENCES),
    Counterpart(
        "analyze_and_label",
        "analyze_and_label",
        _analyze_and_label,
        (
            *_MODEL_DIFFERENCES,
            "An answer without labels is asked for once more and then fails; the link keeps it as a text. The body is "
            "JSON, not a text that holds JSON.",
            "labels lists the only labels that there are; a label is a word of up to 100 characters in any case.",
        ),
    ),
    Counterpart(
        "analyze_vcon",
        "analyze_vcon",
        _analyze_vcon,
        (
            *_MODEL_DIFFERENCES[2:],
            "Files and recordings in base64url never go to the model, also with remove_body_properties: false.",
            "The analysis names all dialogs; the link names dialog 0. It may have a JSON Schema to meet.",
        ),
    ),
    Counterpart(
        "check_and_tag",
        "check_and_tag",
        _check_and_tag,
        (*_MODEL_DIFFERENCES, "A tag that is there is not pinned on twice."),
    ),
    Counterpart(
        "detect_engagement",
        "detect_engagement",
        _detect_engagement,
        (
            *_MODEL_DIFFERENCES,
            "The conversation has one tag engagement: true where one of its recordings is a yes.",
            "An answer that is neither yes nor no is asked for once more and then fails.",
        ),
    ),
    Counterpart(
        "hugging_llm_link",
        "analyze",
        _hugging_llm,
        (
            "The link cannot work with its defaults. Here it is analyze with a JSON Schema, at Hugging Face's router "
            "or a server of one's own; the body is {summary, sentiment, key_points}.",
            *_MODEL_DIFFERENCES,
        ),
    ),
)
"""Every link of this family."""
