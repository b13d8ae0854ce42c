"""What all tests of the API need."""

from __future__ import annotations

import pytest

from vcon_platform.api import reads


@pytest.fixture(autouse=True)
def _no_late_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings are written down when they are asked for, never into the Redis of the next test."""
    monkeypatch.setattr(reads, "EVERY", 3600.0)
