"""The document: dialogs, times, parties and roles of every kind of call."""

from typing import Any

import orjson
import pytest

from tests.adapters.support import A_UUID, STEREO, WAV, Spool, call, edited, unanswered

A_NAME = f"a_{A_UUID}.cdr.json"
B_NAME = f"{call().b_uuid}.cdr.json"


def built(
    spool: Spool, record: Any, a: dict[str, Any] | None = None, b: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The document of a call whose legs' variables were changed."""
    spool.add(record)
    spool.put(spool.records / A_NAME, edited(record.files[A_NAME], **(a or {})))
    spool.put(spool.records / B_NAME, edited(record.files[B_NAME], **(b or {})))
    data = spool.one(later=200).vcon.data
    assert orjson.loads(orjson.dumps(data)) == data
    return data


def test_an_inbound_call_has_the_customer_as_caller_and_the_agent_as_called(spool: Spool) -> None:
    assert built(spool, call())["parties"] == [
        {
            "tel": "+13125550142",
            "name": "Robert Keller",
            "sip": "sip:13125550142@sip.carrier.example",
            "role": "customer",
        },
        {"tel": "1001", "name": "Dana Whitfield", "sip": "sip:1001@pbx.northwind.example", "role": "agent"},
    ]


def test_an_outbound_call_has_the_agent_as_caller(spool: Spool) -> None:
    data = built(spool, call(outbound=True))
    assert [party["role"] for party in data["parties"]] == ["agent", "customer"]
    assert [party["tel"] for party in data["parties"]] == ["1001", "+13125550142"]
    assert data["attachments"][0]["body"]["direction"] == "outbound"


def test_a_call_between_two_agents_is_internal(spool: Spool) -> None:
    data = built(spool, call(customer_tel="1009", customer_name="Lee Ortiz"))
    assert [party["role"] for party in data["parties"]] == ["agent", "agent"]
    assert data["attachments"][0]["body"]["direction"] == "internal"


@pytest.mark.parametrize(
    ("number", "tel"),
    [("+13125550142", "+13125550142"), ("3125550142", "+13125550142"), ("+442079460123", "+442079460123"),
     ("anonymous", None), ("+12345678", "12345678"), ("alice", "alice")],
)  # fmt: skip
def test_numbers_become_e164_where_they_can(spool: Spool, number: str, tel: str | None) -> None:
    assert built(spool, call(customer_tel=number))["parties"][0].get("tel") == tel


def test_national_numbers_belong_to_the_region_that_is_set(spool: Spool) -> None:
    spool.options["default_region"] = "DE"
    assert built(spool, call(customer_tel="030901820"))["parties"][0]["tel"] == "+4930901820"


@pytest.mark.parametrize("name", ["", "unknown", "Anonymous", "13125550142", "+1 (312) 555-0142", "WIRELESS CALLER"])
def test_what_is_no_name_is_left_out(spool: Spool, name: str) -> None:
    assert "name" not in built(spool, call(customer_name=name))["parties"][0]


def test_a_party_of_which_nothing_is_known_is_empty_and_nobody_is_made_up(spool: Spool) -> None:
    data = built(spool, call(customer_tel="anonymous", customer_name="anonymous"), a={"sip_from_uri": ""})
    assert data["parties"][0] == {}


def test_a_recording_says_when_how_long_who_and_what(spool: Spool) -> None:
    assert built(spool, call())["dialog"] == [
        {
            "type": "recording",
            "start": "2026-11-02T09:15:11.412Z",
            "parties": [0, 1],
            "originator": 0,
            "mediatype": "audio/x-wav",
            "filename": "call.wav",
            "duration": 19.5,
        }
    ]


def test_two_channels_have_one_party_each_the_recording_side_first(spool: Spool) -> None:
    spool.add(call(outbound=True, stereo=True), audio=STEREO)
    assert spool.one().vcon.dialog[0]["parties"] == [0, 1]


def test_swapped_channels_have_the_called_side_first(spool: Spool) -> None:
    spool.add(call(stereo=True), audio=STEREO)
    spool.put(spool.records / A_NAME, edited(call(stereo=True).files[A_NAME], RECORD_STEREO_SWAP="true"))
    assert spool.one().vcon.dialog[0]["parties"] == [1, 0]


def test_one_channel_has_both_parties_whatever_the_switch_was_told(spool: Spool) -> None:
    spool.add(call(stereo=True), audio=WAV)
    spool.put(spool.records / A_NAME, edited(call(stereo=True).files[A_NAME], RECORD_STEREO_SWAP="true"))
    assert spool.one().vcon.dialog[0]["parties"] == [0, 1]


def test_the_media_type_goes_by_the_content_not_by_the_name(spool: Spool) -> None:
    spool.add(call(), audio=b"ID3\x04")
    assert spool.one().vcon.dialog[0]["mediatype"] == "audio/mpeg"


@pytest.mark.parametrize(
    ("cause", "disposition"),
    [
        ("NO_ANSWER", "no-answer"),
        ("NO_USER_RESPONSE", "no-answer"),
        ("USER_BUSY", "busy"),
        ("CALL_REJECTED", "busy"),
        ("ORIGINATOR_CANCEL", "hung-up"),
        ("NORMAL_CLEARING", "hung-up"),
        ("NORMAL_CIRCUIT_CONGESTION", "congestion"),
        ("UNALLOCATED_NUMBER", "failed"),
        ("SOMETHING_NEW", "failed"),
    ],
)
def test_an_unanswered_call_is_incomplete_and_says_why(spool: Spool, cause: str, disposition: str) -> None:
    [dialog] = built(spool, unanswered(cause))["dialog"]
    assert dialog == {
        "type": "incomplete",
        "start": "2026-11-02T09:15:07.412Z",
        "parties": [0, 1],
        "originator": 0,
        "disposition": disposition,
    }


def test_what_happened_to_the_called_legs_counts_where_the_caller_s_cause_says_nothing(spool: Spool) -> None:
    data = built(spool, unanswered("NORMAL_CLEARING"), b={"hangup_cause": "USER_BUSY"})
    assert data["dialog"][0]["disposition"] == "busy"


def test_a_caller_whom_only_the_switch_answered_was_not_answered(spool: Spool) -> None:
    answered = {"answer_uepoch": "1793610909000000", "answer_epoch": "1793610909"}
    data = built(spool, unanswered("NORMAL_CLEARING"), a=answered)
    assert data["dialog"][0]["type"] == "incomplete"


def test_the_adapter_says_what_it_made_the_document_from(spool: Spool) -> None:
    [attachment] = built(spool, call())["attachments"]
    assert {name: value for name, value in attachment.items() if name != "body"} == {
        "purpose": "adapter",
        "start": "2026-11-02T09:15:07.412Z",
        "dialog": 0,
        "mediatype": "application/json",
        "encoding": "json",
    }
    body = attachment["body"]
    assert (body["adapter"], body["source"], body["hangup_cause"]) == ("freeswitch", "pbx", "NORMAL_CLEARING")
    assert [leg["uuid"] for leg in body["legs"]] == [A_UUID, call().b_uuid]
    assert all(leg["sip_call_id"] for leg in body["legs"])
    assert (body["records"], body["recordings"]) == (
        [A_NAME, B_NAME] if A_NAME < B_NAME else [B_NAME, A_NAME],
        ["call.wav"],
    )


def test_a_recording_that_did_not_come_is_named(spool: Spool) -> None:
    spool.add(call(), audio=None)
    assert spool.one(later=200).vcon.attachments[0]["body"]["recordings_missing"] == ["call.wav"]


def test_recordings_of_both_legs_are_two_dialogs(spool: Spool) -> None:
    spool.put(spool.recordings / "agent.wav", WAV)
    data = built(spool, call(), b={"record_path": "/var/lib/freeswitch/recordings/agent.wav"})
    assert [dialog["filename"] for dialog in data["dialog"]] == ["call.wav", "agent.wav"]


def test_a_recording_that_both_legs_speak_of_is_one_dialog(spool: Spool) -> None:
    data = built(spool, call(), b={"record_path": "/var/lib/freeswitch/recordings/2026-11-02/call.wav"})
    assert len(data["dialog"]) == 1


def test_created_at_is_when_the_call_began(spool: Spool) -> None:
    assert built(spool, call())["created_at"] == "2026-11-02T09:15:07.412Z"
