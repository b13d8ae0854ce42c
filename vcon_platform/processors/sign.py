"""The processor ``sign``: from here on the vCon is a signed one, and what is in it now stays as it is.

Belongs here: the step of a pipeline. Not here: the signed form (``vcon/signing.py``), where keys come from
(``key_references.py``), how the signed form becomes the next revision (``Vcon.reform``, ``pipelines/settling.py``).

What is signed is the whole document with every recording in it, as a reader elsewhere needs it. What later processors
add stands beside what was signed and is not vouched for; what they would replace of it is refused (``Sealed``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import orjson
from pydantic import AfterValidator, BeforeValidator, Field

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import Effects, PermanentError, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.key_references import certificates, key_reference, private_key, public_reference
from vcon_platform.processors.originals import WrongForm, originals
from vcon_platform.processors.references import reference
from vcon_platform.vcon.dates import written
from vcon_platform.vcon.document import ARRAYS

KeyReference = Annotated[str, BeforeValidator(lambda value: value or ""), AfterValidator(key_reference)]


class SignOptions(ProcessorOptions):
    """What ``sign`` can be told."""

    private_pem_key: KeyReference = Field(
        default="",
        title="Private key",
        description="The signer's private key: file:NAME, a PEM file in the folder of VCON_KEYS_DIR, or "
        "env:VCON_KEY_NAME, a variable that holds PEM. RSA, P-256 or Ed25519.",
        json_schema_extra={"secret": True},
    )
    private_pem_key_password: Annotated[str, AfterValidator(reference("VCON_KEY_"))] = Field(
        default="",
        title="Password of the key",
        description="env:VCON_KEY_NAME, where the key is encrypted with a password.",
        json_schema_extra={"secret": True},
    )
    cert_chain_pems: tuple[Annotated[str, AfterValidator(public_reference)], ...] = Field(
        default=(),
        max_length=5,
        title="Certificates",
        description="The signer's certificate first, each issued by the next: PEM texts, file:NAME or "
        "env:VCON_KEY_NAME; one entry may hold several.",
    )
    alg: Literal["", "RS256", "PS256", "ES256", "EdDSA"] = Field(
        default="", title="Algorithm", description="Empty: RS256 for an RSA key, else what the key is for."
    )
    for_py_vcon: bool = Field(
        default=False,
        title="For py_vcon",
        description="Repeats the algorithm in the unprotected header: py_vcon 0.6.0 cannot read signatures without it, "
        "and strict readers refuse those with it.",
    )


class Sign(Processor[SignOptions]):
    """A signature around the document."""

    name = "sign"
    version = "1.0.0"
    title = "Sign"
    description = (
        "Signs the vCon with all its recordings (JWS, draft-ietf-vcon-vcon-core section 5.1). The signed form is its "
        "next revision; what is in it cannot be replaced any more."
    )
    effects = Effects(changes=True)
    options = SignOptions

    def process(self, io: ProcessorIO, options: SignOptions) -> ProcessorIO:
        """Raises PermanentError: for a vCon that is signed or encrypted already, a key or certificate that does not fit
        (NotConfigured where there is none), a document too large to be signed."""
        from vcon_platform.vcon.signing import sign

        vcon, lent = io.vcon, originals(io)
        if (form := lent.form(vcon)) != "unsigned":
            raise WrongForm(
                f"vCon {vcon.uuid} is {form} already; make an amended copy (create_amended) and sign that by "
                "input_vcon_index"
            )
        data = {**vcon.data, "updated_at": written(datetime.now(UTC))}  # of the last signing, says the draft
        try:
            key = private_key(options.private_pem_key, options.private_pem_key_password, "sign", "private_pem_key")
            chain = certificates(options.cert_chain_pems, "sign", "cert_chain_pems")
            payload = lent.whole(data)
            value = sign(payload, vcon.uuid, key, chain, alg=options.alg or None, repeat_alg=options.for_py_vcon)
            raw = orjson.dumps(value)
            taken = lent.taken(raw)
        except PermanentError:
            raise
        except PlatformError as error:
            if error.transient:
                raise
            raise PermanentError(f"vCon {vcon.uuid} cannot be signed: {error}") from None
        vcon.reform(raw, data, taken.meta, sealed={array: len(data.get(array) or ()) for array in ARRAYS})
        return io
