"""``vcon-platform reprocess``: the estimate needs no Dagster; what cannot be meant is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.orchestration.support import FIND_RECALLS, chats
from vcon_platform.cli import build
from vcon_platform.settings import Settings


@pytest.fixture
def installed(deployed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    (tmp_path / "definitions" / "projections").mkdir(parents=True)
    (tmp_path / "definitions" / "recall.yaml").write_text(FIND_RECALLS)
    monkeypatch.setenv("VCON_PIPELINES_DIR", str(tmp_path / "definitions"))
    return deployed


def test_the_estimate_says_what_it_would_come_to_and_queues_nothing(installed: Settings) -> None:
    chats(installed, "one", "two", queue="elsewhere")
    days = ["--from", "2026-11-01", "--to", "2026-11-03"]
    result = CliRunner().invoke(build(), ["reprocess", "recall", *days, "--estimate"])
    assert result.exit_code == 0, result.output
    assert "2026-11-02  2 of 2 to process" in result.output
    assert "to process: 2" in result.output


def test_days_in_the_wrong_order_are_refused(installed: Settings) -> None:
    days = ["--from", "2026-11-03", "--to", "2026-11-01"]
    result = CliRunner().invoke(build(), ["reprocess", "recall", *days])
    assert result.exit_code == 2


def test_a_pipeline_that_there_is_not_is_named(installed: Settings) -> None:
    result = CliRunner().invoke(
        build(), ["reprocess", "recal", "--from", "2026-11-01", "--to", "2026-11-01", "--estimate"]
    )
    assert result.exit_code == 1
    assert "recal" in result.output
