"""Direct runs: the engine's rules, one conversation, the caller's thread and the caller's choice."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from redis import Redis

from tests.pipelines.direct_support import REGISTRY, Meddled, definition, registry_definition
from tests.pipelines.support import PROJECTIONS, engine, stored
from tests.support import eventually
from vcon_platform.errors import PlatformError
from vcon_platform.ingress.looking import NotReady
from vcon_platform.pipelines.direct import DirectRefused, DirectRunFailed, run_pipeline, run_processor
from vcon_platform.pipelines.engine import Engine
from vcon_platform.services.direct_record import DirectRecord
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit
from vcon_platform.store.documents import Missing, RevisionConflict
from vcon_platform.store.rows import RowIndex
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture
def work(redis_client: Redis, tmp_path: Path) -> Engine:
    return engine(redis_client, tmp_path)


@pytest.fixture(autouse=True)
def _nobody_meddles() -> Iterator[None]:
    yield
    Meddled.meddle = None


def _one(work: Engine, redis_client: Redis, subject: str = "x") -> str:
    [uuid] = stored(work, subject)
    redis_client.delete(keys.queue("recall"))
    return uuid


def _types(work: Engine, uuid: str) -> list[str]:
    return [entry["type"] for entry in work.documents.read_one(uuid).analysis]


def _events(client: Redis) -> list[dict[str, Any]]:
    stream = cast("list[tuple[bytes, dict[bytes, bytes]]]", client.xrange(keys.OUTBOX))
    return [event for _, fields in stream for event in orjson.loads(fields[b"events"])]


def test_without_save_the_document_stays_as_it_was(work: Engine, redis_client: Redis) -> None:
    uuid = _one(work, redis_client)
    result = run_pipeline(work, definition("mark"), uuid)
    assert [entry["type"] for entry in result.vcons[0].analysis] == ["seen"]
    assert result.modified == (True,)
    assert _types(work, uuid) == []


def test_with_save_it_is_kept_whatever_the_definition_says(work: Engine, redis_client: Redis) -> None:
    uuid = _one(work, redis_client)
    result = run_pipeline(work, definition("mark", save_vcons=False), uuid, save=True)
    assert _types(work, uuid) == ["seen"]
    assert result.vcons[0].revision == 2


def test_success_and_failure_queues_do_not_count(work: Engine, redis_client: Redis) -> None:
    run_pipeline(work, definition("mark", success_queue="next"), _one(work, redis_client))
    with pytest.raises(DirectRunFailed):
        run_pipeline(work, definition("judge", failure_queue="next"), _one(work, redis_client, "permanent"))
    assert work.queues.depth("next") == 0
    assert work.queues.dead("recall") == []


def test_a_job_that_is_asked_for_is_queued_without_save_too(work: Engine, redis_client: Redis) -> None:
    uuid = _one(work, redis_client)
    result = run_pipeline(work, definition("pass_on"), uuid, parameters={"lang": "en"})
    assert result.to_json()["queue_jobs"] == [{"job_type": "vcon_uuid", "to_queue": "next", "vcon_uuids": [uuid]}]
    [entry] = cast("list[bytes]", redis_client.lrange(keys.queue("next"), 0, -1))
    assert orjson.loads(entry)["vcon_uuid"] == [uuid]


def test_an_effect_is_in_the_outbox_when_the_run_returns(work: Engine, redis_client: Redis) -> None:
    result = run_pipeline(work, definition("mail"), _one(work, redis_client))
    assert result.effects == 1
    assert redis_client.llen(keys.EFFECTS) == 1


def test_the_ledger_has_the_run_as_it_has_any_other(work: Engine, redis_client: Redis) -> None:
    uuid = _one(work, redis_client)
    result = run_pipeline(work, definition("mark"), uuid, save=True)
    told = [event for event in _events(redis_client) if event["run_id"] == result.run_id]
    assert [event["event"] for event in told] == ["processed", "done"]
    assert result.run_id.startswith("direct:")


def test_a_failed_conversation_changes_nothing_and_says_where_and_why(work: Engine, redis_client: Redis) -> None:
    uuid = _one(work, redis_client, "permanent")
    with pytest.raises(DirectRunFailed, match="this can never work") as failed:
        run_pipeline(work, definition("mark", "pass_on", "mail", "judge"), uuid, save=True)
    verdict = failed.value.verdict
    assert (verdict.processor, verdict.code, failed.value.transient) == ("judge", "PermanentError", False)
    assert _types(work, uuid) == []
    assert (work.queues.depth("next"), redis_client.llen(keys.EFFECTS)) == (0, 0)
    assert "failed" in [event["event"] for event in _events(redis_client)]


def test_a_passing_fault_that_stays_says_that_it_may_pass(work: Engine, redis_client: Redis) -> None:
    with pytest.raises(DirectRunFailed) as failed:
        run_pipeline(work, definition("judge"), _one(work, redis_client, "transient"))
    assert failed.value.transient
    assert work.queues.depth("recall") == 0


def test_a_passing_fault_is_tried_again(work: Engine, redis_client: Redis) -> None:
    assert run_pipeline(work, definition("judge"), _one(work, redis_client, "soon")).verdict.ending == "done"


def test_a_filter_is_an_outcome_and_no_error(work: Engine, redis_client: Redis) -> None:
    result = run_pipeline(work, definition("judge", "mark"), _one(work, redis_client, "drop"))
    assert (result.verdict.ending, result.verdict.reason) == ("filtered", "it says so")
    assert [step.what for step in result.steps] == ["filtered"]


def test_a_time_limit_stops_what_blocks(work: Engine, redis_client: Redis) -> None:
    pipeline = registry_definition(["blocking"], timeout=0.3)
    with pytest.raises(DirectRunFailed) as failed:
        run_pipeline(work, pipeline, _one(work, redis_client))
    assert failed.value.verdict.code == "timeout"


def test_a_vcon_in_hand_is_worked_on_and_not_stored(work: Engine, redis_client: Redis) -> None:
    vcon = Vcon({"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z"})
    result = run_pipeline(work, definition("mark", "copying"), vcon)
    assert result.modified == (True, True)
    assert work.documents.known([each.uuid for each in result.vcons]) == set()
    assert vcon.changes == []


def test_a_vcon_in_hand_cannot_be_saved(work: Engine) -> None:
    with pytest.raises(DirectRefused, match="take it in first"):
        run_pipeline(work, definition("mark"), Vcon({"uuid": new_uuid()}), save=True)


def test_one_vcon_twice_is_refused(work: Engine) -> None:
    vcon = Vcon({"uuid": new_uuid()})
    with pytest.raises(DirectRefused, match="same uuid"):
        run_pipeline(work, definition("mark"), [vcon, vcon])


def test_what_a_processor_made_is_stored_with_save(work: Engine, redis_client: Redis) -> None:
    result = run_pipeline(work, definition("copying"), _one(work, redis_client), save=True)
    assert result.modified == (False, True)
    assert work.documents.read_one(result.vcons[1].uuid).data["amended"]


def test_a_vcon_that_is_not_there_is_missing(work: Engine) -> None:
    with pytest.raises(Missing):
        run_pipeline(work, definition("mark"), new_uuid())


def test_a_parked_vcon_is_not_processed(work: Engine, redis_client: Redis) -> None:
    uuid = _one(work, redis_client)
    redis_client.hset(keys.meta(uuid), "state", "parked")
    with pytest.raises(NotReady):
        run_pipeline(work, definition("mark"), uuid)


def _meddling(work: Engine, uuid: str, times: int) -> None:
    left = iter(range(times))

    def meddle() -> None:
        if next(left, None) is not None:
            other = work.documents.read_one(uuid)
            other.put("subject", new_uuid())
            list(work.documents.commit([Commit(other)]))

    Meddled.meddle = meddle


def test_somebody_elses_change_makes_it_run_again_from_a_fresh_read(work: Engine, redis_client: Redis) -> None:
    uuid = _one(work, redis_client)
    _meddling(work, uuid, 2)
    result = run_pipeline(work, definition("meddled"), uuid, save=True)
    assert result.vcons[0].data["summary"] == work.documents.read_one(uuid).data["subject"]


def test_changes_without_end_are_a_conflict(work: Engine, redis_client: Redis) -> None:
    uuid = _one(work, redis_client)
    _meddling(work, uuid, 100)
    with pytest.raises(RevisionConflict):
        run_pipeline(work, definition("meddled", "pass_on"), uuid, save=True)
    assert work.queues.depth("next") == 0


def test_one_processor_runs_even_where_should_process_is_false(work: Engine, redis_client: Redis) -> None:
    mark = REGISTRY.get("mark")
    options = mark.options.model_validate({"should_process": False, "mark": "heard"})
    uuid = _one(work, redis_client)
    assert run_processor(work, mark, options, uuid, save=True).verdict.ending == "done"
    assert _types(work, uuid) == ["heard"]


def test_rows_are_written_as_by_any_run(redis_client: Redis, tmp_path: Path) -> None:
    work = engine(redis_client, tmp_path, PROJECTIONS)
    uuid = _one(work, redis_client)
    run_pipeline(work, definition("judge"), uuid, save=True)
    assert set(RowIndex(redis_client).rows("calls", ["2026-11-02"])) == {uuid}


def test_counts_are_told_in_bulk() -> None:
    told: list[tuple[str, dict[str, int]]] = []
    record = DirectRecord(lambda name, counts: told.append((name, dict(counts))), interval=0.01)
    for ending in ("done", "done", "failed"):
        record.add("recall", ending)
    record.close()
    assert sum(sum(counts.values()) for _, counts in told) == 3
    assert len(told) <= 2


def test_what_dagster_was_not_told_is_told_later() -> None:
    told: list[int] = []
    away = [True, True]

    def report(name: str, counts: Any) -> None:
        if away:
            away.pop()
            raise PlatformError("Dagster does not answer")
        told.append(sum(counts.values()))

    record = DirectRecord(report, interval=0.01)
    record.add("recall", "done")
    assert eventually(lambda: sum(told) == 1, timeout=5)
    record.close()
    assert sum(told) == 1
