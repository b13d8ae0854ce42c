"""Encryption: files by others are opened, ours are opened by others, and nothing forbidden costs any work."""

from __future__ import annotations

import copy
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st
from jwcrypto import jwe, jwk

from tests.vcon.certificates import CERTS, HOSTILE, NOW, VCONS, made, rsa_key
from tests.vcon.signers import UUID, signed
from vcon_platform.vcon.bodies import Hoisted
from vcon_platform.vcon.encryption import (
    ALGORITHMS,
    CONTENT,
    IN_MEMORY,
    DecryptionKeys,
    EncryptionError,
    check,
    decrypt,
    encrypt,
    load_keys,
)
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.media import decode_base64url, encode_base64url
from vcon_platform.vcon.signing import verify
from vcon_platform.vcon.trust import TrustError, load_trust

SIGNED = json.dumps(signed()).encode()
OURS, OTHER = made("ours", key=rsa_key()), made("other", key=rsa_key(2048, 1))
KEYS, OTHER_KEYS = DecryptionKeys((OURS.key,)), DecryptionKeys((OTHER.key,))

forms = pytest.mark.parametrize(("alg", "enc"), [(alg, enc) for alg in ALGORITHMS for enc in CONTENT])


def _sealed(plain: bytes = SIGNED, **options: Any) -> dict[str, Any]:
    return encrypt(plain, UUID, [OURS.certificate], **options)


def _fixture(name: str) -> Any:
    return json.loads((VCONS / name).read_bytes())


# Files by others ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "key", "root"),
    [
        ("container-0.0.2/ab_call_ext_rec_encrypted.vcon", "core/fake_grp.key", "core/fake_ca_root.crt"),
        ("py-vcon-interop/pyvcon_interop_encrypted.vcon", "interop/private.key", "interop/ca_root.crt"),
    ],
)
def test_files_by_others_open_and_hold_a_valid_signed_vcon(file: str, key: str, root: str) -> None:
    value = _fixture(file)
    plain = decrypt(value, load_keys(CERTS / key))
    assert isinstance(plain, bytes)
    found = verify(json.loads(plain), load_trust(CERTS / root, require_ca=False), NOW)
    assert found.state == "valid"
    assert found.header_uuids == [check(value)]


def test_files_by_others_stay_closed_to_another_key() -> None:
    keys = load_keys(CERTS / "core" / "fake_grp.key")
    assert decrypt(_fixture("py-vcon-interop/pyvcon_interop_encrypted.vcon"), keys) is None


# Hostile files and forms -------------------------------------------------------------------------------------------


def test_a_hostile_file_is_refused_before_any_key_is_derived() -> None:
    value = json.loads((HOSTILE / "30_jwe_pbes2_dos.json").read_bytes())
    for refuse in (lambda: check(value), lambda: decrypt(value, KEYS)):
        with pytest.raises(Rejected) as refused:
            refuse()
        assert (refused.value.code, refused.value.status) == ("alg_not_allowed", 422)


def test_a_file_without_a_key_of_ours_is_opaque_and_its_uuid_a_hint() -> None:
    value = json.loads((HOSTILE / "30_jwe_no_key.json").read_bytes())
    assert check(value) == UUID
    assert decrypt(value, KEYS) is None


def _protect(value: dict[str, Any], **header: Any) -> None:
    protected = json.loads(decode_base64url(value["protected"])) | header
    protected = {name: member for name, member in protected.items() if member != "gone"}
    value["protected"] = encode_base64url(json.dumps(protected).encode())


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda value: _protect(value, alg="dir"), "alg_not_allowed"),
        (lambda value: _protect(value, alg="PBES2-HS256+A128KW", p2c=2_000_000_000), "alg_not_allowed"),
        (lambda value: _protect(value, alg="RSA1_5"), "alg_not_allowed"),
        (lambda value: _protect(value, alg=["RSA-OAEP"]), "alg_not_allowed"),
        (lambda value: _protect(value, alg="gone"), "alg_not_allowed"),
        (lambda value: _protect(value, enc="A128CBC-HS256"), "alg_not_allowed"),
        (lambda value: _protect(value, enc={}), "alg_not_allowed"),
        (lambda value: _protect(value, enc="gone"), "alg_not_allowed"),
        (lambda value: _protect(value, zip="DEF"), "alg_not_allowed"),
        (lambda value: _protect(value, crit=["exp"]), "crit_not_supported"),
        (lambda value: value["unprotected"].update(zip="DEF"), "alg_not_allowed"),
        (lambda value: value["unprotected"].update(alg="dir"), "alg_not_allowed"),
        (lambda value: value["recipients"][0].update(header={"alg": "A256KW"}), "alg_not_allowed"),
        (lambda value: value.update(recipients=[]), "bad_encryption_form"),
        (lambda value: value.update(recipients={}), "bad_encryption_form"),
        (lambda value: value.update(recipients=[{"encrypted_key": "AAAA"}] * 51), "bad_encryption_form"),
        (lambda value: value.update(recipients=[{}]), "bad_encryption_form"),
        (lambda value: value.update(recipients=[{"encrypted_key": "AAAA", "header": 1}]), "bad_encryption_form"),
        (lambda value: value.update(protected="~"), "bad_encryption_form"),
        (lambda value: value.update(protected=encode_base64url(b"[]")), "bad_encryption_form"),
        (lambda value: value.update(unprotected=[]), "bad_encryption_form"),
        (lambda value: value.update(ciphertext=None), "bad_encryption_form"),
        (lambda value: value.update(iv=5), "bad_encryption_form"),
        (lambda value: value.pop("tag"), "bad_encryption_form"),
        (lambda value: value.update(aad={}), "bad_encryption_form"),
    ],
)
def test_what_is_not_allowed_is_refused_without_a_key(change: Callable[[Any], None], code: str) -> None:
    value = _sealed()
    change(value)
    with pytest.raises(Rejected) as refused:
        check(value)
    assert (refused.value.code, refused.value.status) == (code, 422)


# Our own -----------------------------------------------------------------------------------------------------------


@forms
def test_what_is_encrypted_is_opened_by_the_key(alg: str, enc: str) -> None:
    value = _sealed(alg=alg, enc=enc)
    assert check(value) == UUID
    assert decrypt(value, KEYS) == SIGNED
    assert decrypt(value, OTHER_KEYS) is None


def test_each_of_several_recipients_opens_it() -> None:
    value = encrypt(SIGNED, UUID, [OURS.certificate, OTHER.certificate])
    assert len(value["recipients"]) == 2
    assert decrypt(value, KEYS) == decrypt(value, OTHER_KEYS) == SIGNED


def test_any_of_several_keys_opens_it() -> None:
    assert decrypt(_sealed(), DecryptionKeys((OTHER.key, OURS.key))) == SIGNED


def test_it_is_written_as_the_draft_asks() -> None:
    value = _sealed()
    assert set(value) == {"protected", "unprotected", "recipients", "iv", "ciphertext", "tag"}
    assert json.loads(decode_base64url(value["protected"])) == {"alg": "RSA-OAEP", "enc": "A256CBC-HS512"}
    assert value["unprotected"] == {"cty": "application/vcon", "uuid": UUID}
    assert [set(recipient) for recipient in value["recipients"]] == [{"encrypted_key"}]


@forms
@pytest.mark.parametrize("member", ["ciphertext", "iv", "tag", "protected"])
def test_a_changed_document_is_refused_where_a_key_fits(alg: str, enc: str, member: str) -> None:
    value = _sealed(alg=alg, enc=enc)
    if member == "protected":
        _protect(value, typ="JOSE")
    else:
        raw = bytearray(decode_base64url(value[member]))
        raw[-1] ^= 1
        value[member] = encode_base64url(bytes(raw))
    with pytest.raises(Rejected) as refused:
        decrypt(value, KEYS)
    assert (refused.value.code, refused.value.status) == ("bad_ciphertext", 422)


@pytest.mark.parametrize("enc", list(CONTENT))
@pytest.mark.parametrize("member", ["ciphertext", "iv", "tag"])
def test_a_shortened_document_is_refused_where_a_key_fits(enc: str, member: str) -> None:
    value = _sealed(enc=enc)
    value[member] = encode_base64url(decode_base64url(value[member])[:-4])
    with pytest.raises(Rejected) as refused:
        decrypt(value, KEYS)
    assert refused.value.code == "bad_ciphertext"


def test_only_a_signed_vcon_is_encrypted() -> None:
    for plain in (b'{"uuid": "x", "parties": []}', b"[]", b"\x1f\x8b"):
        with pytest.raises(EncryptionError, match="sign it first"):
            _sealed(plain)


@pytest.mark.parametrize("options", [{"alg": "RSA1_5"}, {"alg": "dir"}, {"enc": "A128GCM"}])
def test_nothing_else_is_written(options: dict[str, Any]) -> None:
    with pytest.raises(EncryptionError):
        _sealed(**options)


def test_certificates_must_be_there_and_fit() -> None:
    for certificates in ([], [made("ec").certificate], [made("weak", key=rsa_key(1024)).certificate]):
        with pytest.raises(EncryptionError):
            encrypt(SIGNED, UUID, certificates)


# Long contents -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("enc", list(CONTENT))
def test_a_hoisted_content_is_opened_in_little_memory(enc: str, tmp_path: Path) -> None:
    plain = SIGNED[:-1] + b" " * (24 << 20) + b"}"
    value = _sealed(plain, enc=enc)
    spooled = tmp_path / "ciphertext"
    spooled.write_bytes(decode_base64url(value["ciphertext"]))
    value["ciphertext"] = _hoisted_file(spooled)
    tracemalloc.start()
    try:
        opened = decrypt(value, KEYS, spool_dir=tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < IN_MEMORY * 3
    assert opened is not None
    assert not isinstance(opened, bytes)
    with opened:
        assert opened.read() == plain
    assert list(tmp_path.iterdir()) == [spooled]


def _hoisted_file(path: Path) -> Hoisted:
    def chunks(size: int) -> Iterator[bytes]:
        with path.open("rb") as stream:
            while chunk := stream.read(size):
                yield chunk

    variant = Hoisted.of(b"").variant
    return Hoisted("sha512-", path.stat().st_size, b"", variant, chunks)


def test_a_content_over_the_cap_is_refused_before_it_is_decrypted() -> None:
    value = _sealed()
    with pytest.raises(Rejected) as refused:
        decrypt(value, KEYS, max_bytes=len(SIGNED) - 1)
    assert (refused.value.code, refused.value.status) == ("too_large", 413)


# With other software -----------------------------------------------------------------------------------------------


@forms
def test_a_strict_library_opens_what_we_encrypt(alg: str, enc: str) -> None:
    token = jwe.JWE(algs=[alg, enc])
    token.deserialize(json.dumps(_sealed(alg=alg, enc=enc)))
    token.decrypt(jwk.JWK.from_pyca(OURS.key))
    assert token.payload == SIGNED


@pytest.mark.parametrize("place", ["protected", "unprotected", "header"])
def test_what_a_library_encrypts_is_opened_wherever_its_algorithm_stands(place: str) -> None:
    alg = {"alg": "RSA-OAEP-256"}
    token = jwe.JWE(
        SIGNED,
        protected=json.dumps({"enc": "A256GCM"} | (alg if place == "protected" else {})),
        unprotected=json.dumps(alg) if place == "unprotected" else None,
        aad=b"and this",
        algs=["RSA-OAEP-256", "A256GCM"],
    )
    for held in (OTHER, OURS):
        header = json.dumps(alg) if place == "header" else None
        token.add_recipient(jwk.JWK.from_pyca(held.key.public_key()), header=header)
    assert decrypt(json.loads(token.serialize()), KEYS) == SIGNED


# Keys --------------------------------------------------------------------------------------------------------------


def _pem(key: Any) -> bytes:
    return bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def test_keys_are_read_from_a_folder_and_never_shown(tmp_path: Path) -> None:
    (tmp_path / "a.pem").write_bytes(_pem(OURS.key))
    (tmp_path / "b.key").write_bytes(_pem(OTHER.key))
    (tmp_path / "c.txt").write_text("no key")
    keys = load_keys(tmp_path)
    assert len(keys.keys) == 2
    assert repr(keys) == "DecryptionKeys()"


def test_a_folder_without_keys_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="no private key"):
        load_keys(tmp_path)


@pytest.mark.parametrize("key", [rsa_key(1024), ec.generate_private_key(ec.SECP256R1())], ids=["weak", "ec"])
def test_a_key_that_opens_no_vcon_is_named(tmp_path: Path, key: Any) -> None:
    (tmp_path / "bad.key").write_bytes(_pem(key))
    with pytest.raises(TrustError, match=r"bad\.key"):
        load_keys(tmp_path)


def test_an_unreadable_key_is_named_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "bad.key").write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    with pytest.raises(TrustError, match=r"bad\.key") as failed:
        load_keys(tmp_path)
    assert "c2VjcmV0" not in str(failed.value)


# Anything at all ---------------------------------------------------------------------------------------------------

_SEALED = {enc: _sealed(enc=enc) for enc in CONTENT}
_junk = st.none() | st.integers() | st.text(max_size=8) | st.binary(max_size=600).map(encode_base64url)
_member = st.sampled_from(["protected", "unprotected", "recipients", "iv", "ciphertext", "tag", "aad"])
_inner = st.fixed_dictionaries(
    {"encrypted_key": _junk}, optional={"header": st.dictionaries(st.text(max_size=4), _junk)}
)


@settings(max_examples=150, deadline=None)
@given(
    enc=st.sampled_from(list(CONTENT)),
    changes=st.dictionaries(_member, _junk | st.lists(_inner | _junk, max_size=2), min_size=1, max_size=2),
)
def test_anything_is_refused_or_stays_closed(enc: str, changes: dict[str, Any]) -> None:
    value = copy.deepcopy(_SEALED[enc]) | changes
    try:
        opened = decrypt(value, KEYS)
    except Rejected:
        return
    same = all(value.get(name) == _SEALED[enc].get(name) for name in ("protected", "iv", "ciphertext", "tag", "aad"))
    assert opened is None or same
