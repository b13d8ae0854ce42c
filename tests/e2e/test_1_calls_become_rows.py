"""The main job on the real processes: eight calls, from the switch's spool to rows, ledger and UI."""

from __future__ import annotations

import httpx
import pytest

from tests.e2e.conftest import TABLES
from tests.e2e.platform import PATIENCE, Platform
from tests.support import eventually
from vcon_platform.demo.samples import SAMPLES, repair
from vcon_platform.ledger.events import EventKind

pytestmark = pytest.mark.e2e

UUIDS = {sample.name: sample.vcon_uuid() for sample in SAMPLES}
ENDING = {"recall": "done", "filtered": "filtered", "failed": "failed"}


@pytest.fixture(scope="module")
def landed(platform: Platform) -> dict[str, str]:
    """The eight calls have ended, and each has its row: uuid to verdict."""
    return platform.until_landed(platform.end_calls(SAMPLES))


def test_every_call_has_the_verdict_it_should(landed: dict[str, str]) -> None:
    assert landed == {sample.vcon_uuid(): ENDING[sample.verdict] for sample in SAMPLES}


def test_the_calls_that_speak_of_a_recall_have_their_transcript_in_recalls(
    platform: Platform, landed: dict[str, str]
) -> None:
    spoken = [sample for sample in SAMPLES if sample.verdict == "recall"]
    rows = {row["uuid"]: row for row in platform.rows("recalls", list(landed))}
    assert set(rows) == {sample.vcon_uuid() for sample in spoken}
    for sample in spoken:
        row = rows[sample.vcon_uuid()]
        heard = [word for word in sample.words if word in row["transcript"].lower()]
        assert len(heard) >= len(sample.words) - 2, (sample.name, heard)
        assert row["agent"] == sample.agent_name


def test_a_conversation_is_redis_json_with_its_audio_and_where_it_came_from(
    platform: Platform, landed: dict[str, str]
) -> None:
    vcon = platform.documents.read_one(UUIDS["toaster"])
    [dialog] = vcon.dialog
    assert (dialog["type"], dialog["mediatype"]) == ("recording", "audio/mpeg")
    assert dialog["start"]
    assert dialog["duration"] > 10
    assert "body" in dialog or "content_hash" in dialog
    assert {party["role"] for party in vcon.parties} == {"agent", "customer"}
    [(_, adapter)] = vcon.attachments_for("adapter")
    assert adapter["body"]["adapter"] == "freeswitch"


def test_every_word_has_a_start_an_end_and_a_confidence(platform: Platform, landed: dict[str, str]) -> None:
    [analysis] = platform.documents.read_one(UUIDS["toaster"]).analysis
    assert analysis["type"] == "transcript"
    words = analysis["body"]["words"]
    assert len(words) > 20
    assert all(word["end"] >= word["start"] >= 0 and 0 <= word["confidence"] <= 1 for word in words)


def test_what_was_filtered_says_by_whom_and_why(platform: Platform, landed: dict[str, str]) -> None:
    [row] = platform.rows("calls", [UUIDS["tickets"]])
    assert "does not mention" in row["verdict_reason"]
    events = [(event.event, event.processor) for event in platform.story(UUIDS["tickets"])]
    assert (EventKind.FILTERED, "recall_finder") in events


def test_the_ledger_tells_a_conversations_whole_story(platform: Platform, landed: dict[str, str]) -> None:
    uuid = UUIDS["toaster"]
    eventually(
        lambda: platform.kinds(uuid).count(EventKind.PROJECTED) == len(TABLES), PATIENCE, message="rows recorded"
    )
    story = platform.story(uuid)
    assert [event.event for event in story] == [
        EventKind.CREATED,
        EventKind.USED,  # the model of this machine heard it
        EventKind.PROCESSED,
        EventKind.PROCESSED,
        EventKind.PROCESSED,
        EventKind.DONE,
        *[EventKind.PROJECTED] * len(TABLES),
    ]
    assert {event.detail["projection"] for event in story if event.event is EventKind.PROJECTED} == set(TABLES)
    processed = [event for event in story if event.event is EventKind.PROCESSED]
    assert [event.processor for event in processed] == ["transcribe", "recall_finder", "projection"]
    assert all(event.processor_version and event.options_hash and event.run_id for event in processed)


def test_trace_prints_that_story(platform: Platform, landed: dict[str, str]) -> None:
    printed = platform.cli("trace", UUIDS["toaster"])
    assert printed.returncode == 0, printed.stderr
    for word in ("created", "transcribe", "recall_finder", "projected"):
        assert word in printed.stdout


def test_the_graph_goes_from_the_switch_to_the_tables(platform: Platform, landed: dict[str, str]) -> None:
    assert set(platform.dagster.asset_keys()) >= {
        "sources/freeswitch",
        "sources/freeswitch_history",
        "pipelines/recall",
        "projections/recalls/postgres",
        "projections/calls/postgres",
    }


def test_the_health_page_says_ok(platform: Platform) -> None:
    answer = httpx.get(f"{platform.stack.api_url}/health", timeout=10)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_the_run_is_red_and_names_the_broken_call_which_is_stored_and_dead(
    platform: Platform, landed: dict[str, str]
) -> None:
    uuid = UUIDS["kettle"]
    [dead] = [dead for dead in platform.queues.dead("recall") if dead.job.vcon_uuids == (uuid,)]
    assert dead.processor == "transcribe"
    assert "cannot be decoded as audio" in dead.error
    assert platform.documents.known([uuid]) == {uuid}
    assert platform.until_finished(dead.run_id) == "FAILURE"
    failures = platform.dagster.query(
        """query($id: ID!) { runOrError(runId: $id) { ... on Run { eventConnection { events {
             ... on ExecutionStepFailureEvent { error { message } failureMetadata { description } } } } } } }""",
        id=dead.run_id,
    )
    assert uuid in str(failures)


def test_re_executing_the_red_run_takes_up_the_repaired_call_alone(platform: Platform, landed: dict[str, str]) -> None:
    kettle = next(sample for sample in SAMPLES if sample.name == "kettle")
    uuid = kettle.vcon_uuid()
    [dead] = [dead for dead in platform.queues.dead("recall") if dead.job.vcon_uuids == (uuid,)]
    before = {name: platform.documents.read_one(each).revision for name, each in UUIDS.items() if name != "kettle"}
    repair(platform.spool, kettle)
    eventually(lambda: EventKind.REVISED in platform.kinds(uuid), PATIENCE, 0.5, "the new recording is noticed")
    again = platform.dagster.re_execute(dead.run_id, "FROM_FAILURE")
    assert platform.until_finished(again) == "SUCCESS"
    eventually(lambda: platform.verdicts([uuid]) == {uuid: "done"}, PATIENCE, 0.5, "its row has landed")
    eventually(lambda: platform.rows("recalls", [uuid]), PATIENCE, 0.5, "also in the other table")
    assert uuid not in {dead.job.vcon_uuids[0] for dead in platform.queues.dead("recall")}
    after = {name: platform.documents.read_one(each).revision for name, each in UUIDS.items() if name != "kettle"}
    assert after == before


def test_dropping_the_same_calls_again_adds_nothing(platform: Platform, landed: dict[str, str]) -> None:
    before = {uuid: platform.documents.read_one(uuid).revision for uuid in landed}
    platform.end_calls(SAMPLES)
    seen_again = platform.cli("demo", "--exit")
    assert seen_again.returncode == 0, seen_again.stdout + seen_again.stderr
    assert {uuid: platform.documents.read_one(uuid).revision for uuid in landed} == before
    assert len(platform.rows("calls", list(landed))) == len(SAMPLES)
