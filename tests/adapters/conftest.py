"""The adapters' fixtures."""

from pathlib import Path

import pytest

from tests.adapters.support import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool."""
    return Spool(tmp_path)
