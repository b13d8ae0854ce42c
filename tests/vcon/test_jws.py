"""The form of a JWS: what is refused in it, and that nothing else comes of hostile input than a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vcon.certificates import HOSTILE, NOW
from tests.vcon.signers import RAW, SIGNERS, TRUST, signed
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.media import encode_base64url
from vcon_platform.vcon.signing import verify
from vcon_platform.vcon.trust import Trust


def _cases() -> Iterator[Any]:
    for case in json.loads((HOSTILE / "cases.json").read_bytes()):
        if case["id"] == 28:
            yield pytest.param(case, id=case["file"])


@pytest.mark.parametrize("trust", [TRUST, None], ids=["trust", "no trust"])
@pytest.mark.parametrize("case", _cases())
def test_hostile_signatures_are_refused_as_expected(case: dict[str, Any], trust: Trust | None) -> None:
    with pytest.raises(Rejected) as refused:
        verify(json.loads((HOSTILE / case["file"]).read_bytes()), trust, NOW)
    assert refused.value.status in case["status"]
    assert refused.value.code == case["code"]


def test_a_bad_signature_is_a_state_and_its_header_uuid_still_told() -> None:
    found = verify(json.loads((HOSTILE / "29_jws_uuid_mismatch.json").read_bytes()), TRUST, NOW)
    assert found.state == "untrusted"
    assert found.header_uuids == ["018f3a2b-4c5d-8e6f-9012-000000000000"]


def _with_header(
    protected: Any = None, header: Any = None, signature: Any = "AAAA", text: Any = None
) -> dict[str, Any]:
    entry: dict[str, Any] = {"signature": signature}
    if protected is not None:
        text = encode_base64url(json.dumps(protected).encode())
    if text is not None:
        entry["protected"] = text
    if header is not None:
        entry["header"] = header
    return {"payload": encode_base64url(RAW), "signatures": [entry]}


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (_with_header({"alg": "none"}), "bad_signature"),
        (_with_header({"alg": "HS512"}), "alg_not_allowed"),
        (_with_header({"alg": "None"}), "alg_not_allowed"),
        (_with_header({"alg": "RS999"}), "alg_not_allowed"),
        (_with_header({"alg": ["RS256"]}), "alg_not_allowed"),
        (_with_header({}), "alg_not_allowed"),
        (_with_header(None, {"alg": "RS256"}), "alg_not_allowed"),
        (_with_header({"typ": "JWT"}, {"alg": "RS256"}), "alg_not_allowed"),
        (_with_header({"alg": "RS256", "crit": ["exp"], "exp": 1}), "crit_not_supported"),
        (_with_header({"alg": "RS256", "crit": ["b64"], "b64": False}), "crit_not_supported"),
        (_with_header({"alg": "RS256"}, {"crit": ["exp"]}), "crit_not_supported"),
        (_with_header({"alg": "RS256", "jwk": {"kty": "RSA"}}), "untrusted"),
        (_with_header({"alg": "RS256"}, {"jwk": {"kty": "RSA"}}), "untrusted"),
        (_with_header({"alg": "RS256"}, {"jku": "https://169.254.169.254/k"}), "untrusted"),
        (_with_header({"alg": "RS256"}, {"x5u": "https://localhost/c.pem"}), "untrusted"),
    ],
)
def test_what_no_honest_signer_writes_is_refused(value: dict[str, Any], code: str) -> None:
    with pytest.raises(Rejected) as refused:
        verify(value, TRUST, NOW)
    assert (refused.value.code, refused.value.status) == (code, 401)


@pytest.mark.parametrize(
    "value",
    [
        {"payload": "AAAA", "signatures": {}},
        {"payload": "AAAA", "signatures": ["x"]},
        {"payload": "AAAA", "signatures": [{}] * 11},
        {"payload": {}, "signatures": [{"protected": encode_base64url(b'{"alg":"RS256"}'), "signature": "AAAA"}]},
        {"payload": "A", "signatures": [{"protected": encode_base64url(b'{"alg":"RS256"}'), "signature": "AAAA"}]},
        {"payload": "ü", "signatures": [{"protected": encode_base64url(b'{"alg":"RS256"}'), "signature": "AAAA"}]},
        _with_header({"alg": "RS256"}, signature=5),
        _with_header({"alg": "RS256"}, signature="A A"),
        _with_header({"alg": "RS256"}, signature=None),
        _with_header(text="AAA="),
        _with_header(text={"alg": "RS256"}),
        _with_header(text=encode_base64url(b"[]")),
        _with_header(text=encode_base64url(b'{"alg":"RS256","alg":"none"}')),
        _with_header(text="A" * 200_000),
        _with_header({"alg": "RS256"}, header=[]),
        _with_header({"alg": "RS256", "uuid": 5}),
        _with_header({"alg": "RS256", "x5c": "AAAA"}),
        _with_header({"alg": "RS256", "x5c": []}),
        _with_header({"alg": "RS256", "x5c": ["~"]}),
        _with_header({"alg": "RS256"}, {"x5c": [5]}),
        _with_header({"alg": "RS256"}, {"x5c": ["A" * 200_000]}),
    ],
)
def test_what_is_no_jws_is_refused_as_a_form(value: dict[str, Any]) -> None:
    with pytest.raises(Rejected) as refused:
        verify(value, TRUST, NOW)
    assert (refused.value.code, refused.value.status) == ("bad_signature_form", 422)


def test_a_certificate_that_cannot_be_read_makes_the_signer_untrusted() -> None:
    assert verify(_with_header({"alg": "RS256"}, {"x5c": ["AAAA"]}), TRUST, NOW).state == "untrusted"


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
_protected = st.fixed_dictionaries(
    {"alg": st.sampled_from(["RS256", "PS256", "ES256", "EdDSA", "none", None])},
    optional={"x5c": _json, "uuid": _json, "crit": _json, "jwk": _json},
).map(lambda header: encode_base64url(json.dumps(header).encode()))
_x5c = st.sampled_from([signed(alg)["signatures"][0]["header"]["x5c"] for alg in SIGNERS])
_entry = st.fixed_dictionaries(
    {"protected": _protected | _json, "signature": st.binary(max_size=300).map(encode_base64url) | _json},
    optional={"header": st.fixed_dictionaries({"x5c": _x5c | _json}) | _json},
)


@settings(max_examples=200, deadline=None)
@given(payload=st.binary(max_size=20).map(encode_base64url) | _json, signatures=st.lists(_entry, max_size=3) | _json)
def test_anything_is_refused_or_not_valid(payload: Any, signatures: Any) -> None:
    try:
        found = verify({"payload": payload, "signatures": signatures}, TRUST, NOW)
    except Rejected:
        return
    assert found.state in ("invalid", "untrusted")
