"""A vCon that goes on in another form: signed or encrypted bytes become its next revision, whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from redis import Redis

from tests.pipelines.support import PROJECTIONS, Judge, Mark, engine
from tests.processors.integrity_support import folders, settings
from vcon_platform.ingress.answer import Outcome, Source
from vcon_platform.ingress.door import Door
from vcon_platform.pipelines.batch import Batch, read_batch
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.direct import run_pipeline
from vcon_platform.pipelines.engine import Engine, Settled
from vcon_platform.pipelines.originals import StoredOriginals
from vcon_platform.pipelines.simulate import Simulator
from vcon_platform.pipelines.timed_child import Lent
from vcon_platform.processors.create_amended import CreateAmended
from vcon_platform.processors.decrypt import Decrypt
from vcon_platform.processors.encrypt import Encrypt
from vcon_platform.processors.projection import ProjectionProcessor
from vcon_platform.processors.registry import Registry
from vcon_platform.processors.sign import Sign
from vcon_platform.processors.verify import Verify
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.archive import Archive
from vcon_platform.store.commits import Commit, NewVcon
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.jobs import new_job
from vcon_platform.store.media import MediaStore
from vcon_platform.store.objects import local_objects
from vcon_platform.store.originals import find_original, original_bytes
from vcon_platform.store.reading import ReadingStore
from vcon_platform.store.results import StoredResults
from vcon_platform.store.rows import RowIndex
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.uuids import new_uuid

CLASSES = (Sign, Verify, Encrypt, Decrypt, CreateAmended, ProjectionProcessor, Mark, Judge)
REGISTRY = Registry({cls.name: cls for cls in CLASSES})
SIGN = ("sign", {"private_pem_key": "file:signer.pem", "cert_chain_pems": ["file:chain.pem"]})
ENCRYPT = ("encrypt", {"public_pem_key": "file:reader.crt"})
DECRYPT = ("decrypt", {"private_pem_key": "file:reader.pem"})
SOUND = b"sound" * 1000

Step = str | tuple[str, dict[str, Any]]


def originals(client: Redis, folder: Path, chosen: Settings) -> StoredOriginals:
    objects = local_objects(folder)
    return StoredOriginals(chosen, DocumentStore(client, Archive(objects)), MediaStore(objects, 1024))


def lent(url: str, folder: Path, chosen: Settings) -> Lent:
    os.environ["VCON_KEYS_DIR"] = str(chosen.trust_dir.parent / "keys") if chosen.trust_dir else ""  # of that process
    client = Redis.from_url(url)
    media = MediaStore(local_objects(folder), 1024)
    return Lent(media, StoredResults(client), {}, None, originals(client, folder, chosen))


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VCON_KEYS_DIR", str(folders() / "keys"))


@pytest.fixture
def work(redis_url: str, redis_client: Redis, tmp_path: Path) -> Iterator[Engine]:
    work = _engine(redis_url, redis_client, tmp_path)
    yield work
    work.close()


def _engine(url: str, client: Redis, folder: Path, *, reads: bool = False, projections: Any = None) -> Engine:
    chosen = settings(reads=reads, data=folder)
    parts = {"originals": originals(client, folder, chosen), "lending": partial(lent, url, folder, chosen)}
    return engine(client, folder, projections, parts)


def piped(*processors: Step, **options: Any) -> Definition:
    entries: list[tuple[str, dict[str, Any]]] = [(each, {}) if isinstance(each, str) else each for each in processors]
    raw = {
        "pipeline_options": options,
        "processors": [{"processor_name": name, "processor_options": chosen} for name, chosen in entries],
    }
    return read_definition("recall", raw, REGISTRY)


def call(work: Engine, **members: Any) -> str:
    """A stored and queued conversation."""
    data = {
        "uuid": new_uuid(),
        "created_at": "2026-11-02T09:00:00Z",
        "parties": [{"name": "Alice"}],
        "dialog": [],
        "analysis": [],
        "attachments": [],
        **members,
    }
    [(uuid, _)] = work.documents.create([NewVcon(Vcon(data), queues=["recall"])])
    return uuid


def again(client: Redis, uuid: str) -> None:
    """Have it worked on once more."""
    client.rpush(keys.queue("recall"), new_job(uuid).to_bytes())


def walked(work: Engine, pipeline: Definition, name: str = "r") -> Batch:
    batch = work.open(pipeline, batch_id=name, owner=name, limit=10)
    for position, step in enumerate(pipeline.steps):
        work.step(batch, position, step)
    return batch


def settled(work: Engine, *processors: Step, **options: Any) -> Settled:
    pipeline = piped(*processors, **options)
    return work.settle(pipeline, walked(work, pipeline))


def original(work: Engine, folder: Path, uuid: str) -> dict[str, Any]:
    media = MediaStore(local_objects(folder), 1024)
    return dict(orjson.loads(b"".join(original_bytes(find_original(work.documents, uuid), media))))


def form(work: Engine, uuid: str) -> tuple[str, str, str]:
    meta = work.documents.meta(uuid)
    return meta.get("form", ""), meta.get("state", ""), meta.get("signature", "")


def events(client: Redis) -> list[dict[str, Any]]:
    stream = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.OUTBOX))
    return [event for _, fields in stream for event in orjson.loads(fields[b"events"])]


# In the store ------------------------------------------------------------------------------------------------------


def test_signed_bytes_are_the_next_revisions_original(work: Engine, tmp_path: Path) -> None:
    uuid = call(work)
    assert settled(work, SIGN).counts == {"done": 1}
    assert set(original(work, tmp_path, uuid)) == {"payload", "signatures"}
    assert form(work, uuid) == ("signed", "ready", "valid")
    assert work.documents.read_one(uuid).revision == 2


def test_the_view_stays_and_what_was_signed_is_sealed(work: Engine) -> None:
    uuid = call(work)
    settled(work, "mark", SIGN)
    vcon = work.documents.read_one(uuid)
    assert [entry["type"] for entry in vcon.analysis] == ["seen"]
    assert vcon.sealed == {"parties": 1, "dialog": 0, "analysis": 1, "attachments": 0}


def test_what_is_added_after_signing_stands_beside_it(work: Engine, tmp_path: Path) -> None:
    uuid = call(work)
    settled(work, SIGN, "mark")
    vcon = work.documents.read_one(uuid)
    assert len(vcon.analysis) == 1
    assert vcon.sealed is not None
    assert vcon.sealed["analysis"] == 0


def test_a_signed_vcon_is_verified_by_a_later_pipeline(work: Engine, redis_client: Redis) -> None:
    uuid = call(work)
    settled(work, SIGN, success_queue="next")
    again(redis_client, uuid)
    assert settled(work, "verify").counts == {"done": 1}
    [told] = [event["detail"] for event in events(redis_client) if event["event"] == "verified"]
    assert told["signature"] == "valid"
    [(_, attachment)] = work.documents.read_one(uuid).attachments_for("signature_verification")
    assert attachment["body"]["signer"] == told["signer"]


def test_the_archive_has_it_too(work: Engine, redis_client: Redis) -> None:
    uuid = call(work)
    settled(work, SIGN, "mark")
    before = work.documents.read_one(uuid)
    redis_client.delete(keys.document(uuid))
    again = work.documents.read_one(uuid)
    assert (again.data, again.revision) == (before.data, before.revision)
    assert work.documents.history(uuid).meta()["signature"] == "valid"


def test_the_ledger_says_that_its_form_changed_and_which_bytes_it_has(work: Engine, redis_client: Redis) -> None:
    uuid = call(work)
    settled(work, SIGN)
    [revised] = [event for event in events(redis_client) if event["event"] == "revised"]
    assert (revised["vcon_uuid"], revised["revision"], revised["detail"]["form"]) == (uuid, 2, "signed")
    assert revised["detail"]["sha256"] == find_original(work.documents, uuid).sha256


def test_long_recordings_are_within_what_is_signed_and_apart_in_the_view(work: Engine, tmp_path: Path) -> None:
    call(work)
    token = MediaStore(local_objects(tmp_path), 1024).keep_chunks([SOUND])
    dialog = {"type": "recording", "url": f"vcon-media:{token}", "content_hash": token, "mediatype": "audio/x-wav"}
    uuid = call(work, dialog=[dialog])
    settled(work, SIGN)
    assert work.documents.read_one(uuid).dialog == [dialog]
    assert len(original(work, tmp_path, uuid)["payload"]) > len(SOUND)


def test_what_is_encrypted_for_others_is_left_with_its_uuid(work: Engine, tmp_path: Path) -> None:
    uuid = call(work)
    settled(work, SIGN, ENCRYPT)
    assert set(original(work, tmp_path, uuid)) >= {"ciphertext", "recipients"}
    assert form(work, uuid) == ("encrypted", "opaque", "")
    assert set(work.documents.read_one(uuid).data) == {"uuid", "created_at"}


def test_and_comes_back_whole_by_its_key(work: Engine, redis_client: Redis) -> None:
    uuid = call(work)
    settled(work, "mark", SIGN, ENCRYPT)
    again(redis_client, uuid)
    assert settled(work, DECRYPT, "verify").counts == {"done": 1}
    vcon = work.documents.read_one(uuid)
    assert [entry["type"] for entry in vcon.analysis] == ["seen"]
    assert form(work, uuid) == ("signed", "ready", "valid")


def test_what_is_encrypted_for_us_too_is_read_on(redis_url: str, redis_client: Redis, tmp_path: Path) -> None:
    work = _engine(redis_url, redis_client, tmp_path, reads=True)
    uuid = call(work)
    settled(work, SIGN, ENCRYPT, "mark")
    vcon = work.documents.read_one(uuid)
    assert (vcon.parties, len(vcon.analysis)) == ([{"name": "Alice"}], 1)
    assert form(work, uuid) == ("encrypted", "ready", "valid")


def test_a_copy_that_was_made_here_is_stored_signed(work: Engine, tmp_path: Path) -> None:
    uuid = call(work)
    name, chosen = SIGN
    settled(work, "create_amended", (name, {**chosen, "input_vcon_index": 1}))
    [other] = stored(work) - {uuid}
    assert form(work, other) == ("signed", "ready", "valid")
    assert form(work, uuid)[0] == ""
    assert set(original(work, tmp_path, other)) == {"payload", "signatures"}
    assert work.documents.read_one(other).sealed is not None


def stored(work: Engine) -> set[str]:
    """The uuids of all that is stored."""
    return {bytes(key).decode().removeprefix("meta:") for key in work.documents._client.keys("meta:*")}  # type: ignore[arg-type]


# Whole or not at all -----------------------------------------------------------------------------------------------


def test_a_later_failure_takes_the_form_back(work: Engine) -> None:
    uuid = call(work, subject="permanent")
    assert settled(work, SIGN, "judge").counts == {"failed": 1}
    assert form(work, uuid)[0] == ""
    assert work.documents.read_one(uuid).sealed is None


def test_nothing_is_signed_where_nothing_is_saved(work: Engine) -> None:
    uuid = call(work)
    assert settled(work, SIGN, save_vcons=False).counts == {"done": 1}
    assert work.documents.read_one(uuid).revision == 1


def test_a_change_by_somebody_else_meanwhile_starts_it_over(work: Engine) -> None:
    uuid = call(work)
    pipeline = piped(SIGN)
    batch = walked(work, pipeline)
    theirs = work.documents.read_one(uuid)
    theirs.append("analysis", {"type": "theirs"})
    list(work.documents.commit([Commit(theirs)]))
    assert work.settle(pipeline, batch).handed_back == 1
    assert form(work, uuid)[0] == ""
    assert work.settle(pipeline, walked(work, pipeline, "r2")).counts == {"done": 1}
    vcon = work.documents.read_one(uuid)
    assert vcon.sealed is not None
    assert vcon.sealed["analysis"] == 1


def test_the_form_outlives_the_run_that_made_it(work: Engine) -> None:
    uuid = call(work)
    pipeline = piped(SIGN, "mark")
    batch = walked(work, pipeline)
    written = read_batch(batch.to_bytes())
    resumed = work.resume(pipeline, written, owner="r2")
    assert work.settle(pipeline, resumed).counts == {"done": 1}
    assert form(work, uuid)[0] == "signed"
    assert len(work.documents.read_one(uuid).analysis) == 1


def test_a_form_written_down_for_an_older_revision_starts_over(work: Engine) -> None:
    uuid = call(work)
    pipeline = piped(SIGN)
    written = read_batch(walked(work, pipeline).to_bytes())
    theirs = work.documents.read_one(uuid)
    theirs.append("analysis", {"type": "theirs"})
    list(work.documents.commit([Commit(theirs)]))
    [item] = work.resume(pipeline, written, owner="r2").items
    assert item.verdict is not None
    assert item.verdict.ending == "again"


def test_a_copys_form_outlives_the_run_too(work: Engine) -> None:
    uuid = call(work)
    name, chosen = SIGN
    pipeline = piped("create_amended", (name, {**chosen, "input_vcon_index": 1}))
    written = read_batch(walked(work, pipeline).to_bytes())
    work.settle(pipeline, work.resume(pipeline, written, owner="r2"))
    [other] = stored(work) - {uuid}
    assert form(work, other)[0] == "signed"


def test_a_processor_with_a_time_limit_gives_the_form_back(work: Engine) -> None:
    uuid = call(work)
    limited: list[Step] = [(name, {**chosen, "timeout": 30}) for name, chosen in (SIGN, ("verify", {}), ENCRYPT)]
    assert [verdict.reason for verdict in settled(work, *limited).failures.values()] == []
    assert form(work, uuid)[0] == "encrypted"


def test_a_document_that_left_redis_meanwhile_is_locked_all_the_same(work: Engine, redis_client: Redis) -> None:
    uuid = call(work)
    pipeline = piped(SIGN, ENCRYPT)
    batch = walked(work, pipeline)
    redis_client.delete(keys.document(uuid))
    assert work.settle(pipeline, batch).counts == {"done": 1}
    assert set(work.documents.read_one(uuid).data) == {"uuid", "created_at"}


def test_a_document_that_other_software_put_into_redis_is_signed(work: Engine, redis_client: Redis) -> None:
    uuid = new_uuid()
    data = {"uuid": uuid, "created_at": "2026-11-02T09:00:00Z", "parties": [], "dialog": []}
    redis_client.json().set(keys.document(uuid), "$", data)  # type: ignore[arg-type]  # it is JSON
    again(redis_client, uuid)
    assert settled(work, SIGN).counts == {"done": 1}
    assert form(work, uuid)[0] == "signed"


def test_everything_about_the_form_comes_back_with_the_archive(work: Engine, redis_client: Redis) -> None:
    uuid = call(work)
    settled(work, "mark", SIGN, "mark")
    before, told = work.documents.read_one(uuid), work.documents.meta(uuid)
    redis_client.delete(keys.document(uuid), keys.meta(uuid), keys.search(uuid))
    work.documents.restore(uuid, refs=work.documents.archive.refs(uuid))
    vcon = work.documents.read_one(uuid)
    assert (vcon.data, vcon.sealed) == (before.data, before.sealed)
    assert {name: work.documents.meta(uuid)[name] for name in ("form", "signature", "signer")} == {
        name: told[name] for name in ("form", "signature", "signer")
    }


def test_no_source_can_put_another_version_in_the_place_of_what_was_signed_here(
    work: Engine, redis_client: Redis, tmp_path: Path
) -> None:
    uuid = call(work)
    settled(work, SIGN)
    door = Door(work.documents, MediaStore(local_objects(tmp_path), 1024, redis_client))
    theirs = {"uuid": uuid, "created_at": "2026-11-02T09:00:00Z", "subject": "another one", "parties": []}
    with pytest.raises(Rejected, match="another signer"):
        door.take(orjson.dumps(theirs), Source("them"))
    known = door.take(orjson.dumps(original(work, tmp_path, uuid)), Source("them"))
    assert known.outcome is Outcome.KNOWN


# Rows --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def rowing(redis_url: str, redis_client: Redis, tmp_path: Path) -> Engine:
    return _engine(redis_url, redis_client, tmp_path, projections={"calls": PROJECTIONS["calls"]})


ROW: Step = ("projection", {"projection": "calls"})


def rows(client: Redis) -> dict[str, str]:
    return dict(RowIndex(client).rows("calls", {"2026-11-02": 0}))


def test_a_row_that_was_signed_is_followed_by_a_newer_one(rowing: Engine, redis_client: Redis) -> None:
    uuid = call(rowing)
    settled(rowing, ROW, SIGN)
    first = rows(redis_client)
    again(redis_client, uuid)
    assert settled(rowing, "mark", ROW).counts == {"done": 1}
    assert list(first) == [uuid]
    assert len(list(rowing.documents.read_one(uuid).attachments_for("projection"))) in (1, 2)


def test_rows_of_what_nobody_can_read_any_more_are_withdrawn(rowing: Engine, redis_client: Redis) -> None:
    uuid = call(rowing)
    settled(rowing, ROW)
    assert list(rows(redis_client)) == [uuid]
    again(redis_client, uuid)
    assert settled(rowing, SIGN, ENCRYPT).counts == {"done": 1}
    assert rows(redis_client) == {}


# Direct runs and simulations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("save", [True, False])
def test_a_direct_run_hands_out_the_signed_form(work: Engine, save: bool) -> None:
    uuid = call(work)
    result = run_pipeline(work, piped(SIGN), uuid, save=save)
    assert set(result.to_json()["vcons"][0]) == {"payload", "signatures"}
    assert result.modified == (True,)
    assert (form(work, uuid)[0] == "signed") is save


def test_a_simulation_tells_the_form_and_leaves_no_trace(work: Engine, redis_client: Redis, tmp_path: Path) -> None:
    uuid = call(work)
    reading = ReadingStore(redis_client, local_objects(tmp_path))
    simulator = Simulator(work, media=reading.media, results=reading.results, projections={})
    told = simulator.run(piped(SIGN, "verify", ENCRYPT), reading.read_one(uuid))
    assert [step.what for step in told.steps] == ["processed"] * 3
    forms = [each.form for step in told.steps for each in step.documents]
    assert forms == ["signed", "", "encrypted"]
    assert form(work, uuid)[0] == ""
