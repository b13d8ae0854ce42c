"""What a source, and this deployment, ask of the documents that come in.

Belongs here: the settings that :func:`~vcon_platform.vcon.received.receive` obeys. Not here: the rules themselves
(``gates.py``, ``migrate.py``), nor where the settings come from (a source's definition, ``settings.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, BinaryIO

from vcon_platform.vcon.limits import Limits

if TYPE_CHECKING:
    from vcon_platform.vcon.encryption import DecryptionKeys
    from vcon_platform.vcon.opened import Opened
    from vcon_platform.vcon.trust import Trust


@dataclass(frozen=True, slots=True)
class Policy:
    """``received_at``: timezone-aware; signatures are judged by it, and a document without any date gets it.

    ``zone``: of dates that name none. ``critical``: extensions that are supported. ``strict``: a strict finding refuses
    the document. ``require_signature``: so does any signature state but valid. ``earliest``, ``latest``: between them
    lie ``created_at``, ``updated_at`` and ``start`` (arguments of courts go back to 1955; expiry dates are not judged).
    ``open``: opens the payload of a signed or decrypted document; None: bytes and spool files in memory and the
    system's temporary folder. ``may_refer``: asked with the document's uuid and the content hash whether it may name
    media of our own store; None: no document from outside may.
    """

    received_at: datetime
    zone: tzinfo = UTC
    critical: frozenset[str] = frozenset()
    strict: bool = False
    require_signature: bool = False
    trust: Trust | None = None
    keys: DecryptionKeys | None = None
    earliest: datetime = datetime(1900, 1, 1, tzinfo=UTC)
    latest: datetime = datetime(2100, 1, 1, tzinfo=UTC)
    limits: Limits = field(default_factory=Limits)
    open: Callable[[bytes | BinaryIO], Opened] | None = None
    may_refer: Callable[[str, str], bool] | None = None
