"""The Python package ``vcon`` as an independent reader and writer of what we write and read.

The package replaces the root logger's handlers when it is imported, so it is imported here only, contained.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import pytest


@pytest.fixture(scope="session")
def reader() -> Any:
    """The package's ``Vcon`` class."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    sys.modules.setdefault("logger", logging.getLogger("vcon.dialog"))  # type: ignore[arg-type]
    import vcon

    root.handlers[:] = handlers
    root.setLevel(level)
    return vcon.Vcon
