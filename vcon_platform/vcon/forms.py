"""Which of the three forms a value is (vcon_format.md section 4).

Belongs here: telling them apart, and refusing what is more than one or only looks like one. Not here: what signatures
are worth (``signing.py``), the content of the unsigned form (``gates.py``, ``migrate.py``).

A form is told by two members together: ``payload`` alone is also written by things that are no vCons. Members of a
vCon beside a payload are refused rather than ignored, because readers differ on which of the two they believe.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from vcon_platform.vcon.faults import Fault, Rejected

_ARRAYS = frozenset(("parties", "dialog", "analysis", "attachments"))
_CLEAR = _ARRAYS | {
    *("uuid", "vcon", "created_at", "updated_at", "subject", "group", "redacted", "amended", "appended"),
    *("extensions", "critical", "must_support"),
}
_SEALED = frozenset(("payload", "signatures", "ciphertext", "recipients"))


class Form(StrEnum):
    """How a document came."""

    UNSIGNED = "unsigned"
    SIGNED = "signed"
    ENCRYPTED = "encrypted"


def form_of(value: Any) -> Form:
    """The form of a JSON value. Raises :class:`Rejected` (422) for what is no object, or more than one form."""
    if not isinstance(value, dict):
        raise Rejected(Fault("not_an_object", "", "a vCon is a JSON object; send one document"))
    if _SEALED.isdisjoint(value):
        return Form.UNSIGNED
    signed = "payload" in value and "signatures" in value
    encrypted = "ciphertext" in value and "recipients" in value
    if signed or encrypted:
        _check_unambiguous(value, signed=signed, encrypted=encrypted)
        for member, code in (("signatures", "no_signatures"), ("recipients", "no_recipients")):
            entries = value.get(member, [{}])
            if not isinstance(entries, list) or not entries:
                raise Rejected(Fault(code, f"/{member}", "it must be an array with at least one entry"))
        return Form.SIGNED if signed else Form.ENCRYPTED
    if _ARRAYS.isdisjoint(value):
        if "payload" in value:
            message = "a payload without signatures is not a signed vCon; send the JWS General JSON form"
            raise Rejected(Fault("no_signatures", "/signatures", message))
        if "ciphertext" in value:
            message = "a ciphertext without recipients is not an encrypted vCon; send the JWE General JSON form"
            raise Rejected(Fault("no_recipients", "/recipients", message))
    return Form.UNSIGNED


def _check_unambiguous(value: Mapping[str, Any], *, signed: bool, encrypted: bool) -> None:
    if signed and encrypted:
        message = "it is signed and encrypted at one level; encrypt the signed form instead"
        raise Rejected(Fault("ambiguous_form", "", message))
    if clear := sorted(_CLEAR & value.keys()):
        what = "payload" if signed else "ciphertext"
        message = f"it stands in the clear beside the {what}, where nothing vouches for it; leave it out"
        raise Rejected(*(Fault("ambiguous_form", f"/{member}", message) for member in clear))
