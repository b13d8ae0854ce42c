"""Importing does nothing: no connection, no environment needed, whatever was imported before."""

from __future__ import annotations

import subprocess
import sys

import pytest

_REFUSE = """
import socket
def refuse(*_):
    raise AssertionError("an import opened a connection")
socket.socket.connect = refuse
"""


@pytest.mark.parametrize(
    "module", ["vcon_platform.cli", "vcon_platform.definitions", "vcon_platform.api.app", "vcon_platform.demo.samples"]
)
def test_a_module_can_be_imported_first_and_opens_no_connection(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"{_REFUSE}\nimport {module}"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
