"""The processor ``encrypt``: from here on the vCon is readable by those it was encrypted for, and nobody else.

Belongs here: the step of a pipeline, and what becomes of what was added beside the signed document. Not here: the
encrypted form (``vcon/encryption.py``), keys (``key_references.py``), how the form becomes the next revision.

What is encrypted is the signed form, byte for byte (draft -03 section 5.2: sign first). Whether the platform can read
on depends on whether one of its own keys opens it (``VCON_DECRYPTION_KEYS_DIR``), as for an encrypted vCon that comes
in. If none does, the document is left with its uuid and its date, its rows are withdrawn, and it is found by its uuid
only. Something that was added after signing and is in no signed form would be lost then; so it is refused, unless it is
a row or a note of this platform's own, which can be made again. Earlier revisions stay in the archive until they are
erased."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import AfterValidator, BeforeValidator, Field

from vcon_platform.errors import PlatformError
from vcon_platform.processors.base import Effects, PermanentError, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.key_references import public_reference, recipient_keys
from vcon_platform.processors.originals import Originals, Taken, WrongForm, originals
from vcon_platform.processors.verify import PURPOSE as VERIFICATION
from vcon_platform.projections.rows import PURPOSE as ROW
from vcon_platform.projections.rows import rows_of
from vcon_platform.vcon.document import ARRAYS, Vcon
from vcon_platform.vcon.merge import carried_over

PublicReference = Annotated[str, BeforeValidator(lambda value: value or ""), AfterValidator(public_reference)]


class EncryptOptions(ProcessorOptions):
    """What ``encrypt`` must be told: for whom."""

    public_pem_key: PublicReference = Field(
        default="",
        title="For whom",
        description="Certificate or public key (RSA) of the one who is to read it: PEM text, file:NAME, a PEM file in "
        "the folder of VCON_KEYS_DIR, or env:VCON_KEY_NAME.",
    )
    recipients: tuple[PublicReference, ...] = Field(
        default=(),
        max_length=50,
        title="For whom else",
        description="Further ones; each reads it with a key of their own.",
    )
    alg: Literal["RSA-OAEP", "RSA-OAEP-256"] = Field(
        default="RSA-OAEP", title="Algorithm", description="Of the key. RSA-OAEP is what the draft asks for."
    )
    enc: Literal["A256CBC-HS512", "A256GCM"] = Field(
        default="A256CBC-HS512",
        title="Content encryption",
        description="Of the content. A256CBC-HS512 is what the draft asks for.",
    )


class Encrypt(Processor[EncryptOptions]):
    """A lock around the signed document."""

    name = "encrypt"
    version = "1.0.0"
    title = "Encrypt"
    description = (
        "Encrypts the signed vCon (JWE, draft-ietf-vcon-vcon-core section 5.2) for one or more recipients. The "
        "encrypted form is its next revision; it stays readable here only if a key of VCON_DECRYPTION_KEYS_DIR fits."
    )
    effects = Effects(changes=True)
    options = EncryptOptions

    def process(self, io: ProcessorIO, options: EncryptOptions) -> ProcessorIO:
        """Raises PermanentError: for a vCon that is not signed, or encrypted already, for additions that would be lost,
        for a key that cannot be used (NotConfigured where there is none)."""
        from vcon_platform.vcon.encryption import encrypt

        vcon, lent = io.vcon, originals(io)
        if (form := lent.form(vcon)) != "signed":
            cure = "put the processor sign before this one" if form == "unsigned" else "nothing is left to be done"
            raise WrongForm(f"vCon {vcon.uuid} is {form}, and only a signed vCon is encrypted; {cure}")
        try:
            named = [each for each in (options.public_pem_key, *options.recipients) if each] or [""]
            keys = recipient_keys(named, "encrypt", "public_pem_key")
            raw = orjson.dumps(encrypt(lent.raw(vcon), vcon.uuid, keys, alg=options.alg, enc=options.enc))
            taken = lent.taken(raw)
        except PermanentError:
            raise
        except PlatformError as error:
            if error.transient:
                raise
            raise PermanentError(f"vCon {vcon.uuid} cannot be encrypted: {error}") from None
        if taken.opaque:
            _close(vcon, lent, raw, taken)
        else:
            _keep_open(vcon, lent, raw, taken)
        return io


def _keep_open(vcon: Vcon, lent: Originals, raw: bytes, taken: Taken) -> None:
    """It is readable here still: what was added stays beside it."""
    inside = lent.view(vcon)
    changes, _ = carried_over(inside, vcon.data, lent.view(vcon))
    vcon.reform(raw, inside, taken.meta, sealed=taken.sealed)
    for change in changes:
        vcon.apply(change)


def _close(vcon: Vcon, lent: Originals, raw: bytes, taken: Taken) -> None:
    lost = list(_additions(lent.view(vcon), vcon.data))
    if lost:
        listed = ", ".join(lost[:5]) + (" …" if len(lost) > 5 else "")
        raise PermanentError(
            f"vCon {vcon.uuid} has additions that are not in its signed form and would be lost: {listed}; sign after "
            "what makes them, or make an amended copy, sign and encrypt that"
        )
    left: dict[str, Any] = {name: vcon.data[name] for name in ("uuid", "created_at") if name in vcon.data}
    rows = {(name, day) for name, day, _ in rows_of(vcon.data)}
    vcon.reform(raw, left, taken.meta, sealed=None, withdrawn=sorted(rows))


def _additions(inside: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """Where somebody added something that nobody can make again."""
    for array in ARRAYS:
        before = len(inside.get(array) or ())
        for index, element in enumerate((now.get(array) or ())[before:], before):
            own = array == "attachments" and element.get("purpose") in (ROW, VERIFICATION)
            if not own:
                yield f"/{array}/{index}"
