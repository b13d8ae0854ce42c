"""What can go wrong while the platform's own processes are prepared, started or stopped."""

from __future__ import annotations

from vcon_platform.errors import PlatformError


class ServiceError(PlatformError):
    """A process of this installation cannot be started, stopped or reached; the message holds the cure."""
