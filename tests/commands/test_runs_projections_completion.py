"""``vcon-platform runs``, ``projections`` and ``completion``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from vcon_platform.cli import app
from vcon_platform.services.dagster_client import DagsterClient

Run = Callable[..., Result]
FIRST, SECOND = "0a1b2c3d-0000-4000-8000-000000000001", "0a1b9999-0000-4000-8000-000000000002"
GOOD = """
name: orders
pipelines: [recall]
rows: conversation
columns: [{name: uuid, type: text, from: uuid}]
destinations: [{postgres: {table: orders}}]
"""


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("VCON_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: str | Path, **options: Any) -> Result:
        return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False, **options)

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Dagster with two runs, one of which goes on; what it was asked."""
    calls: list[dict[str, Any]] = []

    def told(run: str, status: str, ended: float | None) -> dict[str, Any]:
        tags = [{"key": "vcon/pipeline", "value": "recall"}, {"key": "vcon/lane", "value": "batch"}]
        times = {"creationTime": 1793520000.0, "startTime": 1793520001.0, "endTime": ended}
        return {"__typename": "Run", "runId": run, "status": status, "jobName": "recall", "tags": tags, **times}

    runs = [told(FIRST, "STARTED", None), told(SECOND, "SUCCESS", 1793520003.5)]

    def query(_: DagsterClient, text: str, **variables: Any) -> dict[str, Any]:
        calls.append(variables)
        if "terminateRun" in text:
            return {"terminateRun": {"__typename": "TerminateRunSuccess"}}
        if "runOrError" in text:
            return {"runOrError": next(each for each in runs if each["runId"] == variables["id"])}
        return {"runsOrError": {"results": runs}}

    monkeypatch.setattr(DagsterClient, "query", query)
    return calls


def test_runs_are_listed_for_people_and_programs(run: Run, asked: list[dict[str, Any]]) -> None:
    shown = run("runs", "list", "--pipeline", "recall", "--status", "success").stdout
    assert asked[0]["filter"] == {"tags": [{"key": "vcon/pipeline", "value": "recall"}], "statuses": ["SUCCESS"]}
    assert (FIRST[:8] in shown, "2.5" in shown) == (True, True)
    [first, second] = json.loads(run("runs", "list", "--json").stdout)
    assert (first["id"], first["status"], first["ended"]) == (FIRST, "started", None)
    assert (second["pipeline"], second["created"]) == ("recall", "2026-11-01T08:00:00+00:00")


@pytest.mark.parametrize(("name", "code"), [("0a1b2", 0), (FIRST, 0), ("0a1b", 1), ("ffff", 1)])
def test_a_run_is_named_by_its_first_letters(run: Run, asked: list[dict[str, Any]], name: str, code: int) -> None:
    done = run("runs", "show", name, "--json")
    assert done.exit_code == code
    assert code or json.loads(done.stdout)["url"].endswith(f"/runs/{FIRST}")


def test_a_run_is_ended_and_an_ended_one_is_not(run: Run, asked: list[dict[str, Any]]) -> None:
    assert run("runs", "cancel", FIRST, input="n\n").exit_code == 1
    assert asked[-1] == {"id": FIRST}
    assert run("runs", "cancel", FIRST, "--yes").exit_code == 0
    late = run("runs", "cancel", SECOND, "--yes")
    assert (late.exit_code, "ended already" in late.stderr) == (1, True)


def test_a_dagster_that_is_away_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_WEBSERVER_PORT", "1")
    done = run("runs", "list")
    assert (done.exit_code, "vcon-platform status" in done.stderr) == (1, True)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VCON_PIPELINES_DIR", str(tmp_path / "pipelines"))
    found = tmp_path / "pipelines" / "projections"
    found.mkdir(parents=True)
    (found / "orders.yaml").write_text(GOOD)
    return found


def test_projections_are_listed_and_shown(run: Run, folder: Path) -> None:
    listed = json.loads(run("projections", "list", "--json").stdout)
    assert ([each["name"] for each in listed["projections"]], listed["broken"]) == (["orders"], {})
    assert "uuid" in run("projections", "show", "orders").stdout
    assert run("projections", "show", "orders", "--json").exit_code == 0
    unknown = run("projections", "show", "nonsense")
    assert (unknown.exit_code, "orders" in unknown.stderr) == (2, True)


def test_a_broken_declaration_is_told_and_takes_no_other_down(run: Run, folder: Path) -> None:
    (folder / "wrong.yaml").write_text("name: wrong\n")
    done = run("projections", "validate")
    assert (done.exit_code, "orders: good" in done.stdout, "wrong.yaml: " in done.stderr) == (1, True, True)
    listed = run("projections", "list")
    assert (listed.exit_code, "orders" in listed.stdout) == (1, True)


def test_declarations_are_checked_from_a_pipe_and_against_each_other(run: Run, tmp_path: Path) -> None:
    assert run("projections", "validate", "-", input=GOOD).exit_code == 0
    for name in ("one.yaml", "two.yaml"):
        (tmp_path / name).write_text(GOOD)
    both = run("projections", "validate", tmp_path / "one.yaml", tmp_path / "two.yaml", "--json")
    told = json.loads(both.stdout)
    assert (both.exit_code, told["good"], len(told["broken"])) == (1, ["orders"], 1)
    assert run("projections", "validate", tmp_path / "nowhere").exit_code == 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(run: Run, shell: str) -> None:
    done = run("completion", shell)
    assert (done.exit_code, f"complete_{shell}" in done.stdout) == (0, True)


def test_the_script_asks_for_verbs_and_gets_them(run: Run) -> None:
    asking = {"_VCON_PLATFORM_COMPLETE": "complete_bash", "COMP_WORDS": "vcon-platform vcon si", "COMP_CWORD": "2"}
    done = CliRunner().invoke(app, [], prog_name="vcon-platform", env=asking)
    assert done.stdout.split() == ["sign"]
