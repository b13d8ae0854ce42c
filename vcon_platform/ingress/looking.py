"""A document looked at: led through the gates as if it were taken in, and kept nowhere.

For a simulation, for a direct run whose caller wants nothing saved, and for the command line's work on files. The
document is in memory with all its bodies; whoever has long recordings takes it in first and names it by its uuid.

Belongs here: reading without keeping. Not here: any rule about documents (``vcon/``), taking in (``door.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.settings import Settings
from vcon_platform.vcon.document import ARRAYS, Envelope, Vcon
from vcon_platform.vcon.encryption import load_keys
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.forms import Form
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.opened import Opened, open_document
from vcon_platform.vcon.received import Policy, Received, receive
from vcon_platform.vcon.transport import is_gzip, too_large
from vcon_platform.vcon.trust import load_trust

if TYPE_CHECKING:
    from vcon_platform.vcon.encryption import DecryptionKeys
    from vcon_platform.vcon.trust import Trust

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
    with looked_at(content, settings, zone=zone, media_type=media_type, may_refer=may_refer) as received:
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
        envelope = None
        if received.form is not Form.UNSIGNED and not is_gzip(media_type, content[:2]):
            envelope = Envelope(content, orjson.dumps(received.data), {"form": str(received.form)}, kept=True)
        return Vcon(received.data, sealed=sealed, envelope=envelope)


@contextmanager
def looked_at(
    content: bytes,
    settings: Settings,
    *,
    zone: tzinfo = UTC,
    media_type: str | None = None,
    may_refer: Callable[[str, str], bool] | None = None,
    trust: Trust | None = None,
    keys: DecryptionKeys | None = None,
) -> Iterator[Received]:
    """What the gates say of the document, whether it can be worked on or not; every body is inline. ``trust`` and
    ``keys`` stand for this installation's own. Raises :class:`Rejected` with each fault."""
    largest = min(settings.document_bytes, LARGEST)
    if trust is None and settings.trust_dir:
        trust = load_trust(settings.trust_dir)
    if keys is None and settings.decryption_keys_dir:
        keys = load_keys(settings.decryption_keys_dir)
    limits = Limits(document_bytes=largest, inflated_bytes=largest)
    policy = Policy(
        received_at=datetime.now(UTC),
        zone=zone,
        trust=trust,
        keys=keys,
        limits=limits,
        open=partial(_open, limits=limits),
        may_refer=may_refer,
    )
    with (
        opened_whole(content, settings, media_type=media_type) as opened,
        receive(opened.value, policy, skeleton=opened.skeleton) as received,
    ):
        yield received


def opened_whole(content: bytes, settings: Settings, *, media_type: str | None = None) -> Opened:
    """The document out of gzip and parsed, every body inline; ``skeleton`` is all of its bytes. Raises
    :class:`Rejected`."""
    largest = min(settings.document_bytes, LARGEST)
    if len(content) > largest:
        raise Rejected(too_large(largest))
    return _open(content, media_type, limits=Limits(document_bytes=largest, inflated_bytes=largest))


def _open(content: bytes | BinaryIO, media_type: str | None = None, *, limits: Limits) -> Opened:
    return open_document(content, media_type=media_type, limits=limits, hoist_over=limits.document_bytes)
