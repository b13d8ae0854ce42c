"""``vcon-platform up``, ``down`` and ``status`` as a person or a script uses them: by exit code, signal and output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.test_stack import settings_for
from tests.support import eventually
from vcon_platform.services.environment import child_environment
from vcon_platform.services.stack import Stack

pytestmark = pytest.mark.xdist_group("stack")

CLI = [sys.executable, "-m", "vcon_platform.cli"]


@pytest.fixture
def stack(data_dir: Path) -> Iterator[Stack]:
    """An installation that does not run yet and is stopped at the end."""
    stack = Stack(settings_for(data_dir))
    yield stack
    stack.down()


def run(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CLI, *arguments], env=child_environment(stack.settings), capture_output=True, text=True, timeout=120
    )


def test_help_teaches_and_is_quick() -> None:
    began = time.monotonic()
    done = subprocess.run(
        [*CLI, "--help"], capture_output=True, text=True, timeout=30, env={**os.environ, "COLUMNS": "100"}
    )
    assert time.monotonic() - began < 10
    for word in ("up", "down", "status", "init", "VCON_WEBSERVER_PORT", "REDIS_URL"):
        assert word in done.stdout


def test_up_detached_then_status_then_down(stack: Stack) -> None:
    up = run(stack, "up", "--detach", "--only", "services")
    assert up.returncode == 0, up.stdout + up.stderr
    assert "Redis is ready" in up.stdout
    assert "dagster dev" in up.stdout
    status = run(stack, "status", "--json")
    assert status.returncode == 3  # not everything runs
    states = {each["name"]: each["state"] for each in json.loads(status.stdout)}
    assert states["redis"] in ("running", "starting")
    assert states["webserver"] == "stopped"
    assert run(stack, "down").returncode == 0
    assert "Nothing was running" in run(stack, "down").stdout


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_up_in_the_foreground_stops_everything_at_a_signal_even_if_started_with_it_ignored(
    stack: Stack, tmp_path: Path, number: signal.Signals
) -> None:
    log = tmp_path / "log"
    with log.open("w") as out:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a shell's '&' in a script does
        try:
            process = subprocess.Popen(
                [*CLI, "up", "--only", "services"],
                env=child_environment(stack.settings),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        finally:
            signal.signal(signal.SIGINT, before)
    eventually(lambda: "Ctrl-C" in log.read_text())
    assert stack.is_up()
    process.send_signal(number)
    assert process.wait(60) == 0, log.read_text()
    assert not stack.is_up()
    assert "Stopped" in log.read_text()


def test_a_start_that_fails_exits_with_1_says_why_and_leaves_nothing_behind(stack: Stack) -> None:
    taken = stack.settings.model_copy(update={"redis_port": stack.settings.postgres_port})
    failed = run(Stack(taken), "up", "--detach")
    assert failed.returncode == 1
    assert "several processes" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not stack.is_up()
