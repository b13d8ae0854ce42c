"""The processor ``verify``: what the signature of a vCon is worth, now.

Belongs here: the step of a pipeline: by which certificates, what happens to a vCon whose signature is not good, where
the result is kept. Not here: signatures (``vcon/signing.py``), certificates and chains (``vcon/trust.py``).

The result is in three places, because three ask for it: the ledger (an auditor), an attachment beside what was signed
(whoever reads the document, a projection, a search), and the parameter ``verify`` (the processors after this one). An
attachment and no member of its own, as everything that is added to a signed vCon stands beside what was signed.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from vcon_platform.errors import PlatformError
from vcon_platform.ledger.events import EventKind
from vcon_platform.processors.base import Effects, PermanentError, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.key_references import public_reference, trust_in
from vcon_platform.processors.originals import Judged, originals
from vcon_platform.processors.references import NotConfigured
from vcon_platform.vcon.dates import written
from vcon_platform.vcon.document import Vcon

PURPOSE = "signature_verification"
"""Of the attachment that says what was found."""


class BadSignature(PermanentError):
    """The vCon's signature is not valid."""


class VerifyOptions(ProcessorOptions):
    """What ``verify`` can be told."""

    allowed_ca_cert_pems: tuple[Annotated[str, AfterValidator(public_reference)], ...] = Field(
        default=(),
        max_length=100,
        title="Trusted certificates",
        description="Certificates by which the signature is judged: PEM texts, file:NAME or env:VCON_KEY_NAME. Empty: "
        "those of VCON_TRUST_DIR.",
    )
    if_not_valid: Literal["fail", "drop", "go_on"] = Field(
        default="fail",
        title="If it is not valid",
        description="fail: the job fails. drop: the conversation ends here, filtered. go_on: it goes on, and "
        "processors after this one ask the parameter verify.",
    )
    attach: bool = Field(
        default=True,
        title="Attach the result",
        description="Keeps the result in the vCon, as an attachment of the purpose signature_verification.",
    )


_WORDS = {
    "none": "it is not signed",
    "expired": "its signature is expired: a certificate of the signer is not valid now",
    "untrusted": "its signature is untrusted: no certificate of allowed_ca_cert_pems, else VCON_TRUST_DIR, vouches for "
    "the signer",
    "invalid": "its signature is invalid: this is not what was signed",
}


class Verify(Processor[VerifyOptions]):
    """A look at a signature."""

    name = "verify"
    version = "1.0.0"
    title = "Verify the signature"
    description = (
        "Judges the vCon's signature by trusted certificates: valid, expired, untrusted, invalid, or none. The result "
        "is in the ledger with the signer's fingerprint, in an attachment, and in the parameter verify."
    )
    effects = Effects(changes=True, may_drop=True)
    options = VerifyOptions

    def process(self, io: ProcessorIO, options: VerifyOptions) -> ProcessorIO:
        """Raises BadSignature where it is not valid and shall be, NotConfigured where there are no certificates to
        judge by, PermanentError for an encrypted vCon that cannot be opened."""
        found = self._judged(io, options)
        state = str(found.state)
        if state == "unverified":
            raise NotConfigured(
                "verify has no certificates to judge by: set VCON_TRUST_DIR to a folder of trusted roots, or name them "
                "in the option allowed_ca_cert_pems"
            )
        what = _WORDS.get(state, f"its signature is {state}")
        if state != "valid" and options.if_not_valid == "fail":
            raise _bad(f"vCon {io.vcon.uuid}: {what} (the option if_not_valid can let it go on or end its way)", state)
        io.record(EventKind.VERIFIED, signature=state, signer=found.signer)
        io.parameters[self.name] = {"signature": state, "signer": found.signer}
        if options.attach:
            _attach(io.vcon, found)
        if state != "valid" and options.if_not_valid == "drop":
            io.drop(what)
        return io

    def _judged(self, io: ProcessorIO, options: VerifyOptions) -> Judged:
        lent = originals(io)
        try:
            pems = options.allowed_ca_cert_pems
            trust = trust_in(pems, "verify", "allowed_ca_cert_pems") if pems else None
            return lent.judged(lent.raw(io.vcon), trust=trust)
        except PermanentError:
            raise
        except PlatformError as error:
            if error.transient:
                raise
            raise PermanentError(f"vCon {io.vcon.uuid} cannot be verified: {error}") from None


def _bad(message: str, state: str) -> BadSignature:
    error = BadSignature(message)
    error.code = f"signature_{state}"
    return error


def _attach(vcon: Vcon, found: Judged) -> None:
    """Beside what was signed; an earlier result that is not among it makes way."""
    attachment = {
        "purpose": PURPOSE,
        "start": written(datetime.now(UTC)),
        "mediatype": "application/json",
        "encoding": "json",
        "body": {"signature": str(found.state), "signer": found.signer},
    }
    signed = vcon.sealed.get("attachments", 0) if vcon.sealed is not None else 0
    before = [index for index, _ in vcon.attachments_for(PURPOSE) if index >= signed]
    if before:
        vcon.put("attachments", attachment, before[-1])
    else:
        vcon.append("attachments", attachment)
