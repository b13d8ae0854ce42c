"""One real installation for all end-to-end tests: embedded Redis and Postgres, Dagster's processes, the REST API.

It is started once: the files that use it run on one worker, one after the other (``tests/conftest.py``). Each works on
calls of its own and needs no other file.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.platform import Platform
from tests.support import free_port
from vcon_platform.services.stack import Stack
from vcon_platform.settings import Settings

TABLES = ("calls", "recalls")


@contextmanager
def started(**chosen: Any) -> Iterator[Platform]:
    """A platform that is up; ``chosen``: settings that differ."""
    with tempfile.TemporaryDirectory(prefix="vcon-e2e-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        pipelines = Path(folder) / "pipelines"
        shutil.copytree(Settings(_env_file=None).pipelines_dir, pipelines)
        for each in (pipelines / "projections").iterdir():
            if each.stem not in TABLES:  # each table costs every landing of these tests seconds, and is like the others
                each.unlink()
        usual: dict[str, Any] = {
            "data_dir_setting": Path(folder) / "data",
            "pipelines_dir_setting": pipelines,
            "redis_port": free_port(),
            "postgres_port": free_port(),
            "code_server_port": free_port(),
            "webserver_port": free_port(),
            "api_port": free_port(),
            "lease_seconds": 8,
            "partitions_start": date(2026, 9, 1),
        }
        stack = Stack(Settings(_env_file=None, **usual | chosen))
        stack.up()
        try:
            yield Platform(stack)
        finally:
            stack.down()


@pytest.fixture(scope="session")
def platform() -> Iterator[Platform]:
    """A platform that is up, with the pipelines that this repository ships, and two of its tables."""
    with started() as up:
        yield up
