"""Signers with a common root, one for each algorithm, and documents signed by them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from tests.vcon.certificates import Held, made, rsa_key
from vcon_platform.vcon.signing import sign
from vcon_platform.vcon.trust import Trust

UUID = "018f3a2b-4c5d-8e6f-9012-3456789abcde"
RAW = json.dumps({"uuid": UUID, "parties": [], "dialog": []}).encode()

ROOT = made("root", ca=True)
TRUST = Trust((ROOT.certificate,))
SIGNERS = {
    "RS256": made("rsa", ROOT, key=rsa_key()),
    "PS256": made("pss", ROOT, key=rsa_key()),
    "ES256": made("ec", ROOT),
    "EdDSA": made("ed", ROOT, key=ed25519.Ed25519PrivateKey.generate()),
}
algorithms = pytest.mark.parametrize("alg", list(SIGNERS))


def signed(alg: str = "ES256", raw: bytes = RAW, by: Held | None = None, **options: Any) -> dict[str, Any]:
    by = by or SIGNERS[alg]
    return sign(raw, UUID, by.key, [by.certificate], alg=alg, **options)
