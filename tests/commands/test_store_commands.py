"""``vcon-platform store``: what is wrong is named, and what can be mended is."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import orjson
import pytest

from tests.commands.conftest import Add, Run
from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.pipelines.catalogue import Catalogue
from vcon_platform.pipelines.queueing import QueueDesk
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.jobs import new_job
from vcon_platform.store.leases import Queues
from vcon_platform.store.media import object_key
from vcon_platform.store.opening import Store
from vcon_platform.vcon.media import encode_base64url

LONG = b"RIFF\0\0\0\0WAVE" + b"sound" * 100_000


def _recording() -> list[dict[str, object]]:
    dialog = {"type": "recording", "start": "2026-11-02T09:00:00Z", "mediatype": "audio/x-wav", "parties": 0}
    return [{**dialog, "body": encode_base64url(LONG), "encoding": "base64url"}]


def _token(store: Store, uuid: str) -> str:
    return str(store.documents.read_one(uuid).dialog[0]["content_hash"])


def _ended(settings: Settings, uuid: str, event: EventKind = EventKind.DONE) -> None:
    Ledger(settings.postgres_url()).append([LedgerEvent(vcon_uuid=uuid, event=event, pipeline="recall")])


def _waiting(store: Store) -> list[str]:
    return [orjson.loads(raw)["vcon_uuid"][0] for raw in store.client.lrange(keys.queue("recall"), 0, -1)]


# --- check -----------------------------------------------------------------------------------------------------


def test_an_empty_store_is_sound(run: Run) -> None:
    assert run("store", "check").exit_code == 0


@pytest.mark.parametrize("options", [[], ["--deep"]], ids=["quick", "deep"])
def test_a_sound_store_passes(run: Run, add: Add, options: list[str]) -> None:
    add(dialog=_recording())
    done = run("store", "check", *options)
    assert (done.exit_code, done.stdout) == (0, "")
    assert "1 vCon compared, 0 faults" in done.stderr


def test_a_lost_recording_is_named_with_its_vcon(run: Run, add: Add, store: Store) -> None:
    uuid, sound = add(dialog=_recording()), add()
    obstore.delete(store.objects, object_key(_token(store, uuid)))
    done = run("store", "check")
    assert done.exit_code == 1
    assert f"{uuid}  media_missing" in done.stdout
    assert sound not in done.stdout


def test_differences_are_json_for_programs(run: Run, add: Add, store: Store) -> None:
    uuid = add(dialog=_recording())
    obstore.delete(store.objects, object_key(_token(store, uuid)))
    [line] = run("store", "check", "--json").stdout.splitlines()
    assert (json.loads(line)["uuid"], json.loads(line)["fault"]) == (uuid, "media_missing")


def test_only_a_deep_check_notices_bytes_that_changed(run: Run, add: Add, store: Store) -> None:
    uuid = add(dialog=_recording())
    obstore.put(store.objects, object_key(_token(store, uuid)), LONG[:-1] + b"!")
    assert run("store", "check").exit_code == 0
    deep = run("store", "check", "--deep")
    assert (deep.exit_code, f"{uuid}  media_broken" in deep.stdout) == (1, True)


# --- rebuild ---------------------------------------------------------------------------------------------------


def test_a_lost_redis_comes_back_and_only_what_was_unfinished_is_queued_again(
    run: Run, add: Add, store: Store, deployed: Settings
) -> None:
    done, filtered, unfinished, plain = add("-q", "recall"), add("-q", "recall"), add("-q", "recall"), add()
    _ended(deployed, done)
    _ended(deployed, filtered, EventKind.FILTERED)
    everything = {uuid: store.documents.read_one(uuid).data for uuid in (done, filtered, unfinished, plain)}
    store.client.flushall()
    told = run("store", "rebuild")
    assert (told.exit_code, "4 put back" in told.stdout) == (0, True)
    assert "Queued again for recall: 1 vCon" in told.stdout
    assert _waiting(store) == [unfinished]
    assert {uuid: vcon.data for uuid, vcon in store.documents.read(list(everything)).items()} == everything
    assert run("store", "check").exit_code == 0
    assert len(run("vcon", "search", "toaster").stdout.split()) == 4


def test_what_was_queued_again_and_what_was_withdrawn_is_known_after_a_rebuild(
    run: Run, add: Add, store: Store, deployed: Settings
) -> None:
    again, withdrawn, retried = add("-q", "recall"), add("-q", "recall"), add("-q", "recall")
    _ended(deployed, again)
    _ended(deployed, retried, EventKind.FAILED)
    _ended(deployed, retried, EventKind.RETRIED)
    desk = QueueDesk(Queues(store.client), store.documents, lambda: Catalogue({}, {}), by="operator")
    desk.push("recall", [new_job(again)])
    desk.withdraw("recall", [job.id for job in desk.queues.jobs("recall") if job.vcon_uuids == (withdrawn,)])
    ship_all(store.client, Ledger(deployed.postgres_url()))
    store.client.flushall()
    run("store", "rebuild")
    assert sorted(_waiting(store)) == sorted([again, retried])


def test_before_a_rebuild_nothing_new_is_let_in(run: Run, add: Add, store: Store) -> None:
    add()
    store.client.flushall()
    refused = run("vcon", "add", "-", input=b'{"uuid": "018f3a2b-4c5d-8e6f-9012-3456789abcde", "parties": []}')
    assert (refused.exit_code, "store rebuild" in refused.stderr) == (1, True)


def test_a_rebuild_of_a_sound_store_changes_nothing(run: Run, add: Add, store: Store, deployed: Settings) -> None:
    waiting, leased, ended = add("-q", "recall"), add("-q", "recall"), add("-q", "recall")
    jobs = store.client.lrange(keys.queue("recall"), 0, -1)
    store.client.delete(keys.queue("recall"))
    store.client.rpush(keys.queue("recall"), jobs[1])
    [job], _ = Queues(store.client).lease("recall", batch_id="b", owner="run", limit=1)
    store.client.rpush(keys.queue("recall"), jobs[0])
    event = LedgerEvent(vcon_uuid=ended, event=EventKind.DONE, pipeline="recall")
    store.client.xadd(keys.OUTBOX, {"events": orjson.dumps([event])})
    told = run("store", "rebuild")
    assert (job.vcon_uuids, told.exit_code, "3 there already" in told.stdout) == ((leased,), 0, True)
    assert _waiting(store) == [waiting]
    assert "Queued again" not in told.stdout


def test_what_a_broken_off_rebuild_did_not_queue_the_next_one_does(
    run: Run, add: Add, store: Store, deployed: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    uuid = add("-q", "recall")
    store.client.flushall()
    with monkeypatch.context() as patch:
        patch.setattr("vcon_platform.pipelines.unfinished.requeue_unfinished", _dies)
        with pytest.raises(KeyError):
            run("store", "rebuild")
    assert (_waiting(store), store.documents.known([uuid])) == ([], {uuid})
    run("store", "rebuild")
    assert _waiting(store) == [uuid]


def _dies(*_: object) -> None:
    raise KeyError


def test_without_postgres_nothing_is_rebuilt(run: Run, add: Add, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    uuid = add("-q", "recall")
    store.client.flushall()
    monkeypatch.setenv("POSTGRES_URL", "postgresql://nobody:x@127.0.0.1:1/none")
    told = run("store", "rebuild")
    assert (told.exit_code, "POSTGRES_URL" in told.stderr) == (1, True)
    assert store.client.exists(keys.document(uuid)) == 0


# --- sweep, reindex --------------------------------------------------------------------------------------------


def test_a_sweep_sets_aside_what_nobody_refers_to_and_says_so(
    run: Run, add: Add, store: Store, deployed: Settings
) -> None:
    uuid = add(dialog=_recording())
    orphan = store.media.keep_chunks([b"of nobody"])
    store.client.delete(keys.MEDIA_PINS)  # its writer gave up long ago
    _age(deployed.objects_dir)
    told = run("store", "sweep", "--older-than", "1")
    assert (told.exit_code, "Set aside: 1; put back: 0; deleted: 0" in told.stdout) == (0, True)
    assert "old and needed: 1" in told.stdout
    assert store.media.has(_token(store, uuid))
    assert _names(store, object_key(orphan)) == []


def _age(folder: Path) -> None:
    past = (datetime.now(UTC) - timedelta(days=2)).timestamp()
    for path in folder.rglob("*"):
        os.utime(path, (past, past))


def _names(store: Store, prefix: str) -> list[str]:
    return [meta["path"] for chunk in obstore.list(store.objects, prefix) for meta in chunk]


def test_a_sweep_refuses_where_redis_forgot(run: Run, add: Add, store: Store) -> None:
    add(dialog=_recording())
    store.client.flushall()
    told = run("store", "sweep")
    assert (told.exit_code, "store rebuild" in told.stderr) == (1, True)


@pytest.mark.parametrize("lost", ["search", "listing"])
def test_reindex_mends_what_check_sends_to_it(run: Run, add: Add, store: Store, lost: str) -> None:
    uuid, other = add(), add()
    store.client.delete(keys.search(uuid) if lost == "search" else keys.LISTING)
    check = run("store", "check")
    assert (check.exit_code, f"{uuid}  not_" in check.stdout, "store reindex" in check.stdout) == (1, True, True)
    told = run("store", "reindex")
    assert (told.exit_code, told.stdout) == (0, "2 vCons can be found.\n")
    assert run("store", "check").exit_code == 0
    assert set(run("vcon", "search").stdout.split()) == {uuid, other}


def test_without_redis_every_command_says_so(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
    for command in (("check",), ("rebuild",), ("sweep",), ("reindex",)):
        told = run("store", *command)
        assert (told.exit_code, "Error: " in told.stderr) == (1, True), command
