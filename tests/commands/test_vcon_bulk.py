"""``vcon-platform vcon list``, ``get``, ``export`` and ``import``: many vCons out of the store and into it."""

from __future__ import annotations

import json
from pathlib import Path

import orjson
import pytest

from tests.commands.conftest import Add, Run, document
from tests.vcon.certificates import made
from vcon_platform.commands import _vcon_in
from vcon_platform.store import keys
from vcon_platform.store.opening import Store
from vcon_platform.vcon.media import encode_base64url
from vcon_platform.vcon.signing import sign
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def postgres_url() -> str:
    """Where nobody listens: none of these commands needs Postgres."""
    return "postgresql://nobody:none@127.0.0.1:1/none"


def _lines(*values: dict[str, object]) -> bytes:
    return b"\n".join(map(orjson.dumps, values)) + b"\n"


# --- list, get -------------------------------------------------------------------------------------------------------


def test_the_newest_stand_first_and_pages_go_on(run: Run, add: Add) -> None:
    uuids = [add(created_at=f"2026-11-02T09:00:0{second}Z") for second in range(3)]
    first = run("vcon", "list", "--limit", "2")
    assert (first.stdout.split(), "2 of 3" in first.stderr) == ([uuids[2], uuids[1]], True)
    cursor = first.stderr.strip().rpartition("--cursor ")[2]
    last = json.loads(run("vcon", "list", "--limit", "2", "--cursor", cursor, "--json").stdout)
    assert (last["uuids"], last["cursor"], last["total"]) == ([uuids[0]], None, 3)


def test_a_span_of_time_is_listed(run: Run, add: Add) -> None:
    uuids = [add(created_at=f"2026-11-0{day}T09:00:00Z") for day in (1, 2, 3)]
    assert run("vcon", "list", "--since", "2026-11-02", "--until", "2026-11-03").stdout.split() == [uuids[1]]
    wrong = run("vcon", "list", "--since", "yesterday")
    assert (wrong.exit_code, "--since" in wrong.stderr) == (2, True)


def test_get_is_show(run: Run, add: Add) -> None:
    uuid = add()
    assert run("vcon", "get", uuid).stdout_bytes == run("vcon", "show", uuid).stdout_bytes


def test_a_stored_one_is_judged_by_what_was_posted(run: Run, tmp_path: Path) -> None:
    root = made("root", ca=True)
    signer = made("Ada", root)
    value = document()
    posted = orjson.dumps(sign(orjson.dumps(value), str(value["uuid"]), signer.key, [signer.certificate]))
    assert run("vcon", "add", "-", input=posted).exit_code == 0
    told = run("vcon", "verify", str(value["uuid"]), "--json")
    judged = json.loads(told.stdout)
    assert (told.exit_code, judged["state"], judged["names"]) == (1, "unverified", ["CN=Ada"])


def test_a_stored_body_is_extracted(run: Run) -> None:
    content = b"RIFF\0\0\0\0WAVE" + b"sound" * 100_000
    dialog = {"type": "recording", "start": "2026-11-02T09:00:00Z", "mediatype": "audio/x-wav", "parties": 0}
    value = document(dialog=[{**dialog, "body": encode_base64url(content), "encoding": "base64url"}])
    run("vcon", "add", "-", input=orjson.dumps(value))
    assert run("vcon", "extract", str(value["uuid"]), "--dialog", "0").stdout_bytes == content


# --- export, import --------------------------------------------------------------------------------------------------


def test_what_was_exported_is_imported_again_and_known(run: Run, add: Add) -> None:
    uuids = [add() for _ in range(3)]
    lines = run("vcon", "export")
    assert (sorted(orjson.loads(line)["uuid"] for line in lines.stdout.splitlines()), lines.exit_code) == (uuids, 0)
    again = run("vcon", "import", "-", input=lines.stdout_bytes)
    assert (again.exit_code, again.stdout, again.stderr.strip() in ("3 known", "3 revised")) == (0, "", True)


def test_only_what_the_options_find_is_exported_in_the_version_that_is_asked(run: Run, add: Add) -> None:
    add("--source", "mail")
    uuid = add("--source", "switch")
    [line] = run("vcon", "export", "--adapter", "switch", "--version", "0.0.1").stdout.splitlines()
    value = orjson.loads(line)
    assert (value["uuid"], value["vcon"], value["analysis"]) == (uuid, "0.0.1", [])


def test_a_folder_takes_a_file_for_each(run: Run, add: Add, tmp_path: Path) -> None:
    uuids = [add(), add()]
    folder = f"{tmp_path}/out/"
    assert run("vcon", "export", "-o", folder).exit_code == 0
    assert sorted(path.name for path in Path(folder).iterdir()) == [f"{uuid}.vcon.json" for uuid in sorted(uuids)]


def test_a_folder_is_imported_with_those_below_it(run: Run, store: Store, tmp_path: Path) -> None:
    values = [document(), document()]
    (tmp_path / "below").mkdir()
    for path, value in zip(("one.json", "below/two.vcon"), values, strict=True):
        (tmp_path / path).write_bytes(orjson.dumps(value))
    (tmp_path / "broken.json").write_bytes(b"{")
    done = run("vcon", "import", tmp_path)
    assert (done.exit_code, "2 created, 1 refused" in done.stderr, "broken.json: refused" in done.stderr) == (
        1,
        True,
        True,
    )
    assert len(store.documents.known([str(value["uuid"]) for value in values])) == 2


def test_a_line_that_is_refused_harms_no_other(run: Run, store: Store) -> None:
    first, last = document(), document()
    done = run("vcon", "import", "-", "-q", "recall", input=_lines(first, document(parties=None), {}, last))
    assert done.exit_code == 1
    assert "line 2: refused" in done.stderr
    assert "line 3: refused" in done.stderr
    assert "2 created, 2 refused" in done.stderr
    assert store.client.llen(keys.queue("recall")) == 2


def test_every_line_is_answered_for_programs(run: Run) -> None:
    value = document()
    answers = run("vcon", "import", "-", "--json", input=b"\n" + _lines(value) + b"{\n").stdout.splitlines()
    created, refused = map(json.loads, answers)
    assert (created["file"], created["outcome"], created["uuid"]) == ("line 2", "created", value["uuid"])
    assert (refused["file"], refused["outcome"], refused["faults"][0]["code"]) == (
        "line 3",
        "refused",
        "malformed_json",
    )


def test_a_line_that_is_too_long_is_passed_over(run: Run, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_vcon_in, "LONGEST_LINE", 2000)
    long, short = document(subject="x" * 5000), document()
    done = run("vcon", "import", "-", input=_lines(long, short))
    assert (done.exit_code, "line 1: it has more than" in done.stderr) == (1, True)
    assert store.documents.known([str(long["uuid"]), str(short["uuid"])]) == {short["uuid"]}


def test_nothing_is_told_as_nothing(run: Run, tmp_path: Path) -> None:
    done = run("vcon", "import", tmp_path)
    assert (done.exit_code, "nothing to import" in done.stderr) == (0, True)
    assert run("vcon", "import", tmp_path / "nowhere").exit_code == 2
    assert run("vcon", "verify", new_uuid()).exit_code == 1
