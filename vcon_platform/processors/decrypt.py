"""The processor ``decrypt``: from here on the vCon is in the form that was encrypted, which is a signed one.

Belongs here: the step of a pipeline. Not here: the encrypted form (``vcon/encryption.py``), the gates that what comes
out passes like anything from outside (``vcon/received.py``), keys (``key_references.py``).

What was added to the vCon while it was encrypted stays beside what comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import (
    Effects,
    NotApplicable,
    PermanentError,
    Processor,
    ProcessorIO,
    ProcessorOptions,
)
from vcon_platform.processors.encrypt import PublicReference
from vcon_platform.processors.key_references import private_key
from vcon_platform.processors.originals import originals
from vcon_platform.processors.references import reference
from vcon_platform.processors.sign import KeyReference
from vcon_platform.vcon.merge import carried_over

if TYPE_CHECKING:
    from vcon_platform.vcon.encryption import DecryptionKeys


class DecryptOptions(ProcessorOptions):
    """What ``decrypt`` must be told: with which key."""

    private_pem_key: KeyReference = Field(
        default="",
        title="Private key",
        description="The reader's private key (RSA): file:NAME, a PEM file in the folder of VCON_KEYS_DIR, or "
        "env:VCON_KEY_NAME. Empty: the keys of VCON_DECRYPTION_KEYS_DIR.",
        json_schema_extra={"secret": True},
    )
    private_pem_key_password: Annotated[str, AfterValidator(reference("VCON_KEY_"))] = Field(
        default="",
        title="Password of the key",
        description="env:VCON_KEY_NAME, where the key is encrypted with a password.",
        json_schema_extra={"secret": True},
    )
    public_pem_key: PublicReference = Field(
        default="",
        title="Public key",
        description="Has no effect: the private key has all that is needed. py_vcon_server asks for it.",
    )


class Decrypt(Processor[DecryptOptions]):
    """The lock taken off."""

    name = "decrypt"
    version = "1.0.0"
    title = "Decrypt"
    description = (
        "Opens an encrypted vCon. The signed form that comes out is its next revision, readable by everyone who may "
        "read vCons here; verify says what its signature is worth."
    )
    effects = Effects(changes=True)
    options = DecryptOptions

    def process(self, io: ProcessorIO, options: DecryptOptions) -> ProcessorIO:
        """Raises NotApplicable for a vCon that is not encrypted; PermanentError where no key opens it (NotConfigured
        where there is none), or the gates refuse what comes out."""
        vcon, lent = io.vcon, originals(io)
        if lent.form(vcon) != "encrypted":
            raise NotApplicable("the vCon is not encrypted")
        try:
            raw = lent.opened(lent.raw(vcon), keys=_keys(options))
            taken = lent.taken(raw, keep=True)
        except PermanentError:
            raise
        except PlatformError as error:
            if error.transient:
                raise
            raise PermanentError(f"vCon {vcon.uuid} cannot be decrypted: {error}") from None
        if taken.data.get("uuid") != vcon.uuid:
            raise PermanentError(
                f"what vCon {vcon.uuid} holds is another vCon; its sender must name it by its own uuid"
            )
        changes, _ = carried_over(lent.view(vcon), vcon.data, taken.data)
        vcon.reform(raw, taken.data, taken.meta, sealed=taken.sealed)
        for change in changes:
            vcon.apply(change)
        return io


def _keys(options: DecryptOptions) -> DecryptionKeys | None:
    """The key that the options name; None for the installation's."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    from vcon_platform.vcon.encryption import DecryptionKeys

    if not options.private_pem_key:
        return None
    key = private_key(options.private_pem_key, options.private_pem_key_password, "decrypt", "private_pem_key")
    if not isinstance(key, rsa.RSAPrivateKey):
        raise PermanentError(
            "the option private_pem_key of decrypt names no RSA key; vCons are encrypted to those only"
        )
    return DecryptionKeys((key,))
