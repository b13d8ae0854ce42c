"""What the signatures around a document are worth, told of its bytes alone: nothing is taken in.

Belongs here: the way through encryption and signatures around signatures to one judgement with its reason. Not here:
what a signature is worth (``vcon/signing.py``), what the gates say of the vCon inside (``looking.py``).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from vcon_platform.ingress.looking import NotReady, opened_whole
from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.forms import Form, form_of
from vcon_platform.vcon.gates import canonical_uuid
from vcon_platform.vcon.signing import SignatureState, verify_nested

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

    from vcon_platform.settings import Settings
    from vcon_platform.vcon.bodies import Hoisted
    from vcon_platform.vcon.encryption import DecryptionKeys
    from vcon_platform.vcon.trust import Trust

_WHY = {
    SignatureState.NONE: "the document is not signed",
    SignatureState.UNVERIFIED: "there are no trusted certificates to judge it by; see VCON_TRUST_DIR",
    SignatureState.VALID: "the signature is this payload's, and its chain ends at a trusted certificate",
    SignatureState.EXPIRED: "the signature is this payload's, but a certificate of its chain is not valid at this time",
    SignatureState.UNTRUSTED: "no trusted certificate vouches for the signer",
    SignatureState.INVALID: "no signature in it is one of this payload: it was changed, or signed with another key",
}


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a document's signatures are worth ``at`` this time.

    ``signer``: the fingerprint of the key of a valid signature. ``names``: the subjects of the signers' certificates,
    outermost first, as these say themselves: only of a valid signature anybody vouches for them. ``good_from``,
    ``good_until``: when the chain of a valid signature holds. ``layers``: signatures around each other."""

    form: Form
    uuid: str | None
    state: SignatureState
    why: str
    at: datetime
    signer: str | None = None
    names: tuple[str, ...] = ()
    good_from: datetime | None = None
    good_until: datetime | None = None
    layers: int = 0

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "uuid": self.uuid,
            "form": str(self.form),
            "state": str(self.state),
            "why": self.why,
            "at": self.at.isoformat(timespec="seconds"),
            "signer": self.signer,
            "names": list(self.names),
            "good_from": self.good_from.isoformat() if self.good_from else None,
            "good_until": self.good_until.isoformat() if self.good_until else None,
            "layers": self.layers,
        }


def judge(
    content: bytes, settings: Settings, *, trust: Trust | None, keys: DecryptionKeys | None, now: datetime
) -> Judgement:
    """Judge these bytes by ``trust``; an encrypted document is opened with ``keys``. Raises :class:`NotReady` where
    none fits, and :class:`Rejected` for what is no vCon in one of its forms, or names two uuids."""
    with opened_whole(content, settings) as opened:
        value = opened.value
        form = form_of(value)
    hints: list[str] = []
    if form is Form.ENCRYPTED:
        value, hint = _decrypted(value, settings, keys)
        hints += [hint] if hint else []
    if form_of(value) is not Form.SIGNED:
        uuid = canonical_uuid(value.get("uuid"))
        return Judgement(form, uuid, SignatureState.NONE, _WHY[SignatureState.NONE], now)
    layers = [value]

    def unwrap(payload: bytes | Hoisted) -> Any:
        data = payload if isinstance(payload, bytes) else b"".join(payload.chunks())
        with opened_whole(data, settings) as inner:
            layers.append(inner.value)
            return inner.value

    verified, inner = verify_nested(value, trust, now, unwrap)
    uuid = canonical_uuid(inner.get("uuid")) if isinstance(inner, dict) else None
    for hint in (*hints, *verified.header_uuids):
        if canonical_uuid(hint) != uuid:
            message = "a header names another uuid than the vCon inside has; sign it with its own"
            raise Rejected(Fault("uuid_mismatch", "/signatures", message))
    signers = [each for layer in layers for each in _leaves(layer)]
    return Judgement(
        form,
        uuid,
        verified.state,
        _WHY[verified.state],
        now,
        signer=verified.signer,
        names=tuple(dict.fromkeys(_name(each) for each in signers)),
        good_from=verified.span.start if verified.span else None,
        good_until=verified.span.end if verified.span else None,
        layers=len(layers) - 1,
    )


def _decrypted(value: Any, settings: Settings, keys: DecryptionKeys | None) -> tuple[Any, str | None]:
    from vcon_platform.vcon.encryption import check

    hint = check(value)
    with opened_whole(opened_with(value, keys), settings) as opened:
        return opened.value, hint


def opened_with(value: Any, keys: DecryptionKeys | None) -> bytes:
    """What is in an encrypted document, opened with one of ``keys``. Raises :class:`NotReady` where none fits, and
    :class:`Rejected`."""
    from vcon_platform.vcon.encryption import decrypt

    plain = decrypt(value, keys) if keys is not None else None
    if plain is None:
        raise NotReady(
            "the document is encrypted and no key here opens it: name the private key of one it was encrypted to, or "
            "put it into the folder of VCON_DECRYPTION_KEYS_DIR"
        )
    if isinstance(plain, bytes):
        return plain
    with plain:
        return plain.read()


def _leaves(layer: Any) -> list[Certificate]:
    """The signers' own certificates of one layer, as far as they can be read."""
    from cryptography import x509

    found = []
    for entry in layer.get("signatures") or () if isinstance(layer, dict) else ():
        chain = (entry.get("header") or {}).get("x5c") or [""]
        try:
            found.append(x509.load_der_x509_certificate(base64.b64decode(chain[0])))
        except (ValueError, TypeError, binascii.Error):
            continue
    return found


def _name(certificate: Certificate) -> str:
    try:
        return certificate.subject.rfc4514_string()
    except ValueError:  # a stranger's certificate: names are read late
        return "?"
