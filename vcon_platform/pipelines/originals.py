"""The exact bytes of stored documents, and the gates and certificates of this installation, for processors.

Belongs here: lending them (``processors/originals.py`` says what). Not here: putting bytes together
(``store/originals.py``), rules about documents (``vcon/``), taking documents in (``ingress/door.py``).

Certificates and keys are read when they are first needed, and then known: a folder that changed counts after a restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, BinaryIO

import orjson

from vcon_platform.ingress.media import keep_bodies
from vcon_platform.processors.base import PermanentError
from vcon_platform.processors.originals import Judged, NoKey, Taken
from vcon_platform.processors.references import NotConfigured
from vcon_platform.settings import Settings
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.media import MediaStore, tokens_of
from vcon_platform.store.media_documents import write_document
from vcon_platform.store.originals import find_original, original_bytes
from vcon_platform.vcon.document import ARRAYS, Vcon
from vcon_platform.vcon.forms import Form, form_of
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.opened import Opened, open_document
from vcon_platform.vcon.received import Policy, receive

if TYPE_CHECKING:
    from vcon_platform.vcon.encryption import DecryptionKeys
    from vcon_platform.vcon.trust import Trust

LARGEST = 128 << 20
"""Bytes of a document that is signed, encrypted or opened: it is in memory several times over."""


class StoredOriginals:
    """Those of one installation. Thread-safe."""

    def __init__(self, settings: Settings, documents: DocumentStore, media: MediaStore) -> None:
        self._settings = settings
        self._documents = documents
        self._media = media

    @cached_property
    def _trust(self) -> Trust | None:
        from vcon_platform.vcon.trust import load_trust

        folder = self._settings.trust_dir
        return load_trust(folder) if folder else None

    @cached_property
    def _keys(self) -> DecryptionKeys | None:
        from vcon_platform.vcon.encryption import load_keys

        folder = self._settings.decryption_keys_dir
        return load_keys(folder) if folder else None

    # --- what is stored -----------------------------------------------------------------------------------------

    def form(self, vcon: Vcon) -> str:
        """``unsigned``, ``signed`` or ``encrypted``."""
        if vcon.envelope is not None:
            return vcon.envelope.meta.get("form", "unsigned")
        return (self._documents.meta(vcon.uuid).get("form") if vcon.revision else None) or "unsigned"

    def raw(self, vcon: Vcon) -> bytes:
        """The exact bytes. Raises PlatformError."""
        if vcon.envelope is not None:
            return vcon.envelope.raw
        if not vcon.revision:
            return self.whole(vcon.data)
        original = find_original(self._documents, vcon.uuid)
        _check_size(original.size)
        return b"".join(original_bytes(original, self._media))

    def view(self, vcon: Vcon) -> dict[str, Any]:
        """What could be read of them."""
        if vcon.envelope is not None:
            raw: bytes | None = vcon.envelope.view
        else:
            record = self._documents.history(vcon.uuid).posted()
            raw = record.view if record is not None else None
        return dict(orjson.loads(raw)) if raw is not None else {"uuid": vcon.uuid}

    def whole(self, data: Mapping[str, Any]) -> bytes:
        """The document with every body in it."""
        _check_size(sum(self._media.size(token) for token in tokens_of(data)))
        return b"".join(write_document(self._media, data))

    # --- what it is worth ---------------------------------------------------------------------------------------

    def taken(self, raw: bytes, *, keep: bool = False) -> Taken:
        """These bytes through the gates."""
        policy = Policy(
            received_at=datetime.now(UTC),
            trust=self._trust,
            keys=self._keys,
            limits=self._limits,
            open=self._open,
            may_refer=self._documents.refers,
        )
        with (
            self._open(raw) as opened,
            receive(opened.value, policy, skeleton=opened.skeleton) as received,
        ):
            sealed = None
            if received.signature is not None:
                sealed = {array: len(received.data.get(array) or ()) for array in ARRAYS}
            if keep:
                keep_bodies(received.data, self._media)
            meta = {
                "form": str(received.form),
                "state": "opaque" if received.opaque else "ready",
                "signature": str(received.signature) if received.signature else "",
                "signer": received.signer or "",
                "sealed": orjson.dumps(sealed).decode() if sealed else "",
            }
            return Taken(received.data, meta, sealed, received.opaque)

    def judged(self, raw: bytes, *, trust: Trust | None = None) -> Judged:
        """The worth of the signature around these bytes."""
        from vcon_platform.vcon.signing import SignatureState, verify_nested

        nested: list[Opened] = []
        try:
            value = self._unwrapped(raw, nested)
            if form_of(value) is Form.ENCRYPTED:
                value = self._unwrapped(self.opened(raw), nested)
            if form_of(value) is Form.UNSIGNED:
                return Judged(SignatureState.NONE)
            unwrap = partial(self._unwrapped, nested=nested)
            verified, _ = verify_nested(value, trust or self._trust, datetime.now(UTC), unwrap)
            return Judged(verified.state, verified.signer or "")
        finally:
            for opened in nested:
                opened.close()

    def opened(self, raw: bytes, *, keys: DecryptionKeys | None = None) -> bytes:
        """What is in an encrypted document."""
        from vcon_platform.vcon.encryption import decrypt

        chosen = keys or self._keys
        if chosen is None:
            raise NotConfigured(
                "the vCon is encrypted, and there is no key to open it: set VCON_DECRYPTION_KEYS_DIR to a folder of "
                "private keys, or name one in the option private_pem_key of decrypt"
            )
        with self._open(raw) as opened:
            plain = decrypt(opened.value, chosen, max_bytes=2 * LARGEST)
        if plain is None:
            raise NoKey("the vCon was encrypted for others: no key that is named here opens it")
        if isinstance(plain, bytes):
            return plain
        with plain:
            return plain.read()

    def _unwrapped(self, payload: Any, nested: list[Opened]) -> Any:
        if hasattr(payload, "chunks"):  # a payload that was moved aside
            payload = b"".join(payload.chunks())
        opened = self._open(payload)
        nested.append(opened)
        return opened.value

    @property
    def _limits(self) -> Limits:
        largest = min(self._settings.document_bytes, 2 * LARGEST)
        return Limits(document_bytes=largest, inflated_bytes=largest)

    def _open(self, content: bytes | BinaryIO) -> Opened:
        return open_document(
            content,
            media_type=None,
            limits=self._limits,
            hoist_over=self._media.inline_max,
            spool_dir=self._settings.spool_dir,
        )


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise PermanentError(
            f"the document has {size >> 20} MB with its recordings, more than the {LARGEST >> 20} that are signed or "
            "encrypted here; take the recordings out first (a redacted copy) or keep them elsewhere, by url and "
            "content_hash"
        )
