"""A transparency service (SCRAPI, draft-ietf-scitt-scrapi): registering a statement, its receipt, its keys.

Belongs here: the calls, and what their answers mean. Not here: the bytes of statements and receipts
(``scitt_cose.py``), what is stated (``scitt.py``).

A statement that is registered already is no fault: its receipt is asked for. So a call whose answer was lost can be
made again. Only the address that the operator named is ever called, whatever an answer names.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.processors.base import OutcomeUnknown, PermanentError, TransientError
from vcon_platform.processors.outgoing import Address, Answer, below, refusal, send
from vcon_platform.processors.scitt_cose import ReceiptBroken, check_receipt
from vcon_platform.store.retry_after import seconds_in
from vcon_platform.vcon.media import BodyError, decode_base64url

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

SECONDS = 30.0
PATIENCE = 60.0
"""Seconds that a registration may take that the service does not finish at once."""
BETWEEN = 2.0
"""Seconds between two questions about it, unless the service says how many."""
_COSE = "application/cose"
_ID = re.compile(r"[A-Za-z0-9._~-]{1,200}")


@dataclass(frozen=True, slots=True)
class Registered:
    """What a service gave for a statement."""

    entry_id: str
    receipt: bytes


class Service:
    """One service. ``keys``: its public keys, where the operator has them; else it is asked for them."""

    def __init__(self, address: Address, keys: Sequence[PublicKeyTypes] = ()) -> None:
        self._address = address
        self._keys = list(keys)

    def register(self, statement: bytes, payload: bytes) -> Registered:
        """Have a statement registered, and give its receipt, which was verified. Raises TransientError and
        PermanentError; the latter also for a receipt that proves nothing."""
        digest = sha256(payload).digest()
        answer = self._ask("POST", "/entries", statement)
        if answer.status == 201 and answer.body:
            found = Registered(_entry_id(answer) or digest.hex(), answer.body)
        elif answer.status in (201, 202, 302, 303):
            entry = _entry_id(answer)
            if entry is None:
                raise PermanentError(f"{self._address.shown} took the statement and does not say under which id")
            found = Registered(entry, self._receipt(entry, pending=answer))
        elif answer.status in (400, 409) and (again := self._known(digest.hex())) is not None:
            found = again
        else:
            raise self._refused(answer)
        try:
            check_receipt(
                found.receipt, (digest, sha256(statement).digest(), statement), self._keys or self._asked_keys()
            )
        except ReceiptBroken as error:
            raise PermanentError(
                f"the receipt of {self._address.shown} proves nothing: {error}; check the options scrapi_url and "
                "service_keys"
            ) from None
        return found

    def _known(self, entry: str) -> Registered | None:
        """The receipt of a statement that the service may have already."""
        answer = self._ask("GET", f"/entries/{entry}")
        return Registered(entry, answer.body) if answer.status == 200 and answer.body else None

    def _receipt(self, entry: str, pending: Answer) -> bytes:
        """The receipt of a statement that is still being registered."""
        end, answer = monotonic() + PATIENCE, pending
        while answer.status in (201, 202, 302, 303):
            pause = seconds_in(answer.headers) or BETWEEN
            if monotonic() + pause > end:
                raise TransientError(f"{self._address.shown} is not done with the statement; it is asked again later")
            sleep(pause)
            answer = self._ask("GET", f"/entries/{entry}")
        if answer.status != 200 or not answer.body:
            raise self._refused(answer)
        return answer.body

    def _asked_keys(self) -> list[PublicKeyTypes]:
        """The keys that the service names itself, as JSON Web Keys."""
        answer = self._ask("GET", "/jwks")
        if not answer.fine:
            raise self._refused(answer)
        try:
            told = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            told = None
        listed = told.get("keys") if isinstance(told, dict) else None
        found = [key for each in listed if (key := _key(each)) is not None] if isinstance(listed, list) else []
        if not found:
            raise PermanentError(
                f"{self._address.shown} names no keys by which its receipts could be verified; name them by the option "
                "service_keys"
            )
        return found

    def _ask(self, method: str, path: str, content: bytes = b"") -> Answer:
        headers = {"Accept": _COSE, **({"Content-Type": _COSE} if content else {})}
        try:
            return send(below(self._address, path), method=method, headers=headers, content=content, seconds=SECONDS)
        except OutcomeUnknown as error:  # asked again, it says that it has the statement
            raise TransientError(str(error)) from None

    def _refused(self, answer: Answer) -> TransientError | PermanentError:
        return refusal(self._address, answer, "the statement")


def _entry_id(answer: Answer) -> str | None:
    entry = answer.headers.get("location", "").partition("?")[0].rstrip("/").rpartition("/")[2]
    return entry if _ID.fullmatch(entry) and entry.strip(".") else None


def _key(value: Any) -> PublicKeyTypes | None:
    """A JSON Web Key of a kind that receipts are signed with; None for any other."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    if not isinstance(value, dict):
        return None
    curve = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1}.get(str(value.get("crv")))
    try:
        x = decode_base64url(str(value.get("x")))
        if value.get("kty") == "EC" and curve is not None:
            y = decode_base64url(str(value.get("y")))
            return ec.EllipticCurvePublicNumbers(
                int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve()
            ).public_key()
        if value.get("kty") == "OKP" and value.get("crv") == "Ed25519":
            return ed25519.Ed25519PublicKey.from_public_bytes(x)
    except (BodyError, ValueError):
        pass
    return None
