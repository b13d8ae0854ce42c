"""Which conversations a reprocessing chooses, what it says they cost, and how far it has come."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from redis import Redis

from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.ledger.store import Ledger
from vcon_platform.pipelines.definition import Definition, read_definition
from vcon_platform.pipelines.queueing import QueueFull
from vcon_platform.pipelines.rates import record_rate
from vcon_platform.pipelines.reprocess import Reprocessing, Selection, Survey
from vcon_platform.pipelines.reprocess_progress import progress, remember
from vcon_platform.processors.registry import load_processors
from vcon_platform.settings import Settings
from vcon_platform.store import keys
from vcon_platform.store.commits import NewVcon
from vcon_platform.store.jobs import DeadJob, new_job
from vcon_platform.store.leases import Queues
from vcon_platform.store.opening import Store, open_store
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import new_uuid

DAY = date(2026, 11, 2)
RECALL = {"processors": [{"processor_name": "recall_finder"}]}
HEARD = {"processors": [{"processor_name": "transcribe"}, {"processor_name": "recall_finder"}]}


def _definition(raw: dict[str, Any]) -> Definition:
    return read_definition("sales", raw, load_processors())


@pytest.fixture
def store(settings: Settings, redis_client: Redis) -> Store:
    return open_store(settings, client=redis_client)


@pytest.fixture
def ledger(settings: Settings) -> Ledger:
    return Ledger(settings.postgres_url())


def _work(store: Store, ledger: Ledger, raw: dict[str, Any] = RECALL, id: str = "r1") -> Reprocessing:
    return Reprocessing(_definition(raw), store, Queues(store.client), ledger, id=id)


def _vcons(store: Store, count: int, at: str = "2026-11-02T09:00:00+00:00", **members: Any) -> list[str]:
    made = [Vcon({"uuid": new_uuid(), "created_at": at, "parties": [], **members}) for _ in range(count)]
    return [uuid for uuid, _ in store.documents.create(NewVcon(vcon, queues=[]) for vcon in made)]


def _result(ledger: Ledger, uuid: str, version: str, kind: EventKind = EventKind.DONE) -> None:
    ledger.append([LedgerEvent(vcon_uuid=uuid, event=kind, pipeline="sales", pipeline_version=version)])


def test_only_results_that_are_missing_or_of_another_version_are_made_again(store: Store, ledger: Ledger) -> None:
    current, filtered, older, never = _vcons(store, 4)
    version = _definition(RECALL).version
    _result(ledger, current, version)
    _result(ledger, filtered, version, EventKind.FILTERED)
    _result(ledger, older, version)
    _result(ledger, older, "before")  # rolled back: the latest counts
    survey = _work(store, ledger).survey(DAY, Selection())
    assert set(survey.chosen) == {older, never}
    assert (survey.found, survey.current) == (4, 2)


def test_force_takes_all_and_without_missing_only_the_older_ones_go(store: Store, ledger: Ledger) -> None:
    current, older, _never = _vcons(store, 3)
    _result(ledger, current, _definition(RECALL).version)
    _result(ledger, older, "before")
    work = _work(store, ledger)
    assert len(work.survey(DAY, Selection(force=True)).chosen) == 3
    assert work.survey(DAY, Selection(missing=False)).chosen == [older]


def test_another_pipelines_result_is_none_of_this_one(store: Store, ledger: Ledger) -> None:
    [uuid] = _vcons(store, 1)
    version = _definition(RECALL).version
    ledger.append([LedgerEvent(vcon_uuid=uuid, event=EventKind.DONE, pipeline="other", pipeline_version=version)])
    assert _work(store, ledger).survey(DAY, Selection()).chosen == [uuid]


def test_an_event_that_is_not_in_the_ledger_yet_counts(store: Store, ledger: Ledger) -> None:
    [uuid] = _vcons(store, 1)
    event = LedgerEvent(
        vcon_uuid=uuid, event=EventKind.DONE, pipeline="sales", pipeline_version=_definition(RECALL).version
    )
    store.client.xadd(keys.OUTBOX, {"events": b"[" + event.to_bytes() + b"]"})
    assert _work(store, ledger).survey(DAY, Selection()).current == 1


def test_a_day_goes_from_midnight_to_midnight_utc(store: Store, ledger: Ledger) -> None:
    inside = _vcons(store, 1, "2026-11-02T00:00:00+00:00") + _vcons(store, 1, "2026-11-02T23:59:59+00:00")
    _vcons(store, 1, "2026-11-01T23:59:59+00:00")
    _vcons(store, 1, "2026-11-03T00:00:00+00:00")
    assert set(_work(store, ledger).survey(DAY, Selection()).chosen) == set(inside)


def test_what_waits_is_worked_on_or_failed_is_left_alone(store: Store, ledger: Ledger) -> None:
    waits, leased, dead, free = _vcons(store, 4)
    queues = Queues(store.client)
    queues.push("sales", [leased])
    queues.lease("sales", batch_id="b", owner="o", limit=1)
    queues.push("sales", [waits])
    entry = DeadJob(job=new_job(dead), code="x", error="y", processor=None, batch_id="b", run_id="r")
    store.client.rpush(keys.dead("sales"), entry.to_bytes())
    survey = _work(store, ledger).survey(DAY, Selection(force=True))
    assert survey.chosen == [free]
    assert (survey.under_way, survey.dead) == (2, 1)


def test_a_tag_narrows_it(store: Store, ledger: Ledger) -> None:
    tags = {"type": "tags", "purpose": "tags", "body": '["vip:yes"]', "encoding": "json"}
    tagged = _vcons(store, 1, attachments=[tags])
    _vcons(store, 1)
    assert _work(store, ledger).survey(DAY, Selection(tag="vip:yes")).chosen == tagged


def test_entering_twice_enters_once_at_low_priority_and_the_ledger_knows(store: Store, ledger: Ledger) -> None:
    uuids = _vcons(store, 2)
    work, again = _work(store, ledger), _work(store, ledger, id="r2")
    chosen, too = work.survey(DAY, Selection()).chosen, again.survey(DAY, Selection()).chosen
    assert (work.enter(chosen, DAY, DAY), again.enter(too, DAY, DAY)) == (2, 0)
    jobs = Queues(store.client).jobs("sales")
    assert {(job.priority, job.origin) for job in jobs} == {("low", "reprocess:r1")}
    work.survey(DAY, Selection())  # ships the outbox
    assert [event.detail["by"] for event in ledger.events_of(uuids[0]) if event.event is EventKind.QUEUED] == [
        "reprocess:r1"
    ]


def test_half_of_the_room_is_left_to_what_arrives(store: Store, ledger: Ledger) -> None:
    _vcons(store, 3)
    work = _work(store, ledger, {**RECALL, "pipeline_options": {"max_waiting": 4}})
    chosen = work.survey(DAY, Selection()).chosen
    assert work.enter(chosen[:2], DAY, DAY) == 2
    with pytest.raises(QueueFull, match="max_waiting 4"):
        work.enter(chosen[2:], DAY, DAY)


def test_the_cost_is_told_before(store: Store, ledger: Ledger) -> None:
    recording = {"type": "recording", "start": "2026-11-02T09:00:00Z", "duration": 90.0, "url": "https://x.example/a"}
    heard = {"type": "transcript", "dialog": 0, "vendor": "v", "encoding": "json", "body": {"transcript": {"text": ""}}}
    _vcons(store, 2, dialog=[recording])
    _vcons(store, 1, dialog=[recording], analysis=[heard])
    record_rate(store.client, _definition(HEARD), jobs=60, seconds=30.0)
    figures = _work(store, ledger, HEARD).survey(DAY, Selection()).to_json()
    assert figures["expected_seconds"] == 1.5
    assert figures["audio_seconds_without_transcript"] == 180
    assert figures["most_calls_of_transcribe"] == 3


def test_without_paid_processors_nothing_is_said_of_audio(store: Store, ledger: Ledger) -> None:
    _vcons(store, 1)
    assert "audio_seconds_without_transcript" not in _work(store, ledger).survey(DAY, Selection()).to_json()


def test_surveys_of_days_add_up() -> None:
    total = Survey(found=1, chosen=["a"], seconds=1.0, paid={"p": 1})
    total.add(Survey(found=2, current=1, chosen=["b"], seconds=None, audio_seconds=5.0, paid={"p": 1}))
    assert total.to_json() == {
        "found": 3,
        "have_current_result": 1,
        "under_way_already": 0,
        "in_dead_queue": 0,
        "to_process": 2,
        "expected_seconds": 1.0,
        "audio_seconds_without_transcript": 5,
        "audio_from_sample": False,
        "most_calls_of_p": 2,
    }


# --- progress -------------------------------------------------------------------------------------------------------


def test_progress_counts_where_each_job_stands_until_all_have_ended(store: Store, ledger: Ledger) -> None:
    _vcons(store, 4)
    work, queues = _work(store, ledger), Queues(store.client)
    work.enter(work.survey(DAY, Selection()).chosen, DAY, DAY + timedelta(days=1))
    jobs, _ = queues.lease("sales", batch_id="b", owner="o", limit=2)
    dead = DeadJob(job=jobs[0], code="x", error="y", processor=None, batch_id="b", run_id="r")
    store.client.rpush(keys.dead("sales"), dead.to_bytes())
    store.client.hdel(keys.batch_jobs("b"), jobs[0].id)
    [told] = progress(store.client, queues)
    assert told.counts() == {"queued": 4, "waiting": 2, "leased": 1, "failed": 1, "ended_or_withdrawn": 0}
    assert (told.first, told.last, told.over) == ("2026-11-02", "2026-11-03", False)
    remember(store.client, told)
    assert progress(store.client, queues)[0].told == [4, 2, 1, 1, 0]
    queues.purge("sales", origin="reprocess:r1")
    store.client.hdel(keys.batch_jobs("b"), jobs[1].id)
    [told] = progress(store.client, queues)
    assert (told.over, told.ended, told.dead) == (True, 3, 1)
    remember(store.client, told)
    assert progress(store.client, queues) == []
