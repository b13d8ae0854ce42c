"""A Dagster instance in memory."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's records in memory."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral
