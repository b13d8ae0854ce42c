"""Signed statements and receipts of SCITT, as bytes: COSE_Sign1 made and verified.

Belongs here: RFC 9052's Sign1, the receipts of draft-ietf-cose-merkle-tree-proofs with the inclusion proofs of RFC
9162. Not here: who is asked for a receipt (``scitt_service.py``), what is stated (``scitt.py``).

A receipt is from outside: whatever is wrong in it is a :class:`ReceiptBroken`, nothing else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from vcon_platform.errors import PlatformError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

TAG: Final = 18
ALG, CONTENT_TYPE, KID, CLAIMS, VDS, PROOFS = 1, 3, 4, 15, 395, 396
"""Labels of header parameters (IANA, COSE Header Parameters)."""
ISSUER, SUBJECT = 1, 2
"""Labels of CWT claims (RFC 8392)."""
INCLUSION = -1
"""Label of inclusion proofs within the proofs of a receipt."""
RFC9162 = 1
"""The verifiable data structure of RFC 9162: a Merkle tree of SHA-256."""
HASH_CHAIN = 2
"""Scittles' own: each entry signed for itself, with the hash of a chain. Its signature is over the entry's hash."""
MOST_HASHES = 64
MOST_BYTES = 1 << 16

_ES256, _ES384, _EDDSA = -7, -35, -8
_ARRAY = (list, tuple)
"""What stands within a tag is read as what cannot be changed."""
_CURVES = {"secp256r1": (_ES256, 32, "SHA256"), "secp384r1": (_ES384, 48, "SHA384")}


class KeyUnfit(PlatformError):
    """A key with which no statement can be signed."""


class ReceiptBroken(PlatformError):
    """A receipt that proves nothing."""


def algorithm_of(key: PrivateKeyTypes) -> int:
    """The COSE algorithm of a key. Raises :class:`KeyUnfit`."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return _EDDSA
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name][0]
    raise KeyUnfit("the key is of no kind that statements are signed with; make one for P-256, P-384 or Ed25519")


def sign(key: PrivateKeyTypes, protected: Mapping[int, Any], payload: bytes) -> bytes:
    """A signed statement. The same key and content give the same bytes, so that a service can tell one that comes
    twice (RFC 6979). Raises :class:`KeyUnfit`."""
    import cbor2

    head = cbor2.dumps({ALG: algorithm_of(key), **protected}, canonical=True)
    signature = _sign(key, _to_be_signed(head, payload))
    return bytes(cbor2.dumps(cbor2.CBORTag(TAG, [head, {}, payload, signature]), canonical=True))


def _sign(key: Any, message: bytes) -> bytes:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

    if isinstance(key, ed25519.Ed25519PrivateKey):
        return bytes(key.sign(message))
    _, size, name = _CURVES[key.curve.name]
    made = key.sign(message, ec.ECDSA(getattr(hashes, name)(), deterministic_signing=True))
    r, s = decode_dss_signature(made)
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def check_receipt(receipt: bytes, entries: Sequence[bytes], keys: Iterable[PublicKeyTypes]) -> None:
    """Raises :class:`ReceiptBroken` unless one of these keys signed that one of ``entries`` (what services take as the
    leaf: there is no agreement yet) is in the log."""
    head, unprotected, payload, signature = _parts(receipt)
    protected = _map(_decoded(head))
    known = list(keys)
    for signed in _roots(protected, unprotected, entries):
        if payload is not None and payload != signed:
            continue
        message = _to_be_signed(head, signed)
        if any(_verifies(key, protected.get(ALG), message, signature) for key in known):
            return
    raise ReceiptBroken("its signature is not the service's, or its proof is not of this statement")


def _roots(protected: Mapping[Any, Any], unprotected: Mapping[Any, Any], entries: Sequence[bytes]) -> Iterable[bytes]:
    """What may have been signed, one after the other."""
    structure = protected.get(VDS, RFC9162)
    proofs = unprotected.get(PROOFS)
    inclusion = proofs.get(INCLUSION) if isinstance(proofs, Mapping) else None
    if not isinstance(inclusion, _ARRAY) or not inclusion:
        raise ReceiptBroken("it holds no proof of inclusion")
    if structure == HASH_CHAIN:
        yield from entries
        return
    if structure != RFC9162:
        raise ReceiptBroken("its proof is of a kind that is not known")
    for each in inclusion[:8]:
        size, index, path = _proof(each)
        for entry in entries:
            root = root_of(entry, index, size, path)
            if root is not None:
                yield root


def _proof(value: Any) -> tuple[int, int, list[bytes]]:
    proof = _decoded(value) if isinstance(value, bytes) else value
    if (
        not isinstance(proof, _ARRAY)
        or len(proof) != 3
        or not all(isinstance(number, int) and not isinstance(number, bool) for number in proof[:2])
        or not isinstance(proof[2], _ARRAY)
        or len(proof[2]) > MOST_HASHES
        or not all(isinstance(each, bytes) and len(each) == 32 for each in proof[2])
    ):
        raise ReceiptBroken("its proof of inclusion is none")
    return proof[0], proof[1], list(proof[2])


def root_of(entry: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root of the tree of ``size`` leaves that has this entry at ``index`` (RFC 9162 section 2.1.3.2); None where
    the path does not fit."""
    if not 0 <= index < size:
        return None
    here, last = index, size - 1
    current = hashlib.sha256(b"\x00" + entry).digest()
    for sibling in path:
        if last == 0:
            return None
        if here & 1 or here == last:
            current = hashlib.sha256(b"\x01" + sibling + current).digest()
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            current = hashlib.sha256(b"\x01" + current + sibling).digest()
        here, last = here >> 1, last >> 1
    return current if last == 0 else None


def _verifies(key: Any, algorithm: Any, message: bytes, signature: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    try:
        if isinstance(key, ed25519.Ed25519PublicKey) and algorithm == _EDDSA:
            key.verify(signature, message)
            return True
        if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
            expected, size, name = _CURVES[key.curve.name]
            if algorithm != expected or len(signature) != 2 * size:
                return False
            r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(getattr(hashes, name)()))
            return True
    except InvalidSignature:
        pass
    return False


def _to_be_signed(head: bytes, payload: bytes) -> bytes:
    """The Sig_structure of RFC 9052 section 4.4."""
    import cbor2

    return bytes(cbor2.dumps(["Signature1", head, b"", payload]))


def _parts(raw: bytes) -> tuple[bytes, Mapping[Any, Any], bytes | None, bytes]:
    import cbor2

    value = _decoded(raw)
    if isinstance(value, cbor2.CBORTag):
        value = value.value if value.tag == TAG else None
    match value:
        case [bytes(head), unprotected, bytes() | None as payload, bytes(signature)] if isinstance(
            unprotected, Mapping
        ):
            return head, unprotected, payload, signature
    raise ReceiptBroken("it is no COSE_Sign1")


def _decoded(raw: bytes) -> Any:
    import cbor2

    if len(raw) > MOST_BYTES:
        raise ReceiptBroken(f"it has more than {MOST_BYTES} bytes")
    try:
        return cbor2.loads(raw)
    except (cbor2.CBORDecodeError, ValueError, RecursionError, TypeError, OverflowError, MemoryError):
        raise ReceiptBroken("it is no CBOR") from None


def _map(value: Any) -> Mapping[Any, Any]:
    if not isinstance(value, Mapping):
        raise ReceiptBroken("its protected header is none")
    return value
