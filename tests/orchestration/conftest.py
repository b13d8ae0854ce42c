"""The settings of the test's own servers, as the environment of a run has them; and a Dagster instance in memory."""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from vcon_platform.settings import Settings


@pytest.fixture
def deployed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Resources read the environment: give it this test's servers."""
    monkeypatch.setenv("REDIS_URL", settings.redis_url())
    monkeypatch.setenv("POSTGRES_URL", settings.postgres_url())
    monkeypatch.setenv("VCON_DATA_DIR", str(settings.data_dir))
    return settings


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Dagster's records in memory."""
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral
