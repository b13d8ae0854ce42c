"""``sign``, ``verify``, ``encrypt`` and ``decrypt``: from form to form, with keys that no definition holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from tests.processors.integrity_support import (
    PASSWORD,
    authority,
    call,
    folders,
    key_pem,
    pem,
    reader,
    signer,
    value_of,
    with_originals,
)
from tests.processors.support import UUID, document, io_of
from tests.vcon.certificates import NOW, YEAR, made, rsa_key
from vcon_platform.processors.base import NotApplicable, PermanentError, Processor, ProcessorIO
from vcon_platform.processors.decrypt import Decrypt, DecryptOptions
from vcon_platform.processors.encrypt import Encrypt, EncryptOptions
from vcon_platform.processors.originals import NoOriginals, WrongForm
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.sign import Sign, SignOptions
from vcon_platform.processors.testing import processor_tests
from vcon_platform.processors.verify import BadSignature, Verify, VerifyOptions
from vcon_platform.vcon.document import Sealed
from vcon_platform.vcon.media import decode_base64url
from vcon_platform.vcon.trust import fingerprint

SIGNING = {"private_pem_key": "file:signer.pem", "cert_chain_pems": ["file:chain.pem"]}
FOR_READER = {"public_pem_key": "file:reader.crt"}


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_KEYS_DIR", str(folders() / "keys"))


def run(processor: type[Processor[Any]], io: ProcessorIO, **options: Any) -> ProcessorIO:
    given = processor.process(processor(), io, processor.options.model_validate(options))
    assert isinstance(given, ProcessorIO)
    return given


def signed(**chosen: Any) -> ProcessorIO:
    return run(Sign, call(**chosen), **SIGNING)


def encrypted(**chosen: Any) -> ProcessorIO:
    return run(Encrypt, signed(**chosen), **FOR_READER)


TestSignStandard = processor_tests(Sign, example_io=call, options=SIGNING, failing_io=signed)
TestVerifyStandard = processor_tests(Verify, example_io=signed, failing_io=call)
TestEncryptStandard = processor_tests(Encrypt, example_io=signed, options=FOR_READER, failing_io=call)
TestDecryptStandard = processor_tests(
    Decrypt, example_io=encrypted, options={"private_pem_key": "file:reader.pem"}, failing_io=lambda: _stranger()
)


def _stranger() -> ProcessorIO:
    """Encrypted for somebody else."""
    other = made("other", authority(), key=rsa_key(number=2))
    return run(Encrypt, signed(), public_pem_key=pem(other))


# Signing -----------------------------------------------------------------------------------------------------------


def test_what_is_signed_is_the_whole_document() -> None:
    vcon = signed().vcon
    payload = orjson.loads(decode_base64url(value_of(vcon)["payload"]))
    assert payload["uuid"] == UUID
    assert payload["dialog"][0]["body"] == "the heater is broken"
    assert payload == vcon.data


def test_what_was_signed_cannot_be_replaced_and_added_to_it_can_be() -> None:
    vcon = signed().vcon
    with pytest.raises(Sealed):
        vcon.put("subject", "x")
    vcon.append("analysis", {"type": "summary"})
    assert vcon.analysis == [{"type": "summary"}]


def test_the_signature_of_an_own_certificate_is_known_to_be_valid_at_once() -> None:
    envelope = signed().vcon.envelope
    assert envelope is not None
    assert (envelope.meta["form"], envelope.meta["signature"]) == ("signed", "valid")
    assert envelope.meta["signer"] == fingerprint(signer().certificate)


def test_a_recording_that_is_kept_apart_is_within_what_is_signed() -> None:
    from tests.processors.integrity_support import lent

    body = b"sound" * 1000
    token = lent()._media.keep_chunks([body])
    data = document(dialog=[{"type": "recording", "url": f"vcon-media:{token}", "content_hash": token}])
    vcon = run(Sign, with_originals(io_of(data)), **SIGNING).vcon
    payload = orjson.loads(decode_base64url(value_of(vcon)["payload"]))
    assert decode_base64url(payload["dialog"][0]["body"]) == body
    assert "url" not in payload["dialog"][0]
    assert vcon.dialog[0]["url"] == f"vcon-media:{token}"


@pytest.mark.parametrize("form", [signed, encrypted])
def test_only_an_unsigned_vcon_is_signed(form: Callable[[], ProcessorIO]) -> None:
    with pytest.raises(WrongForm, match="create_amended"):
        run(Sign, form(), **SIGNING)


def test_a_certificate_may_stand_in_the_options() -> None:
    options = {**SIGNING, "cert_chain_pems": [pem(signer()), pem(authority())]}
    assert run(Sign, call(), **options).vcon.envelope is not None


def test_a_locked_key_is_opened_by_a_password_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_KEY_PASSWORD", PASSWORD)
    options = {**SIGNING, "private_pem_key": "file:locked.pem", "private_pem_key_password": "env:VCON_KEY_PASSWORD"}
    assert run(Sign, call(), **options).vcon.envelope is not None


def test_a_key_may_be_in_the_environment_with_its_line_breaks_written_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_KEY_SIGNER", key_pem(signer()).decode().replace("\n", "\\n"))
    assert run(Sign, call(), **{**SIGNING, "private_pem_key": "env:VCON_KEY_SIGNER"}).vcon.envelope is not None


@pytest.mark.parametrize(
    ("options", "error", "told"),
    [
        ({}, NotConfigured, "file:NAME"),
        ({"private_pem_key": "file:none.pem"}, NotConfigured, "none.pem"),
        ({"private_pem_key": "file:escape.pem"}, NotConfigured, "within the folder"),
        ({"private_pem_key": "env:VCON_KEY_NONE"}, NotConfigured, "VCON_KEY_NONE"),
        ({"private_pem_key": "file:chain.pem", "cert_chain_pems": ["file:chain.pem"]}, PermanentError, "PEM"),
        ({"private_pem_key": "file:reader.pem", "cert_chain_pems": ["file:chain.pem"]}, PermanentError, "belong"),
        ({"private_pem_key": "file:locked.pem", "cert_chain_pems": ["file:chain.pem"]}, PermanentError, "readable"),
        ({"private_pem_key": "file:signer.pem"}, PermanentError, "certificate"),
        ({**SIGNING, "alg": "ES256"}, PermanentError, "ES256"),
    ],
)
def test_a_key_that_cannot_be_used_is_named_with_its_cure(options: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        run(Sign, call(), **options)


def test_without_a_folder_of_keys_none_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VCON_KEYS_DIR")
    with pytest.raises(NotConfigured, match="VCON_KEYS_DIR"):
        run(Sign, call(), **SIGNING)


# Keys are references -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "given"),
    [
        (SignOptions, {"private_pem_key": key_pem(signer()).decode()}),
        (DecryptOptions, {"private_pem_key": key_pem(reader()).decode()}),
        (SignOptions, {"cert_chain_pems": [pem(signer()) + key_pem(signer()).decode()]}),
        (EncryptOptions, {"public_pem_key": key_pem(reader()).decode()}),
        (SignOptions, {"private_pem_key_password": "hunter2"}),
    ],
)
def test_a_private_key_may_not_stand_in_a_definition_and_is_not_repeated(options: Any, given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        options.model_validate(given)
    told = [error["msg"] for error in refused.value.errors(include_input=False, include_url=False)]
    assert "file:NAME" in str(told) or "env:NAME" in str(told)
    assert "MII" not in str(told)
    assert "hunter2" not in str(told)


@pytest.mark.parametrize("name", ["file:../outside.pem", "file:/etc/passwd", "file:.hidden", "env:HOME", "file:", "x"])
def test_a_reference_cannot_name_any_file_or_variable(name: str) -> None:
    with pytest.raises(ValidationError):
        SignOptions.model_validate({"private_pem_key": name})


def test_py_vcons_nulls_are_taken() -> None:
    DecryptOptions.model_validate({"private_pem_key": None, "public_pem_key": None})
    SignOptions.model_validate({"private_pem_key": None, "cert_chain_pems": []})
    EncryptOptions.model_validate({"public_pem_key": None})


# Verifying ---------------------------------------------------------------------------------------------------------


def test_a_valid_signature_is_told_to_all_three_who_ask() -> None:
    io = run(Verify, signed())
    found = {"signature": "valid", "signer": fingerprint(signer().certificate)}
    assert io.parameters == {"verify": found}
    [told] = io.recorded
    assert (told.event, told.detail) == ("verified", found)
    [(_, attachment)] = io.vcon.attachments_for("signature_verification")
    assert attachment["body"] == found


def test_a_second_look_takes_the_place_of_the_first() -> None:
    io = run(Verify, run(Verify, signed()))
    assert len(list(io.vcon.attachments_for("signature_verification"))) == 1


def test_nothing_is_attached_where_that_is_not_wanted() -> None:
    assert run(Verify, signed(), attach=False).vcon.attachments == []


def _untrusted() -> ProcessorIO:
    other = made("another root", ca=True)
    stranger = made("stranger", other, key=rsa_key())
    chain = [pem(stranger), pem(other)]
    return run(Sign, call(trusts=False), private_pem_key="file:signer.pem", cert_chain_pems=chain)


def _expired() -> ProcessorIO:
    old = made("old", authority(), key=rsa_key(), start=NOW - 3 * YEAR, end=NOW - 2 * YEAR)
    return run(Sign, call(), private_pem_key="file:signer.pem", cert_chain_pems=[pem(old), pem(authority())])


@pytest.mark.parametrize(
    ("make", "state", "says"),
    [
        (call, "none", "it is not signed"),
        (_untrusted, "untrusted", "no certificate of allowed_ca_cert_pems"),
        (_expired, "expired", "not valid now"),
    ],
    ids=["none", "untrusted", "old"],
)
def test_a_signature_that_is_not_valid_fails_the_job_and_says_why(
    make: Callable[[], ProcessorIO], state: str, says: str
) -> None:
    io = with_originals(make())
    with pytest.raises(BadSignature, match=says) as failed:
        run(Verify, io)
    assert failed.value.code == f"signature_{state}"
    assert io.recorded == []


def test_or_ends_the_conversation_here() -> None:
    io = run(Verify, call(), if_not_valid="drop")
    assert io.dropped == "it is not signed"
    assert [told.detail["signature"] for told in io.recorded] == ["none"]


def test_or_is_told_to_the_processors_after_it() -> None:
    io = run(Verify, with_originals(_untrusted()), if_not_valid="go_on")
    assert io.dropped is None
    assert io.parameters == {"verify": {"signature": "untrusted", "signer": ""}}


def test_a_signature_is_judged_by_the_certificates_of_the_options() -> None:
    other = made("another root", ca=True)
    with pytest.raises(BadSignature):
        run(Verify, signed(), allowed_ca_cert_pems=[pem(other)])
    assert run(Verify, signed(trusts=False), allowed_ca_cert_pems=[pem(authority())]).dropped is None


def test_without_any_certificate_nothing_is_judged() -> None:
    with pytest.raises(NotConfigured, match="VCON_TRUST_DIR"):
        run(Verify, signed(trusts=False))


def test_an_encrypted_vcon_is_verified_where_a_key_opens_it() -> None:
    assert run(Verify, encrypted(reads=True)).parameters["verify"]["signature"] == "valid"
    with pytest.raises(PermanentError, match="VCON_DECRYPTION_KEYS_DIR"):
        run(Verify, encrypted())


# Encrypting and decrypting -----------------------------------------------------------------------------------------


def test_what_was_encrypted_for_others_cannot_be_read_here_any_more() -> None:
    vcon = encrypted().vcon
    assert set(vcon.data) == {"uuid", "created_at"}
    assert vcon.envelope is not None
    assert (vcon.envelope.meta["form"], vcon.envelope.meta["state"]) == ("encrypted", "opaque")
    assert vcon.changes == []


def test_what_was_encrypted_for_us_too_can_be_read_on() -> None:
    vcon = encrypted(reads=True).vcon
    assert vcon.dialog[0]["body"] == "the heater is broken"
    assert vcon.sealed is not None


@pytest.mark.parametrize("name", ["file:reader.crt", "file:reader.pub"])
def test_a_certificate_or_a_bare_key_says_for_whom(name: str) -> None:
    assert run(Encrypt, signed(), public_pem_key=name).vcon.envelope is not None


def test_each_of_several_recipients_can_read_it() -> None:
    io = run(Encrypt, signed(), public_pem_key=pem(signer()), recipients=["file:reader.crt"])
    for key in ("file:signer.pem", "file:reader.pem"):
        copy = with_originals(ProcessorIO([io.vcon.copy()], io.context))
        assert run(Decrypt, copy, private_pem_key=key).vcon.dialog[0]["body"] == "the heater is broken"


def test_decrypting_gives_the_signed_form_byte_for_byte() -> None:
    io = signed()
    assert io.vcon.envelope is not None
    before = io.vcon.envelope.raw
    run(Decrypt, run(Encrypt, io, **FOR_READER), private_pem_key="file:reader.pem")
    assert io.vcon.envelope.raw == before
    assert run(Verify, io).parameters["verify"]["signature"] == "valid"


def test_what_was_added_while_it_was_encrypted_stays_beside_it() -> None:
    io = encrypted()
    io.vcon.append("analysis", {"type": "note", "vendor": "x"})
    run(Decrypt, io, private_pem_key="file:reader.pem")
    assert [entry["type"] for entry in io.vcon.analysis] == ["note"]
    assert len(io.vcon.changes) == 1


def test_what_was_added_after_signing_is_not_lost_by_encrypting() -> None:
    io = signed()
    io.vcon.append("analysis", {"type": "summary"})
    with pytest.raises(PermanentError, match="/analysis/0"):
        run(Encrypt, io, **FOR_READER)
    kept = signed(reads=True)
    kept.vcon.append("analysis", {"type": "summary"})
    assert run(Encrypt, kept, **FOR_READER).vcon.analysis == [{"type": "summary"}]


def test_rows_are_withdrawn_of_what_nobody_can_read_any_more() -> None:
    io = call()
    body = {"projection": "calls", "day": "2026-09-01", "hash": "0" * 12 + "-" + "0" * 16 + "-1", "rows": [{}]}
    io.vcon.append("attachments", {"purpose": "projection", "encoding": "json", "body": body})
    run(Encrypt, run(Sign, io, **SIGNING), **FOR_READER)
    assert io.vcon.envelope is not None
    assert io.vcon.envelope.withdrawn == (("calls", "2026-09-01"),)


@pytest.mark.parametrize(("form", "told"), [(call, "sign before"), (encrypted, "nothing is left")])
def test_only_a_signed_vcon_is_encrypted(form: Callable[[], ProcessorIO], told: str) -> None:
    with pytest.raises(WrongForm, match=told):
        run(Encrypt, form(), **FOR_READER)


def test_encrypting_for_nobody_is_refused() -> None:
    with pytest.raises(NotConfigured, match="public_pem_key"):
        run(Encrypt, signed())


def test_a_key_that_cannot_be_encrypted_to_is_refused() -> None:
    with pytest.raises(PermanentError, match="RSA"):
        run(Encrypt, signed(), public_pem_key=pem(authority()))


@pytest.mark.parametrize("form", [call, signed])
def test_what_is_not_encrypted_passes_decrypt_untouched(form: Callable[[], ProcessorIO]) -> None:
    with pytest.raises(NotApplicable):
        run(Decrypt, form(), private_pem_key="file:reader.pem")


def test_a_key_that_does_not_open_it_says_so() -> None:
    with pytest.raises(PermanentError, match="no key that is named here"):
        run(Decrypt, encrypted(), private_pem_key="file:signer.pem")


def test_the_keys_of_the_installation_open_it_where_none_is_named() -> None:
    io = with_originals(encrypted(), reads=True)
    assert run(Decrypt, io).vcon.dialog[0]["body"] == "the heater is broken"
    with pytest.raises(NotConfigured, match="VCON_DECRYPTION_KEYS_DIR"):
        run(Decrypt, encrypted())


@pytest.mark.parametrize("processor", [Sign, Verify, Encrypt, Decrypt])
def test_where_no_originals_are_lent_it_says_so(processor: type[Processor[Any]]) -> None:
    with pytest.raises(NoOriginals):
        run(processor, io_of(document()))


def test_no_message_holds_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_KEY_BROKEN", key_pem(signer()).decode()[:200])
    with pytest.raises(PermanentError) as failed:
        run(Sign, call(), **{**SIGNING, "private_pem_key": "env:VCON_KEY_BROKEN"})
    assert "MII" not in str(failed.value)


def test_verify_options_hold_no_key() -> None:
    with pytest.raises(ValidationError):
        VerifyOptions.model_validate({"allowed_ca_cert_pems": [key_pem(signer()).decode()]})
