"""The form of a JWS: its entries, what is refused in them, its algorithms and its signing input.

Belongs here: RFC 7515 as far as the signed form needs it, and the headers, which a JWE writes alike. Not here: who is
trusted (``trust.py``), what a signature is worth (``signing.py``).

Written strictly, read leniently: the draft's own examples repeat ``alg`` and ``x5c`` in the protected and the
unprotected header, which the RFC forbids and strict libraries refuse. Lenient never means trusting: an algorithm counts
only where it is protected, ``crit`` is never passed over, and ``jwk``, ``jku`` and ``x5u`` are never followed.
"""

from __future__ import annotations

import hashlib
import mmap
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.media import BodyError, decode_base64url
from vcon_platform.vcon.strict_json import read_json
from vcon_platform.vcon.trust import MAX_CHAIN, RSA_BITS

if TYPE_CHECKING:
    from vcon_platform.vcon.bodies import Hoisted

ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")
"""What is signed with and what is verified. Nothing symmetric, and never ``none``."""

MAX_SIGNATURES = 10
MAX_HEADER = 128 << 10
"""Characters of a protected header or of one certificate; five certificates take about 20,000."""

_HEADER_LIMITS = Limits(document_bytes=MAX_HEADER, depth=8, members=1000, elements=1000)
_FORM = "bad_signature_form"


@dataclass(frozen=True, slots=True)
class Entry:
    """One element of ``signatures``, allowed to be looked at. ``protected``: the header's text as it was signed.
    ``chain``: the certificates in DER, the signer's first; empty where the document brings none."""

    protected: bytes
    alg: str
    signature: bytes
    chain: tuple[bytes, ...]


def entries(signatures: Any) -> tuple[list[Entry], list[str]]:
    """The usable elements of ``signatures``, and the uuids that the headers name.

    Raises :class:`Rejected`: 422 for what is not the form of RFC 7515 (all such faults), 401 where no element is left
    that may be used (the faults of all)."""
    if not isinstance(signatures, list):
        raise Rejected(Fault(_FORM, "/signatures", "signatures is not an array; write JWS General JSON"))
    if not signatures:
        message = "there is no signature; send the vCon unsigned, or sign it"
        raise Rejected(Fault("no_signatures", "/signatures", message))
    if len(signatures) > MAX_SIGNATURES:
        message = f"there are more than {MAX_SIGNATURES} signatures; send those that count"
        raise Rejected(Fault(_FORM, "/signatures", message))
    usable: list[Entry] = []
    uuids: list[str] = []
    malformed: list[Fault] = []
    forbidden: list[Fault] = []
    for index, element in enumerate(signatures):
        try:
            usable.append(_entry(element, f"/signatures/{index}", uuids))
        except Rejected as rejected:
            (forbidden if rejected.status == 401 else malformed).extend(rejected.faults)
    if malformed:
        raise Rejected(*malformed)
    if not usable:
        raise Rejected(*forbidden)
    return usable, uuids


def _entry(element: Any, at: str, uuids: list[str]) -> Entry:
    if not isinstance(element, dict):
        raise Rejected(Fault(_FORM, at, "it is not an object; write JWS General JSON"))
    protected = header_object(element.get("protected", ""), f"{at}/protected")
    header = element.get("header")
    if header is not None and not isinstance(header, dict):
        raise Rejected(Fault(_FORM, f"{at}/header", "it is not an object; write JWS General JSON"))
    headers: tuple[Mapping[str, Any], ...] = (protected, header or {})
    signature = decoded(element.get("signature"), f"{at}/signature")
    chain = next((_chain(found["x5c"], at) for found in headers if "x5c" in found), ())
    for found in headers:
        uuid = found.get("uuid")
        if uuid is not None and not isinstance(uuid, str):
            raise Rejected(Fault(_FORM, at, "the header's uuid is not a text; write the vCon's uuid or leave it out"))
        if uuid is not None and uuid not in uuids:
            uuids.append(uuid)
    _refuse(protected, headers, chain, at)
    return Entry(element.get("protected", "").encode(), protected["alg"], signature, chain)


def _refuse(
    protected: Mapping[str, Any], headers: tuple[Mapping[str, Any], ...], chain: tuple[bytes, ...], at: str
) -> None:
    """Raises :class:`Rejected` (401) for an algorithm, a header or a key that no reader may accept."""
    alg = protected.get("alg")
    if alg == "none":
        message = "alg none signs nothing; send the vCon unsigned, or sign it"
        raise Rejected(Fault("bad_signature", f"{at}/protected", message, 401))
    if alg not in ALGORITHMS:
        message = f"alg is not protected, or none of those in use; sign with one of {', '.join(ALGORITHMS)}"
        raise Rejected(Fault("alg_not_allowed", f"{at}/protected", message, 401))
    if any("crit" in found for found in headers):
        message = "crit names header members that must be understood, and none is supported; sign without crit"
        raise Rejected(Fault("crit_not_supported", f"{at}/protected", message, 401))
    if not chain and any(name in found for found in headers for name in ("x5u", "jku", "jwk")):
        message = "a key that comes by address or by itself proves nothing and is not followed; send the chain as x5c"
        raise Rejected(Fault("untrusted", at, message, 401))


def header_object(text: Any, at: str, code: str = _FORM) -> Mapping[str, Any]:
    """A protected header from its text; empty where there is none. Raises :class:`Rejected` (422, ``code``)."""
    if text == "":
        return {}
    if isinstance(text, str) and len(text) > MAX_HEADER:
        raise Rejected(Fault(code, at, f"the header is longer than {MAX_HEADER} characters; send fewer certificates"))
    raw = decoded(text, at, code)
    try:
        header = read_json(raw, _HEADER_LIMITS)
    except Rejected as rejected:
        message = f"the decoded header is not strict JSON ({rejected.code}); write an object with alg"
        raise Rejected(Fault(code, at, message)) from None
    if not isinstance(header, dict):
        raise Rejected(Fault(code, at, "the decoded header is not an object; write an object with alg"))
    return header


def decoded(text: Any, at: str, code: str = _FORM) -> bytes:
    """The bytes of a base64url text. Raises :class:`Rejected` (422, ``code``)."""
    if not isinstance(text, str):
        raise Rejected(Fault(code, at, "it is not a text; write base64url"))
    try:
        return decode_base64url(text)
    except BodyError:
        raise Rejected(Fault(code, at, "it is not base64url; encode the bytes again, without padding")) from None


def _chain(x5c: Any, at: str) -> tuple[bytes, ...]:
    if not isinstance(x5c, list) or not x5c:
        raise Rejected(Fault(_FORM, at, "x5c is not an array of certificates; write each as base64 of its DER"))
    if any(isinstance(certificate, str) and len(certificate) > MAX_HEADER for certificate in x5c):
        raise Rejected(Fault(_FORM, at, f"a certificate is longer than {MAX_HEADER} characters; send another"))
    return tuple(decoded(certificate, at) for certificate in x5c[:MAX_CHAIN])


# The payload -------------------------------------------------------------------------------------------------------


def payload_content(payload: Any) -> bytes | Hoisted:
    """The decoded payload; one that was hoisted while reading is handed on as it is. Raises :class:`Rejected`."""
    if hasattr(payload, "text_chunks"):
        return payload  # type: ignore[no-any-return]
    return decoded(payload, "/payload")


def payload_digests(headers: Iterable[bytes], payload: Any) -> dict[bytes, bytes]:
    """SHA-256 of the signing input under each protected header, in one pass over the payload."""
    hashers = {header: hashlib.sha256(header + b".") for header in headers}
    for chunk in _text_chunks(payload) if hashers else ():
        for hasher in hashers.values():
            hasher.update(chunk)
    return {header: hasher.digest() for header, hasher in hashers.items()}


def _text_chunks(payload: Any) -> Iterator[bytes]:
    """The payload's characters, as they were signed."""
    if isinstance(payload, str):
        yield payload.encode()
        return
    for chunk in payload.text_chunks():
        yield chunk.replace(b"\\", b"")  # JSON may escape the slash; base64 has no backslash of its own


@contextmanager
def _signing_input(protected: bytes, payload: Any) -> Iterator[bytes | mmap.mmap]:
    """The whole signing input as one buffer, which Ed25519 needs: a long payload's is a mapped file, not memory."""
    if isinstance(payload, str):
        yield protected + b"." + payload.encode()
        return
    with tempfile.TemporaryFile() as file:
        file.write(protected + b".")
        file.writelines(_text_chunks(payload))
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as whole:
            yield whole


# Algorithms --------------------------------------------------------------------------------------------------------


def fits(alg: str, key: Any) -> bool:
    """Whether a public key is of the kind and size that the algorithm takes."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if alg in ("RS256", "PS256"):
        return isinstance(key, rsa.RSAPublicKey) and key.key_size in RSA_BITS
    if alg == "ES256":
        return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    return alg == "EdDSA" and isinstance(key, ed25519.Ed25519PublicKey)


def signature_of(key: Any, alg: str, protected: bytes, payload: str) -> bytes:
    """The signature by a private key that :func:`fits` the algorithm (RFC 7518 section 3, RFC 8037)."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

    if alg == "EdDSA":
        return bytes(key.sign(protected + b"." + payload.encode()))
    [digest] = payload_digests([protected], payload).values()
    hashed = utils.Prehashed(hashes.SHA256())
    if alg == "ES256":
        r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(hashed)))
        return r.to_bytes(32) + s.to_bytes(32)
    pad = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if alg == "PS256" else padding.PKCS1v15()
    return bytes(key.sign(digest, pad, hashed))


def verifies(entry: Entry, key: Any, digest: bytes | None, payload: Any) -> bool:
    """Whether the entry is this public key's signature. ``digest``: of :func:`payload_digests`; None for EdDSA."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, padding, utils

    if not fits(entry.alg, key):
        return False
    signed, hashed = entry.signature, utils.Prehashed(hashes.SHA256())
    try:
        if digest is None:
            with _signing_input(entry.protected, payload) as message:
                key.verify(signed, message)
        elif entry.alg == "ES256":
            if len(signed) != 64:
                return False
            whole = utils.encode_dss_signature(int.from_bytes(signed[:32]), int.from_bytes(signed[32:]))
            key.verify(whole, digest, ec.ECDSA(hashed))
        else:
            pad = padding.PSS(padding.MGF1(hashes.SHA256()), 32) if entry.alg == "PS256" else padding.PKCS1v15()
            key.verify(signed, digest, pad, hashed)
    except InvalidSignature:
        return False
    return True
