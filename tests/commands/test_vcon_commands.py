"""``vcon-platform vcon``: what goes in comes out, is found, and what was refused is told."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import orjson
import pytest

from tests.commands.conftest import Add, Run, document
from vcon_platform.store import keys
from vcon_platform.store.opening import Store
from vcon_platform.vcon.bundle_writing import write_bundle
from vcon_platform.vcon.media import content_hash_of, encode_base64url
from vcon_platform.vcon.uuids import new_uuid

LONG = b"RIFF\0\0\0\0WAVE" + b"sound" * 100_000


def _file(folder: Path, content: bytes, name: str = "some.vcon.json") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def _recording() -> dict[str, object]:
    dialog = {"type": "recording", "start": "2026-11-02T09:00:00Z", "mediatype": "audio/x-wav", "parties": 0}
    return document(dialog=[{**dialog, "body": encode_base64url(LONG), "encoding": "base64url"}])


@pytest.fixture
def postgres_url() -> str:
    """Where nobody listens: none of these commands needs Postgres."""
    return "postgresql://nobody:none@127.0.0.1:1/none"


# --- add -------------------------------------------------------------------------------------------------------


def test_a_file_is_taken_in_and_its_uuid_is_told(run: Run, store: Store, tmp_path: Path) -> None:
    value = document()
    done = run("vcon", "add", _file(tmp_path, orjson.dumps(value)))
    assert (done.exit_code, f"created {value['uuid']}, revision 1" in done.stdout) == (0, True)
    assert store.documents.read_one(value["uuid"]).data["dialog"] == value["dialog"]


def test_stdin_is_taken_in(run: Run, store: Store) -> None:
    value = document()
    assert run("vcon", "add", "-", input=orjson.dumps(value)).exit_code == 0
    assert store.documents.known([value["uuid"]]) == {value["uuid"]}


def test_a_gzipped_file_is_taken_in(run: Run, store: Store, tmp_path: Path) -> None:
    value = document()
    assert run("vcon", "add", _file(tmp_path, gzip.compress(orjson.dumps(value)))).exit_code == 0
    assert store.documents.known([value["uuid"]]) == {value["uuid"]}


def test_of_a_bundle_every_document_is_taken_in_under_its_name_there(run: Run, store: Store, tmp_path: Path) -> None:
    values = [document(), document()]
    bundle = io.BytesIO()
    write_bundle(
        bundle,
        [(value["uuid"], orjson.dumps(value)) for value in values],
        [(content_hash_of(LONG), "audio/x-wav", [LONG])],
    )
    done = run("vcon", "add", _file(tmp_path, bundle.getvalue(), "some.VCONZ"))
    assert done.exit_code == 0
    assert all(f"some.VCONZ:vcons/{value['uuid']}.json: created {value['uuid']}" in done.stdout for value in values)
    assert len(store.documents.known([value["uuid"] for value in values])) == 2


def test_a_bundle_that_was_written_is_taken_in_again(run: Run, store: Store, tmp_path: Path) -> None:
    value = _recording()
    run("vcon", "add", _file(tmp_path, orjson.dumps(value)))
    target = tmp_path / "calls.vconz"
    assert run("vcon", "bundle", value["uuid"], "-o", target).exit_code == 0
    done = run("vcon", "add", target)
    assert (done.exit_code, str(value["uuid"]) in done.stdout) == (0, True)


def test_one_that_is_refused_harms_no_other(run: Run, store: Store, tmp_path: Path) -> None:
    first, last = document(), document()
    done = run(
        "vcon",
        "add",
        _file(tmp_path, orjson.dumps(first), "first"),
        _file(tmp_path, orjson.dumps(document(parties=None)), "broken"),
        _file(tmp_path, orjson.dumps(last), "last"),
    )
    assert done.exit_code == 1
    assert "broken: refused" in done.stderr
    assert "/parties" in done.stderr
    assert len(store.documents.known([first["uuid"], last["uuid"]])) == 2


def test_a_file_that_is_not_there_harms_no_other(run: Run, store: Store, tmp_path: Path) -> None:
    value = document()
    done = run("vcon", "add", tmp_path / "nowhere", tmp_path, _file(tmp_path, orjson.dumps(value)))
    assert done.exit_code == 1
    assert "nowhere: No such file" in done.stderr
    assert "Is a directory" in done.stderr
    assert store.documents.known([value["uuid"]])


def test_json_has_one_line_for_each_document(run: Run, tmp_path: Path) -> None:
    value = document()
    good, bad = _file(tmp_path, orjson.dumps(value), "good"), _file(tmp_path, b"{", "bad")
    done = run("vcon", "add", "--json", good, bad, tmp_path / "nowhere")
    created, refused, unread = map(json.loads, done.stdout.splitlines())
    assert {**created, "findings": None} == {
        "file": str(good),
        "status": created["status"],
        "outcome": "created",
        "uuid": value["uuid"],
        "revision": 1,
        "form": "unsigned",
        "state": "ready",
        "findings": None,
    }
    assert (refused["outcome"], refused["status"], len(refused["faults"])) == ("refused", 400, 1)
    assert unread["outcome"] == "unread"


def test_it_enters_each_named_queue_once(add: Add, store: Store) -> None:
    add("--queue", "recall", "-q", "other", "-q", "recall")
    assert [store.client.llen(keys.queue(queue)) for queue in ("recall", "other")] == [1, 1]


def test_a_queue_that_no_pipeline_can_have_is_told(run: Run, store: Store) -> None:
    done = run("vcon", "add", "-", "--queue", "a:b", input=orjson.dumps(document()))
    assert done.exit_code == 1
    assert "queue 'a:b'" in done.stderr
    assert list(store.documents.archive.walk()) == []


def test_strict_refuses_what_is_otherwise_remarked(run: Run, add: Add, store: Store) -> None:
    value = document(vcon="9.9.9")
    refused = run("vcon", "add", "-", "--strict", input=orjson.dumps(value))
    assert (refused.exit_code, store.documents.known([value["uuid"]])) == (1, set())
    assert run("vcon", "add", "-", input=orjson.dumps(value)).exit_code == 0


def test_the_same_again_is_known_and_another_content_a_revision(run: Run) -> None:
    value = document()
    run("vcon", "add", "-", input=orjson.dumps(value))
    assert "known" in run("vcon", "add", "-", input=orjson.dumps(value)).stdout
    value["subject"] = "a toaster"
    assert "revised" in run("vcon", "add", "-", input=orjson.dumps(value)).stdout


def test_a_source_that_is_no_name_is_refused(run: Run) -> None:
    done = run("vcon", "add", "-", "--source", "No Name", input=orjson.dumps(document()))
    assert (done.exit_code, "--source" in done.stderr) == (2, True)


def test_a_hostile_file_name_cannot_steer_the_terminal(run: Run, tmp_path: Path) -> None:
    done = run("vcon", "add", _file(tmp_path, b"{", "\x1b[2Jgood\u202e"))
    assert "\\u001b[2Jgood\\u202e: refused" in done.stderr
    assert not {"\x1b", "\u202e"} & set(done.output)


# --- show, original --------------------------------------------------------------------------------------------


def test_a_document_is_shown_with_its_recording(run: Run, tmp_path: Path) -> None:
    value = _recording()
    run("vcon", "add", _file(tmp_path, orjson.dumps(value)))
    shown = run("vcon", "show", str(value["uuid"]))
    assert shown.exit_code == 0
    assert orjson.loads(shown.stdout_bytes)["dialog"][0]["body"] == encode_base64url(LONG)


def test_references_stay_references(run: Run, tmp_path: Path) -> None:
    value = _recording()
    run("vcon", "add", _file(tmp_path, orjson.dumps(value)))
    [dialog] = orjson.loads(run("vcon", "show", "--references", str(value["uuid"])).stdout_bytes)["dialog"]
    assert (dialog["url"], "body" in dialog) == (f"vcon-media:{content_hash_of(LONG)}", False)


@pytest.mark.parametrize("version", ["0.4.0", "0.0.2", "0.0.1", "conserver"])
def test_a_document_is_written_in_each_version(run: Run, add: Add, version: str) -> None:
    uuid = add()
    shown = run("vcon", "show", "--version", version, uuid)
    value = orjson.loads(shown.stdout_bytes)
    assert (shown.exit_code, value["uuid"], value["dialog"][0]["body"]) == (0, uuid, "the toaster burns")
    assert value.get("vcon") == (version if version[0] == "0" else value.get("vcon"))


@pytest.mark.parametrize("spelling", ["vcon:{}", "urn:uuid:{}", " {} "])
def test_a_uuid_may_be_written_in_several_ways(run: Run, add: Add, spelling: str) -> None:
    assert run("vcon", "show", spelling.format(add())).exit_code == 0


@pytest.mark.parametrize("command", ["show", "original", "report", "turns"])
def test_what_is_not_there_is_said_in_a_sentence(run: Run, command: str) -> None:
    unknown = run("vcon", command, new_uuid())
    assert (unknown.exit_code, "Error: " in unknown.stderr, unknown.stdout) == (1, True, "")
    assert run("vcon", command, "nonsense").exit_code == 2


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_the_original_is_the_very_bytes(run: Run, tmp_path: Path, pack: type[bytes]) -> None:
    value = _recording()
    posted = pack(b"  " + json.dumps(value, indent=1).encode() + b"\n")
    run("vcon", "add", _file(tmp_path, posted))
    assert run("vcon", "original", str(value["uuid"])).stdout_bytes == posted


def test_an_earlier_original_can_be_had(run: Run) -> None:
    value = document()
    first = orjson.dumps(value)
    second = orjson.dumps({**value, "subject": "again"})
    for posted in (first, second):
        run("vcon", "add", "-", input=posted)
    assert run("vcon", "original", value["uuid"]).stdout_bytes == second
    assert run("vcon", "original", value["uuid"], "--revision", "1").stdout_bytes == first


# --- report, turns ---------------------------------------------------------------------------------------------


def test_the_report_says_what_departs_from_the_draft(run: Run, add: Add) -> None:
    uuid = add(vcon="9.9.9", attachments=[{"url": "http://localhost/secret"}])
    told = run("vcon", "report", uuid)
    assert told.exit_code == 0
    assert "does not conform" in told.stdout
    assert "/attachments/0" in told.stdout
    assert json.loads(run("vcon", "report", "--json", uuid).stdout)["conformant"] is False


def test_turns_are_a_table(run: Run, add: Add) -> None:
    told = run("vcon", "turns", add())
    assert "party 0" in told.stdout
    assert "the toaster burns" in told.stdout


def test_turns_are_json_for_programs(run: Run, add: Add) -> None:
    [turn] = json.loads(run("vcon", "turns", "--json", add()).stdout)
    assert (turn["text"], turn["party"]) == ("the toaster burns", 0)


def test_what_was_said_cannot_steer_the_terminal(run: Run, add: Add) -> None:
    transcript = {
        "type": "transcript",
        "dialog": 0,
        "vendor": "x",
        "mediatype": "application/json",
        "encoding": "json",
        "body": [{"speaker": "\x1b[31mEve\u202e", "message": "[bold]hello\x1b]0;owned\x07\x9b2J"}],
    }
    recording = {"type": "recording", "start": "2026-11-02T09:00:00Z", "parties": 0}
    told = run("vcon", "turns", add(dialog=[recording], analysis=[transcript]))
    assert "\\u001b[31mEve\\u202e" in told.stdout
    assert "[bold]hello\\u001b]0;owned\\u0007\\u009b2J" in told.stdout
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(told.stdout)


# --- search ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "misses"),
    [
        (["toaster burns"], ["kettle"]),
        (['"toaster burns"'], ['"burns toaster"']),
        (["--tel", "+1 555 0100"], ["--tel", "+15550199"]),
        (["--mailto", "ADA@example.org"], ["--mailto", "eve@example.org"]),
        (["--name", "ada"], ["--name", "eve"]),
        (["--tag", "case:17"], ["--tag", "case:18"]),
        (["--analysis", "summary"], ["--analysis", "transcript"]),
        (["--dialog", "text"], ["--dialog", "recording"]),
        (["--adapter", "mail"], ["--adapter", "cli"]),
        (["--state", "ready"], ["--state", "parked"]),
        (["--since", "2026-11-02"], ["--since", "2026-11-03"]),
        (["--until", "2026-11-02T09:00:01Z"], ["--until", "2026-11-02T09:00Z"]),
    ],
    ids=lambda value: value[0],
)
def test_a_vcon_is_found_by_what_it_is_and_only_by_that(
    run: Run, add: Add, question: list[str], misses: list[str]
) -> None:
    uuid = add(
        "--source",
        "mail",
        analysis=[{"type": "summary", "dialog": 0, "vendor": "x", "body": "short", "encoding": "none"}],
        attachments=[{"purpose": "tags", "encoding": "json", "body": ["case:17"]}],
    )
    found = run("vcon", "search", *question)
    assert (found.exit_code, found.stdout.split(), "1 of 1" in found.stderr) == (0, [uuid], True)
    assert run("vcon", "search", *misses).stdout == ""


def test_pages_go_on_where_the_one_before_ended(run: Run, add: Add) -> None:
    uuids = [add(created_at=f"2026-11-02T09:00:0{second}Z") for second in range(3)]
    first = json.loads(run("vcon", "search", "--json", "--limit", "2").stdout)
    assert (first["uuids"], first["total"]) == ([uuids[2], uuids[1]], 3)
    last = json.loads(run("vcon", "search", "--json", "--limit", "2", "--cursor", first["cursor"]).stdout)
    assert (last["uuids"], last["cursor"]) == ([uuids[0]], None)


def test_the_cursor_is_printed_for_people(run: Run, add: Add) -> None:
    add()
    add()
    told = run("vcon", "search", "--limit", "1").stderr
    cursor = told.strip().rpartition("--cursor ")[2]
    assert run("vcon", "search", "--limit", "1", "--cursor", cursor).exit_code == 0


def test_a_question_that_cannot_be_asked_is_explained(run: Run) -> None:
    cursor, moment = run("vcon", "search", "--cursor", "nonsense"), run("vcon", "search", "--since", "yesterday")
    assert (cursor.exit_code, "cursor" in cursor.stderr) == (1, True)
    assert (moment.exit_code, "2026-11-01" in moment.stderr) == (2, True)


# --- delete ----------------------------------------------------------------------------------------------------


def test_vcons_are_deleted_and_told(run: Run, store: Store, add: Add) -> None:
    one, two = add(), add()
    done = run("vcon", "delete", one, "-", "--yes", input=f"{two}\n\n".encode())
    assert (done.exit_code, done.stdout.split()) == (0, [one, two])
    assert store.documents.known([one, two]) == set()


def test_one_that_is_not_there_is_told_and_the_others_go(run: Run, store: Store, add: Add) -> None:
    uuid, unknown = add(), new_uuid()
    done = run("vcon", "delete", unknown, uuid, "-y")
    assert (done.exit_code, done.stdout.split(), unknown in done.stderr) == (1, [uuid], True)


def test_nothing_is_deleted_that_nobody_could_be_asked_about_or_that_changed(run: Run, store: Store, add: Add) -> None:
    uuid = add()
    assert run("vcon", "delete", uuid).exit_code == 2
    assert run("vcon", "delete", uuid, "--yes", "--revision", 7).exit_code == 1
    assert store.documents.known([uuid]) == {uuid}
