"""Call records: every wrapping is read, and nothing outside can make the reader fall over."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_from_bytes

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.adapters.support import A_UUID, call, edited, unanswered
from vcon_platform.adapters.freeswitch_cdr import MAX_RECORD_BYTES, Leg, RecordError, read_leg

B, A = call().files.values()


@pytest.mark.parametrize(
    "wrapped",
    [
        A,
        b"\xef\xbb\xbf" + A,
        b"cdr=" + quote_from_bytes(A).encode(),
        quote_from_bytes(A).encode() + b"\n",
        quote_from_bytes(A, safe="{").encode(),
        base64.b64encode(A),
        b"cdr=" + base64.b64encode(A).rstrip(b"=") + b"\n",
    ],
)
def test_every_wrapping_a_switch_leaves_behind_gives_the_same_leg(wrapped: bytes) -> None:
    assert read_leg(wrapped) == read_leg(A)


def test_a_leg_says_who_when_and_what_was_recorded() -> None:
    leg = read_leg(A)
    assert (leg.uuid, leg.is_b) == (A_UUID, False)
    assert (leg.caller_number, leg.caller_name) == ("13125550142", "Robert Keller")
    assert leg.started == datetime(2026, 11, 2, 9, 15, 7, 412_000, tzinfo=UTC)
    assert leg.answered == datetime(2026, 11, 2, 9, 15, 11, 412_000, tzinfo=UTC)
    assert [each.path for each in leg.announced] == ["/var/lib/freeswitch/recordings/2026-11-02/call.wav"]


def test_a_b_leg_names_the_leg_that_brought_it_about() -> None:
    assert read_leg(B).originator == A_UUID


def test_being_bridged_does_not_make_a_b_leg() -> None:
    assert call().b_uuid in read_leg(A).partners
    assert not read_leg(A).is_b


def test_a_leg_that_names_itself_as_originator_is_an_a_leg() -> None:
    assert not read_leg(edited(A, originating_leg_uuid=A_UUID)).is_b


def test_repeated_callflow_members_are_all_kept() -> None:
    document = json.loads(A)
    [flow] = document.pop("callflow")
    earlier = json.loads(json.dumps(flow))
    earlier["caller_profile"]["caller_id_name"] = "First Name"
    body = json.dumps(document)[:-1] + f', "callflow": {json.dumps(flow)}, "callflow": {json.dumps(earlier)}}}'
    assert read_leg(body.encode()).caller_name == "First Name"


def test_values_stay_as_they_are_where_the_switch_does_not_encode_them() -> None:
    record = edited(A, members={"variables": json.loads(A)["variables"] | {"sip_from_display": "100%25 sure"}})
    assert read_leg(record, encoded_values=False).value("sip_from_display") == "100%25 sure"
    assert read_leg(record).value("sip_from_display") == "100% sure"


def test_variable_names_are_as_case_blind_as_the_switch() -> None:
    assert read_leg(edited(A, Record_Stereo="true")).flag("RECORD_STEREO")


def test_times_fall_back_to_seconds_and_then_to_the_call_flow() -> None:
    whole = datetime(2026, 11, 2, 9, 15, 7, tzinfo=UTC)
    assert read_leg(edited(A, drop=("start_uepoch",))).started == whole
    assert read_leg(edited(A, drop=("start_uepoch", "start_epoch"))).started == read_leg(A).started


def test_zero_is_no_time_but_never() -> None:
    record = unanswered().files[f"a_{A_UUID}.cdr.json"]
    assert read_leg(record).answered is None


@pytest.mark.parametrize(
    ("application", "path"),
    [
        ("record_session", "/rec/a b.wav"),
        ("record_session", "/rec/a b.wav +3600"),
        ("record_session", "{force_channels=1}/rec/a b.wav"),
        ("record", "/rec/a b.wav 20 200 5"),
    ],
)
def test_recordings_are_found_in_the_log_of_applications(application: str, path: str) -> None:
    log = {"applications": [{"app_name": application, "app_data": path, "app_stamp": "1793610912000000"}]}
    leg = read_leg(edited(A, drop=("record_path",), members={"app_log": log}))
    [announced] = leg.announced
    assert announced.path == "/rec/a b.wav"
    assert announced.started == datetime(2026, 11, 2, 9, 15, 12, tzinfo=UTC)


def test_a_folder_and_a_name_make_a_path() -> None:
    record = edited(A, members={"app_log": {}}, record_path="/rec/2026", record_name="call.mp3")
    assert [each.path for each in read_leg(record).announced] == ["/rec/2026/call.mp3"]


def test_streams_and_caches_are_no_files() -> None:
    record = edited(A, members={"app_log": {}}, record_path="shout://host/stream.mp3")
    assert read_leg(record).announced == ()


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty"),
        (b"[1]", "not_json"),
        (b"\xff\xfe\x00{", "not_json"),
        (A[: len(A) // 2], "not_json"),
        (b'{"variables": {"uuid": NaN}}', "not_json"),
        (b'{"a":' * 100_000, "not_json"),
        (b'{"variables": []}', "not_a_record"),
        (b'{"variables": {"start_epoch": "1793610907"}}', "no_uuid"),
        (edited(A, drop=("start_epoch", "start_uepoch"), members={"callflow": []}), "no_start"),
        (edited(A, start_uepoch="99999999999999999999", start_epoch="-5", members={"callflow": None}), "no_start"),
        (b"x" * (MAX_RECORD_BYTES + 1), "too_large"),
    ],
)
def test_what_is_no_call_record_is_refused_by_name(data: bytes, code: str) -> None:
    with pytest.raises(RecordError) as refused:
        read_leg(data)
    assert refused.value.code == code


def test_control_characters_and_lone_surrogates_do_not_come_through() -> None:
    record = edited(A, members={"switchname": "\ud800pbx\x00"}, caller_id_name="Eve\x00\x1b[31m")
    leg = read_leg(record)
    orjson.dumps([leg.switchname, *leg.variables.values()])
    assert "\x00" not in leg.switchname
    assert leg.value("caller_id_name") == "Eve [31m"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just(A_UUID),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
members = st.sampled_from(["variables", "callflow", "app_log", "channel_data", "switchname", "core-uuid"])
variables = st.sampled_from(
    [
        "uuid",
        "start_uepoch",
        "start_epoch",
        "answer_epoch",
        "end_uepoch",
        "billsec",
        "record_path",
        "record_name",
        "originating_leg_uuid",
        "originated_legs",
        "bridge_uuid",
        "hangup_cause",
        "record_ms",
    ]
)


def read_or_refuse(data: bytes) -> Leg | None:
    """The leg, or None if it was refused in the one way that is allowed."""
    with suppress(RecordError):
        return read_leg(data)
    return None


@given(st.binary(max_size=400))
def test_garbage_is_refused_and_never_crashes(data: bytes) -> None:
    read_or_refuse(data)


@given(st.dictionaries(members, json_values))
def test_json_of_any_shape_is_read_or_refused(document: dict[str, Any]) -> None:
    read_or_refuse(json.dumps(document).encode())


@given(st.dictionaries(variables, json_values), st.dictionaries(members, json_values))
def test_any_value_in_a_real_record_is_read_or_refused(values: dict[str, Any], parts: dict[str, Any]) -> None:
    document = json.loads(A)
    document["variables"] |= values
    leg = read_or_refuse(json.dumps(document | {k: v for k, v in parts.items() if k != "variables"}).encode())
    if leg is not None:
        orjson.dumps(dict(leg.variables))


@given(st.integers(0, len(A)), st.binary(min_size=1, max_size=4))
def test_a_record_damaged_anywhere_is_read_or_refused(position: int, damage: bytes) -> None:
    read_or_refuse(A[:position] + damage + A[position + len(damage) :])
