"""What can go wrong with the ledger."""

from __future__ import annotations

from vcon_platform.errors import PlatformError


class LedgerError(PlatformError):
    """Root of this room's errors."""


class EventRefused(LedgerError):
    """An event that can never be stored. The message names the member at fault and quotes no value."""


class LedgerUnavailable(LedgerError):
    """Postgres cannot be reached or is too busy. Nothing was lost: events wait in the outbox."""
