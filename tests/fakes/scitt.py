"""A transparency service on this machine, as scittles is one: takes signed statements, answers with receipts.

Its Merkle tree is written from the definition of RFC 9162 section 2.1.1, not as the code under test walks a proof.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from tests.fakes.services import Answer, Asked, Service, service


def es256(key: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """A signature as COSE has it."""
    r, s = decode_dss_signature(key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def receipt(
    key: ec.EllipticCurvePrivateKey, signed: bytes, proof: Sequence[Any], *, structure: int = 1, payload: Any = None
) -> bytes:
    """A receipt that signs ``signed`` (a root) and shows ``proof``."""
    head = cbor2.dumps({1: -7, 4: b"ts-key", 395: structure, 15: {1: "https://ts.example"}})
    signature = es256(key, cbor2.dumps(["Signature1", head, b"", signed]))
    return cbor2.dumps(cbor2.CBORTag(18, [head, {396: {-1: [cbor2.dumps(list(proof))]}}, payload, signature]))


def tree(leaves: Sequence[bytes]) -> bytes:
    """The root (RFC 9162 section 2.1.1)."""
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = _split(len(leaves))
    return hashlib.sha256(b"\x01" + tree(leaves[:split]) + tree(leaves[split:])).digest()


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """The inclusion proof of a leaf (RFC 9162 section 2.1.3.1)."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*path(index, leaves[:split]), tree(leaves[split:])]
    return [*path(index - split, leaves[split:]), tree(leaves[:split])]


def _split(size: int) -> int:
    return 1 << (size - 1).bit_length() - 1


@dataclass(slots=True)
class FakeScitt:
    """``statements``: what was registered, by entry id. ``later``: so often it says that it is not done yet. ``chain``:
    its receipts are of a hash chain, as those of later versions. ``issuers``: keys of those whose statements it takes,
    by key id."""

    service: Service
    issuers: dict[str, Any]
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    statements: dict[str, bytes] = field(default_factory=dict)
    leaves: list[bytes] = field(default_factory=lambda: [b"\x01" * 32, b"\x02" * 32])
    later: int = 0
    chain: bool = False

    def decoded(self) -> list[dict[str, Any]]:
        """What the registered statements say: protected header and payload."""
        found = []
        for raw in self.statements.values():
            head, _, payload, _ = cbor2.loads(raw).value
            found.append({"head": cbor2.loads(head), "payload": payload})
        return found

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/jwks":
            numbers = self.key.public_key().public_numbers()
            x, y = (
                base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=").decode() for n in (numbers.x, numbers.y)
            )
            return Answer(200, {"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": "ts-key"}]})
        if asked.path == "/entries":
            return self._register(asked.body)
        entry = asked.path.removeprefix("/entries/")
        if entry not in self.statements:
            return self._problem(404, "Not Found")
        if self.later > 0:
            self.later -= 1
            return Answer(302, b"", {"Location": asked.path, "Retry-After": "1"})
        return Answer(200, self._receipt(entry), {"Content-Type": "application/cose"})

    def _register(self, raw: bytes) -> Answer:
        head, _, payload, signature = cbor2.loads(raw).value
        named = cbor2.loads(head)
        key = self.issuers.get(named[4].decode())
        if key is None:
            return self._problem(400, "Unknown Issuer")
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        message = cbor2.dumps(["Signature1", head, b"", payload])
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashes.SHA256()))
        entry = hashlib.sha256(payload).hexdigest()
        if entry in self.statements:
            return self._problem(400, "Already Registered")
        self.statements[entry] = raw
        self.leaves.append(bytes.fromhex(entry))
        where = {"Location": f"https://ts.example/entries/{entry}", "Content-Type": "application/cose"}
        if self.later > 0:
            return Answer(303, b"", {**where, "Retry-After": "1"})
        return Answer(201, self._receipt(entry), where)

    def _receipt(self, entry: str) -> bytes:
        leaf = bytes.fromhex(entry)
        if self.chain:
            return receipt(self.key, leaf, [7, b"\x07" * 32], structure=2)
        index = self.leaves.index(leaf)
        return receipt(self.key, tree(self.leaves), [len(self.leaves), index, path(index, self.leaves)])

    def _problem(self, status: int, title: str) -> Answer:
        return Answer(status, cbor2.dumps({-1: title}), {"Content-Type": "application/concise-problem-details+cbor"})


@contextlib.contextmanager
def fake_scitt(issuers: dict[str, Any]) -> Iterator[FakeScitt]:
    """Run one on 127.0.0.1 while the block runs."""
    with service(lambda asked: fake.answer(asked)) as running:
        fake = FakeScitt(running, issuers)
        yield fake
