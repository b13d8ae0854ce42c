"""The report: what draft -04 says of a document, without a word of the document itself."""

from __future__ import annotations

import copy
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.conformance import (
    BOUND,
    External,
    Missing,
    Report,
    SchemaError,
    report,
    report_of,
    strict_faults,
)
from vcon_platform.vcon.faults import Finding, Rejected
from vcon_platform.vcon.received import Policy, receive

VCONS = Path(__file__).parent.parent / "data" / "vcons"
TOP = {"uuid": "01990b2c-7d10-8a41-9c3e-5b7f2d4e6a80", "created_at": "2026-09-07T09:00:00Z"}
NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
SECRET = "Alice Archer +12025550101"


def _read(name: str) -> dict[str, Any]:
    value: dict[str, Any] = orjson.loads((VCONS / name).read_bytes())
    return value


def _doc(**rest: Any) -> dict[str, Any]:
    return {**TOP, "parties": [{}], **rest}


def _errors(**rest: Any) -> list[tuple[str, str, str]]:
    return [(error.pointer, error.keyword, error.message) for error in report(_doc(**rest)).schema_errors]


def _missing(**rest: Any) -> set[tuple[str, str, str]]:
    return {(lack.pointer, lack.member, lack.level) for lack in report(_doc(**rest)).missing}


# -- conformant or not ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["made/full_04.vcon", "made/critical_unknown.vcon", "extensions/wtf_draft_example.vcon"]
)
def test_a_conformant_document_is_called_so(name: str) -> None:
    data = _read(name)
    told = report(data, original=data, signature="valid")
    assert told.conformant
    assert told.schema_errors == ()
    assert told.checked == ("original", "view")


@pytest.mark.parametrize(
    "name", ["made/tags_shapes.vcon", "other/js_interop_call.vcon", "core-03/ab_call_ext_rec.vcon"]
)
def test_a_document_that_lacks_something_is_not_conformant(name: str) -> None:
    data = _read(name)
    assert not report(data, original=data).conformant


def test_a_document_in_old_names_is_not_conformant_however_good_its_view() -> None:
    view = _read("made/full_04.vcon")
    told = report(view, original={"vcon": "0.0.1"}, source_version="0.0.1")
    assert not told.conformant
    assert told.checked == ("view",)


def test_a_document_that_had_to_be_repaired_is_not_conformant() -> None:
    view = _read("made/full_04.vcon")
    assert not report(view, [Finding("tz_assumed", "/created_at", "has no zone")]).conformant
    assert report(view, [Finding("bom_stripped", "", "had a mark", strict=False)]).conformant


def test_what_nobody_can_read_is_neither_checked_nor_called_conformant() -> None:
    told = report({"uuid": TOP["uuid"]}, opaque=True)
    assert (told.conformant, told.checked, told.schema_errors, told.missing) == (False, (), (), ())


def test_errors_say_whether_the_original_or_the_view_has_them() -> None:
    told = report(_doc(), original={**_doc(), "subject": 7})
    assert told.schema_errors == (SchemaError("original", "/subject", "type", "must be of type 'string'"),)


def test_of_the_fixtures_those_that_were_made_for_04_are_conformant_and_nothing_else() -> None:
    conformant = []
    for path in sorted([*VCONS.rglob("*.vcon"), *VCONS.rglob("*.json")]):
        try:
            raw = orjson.loads(path.read_bytes())
            told = report_of(receive(copy.deepcopy(raw), Policy(NOW, critical=frozenset({"x_escrow"}))), original=raw)
        except (Rejected, orjson.JSONDecodeError):
            continue
        if told.conformant:
            conformant.append(path.name)
    assert conformant == ["wtf_draft_example.vcon", "critical_unknown.vcon", "full_04.vcon"]


# -- schema errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ({"subject": 7}, ("/subject", "type", "must be of type 'string'")),
        ({"created_at": "Tuesday"}, ("/created_at", "format", "is not in the form 'date-time'")),
        ({"vcon": "0.0.1"}, ("/vcon", "const", "must be '0.4.0'")),
        ({"analysis": [{"vendor": "x"}]}, ("/analysis/0", "required", "lacks 'type'; add it")),
        (
            {"dialog": [{"type": "text", "originator": -1}]},
            ("/dialog/0/originator", "minimum", "must be at least 0"),
        ),
        (
            {"dialog": [{"type": "recording", "url": "https://x.example/a"}]},
            ("/dialog/0", "dependencies", "'url' needs 'content_hash' beside it"),
        ),
        (
            {"dialog": [{"type": "recording", "url": "not-a-url", "content_hash": "x"}]},
            ("/dialog/0/url", "format", "is not in the form 'uri'"),
        ),
        (
            {"dialog": [{"type": "transfer", "parties": [0], "body": "x", "encoding": "none", "mediatype": "a/b"}]},
            (
                "/dialog/0",
                "not",
                "must not have 'parties' together with 'mediatype' together with 'body' together with 'encoding'",
            ),
        ),
        (
            {"redacted": {"type": "x"}, "amended": {"uuid": TOP["uuid"]}},
            ("", "not", "must not have 'redacted' together with 'amended'"),
        ),
        (
            {"dialog": [{"type": "text", "parties": "Alice"}]},
            (
                "/dialog/0/parties",
                "anyOf",
                "has none of the forms that are allowed here; see the draft for this member",
            ),
        ),
    ],
)
def test_an_error_is_told_in_the_schemas_words(rest: dict[str, Any], error: tuple[str, str, str]) -> None:
    assert error in _errors(**rest)


def test_an_enumeration_names_the_choices() -> None:
    [(_, _, message)] = _errors(dialog=[{"type": "video"}])
    assert message == "must be one of 'recording', 'text', 'transfer', 'incomplete', 'recording-set'"


def test_members_that_one_object_lacks_are_told_once() -> None:
    [(pointer, _, message)] = _errors(attachments=[{"purpose": "tags"}])
    assert (pointer, message) == ("/attachments/0", "lacks 'start', 'party', 'dialog'; add it")


def test_a_uri_that_has_a_scheme_and_no_spaces_is_one() -> None:
    for url, accepted in (("urn:x:y", True), ("https://a.example/%20?b=c#d", True), ("a b:c", False), ("/x", False)):
        wrong = [error for error in _errors(amended={"url": url, "content_hash": "x"}) if error[1] == "format"]
        assert bool(wrong) is not accepted, url


def test_a_long_list_of_errors_is_cut_and_said_to_be() -> None:
    told = report(_doc(dialog=[{"type": "text", "start": 5}] * 5_000))
    assert len(told.schema_errors) == BOUND
    assert len(told.missing) == BOUND
    assert told.cut == ("schema_errors", "missing")


def test_a_report_takes_time_in_proportion_to_the_document() -> None:
    def seconds(dialogs: int) -> float:
        data = _doc(dialog=[{"type": "text", "start": "2026-09-07T09:00:00Z", "parties": [0]}] * dialogs)
        begun = time.process_time()
        report(data)
        return time.process_time() - begun

    seconds(1)
    assert seconds(1_000) < 30 * max(seconds(100), 0.002)


# -- what is missing --------------------------------------------------------------------------------------------------


def test_members_that_the_migration_filled_in_count_as_missing() -> None:
    raw = {"uuid": TOP["uuid"], "analysis": [{"type": "summary", "body": "x"}, {"type": "x", "vendor": "unknown"}]}
    told = report_of(receive(copy.deepcopy(raw), Policy(NOW)), original=raw)
    assert [(lack.pointer, lack.member) for lack in told.missing if lack.level == "must"] == [
        ("", "created_at"),
        ("/analysis/0", "vendor"),
        ("/analysis/0", "encoding"),
    ]
    assert {(error.of, error.pointer) for error in told.schema_errors} == {
        ("original", ""),
        ("original", "/analysis/0"),
    }


def test_a_document_without_any_of_the_four_arrays_is_told_so() -> None:
    assert Missing("", "parties|dialog|analysis|attachments", "should") in report(TOP).missing


@pytest.mark.parametrize(
    ("dialog", "lacks"),
    [
        ({"type": "recording", "x": 1}, {("start", "should"), ("parties", "should"), ("body|url", "should")}),
        (
            {"type": "text", "start": "", "parties": 0, "body": "hi"},
            {("encoding", "must"), ("mediatype", "must")},
        ),
        ({"type": "text", "start": "", "parties": 0, "body": ""}, set()),
        ({"type": "recording", "start": "", "parties": 0, "url": ""}, {("content_hash", "must")}),
        ({"type": "recording-set", "start": "", "parties": 0}, {("recordings", "must")}),
        ({"type": "incomplete", "start": ""}, {("disposition", "must")}),
        ({"type": "transfer", "transferee": 0, "transferor": 0, "transfer_target": 0, "original": 0},
         {("consultation", "should"), ("target_dialog", "should")}),
        ({"start": ""}, {("type", "must")}),
    ],
)  # fmt: skip
def test_a_dialog_lacks_what_its_type_asks_for(dialog: dict[str, Any], lacks: set[tuple[str, str]]) -> None:
    assert {(member, level) for _, member, level in _missing(dialog=[dialog])} == lacks


@pytest.mark.parametrize(
    "dialog", [{}, {"type": "recording"}, {"type": "text"}, {"type": "incomplete", "disposition": "busy"}]
)
def test_a_placeholder_lacks_nothing(dialog: dict[str, Any]) -> None:
    assert _missing(dialog=[dialog], analysis=[{}], attachments=[{}]) == set()


def test_a_recording_in_a_set_is_to_name_the_set() -> None:
    recording = {"type": "recording", "start": "", "parties": 0, "url": "x", "content_hash": "y"}
    dialogs = [{"type": "recording-set", "start": "", "parties": 0, "recordings": [1]}, recording]
    assert _missing(dialog=dialogs) == {("/dialog/1", "recording_set", "should")}


def test_a_key_event_needs_its_button() -> None:
    history = [{"party": 0, "time": "", "event": "keydown"}, {"party": 0, "event": "join"}]
    dialog = {"type": "text", "start": "", "parties": 0, "url": "x", "content_hash": "y", "party_history": history}
    assert _missing(dialog=[dialog]) == {
        ("/dialog/0/party_history/0", "button", "must"),
        ("/dialog/0/party_history/1", "time", "must"),
    }


def test_references_to_other_vcons_lack_what_they_need() -> None:
    assert _missing(redacted={"url": "x"}) == {
        ("/redacted", "type", "must"),
        ("/redacted", "uuid", "should"),
        ("/redacted", "content_hash", "must"),
    }
    assert _missing(amended={"x": 1}) == {("/amended", "uuid|url", "must")}


# -- external content, the rest ---------------------------------------------------------------------------------------


def test_external_content_is_told_by_host_only() -> None:
    url = "https://user:pw@Recordings.example.com:8443/Alice%20Archer.wav?X-Amz-Signature=abc"
    told = report(_doc(dialog=[{"type": "recording", "url": url}]))
    assert told.external == (
        External("/dialog/0/url", "https", "recordings.example.com", hashed=False, blocked=told.external[0].blocked),
    )
    assert told.external[0].blocked == "it carries a user name or password"
    assert "Alice" not in str(told.to_json())


def test_names_in_critical_are_shown_as_far_as_they_are_names() -> None:
    assert report(_doc(critical=["CC", SECRET, 7])).critical == ("CC", "?", "?")


def test_verified_and_own_content_is_not_external() -> None:
    dialog = [
        {"type": "recording", "url": "https://a.example/1", "content_hash": "sha512-A"},
        {"type": "recording", "url": "https://a.example/2", "content_hash": ["sha256-B", "sha512-C"]},
        {"type": "recording", "url": "vcon-media:sha512-D", "content_hash": "sha512-D"},
        {"type": "recording", "url": "https://[broken", "content_hash": 7},
    ]
    told = report(_doc(dialog=dialog), verified={"sha512-C"})
    assert [(entry.pointer, entry.host, entry.hashed) for entry in told.external] == [
        ("/dialog/0/url", "a.example", True),
        ("/dialog/3/url", "", False),
    ]


def test_the_report_is_plain_json() -> None:
    told = report(
        _doc(critical=["x_escrow"], dialog=[{"type": "video"}]),
        [Finding("type_migrated", "/dialog/0", "was renamed")],
        signature="expired",
        source_version="0.0.1",
        parked=("x_escrow",),
    )
    plain = orjson.loads(orjson.dumps(told.to_json()))
    assert plain == told.to_json()
    assert (plain["signature"], plain["source_version"], plain["critical"]) == ("expired", "0.0.1", ["x_escrow"])
    assert plain["warnings"][0]["code"] == "type_migrated"
    assert plain["parked"] == ["x_escrow"]


# -- strict -----------------------------------------------------------------------------------------------------------


def test_a_strict_source_is_refused_for_errors_missing_members_and_strict_findings() -> None:
    told = report(
        _doc(subject=7, dialog=[{"type": "text", "parties": 0, "url": "x:y", "content_hash": "z"}]),
        [Finding("a", "/x", "strict one"), Finding("b", "/y", "mild one", strict=False)],
    )
    assert [(fault.code, fault.pointer, fault.status) for fault in strict_faults(told)] == [
        ("schema", "/subject", 422),
        ("missing_member", "/dialog/0", 422),
        ("a", "/x", 422),
    ]


def test_a_conformant_document_passes_a_strict_source() -> None:
    data = _read("made/full_04.vcon")
    assert strict_faults(report(data, original=data)) == ()


def test_what_a_strict_source_refuses_is_never_cut_away() -> None:
    mild = [Finding("mild", f"/{i}", "x", strict=False) for i in range(2 * BOUND)]
    told = report(_doc(), [*mild, Finding("strict", "", "x")])
    assert [fault.code for fault in strict_faults(told)] == ["strict"]
    assert told.cut == ("warnings",)


# -- nothing of the document ------------------------------------------------------------------------------------------

_values = st.recursive(
    st.just(SECRET) | st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "body", "x"]), inner, max_size=3)
    ),
    max_leaves=6,
)
_MEMBERS = ("type", "start", "parties", "body", "encoding", "url", "content_hash", "party_history", "session_id")
_MORE = ("vendor", "disposition", "recordings", "dialog", "mediatype", "civicaddress", "tel", "uuid", "duration")
_members = st.sampled_from(_MEMBERS + _MORE)
_TOP = ("parties", "dialog", "analysis", "attachments", "redacted", "amended", "uuid", "critical")
_entries = st.lists(st.dictionaries(_members, _values, max_size=5), max_size=3) | _values


@settings(max_examples=50, deadline=None)
@given(st.dictionaries(st.sampled_from(_TOP), _entries))
def test_no_document_makes_the_report_fail_or_speak_of_its_content(data: dict[str, Any]) -> None:
    told = report(data, original=data)
    assert isinstance(told, Report)
    assert SECRET not in orjson.dumps(told.to_json()).decode()
    assert all(SECRET not in fault.message for fault in strict_faults(told))
