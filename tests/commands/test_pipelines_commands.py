"""``vcon-platform pipelines``: what is checked, stored, compared and gone back to, and what the exit code says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import Run
from tests.support import free_port
from vcon_platform.settings import Settings

GOOD = "processors:\n- processor_name: recall_finder\n  processor_options: {words: [recall]}\n"
WRONG = "pipeline_options: {timeot: 1}\nprocessors:\n- processor_name: recal_finder\n"


@pytest.fixture
def folder(deployed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty definitions folder; Dagster is down."""
    folder = tmp_path / "definitions"
    folder.mkdir()
    monkeypatch.setenv("VCON_PIPELINES_DIR", str(folder))
    monkeypatch.setenv("VCON_WEBSERVER_PORT", str(free_port()))
    return folder


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A definition in a file that is in no definitions folder."""
    path = tmp_path / "notes.yaml"
    path.write_text(GOOD)
    return path


def test_validate_names_every_fault_of_every_file_and_exits_with_1(run: Run, folder: Path) -> None:
    (folder / "good.yaml").write_text(GOOD)
    (folder / "wrong.yaml").write_text(WRONG)
    done = run("pipelines", "validate")
    assert done.exit_code == 1
    assert "good.yaml: good" in done.stdout
    assert "/pipeline_options/timeot: no such option (did you mean 'timeout'?)" in done.stdout
    assert "/processors/0/processor_name" in done.stdout


def test_validate_needs_no_running_platform(
    run: Run, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.setenv("VCON_DATA_DIR", str(tmp_path / "never-started"))
    assert run("pipelines", "validate", written).exit_code == 0


@pytest.mark.parametrize("name", ["absent.yaml", "notes.txt"])
def test_what_is_no_definition_file_is_told_like_any_fault(run: Run, folder: Path, name: str) -> None:
    done = run("pipelines", "validate", folder / name)
    assert (done.exit_code, f"{name}: refused" in done.stdout) == (1, True)


def test_validate_sees_what_two_files_mean_to_each_other(run: Run, folder: Path) -> None:
    (folder / "a.yaml").write_text("processors: []\npipeline_options: {success_queue: b}")
    (folder / "b.yaml").write_text("processors: []\npipeline_options: {success_queue: a}")
    done = run("pipelines", "validate", "--json")
    assert (done.exit_code, "a → b → a" in json.loads(done.stdout)[0]["faults"][0]["message"]) == (1, True)


def test_validate_names_a_projection_that_nobody_declares(run: Run, folder: Path) -> None:
    (folder / "projections").mkdir()
    columns = "columns: [{name: uuid, type: text, from: uuid}]\ndestinations: [postgres: {table: calls}]"
    (folder / "projections" / "calls.yaml").write_text(f"name: calls\npipelines: [a]\nrows: processor\n{columns}")
    step = "processors: [{{processor_name: projection, processor_options: {{projection: {}}}}}]"
    (folder / "projections" / "broken.yaml").write_text("name: broken")
    (folder / "a.yaml").write_text(step.format("call"))
    (folder / "b.yaml").write_text(step.format("calls"))
    done = run("pipelines", "validate", "--json")
    wrong, right = json.loads(done.stdout)
    assert wrong["faults"] == [
        {
            "pointer": "/processors/0/processor_options/projection",
            "message": "no such projection (did you mean 'calls'?); there are calls; "
            "not to be used as they are: broken.yaml",
        }
    ]
    assert right["faults"] == []


def test_put_stores_a_version_and_says_that_dagster_is_down(run: Run, folder: Path, written: Path) -> None:
    done = run("pipelines", "put", written, "--by", "ada")
    assert done.exit_code == 0
    assert "notes is stored as version 1" in done.stdout
    assert "goes live when Dagster starts" in done.stdout
    assert [each["by"] for each in json.loads(run("pipelines", "versions", "notes", "--json").stdout)] == ["ada"]


def test_put_of_a_version_that_is_not_the_newest_any_more_is_refused(run: Run, folder: Path, written: Path) -> None:
    run("pipelines", "put", written, "--wait", "0")
    done = run("pipelines", "put", written, "--wait", "0", "--base", "0")
    assert (done.exit_code, "somebody else changed it" in done.stderr) == (1, True)


def test_diff_show_and_rollback_work_on_versions(run: Run, folder: Path, written: Path) -> None:
    run("pipelines", "put", written, "--wait", "0")
    written.write_text(GOOD.replace("recall]", "danger]"))
    run("pipelines", "put", written, "--wait", "0")
    assert "-    - recall\n+    - danger" in run("pipelines", "diff", "notes").stdout
    assert run("pipelines", "rollback", "notes", "1", "--wait", "0").exit_code == 0
    assert "- recall" in run("pipelines", "show", "notes").stdout
    assert "- danger" in run("pipelines", "show", "notes", "--version", "2").stdout


def test_what_a_file_defines_is_not_changed_from_here(run: Run, folder: Path, written: Path) -> None:
    (folder / "notes.yaml").write_text(GOOD)
    for verb in (["put", written], ["delete", "notes"], ["rollback", "notes", "1"]):
        done = run("pipelines", *verb)
        assert (done.exit_code, "defined by the file notes.yaml" in done.stderr) == (1, True)


def test_a_deleted_definition_comes_back(run: Run, folder: Path, written: Path) -> None:
    run("pipelines", "put", written, "--wait", "0")
    assert run("pipelines", "delete", "notes", "--wait", "0").exit_code == 0
    assert json.loads(run("pipelines", "list", "--json").stdout) == []
    assert run("pipelines", "rollback", "notes", "1", "--wait", "0").exit_code == 0
    assert [each["name"] for each in json.loads(run("pipelines", "list", "--json").stdout)] == ["notes"]


def test_list_shows_what_is_broken(run: Run, folder: Path) -> None:
    (folder / "wrong.yaml").write_text(WRONG)
    done = run("pipelines", "list")
    assert (done.exit_code, "broken" in done.stdout, "did you mean" in done.stderr) == (0, True, True)


def test_reload_without_dagster_exits_with_1_and_says_so(run: Run, folder: Path) -> None:
    done = run("pipelines", "reload")
    assert (done.exit_code, "does not answer" in done.stdout) == (1, True)


def test_an_option_that_is_none_exits_with_2(run: Run, folder: Path) -> None:
    assert run("pipelines", "rollback", "notes", "first").exit_code == 2


def test_a_conserver_is_imported_into_files_and_what_cannot_run_is_set_apart(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    config = Path(__file__).parents[1] / "data" / "conserver" / "config.yml"
    done = run("pipelines", "import-conserver", config, "--to", tmp_path / "out")
    assert done.exit_code == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["full_chain.yaml.incomplete", "simple.yaml"]
    assert "VCON_SECRET_TRANSCRIPT_DEEPGRAM_KEY" in done.stderr
    assert run("pipelines", "validate", tmp_path / "out" / "simple.yaml").exit_code == 0
    again = run("pipelines", "import-conserver", config, "--to", tmp_path / "out")
    assert "--force" in again.stderr
