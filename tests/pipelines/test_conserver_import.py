"""A conserver's configuration: translated where it can be, and told of part by part where it cannot."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.pipelines.conserver_import import Translation, translate
from vcon_platform.pipelines.definition import DefinitionError, read_definition
from vcon_platform.pipelines.texts import parse_text
from vcon_platform.processors.conserver_links import LINKS, counterparts
from vcon_platform.processors.registry import load_processors

NEEDED: dict[str, dict[str, Any]] = {
    "check_and_tag": {"tag_name": "billing", "tag_value": "yes", "evaluation_question": "Is it about a bill?"},
    "tag": {"tags": ["team:north"]},
}
"""Options without which a link does nothing."""

_NAMES = (
    "only_if sampling_rate OPENAI_API_KEY api_key organization project AZURE_OPENAI_ENDPOINT AZURE_OPENAI_API_KEY "
    "AZURE_OPENAI_API_VERSION LITELLM_PROXY_URL LITELLM_MASTER_KEY send_ai_usage_data_to_url ai_usage_api_token source "
    "vendor vendor_options transcribe_options DEEPGRAM_KEY api minimum_duration minimum_confidence model language "
    "max_chunk_duration use_silence_chunking silence_thresh silence_len API_KEY API_URL Content-Type vfun-server-url "
    "diarize vfun-timeout url-timeout api-key prompt analysis_type temperature system_prompt response_format "
    "remove_body_properties tag_name tag_value evaluation_question verbosity minimal_reasoning HUGGINGFACE_API_KEY "
    "use_local_model max_length tags tag_routes forward_original filter forward_matches method value seed "
    "remove_dialog_body remove_analysis remove_system_prompts remove_attachment_types post_media_to_url s3_bucket "
    "s3_path aws_access_key_id aws_secret_access_key aws_region presigned_url_expiration seconds webhook-urls headers "
    "token channel_name default_channel_name url analysis_to_post api_url auth partner_id asset_attributes "
    "vcon_operation scrapi_url signing_key_pem signing_key_path issuer key_id store_receipt"
)
OPTION_NAMES = _NAMES.split()
"""Of all links together."""

CONFIG = (Path(__file__).parents[1] / "data" / "conserver" / "config.yml").read_text()
REGISTRY = load_processors()


@pytest.fixture(scope="module")
def found() -> Translation:
    return translate(parse_text("config.yml", CONFIG), REGISTRY)


def _told(found: Translation, place: str, kind: str) -> str:
    return "; ".join(line.message for line in found.lines if line.pointer == place and line.kind == kind)


def _one(chain: dict[str, Any], **links: Any) -> Translation:
    return translate({"chains": {"c": chain}, "links": links}, REGISTRY)


def test_a_chain_becomes_a_pipeline_that_can_run(found: Translation) -> None:
    [simple, _] = found.definitions
    assert (simple.name, simple.faults) == ("simple", ())
    assert simple.definition == {
        "pipeline_options": {
            "label": "simple",
            "timeout": 30,
            "feeds": ["simple_in"],
            "success_queue": "simple_out",
        },
        "processors": [{"processor_name": "queue_job", "label": "notes", "processor_options": {"queue_name": "next"}}],
    }
    assert read_definition("simple", simple.definition, REGISTRY).options.timeout == 30


def test_a_chain_whose_processors_are_not_here_says_which(found: Translation) -> None:
    full = found.definitions[1]
    assert full.name == "full_chain"
    assert "not available in this installation: processor 'special'" in full.faults


@pytest.mark.parametrize(
    ("place", "kind", "words"),
    [
        ("/chains/simple", "translated", "pipeline 'simple'"),
        ("/chains/simple/timeout", "changed", "enforced here"),
        ("/chains/simple/ingress_lists/0", "changed", "feed 'simple_in'"),
        ("/chains/simple/egress_lists/1", "refused", "one success queue"),
        ("/chains/full-chain", "changed", "becomes pipeline 'full_chain'"),
        ("/chains/full-chain/enabled", "changed", "queues pause full_chain"),
        ("/chains/full-chain/storages/0", "refused", "storage 'pg' (storage.postgres)"),
        ("/chains/full-chain/ingress_lists/2", "refused", "cannot be a queue"),
        ("/chains/full-chain/links/3", "refused", "'lost' is not declared"),
        ("/links/hooked/pip_name", "refused", "never installed"),
        ("/links/hooked/module", "refused", "plug-in"),
        ("/links/hooked/options/after_link", "refused", "hook"),
        ("/links/transcript/module", "changed", "is processor 'deepgram' here"),
        ("/links/transcript/ingress-lists", "changed", "no effect"),
        ("/links/sleeper", "changed", "stands in no chain"),
        ("/followers/other", "refused", "adapter"),
        ("/imports/jinja", "refused", "never imported"),
        ("/surprise", "refused", "no such section"),
    ],
)
def test_every_part_is_accounted_for(found: Translation, place: str, kind: str, words: str) -> None:
    assert words in _told(found, place, kind)


def test_a_secret_becomes_a_reference_and_its_value_appears_nowhere(found: Translation) -> None:
    assert found.variables == {"VCON_SECRET_TRANSCRIPT_DEEPGRAM_KEY": "/links/transcript/options/DEEPGRAM_KEY"}
    options = found.definitions[1].definition["processors"][0]["processor_options"]
    assert options["api_key"] == "env:VCON_SECRET_TRANSCRIPT_DEEPGRAM_KEY"
    everything = orjson.dumps([[each.definition for each in found.definitions], [str(line) for line in found.lines]])
    assert b"not-a-real" not in everything


@pytest.mark.parametrize(
    "options",
    [
        {"OPENAI_API_KEY": "hush"},
        {"auth": {"client_secret": "hush"}},
        {"headers": {"Authorization": "hush"}},
        {"url": "postgresql://ada:hush@db/x"},
        {"note": "sk-hush0123456789abcdef"},
        {"signing_key_pem": "hush"},
    ],
)
def test_secrets_are_found_by_name_and_by_look(options: dict[str, Any]) -> None:
    found = _one({"links": ["l"]}, l={"module": "links.analyze", "options": options})
    assert b"hush" not in orjson.dumps(found.definitions[0].definition)
    assert len(found.variables) == 1


def test_what_only_sounds_secret_is_kept() -> None:
    found = _one({"links": ["l"]}, l={"module": "own.link", "options": {"max_tokens": 5, "model": "gpt-4o"}})
    assert found.definitions[0].definition["processors"][0]["processor_options"] == {"max_tokens": 5, "model": "gpt-4o"}


def test_a_links_options_become_those_of_the_processor_it_is_here() -> None:
    options = {"analysis_type": "gist", "prompt": "Sum up.", "temperature": 0.5}
    found = _one({"links": ["l"]}, l={"module": "links.analyze", "options": options})
    [imported] = found.definitions
    [step] = read_definition("c", imported.definition, REGISTRY).steps
    assert imported.faults == ()
    assert step.options.model_dump(include=set(options)) == options


def test_a_misspelt_link_is_told_the_one_that_was_meant() -> None:
    found = _one({"links": ["l"]}, l={"module": "links.deepgram_lnk"})
    assert "did you mean 'deepgram_link'" in _told(found, "/links/l/module", "refused")


def test_a_link_of_two_chains_is_told_of_once() -> None:
    chains = {"a": {"links": ["l"]}, "b": {"links": ["l"]}}
    found = translate({"chains": chains, "links": {"l": {"module": "links.deepgram_link"}}}, REGISTRY)
    assert [line.message for line in found.lines if line.pointer == "/links/l/module"] == [
        "is processor 'deepgram' here"
    ]


def test_what_an_option_no_longer_is_is_told_at_its_place() -> None:
    found = _one({"links": ["l"]}, l={"module": "links.analyze", "options": {"sampling_rate": 0, "nonsense": 1}})
    assert _told(found, "/links/l/options/sampling_rate", "changed").startswith("0 is never here")
    assert "no option that the link has" in _told(found, "/links/l/options/nonsense", "refused")


def test_of_two_chains_with_one_list_the_last_has_it() -> None:
    chains = {name: {"links": [], "ingress_lists": ["in"]} for name in ("a", "b")}
    found = translate({"chains": chains}, REGISTRY)
    assert [each.definition["pipeline_options"].get("feeds") for each in found.definitions] == [None, ["in"]]
    assert "the last one has it" in _told(found, "/chains/b/ingress_lists/0", "changed")


@pytest.mark.parametrize("link", LINKS)
def test_every_link_becomes_a_processor_that_is_installed(link: str) -> None:
    found = _one({"links": ["l"]}, l={"module": f"links.{link}", "options": NEEDED.get(link, {})})
    [imported] = found.definitions
    assert imported.faults == ()
    assert found.refused == []


def test_what_is_no_configuration_is_refused() -> None:
    with pytest.raises(DefinitionError, match="no section 'chains'"):
        translate({"pipelines": {}}, REGISTRY)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=250)
@given(
    link=st.sampled_from(LINKS),
    options=st.dictionaries(st.sampled_from(OPTION_NAMES), _JSON | st.sampled_from(["env:X", "auto", "1"])),
)
def test_no_options_of_a_link_make_the_import_crash(link: str, options: dict[str, Any]) -> None:
    orjson.dumps(counterparts()[link].translate(options).options)


_CHAIN = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("links", "storages", "ingress_lists", "egress_lists", "enabled", "timeout"), _JSON),
)


@given(
    st.fixed_dictionaries(
        {"chains": st.dictionaries(st.text(max_size=5), _CHAIN | _JSON, max_size=3)},
        optional=dict.fromkeys(("links", "storages", "tracers", "imports", "x"), _JSON),
    )
)
def test_no_configuration_makes_the_import_crash(config: Any) -> None:
    with contextlib.suppress(DefinitionError):
        translate(config, REGISTRY)
