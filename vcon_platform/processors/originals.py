"""What the platform lends to processors that sign, verify, encrypt and decrypt: the exact bytes of a document, and the
gates and certificates of this installation.

Belongs here: what is lent, and what it says of a document. Not here: where it comes from (``pipelines/originals.py``),
what is done with it (``sign.py``, ``verify.py``, ``encrypt.py``, ``decrypt.py``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from vcon_platform.processors.base import PermanentError, ProcessorIO
from vcon_platform.vcon.document import Vcon

if TYPE_CHECKING:
    from vcon_platform.vcon.encryption import DecryptionKeys
    from vcon_platform.vcon.signing import SignatureState
    from vcon_platform.vcon.trust import Trust


class NoOriginals(PermanentError):
    """Nobody lends what signing and encrypting need."""

    def __init__(self) -> None:
        super().__init__("the originals of documents are not to be had here; run it in a pipeline")


class WrongForm(PermanentError):
    """The document's form does not allow what is asked: sign a signed one, encrypt an unsigned one."""

    code = "wrong_state"


class NoKey(PermanentError):
    """The document was encrypted for others."""

    code = "no_key"


@dataclass(frozen=True, slots=True)
class Taken:
    """A document as the gates let it in. ``data``: what can be read of it, only its uuid where nothing can
    (``opaque``). ``meta``: what the store is to keep beside it. ``sealed``: how many elements were signed."""

    data: dict[str, Any]
    meta: Mapping[str, str]
    sealed: Mapping[str, int] | None
    opaque: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """What a document's signature is worth. ``signer``: the fingerprint of the key, of a valid one only."""

    state: SignatureState
    signer: str = ""


class Originals(Protocol):
    """Reads originals; writes nothing but bodies into the media store."""

    def form(self, vcon: Vcon) -> str:
        """``unsigned``, ``signed`` or ``encrypted``."""
        ...

    def raw(self, vcon: Vcon) -> bytes:
        """The document's exact bytes as it was posted last, or was given its form here. Raises PlatformError."""
        ...

    def view(self, vcon: Vcon) -> dict[str, Any]:
        """What could be read of these bytes; without what was added since."""
        ...

    def whole(self, data: Mapping[str, Any]) -> bytes:
        """A document as JSON with every body in it. Raises PlatformError where a body is gone, or it is too long to be
        held in memory."""
        ...

    def taken(self, raw: bytes, *, keep: bool = False) -> Taken:
        """Lead these bytes through the gates. ``keep``: long bodies go to the media store, as ``data`` then says.
        Raises PlatformError with each fault."""
        ...

    def opened(self, raw: bytes, *, keys: DecryptionKeys | None = None) -> bytes:
        """What is in an encrypted document. ``keys``: open it with these, not with the installation's. Raises
        PlatformError where none opens it, NotConfigured where there is none."""
        ...

    def judged(self, raw: bytes, *, trust: Trust | None = None) -> Judged:
        """What the signature of these bytes is worth now. ``trust``: judge by these certificates, not by the
        installation's. Raises PlatformError where an encrypted one cannot be opened."""
        ...


def originals(io: ProcessorIO) -> Originals:
    """What this conversation's context lends. Raises :class:`NoOriginals`."""
    if io.context.originals is None:
        raise NoOriginals
    return io.context.originals
