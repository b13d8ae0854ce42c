"""``vcon-platform queue`` as an operator types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands.conftest import Add, Run
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.jobs import DeadJob, new_job
from vcon_platform.store.leases import Queues
from vcon_platform.store.opening import Store
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture(autouse=True)
def _definitions(deployed: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "pipelines"
    folder.mkdir()
    (folder / "recall.yaml").write_text("pipeline_options: {max_waiting: 1, failure_queue: sad}\nprocessors: []\n")
    monkeypatch.setenv("VCON_PIPELINES_DIR", str(folder))


@pytest.fixture
def queues(store: Store) -> Queues:
    return Queues(store.client)


def _fail(store: Store, where: str) -> str:
    job = new_job(new_uuid())
    dead = DeadJob(job=job, code="x", error="too loud", processor="p", batch_id="b", run_id="r", pipeline="recall")
    store.client.rpush(where, dead.to_bytes())
    return job.id


def test_the_list_shows_what_waits_and_what_is_the_matter(run: Run, queues: Queues, store: Store) -> None:
    queues.push("recall", [new_job("a"), new_job("b", priority="urgent")])
    queues.push("old", ["c"])
    queues.pause("recall")
    _fail(store, keys.dead("recall"))
    shown = run("queue", "list").stdout
    [line] = [line for line in shown.splitlines() if line.split()[0] == "recall"]
    assert line.split()[1:7] == ["1", "1", "0", "0", "0", "1"]
    assert "paused, full (1)" in line
    assert "no definition names it" in shown
    assert {each["name"]: each["urgent"] for each in json.loads(run("queue", "list", "--json").stdout)} == {
        "old": 0,
        "recall": 1,
        "sad": 0,
    }


def test_jobs_are_pushed_shown_and_withdrawn(run: Run, add: Add, queues: Queues) -> None:
    uuid = add()
    options = ("--priority", "low", "--dedupe", "--parameter", "limit=5")
    assert run("queue", "push", "recall", uuid, *options).stdout == "1 job queued.\n"
    assert run("queue", "push", "recall", uuid, *options).stdout == "0 jobs queued; 1 wait there already.\n"
    [job] = json.loads(run("queue", "show", "recall", "--json").stdout)["jobs"]
    assert (job["vcon_uuids"], job["priority"], job["parameters"], job["origin"]) == (
        [uuid],
        "low",
        {"limit": 5},
        "operator",
    )
    assert uuid in run("queue", "show", "recall").stdout
    assert run("queue", "withdraw", "recall", job["id"]).stdout == "1 job withdrawn.\n"
    assert queues.waiting("recall") == 0


def test_a_vcon_that_is_not_there_is_named(run: Run, queues: Queues) -> None:
    missing = new_uuid()
    told = run("queue", "push", "recall", missing)
    assert (told.exit_code, missing in told.stderr, queues.waiting("recall")) == (1, True, 0)


def test_a_parameter_that_is_no_json_is_told_without_its_value(run: Run, add: Add) -> None:
    told = run("queue", "push", "recall", add(), "--parameter", "word=secret")
    assert (told.exit_code, "NAME=JSON" in told.stderr, "secret" in told.stderr) == (1, True, False)


def test_a_queue_is_paused_and_resumed(run: Run, queues: Queues) -> None:
    assert run("queue", "pause", "recall").stdout == "Paused.\n"
    assert queues.paused() == {"recall"}
    assert run("queue", "resume", "recall").stdout == "Resumed.\n"
    assert run("queue", "resume", "recall").stdout == "It was not paused.\n"


def test_purging_asks_first_and_may_take_one_origin_only(run: Run, queues: Queues) -> None:
    queues.push("recall", [new_job("a", origin="reprocess:1"), new_job("b")])
    assert (run("queue", "purge", "recall", input=b"n\n").exit_code, queues.waiting("recall")) == (1, 2)
    assert run("queue", "purge", "recall", "--origin", "reprocess:1", "--yes").stdout == "1 job taken out.\n"
    assert [job.vcon_uuids for job in queues.jobs("recall")] == [("b",)]


@pytest.mark.parametrize("where", ["recall", "sad"])
def test_failed_jobs_are_shown_and_brought_back(run: Run, queues: Queues, store: Store, where: str) -> None:
    job_id = _fail(store, keys.dead("recall") if where == "recall" else keys.queue("sad"))
    store.client.sadd(keys.QUEUES, "sad")
    assert "too loud" in run("queue", "dead", where).stdout
    assert run("queue", "redrive", where, job_id).stdout == "1 job queued again.\n"
    assert [job.id for job in queues.jobs("recall")] == [job_id]
    assert run("queue", "redrive", where, job_id).exit_code == 1


def test_to_redrive_without_saying_what_is_refused(run: Run) -> None:
    assert "--all" in run("queue", "redrive", "recall").stderr


def test_an_unknown_queue_is_told_with_what_may_have_been_meant(run: Run) -> None:
    for command in (("show",), ("pause",), ("dead",), ("purge", "--yes")):
        told = run("queue", command[0], "recal", *command[1:])
        assert (told.exit_code, "did you mean 'recall'" in told.stderr) == (1, True), command
