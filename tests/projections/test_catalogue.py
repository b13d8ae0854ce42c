"""The folder of declarations: a broken file harms only itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from vcon_platform.projections.catalogue import load_projections, parse_projection
from vcon_platform.projections.errors import ProjectionInvalid
from vcon_platform.settings import project_root

GOOD = """
name: {name}
pipelines: [recall]
rows: conversation
columns: [{{name: uuid, type: text, from: uuid}}]
destinations: [{{postgres: {{table: {table}}}}}]
"""


def good(name: str = "calls", table: str = "calls") -> str:
    return GOOD.format(name=name, table=table)


def test_the_shipped_projections_are_good() -> None:
    shipped = load_projections(project_root() / "pipelines" / "projections")
    assert dict(shipped.broken) == {}
    assert {each.name: each.grain_name for each in shipped.values()} == {
        "analyses": "analysis",
        "calls": "vcon",
        "parties": "party",
        "recalls": "vcon",
        "scorecards": "each",
        "tags": "tag",
        "turns": "turn",
    }
    assert shipped["recalls"].rows == "processor"
    assert shipped["calls"].rows == "conversation"
    assert {"transcript", "agent", "customer", "created_at"} <= {column.name for column in shipped["recalls"].columns}


def test_a_broken_file_takes_no_other_down(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(good("a", "a"))
    (tmp_path / "b.yaml").write_text("name: [")
    (tmp_path / "c.json").write_text("[1]")
    (tmp_path / "d.yml").write_bytes(b"\xff\xfe\x00name")
    (tmp_path / "e.yaml").write_text(good("e", "e").replace("from: uuid", "from: uid"))
    (tmp_path / "notes.txt").write_text("not a declaration")
    (tmp_path / "z.yaml").mkdir()
    found = load_projections(tmp_path)
    assert list(found) == ["a"]
    assert sorted(found.broken) == ["b.yaml", "c.json", "d.yml", "e.yaml", "z.yaml"]
    assert "line 1" in str(found.broken["b.yaml"])
    assert "e.yaml: /columns/0/from 'uid' is not an extractor; did you mean 'uuid'?" in str(found.broken["e.yaml"])


def test_a_missing_folder_holds_no_projections(tmp_path: Path) -> None:
    assert dict(load_projections(tmp_path / "none")) == {}


def test_two_projections_never_fill_one_table(tmp_path: Path) -> None:
    """Each would delete the other's rows as not its own."""
    (tmp_path / "a.yaml").write_text(good("a", "shared"))
    (tmp_path / "b.yaml").write_text(good("b", "shared"))
    (tmp_path / "c.yaml").write_text(good("a", "other"))
    found = load_projections(tmp_path)
    assert list(found) == ["a"]
    assert "public.shared is filled by projection 'a' already" in str(found.broken["b.yaml"])
    assert "declared by another file" in str(found.broken["c.yaml"])


@pytest.mark.parametrize(
    ("destination", "message"),
    [
        ("{postgers: {table: t}}", "did you mean 'postgres'?"),
        ("{postgres: {}}", "/destinations/0/postgres/table is missing"),
        ("{postgres: {table: 't; DROP TABLE x'}}", "/destinations/0/postgres/table"),
        ("{postgres: {table: t, schema: ledger}}", "not for projections"),
        ("{postgres: {table: t, schema: pg_catalog}}", "not for projections"),
        ("{postgres: {table: t, scheme: x}}", "postgres/scheme is not a member here; did you mean 'schema'?"),
    ],
)
def test_a_destination_checks_its_own_options(destination: str, message: str) -> None:
    with pytest.raises(ProjectionInvalid) as error:
        parse_projection(good().replace("{postgres: {table: calls}}", destination), "calls.yaml")
    assert message in str(error.value)


@pytest.mark.parametrize(
    "text", ["name: a\nname: b\n", "{name: a, 1: b}", "a: &a [*a]\n", "!!python/object:os.system {}", "\0"]
)
def test_yaml_with_a_double_meaning_is_refused(text: str) -> None:
    with pytest.raises(ProjectionInvalid):
        parse_projection(text, "x.yaml")
