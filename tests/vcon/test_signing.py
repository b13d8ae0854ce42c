"""Signatures: what a signed vCon's signature is worth, whoever wrote it, and what we write read by others."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import tracemalloc
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from jwcrypto import jwk, jws

from tests.vcon.certificates import CERTS, NOW, VCONS, YEAR, Held, made, rsa_key
from tests.vcon.signers import RAW, ROOT, SIGNERS, TRUST, UUID, algorithms, signed
from vcon_platform.vcon.bodies import Hoisted, Variant
from vcon_platform.vcon.media import encode_base64url
from vcon_platform.vcon.signing import (
    SignatureState,
    SigningError,
    load_key,
    sign,
    verify,
)
from vcon_platform.vcon.trust import Trust, fingerprint, load_chain, load_trust


def _state(value: dict[str, Any], trust: Trust | None = TRUST, now: datetime = NOW) -> SignatureState:
    return verify(value, trust, now).state


def _fixture(name: str) -> Any:
    return json.loads((VCONS / name).read_bytes())


def _root(name: str, *, require_ca: bool = False) -> Trust:
    return load_trust(CERTS / name, require_ca=require_ca)


# Files by others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "root", "state"),
    [
        ("core-03/ab_call_ext_rec_signed.vcon", "core/fake_ca_root.crt", "valid"),
        ("core-03/ab_call_ext_rec_signed.vcon", "core/fake_ca2_root.crt", "untrusted"),
        ("petrie-0.0.1/ab_call_ext_rec_signed.vcon", "core/fake_ca_root.crt", "valid"),
        ("petrie-0.0.1/ab_call_ext_rec_signed.vcon", "core/fake_ca2_root.crt", "untrusted"),
        ("py-vcon-interop/pyvcon_interop_expired_signed.vcon", "interop/ca_root.crt", "expired"),
        ("py-vcon-interop/pyvcon_interop_expired_signed.vcon", "interop/ca2_root.crt", "untrusted"),
    ],
)
def test_files_by_others_are_worth_what_their_chain_says(file: str, root: str, state: str) -> None:
    assert _state(_fixture(file), _root(root)) == state


def test_chains_below_version_3_are_not_trusted_in_production() -> None:
    strict = _root("core/fake_ca_root.crt", require_ca=True)
    assert _state(_fixture("core-03/ab_call_ext_rec_signed.vcon"), strict) == "untrusted"


def test_an_expired_signature_was_valid_on_its_day() -> None:
    day = datetime.fromisoformat("2025-04-22T12:00:00Z")
    found = verify(_fixture("py-vcon-interop/pyvcon_interop_expired_signed.vcon"), _root("interop/ca_root.crt"), day)
    assert found.state == "valid"


def test_the_payload_and_the_uuids_of_the_headers_are_handed_on() -> None:
    found = verify(_fixture("core-03/ab_call_ext_rec_signed.vcon"), None, NOW)
    assert isinstance(found.payload, bytes)
    assert found.header_uuids == [json.loads(found.payload)["uuid"]]


def test_a_signer_is_named_by_the_leaf_of_a_valid_chain_only() -> None:
    value = _fixture("core-03/ab_call_ext_rec_signed.vcon")
    [leaf] = load_chain(CERTS / "core" / "fake_grp.crt")
    assert verify(value, _root("core/fake_ca_root.crt"), NOW).signer == fingerprint(leaf)
    assert verify(value, _root("core/fake_ca2_root.crt"), NOW).signer is None


# Our own -----------------------------------------------------------------------------------------------------------


@algorithms
def test_what_is_signed_is_valid(alg: str) -> None:
    found = verify(signed(alg), TRUST, NOW)
    assert found.state == "valid"
    assert found.payload == RAW
    assert found.header_uuids == [UUID]
    assert found.signer == fingerprint(SIGNERS[alg].certificate)


@algorithms
def test_another_payload_makes_it_invalid(alg: str) -> None:
    assert _state(signed(alg) | {"payload": encode_base64url(RAW + b" ")}) == "invalid"


@algorithms
def test_another_signature_makes_it_invalid(alg: str) -> None:
    value = signed(alg)
    value["signatures"][0]["signature"] = signed(alg, RAW + b" ")["signatures"][0]["signature"]
    assert _state(value) == "invalid"


@algorithms
def test_another_signers_certificate_makes_it_invalid(alg: str) -> None:
    value, other = signed(alg), made("other", ROOT, key=rsa_key(2048, 1))
    der = other.certificate.public_bytes(Encoding.DER)
    value["signatures"][0]["header"]["x5c"] = [base64.b64encode(der).decode()]
    assert _state(value) == "invalid"


def test_without_trust_nothing_is_verified_and_the_payload_still_read() -> None:
    found = verify(signed(), None, NOW)
    assert (found.state, found.signer, found.payload) == ("unverified", None, RAW)


def test_a_signature_is_valid_only_while_its_chain_is() -> None:
    value = signed()
    assert _state(value, now=NOW + 2 * YEAR) == "expired"
    assert _state(value, now=NOW - 2 * YEAR) == "expired"


def test_one_valid_signature_among_several_suffices() -> None:
    value, stranger = signed("ES256"), made("stranger")
    untrusted = signed("ES256", by=stranger)["signatures"]
    forbidden = [{"protected": encode_base64url(b'{"alg":"none"}'), "signature": ""}]
    value["signatures"] = [*forbidden, *untrusted, *signed("EdDSA", b"{}")["signatures"], *value["signatures"]]
    found = verify(value, TRUST, NOW)
    assert found.state == "valid"
    assert found.signer == fingerprint(SIGNERS["ES256"].certificate)


def test_without_a_valid_one_the_best_of_several_counts() -> None:
    old = made("old", ROOT, end=NOW - YEAR / 2)
    value = signed(by=made("stranger"))
    value["signatures"] += signed(by=old)["signatures"]
    assert _state(value) == "expired"


def test_a_gzip_payload_is_handed_on_as_it_is() -> None:
    packed = gzip.compress(RAW)
    assert verify(signed(raw=packed), TRUST, NOW).payload == packed


def test_a_signature_without_a_chain_counts_by_a_trusted_certificate_of_its_signer() -> None:
    value = signed("RS256")
    value["signatures"][0]["header"] = {"uuid": UUID}
    assert _state(value) == "untrusted"
    assert _state(value, Trust((ROOT.certificate, SIGNERS["RS256"].certificate))) == "valid"


def test_headers_may_repeat_names_when_the_protected_algorithm_is_allowed() -> None:
    value = signed("ES256", repeat_alg=True)
    assert value["signatures"][0]["header"]["alg"] == "ES256"
    assert _state(value) == "valid"


@pytest.mark.parametrize(
    ("key", "chain", "alg"),
    [
        (SIGNERS["ES256"].key, [], None),
        (SIGNERS["ES256"].key, [SIGNERS["EdDSA"].certificate], None),
        (SIGNERS["ES256"].key, [SIGNERS["ES256"].certificate, SIGNERS["EdDSA"].certificate], None),
        (SIGNERS["ES256"].key, [SIGNERS["ES256"].certificate] * 6, None),
        (SIGNERS["ES256"].key, [SIGNERS["ES256"].certificate], "RS256"),
        (SIGNERS["ES256"].key, [SIGNERS["ES256"].certificate], "none"),
    ],
)
def test_what_does_not_fit_together_is_notsigned(key: Any, chain: Any, alg: str | None) -> None:
    with pytest.raises(SigningError):
        sign(RAW, UUID, key, chain, alg=alg)


def test_the_algorithm_follows_from_the_key() -> None:
    for alg in ("RS256", "ES256", "EdDSA"):
        by = SIGNERS[alg]
        [entry] = sign(RAW, UUID, by.key, [by.certificate])["signatures"]
        assert json.loads(base64.urlsafe_b64decode(entry["protected"] + "==")) == {"alg": alg}


def test_a_weak_key_signs_nothing() -> None:
    weak = made("weak", ROOT, key=rsa_key(1024))
    with pytest.raises(SigningError, match="cannot sign"):
        sign(RAW, UUID, weak.key, [weak.certificate])


def test_a_key_that_cannot_be_read_is_told_without_showing_it() -> None:
    with pytest.raises(SigningError) as failed:
        load_key(b"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    assert "c2VjcmV0" not in str(failed.value)


# Long payloads -----------------------------------------------------------------------------------------------------


@algorithms
@pytest.mark.parametrize("variant", [Variant(), Variant(standard=True, padded=True, escaped=True)], ids=str)
def test_a_hoisted_payload_is_verified_as_it_stood(alg: str, variant: Variant) -> None:
    raw = RAW + bytes(range(256)) * 40
    body, by = Hoisted.of(raw, variant), SIGNERS[alg]
    value = signed(alg, raw)
    if variant.standard:  # a signature is over the text, so a writer of other base64 signs another text
        value = _signed_text(alg, by, body.text())
    found = verify(value | {"payload": body}, TRUST, NOW)
    assert found.state == "valid"
    assert found.payload is body
    assert _state(value | {"payload": Hoisted.of(raw + b" ", variant)}) == "invalid"


def _signed_text(alg: str, by: Held, text: str) -> dict[str, Any]:
    from vcon_platform.vcon.jws import signature_of

    value = signed(alg)
    [entry] = value["signatures"]
    entry["signature"] = encode_base64url(signature_of(by.key, alg, entry["protected"].encode(), text))
    return value | {"payload": text}


@algorithms
def test_verifying_a_long_payload_takes_little_memory(alg: str) -> None:
    size, block = 24 << 20, bytes(1 << 20)
    value = signed(alg, bytes(size))
    body = Hoisted("sha512-", size, b"", Variant(), lambda _: iter([block] * (size // len(block))))
    value["payload"] = body
    tracemalloc.start()
    try:
        assert _state(value) == "valid"
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 << 20


# With other software -----------------------------------------------------------------------------------------------


@algorithms
def test_a_strict_library_verifies_what_we_sign(alg: str) -> None:
    token = jws.JWS()
    token.allowed_algs = [alg]
    token.deserialize(json.dumps(signed(alg)))
    token.verify(jwk.JWK.from_pyca(SIGNERS[alg].key.public_key()), alg=alg)
    assert token.payload == RAW


def test_the_vcon_package_verifies_what_we_sign_with_the_signers_key(reader: Any) -> None:
    raw = (VCONS / "made" / "full_04.vcon").read_bytes()
    value = signed("RS256", raw)
    assert reader(copy.deepcopy(value)).verify(SIGNERS["RS256"].key.public_key())
    value["payload"] = encode_base64url(raw + b" ")
    assert not reader(value).verify(SIGNERS["RS256"].key.public_key())


def test_what_the_vcon_package_signs_is_read(reader: Any) -> None:
    by = SIGNERS["RS256"]
    document = reader.build_from_json((VCONS / "made" / "full_04.vcon").read_text())
    document.sign(by.key)
    value = {name: document.to_dict()[name] for name in ("payload", "signatures")}
    found = verify(value, Trust((by.certificate,)), NOW)
    assert found.state == "valid"
    assert isinstance(found.payload, bytes)
    assert json.loads(found.payload)["uuid"] == document.uuid
    assert _state(value) == "untrusted"  # it brings no certificate


def test_py_vcon_finds_the_members_it_looks_for_when_asked_to_be_written() -> None:
    # py-vcon 0.6.0 does not install here: it takes alg and x5c from the unprotected header of the first signature.
    chain = [*load_chain(CERTS / "interop" / "cert.crt"), *load_chain(CERTS / "interop" / "mid.crt")]
    key = load_key((CERTS / "interop" / "private.key").read_bytes())
    assert isinstance(key, rsa.RSAPrivateKey)
    value = sign(RAW, UUID, key, chain, repeat_alg=True)
    theirs = _fixture("py-vcon-interop/pyvcon_interop_expired_signed.vcon")
    [ours], [other] = value["signatures"], theirs["signatures"]
    assert set(value) == set(theirs)
    assert set(ours) == set(other)
    assert set(ours["header"]) == set(other["header"]) == {"alg", "x5c", "uuid"}
    assert ours["header"]["alg"] == other["header"]["alg"] == "RS256"
    assert [base64.b64decode(one) for one in ours["header"]["x5c"]] == [c.public_bytes(Encoding.DER) for c in chain]
    assert _state(value, _root("interop/ca_root.crt")) == "valid"


def test_a_key_is_read_from_pem(tmp_path: Path) -> None:
    pem = SIGNERS["ES256"].key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert load_key(pem).public_key() == SIGNERS["ES256"].certificate.public_key()
