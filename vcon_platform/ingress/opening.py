"""The door of one installation, from its settings."""

from __future__ import annotations

from datetime import tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from vcon_platform.ingress.door import Door, Doorway
from vcon_platform.settings import Settings, SettingsError
from vcon_platform.store.opening import Store
from vcon_platform.vcon.encryption import load_keys
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.trust import load_trust


def open_door(settings: Settings, store: Store) -> Door:
    """Put the door together. Reads certificates and keys. Raises PlatformError where those cannot be read."""
    settings.spool_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Door(
        store.documents,
        store.media,
        Doorway(
            limits=Limits(document_bytes=settings.document_bytes, inflated_bytes=settings.document_bytes),
            trust=load_trust(settings.trust_dir) if settings.trust_dir else None,
            keys=load_keys(settings.decryption_keys_dir) if settings.decryption_keys_dir else None,
            spool_dir=settings.spool_dir,
        ),
    )


def zone_of(settings: Settings) -> tzinfo:
    """The zone of dates that name none. Raises :class:`SettingsError`."""
    return _zone(settings.zone)


@lru_cache(maxsize=4)  # asked for with every document
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise SettingsError(f"VCON_ZONE={name!r} is no time zone; one is named like Europe/Berlin") from None
