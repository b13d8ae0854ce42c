"""Gates 2 and 3: what is refused, with its code and its place; what is kept, with what is told of it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.vcon.ingress import POLICY, answered, document, kept, message
from vcon_platform.vcon.limits import Limits
from vcon_platform.vcon.notes import MOST_FAULTS

UUID = "01990b2c-7d10-7a41-9c3e-5b7f2d4e6a80"
HASH = "sha512-pKvURIxJVi2CgRXROh_M6pJ_UrTVRZKX-LQ-QtqJI4vBNibkPcs43bCCSIkn7JBPtCBXRDmD6IWFF51QVRr-Yg"


def faults(value: Any) -> list[tuple[str, str]]:
    found = answered(value)
    assert found.received is None
    return list(zip(found.codes, found.pointers, strict=True))


def test_a_clean_document_has_no_findings() -> None:
    assert answered(document(dialog=[message()])).status == 201


# --- identity --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("uuid", ["", 5, "../../etc/passwd", f"{0:032}", "f" * 32, {}, True])
def test_what_is_no_uuid_is_refused(uuid: Any) -> None:
    assert faults(document(uuid=uuid)) == [("bad_uuid", "/uuid")]


def test_a_uuid_is_never_invented() -> None:
    assert faults({"parties": []}) == [("uuid_required", "/uuid")]


@pytest.mark.parametrize("uuid", [UUID.upper(), f"urn:uuid:{UUID}", f"URN:UUID:{UUID.upper()}"])
def test_another_spelling_of_a_uuid_is_made_canonical(uuid: str) -> None:
    received = kept(document(uuid=uuid))
    assert (received.uuid, received.data["uuid"], received.findings[0].code) == (UUID, UUID, "uuid_normalised")


@pytest.mark.parametrize("value", [[], None, "vcon", 1, [document()]])
def test_only_an_object_is_a_document(value: Any) -> None:
    assert faults(value) == [("not_an_object", "")]


@pytest.mark.parametrize("member", ["parties", "dialog", "analysis", "attachments"])
@pytest.mark.parametrize("value", [{}, "x", 0])
def test_an_array_that_is_none_is_refused(member: str, value: Any) -> None:
    assert ("wrong_type", f"/{member}") in faults(document(**{member: value}))


@pytest.mark.parametrize("member", ["parties", "dialog", "analysis", "attachments"])
def test_an_element_that_is_no_object_is_refused(member: str) -> None:
    assert ("wrong_type", f"/{member}/0") in faults(document(**{member: ["x"]}))


def test_null_counts_as_absent() -> None:
    received = kept(document(dialog=None))
    assert ("dialog" in received.data, [finding.code for finding in received.findings]) == (False, ["empty_dropped"])


# --- all faults at once ----------------------------------------------------------------------------------------


def test_every_fault_is_told_at_once() -> None:
    broken = document(uuid=5, created_at="Tuesday", dialog=[message(parties=[7]), message(encoding="gzip")])
    assert set(faults(broken)) == {
        ("bad_uuid", "/uuid"),
        ("bad_date", "/created_at"),
        ("bad_index", "/dialog/0/parties/0"),
        ("bad_encoding", "/dialog/1/encoding"),
    }


def test_the_faults_of_a_hopeless_document_are_bounded() -> None:
    assert len(faults(document(dialog=[message(parties=[7] * 5000)]))) == MOST_FAULTS


def test_the_findings_of_a_document_are_bounded() -> None:
    received = kept(document(dialog=[message(start="2026-09-07 09:00:00") for _ in range(1000)]))
    assert (len(received.findings), received.findings[-1].code) == (201, "more_findings")


def test_too_many_dialogs_are_refused_by_the_cap() -> None:
    policy = replace(POLICY, limits=Limits(dialogs=2))
    found = answered(document(dialog=[message()] * 3), policy)
    assert (found.status, found.codes) == (413, ["too_many_dialogs"])


# --- indexes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("parties", [0, [0, 1], [[0, 1], None], [[0], [1]], [], [None, 1], [[]]])
def test_legal_forms_of_parties_are_clean(parties: Any) -> None:
    assert answered(document(dialog=[message(parties=parties)])).status == 201


@pytest.mark.parametrize(
    ("parties", "place"),
    [
        (2, ""),
        (-1, ""),
        (True, ""),
        (0.0, ""),
        ("0", ""),
        ({}, ""),
        ([0, 2], "/1"),
        ([[0, 9]], "/0/1"),
        ([[[0]]], "/0/0"),
        ([[None]], "/0/0"),
        ([10**9], "/0"),
    ],
)
def test_parties_that_are_not_there_are_refused(parties: Any, place: str) -> None:
    assert faults(document(dialog=[message(parties=parties)])) == [("bad_index", f"/dialog/0/parties{place}")]


INDEXED = [
    ({"dialog": [message(originator=2)]}, "/dialog/0/originator"),
    ({"dialog": [{"type": "recording", "recording_set": 1}]}, "/dialog/0/recording_set"),
    ({"dialog": [{"type": "recording-set", "recordings": [0]}]}, "/dialog/0/recordings/0"),  # itself
    ({"dialog": [{"type": "recording-set", "recordings": [3]}]}, "/dialog/0/recordings/0"),
    ({"dialog": [{"type": "transfer", "transferee": 2}]}, "/dialog/0/transferee"),
    ({"dialog": [{"type": "transfer", "transferor": -1}]}, "/dialog/0/transferor"),
    ({"dialog": [{"type": "transfer", "transfer_target": [0, 2]}]}, "/dialog/0/transfer_target/1"),
    ({"dialog": [{"type": "transfer", "original": 1}]}, "/dialog/0/original"),
    ({"dialog": [{"type": "transfer", "consultation": True}]}, "/dialog/0/consultation"),
    ({"dialog": [{"type": "transfer", "target-dialog": 1}]}, "/dialog/0/target_dialog"),
    ({"dialog": [message(party_history=[{"party": 2}])]}, "/dialog/0/party_history/0/party"),
    ({"analysis": [{"type": "x", "vendor": "y", "dialog": 99}]}, "/analysis/0/dialog"),
    ({"analysis": [{"type": "x", "vendor": "y", "dialog": [0]}]}, "/analysis/0/dialog/0"),
    ({"analysis": [{"type": "x", "vendor": "y", "attachment": 0}]}, "/analysis/0/attachment"),
    ({"attachments": [{"party": 2}]}, "/attachments/0/party"),
    ({"attachments": [{"dialog": 0}]}, "/attachments/0/dialog"),
]


@pytest.mark.parametrize(("members", "place"), INDEXED, ids=[place for _, place in INDEXED])
def test_every_index_must_point_at_something(members: dict[str, Any], place: str) -> None:
    assert faults(document(**members)) == [("bad_index", place)]


# --- dates and durations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", ["Tuesday", 1_719_000_000, "9999-01-01T00:00:00Z", "", [], True, "1066-10-14T09:00:00Z"]
)
def test_a_creation_date_that_is_none_is_refused(value: Any) -> None:
    assert faults(document(created_at=value)) == [("bad_date", "/created_at")]


def test_the_sane_range_is_the_policys() -> None:
    policy = replace(POLICY, earliest=datetime(2026, 12, 1, tzinfo=UTC))
    assert answered(document(), policy).codes == ["bad_date"]


def test_a_naive_date_is_in_the_sources_zone() -> None:
    policy = replace(POLICY, zone=ZoneInfo("America/New_York"))
    received = kept(document(dialog=[message(start="2026-09-07 09:00:00")]), policy)
    assert received.data["dialog"][0]["start"] == "2026-09-07T09:00:00-04:00"
    assert [(finding.code, finding.pointer) for finding in received.findings] == [("tz_assumed", "/dialog/0/start")]


def test_a_number_inside_a_dialog_is_a_time() -> None:
    received = kept(document(dialog=[message(start=1_788_771_600)]))
    assert received.data["dialog"][0]["start"] == "2026-09-07T09:00:00Z"


@pytest.mark.parametrize(
    ("members", "date"),
    [
        ({"uuid": "01990b2c-7d10-7a41-9c3e-5b7f2d4e6a80"}, "2025-09-02T16:04:49.040Z"),
        ({"uuid": "11111111-1111-4111-8111-111111111111"}, "2026-09-07T08:00:00Z"),
        ({"uuid": "ffffffff-ffff-7fff-8fff-ffffffffff00"}, "2026-09-07T08:00:00Z"),  # a time in the year 10889
        ({"uuid": "11111111-1111-4111-8111-111111111111", "dialog": []}, "2026-11-20T12:00:00Z"),
    ],
)
def test_a_missing_creation_date_is_derived_and_marked(members: dict[str, Any], date: str) -> None:
    dialogs = [message(start="2026-09-07T09:00:00Z"), message(start="2026-09-07T10:00:00+02:00")]
    received = kept(document(**{"dialog": dialogs, "created_at": None, **members}))
    assert (received.data["created_at"], received.derived) == (date, ("created_at",))


def test_a_document_with_its_own_date_has_nothing_derived() -> None:
    assert kept(document()).derived == ()


@pytest.mark.parametrize("duration", ["long", [], True, "NaN", "1e400"])
def test_a_duration_that_is_no_number_is_refused(duration: Any) -> None:
    assert faults(document(dialog=[message(duration=duration)])) == [("wrong_type", "/dialog/0/duration")]


def test_a_negative_duration_is_told() -> None:
    assert answered(document(dialog=[message(duration=-1)])).codes == ["bad_duration"]


def test_a_number_in_a_string_is_a_duration() -> None:
    assert kept(document(dialog=[message(duration="94.5")])).data["dialog"][0]["duration"] == 94.5


# --- content ---------------------------------------------------------------------------------------------------

RECORDING: dict[str, Any] = {"type": "recording", "start": "2026-09-07T09:00:00Z", "parties": [0, 1]}


@pytest.mark.parametrize(
    ("members", "code", "member"),
    [
        ({"encoding": "gzip", "body": "x"}, "bad_encoding", "encoding"),
        ({"encoding": "base64url", "body": "@@@"}, "bad_body", "body"),
        ({"encoding": "base64url", "body": "AAAAA"}, "bad_body", "body"),
        ({"encoding": "base64url", "body": "é"}, "bad_body", "body"),
        ({"encoding": "base64url", "body": {}}, "bad_body", "body"),
        ({"encoding": "base64url", "body": "AA=A"}, "bad_body", "body"),
        (
            {"encoding": "none", "body": "x", "url": "https://m.example.com/a"},
            "ambiguous_content",
            "url",
        ),
        ({"url": 5}, "wrong_type", "url"),
        ({"url": "not-a-url"}, "bad_url", "url"),
        ({"url": f"vcon-media:{HASH}"}, "reserved_url", "url"),
        ({"content_hash": []}, "bad_content_hash", "content_hash"),
        ({"content_hash": [HASH, "md5-x"]}, "bad_content_hash", "content_hash"),
        ({"content_hash": {"sha512": 1}}, "bad_content_hash", "content_hash"),
        ({"alg": "SHA-512", "signature": "abc123"}, "bad_content_hash", "signature"),
        ({"mediatype": "not a valid mimetype!"}, "bad_mediatype", "mediatype"),
        ({"mediatype": "audio/x-wav\r\nSet-Cookie: a=b"}, "bad_mediatype", "mediatype"),
        ({"mimetype": 12345}, "wrong_type", "mediatype"),
    ],
)
@pytest.mark.parametrize("array", ["dialog", "attachments"])
def test_unreadable_content_is_refused(array: str, members: dict[str, Any], code: str, member: str) -> None:
    element = {**RECORDING, **members} if array == "dialog" else members
    assert (code, f"/{array}/0/{member}") in faults(document(**{array: [element]}))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"url": "https://m.example.com/a.wav"}, "unverified_external"),
        ({"url": "http://m.example.com/a.wav", "content_hash": HASH}, "url_blocked"),
        ({"url": "s3://bucket/recording.wav", "content_hash": HASH}, "url_blocked"),
        ({"url": "recordings/a.wav", "content_hash": HASH}, "url_blocked"),
        ({"url": "https://m.example.com/a.wav?X-Amz-Signature=x", "content_hash": HASH}, "presigned_url"),
        ({"mediatype": "audio/x-wav", "encoding": "base64url", "body": "I0VYVE0zVQo"}, "undecodable_media"),
        ({"mediatype": "audio/x-mp3", "encoding": "none", "body": "[playlist]"}, "undecodable_media"),
        (
            {"encoding": "base64url", "body": "UklGRg", "content_hash": HASH},
            "hash_mismatch",
        ),
    ],
)
def test_doubtful_content_is_kept_and_told(members: dict[str, Any], code: str) -> None:
    found = answered(document(dialog=[{**RECORDING, **members}]))
    assert (found.status, code in found.codes) == (202, True)


def test_raw_audio_without_a_container_is_not_doubted() -> None:
    recording = {**RECORDING, "mediatype": "audio/PCMU", "encoding": "base64url", "body": "_39-fX19fHx8"}
    assert answered(document(dialog=[recording])).status == 201


def test_a_hash_of_the_body_itself_is_clean() -> None:
    digest = "sha256-LPJNul-wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ"
    assert answered(document(dialog=[message(content_hash=digest)])).status == 201


def test_our_own_media_may_be_named_where_the_policy_says_so() -> None:
    ours = {(UUID, HASH)}
    policy = replace(POLICY, may_refer=lambda uuid, token: (uuid, token) in ours)
    value = document(dialog=[{**RECORDING, "url": f"vcon-media:{HASH}", "content_hash": HASH}])
    assert answered(value, policy).status == 201
    assert answered({**value, "uuid": "11111111-1111-4111-8111-111111111111"}, policy).codes == ["reserved_url"]


# --- dialogs by type, lineage, extensions ----------------------------------------------------------------------


def test_an_incomplete_dialog_needs_a_disposition() -> None:
    assert faults(document(dialog=[{"type": "incomplete"}])) == [("disposition_required", "/dialog/0/disposition")]


def test_a_placeholder_is_clean() -> None:
    assert answered(document(dialog=[{}, {"type": "recording"}, message()])).status == 201


@pytest.mark.parametrize("kind", [["text"], 5, {}, True])
def test_a_type_that_is_no_string_is_refused(kind: Any) -> None:
    assert ("wrong_type", "/dialog/0/type") in faults(document(dialog=[message(type=kind)]))


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"redacted": {"type": "pii"}, "amended": {"uuid": UUID}}, ("mutually_exclusive", "/amended")),
        ({"redacted": {"uuid": UUID, "body": "{}", "encoding": "json"}}, ("inline_original", "/redacted")),
        ({"redacted": {"parties": []}}, ("inline_original", "/redacted")),
        ({"amended": "x"}, ("wrong_type", "/amended")),
        ({"critical": "x"}, ("wrong_type", "/critical")),
        ({"critical": [5]}, ("wrong_type", "/critical")),
        ({"extensions": {}}, ("wrong_type", "/extensions")),
        ({"subject": 5}, ("wrong_type", "/subject")),
        ({"updated_at": "soon"}, ("bad_date", "/updated_at")),
        ({"amended": {"url": "not-a-url"}}, ("bad_url", "/amended/url")),
    ],
)
def test_wrong_members_of_the_document_are_refused(members: dict[str, Any], expected: tuple[str, str]) -> None:
    assert expected in faults(document(**members))


@pytest.mark.parametrize(
    ("link", "code"),
    [
        ({"uuid": UUID}, "self_reference"),
        ({"uuid": f"urn:uuid:{UUID}"}, "self_reference"),
        ({"uuid": "x"}, "bad_reference"),
        ({"url": "https://m.example.com/prior.vcon"}, "unverified_external"),
    ],
)
def test_doubtful_links_are_kept_and_told(link: dict[str, Any], code: str) -> None:
    assert code in answered(document(amended=link)).codes


def test_an_unsupported_critical_extension_parks_the_document() -> None:
    received = kept(document(critical=["agent_session", "x"]), replace(POLICY, critical=frozenset({"x"})))
    assert (received.parked, [finding.code for finding in received.findings]) == (
        ("agent_session",),
        ["unsupported_critical"],
    )


def test_a_supported_critical_extension_is_clean() -> None:
    assert answered(document(critical=["x"]), replace(POLICY, critical=frozenset({"x"}))).status == 201


def test_must_support_parks_too_beside_an_innocent_critical() -> None:
    received = kept(document(critical=["x"], must_support=["y"]), replace(POLICY, critical=frozenset({"x"})))
    assert (received.parked, received.data["critical"]) == (("y",), ["x", "y"])


# --- tags ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [["a:b", "url:https://x:8443/a", "k:"], {"a": "b", "score": 7}, []])
def test_well_formed_tags_are_clean(body: Any) -> None:
    assert answered(document(attachments=[{"purpose": "tags", "encoding": "json", "body": body}])).status == 201


@pytest.mark.parametrize("body", [["nocolon"], [5], [":v"], {"": "x"}, 5])
def test_items_that_are_no_tags_are_told(body: Any) -> None:
    found = answered(document(attachments=[{"purpose": "tags", "encoding": "json", "body": body}]))
    assert (found.status, found.codes) == (202, ["bad_tag_items"])
