"""Whose signatures count: trusted certificates, and the way from a signer's certificate to one of them.

Belongs here: reading certificates, building and judging chains (vcon_format.md section 4.2). Not here: the signature
itself and what state it gives a document (``signing.py``), where an operator keeps the certificates (settings).

A root is told by its bytes and by what its key signed, never by its name: anyone can write a name, and both public
test sets hold two roots of one name. Nothing is ever fetched: the chain is what the document brings (``x5c``). There
is no revocation list; a root that is no longer to be trusted is taken out of the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vcon_platform.errors import PlatformError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

MAX_CHAIN = 5
"""Certificates that are looked at in one ``x5c``; real chains have two to four."""

RSA_BITS = range(2048, 8193)
"""RSA sizes that count. Below is too weak; above, one verification costs an attacker nothing and us milliseconds."""

_SUFFIXES = (".pem", ".crt", ".cer")


class TrustError(PlatformError):
    """Certificates or keys of this deployment that cannot be used."""


@dataclass(frozen=True, slots=True, eq=False)
class Trust:
    """The certificates signatures are judged by. Signers with a certificate of their own in ``roots`` count too. Make
    one and keep it: what was found out about a chain is remembered with it.

    ``require_ca=False`` accepts issuers without a basicConstraints extension: the public test certificates are X.509
    v1 below the root. Never in production, where any leaf of such a root could then issue certificates."""

    roots: tuple[Certificate, ...]
    require_ca: bool = True

    @property
    def ders(self) -> list[bytes]:
        """The trusted certificates' bytes."""
        from cryptography.hazmat.primitives.serialization import Encoding

        return [root.public_bytes(Encoding.DER) for root in self.roots]


@dataclass(frozen=True, slots=True)
class Span:
    """A time from ``start`` to ``end``, both included and timezone-aware: when every certificate of a chain held."""

    start: datetime
    end: datetime

    def meets(self, other: Span) -> bool:
        """Whether the two have a moment in common; never true of a span that ends before it starts."""
        return max(self.start, other.start) <= min(self.end, other.end)


@dataclass(frozen=True, slots=True)
class Signer:
    """Whose signature it would be. ``fingerprint``: of the leaf's key. ``spans``: when the chain was good, one
    for each way from the leaf to a trusted certificate; empty where nobody vouches for it. In each the leaf is fit to
    sign documents and the others to issue certificates; whether a time lies in it is the caller's to judge."""

    key: Any
    fingerprint: str
    spans: tuple[Span, ...]


def load_trust(source: Path | Iterable[Path], *, require_ca: bool = True) -> Trust:
    """Trust in every certificate of a folder (``*.pem``, ``*.crt``, ``*.cer``) or of the named files, all PEM, several
    in one file allowed. Raises :class:`TrustError` where one cannot be read or none is there."""
    roots = dict.fromkeys(certificate for path in pem_files(source, _SUFFIXES) for certificate in load_chain(path))
    if not roots:
        raise TrustError("no trusted certificate was found; put the roots there as PEM (*.pem, *.crt, *.cer)")
    return Trust(tuple(roots), require_ca)


def pem_files(source: Path | Iterable[Path], suffixes: tuple[str, ...]) -> list[Path]:
    """The files of a folder with one of these suffixes, by name; a file or several are given back as they are."""
    if not isinstance(source, Path):
        return list(source)
    if not source.is_dir():
        return [source]
    return sorted(path for path in source.iterdir() if path.suffix in suffixes)


def load_chain(source: Path | bytes) -> tuple[Certificate, ...]:
    """The certificates of a PEM file or of PEM bytes, in their order. Raises :class:`TrustError`."""
    from cryptography import x509

    name = source.name if isinstance(source, Path) else "the certificate"
    try:
        found = x509.load_pem_x509_certificates(source.read_bytes() if isinstance(source, Path) else source)
    except (OSError, ValueError) as error:
        raise TrustError(f"{name} is not readable as a PEM certificate ({type(error).__name__})") from None
    return tuple(found)


def fingerprint(certificate: Certificate) -> str:
    """SHA-256 of the certificate's public key (its SubjectPublicKeyInfo), lower-case hex: how a signer is named.

    Not of the certificate: its issuer's signature can be written in several ways by anybody, so that one certificate
    has many hashes, and a document could be made to look like another signer's. A renewed certificate keeps its name
    as long as its key."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def signer(chain: tuple[bytes, ...], trust: Trust) -> Signer | None:
    """Who signs with this chain of certificates (DER, leaf first), and how far ``trust`` vouches for it; None where a
    certificate or the leaf's key cannot be read. Remembered: a source signs with one chain for years."""
    return _signer(chain[:MAX_CHAIN], trust)


@lru_cache(maxsize=128)
def _signer(chain: tuple[bytes, ...], trust: Trust) -> Signer | None:
    from cryptography import x509

    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain]
        key = certificates[0].public_key()
        _span(certificates)  # dates are read late, and may be unreadable too
    except Exception:  # a stranger's bytes: ValueError, UnsupportedAlgorithm and more, by the library's version
        return None
    ways = (way for way in _ways(certificates, trust) if _fit(way, trust.require_ca))
    return Signer(key, fingerprint(certificates[0]), tuple(_span(way) for way in ways))


def _span(way: Sequence[Certificate]) -> Span:
    return Span(
        max(certificate.not_valid_before_utc for certificate in way),
        min(certificate.not_valid_after_utc for certificate in way),
    )


def _fit(way: Sequence[Certificate], require_ca: bool) -> bool:
    return _signs_documents(way[0]) and all(
        _may_issue(issuer, below=below, require_ca=require_ca) for below, issuer in enumerate(way[1:])
    )


def _ways(chain: Sequence[Certificate], trust: Trust) -> Iterable[list[Certificate]]:
    """Every way up the chain that ends at a trusted certificate, which the document may bring or leave out."""
    way: list[Certificate] = []
    for certificate in chain:
        if way and not _issued(way[-1], certificate):
            return
        way.append(certificate)
        if certificate in trust.roots:
            yield list(way)
        yield from ([*way, root] for root in trust.roots if root != certificate and _issued(certificate, root))


def _issued(certificate: Certificate, issuer: Certificate) -> bool:
    from cryptography.hazmat.primitives import hashes

    try:
        digest = certificate.signature_hash_algorithm  # None for Ed25519
        certificate.verify_directly_issued_by(issuer)
    except Exception:  # InvalidSignature, ValueError (names), TypeError (key types), UnsupportedAlgorithm
        return False
    return not isinstance(digest, hashes.MD5 | hashes.SHA1)


def _signs_documents(leaf: Certificate) -> bool:
    from cryptography import x509

    known = _extensions(leaf)
    if known is None or not _strong(leaf):
        return False
    usage = known.get(x509.KeyUsage)
    return usage is None or bool(usage.digital_signature or usage.content_commitment)


def _may_issue(issuer: Certificate, *, below: int, require_ca: bool) -> bool:
    """``below``: issuing certificates between this one and the leaf."""
    from cryptography import x509

    known = _extensions(issuer)
    if known is None or not _strong(issuer):
        return False
    basic, usage = known.get(x509.BasicConstraints), known.get(x509.KeyUsage)
    if usage is not None and not usage.key_cert_sign:
        return False
    if basic is None:
        return not require_ca
    return bool(basic.ca) and (basic.path_length is None or below <= basic.path_length)


def _extensions(certificate: Certificate) -> dict[type, Any] | None:
    """The extensions that are judged, by class; None where one is malformed or critical and not understood, which
    makes the certificate unusable (RFC 5280 section 4.2)."""
    from cryptography import x509

    understood = (x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectAlternativeName)
    try:
        every = list(certificate.extensions)
    except Exception:  # ValueError, DuplicateExtension, UnsupportedGeneralNameType
        return None
    if any(extension.critical and not isinstance(extension.value, understood) for extension in every):
        return None
    return {type(extension.value): extension.value for extension in every}


def _strong(certificate: Certificate) -> bool:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    try:
        key = certificate.public_key()
    except Exception:  # ValueError, UnsupportedAlgorithm and more, by the library's version
        return False
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size in RSA_BITS
    if isinstance(key, ec.EllipticCurvePublicKey):
        return isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1 | ec.SECP521R1)
    return isinstance(key, ed25519.Ed25519PublicKey)
