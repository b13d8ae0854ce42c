"""The signed form (JWS General JSON): signing, archiving a signature, and what a signature is worth.

Belongs here: vcon_format.md sections 4.1 and 4.2. Not here: the form of a JWS, its algorithms and what is refused in it
(``jws.py``), certificates and chains (``trust.py``), what is done with a document in each state (``received.py``, a
source's policy), the payload's own gates (``gates.py``).

A refusal (:class:`Rejected`) is for forms that no honest signer writes. A signature that merely is not good, by a
stranger or out of date, is a state: whether such a document is taken in is the policy of its source. Keys come from the
chain the document brings, judged by ``trust``, or from this deployment's own certificates; nothing is ever fetched.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.jws import (
    ALGORITHMS,
    Entry,
    entries,
    fits,
    payload_content,
    payload_digests,
    signature_of,
    verifies,
)
from vcon_platform.vcon.media import encode_base64url
from vcon_platform.vcon.trust import MAX_CHAIN, Signer, Span, Trust, signer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
    from cryptography.x509 import Certificate

    from vcon_platform.vcon.bodies import Hoisted

__all__ = [
    "MAX_NESTING",
    "SignatureState",
    "SigningError",
    "Verified",
    "load_key",
    "resign",
    "sign",
    "verify",
    "verify_nested",
]

MAX_NESTING = 4
"""Signatures around signatures (long-term archive): one per certificate lifetime, so four are a decade or more."""


class SignatureState(StrEnum):
    """What a document's signature is worth, best to worst after ``none``."""

    NONE = "none"
    """The document is not signed."""
    UNVERIFIED = "unverified"
    """Signed, and this deployment has no certificates to judge it by."""
    VALID = "valid"
    EXPIRED = "expired"
    """Good, but a certificate of the chain is not valid at this time."""
    UNTRUSTED = "untrusted"
    """Good, or not checkable, and its signer is not vouched for by a trusted certificate."""
    INVALID = "invalid"
    """Not the signature of this payload."""


_WORTH = (SignatureState.VALID, SignatureState.EXPIRED, SignatureState.UNTRUSTED, SignatureState.INVALID)


class SigningError(PlatformError):
    """A key, a chain or a document with which nothing can be signed."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What the signatures of one document say.

    ``signer``: ``trust.fingerprint`` of whoever made a valid signature. ``payload``: the vCon's bytes (or gzip), not
    yet through any gate. ``header_uuids``: every uuid the headers name; hints that the payload's uuid overrules and
    must equal. ``span``: when the valid signature's chain is good."""

    state: SignatureState
    signer: str | None
    payload: bytes | Hoisted
    header_uuids: list[str]
    span: Span | None = None


# Making ------------------------------------------------------------------------------------------------------------


def load_key(pem: bytes, password: bytes | None = None) -> PrivateKeyTypes:
    """The private key in a PEM file's bytes. Raises :class:`SigningError`; the message never holds any of it."""
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        return load_pem_private_key(pem, password)
    except (ValueError, TypeError) as error:
        raise SigningError(f"the private key is not readable as PEM ({type(error).__name__})") from None


def sign(
    raw: bytes,
    uuid: str,
    key: PrivateKeyTypes,
    chain: Sequence[Certificate],
    *,
    alg: str | None = None,
    repeat_alg: bool = False,
) -> dict[str, Any]:
    """The signed form of ``raw``: the exact bytes of a vCon (or of its gzip) whose uuid is ``uuid``.

    ``chain``: the signer's certificate first, each issued by the next. ``alg``: RS256 for RSA keys unless PS256 is
    asked for; ES256 and EdDSA follow from the key. ``repeat_alg`` repeats ``alg`` in the unprotected header: readers
    of py-vcon 0.6.0 need it, and strict readers (RFC 7515) refuse it. Raises :class:`SigningError` where key, chain and
    algorithm do not fit together."""
    from cryptography.hazmat.primitives.serialization import Encoding

    alg = _algorithm(key, chain, alg)
    protected = encode_base64url(orjson.dumps({"alg": alg})).encode()
    payload = encode_base64url(raw)
    signature = signature_of(key, alg, protected, payload)
    header: dict[str, Any] = {"alg": alg} if repeat_alg else {}
    # x5c is standard base64 with padding, unlike everything else here (RFC 7515 section 4.1.6)
    header["x5c"] = [base64.b64encode(certificate.public_bytes(Encoding.DER)).decode() for certificate in chain]
    header["uuid"] = uuid
    entry = {"protected": protected.decode(), "header": header, "signature": encode_base64url(signature)}
    return {"payload": payload, "signatures": [entry]}


def resign(
    signed: bytes,
    uuid: str,
    key: PrivateKeyTypes,
    chain: Sequence[Certificate],
    *,
    trust: Trust,
    now: datetime,
    alg: str | None = None,
    repeat_alg: bool = False,
) -> dict[str, Any]:
    """The exact bytes of a signed vCon, signed again before its certificate expires (long-term archive).

    Checks first that every signature in it is still valid at ``now``, since the new one vouches for that. Raises
    :class:`SigningError` where not, or where it would be nested too deep to be read again."""
    try:
        value = orjson.loads(signed)
        layers = 0

        def unwrap(payload: bytes | Hoisted) -> Any:
            nonlocal layers
            layers += 1
            return orjson.loads(payload) if isinstance(payload, bytes) and payload.startswith(b"{") else None

        verified = verify_nested(value, trust, now, unwrap)[0] if isinstance(value, dict) else None
    except (orjson.JSONDecodeError, Rejected) as error:
        raise SigningError(f"this is no signed vCon that can be signed again: {error}") from None
    if verified is None or verified.state is not SignatureState.VALID:
        state = "unreadable" if verified is None else verified.state
        raise SigningError(f"only a document with a valid signature is signed again, and this one's is {state}")
    if layers >= MAX_NESTING:
        raise SigningError(f"the document holds {layers} signatures around each other already, and no more are read")
    return sign(signed, uuid, key, chain, alg=alg, repeat_alg=repeat_alg)


def _algorithm(key: PrivateKeyTypes, chain: Sequence[Certificate], alg: str | None) -> str:
    from cryptography.hazmat.primitives.asymmetric import rsa

    if not chain:
        raise SigningError("a signature needs the signer's certificate; give the chain, the signer's own first")
    if len(chain) > MAX_CHAIN:
        raise SigningError(f"the chain has {len(chain)} certificates; readers look at {MAX_CHAIN}")
    public = key.public_key()
    if public != chain[0].public_key():
        raise SigningError("the private key does not belong to the first certificate of the chain")
    for index, (certificate, issuer) in enumerate(pairwise(chain)):
        try:
            certificate.verify_directly_issued_by(issuer)
        except Exception:
            raise SigningError(f"certificate {index} of the chain is not issued by the next one") from None
    chosen = alg or ("RS256" if isinstance(key, rsa.RSAPrivateKey) else None)
    for name in ALGORITHMS:
        if (chosen is None or chosen == name) and fits(name, public):
            return name
    raise SigningError(f"this key cannot sign with {alg or 'any algorithm in use'}; use one of {', '.join(ALGORITHMS)}")


# Reading -----------------------------------------------------------------------------------------------------------


def verify(value: Mapping[str, Any], trust: Trust | None, now: datetime) -> Verified:
    """What the signatures of a signed vCon are worth at ``now``; one valid one among several suffices.

    Raises :class:`Rejected`: 401 where every signature has a forbidden algorithm, a ``crit`` or a key that comes with
    the document or from an address; 422 where the form is not JWS General JSON. Without ``trust`` the same forms are
    refused and the rest is ``unverified``. A :class:`Hoisted` payload is streamed and handed on as it is."""
    return _verify(value, trust, Span(now, now))


def verify_nested(
    value: Mapping[str, Any], trust: Trust | None, now: datetime, unwrap: Callable[[bytes | Hoisted], Any]
) -> tuple[Verified, Any]:
    """:func:`verify` through the signatures around signatures of a long-term archive, and the innermost value.

    ``unwrap`` opens a payload (gates, gzip) and gives its JSON value; it is called once for each layer. An inner
    signature need not be valid now: the one around it was made while it was, so their times must meet. The state is
    that of the first layer from outside that is not valid; the signer is the innermost, whose conversation it is.
    Raises :class:`Rejected` as :func:`verify` does and for more than :data:`MAX_NESTING` layers."""
    span, uuids, outer = Span(now, now), [], SignatureState.VALID
    for _ in range(MAX_NESTING):
        layer = _verify(value, trust, span)
        uuids += layer.header_uuids
        if outer is SignatureState.VALID:
            outer = layer.state
        inner = unwrap(layer.payload)
        if not (isinstance(inner, dict) and "payload" in inner and "signatures" in inner):
            signer = layer.signer if outer is SignatureState.VALID else None
            return replace(layer, state=outer, signer=signer, header_uuids=uuids), inner
        value, span = inner, layer.span or span
    message = f"there are more than {MAX_NESTING} signatures around each other; send the inner document"
    raise Rejected(Fault("too_deep", "/payload", message))


def _verify(value: Mapping[str, Any], trust: Trust | None, at: Span) -> Verified:
    payload = value.get("payload")
    signatures, uuids = entries(value.get("signatures"))
    content = payload_content(payload)
    if trust is None:
        return Verified(SignatureState.UNVERIFIED, None, content, uuids)
    state = SignatureState.INVALID
    digests = payload_digests({s.protected for s in signatures if s.alg != "EdDSA"}, payload)
    for signature in signatures:
        found, whose, span = _judge(signature, digests.get(signature.protected), payload, trust, at)
        if whose is not None:
            return Verified(found, whose.fingerprint, content, uuids, span)
        state = min(state, found, key=_WORTH.index)
    return Verified(state, None, content, uuids)


def _judge(
    signature: Entry, digest: bytes | None, payload: Any, trust: Trust, at: Span
) -> tuple[SignatureState, Signer | None, Span | None]:
    """The state of one signature; of a valid one also whose it is and when its chain is good."""
    # Without a chain (package vcon 0.10.0 writes none) the signer can only be one whose own certificate is trusted.
    chains = [signature.chain] if signature.chain else [(der,) for der in trust.ders]
    state = SignatureState.INVALID if signature.chain else SignatureState.UNTRUSTED
    for chain in chains:
        whose = signer(chain, trust)
        if whose is None:
            return SignatureState.UNTRUSTED, None, None  # a certificate that cannot be read: nothing can be said
        if not verifies(signature, whose.key, digest, payload):
            continue
        good = next((span for span in whose.spans if span.meets(at)), None)
        if good is not None:
            return SignatureState.VALID, whose, good
        state = SignatureState.EXPIRED if whose.spans else SignatureState.UNTRUSTED
    return state, None, None
