"""A scaffolded plugin is a package that installs, passes its tests and runs in a pipeline, with nothing added to it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from redis import Redis
from typer.testing import CliRunner

from tests.pipelines.support import engine, stored
from tests.processors.support import document
from vcon_platform.commands.processors import app
from vcon_platform.pipelines.definition import read_definition
from vcon_platform.processors.registry import load_processors
from vcon_platform.processors.scaffold import CannotScaffold, plugin_files, scaffold
from vcon_platform.store.commits import NewVcon
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid


def _installed(package: Path, target: Path) -> None:
    """Install it as anybody would, into a folder of its own; no index is asked for anything."""
    uv = Path(sys.executable).with_name("uv")
    tool = [str(uv), "pip", "install", "--offline", "--python", sys.executable]
    if not uv.exists():
        tool = [sys.executable, "-m", "pip", "install", "--no-index", "--disable-pip-version-check"]
    arguments = ["--quiet", "--no-deps", "--no-build-isolation", "--target", str(target), str(package)]
    done = subprocess.run([*tool, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugin")
    shown = CliRunner().invoke(app, ["new", "chat_length", "--dir", str(folder)])
    assert shown.exit_code == 0, shown.output
    return folder / "vcon-processor-chat-length"


@pytest.fixture(scope="module")
def installed(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    _installed(package, target)
    return target


@pytest.fixture
def stranger(installed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed package can be found in this process."""
    monkeypatch.syspath_prepend(str(installed))


def test_its_own_tests_pass(package: Path, installed: Path) -> None:
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=package,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(installed), str(root)))},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


@pytest.mark.usefixtures("stranger")
def test_it_stands_among_the_processors_once_it_is_installed() -> None:
    registry = load_processors()
    assert (registry.get("chat_length").title, dict(registry.broken)) == ("Chat length", {})


@pytest.mark.usefixtures("stranger")
def test_it_runs_in_a_pipeline(redis_client: Redis, tmp_path: Path) -> None:
    work = engine(redis_client, tmp_path)
    pipeline = read_definition("recall", {"processors": [{"processor_name": "chat_length"}]}, load_processors())
    dialog = [{"type": "text", "parties": [0], "body": "Good morning.", "encoding": "none", "mediatype": "text/plain"}]
    vcon = Vcon(document(uuid=new_uuid(), dialog=dialog, analysis=[], attachments=[]))
    list(work.documents.create([NewVcon(vcon, queues=["recall"])]))
    batch = work.open(pipeline, batch_id="run-1", owner="run-1", limit=10)
    work.step(batch, 0, pipeline.steps[0])
    work.settle(pipeline, batch)
    [analysis] = work.documents.read_one(vcon.uuid).analysis
    assert (analysis["type"], analysis["body"]) == ("chat_length", {"turns": 1, "words": 2})


@pytest.mark.usefixtures("stranger")
def test_a_conversation_that_it_is_nothing_for_goes_on(redis_client: Redis, tmp_path: Path) -> None:
    work = engine(redis_client, tmp_path)
    pipeline = read_definition("recall", {"processors": [{"processor_name": "chat_length"}]}, load_processors())
    stored(work, "silence")
    batch = work.open(pipeline, batch_id="run-1", owner="run-1", limit=10)
    assert work.step(batch, 0, pipeline.steps[0]).skipped == 1


def test_its_processor_is_short() -> None:
    code = plugin_files("chat_length")["vcon_processor_chat_length/__init__.py"]
    body = code[code.index("class ChatLength(") :]
    assert len(body.splitlines()) <= 30


def test_every_place_of_the_templates_is_filled() -> None:
    files = plugin_files("a_b2")
    assert "$" not in "".join(files.values())
    assert "class AB2(" in files["vcon_processor_a_b2/__init__.py"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("Long Calls", "call it 'long_calls'"),
        ("2fa", "call it 'my_processor'"),
        ("a__b", "call it 'a_b'"),
        ("x" * 64, "at most 63"),
        ("transcribe", "already"),
        ("deepgram_link", "link of the conserver"),
        ("../evil", "call it 'evil'"),
    ],
)
def test_a_name_that_cannot_be_says_why(name: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(CannotScaffold, match=why.replace("(", r"\(")):
        scaffold(name, tmp_path, load_processors())
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    target = scaffold("mine", tmp_path, load_processors())
    (target / "README.md").write_text("mine")
    with pytest.raises(CannotScaffold, match="nothing was written"):
        scaffold("mine", tmp_path, load_processors())
    assert (target / "README.md").read_text() == "mine"
