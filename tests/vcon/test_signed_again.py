"""Signatures around signatures (long-term archive): good as long as each was made in time, and bounded."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import pytest

from tests.vcon.certificates import NOW, YEAR, Held, made
from tests.vcon.signers import RAW, ROOT, TRUST, UUID, signed
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.media import encode_base64url
from vcon_platform.vcon.signing import MAX_NESTING, SigningError, Verified, resign, sign, verify_nested
from vcon_platform.vcon.trust import fingerprint


def _open(payload: Any) -> Any:
    return json.loads(payload)


def _nested(value: dict[str, Any], now: datetime = NOW) -> Verified:
    return verify_nested(value, TRUST, now, _open)[0]


def _again(value: dict[str, Any], by: Held, now: datetime) -> dict[str, Any]:
    return resign(json.dumps(value).encode(), UUID, by.key, [by.certificate], trust=TRUST, now=now)


OLD = made("old", ROOT, end=NOW - YEAR / 4)
NEW = made("new", ROOT, start=NOW - YEAR / 2)
THEN = NOW - YEAR / 3
"""A time at which both were valid."""


def test_a_signature_that_was_signed_again_in_time_stays_valid() -> None:
    archived = _again(signed(by=OLD), NEW, THEN)
    found, inner = verify_nested(archived, TRUST, NOW, _open)
    assert found.state == "valid"
    assert found.signer == fingerprint(OLD.certificate)
    assert found.header_uuids == [UUID, UUID]
    assert (inner, found.payload) == (json.loads(RAW), RAW)


def test_the_signature_around_it_must_have_been_made_in_time() -> None:
    gone = made("gone", ROOT, end=NOW - YEAR * 3 / 4)
    late = sign(json.dumps(signed(by=gone)).encode(), UUID, NEW.key, [NEW.certificate])
    assert _nested(late).state == "expired"


def test_a_bad_inner_signature_is_not_mended_by_a_good_one_around_it() -> None:
    for inner in (signed(by=made("stranger")), signed() | {"payload": encode_base64url(b"{}")}):
        value = sign(json.dumps(inner).encode(), UUID, NEW.key, [NEW.certificate])
        assert _nested(value).state in ("untrusted", "invalid")
        assert _nested(value).signer is None


def test_a_bad_outer_signature_makes_the_whole_worthless() -> None:
    archived = _again(signed(), NEW, NOW)
    archived["signatures"] = signed(by=made("stranger"))["signatures"]
    assert _nested(archived).state == "invalid"


def test_as_many_signatures_are_read_as_are_written_and_no_more() -> None:
    value = signed()
    for _ in range(MAX_NESTING - 1):
        value = _again(value, NEW, NOW)
    assert _nested(value).state == "valid"
    with pytest.raises(SigningError, match="around each other"):
        _again(value, NEW, NOW)
    deeper = sign(json.dumps(value).encode(), UUID, NEW.key, [NEW.certificate])
    with pytest.raises(Rejected) as refused:
        _nested(deeper)
    assert (refused.value.code, refused.value.status) == ("too_deep", 422)


@pytest.mark.parametrize("value", [signed(by=made("stranger")), signed(by=OLD), json.loads(RAW), []])
def test_only_what_is_valid_now_is_signed_again(value: Any) -> None:
    with pytest.raises(SigningError):
        _again(value, NEW, NOW)
