"""The command line as somebody types it, on the test's own servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest
from typer.testing import CliRunner, Result

from vcon_platform.cli import app
from vcon_platform.settings import Settings
from vcon_platform.store.opening import Store, open_store
from vcon_platform.vcon.uuids import new_uuid

Run = Callable[..., Result]
Add = Callable[..., str]


@pytest.fixture
def run(deployed: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    """``run("vcon", "add", "-", input=b"…")``. An error that is no sentence for the user fails the test."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path, input: bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], input=input, catch_exceptions=False)

    return run


@pytest.fixture
def store(deployed: Settings) -> Store:
    return open_store(deployed)


def document(**members: Any) -> dict[str, Any]:
    """A chat that is found by everything."""
    said = {"type": "text", "start": "2026-11-02T09:00:00Z", "parties": 0, "mediatype": "text/plain"}
    return {
        "vcon": "0.4.0",
        "uuid": new_uuid(),
        "created_at": "2026-11-02T09:00:00Z",
        "parties": [{"name": "Ada", "tel": "+15550100", "mailto": "ada@example.org"}],
        "dialog": [{**said, "body": "the toaster burns", "encoding": "none"}],
        **members,
    }


@pytest.fixture
def add(run: Run) -> Add:
    """Add a document, with these members; its uuid."""

    def add(*options: str, **members: Any) -> str:
        value: Mapping[str, Any] = document(**members)
        done = run("vcon", "add", "-", *options, input=orjson.dumps(value))
        assert done.exit_code == 0, done.output
        return str(value["uuid"])

    return add
