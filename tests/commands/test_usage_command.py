"""``vcon-platform usage``: for people and for programs."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from tests.commands.conftest import Run
from vcon_platform.pipelines.purchases import purchasing_of
from vcon_platform.processors.base import Buyer, Usage
from vcon_platform.settings import Settings
from vcon_platform.vcon.uuids import new_uuid

PRICES = "{currency: EUR, services: {deepgram: {nova-3: {per_minute: 0.6}}}}"
NOTES = "{pipeline_options: {budget: {per: total, price: 0.5, tokens: 1000}}, processors: []}"


@pytest.fixture
def pipelines(deployed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "definitions"
    folder.mkdir()
    (folder / "prices.yaml").write_text(PRICES)
    (folder / "notes.yaml").write_text(NOTES)
    monkeypatch.setenv("VCON_PIPELINES_DIR", str(folder))
    return folder


@pytest.fixture
def use(deployed: Settings, pipelines: Path, redis_client: Redis) -> None:
    """A minute and a half for one conversation, some tokens without a price for another."""
    chosen = deployed.model_copy(update={"pipelines_dir_setting": pipelines})
    within = purchasing_of(chosen, redis_client).within(None)
    for usage in (Usage("deepgram", "nova-3", seconds=90), Usage("openai", "gpt-x", input_tokens=70, output_tokens=7)):
        within.after(Buyer(new_uuid(), "notes", "v", "ask", "1", "j"), usage)


@pytest.mark.usefixtures("use")
def test_it_prints_what_was_used_and_what_is_left(run: Run) -> None:
    done = run("usage")
    assert done.exit_code == 0
    line = next(line for line in done.output.splitlines() if line.strip().startswith("notes"))
    assert line.split() == ["notes", "2", "2", "0:01:30", "70", "7", "0.9000", "EUR", "+", "1", "without"]
    assert "1 calls had no price" in done.output
    assert "0.9 EUR" in done.output
    assert "no price for openai/gpt-x: nothing more is bought" in done.output


@pytest.mark.usefixtures("use")
def test_json_has_the_same_for_programs(run: Run) -> None:
    told = json.loads(run("usage", "--by", "model", "--json").output)
    assert [(each["name"], each["prices"]) for each in told["usage"]] == [
        ("deepgram/nova-3", [{"currency": "EUR", "price": "0.9"}]),
        ("openai/gpt-x", []),
    ]
    [budget] = told["budgets"]
    assert budget["limits"][0] == {"what": "price", "used": 0.9, "most": 0.5, "left": 0.0}
    assert budget["without_price"] == ["openai/gpt-x"]


@pytest.mark.usefixtures("use")
def test_only_what_was_used_since_then_is_counted(run: Run) -> None:
    assert [len(json.loads(run("usage", "--since", at, "--json").output)["usage"]) for at in ("1h", "2999-01-01")] == [
        1,
        0,
    ]
    assert run("usage", "--until", "1w").output.startswith("No service was used until")


@pytest.mark.usefixtures("use")
def test_a_day_is_named_as_it_is_written(run: Run) -> None:
    told = json.loads(run("usage", "--by", "day", "--json").output)
    assert [each["name"] for each in told["usage"]] == [f"{datetime.now(UTC):%Y-%m-%d}"]


@pytest.mark.usefixtures("pipelines")
def test_a_time_that_is_none_is_told_with_examples(run: Run) -> None:
    done = run("usage", "--since", "yesterday")
    assert done.exit_code == 1
    assert "2026-07-01" in done.output


def test_prices_with_a_fault_are_told(run: Run, pipelines: Path) -> None:
    (pipelines / "prices.yaml").write_text("nonsense: 1")
    done = run("usage")
    assert done.exit_code == 1
    assert "/nonsense" in done.output


def test_prices_are_checked_with_the_definitions(run: Run, pipelines: Path) -> None:
    assert f"{pipelines / 'prices.yaml'}: good\n" in run("pipelines", "validate").output
    (pipelines / "prices.yaml").write_text("{services: {deepgram: {nova-3: {per_hour: 1}}}}")
    done = run("pipelines", "validate", pipelines / "prices.yaml")
    assert done.exit_code == 1
    assert "/services/deepgram/nova-3/per_hour" in done.output
