"""A door over the test's own servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from vcon_platform.ingress.door import Door
from vcon_platform.ingress.opening import open_door
from vcon_platform.settings import Settings
from vcon_platform.store.opening import Store, open_store


@pytest.fixture
def store(redis_url: str, tmp_path: Path) -> Store:
    settings = Settings(_env_file=None, data_dir_setting=tmp_path, redis_url_setting=redis_url)
    return open_store(settings)


@pytest.fixture
def door(store: Store, redis_url: str, tmp_path: Path) -> Door:
    return open_door(Settings(_env_file=None, data_dir_setting=tmp_path, redis_url_setting=redis_url), store)
