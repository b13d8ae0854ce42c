"""Events: what is written once for many says the same as an event by itself."""

from __future__ import annotations

import orjson

from vcon_platform.ledger.events import EventForm, EventKind, LedgerEvent, read_event
from vcon_platform.vcon.uuids import new_uuid

_SHARED = {
    "pipeline": "recall",
    "pipeline_version": "a1",
    "processor": 'says "hello"',
    "processor_version": "1",
    "options_hash": "b2",
    "batch_id": "c3",
    "run_id": "d4",
}


def test_an_event_of_a_form_says_what_an_event_by_itself_does() -> None:
    uuid = new_uuid()
    made = read_event(EventForm(EventKind.SKIPPED, **_SHARED).event(uuid, 3, reason="nothing to do"))
    alone = LedgerEvent(
        vcon_uuid=uuid,
        event=EventKind.SKIPPED,
        revision=3,
        detail={"reason": "nothing to do"},
        at=made.at,
        event_id=made.event_id,
        **_SHARED,
    )
    assert made == alone


def test_what_is_not_known_of_an_event_is_left_open() -> None:
    made = read_event(EventForm(EventKind.DONE).event(new_uuid()))
    assert (made.revision, made.pipeline, made.detail) == (None, None, {})


def test_the_events_of_a_form_have_ids_of_their_own() -> None:
    uuid, form = new_uuid(), EventForm(EventKind.DONE)
    ids = [read_event(form.event(uuid)).event_id for _ in range(1000)]
    assert len(set(ids)) == 1000


def test_a_uuid_from_outside_cannot_break_out_of_its_event() -> None:
    value = orjson.loads(EventForm(EventKind.FAILED).event('x","event":"done'))
    assert (value["vcon_uuid"], value["event"]) == ('x","event":"done', "failed")


def test_times_of_events_follow_each_other() -> None:
    form, uuid = EventForm(EventKind.DONE), new_uuid()
    times = [read_event(form.event(uuid)).at for _ in range(100)]
    assert times == sorted(times)
