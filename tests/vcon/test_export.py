"""What older readers are given, and that nothing is lost on the way down and up again."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.document import ARRAYS
from vcon_platform.vcon.export import VERSIONS, ExportVersion, UnknownVersion, export
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.received import Policy, receive

VCONS = Path(__file__).parent.parent / "data" / "vcons"
OLD: tuple[ExportVersion, ...] = ("0.0.1", "0.0.2", "conserver")
HASH = "sha512-GLy6IPaIUM1GqzZqfIPZlWjaDsNgNvZM0iCONNThnH0a75fhUM6cYzLZ5GynSURREvZwmOh54-2lRRieyj82UQ"

VIEW: dict[str, Any] = {
    "uuid": "01990b2c-7d10-8a41-9c3e-5b7f2d4e6a80",
    "created_at": "2026-09-07T09:00:00Z",
    "subject": "a call",
    "amended": {"uuid": "01990b2c-7d10-8a41-9c3e-5b7f2d4e6a81"},
    "critical": ["CC"],
    "x_unknown": {"kept": True},
    "parties": [{"tel": "+12025550101", "uuid": "cust-4711"}, {"name": "Bob"}],
    "dialog": [
        {
            "type": "recording",
            "start": "2026-09-07T09:00:00Z",
            "parties": [0, 1],
            "mediatype": "audio/x-wav",
            "url": "https://recordings.example.com/1.wav",
            "content_hash": HASH,
            "session_id": {"local": "a84b4c76e66710"},
        },
        {"type": "transfer", "transferor": 0, "transfer_target": 1, "target_dialog": 0},
    ],
    "analysis": [
        {
            "type": "transcript",
            "dialog": 0,
            "vendor": "openai",
            "product": "whisper",
            "schema": "whisper_word_timestamps",
            "mediatype": "application/json",
            "encoding": "json",
            "body": {"text": "hello"},
        }
    ],
    "attachments": [
        {"purpose": "tags", "mediatype": "application/json", "encoding": "json", "body": ["team:north"]},
        {"purpose": "note", "type": "something else", "encoding": "none", "body": "x"},
    ],
}


def _written(version: ExportVersion, **rest: Any) -> dict[str, Any]:
    return export({**VIEW, **rest}, version)


def test_python_vcon_reads_0_0_1_with_the_names_of_that_time() -> None:
    written = _written("0.0.1")
    assert written["vcon"] == "0.0.1"
    assert (written["appended"], written["must_support"]) == (VIEW["amended"], ["CC"])
    recording, transfer = written["dialog"]
    assert recording == {
        "type": "recording",
        "start": "2026-09-07T09:00:00Z",
        "parties": [0, 1],
        "mimetype": "audio/x-wav",
        "url": "https://recordings.example.com/1.wav",
        "session_id": "a84b4c76e66710",
        "alg": "SHA-512",
        "signature": HASH.removeprefix("sha512-"),
    }
    assert transfer == {"type": "transfer", "transferor": 0, "transfer-target": 1, "target-dialog": 0}
    [analysis] = written["analysis"]
    assert (analysis["vendor_product"], analysis["vendor_schema"]) == ("whisper", "whisper_word_timestamps")
    assert analysis["mimetype"] == "application/json"
    assert written["attachments"][0]["type"] == "tags"


def test_python_vcon_reads_0_0_2_with_media_types_hashes_and_amended_as_today() -> None:
    written = _written("0.0.2")
    assert written["vcon"] == "0.0.2"
    assert (written["amended"], written["must_support"]) == (VIEW["amended"], ["CC"])
    recording, transfer = written["dialog"]
    assert recording == {**VIEW["dialog"][0], "session_id": "a84b4c76e66710"}
    assert "transfer-target" in transfer
    assert written["analysis"] == VIEW["analysis"]
    assert written["attachments"][0]["type"] == "tags"


def test_the_conservers_egress_form_is_as_it_writes_it() -> None:
    written = _written("conserver")
    assert written["vcon"] == "0.0.1"
    assert (written["appended"], written["must_support"]) == (VIEW["amended"], ["CC"])
    assert written["dialog"][0]["mimetype"] == "audio/x-wav"
    assert written["dialog"][0]["content_hash"] == HASH
    assert written["analysis"] == [
        {
            "type": "transcript",
            "dialog": 0,
            "vendor": "openai",
            "product": "whisper",
            "schema_version": "whisper_word_timestamps",
            "mimetype": "application/json",
            "encoding": "none",
            "body": {"text": "hello"},
        }
    ]
    assert written["attachments"][0] == {
        "type": "tags",
        "mimetype": "application/json",
        "encoding": "none",
        "body": ["team:north"],
    }


def test_the_conserver_always_writes_group_redacted_and_appended() -> None:
    written = export({"uuid": VIEW["uuid"], "created_at": VIEW["created_at"]}, "conserver")
    assert (written["group"], written["redacted"], written["appended"]) == ([], {}, None)


def test_a_json_body_that_is_a_text_or_a_dialogs_is_left_alone_for_the_conserver() -> None:
    text, dialog = {"encoding": "json", "body": "a text"}, {"type": "text", "encoding": "json", "body": {"a": 1}}
    written = _written("conserver", analysis=[text], dialog=[dialog])
    assert (written["analysis"], written["dialog"]) == ([text], [dialog])


@pytest.mark.parametrize("version", [version for version in VERSIONS if version != "current"])
def test_older_readers_find_all_four_arrays(version: ExportVersion) -> None:
    written = export({"uuid": "u", "created_at": "t", "parties": None}, version)
    assert [written[array] for array in ARRAYS] == [[], [], [], []]


@pytest.mark.parametrize("version", ["0.0.1", "0.0.2"])
def test_what_python_vcon_makes_itself_is_there(version: ExportVersion) -> None:
    written = export({"uuid": "u", "created_at": "t"}, version)
    assert (written["group"], written["redacted"]) == ([], {})


def test_a_group_or_a_redaction_is_not_overwritten() -> None:
    rest = {"group": [{"uuid": "x"}], "redacted": {"uuid": "y", "type": "names"}}
    for version in OLD:
        written = _written(version, **rest)
        assert {name: written[name] for name in rest} == rest


def test_the_current_form_is_the_view() -> None:
    assert export(VIEW, "current") == VIEW


def test_0_4_0_is_the_view_with_its_version() -> None:
    written = export({**VIEW, "vcon": "0.0.1"}, "0.4.0")
    assert written == {"vcon": "0.4.0", **VIEW}
    assert next(iter(written)) == "vcon"


@pytest.mark.parametrize(
    ("body", "text"), [({"a": [1]}, '{"a":[1]}'), (["x"], '["x"]'), ("x", '"x"'), (None, "null"), (0.5, "0.5")]
)
def test_json_bodies_are_written_as_text_where_that_is_asked_for(body: object, text: str) -> None:
    entry = {"type": "summary", "encoding": "json", "body": body}
    written = export({**VIEW, "analysis": [entry]}, "0.4.0", json_strings=True)
    assert written["analysis"] == [{**entry, "body": text}]


def test_bodies_of_other_encodings_stay_when_json_is_written_as_text() -> None:
    entries = [{"encoding": "none", "body": "x"}, {"encoding": "base64url", "body": "eA"}, {"encoding": "json"}]
    assert export({**VIEW, "attachments": entries}, "0.4.0", json_strings=True)["attachments"] == entries


def test_what_0_0_1_cannot_say_stays_under_its_present_name() -> None:
    dialog = [
        {"type": "recording-set", "recordings": [1], "session_id": {"local": "a", "remote": "b"}},
        {"type": "recording", "url": "x", "content_hash": [HASH, "sha256-x"], "recording_set": 0},
        {"type": "recording", "url": "x", "content_hash": "sha256-x"},
        {"type": "recording", "url": "x", "content_hash": HASH, "alg": "LM-OTS", "signature": "y", "key": "z"},
    ]
    assert _written("0.0.1", dialog=dialog)["dialog"] == dialog


def test_a_name_that_is_taken_is_not_overwritten() -> None:
    odd = {"mediatype": "audio/x-wav", "mimetype": "mine", "critical": ["a"], "must_support": "mine"}
    for version in OLD:
        written = _written(version, dialog=[odd], must_support=["other"])
        assert written["dialog"] == [odd]
        assert (written["critical"], written["must_support"]) == (["CC"], ["other"])
        assert written["attachments"][1]["purpose"] == "note"


@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_members_are_handed_on(version: ExportVersion) -> None:
    written = _written(version, dialog=[{"type": "room", "x": 1}])
    assert written["x_unknown"] == {"kept": True}
    assert written["dialog"] == [{"type": "room", "x": 1}]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("json_strings", [False, True])
def test_the_view_is_never_changed(version: ExportVersion, json_strings: bool) -> None:
    view = copy.deepcopy(VIEW)
    export(view, version, json_strings=json_strings)
    assert view == VIEW


def test_what_need_not_change_is_not_copied() -> None:
    view = orjson.loads((VCONS / "py-vcon" / "hello.vcon").read_bytes())
    written = export(view, "0.0.2")
    assert written["dialog"] is view["dialog"]
    assert written["parties"] is view["parties"]


def test_a_version_nobody_reads_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(UnknownVersion, match=r"0\.0\.1, 0\.0\.2, 0\.4\.0, current, conserver"):
        export(VIEW, cast("ExportVersion", "9.9.9"))


@pytest.mark.parametrize("version", VERSIONS)
def test_odd_elements_are_passed_over(version: ExportVersion) -> None:
    odd: list[Any] = [None, "text", 7, []]
    written = export({"uuid": "u", "dialog": odd, "analysis": {}, "attachments": odd}, version, json_strings=True)
    assert written["dialog"] == odd


# -- down and up again ------------------------------------------------------------------------------------------------

POLICY = Policy(datetime(2026, 11, 2, tzinfo=UTC), critical=frozenset({"CC"}))


def _view(value: Any) -> dict[str, Any]:
    """The view of a document in any version; the value itself is left alone."""
    return receive(orjson.loads(orjson.dumps(value)), POLICY).data


def _said(view: dict[str, Any]) -> dict[str, Any]:
    """What a view says: an empty array, or an empty list of extensions, says as much as none."""
    return {name: value for name, value in view.items() if value != [] or name not in (*ARRAYS, "critical")}


def _fixture_views() -> dict[str, dict[str, Any]]:
    views = {}
    for path in sorted([*VCONS.rglob("*.vcon"), *VCONS.rglob("*.json")]):
        try:
            received = receive(orjson.loads(path.read_bytes()), POLICY)
        except (Rejected, orjson.JSONDecodeError):
            continue  # not a vCon that would be taken in; the gates' own tests say which and why
        if not received.opaque:
            views[str(path.relative_to(VCONS))] = received.data
    return views


FIXTURE_VIEWS = _fixture_views()


def test_most_fixtures_have_a_view_to_write_out() -> None:
    assert len(FIXTURE_VIEWS) >= 32


@pytest.mark.parametrize("json_strings", [False, True])
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", FIXTURE_VIEWS)
def test_a_fixture_written_out_and_migrated_again_is_the_same(
    name: str, version: ExportVersion, json_strings: bool
) -> None:
    view = FIXTURE_VIEWS[name]
    assert _said(_view(export(view, version, json_strings=json_strings))) == _said(view)


_TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=6)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e9, 1e9) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=8,
)
_ID = st.fixed_dictionaries({}, optional={"local": _TEXT, "remote": _TEXT})
_BODIES = st.one_of(
    st.fixed_dictionaries({"encoding": st.just("json"), "body": _JSON}),
    st.fixed_dictionaries({"encoding": st.just("none"), "body": _TEXT}),
    st.fixed_dictionaries(
        {"url": st.sampled_from(["https://a.example/x", "relative/path.wav"])},
        optional={"content_hash": st.sampled_from([HASH, [HASH], [HASH, HASH]])},
    ),
    st.just({}),
)
_MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "mediatype": st.sampled_from(["audio/x-wav", "text/plain", "application/json"]),
    "mimetype": st.just("text/plain"),
    "filename": _TEXT,
    "schema": _TEXT | st.just({"model": "x"}),
    "schema_version": _TEXT,
    "vendor_schema": _TEXT,
    "product": _TEXT,
    "vendor": _TEXT,
    "alg": st.sampled_from(["SHA-512", "LM-OTS"]),
    "signature": st.just(HASH.removeprefix("sha512-")),
    "purpose": st.sampled_from(["tags", "lawful_basis", "text/plain", ""]),
    "session_id": _TEXT | _ID | st.lists(_ID, max_size=2),
    "transfer_target": st.just(0),
    "transfer-target": st.just(1),
    "target_dialog": st.just(0),
    "must_support": st.just(["x"]),
    "transcript": _TEXT,
    "critical": st.just(["x"]),
    "x_unknown": _JSON,
}
_TYPES = st.sampled_from(["recording", "text", "transfer", "recording-set", "room", "transcript", "text/plain"])


def _elements() -> st.SearchStrategy[list[dict[str, Any]]]:
    entry = st.fixed_dictionaries({}, optional={**_MEMBERS, "type": _TYPES})
    return st.lists(st.builds(lambda one, body: {**one, **body}, entry, _BODIES), max_size=2)


_DOCUMENTS = st.fixed_dictionaries(
    {"uuid": st.just(VIEW["uuid"]), "created_at": st.just(VIEW["created_at"]), "parties": st.just([{}, {}])},
    optional={
        "dialog": _elements().map(lambda entries: [{"type": "text"}, *entries]),
        "analysis": _elements(),
        "attachments": _elements(),
        "amended": st.just(VIEW["amended"]),
        "appended": st.just(VIEW["amended"]),
        "critical": st.lists(_TEXT, max_size=2),
        "must_support": st.just(["CC"]),
        "group": st.just([{"uuid": "x"}]),
        "vcon": st.sampled_from(["0.0.1", "0.4.0"]),
    },
)


@settings(max_examples=150, deadline=None)
@given(_DOCUMENTS, st.sampled_from(VERSIONS), st.booleans())
def test_any_view_written_out_and_migrated_again_is_the_same(
    document: dict[str, Any], version: str, json_strings: bool
) -> None:
    try:
        view = _view(_view(document))  # a view is what migrating changes no more; that it is so at once is migrate's
    except Rejected:
        return
    written = export(view, cast("ExportVersion", version), json_strings=json_strings)
    assert _said(_view(written)) == _said(view)
