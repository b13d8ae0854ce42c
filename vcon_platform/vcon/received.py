"""A document as it is taken in: which form it came in, whether it may stay, and the view the platform works on.

Belongs here: the order of the gates over all three forms, and what policy makes of the result. Not here: bytes
(``opened.py``), each rule (``forms.py``, ``gates.py``, ``migrate*.py``, ``signing.py``, ``encryption.py``), keeping
anything (``store/``, ``ingress/``).

A signed document is looked into whatever its signature is worth: the payload goes through every gate, and its uuid must
be the one that the headers name. What the signature is worth is then told with it, or refuses it where nothing good
can be said (a signature that is not one of these bytes) or the source asks for a valid one. An encrypted one is opened
where a key of ours fits, and else kept unread under the uuid it names.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, BinaryIO, Self, cast

from vcon_platform.vcon import nul
from vcon_platform.vcon.bodies import Hoisted
from vcon_platform.vcon.faults import Fault, Finding, Rejected
from vcon_platform.vcon.forms import Form, form_of
from vcon_platform.vcon.gates import canonical_uuid
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.migrate import migrate
from vcon_platform.vcon.notes import Notes
from vcon_platform.vcon.policy import Policy

if TYPE_CHECKING:
    from vcon_platform.vcon.opened import Opened
    from vcon_platform.vcon.signing import SignatureState

__all__ = ["Form", "Policy", "Received", "receive"]

_HOIST_OVER = 256 << 10
"""Decoded bytes of a body inside a payload that is moved aside, unless ``Policy.open`` says otherwise."""


@dataclass(slots=True)
class Received:
    """A document that passed the gates.

    ``data``: the 0.4.0 view, or only the uuid where it could not be read (``opaque``); a long body in it is a
    :class:`Hoisted`. ``source_version``: empty where unknown. ``parked``: critical extensions that are not supported,
    for which it must not be processed. ``derived``: members of the view that the document did not have. ``signer``:
    fingerprint of the leaf certificate of a valid signature. ``nested``: the payloads that were opened, whose bodies
    can be read until :meth:`close`.
    """

    uuid: str
    form: Form
    data: dict[str, Any]
    findings: list[Finding]
    source_version: str = ""
    parked: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()
    signature: SignatureState | None = None
    signer: str | None = None
    opaque: bool = False
    nested: list[Opened] = field(default_factory=list)

    def close(self) -> None:
        """Delete what was spooled of the payloads."""
        for opened in self.nested:
            opened.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def receive(value: Any, policy: Policy, *, skeleton: bytes | None = None) -> Received:
    """Gates 2 and 3 and the migration of a parsed document in any form; ``value`` is changed in place.

    ``skeleton``: the bytes it was parsed from (:class:`Opened`), if at hand: it saves looking for U+0000 in the value.

    Raises :class:`Rejected` with every fault that was found: 401 for signatures, 413 for too many elements, 422 else;
    and in strict mode for every strict finding."""
    nested: list[Opened] = []
    try:
        received = _receive(value, policy, nested, skeleton)
        received.findings += [finding for opened in nested for finding in opened.findings]
        if policy.strict:
            _refuse_findings(received.findings)
    except BaseException:
        for opened in nested:
            opened.close()
        raise
    return received


def _receive(value: Any, policy: Policy, nested: list[Opened], skeleton: bytes | None) -> Received:
    form = form_of(value)
    if form is Form.UNSIGNED:
        return _unsigned(value, policy, skeleton)
    return (_signed if form is Form.SIGNED else _encrypted)(value, policy, nested)


def _refuse_findings(findings: Iterable[Finding]) -> None:
    faults = [Fault(finding.code, finding.pointer, finding.message) for finding in findings if finding.strict]
    if faults:
        raise Rejected(*faults)


def _unsigned(data: dict[str, Any], policy: Policy, skeleton: bytes | None) -> Received:
    notes = Notes(policy)
    # JSON has no other way to write it, and most documents have no backslash at all, which is seen sooner.
    if (skeleton is None or (b"\\" in skeleton and b"\\u0000" in skeleton)) and nul.clean(data):
        notes.finding(
            "nul_stripped", "", "U+0000 was taken out of strings and names; the original has it", strict=False
        )
    for member in ("payload", "ciphertext"):  # unknown members of this form, whatever they are elsewhere
        if member in data and isinstance(data[member], Hoisted):
            data[member] = data[member].text()
    found = migrate(data, notes)
    parked = tuple(name for name in found.critical if name not in policy.critical)
    if parked:
        message = "it names extensions that are not supported; the document is kept and not processed"
        notes.finding("unsupported_critical", "/critical", message)
    notes.settle()
    return Received(notes.uuid, Form.UNSIGNED, data, notes.findings, found.version, parked, found.derived)


# --- signed ----------------------------------------------------------------------------------------------------


def _signed(value: dict[str, Any], policy: Policy, nested: list[Opened]) -> Received:
    from vcon_platform.vcon.signing import SignatureState, verify_nested

    unwrap = partial(_unwrap, policy=policy, nested=nested)
    verified, inner = verify_nested(value, policy.trust, policy.received_at, unwrap)
    form = form_of(inner)
    if form is not Form.UNSIGNED:
        message = "it holds no unsigned vCon; sign first, then encrypt"
        raise Rejected(Fault("ambiguous_form", "/payload", message))
    received = _unsigned(inner, policy, nested[-1].skeleton)
    _check_hints(verified.header_uuids, received.uuid, "/signatures")
    received.form = Form.SIGNED
    received.signature, received.signer = verified.state, verified.signer
    received.nested = nested
    if verified.state is SignatureState.INVALID:
        raise Rejected(Fault("bad_signature", "/signatures", "none of them is a signature of this payload", 401))
    if verified.state is not SignatureState.VALID:
        if policy.require_signature:
            message = f"this source takes only valid signatures, and this one is {verified.state.value}"
            raise Rejected(Fault(f"signature_{verified.state.value}", "/signatures", message, 401))
        message = f"the signature is {verified.state.value}"
        received.findings.append(Finding(f"signature_{verified.state.value}", "/signatures", message, strict=False))
    return received


def _unwrap(payload: bytes | BinaryIO | Hoisted, *, policy: Policy, nested: list[Opened]) -> Any:
    source = io.BufferedReader(_Chunks(payload.chunks())) if isinstance(payload, Hoisted) else payload
    opened = (policy.open or partial(_open, limits=policy.limits))(source)
    nested.append(opened)
    return opened.value


def _open(source: bytes | BinaryIO, limits: Limits) -> Opened:
    from vcon_platform.vcon.opened import open_document

    return open_document(source, media_type=None, limits=limits, hoist_over=_HOIST_OVER)


class _Chunks(io.RawIOBase):
    """Pieces of bytes as a stream."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._rest = chunks, memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            piece = next(self._chunks, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(buffer), len(self._rest))
        buffer[:size], self._rest = self._rest[:size], self._rest[size:]
        return size


def _check_hints(hints: Iterable[str], uuid: str, place: str) -> None:
    for hint in hints:
        if canonical_uuid(hint) != uuid:
            message = "a header names another uuid than the vCon inside has; sign it with its own"
            raise Rejected(Fault("uuid_mismatch", place, message))


# --- encrypted -------------------------------------------------------------------------------------------------


def _encrypted(value: dict[str, Any], policy: Policy, nested: list[Opened]) -> Received:
    from vcon_platform.vcon.encryption import check, decrypt

    hint = check(value)
    plain = decrypt(value, policy.keys) if policy.keys is not None else None
    if plain is None:
        return _opaque(hint, policy)
    try:
        inner = _unwrap(cast("bytes | BinaryIO", plain), policy=policy, nested=nested)
    finally:
        if not isinstance(plain, bytes):
            plain.close()
    form = form_of(inner)
    if form is Form.ENCRYPTED:
        raise Rejected(Fault("too_deep", "/ciphertext", "it is encrypted twice; encrypt the signed form once"))
    received = _receive(inner, policy, nested, nested[-1].skeleton)
    if hint is not None:
        _check_hints([hint], received.uuid, "/unprotected/uuid")
    if form is Form.UNSIGNED:
        if policy.require_signature:
            message = "this source takes only valid signatures, and what was encrypted is not signed"
            raise Rejected(Fault("signature_none", "/ciphertext", message, 401))
        message = "what was encrypted is not signed; sign first, then encrypt"
        received.findings.append(Finding("encrypted_unsigned", "/ciphertext", message))
    received.form, received.nested = Form.ENCRYPTED, nested
    return received


def _opaque(hint: str | None, policy: Policy) -> Received:
    """A document that cannot be read: kept under the uuid that its headers name."""
    if policy.require_signature:
        message = "this source takes only valid signatures, and this document cannot be opened; register the key for it"
        raise Rejected(Fault("opaque", "/ciphertext", message, 401))
    if hint is None:
        message = "an encrypted vCon needs one in its header, unless a key of ours opens it; none is ever invented"
        raise Rejected(Fault("uuid_required", "/unprotected/uuid", message))
    uuid = canonical_uuid(hint)
    if uuid is None:
        raise Rejected(Fault("bad_uuid", "/unprotected/uuid", "it is not a UUID (RFC 9562), or the nil or max one"))
    message = "no key of ours opens it; it is kept unread"
    return Received(uuid, Form.ENCRYPTED, {"uuid": uuid}, [Finding("opaque", "", message, strict=False)], opaque=True)
