"""Live discovery: what is offered when, what waits, what is offered again."""

import os
from datetime import datetime
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.adapters.support import A_UUID, START, WAV, Spool, call, edited, unanswered
from vcon_platform.adapters.base import AdapterError, Capture, Problem
from vcon_platform.vcon.uuids import derived_uuid


def test_both_legs_and_the_recording_make_one_conversation(spool: Spool) -> None:
    spool.add(call())
    capture = spool.one()
    assert capture.source_id == A_UUID
    assert capture.vcon.uuid == derived_uuid(START, "freeswitch", "pbx", A_UUID)
    assert capture.recordings == {0: spool.recordings / "2026-11-02" / "call.wav"}
    assert capture.day == START.date()
    assert len(capture.claims) == 2


def test_what_was_taken_is_not_offered_again(spool: Spool) -> None:
    spool.add(call())
    spool.add(unanswered(uuid=str(uuid4())))
    assert len(spool.captures()) == 2
    assert spool.take(later=60) == []


def test_what_was_found_but_not_remembered_is_offered_again_just_the_same(spool: Spool) -> None:
    spool.add(call())
    [first], [second] = list(spool.look()), list(spool.look())
    assert isinstance(first, Capture)
    assert isinstance(second, Capture)
    assert first.vcon.to_bytes() == second.vcon.to_bytes()


def test_the_same_files_give_the_same_bytes_in_whatever_order_they_came(tmp_path: Path) -> None:
    documents = set()
    for name, ages in (("one", (9.0, 8.0)), ("two", (8.0, 9.0))):
        spool = Spool(tmp_path / name)
        spool.add(call(), legs="a", age=ages[0])
        spool.add(call(), legs="b", age=ages[1])
        documents.add(spool.one().vcon.to_bytes())
    assert len(documents) == 1


def test_an_a_leg_waits_for_the_records_of_legs_it_speaks_of(spool: Spool) -> None:
    spool.add(call(), legs="a", age=3)
    assert spool.take() == []
    spool.add(call(), legs="b", age=0)
    assert len(spool.one().vcon.attachments[0]["body"]["legs"]) == 2


def test_an_a_leg_whose_other_legs_are_not_logged_is_taken_after_the_wait(spool: Spool) -> None:
    spool.add(call(), legs="a", age=3)
    assert spool.take(later=1) == []
    capture = spool.one(later=3)
    assert capture.recordings
    assert capture.vcon.parties[1]["tel"] == "+18005550100"


def test_a_b_leg_that_comes_late_completes_its_conversation(spool: Spool) -> None:
    spool.add(call(), legs="a", age=3)
    first = spool.one(later=5)
    spool.add(call(), legs="b", age=0)
    second = spool.one(later=6)
    assert second.vcon.uuid == first.vcon.uuid
    assert second.vcon.parties[1]["tel"] == "1001"
    assert spool.take(later=60) == []


def test_a_late_leg_does_not_cost_a_conversation_its_recording(spool: Spool) -> None:
    spool.add(call(), legs="a", age=3)
    spool.one(later=5)
    (spool.recordings / "2026-11-02" / "call.wav").unlink()
    spool.add(call(), legs="b", age=0)
    [problem] = spool.take(later=130)
    assert isinstance(problem, Problem)
    assert problem.code == "late_leg"
    assert spool.take(later=200) == []


def test_a_b_leg_alone_waits_for_its_a_leg(spool: Spool) -> None:
    spool.add(call(), legs="b", age=1800)
    assert spool.take() == []
    spool.add(call(), legs="a", age=0)
    assert len(spool.one().claims) == 2


def test_a_b_leg_whose_a_leg_never_came_is_a_conversation_by_itself(spool: Spool) -> None:
    spool.add(call(), legs="b", age=3601)
    capture = spool.one()
    assert capture.source_id == call().b_uuid
    assert [party["tel"] for party in capture.vcon.parties] == ["+13125550142", "1001"]


def test_a_leg_that_only_its_own_record_ties_to_the_call_belongs_to_it(spool: Spool) -> None:
    ring_group = call()
    spool.add(ring_group)
    stray = str(uuid4())
    record = edited(ring_group.files[f"{ring_group.b_uuid}.cdr.json"], uuid=stray, dialed_user="1007")
    spool.put(spool.records / f"{stray}.cdr.json", record.replace(ring_group.b_uuid.encode(), stray.encode()))
    capture = spool.one()
    assert len(capture.claims) == 3
    assert capture.vcon.parties[1]["tel"] == "1001"
    late = str(uuid4())
    record = edited(ring_group.files[f"{ring_group.b_uuid}.cdr.json"], uuid=late)
    spool.put(spool.records / f"{late}.cdr.json", record.replace(ring_group.b_uuid.encode(), late.encode()))
    legs = {leg["uuid"] for leg in spool.one().vcon.attachments[0]["body"]["legs"]}
    assert legs == {A_UUID, ring_group.b_uuid, stray, late}


def test_two_a_legs_bridged_by_the_switch_stay_two_conversations(spool: Spool) -> None:
    first, second = call(), call(uuid=str(uuid4()), recording="2026-11-02/other.wav")
    for one, other in ((first, second), (second, first)):
        spool.add(one)
        name = f"a_{one.uuid}.cdr.json"
        spool.put(spool.records / name, edited(one.files[name], last_bridge_to=other.uuid))
    assert {capture.source_id for capture in spool.captures()} == {first.uuid, second.uuid}


def test_legs_that_call_each_other_their_originator_do_not_go_in_circles(spool: Spool) -> None:
    record = call().files[f"{call().b_uuid}.cdr.json"]
    spool.put(spool.records / f"{call().b_uuid}.cdr.json", record, age=7200)
    spool.put(
        spool.records / f"{A_UUID}.cdr.json",
        edited(record, uuid=A_UUID, originating_leg_uuid=call().b_uuid, members={"callflow": []}),
        age=7200,
    )
    assert len(spool.captures()) == 1


def test_an_answered_call_waits_for_its_recording_and_is_then_taken_without(spool: Spool) -> None:
    spool.add(call(), audio=None)
    assert spool.take(later=100) == []
    capture = spool.one(later=111)
    assert capture.recordings == {}
    [dialog] = capture.vcon.dialog
    assert (dialog["type"], dialog["duration"]) == ("recording", 20.0)
    assert not {"mediatype", "filename", "body", "url", "disposition"} & set(dialog)
    assert spool.take(later=200) == []


def test_a_recording_that_comes_after_the_wait_is_offered_when_it_comes(spool: Spool) -> None:
    spool.add(call(), audio=None)
    without = spool.one(later=120)
    path = spool.put(spool.recordings / "2026-11-02" / "call.wav", WAV, age=-200)
    assert spool.take(later=201) == []
    late = spool.one(later=203)
    assert late.vcon.uuid == without.vcon.uuid
    assert late.recordings == {0: path}
    assert spool.take(later=300) == []


def test_a_recording_that_still_grows_is_waited_for(spool: Spool) -> None:
    spool.add(call())
    path = spool.put(spool.recordings / "2026-11-02" / "call.wav", WAV, age=1)
    assert spool.take() == []
    assert spool.one(later=1).recordings == {0: path}


def test_an_empty_recording_is_none_yet(spool: Spool) -> None:
    spool.add(call(), audio=b"")
    assert spool.take(later=100) == []
    assert spool.one(later=120).recordings == {}


def test_an_unanswered_call_waits_for_no_recording_whatever_it_announces(spool: Spool) -> None:
    spool.add(unanswered(recording="2026-11-02/never.wav"), audio=None)
    assert spool.one().vcon.dialog[0]["type"] == "incomplete"


def test_a_replaced_recording_is_offered_again(spool: Spool) -> None:
    spool.add(call())
    spool.one()
    path = spool.put(spool.recordings / "2026-11-02" / "call.wav", WAV + b"repaired", age=0)
    assert spool.take(later=1) == []
    assert spool.one(later=3).recordings == {0: path}
    assert spool.take(later=10) == []


def test_a_recording_that_the_switch_has_cleaned_up_is_no_change(spool: Spool) -> None:
    spool.add(call())
    spool.one()
    (spool.recordings / "2026-11-02" / "call.wav").unlink()
    assert spool.take(later=10) == []


def test_a_rewritten_record_is_offered_again(spool: Spool) -> None:
    spool.add(call())
    spool.one()
    spool.add(call(customer_name="Roberta Keller"))
    assert spool.one().vcon.parties[0]["name"] == "Roberta Keller"


def test_an_unreadable_record_is_reported_once_and_stops_nobody(spool: Spool) -> None:
    bad = spool.put(spool.records / "a_broken.cdr.json", b"{not json", age=20)
    spool.add(call())
    found = spool.take()
    assert [type(item) for item in found] == [Problem, Capture]
    problem = found[0]
    assert isinstance(problem, Problem)
    assert (problem.key, problem.code) == ("a_broken.cdr.json", "not_json")
    assert spool.take(later=10) == []
    spool.put(bad, b"{still not", age=1)
    assert len(spool.take(later=10)) == 1


def test_a_record_that_is_being_written_is_waited_for(spool: Spool) -> None:
    name, whole = next(reversed(unanswered().files.items()))
    spool.put(spool.records / name, whole[:500], age=1)
    assert spool.take() == []
    spool.put(spool.records / name, whole, age=0)
    assert spool.one(later=6).source_id == A_UUID


def test_an_unreadable_b_leg_is_reported_and_its_call_is_taken_at_once(spool: Spool) -> None:
    spool.add(call(), legs="a", age=3)
    spool.put(spool.records / f"{call().b_uuid}.cdr.json", b"[]", age=3)
    assert {type(item) for item in spool.take()} == {Problem, Capture}


def test_other_files_links_and_hidden_files_are_left_alone(spool: Spool, tmp_path: Path) -> None:
    record = unanswered().files[f"a_{A_UUID}.cdr.json"]
    spool.put(spool.records / "notes.txt", b"hello")
    spool.put(spool.records / f".a_{A_UUID}.cdr.json.part", record)
    spool.put(spool.records / f".a_{A_UUID}.cdr.json", record)
    outside = spool.put(tmp_path / "outside.cdr.json", record)
    (spool.records / f"a_{A_UUID}.cdr.json").symlink_to(outside)
    assert spool.take() == []


def test_records_in_rotated_sub_folders_are_found(spool: Spool) -> None:
    for name, data in unanswered().files.items():
        spool.put(spool.records / "2026-11-02-00-00-00" / name, data)
    assert set(spool.one().claims) == {f"2026-11-02-00-00-00/{name}" for name in unanswered().files}


def test_a_record_written_twice_is_one_call(spool: Spool) -> None:
    spool.add(call())
    spool.put(spool.records / "failed-posts" / f"a_{A_UUID}.cdr.json", call().files[f"a_{A_UUID}.cdr.json"])
    assert len(spool.one().claims) == 3
    assert spool.take() == []


def test_a_recording_outside_the_folder_is_never_taken(spool: Spool) -> None:
    secret = spool.put(spool.root / "secret.wav", WAV)
    spool.add(call(), audio=None)
    for path in (str(secret), "../secret.wav"):
        name = f"a_{A_UUID}.cdr.json"
        spool.put(spool.records / name, edited(call().files[name], record_path=path, members={"app_log": {}}))
        [item] = list(spool.look(later=500))
        assert isinstance(item, Capture)
        assert item.recordings == {}


def test_discovery_is_lazy_and_goes_on_where_the_caller_stopped(spool: Spool) -> None:
    for index in range(5):
        spool.add(unanswered(uuid=str(uuid4())), age=100 - index)
    first = next(spool.look())
    assert isinstance(first, Capture)
    spool.seen.update(first.claims)
    assert len(spool.captures()) == 4


def test_known_records_are_not_read_again(spool: Spool) -> None:
    spool.add(call())
    spool.one()
    for path in spool.records.iterdir():
        status = path.stat()
        path.write_bytes(b"x" * status.st_size)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert spool.take(later=10) == []


def test_a_missing_records_folder_is_said_with_the_cure(spool: Spool) -> None:
    spool.records.rmdir()
    with pytest.raises(AdapterError, match=r"does not exist.*'records'"):
        spool.take()


def test_a_missing_recordings_folder_only_means_that_there_are_none(spool: Spool) -> None:
    spool.add(call(), audio=None)
    spool.recordings.rmdir()
    assert spool.one(later=200).recordings == {}


def test_now_must_know_its_timezone(spool: Spool) -> None:
    with pytest.raises(AdapterError, match="timezone"):
        list(spool.adapter.discover({}, datetime(2026, 11, 5)))  # noqa: DTZ001 - the error is what is tested


@pytest.mark.parametrize("wrong", ["", "garbage", "1-2 {", '1-2 {"r": 5}', '1-2 ["r"]'])
def test_a_fingerprint_that_nobody_wrote_counts_as_changed(spool: Spool, wrong: str) -> None:
    spool.add(call())
    spool.seen = dict.fromkeys(call().files, wrong)
    spool.one()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=60), max_size=4), st.binary(max_size=8), st.integers(0, 3000))
def test_whatever_lies_in_the_spool_every_file_is_taken_or_reported(
    tmp_path_factory: pytest.TempPathFactory, junk: list[bytes], damage: bytes, position: int
) -> None:
    spool = Spool(tmp_path_factory.mktemp("spool"))
    spool.add(call())
    spool.add(unanswered(uuid=str(uuid4())))
    for index, data in enumerate(junk):
        spool.put(spool.records / f"{index}.cdr.json", data)
    path = spool.records / f"a_{A_UUID}.cdr.json"
    record = path.read_bytes()
    spool.put(path, record[:position] + damage + record[position + len(damage) :])
    spool.take(later=10_000)
    assert set(spool.seen) == {each.name for each in spool.records.iterdir()}
    assert spool.take(later=10_000) == []


def test_hundreds_of_calls_of_one_moment_are_each_one_conversation(spool: Spool) -> None:
    calls = [call(uuid=str(uuid4()), recording=None, record_ms=0) for _ in range(300)]
    for each in calls:
        spool.add(each)
    found = spool.captures(later=200)
    assert {capture.source_id for capture in found} == {each.uuid for each in calls}
    assert len({capture.vcon.uuid for capture in found}) == 300
    assert len(spool.seen) == 600
    assert spool.take(later=200) == []


def test_the_spool_is_left_exactly_as_it_was(spool: Spool) -> None:
    spool.add(call())
    before = {path: path.stat().st_mtime_ns for path in sorted(spool.root.rglob("*"))}
    spool.one()
    assert {path: path.stat().st_mtime_ns for path in sorted(spool.root.rglob("*"))} == before
