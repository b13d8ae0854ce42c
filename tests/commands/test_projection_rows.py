"""``vcon-platform projections preview``, ``plan`` and ``export``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.commands.conftest import Add, Run, document
from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.ledger.store import Ledger
from vcon_platform.projections.destinations.postgres.destination import PostgresDestination
from vcon_platform.projections.outcome import Outcome
from vcon_platform.projections.reading import declared
from vcon_platform.projections.rows import build_rows
from vcon_platform.settings import Settings, load_settings
from vcon_platform.store.opening import Store

DECLARATION = """
name: notes
pipelines: [recall]
rows: conversation
columns:
  - {name: uuid, type: text, from: uuid}
  - {name: who, type: text, from: "transcript.text"}
  - {name: verdict, type: text, from: verdict}
destinations: [{postgres: {table: notes}}]
"""


@pytest.fixture
def folder(deployed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The installation's declarations: one."""
    where = tmp_path / "definitions" / "projections"
    where.mkdir(parents=True)
    (where / "notes.yaml").write_text(DECLARATION)
    monkeypatch.setenv("VCON_PIPELINES_DIR", str(where.parent))
    return where


def test_a_preview_shows_the_rows_by_the_verdict_in_the_ledger(run: Run, add: Add, folder: Path) -> None:
    uuid = add()
    ended = {"pipeline": "recall", "pipeline_version": "1", "event": EventKind.FILTERED}
    Ledger(load_settings().postgres_url()).append([LedgerEvent(vcon_uuid=uuid, **ended)])  # type: ignore[arg-type]
    done = run("projections", "preview", uuid)
    assert done.exit_code == 0
    assert "notes: 1 row on 2026-11-02 (verdict filtered)" in done.stdout
    assert "the toaster burns" in done.stdout


def test_a_preview_takes_a_file_and_a_declaration_that_are_not_here_yet(run: Run, folder: Path, tmp_path: Path) -> None:
    call, declaration = tmp_path / "call.vcon", tmp_path / "mine.yaml"
    call.write_bytes(orjson.dumps(document()))
    declaration.write_text(DECLARATION.replace("type: text, from: verdict", "type: integer, from: verdict"))
    done = run("projections", "preview", call, "-d", declaration, "--json")
    assert done.exit_code == 1
    (told,) = json.loads(done.stdout)
    assert told["rows"][0]["who"] == "the toaster burns"
    assert told["rejected"] == [{"column": "verdict", "reason": "not a whole number"}]


def test_a_preview_of_a_projection_that_is_not_declared_offers_another(run: Run, folder: Path) -> None:
    done = run("projections", "preview", "018f2b6e-4c1d-8a52-9f7e-0d3c5b1a2e4f", "-p", "ntes")
    assert (done.exit_code, "did you mean 'notes'" in done.stderr) == (1, True)


def test_a_plan_is_run_as_it_is_printed_and_then_there_is_nothing_to_do(run: Run, folder: Path) -> None:
    done = run("projections", "plan", "notes")
    assert done.exit_code == 0
    assert 'CREATE TABLE "public"."notes"' in done.stdout
    declaration = declared("notes", load_settings())
    PostgresDestination(load_settings().postgres_url()).ensure(declaration)
    assert "notes in postgres: nothing to change" in run("projections", "plan").stdout
    (folder / "notes.yaml").write_text(DECLARATION.replace("{name: verdict, type: text", "{name: verdict, type: date"))
    refused = run("projections", "plan")
    assert refused.exit_code == 1
    assert "-- refused: column verdict of public.notes is text" in refused.stdout


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), '"uuid","who","verdict"\r\n"{uuid}","\'=the toaster","done"\r\n'),
        (("--verbatim",), '"uuid","who","verdict"\r\n"{uuid}","=the toaster","done"\r\n'),
        (("--format", "ndjson"), '{{"uuid":"{uuid}","who":"=the toaster","verdict":"done"}}\n'),
    ],
)
def test_an_export_writes_what_has_landed(
    run: Run, add: Add, folder: Path, store: Store, tmp_path: Path, options: tuple[str, ...], expected: str
) -> None:
    said: dict[str, Any] = document()["dialog"][0] | {"body": "=the toaster"}
    uuid = add(dialog=[said])
    declaration = declared("notes", load_settings())
    rows = build_rows(declaration, store.documents.read_one(uuid), Outcome("recall", "1", "done"))
    destination = PostgresDestination(load_settings().postgres_url())
    destination.ensure(declaration)
    with destination.session(declaration, [rows.day]) as session:
        session.write([rows])
    out = tmp_path / "notes.out"
    days = ("--from", "2026-11-01", "--to", "2026-11-30")
    done = run("projections", "export", "notes", *days, *options, "-o", out)
    assert (done.exit_code, done.stderr.startswith("1 rows of notes in ")) == (0, True)
    assert out.read_bytes().decode() == expected.format(uuid=uuid)
    assert list(tmp_path.glob(".*.part")) == []
