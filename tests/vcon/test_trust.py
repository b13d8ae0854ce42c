"""Trust: a chain counts by its signatures and its rights to issue, never by names."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding

from tests.vcon.certificates import CERTS, NOW, YEAR, Held, key_usage, made, rsa_key
from vcon_platform.vcon.trust import (
    MAX_CHAIN,
    Span,
    Trust,
    TrustError,
    fingerprint,
    load_chain,
    load_trust,
    signer,
)

ROOT = made("root", ca=True)
DIVISION = made("division", ROOT, ca=True)
LEAF = made("leaf", DIVISION)


def _spans(trust: Trust, *chain: Held | x509.Certificate) -> tuple[Span, ...]:
    certificates = [one.certificate if isinstance(one, Held) else one for one in chain]
    found = signer(tuple(one.public_bytes(Encoding.DER) for one in certificates), trust)
    assert found is not None
    assert found.fingerprint == fingerprint(certificates[0])
    return found.spans


def _trusts(root: Held, *chain: Held, require_ca: bool = True) -> bool:
    return bool(_spans(Trust((root.certificate,), require_ca), *chain))


def test_a_chain_that_ends_at_a_root_is_trusted() -> None:
    assert _trusts(ROOT, LEAF, DIVISION)


def test_a_chain_may_bring_the_root_itself() -> None:
    assert _trusts(ROOT, LEAF, DIVISION, ROOT)


def test_a_chain_without_its_intermediate_is_not_trusted() -> None:
    assert not _trusts(ROOT, LEAF)


def test_a_chain_out_of_order_is_not_trusted() -> None:
    assert not _trusts(ROOT, LEAF, ROOT, DIVISION)


def test_a_root_with_the_same_name_and_another_key_is_another_root() -> None:
    assert not _trusts(made("root", ca=True), LEAF, DIVISION, ROOT)


def test_a_trusted_intermediate_is_enough() -> None:
    assert _trusts(DIVISION, LEAF)


def test_a_signer_whose_own_certificate_is_trusted_needs_no_chain() -> None:
    assert _trusts(LEAF, LEAF)


def test_a_leaf_cannot_issue_certificates() -> None:
    victim = made("leaf", DIVISION, ca=False)
    assert not _trusts(ROOT, made("forged", victim), victim, DIVISION)


def test_a_leaf_without_constraints_cannot_issue_certificates_either() -> None:
    assert not _trusts(ROOT, made("forged", LEAF), LEAF, DIVISION)


def test_issuers_without_constraints_count_only_where_the_setting_says_so() -> None:
    old = made("division", ROOT)
    assert _trusts(ROOT, made("leaf", old), old, require_ca=False)


def test_an_issuer_that_says_it_is_none_never_counts() -> None:
    victim = made("leaf", DIVISION, ca=False)
    assert not _trusts(ROOT, made("forged", victim), victim, DIVISION, require_ca=False)


def test_a_path_length_is_kept() -> None:
    root = made("root", ca=True, path_length=0)
    between = made("division", root, ca=True)
    assert _trusts(root, made("leaf", root))
    assert not _trusts(root, made("leaf", between), between)


def test_an_issuer_needs_the_right_to_sign_certificates() -> None:
    issuer = made("division", ROOT, ca=True, extensions=((key_usage("digital_signature"), True),))
    assert not _trusts(ROOT, made("leaf", issuer), issuer)


def test_a_signer_needs_the_right_to_sign_documents() -> None:
    assert not _trusts(ROOT, made("leaf", ROOT, extensions=((key_usage("key_encipherment"), True),)))
    assert _trusts(ROOT, made("leaf", ROOT, extensions=((key_usage("digital_signature"), True),)))


def test_a_critical_extension_that_is_not_understood_makes_a_certificate_useless() -> None:
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    assert not _trusts(ROOT, made("leaf", ROOT, extensions=((unknown, True),)))
    assert _trusts(ROOT, made("leaf", ROOT, extensions=((unknown, False),)))


@pytest.mark.parametrize("key", [rsa_key(1024), ec.generate_private_key(ec.SECP256K1())], ids=["rsa1024", "secp256k1"])
def test_weak_and_odd_keys_do_not_count(key: object) -> None:
    assert not _trusts(ROOT, made("leaf", ROOT, key=key))


@pytest.mark.parametrize(
    "key",
    [rsa_key(), ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()],
    ids=["rsa2048", "p384", "ed25519"],
)
def test_keys_of_every_usual_kind_count(key: object) -> None:
    root = made("root", key=key, ca=True)
    assert _trusts(root, made("leaf", root, key=key))


def test_a_chain_longer_than_is_looked_at_is_not_trusted() -> None:
    chain = [ROOT]
    for number in range(MAX_CHAIN):
        chain.insert(0, made(f"division {number}", chain[0], ca=True))
    assert _trusts(ROOT, *chain[1:])
    assert not _trusts(ROOT, made("leaf", chain[0]), *chain)


def test_a_chain_is_good_while_all_of_it_is() -> None:
    issuer = made("division", ROOT, ca=True, start=NOW, end=NOW + YEAR / 2)
    [span] = _spans(Trust((ROOT.certificate,)), made("leaf", issuer), issuer)
    assert span == Span(NOW, NOW + YEAR / 2)


def test_a_span_that_ends_before_it_starts_meets_nothing() -> None:
    assert not Span(NOW + YEAR, NOW).meets(Span(NOW - YEAR, NOW + 2 * YEAR))


def test_bytes_that_are_no_certificate_have_no_signer() -> None:
    assert signer((b"\x30\x03\x02\x01\x01",), Trust((ROOT.certificate,))) is None


def test_a_certificate_written_in_another_way_names_the_same_signer() -> None:
    """An ECDSA signature (r, s) is as good as (r, -s): whoever has a certificate can make another one of it."""
    certificate = LEAF.certificate
    r, s = decode_dss_signature(certificate.signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    other = encode_dss_signature(r, order - s)
    start = certificate.public_bytes(Encoding.DER).index(certificate.tbs_certificate_bytes)
    inner = certificate.public_bytes(Encoding.DER)[start : -len(certificate.signature) - 3]
    body = inner + b"\x03" + bytes([len(other) + 1]) + b"\x00" + other
    der = b"\x30\x82" + len(body).to_bytes(2) + body
    twin = x509.load_der_x509_certificate(der)
    assert twin != certificate
    assert _trusts(DIVISION, Held(twin, None))
    assert fingerprint(twin) == fingerprint(certificate)


def test_trust_is_read_from_a_folder(tmp_path: Path) -> None:
    both = ROOT.certificate.public_bytes(Encoding.PEM) + DIVISION.certificate.public_bytes(Encoding.PEM)
    (tmp_path / "ours.pem").write_bytes(both)
    (tmp_path / "again.crt").write_bytes(ROOT.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "notes.txt").write_text("not a certificate")
    assert set(load_trust(tmp_path).roots) == {ROOT.certificate, DIVISION.certificate}


def test_trust_is_read_from_named_files() -> None:
    assert len(load_trust([CERTS / "core" / "fake_ca_root.crt", CERTS / "interop" / "ca_root.crt"]).roots) == 2


def test_a_folder_without_certificates_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="no trusted certificate"):
        load_trust(tmp_path)


def test_an_unreadable_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    with pytest.raises(TrustError, match=r"broken\.pem"):
        load_trust(tmp_path)


def test_a_chain_is_read_in_its_order() -> None:
    pem = LEAF.certificate.public_bytes(Encoding.PEM) + DIVISION.certificate.public_bytes(Encoding.PEM)
    assert load_chain(pem) == (LEAF.certificate, DIVISION.certificate)
