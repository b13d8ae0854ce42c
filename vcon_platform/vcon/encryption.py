"""The encrypted form (JWE General JSON): who may read a vCon, made and opened.

Belongs here: vcon_format.md section 4.3. Not here: the signed form inside (``signing.py``), the gates on what comes out
(``received.py``), where an operator keeps keys (settings).

Written by jwcrypto, strictly (RFC 7516). Read by this module, for two reasons: the draft's own examples repeat header
names, which strict libraries refuse; and a recording inside makes the ciphertext hundreds of megabytes long, which a
library wants whole in memory, several times, and this reader streams. The pieces are the library ``cryptography``'s.

What is allowed is settled before any work with a key: password-based algorithms are an attack on the CPU, ``zip`` one
on memory, and neither occurs in honest vCons.
"""

from __future__ import annotations

import hmac
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.jws import decoded, header_object
from vcon_platform.vcon.trust import RSA_BITS, TrustError, pem_files

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
    from cryptography.x509 import Certificate

ALGORITHMS = ("RSA-OAEP", "RSA-OAEP-256")
CONTENT = {"A256CBC-HS512": 64, "A256GCM": 32}
"""Content encryptions and the bytes of their keys (RFC 7518 section 5)."""

MAX_RECIPIENTS = 50
MAX_PLAINTEXT = 1 << 30
IN_MEMORY = 8 << 20
"""Plaintext bytes that are handed on as bytes; more is a file."""

_FORM = "bad_encryption_form"
_KEY_SUFFIXES = (".pem", ".key")
_CHUNK = 1 << 20


class EncryptionError(PlatformError):
    """A document or a certificate with which nothing can be encrypted."""


@dataclass(frozen=True, slots=True)
class DecryptionKeys:
    """The private keys (RSA) of this deployment, tried in turn. Never shown."""

    keys: tuple[RSAPrivateKey, ...] = field(repr=False)


def load_keys(source: Path | Iterable[Path], password: bytes | None = None) -> DecryptionKeys:
    """Every private key of a folder (``*.pem``, ``*.key``) or of the named files, PEM. Raises :class:`TrustError` where
    one is no RSA key of a usable size or none is there; the message never holds any of it."""
    from cryptography.hazmat.primitives.asymmetric import rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    found = []
    for path in pem_files(source, _KEY_SUFFIXES):
        try:
            key = load_pem_private_key(path.read_bytes(), password)
        except (OSError, ValueError, TypeError) as error:
            raise TrustError(f"{path.name} is not readable as a PEM private key ({type(error).__name__})") from None
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size not in RSA_BITS:
            raise TrustError(f"{path.name} is no RSA key of 2048 to 8192 bits; vCons are encrypted to those only")
        found.append(key)
    if not found:
        raise TrustError("no private key was found; put them there as PEM (*.pem, *.key)")
    return DecryptionKeys(tuple(found))


def encrypt(
    signed: bytes,
    uuid: str,
    certificates: Sequence[Certificate | PublicKeyTypes],
    *,
    alg: str = "RSA-OAEP",
    enc: str = "A256CBC-HS512",
) -> dict[str, Any]:
    """The encrypted form of a signed vCon's exact bytes, readable by each owner of one of the certificates (or bare
    public keys).

    ``alg``: RSA-OAEP or RSA-OAEP-256; ``enc``: A256CBC-HS512 or A256GCM. The first of each is what the draft asks for.
    ``uuid`` stands outside in clear, so that the document can be found without a key. Raises :class:`EncryptionError`
    for an unsigned document (draft section 5.2: sign first) and for a certificate that cannot be encrypted to."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import rsa
    from jwcrypto import jwe, jwk

    if alg not in ALGORITHMS or enc not in CONTENT:
        raise EncryptionError(f"encrypt with {' or '.join(ALGORITHMS)} and {' or '.join(CONTENT)}, nothing else")
    if not 0 < len(certificates) <= MAX_RECIPIENTS:
        raise EncryptionError(f"give one to {MAX_RECIPIENTS} certificates of those who are to read the vCon")
    _require_signed(signed)
    protected = orjson.dumps({"alg": alg, "enc": enc}).decode()
    unprotected = orjson.dumps({"cty": "application/vcon", "uuid": uuid}).decode()
    sealed = jwe.JWE(signed, protected=protected, unprotected=unprotected, algs=[alg, enc])
    for index, certificate in enumerate(certificates):
        key = certificate.public_key() if isinstance(certificate, x509.Certificate) else certificate
        if not isinstance(key, rsa.RSAPublicKey) or key.key_size not in RSA_BITS:
            raise EncryptionError(f"certificate {index} has no RSA key of 2048 to 8192 bits; ask its owner for another")
        sealed.add_recipient(jwk.JWK.from_pyca(key))
    written: dict[str, Any] = orjson.loads(sealed.serialize())
    if "recipients" not in written:  # jwcrypto flattens a single recipient, and the draft knows the general form only
        written["recipients"] = [{"encrypted_key": written.pop("encrypted_key")}]
    return written


def _require_signed(signed: bytes) -> None:
    try:
        value = orjson.loads(signed)
    except orjson.JSONDecodeError:
        value = None
    if not (isinstance(value, dict) and "payload" in value and "signatures" in value):
        raise EncryptionError("only a signed vCon is encrypted; sign it first")


# Reading -----------------------------------------------------------------------------------------------------------


def check(value: Mapping[str, Any]) -> str | None:
    """Whether an encrypted vCon may be looked at, without any work with a key; gives the uuid that its headers name (a
    hint only, until it is opened).

    Raises :class:`Rejected` (422) with every fault: ``alg_not_allowed``, ``crit_not_supported``,
    ``bad_encryption_form``."""
    return _parsed(value).uuid


@dataclass(frozen=True, slots=True)
class _Sealed:
    """A JWE, parsed. ``aad``: the bytes that are authenticated beside the ciphertext. ``keys``: (alg, wrapped key)."""

    uuid: str | None
    enc: str
    aad: bytes
    iv: bytes
    tag: bytes
    keys: tuple[tuple[str, bytes], ...]
    ciphertext: Any


def _parsed(value: Mapping[str, Any]) -> _Sealed:
    recipients = value.get("recipients")
    if not isinstance(recipients, list) or not recipients or not all(isinstance(one, dict) for one in recipients):
        raise Rejected(Fault(_FORM, "/recipients", "recipients is not an array of objects; write JWE General JSON"))
    if len(recipients) > MAX_RECIPIENTS:
        raise Rejected(Fault(_FORM, "/recipients", f"there are more than {MAX_RECIPIENTS} recipients; send fewer"))
    protected = header_object(value.get("protected", ""), "/protected", _FORM)
    shared = _header(value.get("unprotected"), "/unprotected")
    own = [_header(one.get("header"), f"/recipients/{index}/header") for index, one in enumerate(recipients)]
    _refuse(protected, shared, own)
    text = str(value.get("protected", ""))
    if "aad" in value:
        decoded(value["aad"], "/aad", _FORM)
        text += f".{value['aad']}"
    # The draft repeats names in several headers; the protected one counts, it alone is authenticated.
    named = [protected.get("alg") or shared.get("alg") or header.get("alg") for header in own]
    wrapped = [
        decoded(one.get("encrypted_key"), f"/recipients/{index}/encrypted_key", _FORM)
        for index, one in enumerate(recipients)
    ]
    ciphertext = value.get("ciphertext")
    if not hasattr(ciphertext, "chunks"):
        ciphertext = decoded(ciphertext, "/ciphertext", _FORM)
    uuids = (header["uuid"] for header in (protected, shared, *own) if isinstance(header.get("uuid"), str))
    return _Sealed(
        uuid=next(uuids, None),
        enc=protected["enc"],
        aad=text.encode(),
        iv=decoded(value.get("iv"), "/iv", _FORM),
        tag=decoded(value.get("tag"), "/tag", _FORM),
        keys=tuple(zip((str(alg) for alg in named), wrapped, strict=True)),
        ciphertext=ciphertext,
    )


def _header(header: Any, at: str) -> Mapping[str, Any]:
    if header is None:
        return {}
    if not isinstance(header, dict):
        raise Rejected(Fault(_FORM, at, "it is not an object; write JWE General JSON"))
    return header


def _refuse(protected: Mapping[str, Any], shared: Mapping[str, Any], own: Sequence[Mapping[str, Any]]) -> None:
    faults = []
    every = (("/protected", protected), ("/unprotected", shared), *((f"/recipients/{i}", h) for i, h in enumerate(own)))
    for at, header in every:
        if "alg" in header and header["alg"] not in ALGORITHMS:
            message = f"this alg is not opened, with or without a key; encrypt with {' or '.join(ALGORITHMS)}"
            faults.append(Fault("alg_not_allowed", at, message))
        if "zip" in header:
            faults.append(Fault("alg_not_allowed", at, "compression inside is not opened; encrypt without zip"))
        if "crit" in header:
            message = "crit names header members that must be understood, and none is supported; encrypt without crit"
            faults.append(Fault("crit_not_supported", at, message))
    if protected.get("enc") not in tuple(CONTENT):  # a tuple takes unhashable values too
        message = f"enc is not protected, or not in use; encrypt with {' or '.join(CONTENT)}"
        faults.append(Fault("alg_not_allowed", "/protected", message))
    for index, header in enumerate(own):
        if not any("alg" in found for found in (protected, shared, header)):
            faults.append(Fault("alg_not_allowed", f"/recipients/{index}", "no header names its alg; add it"))
    if faults:
        raise Rejected(*faults)


def decrypt(
    value: Mapping[str, Any],
    keys: DecryptionKeys,
    *,
    max_bytes: int = MAX_PLAINTEXT,
    spool_dir: Path | None = None,
) -> bytes | IO[bytes] | None:
    """The signed form inside, unverified and through no gate: bytes up to :data:`IN_MEMORY`, else an open temporary
    file in ``spool_dir`` that is deleted when closed. None where no key of ours fits.

    Raises :class:`Rejected`: as :func:`check`; 422 ``bad_ciphertext`` where a key fits and the content was changed; 413
    ``too_large`` for a content of more than ``max_bytes``, before it is decrypted."""
    sealed = _parsed(value)
    size = len(sealed.ciphertext) if isinstance(sealed.ciphertext, bytes) else sealed.ciphertext.size
    if size > max_bytes:
        message = f"the content has more than {max_bytes} bytes; send the recording apart, by url"
        raise Rejected(Fault("too_large", "/ciphertext", message, 413))
    for alg, wrapped in sealed.keys:
        for key in keys.keys:
            content_key = _unwrapped(key, alg, wrapped)
            if content_key is not None and len(content_key) == CONTENT[sealed.enc]:
                return _opened(sealed, content_key, spool_dir)
    return None


def _unwrapped(key: RSAPrivateKey, alg: str, wrapped: bytes) -> bytes | None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    # RSA-OAEP is with SHA-1 (RFC 7518 section 4.3), which is no weakness in this place
    digest = hashes.SHA256() if alg == "RSA-OAEP-256" else hashes.SHA1()  # noqa: S303
    try:
        return key.decrypt(wrapped, padding.OAEP(padding.MGF1(digest), digest, None))
    except ValueError:
        return None


def _opened(sealed: _Sealed, key: bytes, spool_dir: Path | None) -> bytes | IO[bytes]:
    from cryptography.exceptions import InvalidTag

    spool = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY, dir=None if spool_dir is None else str(spool_dir))  # noqa: SIM115  # may be handed on
    try:
        for chunk in _gcm(sealed, key) if sealed.enc == "A256GCM" else _cbc(sealed, key):
            spool.write(chunk)
        size = spool.tell()
        spool.seek(0)
        if size > IN_MEMORY:
            return spool
        with spool:
            return spool.read()
    except (ValueError, InvalidTag):  # ValueError: lengths and padding
        spool.close()
        message = "a key of ours fits, but the content is damaged or was changed; have it sent again"
        raise Rejected(Fault("bad_ciphertext", "/ciphertext", message)) from None
    except BaseException:
        spool.close()
        raise


def _chunks(ciphertext: Any) -> Iterator[bytes]:
    if not isinstance(ciphertext, bytes):
        yield from ciphertext.chunks(_CHUNK)
        return
    view = memoryview(ciphertext)
    for start in range(0, len(view), _CHUNK):
        yield bytes(view[start : start + _CHUNK])


def _gcm(sealed: _Sealed, key: bytes) -> Iterator[bytes]:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    if len(sealed.iv) != 12 or len(sealed.tag) != 16:  # RFC 7518 section 5.3; a shorter tag would be easier to forge
        raise ValueError
    decryptor = Cipher(algorithms.AES(key), modes.GCM(sealed.iv, sealed.tag)).decryptor()
    decryptor.authenticate_additional_data(sealed.aad)
    for chunk in _chunks(sealed.ciphertext):
        yield decryptor.update(chunk)
    yield decryptor.finalize()


def _cbc(sealed: _Sealed, key: bytes) -> Iterator[bytes]:
    """AES_256_CBC_HMAC_SHA_512 (RFC 7518 section 5.2.5): the tag is checked before the caller has the last bytes."""
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
    from cryptography.hazmat.primitives.padding import PKCS7

    if len(sealed.tag) != 32:
        raise ValueError
    mac = hmac.new(key[:32], sealed.aad + sealed.iv, "sha512")
    decryptor = Cipher(algorithms.AES(key[32:]), modes.CBC(sealed.iv)).decryptor()
    unpadder = PKCS7(128).unpadder()
    for chunk in _chunks(sealed.ciphertext):
        mac.update(chunk)
        yield unpadder.update(decryptor.update(chunk))
    mac.update((8 * len(sealed.aad)).to_bytes(8))
    if not hmac.compare_digest(mac.digest()[:32], sealed.tag):
        raise ValueError
    yield unpadder.update(decryptor.finalize())
    yield unpadder.finalize()
