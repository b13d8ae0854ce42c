"""Numbers and addresses: each way of writing one leads to the same identity, and nothing is guessed."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.parties import identities, normalise_mailto, normalise_sip, normalise_tel


@pytest.mark.parametrize(
    ("text", "region", "e164"),
    [
        ("+12025550101", None, "+12025550101"),
        ("+1-555-123-4567", None, "+15551234567"),
        ("tel:+12025550102", None, "+12025550102"),
        ("tel:+1-201-555-0123;ext=1001", None, "+12015550123"),
        ("tel:863-1234;phone-context=+1-914", None, "+19148631234"),
        ("+44 (0)20 7946 0123", None, "+442079460123"),
        ("0044 20 7946 0123", None, "+442079460123"),
        ("(312) 555-0142", "US", "+13125550142"),
        ("3125550142", "US", "+13125550142"),
        ("030 901820", "DE", "+4930901820"),
        ("4930901820", "US", "+4930901820"),
        ("sip:+13125550142@trunk.example:5060;user=phone", "US", "+13125550142"),
        ("1-800-FLOWERS", "US", "+18003569377"),
        ("+39 06 6982 1234", None, "+390669821234"),
    ],
)
def test_a_number_becomes_e164(text: str, region: str | None, e164: str) -> None:
    assert normalise_tel(text, region).e164 == e164


@pytest.mark.parametrize(
    "text", ["1001", "tel:1001", "sip:1001@pbx.example", "10 01", "tel:1001;phone-context=pbx.example"]
)
@pytest.mark.parametrize("region", [None, "US", "DE", "SH"])
def test_an_extension_is_never_a_telephone_number(text: str, region: str | None) -> None:
    assert normalise_tel(text, region)[:2] == (None, "1001")


@pytest.mark.parametrize("code", ["911", "72727", "*97", "*21*1002", "#31", "11361"])
def test_short_and_feature_codes_are_local(code: str) -> None:
    assert normalise_tel(code, "US")[:2] == (None, code)


@pytest.mark.parametrize("text", ["+1 312 555 0142 x22", "+13125550142;ext=22", "tel:+1-312-555-0142;EXT=2-2"])
def test_an_extension_behind_a_number_is_kept_beside_it(text: str) -> None:
    assert normalise_tel(text, "US")[:2] == ("+13125550142", "22")


@pytest.mark.parametrize(
    "text",
    [
        *("anonymous", "Anonymous", "sip:anonymous@anonymous.invalid", "unknown", "0000000000", "", "@SUM(A1)", "-2+3"),
        *("sip:bob2025550101@example.com", "call 2025550101", "+", "+0", "+1(555)", "0" * 250, "1" * 5000, "=1+1"),
    ],
)
def test_what_is_no_number_gives_none(text: str) -> None:
    assert normalise_tel(text, "US") == (None, None, text)


def test_a_national_number_without_a_region_stays_as_it_is() -> None:
    assert normalise_tel("3125550142") == (None, None, "3125550142")


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        ("fay@example.com", ("fay@example.com",)),
        ("Fay.Ray@Example.COM", ("Fay.Ray@example.com",)),
        ("mailto:fay@example.com?subject=hi%20b@c.d", ("fay@example.com",)),
        ("mailto:fay%40example.com", ("fay@example.com",)),
        ("MAILTO:fay@example.com,bob@example.com", ("fay@example.com", "bob@example.com")),
        ('"Ray, Fay" <fay@example.com>', ("fay@example.com",)),
        ("fay@example.com; fay@EXAMPLE.com", ("fay@example.com",)),
        ('"fay ray"@example.com', ('"fay ray"@example.com',)),
        ("nobody", ()),
        ("-2+3", ()),
        ("x" * 5000 + "@example.com", ()),
    ],
)
def test_addresses_are_found_in_every_form(text: str, addresses: tuple[str, ...]) -> None:
    assert normalise_mailto(text) == addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("sip:bob@example.com", "sip:bob@example.com"),
        ("sips:Bob@EXAMPLE.com:5061;transport=tls?x=y", "sip:Bob@example.com"),
        ('"Bob" <sip:bob:secret@example.com>;tag=7', "sip:bob@example.com"),
        ("bob@[2001:DB8::1]:5060", "sip:bob@[2001:db8::1]"),
        ("sip:example.com", None),
        ("", None),
    ],
)
def test_a_sip_address_loses_what_changes_with_each_call(text: str, address: str | None) -> None:
    assert normalise_sip(text) == address


def test_everything_a_party_can_be_found_by() -> None:
    party = {
        "tel": "1001",
        "sip": "sip:+13125550142@trunk.example",
        "mailto": "mailto:Fay@Example.com",
        "email": "fay@home.example",
        "name": "Fay",
        "did": "did:example:1",
        "uuid": "u",
        "meta": {"role": "agent", "extension": 2212},
    }
    found = identities(party, region="US")
    assert found.tel == ("+13125550142",)
    assert found.extension == ("1001", "2212")
    assert found.mailto == ("Fay@example.com", "fay@home.example")
    assert found.sip == ("sip:+13125550142@trunk.example",)
    assert (found.name, found.did, found.uuid) == ("Fay", "did:example:1", "u")


def test_a_value_written_twice_is_held_once() -> None:
    found = identities({"tel": "1001", "sip": "sip:1001@pbx.example", "meta": {"extension": "1001"}}, region=None)
    assert found.extension == ("1001",)


def test_an_empty_party_has_no_identity() -> None:
    assert not any(identities({}, region="US"))


ANY = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=40)
    | st.from_regex(r"(tel:|sip:|mailto:)?[+]?[0-9 ().;=ext@<>\"%-]{0,40}", fullmatch=True)
    | st.lists(st.text(max_size=3), max_size=2) | st.just({"extension": 10**400})
)  # fmt: skip
MEMBERS = st.sampled_from(["tel", "sip", "mailto", "email", "name", "did", "uuid", "meta"])


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(MEMBERS, ANY, max_size=8), st.sampled_from([None, "US", "DE", "nowhere", ""]))
def test_no_party_raises_and_none_is_changed(party: dict[str, Any], region: str | None) -> None:
    before = dict(party)
    found = identities(party, region=region)
    assert party == before
    assert all(tel.startswith("+") and tel[1:].isascii() and tel[1:].isdigit() for tel in found.tel)
    assert identities(party, region=region) == found


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=30), st.sampled_from([None, "US"]))
def test_a_normalised_number_is_its_own_normal_form(text: str, region: str | None) -> None:
    e164 = normalise_tel(text, region).e164
    assert e164 is None or normalise_tel(e164, region).e164 == e164
