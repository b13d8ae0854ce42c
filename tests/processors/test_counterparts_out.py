"""The conserver's links that send, take out and attest: every one has a counterpart whose options are valid, and
nothing of a link is lost without a word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.processors.counterparts import Options
from vcon_platform.processors.counterparts_out import COUNTERPARTS
from vcon_platform.processors.registry import load_processors

REGISTRY = load_processors()
LINKS = {counterpart.link: counterpart for counterpart in COUNTERPARTS}
NAMES = {
    "webhook": ["webhook-urls", "headers"],
    "post_analysis_to_slack": [
        *("token", "channel_name", "default_channel_name", "url", "analysis_to_post", "only_if"),
    ],
    "diet": [
        *("remove_dialog_body", "remove_analysis", "remove_attachment_types", "remove_system_prompts", "s3_bucket"),
        *("s3_path", "aws_region", "presigned_url_expiration", "post_media_to_url", "aws_access_key_id"),
    ],
    "expire_vcon": ["seconds"],
    "datatrails": ["api_url", "auth", "partner_id", "asset_attributes", "vcon_operation"],
    "scitt": [
        *("scrapi_url", "signing_key_pem", "signing_key_path", "issuer", "key_id", "vcon_operation", "store_receipt"),
    ],
}


def translated(link: str, options: dict[str, Any]) -> tuple[Any, Options]:
    """Our options, validated, and what is told."""
    counterpart = LINKS[link]
    found = counterpart.translate(options)
    return REGISTRY.get(counterpart.processor).options.model_validate(found.options), found


def test_every_link_of_the_family_is_there() -> None:
    assert set(LINKS) == set(NAMES)


@pytest.mark.parametrize("link", LINKS)
def test_a_link_without_options_has_valid_ones_here(link: str) -> None:
    _, found = translated(link, {})
    assert found.refused == {}


@pytest.mark.parametrize("link", LINKS)
def test_an_option_that_nobody_knows_is_named(link: str) -> None:
    _, found = translated(link, {"no_such_option": 1})
    assert "no_such_option" in found.refused


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just("env:VCON_SECRET_X"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.mark.parametrize("link", LINKS)
@settings(max_examples=25)
@given(data=st.data())
def test_whatever_a_link_holds_its_options_are_valid_here(link: str, data: st.DataObject) -> None:
    translated(link, data.draw(st.dictionaries(st.sampled_from(NAMES[link]), _VALUES)))


def test_a_webhook_keeps_its_addresses_and_headers() -> None:
    options, found = translated("webhook", {"webhook-urls": ["https://a.vcon.dev/x"], "headers": {"X-Tenant": "north"}})
    assert options.urls == ("https://a.vcon.dev/x",)
    assert options.headers == {"Content-Type": "application/json", "X-Tenant": "north"}
    assert (found.notes, found.refused) == ([], {})


def test_a_webhook_with_a_secret_says_which_hosts_are_to_be_allowed() -> None:
    options, found = translated(
        "webhook",
        {"webhook-urls": ["https://a.vcon.dev/x", "http://crm:80/"], "headers": {"Authorization": "env:VCON_SECRET_A"}},
    )
    assert options.headers["Authorization"] == "env:VCON_SECRET_A"
    assert "set VCON_WEBHOOK_HOSTS to a.vcon.dev,crm" in found.notes[0]


def test_a_secret_that_was_not_seen_is_left_out_and_told() -> None:
    options, found = translated("webhook", {"webhook-urls": ["https://a.vcon.dev/"], "headers": {"Cookie": "s3cr3t"}})
    assert "Cookie" not in options.headers
    assert "env:NAME" in found.refused["headers.Cookie"]
    assert "s3cr3t" not in str(found)


def test_a_slack_message_keeps_its_channel_condition_and_link() -> None:
    options, found = translated(
        "post_analysis_to_slack",
        {"token": "env:VCON_SECRET_T", "default_channel_name": "quality", "url": "https://crm.vcon.dev/{vcon_id}/x"},
    )
    assert (options.token, options.channel, options.link) == (
        "env:VCON_SECRET_T",
        "quality",
        "https://crm.vcon.dev/{uuid}/x",
    )
    assert (options.only_if.section, options.only_if.type) == ("analysis", "customer_frustration")
    assert found.refused == {}


def test_a_link_without_a_place_for_the_uuid_has_it_at_the_end() -> None:
    options, _ = translated("post_analysis_to_slack", {"default_channel_name": "q", "url": "https://crm.vcon.dev/x"})
    assert options.link == "https://crm.vcon.dev/x?_vcon_id=%22{uuid}%22"


def test_a_bucket_becomes_a_store_that_is_to_be_set() -> None:
    options, found = translated(
        "diet",
        {
            "remove_dialog_body": True,
            "s3_bucket": "calls",
            "s3_path": "eu",
            "aws_region": "eu-central-1",
            "aws_access_key_id": "env:VCON_SECRET_ID",
            "aws_secret_access_key": "env:VCON_SECRET_KEY",
            "presigned_url_expiration": 600,
        },
    )
    assert (options.copies, options.signed_for) == ("env:DIET_STORE_URL", 600)
    assert (
        "set the environment variable DIET_STORE_URL to s3://calls/eu?region=eu-central-1&"
        "access_key_id=env:VCON_SECRET_ID&secret_access_key=env:VCON_SECRET_KEY"
    ) in found.notes[0]


def test_a_service_for_media_stays_one() -> None:
    options, found = translated("diet", {"remove_dialog_body": True, "post_media_to_url": "http://media:8080/x"})
    assert options.post_media_to_url == "http://media:8080/x"
    assert "set VCON_WEBHOOK_HOSTS to media" in found.notes[0]


def test_a_document_leaves_after_the_links_seconds() -> None:
    assert translated("expire_vcon", {"seconds": 3600})[0].seconds == 3600


def test_datatrails_keeps_its_assets_and_its_account() -> None:
    options, found = translated(
        "datatrails",
        {
            "auth": {
                "type": "OIDC-client-credentials",
                "token_endpoint": "https://app.datatrails.ai/archivist/iam/v1/appidp/token",
                "client_id": "abc",
                "client_secret": "env:VCON_SECRET_D",
            },
            "vcon_operation": "created",
        },
    )
    assert options.client_secret == "env:VCON_SECRET_D"
    assert options.asset_attributes["arc_display_type"] == "vcon_droid"
    assert any("DATATRAILS_CLIENT_ID to abc" in note for note in found.notes)


def test_statements_name_nobody_any_more() -> None:
    options, found = translated("scitt", {"vcon_operation": "vcon_enhanced"})
    assert (options.subjects, options.pseudonym_key, options.claims_label) == (
        "parties",
        "env:SCITT_PSEUDONYM_KEY",
        13,
    )
    assert options.signing_key == "file:signing-key.pem"
    assert any("SCITT_URL to http://scittles:8000" in note for note in found.notes)
