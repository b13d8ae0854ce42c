"""Documents in all three forms: what signatures and keys decide, and what policy makes of it."""

import gzip
from dataclasses import replace
from typing import Any, BinaryIO

import orjson
import pytest

from tests.vcon.certificates import NOW, made, rsa_key
from tests.vcon.ingress import POLICY, answered, document, kept, message
from vcon_platform.vcon.bodies import Hoisted
from vcon_platform.vcon.encryption import DecryptionKeys, encrypt
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.media import encode_base64url
from vcon_platform.vcon.opened import Opened, open_document
from vcon_platform.vcon.received import Policy, receive
from vcon_platform.vcon.signing import sign
from vcon_platform.vcon.trust import Trust, fingerprint

UUID = "01990b2c-7d10-7a41-9c3e-5b7f2d4e6a80"
HELD = made("signer", key=rsa_key())
TRUSTING = replace(POLICY, received_at=NOW, trust=Trust((HELD.certificate,)))
KEYS = DecryptionKeys((HELD.key,))


def signed(value: Any, *, uuid: str = UUID, compress: bool = False) -> dict[str, Any]:
    raw = orjson.dumps(value)
    return sign(gzip.compress(raw) if compress else raw, uuid, HELD.key, [HELD.certificate])


def encrypted(value: Any, uuid: str = UUID) -> dict[str, Any]:
    return encrypt(orjson.dumps(value), uuid, [HELD.certificate])


def test_a_valid_signature_leaves_nothing_to_say() -> None:
    received = kept(signed(document()), TRUSTING)
    assert (received.form, received.signature, received.findings) == ("signed", "valid", [])


def test_the_signer_of_a_valid_signature_is_named() -> None:
    assert kept(signed(document()), TRUSTING).signer == fingerprint(HELD.certificate)


def test_a_compressed_payload_is_opened() -> None:
    assert kept(signed(document(), compress=True), TRUSTING).data == document()


def test_a_payload_of_an_older_version_is_migrated() -> None:
    received = kept(signed(document(vcon="0.0.1", subject=None)), TRUSTING)
    assert (received.source_version, received.data) == ("0.0.1", document())


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        (replace(TRUSTING, trust=None), "signature_unverified"),
        (replace(TRUSTING, trust=Trust((made("other", key=rsa_key(number=1)).certificate,))), "signature_untrusted"),
        (replace(TRUSTING, received_at=NOW.replace(year=2040)), "signature_expired"),
    ],
)
def test_a_signature_that_is_not_valid_is_told(policy: Policy, code: str) -> None:
    found = answered(signed(document()), policy)
    assert (found.status, found.codes) == (202, [code])


@pytest.mark.parametrize("policy", [TRUSTING, replace(TRUSTING, trust=None)])
def test_a_source_that_requires_signatures_takes_valid_ones_alone(policy: Policy) -> None:
    found = answered(signed(document()), replace(policy, require_signature=True))
    assert found.status == (201 if policy is TRUSTING else 401)


def test_a_changed_payload_is_refused() -> None:
    broken = {**signed(document()), "payload": encode_base64url(orjson.dumps(document(subject="x")))}
    found = answered(broken, TRUSTING)
    assert (found.status, found.codes) == (401, ["bad_signature"])


def test_the_payloads_faults_refuse_a_signed_document() -> None:
    found = answered(signed(document(created_at="Tuesday")), TRUSTING)
    assert (found.status, found.codes) == (422, ["bad_date"])


def test_a_payload_goes_through_gate_1() -> None:
    raw = b'{"uuid": "%s", "uuid": "%s"}' % (UUID.encode(), UUID.encode())
    found = answered(sign(raw, UUID, HELD.key, [HELD.certificate]), TRUSTING)
    assert (found.status, found.codes) == (400, ["duplicate_key"])


def test_the_header_must_name_the_payloads_uuid() -> None:
    found = answered(signed(document(), uuid="11111111-1111-4111-8111-111111111111"), TRUSTING)
    assert (found.status, found.codes) == (422, ["uuid_mismatch"])


def test_another_spelling_of_the_same_uuid_in_the_header_is_no_mismatch() -> None:
    assert answered(signed(document(), uuid=f"urn:uuid:{UUID.upper()}"), TRUSTING).status == 201


def test_a_signature_around_a_signature_is_read_to_the_innermost() -> None:
    received = kept(signed(signed(document())), TRUSTING)
    assert (received.data, received.signature) == (document(), "valid")


def test_signatures_without_end_are_refused() -> None:
    value: Any = document()
    for _ in range(6):
        value = signed(value)
    found = answered(value, TRUSTING)
    assert (found.status, found.codes) == (422, ["too_deep"])


@pytest.mark.parametrize("member", ["parties", "uuid", "subject"])
def test_members_in_the_clear_beside_a_payload_are_refused(member: str) -> None:
    value = {**signed(document()), member: document().get(member, "x")}
    found = answered(value, TRUSTING)
    assert (found.status, found.codes, found.pointers) == (422, ["ambiguous_form"], [f"/{member}"])


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ({"payload": "e30"}, "no_signatures"),
        ({"payload": "e30", "signatures": []}, "no_signatures"),
        ({"payload": "e30", "signatures": {}}, "no_signatures"),
        ({"payload": "e30", "protected": "e30", "signature": "x"}, "no_signatures"),
        ({"ciphertext": "x"}, "no_recipients"),
        ({"ciphertext": "x", "recipients": []}, "no_recipients"),
        ({"payload": "e30", "signatures": [{}], "ciphertext": "x", "recipients": [{}]}, "ambiguous_form"),
    ],
)
def test_what_only_resembles_a_form_is_refused(value: Any, code: str) -> None:
    found = answered(value)
    assert (found.status, found.codes) == (422, [code])


def test_a_payload_member_of_an_unsigned_document_is_an_unknown_member() -> None:
    assert kept(document(payload="abc")).data["payload"] == "abc"


def test_a_long_unknown_payload_is_put_back_as_text() -> None:
    body = Hoisted.of(b"abc")
    assert receive(document(payload=body), POLICY).data["payload"] == "YWJj"


# --- encrypted -------------------------------------------------------------------------------------------------


def test_without_a_key_only_the_uuid_is_known() -> None:
    received = kept(encrypted(signed(document())), TRUSTING)
    assert (received.data, received.opaque, received.form) == ({"uuid": UUID}, True, "encrypted")


def test_without_a_key_a_uuid_is_needed_outside() -> None:
    value = encrypted(signed(document()))
    del value["unprotected"]["uuid"]
    assert answered(value, TRUSTING).codes == ["uuid_required"]


def test_with_a_key_the_signed_form_inside_is_read() -> None:
    received = kept(encrypted(signed(document())), replace(TRUSTING, keys=KEYS))
    assert (received.data, received.signature, received.form, received.findings) == (
        document(),
        "valid",
        "encrypted",
        [],
    )


def test_the_uuid_outside_must_be_the_one_inside() -> None:
    value = encrypted(signed(document()), uuid="11111111-1111-4111-8111-111111111111")
    assert answered(value, replace(TRUSTING, keys=KEYS)).codes == ["uuid_mismatch"]


def test_what_cannot_be_opened_has_no_valid_signature() -> None:
    found = answered(encrypted(signed(document())), replace(TRUSTING, require_signature=True))
    assert (found.status, found.codes) == (401, ["opaque"])


def test_encryption_twice_is_refused() -> None:
    value = encrypted(signed(encrypted(signed(document()))))
    assert answered(value, replace(TRUSTING, keys=KEYS)).status == 422


# --- payloads of any size --------------------------------------------------------------------------------------


def test_a_recording_inside_a_payload_is_moved_aside_and_readable_until_closed() -> None:
    sound = b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(600_000)
    recording = {
        "type": "recording",
        "mediatype": "audio/x-wav",
        "encoding": "base64url",
        "body": encode_base64url(sound),
    }
    value = signed(document(dialog=[recording]))
    with open_document(orjson.dumps(value), media_type=None, limits=Limits(), hoist_over=1000) as opened:
        assert isinstance(opened.value["payload"], Hoisted)
        with receive(opened.value, TRUSTING, skeleton=opened.skeleton) as received:
            aside = received.data["dialog"][0]["body"]
            assert isinstance(aside, Hoisted)
            assert b"".join(aside.chunks()) == sound


def test_a_payload_is_opened_as_the_policy_says() -> None:
    seen: list[bytes | BinaryIO] = []

    def opener(source: bytes | BinaryIO) -> Opened:
        seen.append(source)
        return open_document(source, media_type=None, limits=Limits(), hoist_over=1000)

    kept(signed(document()), replace(TRUSTING, open=opener))
    assert seen == [orjson.dumps(document())]


def test_what_was_opened_is_closed_when_the_document_is_refused() -> None:
    closed: list[bool] = []

    class Watched(Opened):
        def close(self) -> None:
            closed.append(True)

    def opener(source: bytes | BinaryIO) -> Opened:
        assert isinstance(source, bytes)
        return Watched(orjson.loads(source), "", 0, source)

    with pytest.raises(Rejected):
        receive(signed(document(created_at="Tuesday")), replace(TRUSTING, open=opener))
    assert closed == [True]


# --- strict ----------------------------------------------------------------------------------------------------


def test_a_strict_source_refuses_every_strict_finding_with_its_place() -> None:
    value = document(dialog=[message(start="2026-09-07 09:00:00", mimetype="text/plain")], group=[])
    found = answered(value, replace(POLICY, strict=True))
    assert found.status == 422
    assert sorted(zip(found.codes, found.pointers, strict=True)) == [
        ("empty_dropped", "/group"),
        ("member_renamed", "/dialog/0/mimetype"),
        ("tz_assumed", "/dialog/0/start"),
    ]


@pytest.mark.parametrize(
    "value",
    [
        document(subject="a\0b"),
        encrypted(signed(document())),
        document(attachments=[{"purpose": "tags", "encoding": "json", "body": ["nocolon"]}]),
    ],
    ids=["nul", "opaque", "tags"],
)
def test_a_strict_source_takes_what_is_well_formed_and_merely_odd(value: Any) -> None:
    assert answered(value, replace(POLICY, strict=True)).status == 202


def test_no_message_holds_a_value_of_the_document() -> None:
    secret = "Xq7secret"  # a word that no message of ours has
    value = document(
        uuid=secret,
        created_at=secret,
        dialog=[
            message(type=[secret], encoding=secret, start=secret, mediatype=secret),
            {"url": secret, "alg": secret},
        ],
        attachments=[{"content_hash": secret, "purpose": [secret], "body": secret, "encoding": "base64"}],
        redacted={secret: secret, "body": secret},
    )
    with pytest.raises(Rejected) as refused:
        receive(value, POLICY)
    assert secret not in str([(fault.message, fault.pointer) for fault in refused.value.faults])
