"""What children get to see, what .env says, and the settings' way through both."""

from __future__ import annotations

from datetime import date
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from dotenv import dotenv_values
from hypothesis import given
from hypothesis import strategies as st

from vcon_platform.cli import main
from vcon_platform.references import value_of
from vcon_platform.services.env_file import write_env_file
from vcon_platform.services.environment import child_environment
from vcon_platform.settings import Settings, env_file, load_settings


@given(
    redis=st.none() | st.just("redis://:p%40ss@somewhere:1/0"),
    port=st.integers(1, 65535),
    day=st.dates(date(2000, 1, 1), date(2100, 1, 1)),
)
def test_a_child_reads_the_very_settings_of_its_parent(redis: str | None, port: int, day: date) -> None:
    parent = Settings(_env_file=None, redis_url_setting=redis, api_port=port, partitions_start=day)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in child_environment(parent, {"REDIS_URL": "redis://inherited"}).items():
            patch.setenv(name, value)
        if redis is None:
            patch.delenv("REDIS_URL", raising=False)
        child = load_settings()
    assert child.redis_url_setting == parent.redis_url_setting
    assert (child.api_port, child.partitions_start) == (port, day)
    assert child.data_dir == parent.data_dir


def test_a_setting_that_is_not_set_is_not_inherited_either() -> None:
    assert "REDIS_URL" not in child_environment(Settings(_env_file=None), {"REDIS_URL": "redis://inherited"})


def test_children_compile_byte_code_and_never_read_a_dotenv_file() -> None:
    environment = child_environment(Settings(_env_file=None), {"PYTHONDONTWRITEBYTECODE": "1"})
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment["VCON_ENV_FILE"] == ""


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("VCON_API_PORT=1111\nVCON_WEBSERVER_PORT=2222\nOPENAI_API_KEY=from-file\n")
    monkeypatch.delenv("VCON_ENV_FILE", raising=False)
    monkeypatch.setenv("VCON_ROOT", str(tmp_path))
    monkeypatch.setenv("VCON_API_PORT", "3333")
    settings = load_settings()
    assert (settings.api_port, settings.webserver_port) == (3333, 2222)
    assert child_environment(settings, {})["OPENAI_API_KEY"] == "from-file"
    assert child_environment(settings, {"OPENAI_API_KEY": "from-shell"})["OPENAI_API_KEY"] == "from-shell"


def test_the_file_is_the_installations_not_the_callers_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / ".env").write_text("VCON_API_PORT=1111\n")
    (tmp_path / ".env").write_text("VCON_API_PORT=2222\n")
    monkeypatch.delenv("VCON_ENV_FILE", raising=False)
    monkeypatch.setenv("VCON_ROOT", str(tmp_path))
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert env_file() == tmp_path / ".env"
    assert load_settings().api_port == 2222


def test_init_writes_a_private_file_that_dagster_understands(tmp_path: Path) -> None:
    write_env_file(tmp_path)
    file = tmp_path / ".env"
    assert dotenv_values(file) == {"DAGSTER_HOME": str(tmp_path / "dagster_home")}
    assert file.stat().st_mode & 0o077 == 0


def test_init_again_changes_nothing_and_mends_the_line_when_the_checkout_moved(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    write_env_file(first)
    with (first / ".env").open("a") as file:
        file.write("VCON_API_PORT=1234\n")
    text = (first / ".env").read_text()
    assert "up to date" in write_env_file(first)
    assert (first / ".env").read_text() == text
    first.rename(second)
    assert "moved" in write_env_file(second)
    assert dotenv_values(second / ".env") == {"DAGSTER_HOME": str(second / "dagster_home"), "VCON_API_PORT": "1234"}


def test_init_leaves_a_file_of_the_users_own_alone(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    for text in ("DAGSTER_HOME=/srv/dagster\n", "VCON_API_PORT=1234\n"):
        file.write_text(text)
        assert "DAGSTER_HOME" in write_env_file(tmp_path)
        assert file.read_text() == text


def test_a_command_finds_what_the_file_sets_and_the_shells_variables_win(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_KEY=from-file\nDEEPGRAM_KEY=from-file\n")
    for name, value in {"VCON_ROOT": str(tmp_path), "OPENAI_API_KEY": "from-shell", "DEEPGRAM_KEY": ""}.items():
        monkeypatch.setenv(name, value)  # also restores them afterwards
    for name in ("VCON_ENV_FILE", "DEEPGRAM_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("vcon_platform.cli.app", lambda: None)
    main()
    assert [value_of("env:OPENAI_API_KEY"), value_of("env:DEEPGRAM_KEY")] == ["from-shell", "from-file"]


def test_the_console_script_reads_the_file() -> None:
    [script] = entry_points(group="console_scripts", name="vcon-platform")
    assert script.load() is main
