"""The processor ``scitt``: states in a transparency log that a vCon of this fingerprint was there, and keeps the proof.

Belongs here: the options, what is stated about whom, the analysis with the receipts. Not here: bytes
(``scitt_cose.py``), the service (``scitt_service.py``), the fingerprint (``fingerprint.py``).

A log forgets nothing, so nothing in it names a person: the subject is the vCon's uuid, or, for a statement per party, a
pseudonym, the HMAC of the party's number or address under a key of the operator's. Who has the key can find a party's
statements; once the key is destroyed nobody can. A registration is bought like a transcript: a retry takes the receipt
that is kept and registers nothing again.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, Field

from vcon_platform.processors.base import (
    Effects,
    NotApplicable,
    Processor,
    ProcessorIO,
    ProcessorOptions,
    Usage,
)
from vcon_platform.processors.fingerprint import RECEIPT, fingerprint
from vcon_platform.processors.key_references import key_reference, private_key, public_reference, recipient_keys
from vcon_platform.processors.outgoing import Address, address_of
from vcon_platform.processors.references import NotConfigured, needed, reference
from vcon_platform.processors.scitt_cose import CLAIMS, CONTENT_TYPE, ISSUER, KID, SUBJECT, KeyUnfit, sign
from vcon_platform.processors.scitt_service import Service
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.parties import identities
from vcon_platform.vcon.signing import SigningError
from vcon_platform.vcon.trust import TrustError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

VENDOR = "scitt"
_LEAST_SECRET = 16
_checked_reference = reference("SCITT_")


class ScittOptions(ProcessorOptions):
    """What ``scitt`` must be told."""

    scrapi_url: Annotated[str, AfterValidator(_checked_reference)] = Field(
        default="env:SCITT_URL",
        title="Service",
        description="The variable that holds the address of the transparency service (SCRAPI).",
    )
    signing_key: Annotated[str, AfterValidator(key_reference)] = Field(
        default="",
        title="Signing key",
        description="The private key (P-256, P-384 or Ed25519, PEM) by reference: file:NAME in the folder of "
        "VCON_KEYS_DIR, or env:VCON_KEY_NAME. Required.",
        json_schema_extra={"secret": True},
    )
    signing_key_password: Annotated[str, AfterValidator(reference("VCON_KEY_", "SCITT_"))] = Field(
        default="",
        title="Password of the key",
        description="The variable that holds it, where the key has one.",
        json_schema_extra={"secret": True},
    )
    issuer: str = Field(
        default="vcon-platform", min_length=1, max_length=500, title="Issuer", description="Who states it, e.g. a URL."
    )
    key_id: str = Field(
        default="key-1",
        min_length=1,
        max_length=200,
        title="Key's id",
        description="By which the service finds the key that the statement was signed with.",
    )
    vcon_operation: str = Field(
        default="vcon_created",
        pattern=r"^[A-Za-z0-9_.-]{1,100}$",
        title="Operation",
        description="What is stated to have happened to the vCon, e.g. vcon_created, vcon_enhanced.",
    )
    subjects: Literal["vcon", "parties"] = Field(
        default="vcon",
        title="Subjects",
        description="vcon: one statement, about vcon://uuid. parties: one per party that has a number or an address, "
        "under its pseudonym; where no party has, one about the vCon.",
    )
    pseudonym_key: Annotated[str, AfterValidator(_checked_reference)] = Field(
        default="",
        title="Key of the pseudonyms",
        description="The variable that holds the secret, of 16 characters or more, that pseudonyms are made with; "
        "needed for subjects: parties.",
        json_schema_extra={"secret": True},
    )
    claims_label: Literal[15, 13] = Field(
        default=15,
        title="Label of the claims",
        description="Under which header parameter issuer and subject stand: 15 (RFC 9597), or 13 for services that "
        "read drafts before it.",
    )
    service_keys: tuple[Annotated[str, AfterValidator(public_reference)], ...] = Field(
        default=(),
        max_length=20,
        title="Service's keys",
        description="Certificates or public keys of the service (PEM, file:NAME or env:VCON_KEY_NAME), with which its "
        "receipts are verified. Empty: those that it names itself, which proves less.",
    )
    store_receipt: bool = Field(
        default=True,
        title="Keep the receipts",
        description="Writes the verified receipts into the vCon as an analysis of type scitt_receipt.",
    )


class Scitt(Processor[ScittOptions]):
    """A statement in a transparency log."""

    name = "scitt"
    version = "1.0.0"
    title = "State in a transparency log"
    description = (
        "Registers a signed statement of the vCon's fingerprint and what was done to it with a SCITT transparency "
        "service, verifies the receipt, and keeps it in the vCon. Names no person."
    )
    effects = Effects(costs=True, network=True, changes=True)
    options = ScittOptions
    pool = "scitt"

    def process(self, io: ProcessorIO, options: ScittOptions) -> ProcessorIO:
        """Raises NotApplicable where the vCon holds the receipts already, NotConfigured where a key or an address is
        missing, what the service raises."""
        address = address_of(options.scrapi_url, "The transparency service", "scrapi_url")
        key = _signing_key(options)
        trusted = _service_keys(options)
        found = fingerprint(io.vcon.data)
        service = Service(address, trusted)
        open_ = [each for each in _subjects(io.vcon, options) if not _has(io.vcon, options, found, each)]
        if not open_:
            raise NotApplicable("it holds the receipts of this statement already")
        receipts = [self._registered(io, options, address, service, key, found, subject) for subject in open_]
        if options.store_receipt:
            entry: dict[str, Any] = {"type": RECEIPT, "vendor": VENDOR, "schema": "scitt-receipt", "encoding": "json"}
            if io.vcon.dialog:
                entry["dialog"] = list(range(len(io.vcon.dialog))) if len(io.vcon.dialog) > 1 else 0
            io.vcon.append("analysis", {**entry, "body": receipts if len(receipts) > 1 else receipts[0]})
        return io

    def _registered(
        self,
        io: ProcessorIO,
        options: ScittOptions,
        address: Address,
        service: Service,
        key: PrivateKeyTypes,
        found: str,
        subject: str,
    ) -> dict[str, Any]:
        payload = orjson.dumps(
            {"operation": options.vcon_operation, "subject": subject, "vcon_hash": f"sha256:{found}"}
        )
        claims = {ISSUER: options.issuer, SUBJECT: subject}
        label = CLAIMS if options.claims_label == CLAIMS else options.claims_label
        head = {CONTENT_TYPE: "application/json", KID: options.key_id.encode(), label: claims}
        try:
            statement = sign(key, head, payload)
        except KeyUnfit as error:
            raise NotConfigured(f"/signing_key: {error}") from None

        def call() -> tuple[Any, Usage]:
            registered = service.register(statement, payload)
            kept = {"entry_id": registered.entry_id, "receipt": base64.b64encode(registered.receipt).decode()}
            return kept, Usage("scitt")

        kept = io.buy(self, (f"{address.shown}{address.path}", hashlib.sha256(statement).hexdigest()), call)
        return {
            "entry_id": kept["entry_id"],
            "cose_receipt": kept["receipt"],
            "statement": base64.b64encode(statement).decode(),
            "vcon_operation": options.vcon_operation,
            "subject": subject,
            "vcon_hash": found,
            "scrapi_url": address.shown,
        }


def _signing_key(options: ScittOptions) -> PrivateKeyTypes:
    try:
        return private_key(options.signing_key, options.signing_key_password, "A statement", "signing_key")
    except SigningError as error:
        raise NotConfigured(f"/signing_key: {error}") from None


def _service_keys(options: ScittOptions) -> list[Any]:
    try:
        return list(recipient_keys(options.service_keys, "The transparency service", "service_keys"))
    except TrustError as error:
        raise NotConfigured(f"/service_keys: {error}") from None


def _subjects(vcon: Vcon, options: ScittOptions) -> list[str]:
    """Whom statements are about, each once."""
    if options.subjects == "parties":
        secret = needed(options.pseudonym_key, "Pseudonyms", "pseudonym_key").encode()
        if len(secret) < _LEAST_SECRET:
            raise NotConfigured(
                f"the environment variable {options.pseudonym_key.removeprefix('env:')} (option pseudonym_key) holds "
                f"fewer than {_LEAST_SECRET} characters: pseudonyms made with it could be guessed"
            )
        found = [
            f"urn:vcon:party:{hmac.new(secret, named.encode(), hashlib.sha256).hexdigest()}" for named in _named(vcon)
        ]
        if found:
            return list(dict.fromkeys(found))
    return [f"vcon://{vcon.uuid}"]


def _named(vcon: Vcon) -> Iterator[str]:
    """What each party is known by, in one form for one number however it is written."""
    for party in vcon.parties:
        if not isinstance(party, dict):
            continue
        known = identities(party)
        for kind, values in (("tel", (*known.tel, *known.extension)), ("mailto", known.mailto), ("sip", known.sip)):
            if values:
                yield f"{kind}:{values[0]}"
                break


def _has(vcon: Vcon, options: ScittOptions, found: str, subject: str) -> bool:
    """Whether the vCon holds the receipt of this very statement."""
    wanted = (options.vcon_operation, subject, found)
    for entry in vcon.analysis:
        if not isinstance(entry, dict) or entry.get("type") != RECEIPT:
            continue
        body = entry.get("body")
        for each in body if isinstance(body, list) else [body]:
            if (
                isinstance(each, dict)
                and (each.get("vcon_operation"), each.get("subject"), each.get("vcon_hash")) == wanted
            ):
                return True
    return False
