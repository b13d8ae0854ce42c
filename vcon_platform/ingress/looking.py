"""A document looked at: led through the gates as if it were taken in, and kept nowhere.

For a simulation, and for a direct run whose caller wants nothing saved. The document is in memory with all its bodies;
whoever has long recordings takes it in first and names it by its uuid.

Belongs here: reading without keeping. Not here: any rule about documents (``vcon/``), taking in (``door.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import BinaryIO

from vcon_platform.errors import PlatformError
from vcon_platform.settings import Settings
from vcon_platform.vcon.document import ARRAYS, Vcon
from vcon_platform.vcon.encryption import load_keys
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.opened import Opened, open_document
from vcon_platform.vcon.received import Policy, receive
from vcon_platform.vcon.transport import too_large
from vcon_platform.vcon.trust import load_trust

LARGEST = 64 << 20
"""Bytes of a document that is only looked at; it is in memory several times over."""


class NotReady(PlatformError):
    """A document that may be kept but not processed: nobody here can read it, or it demands what is not supported."""


def look(
    content: bytes,
    settings: Settings,
    *,
    zone: tzinfo = UTC,
    media_type: str | None = None,
    may_refer: Callable[[str, str], bool] | None = None,
) -> Vcon:
    """The document as the store would have it, at revision 0 and with every body inline. ``may_refer``: whether it may
    name media of this store (uuid, content hash). Raises :class:`Rejected` with each fault, :class:`NotReady`."""
    largest = min(settings.document_bytes, LARGEST)
    if len(content) > largest:
        raise Rejected(too_large(largest))
    limits = Limits(document_bytes=largest, inflated_bytes=largest)
    policy = Policy(
        received_at=datetime.now(UTC),
        zone=zone,
        trust=load_trust(settings.trust_dir) if settings.trust_dir else None,
        keys=load_keys(settings.decryption_keys_dir) if settings.decryption_keys_dir else None,
        limits=limits,
        open=partial(_open, limits=limits),
        may_refer=may_refer,
    )
    with (
        _open(content, media_type, limits=limits) as opened,
        receive(opened.value, policy, skeleton=opened.skeleton) as received,
    ):
        if received.opaque:
            raise NotReady(
                f"vCon {received.uuid} is encrypted and no key here opens it, so it cannot be processed; see "
                "VCON_DECRYPTION_KEYS_DIR"
            )
        if received.parked:
            raise NotReady(
                f"vCon {received.uuid} has critical extensions that are not supported ({', '.join(received.parked)}), "
                "so it must not be processed"
            )
        sealed = None
        if received.signature is not None:
            sealed = {array: len(received.data.get(array) or ()) for array in ARRAYS}
        return Vcon(received.data, sealed=sealed)


def _open(content: bytes | BinaryIO, media_type: str | None = None, *, limits: Limits) -> Opened:
    return open_document(content, media_type=media_type, limits=limits, hoist_over=limits.document_bytes)
