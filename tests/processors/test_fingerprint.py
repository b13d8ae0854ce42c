"""The fingerprint of a vCon: the same for everybody who has it, another for what was changed."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from tests.processors.support import document
from vcon_platform.processors.base import PermanentError
from vcon_platform.processors.fingerprint import fingerprint
from vcon_platform.vcon.media import content_hash_of, encode_base64url

SOUND = b"RIFF and so on"
TOKEN = content_hash_of(SOUND)
CALL = document(dialog=[{"type": "recording", "body": encode_base64url(SOUND), "encoding": "base64url"}])


@pytest.mark.parametrize(
    "same",
    [
        {"dialog": [{"type": "recording", "url": f"vcon-media:{TOKEN}", "content_hash": TOKEN}]},
        {"dialog": [{"type": "recording", "content_hash": TOKEN}]},
        {"analysis": [{"type": "scitt_receipt", "body": {}}]},
        {"attachments": [{"purpose": "projection", "body": {"rows": [{}]}}]},
        {"updated_at": "2026-09-02T00:00:00Z", "analysis": [], "attachments": None},
    ],
    ids=["beside", "taken out", "receipt", "row", "empty"],
)
def test_how_it_is_kept_and_what_is_said_about_it_make_no_other(same: dict[str, Any]) -> None:
    assert fingerprint({**CALL, **same}) == fingerprint(CALL)


@pytest.mark.parametrize(
    "other",
    [
        {"dialog": [{"type": "recording", "content_hash": content_hash_of(b"other")}]},
        {"dialog": []},
        {"subject": "x"},
        {"analysis": [{"type": "summary", "body": "x"}]},
        {"parties": [{"name": "x"}]},
    ],
)
def test_what_was_changed_makes_another(other: dict[str, Any]) -> None:
    assert fingerprint({**CALL, **other}) != fingerprint(CALL)


def test_it_is_that_of_the_canonical_form() -> None:
    assert fingerprint({"uuid": "x", "a": 1.0}) == hashlib.sha256(b'{"a":1,"uuid":"x"}').hexdigest()


@pytest.mark.parametrize("value", [2**60, "\ud800"])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(PermanentError, match="RFC 8785"):
        fingerprint({**CALL, "x": value})
