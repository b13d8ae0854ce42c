"""Intake: what an adapter found becomes stored, queued, recorded vCons; once, however often it is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from redis import Redis

from tests.support import document_store
from vcon_platform.adapters.base import Adapter, AdapterSettings, Capture, Problem
from vcon_platform.adapters.intake import Intake
from vcon_platform.store import keys
from vcon_platform.store.leases import Queues
from vcon_platform.store.media import MediaStore
from vcon_platform.store.opening import Store
from vcon_platform.store.search import SearchIndex
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.uuids import derived_uuid

START = datetime(2026, 11, 2, 9, tzinfo=UTC)


class Nowhere(Adapter):
    """A source that is only a name here."""

    name = title = description = version = "nowhere"
    settings_model = AdapterSettings

    def discover(self, seen: Mapping[str, str], now: datetime) -> Iterator[Capture | Problem]:
        return iter(())

    def history_days(self) -> list[date]:
        return []

    def history(self, day: date) -> Iterator[Capture | Problem]:
        return iter(())


@pytest.fixture
def intake(redis_client: Redis, tmp_path: Path) -> Intake:
    adapter = Nowhere(AdapterSettings(adapter="nowhere", name="nowhere", queues=("recall",)))
    return Intake(_store(redis_client, tmp_path), adapter)


def _store(client: Redis, folder: Path) -> Store:
    documents = document_store(client, folder / "objects")
    objects = documents.archive.objects
    return Store(client, objects, documents.archive, documents, SearchIndex(client), MediaStore(objects, 8, client))


def _call(number: int, recording: Path | None = None) -> Capture:
    dialog = {"type": "recording" if recording else "incomplete", "start": START.isoformat()}
    if not recording:
        dialog["disposition"] = "no-answer"
    uuid = derived_uuid(START, "nowhere", str(number))
    vcon = Vcon({"uuid": uuid, "created_at": START.isoformat(), "parties": [], "dialog": [dialog]})
    recordings = {0: recording} if recording else {}
    return Capture(vcon, recordings, str(number), START.date(), {f"call-{number}": f"print-{recording}"})


def _file(folder: Path, content: bytes) -> Path:
    path = folder / f"{len(content)}.wav"
    path.write_bytes(content)
    return path


def test_a_new_call_is_stored_with_its_audio_queued_and_remembered(
    intake: Intake, redis_client: Redis, tmp_path: Path
) -> None:
    call = _call(1, _file(tmp_path, b"RIFF and so on"))
    taken = intake.take([call], remember=True)
    assert (taken.created, taken.days) == (1, {"2026-11-02": 1})
    [dialog] = document_store(redis_client, tmp_path / "objects").read_one(call.vcon.uuid).dialog
    assert dialog["url"].startswith("vcon-media:sha512-")
    assert Queues(redis_client).depth("recall") == 1
    assert intake.seen() == dict(call.claims)


def test_a_known_call_is_counted_and_nothing_more(intake: Intake, redis_client: Redis) -> None:
    intake.take([_call(1)], remember=False)
    assert intake.take([_call(1)], remember=False).known == 1
    assert Queues(redis_client).depth("recall") == 1


def test_a_recording_that_comes_late_makes_a_revision_and_enters_the_queue(
    intake: Intake, redis_client: Redis, tmp_path: Path
) -> None:
    intake.take([_call(1)], remember=True)
    call = _call(1, _file(tmp_path, b"RIFF and so on"))
    assert intake.take([call], remember=True).revised == 1
    [dialog] = document_store(redis_client, tmp_path / "objects").read_one(call.vcon.uuid).dialog
    assert (dialog["type"], "disposition" in dialog) == ("recording", False)
    assert Queues(redis_client).depth("recall") == 2


def test_a_replaced_recording_makes_a_revision_and_enters_no_queue(
    intake: Intake, redis_client: Redis, tmp_path: Path
) -> None:
    intake.take([_call(1, _file(tmp_path, b"RIFF broken"))], remember=True)
    assert intake.take([_call(1, _file(tmp_path, b"RIFF repaired"))], remember=True).revised == 1
    assert Queues(redis_client).depth("recall") == 1


def test_a_recording_that_vanished_waits_for_the_next_look_and_stops_no_other(intake: Intake, tmp_path: Path) -> None:
    taken = intake.take([_call(1, tmp_path / "gone.wav"), _call(2)], remember=True)
    assert taken.created == 1
    assert set(intake.seen()) == {"call-2"}


def test_what_cannot_be_read_is_told_once_and_kept_for_people(intake: Intake, redis_client: Redis) -> None:
    problem = Problem("bad.json", "print", "not_json", "this is no call record")
    assert intake.take([problem], remember=True).problems == [problem]
    assert intake.seen() == {"bad.json": "print"}
    assert b"not_json" in redis_client.hgetall(keys.problems("nowhere"))[b"bad.json"]


def test_the_time_box_is_kept_and_the_rest_is_found_again(intake: Intake) -> None:
    taken = intake.take((_call(number) for number in range(200)), remember=True, time_is_up=lambda: True)
    assert taken.created == 50


def test_no_more_is_taken_than_there_is_room_for_and_the_rest_is_found_again(
    intake: Intake, redis_client: Redis
) -> None:
    queues, calls = Queues(redis_client), [_call(number) for number in range(5)]

    def room() -> dict[str, int]:
        return {"recall": 3 - queues.waiting("recall")}

    taken = intake.take(iter(calls), remember=True, room=room)
    assert (taken.created, taken.full, queues.depth("recall")) == (3, ("recall",), 3)
    again = [call for call in calls if call.claims.keys() - intake.seen().keys()]
    assert intake.take(iter(again), remember=True, room=room).looked_at == 0
    queues.lease("recall", batch_id="b", owner="r", limit=3)
    assert (intake.take(iter(again), remember=True, room=room).created, queues.depth("recall")) == (2, 2)


def test_a_source_without_anything_new_is_not_held_up_by_a_full_queue(intake: Intake) -> None:
    assert intake.take(iter(()), remember=True, room=lambda: {"recall": 0}).full == ()
