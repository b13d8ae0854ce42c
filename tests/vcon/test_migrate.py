"""Older versions become the 0.4.0 view: nothing is lost, nothing invented, and a view does not change again."""

import base64
from typing import Any

import pytest

from tests.vcon.ingress import POLICY, answered, document, kept, message
from vcon_platform.vcon.bodies import Hoisted, Variant
from vcon_platform.vcon.migrate import ARRAYS
from vcon_platform.vcon.received import receive

SOUND = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\xfb\xff\xff"
HASH = "sha512-pKvURIxJVi2CgRXROh_M6pJ_UrTVRZKX-LQ-QtqJI4vBNibkPcs43bCCSIkn7JBPtCBXRDmD6IWFF51QVRr-Yg"
RECORDING: dict[str, Any] = {"type": "recording", "start": "2026-09-07T09:00:00Z", "parties": [0, 1]}


def codes(value: Any) -> list[str]:
    return [finding.code for finding in kept(value).findings]


def migrated(array: str, element: dict[str, Any]) -> dict[str, Any]:
    """One element, after migration."""
    found: dict[str, Any] = kept(document(**{array: [element]})).data[array][0]
    return found


# --- rules 1 to 8 ----------------------------------------------------------------------------------------------


def test_the_version_moves_out_of_the_document() -> None:
    received = kept(document(vcon="0.0.1"))
    assert ("vcon" in received.data, received.source_version) == (False, "0.0.1")


def test_the_present_version_is_nothing_to_tell() -> None:
    assert answered(document(vcon="0.4.0")).status == 201


@pytest.mark.parametrize("version", ["9.9", "", 4, None, []])
def test_an_unknown_version_is_judged_by_its_features(version: Any) -> None:
    assert kept(document(vcon=version, appended={"uuid": "x"})).source_version == "0.0.2"


@pytest.mark.parametrize(
    ("members", "version"),
    [
        ({"dialog": [{**RECORDING, "mimetype": "audio/x-wav"}]}, "0.0.1"),
        ({"analysis": [{"type": "x", "vendor": "y", "vendor_schema": "z"}]}, "0.0.1"),
        ({"dialog": [{"type": "transfer", "transfer-target": 0}]}, "0.0.2"),
        ({"must_support": []}, "0.3.0"),
        ({"dialog": [message(session_id="abc")]}, "0.3.0"),
        ({}, "0.4.0"),
    ],
)
def test_features_tell_the_version(members: dict[str, Any], version: str) -> None:
    assert kept(document(**members)).source_version == version


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"appended": {"uuid": "0195544a-b9b1-8ee4-b9a2-279e0d16bc46"}}, "amended"),
        ({"must_support": ["x"]}, "critical"),
    ],
)
def test_members_of_the_document_get_their_new_names(old: dict[str, Any], new: str) -> None:
    assert kept(document(**old)).data[new] == next(iter(old.values()))


@pytest.mark.parametrize(
    "empty",
    [{"redacted": {}}, {"amended": None}, {"appended": None}, {"subject": None}, {"group": []}, {"parties": None}],
)
def test_empty_members_of_the_document_are_dropped_and_told(empty: dict[str, Any]) -> None:
    received = kept(document(**empty))
    assert (empty.keys() & received.data.keys(), received.findings[0].code) == (set(), "empty_dropped")


def test_a_group_with_members_is_kept() -> None:
    assert kept(document(group=[{"uuid": "x"}])).data["group"] == [{"uuid": "x"}]


@pytest.mark.parametrize(
    ("array", "before", "after"),
    [
        ("dialog", {**RECORDING, "mimetype": "wav"}, {**RECORDING, "mediatype": "audio/x-wav"}),
        ("dialog", {**RECORDING, "mediatype": "MP3"}, {**RECORDING, "mediatype": "audio/x-mp3"}),
        (
            "dialog",
            {**RECORDING, "alg": "SHA-512", "signature": HASH.removeprefix("sha512-") + "=="},
            {**RECORDING, "content_hash": HASH},
        ),
        ("dialog", {"type": "transfer", "transfer-target": 1}, {"type": "transfer", "transfer_target": 1}),
        ("dialog", {"type": "transfer", "target-dialog": 0}, {"type": "transfer", "target_dialog": 0}),
        ("dialog", message(session_id="abc"), message(session_id={"local": "abc"})),
        ("dialog", message(session_id=["a", {"remote": "b"}]), message(session_id=[{"local": "a"}, {"remote": "b"}])),
        ("dialog", {**RECORDING, "type": "video"}, RECORDING),
        ("dialog", {**RECORDING, "type": "Audio"}, RECORDING),
        ("dialog", message(type="email"), message(application="email")),
        ("dialog", message(type="email", application="x"), message(application="x")),
        (
            "dialog",
            {"type": "transfer", "parties": [0], "body": "x", "original": 0},
            {"type": "transfer", "original": 0},
        ),
        ("dialog", message(encoding=None), message()),
        ("dialog", message(encoding=" None "), message()),
        ("dialog", message(originator=None, filename=None), message()),
        (
            "attachments",
            {"type": "tags", "encoding": "json", "body": []},
            {"purpose": "tags", "encoding": "json", "body": []},
        ),
        (
            "attachments",
            {"type": "application/json", "purpose": "x", "encoding": "json", "body": 1},
            {"mediatype": "application/json", "purpose": "x", "encoding": "json", "body": 1},
        ),
        ("attachments", {"body": {"a": 1}, "encoding": "none"}, {"body": {"a": 1}, "encoding": "json"}),
        ("attachments", {"body": [1]}, {"body": [1], "encoding": "json"}),
        ("attachments", {"body": "AAECAw==", "encoding": "base64"}, {"body": "AAECAw", "encoding": "base64url"}),
        ("attachments", {"body": "+/+/", "encoding": "base64url"}, {"body": "-_-_", "encoding": "base64url"}),
        ("attachments", {"body": "AAEC\r\nAw==", "encoding": "base64url"}, {"body": "AAECAw", "encoding": "base64url"}),
        ("attachments", {"url": "https://m.example.com/a", "body": ""}, {"url": "https://m.example.com/a"}),
        ("attachments", {"url": "", "body": "x", "encoding": "none"}, {"body": "x", "encoding": "none"}),
        ("attachments", {"mediatype": "a/b;\r\n\tc=d"}, {"mediatype": "a/b; c=d"}),
        (
            "analysis",
            {"type": "transcript", "vendor_schema": "s", "vendor_product": "p", "transcript": {"a": 1}},
            {
                "type": "transcript",
                "vendor": "unknown",
                "schema": "s",
                "product": "p",
                "body": {"a": 1},
                "encoding": "json",
            },
        ),
        ("analysis", {"type": "x", "vendor": "y", "schema_version": "1"}, {"type": "x", "vendor": "y", "schema": "1"}),
        ("parties", {"email": "a@example.com"}, {"mailto": "a@example.com"}),
        (
            "parties",
            {"email": "a@example.com", "mailto": "b@example.com"},
            {"email": "a@example.com", "mailto": "b@example.com"},
        ),
    ],
)
def test_an_element_of_an_older_version_becomes_one_of_0_4_0(
    array: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    assert migrated(array, before) == after


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1]", [1]),
        ("5", 5),
        (" true ", True),
        ('"{\\"a\\": 1}"', {"a": 1}),  # written twice
        ("hello", "hello"),
        ("true enough", "true enough"),
        ("{broken", "{broken"),
        ('{"a": 1, "a": 2}', '{"a": 1, "a": 2}'),  # what gate 1 refuses is not let in by the back door
        ("[" * 64 + "]" * 64, "[" * 64 + "]" * 64),
        ('{"a": "\\u0000b"}', {"a": "b"}),
        ("", ""),
    ],
)
def test_a_json_body_in_a_string_is_its_value_if_it_parses(body: str, value: Any) -> None:
    assert migrated("analysis", {"type": "x", "vendor": "y", "encoding": "json", "body": body})["body"] == value


def test_an_lm_ots_signature_is_kept_and_told() -> None:
    recording = {**RECORDING, "alg": "LMOTS_SHA256_N32_W8", "signature": "abc"}
    assert (migrated("dialog", recording), codes(document(dialog=[recording]))) == (recording, ["unverifiable_hash"])


def test_an_unknown_type_of_dialog_is_kept_and_told() -> None:
    assert codes(document(dialog=[{"type": "room", "im_uri": "x"}])) == ["unknown_type"]


def test_forbidden_content_of_other_dialogs_is_kept_and_told() -> None:
    dialog = {"type": "incomplete", "disposition": "busy", "encoding": "none", "body": "x"}
    assert (migrated("dialog", dialog), codes(document(dialog=[dialog]))) == (dialog, ["forbidden_parameter"] * 2)


def test_two_names_that_disagree_both_stay() -> None:
    recording = {**RECORDING, "mimetype": "audio/ogg", "mediatype": "audio/x-wav"}
    assert (migrated("dialog", recording), codes(document(dialog=[recording]))) == (recording, ["both_names"])


def test_an_attachment_without_party_start_and_dialog_gets_none() -> None:
    attachment = {"purpose": "x", "encoding": "json", "body": {}}
    assert migrated("attachments", attachment) == attachment


def test_recordings_in_base64_without_an_encoding_are_base64() -> None:
    body = base64.b64encode(SOUND).decode()
    recording = migrated("dialog", {**RECORDING, "mimetype": "audio/x-wav", "body": body})
    assert (recording["encoding"], recording["body"]) == (
        "base64url",
        base64.urlsafe_b64encode(SOUND).decode().rstrip("="),
    )


@pytest.mark.parametrize("array", ARRAYS)
def test_unknown_members_survive_at_every_level(array: str) -> None:
    unknown: dict[str, Any] = {
        "x_one": None,
        "x_two": [{}, None, ""],
        "x_three": {"x": {"type": "video", "mimetype": "wav"}},
    }
    element = {**unknown, **({"type": "x", "vendor": "y"} if array == "analysis" else {})}
    element.update({"type": "text"} if array == "dialog" else {})
    received = kept(document(**{**unknown, array: [element]}))
    assert (received.data[array][0], {name: received.data[name] for name in unknown}) == (element, unknown)


def test_u_0000_is_taken_out_of_strings_and_names() -> None:
    party = kept(document(parties=[{"na\0me": "\0A\0", "name": "B", "x": [{"\0": "\0"}]}, {}])).data["parties"][0]
    assert party == {"name\ufffd2": "A", "name": "B", "x": [{"": ""}]}


# --- bodies that were moved aside ------------------------------------------------------------------------------


def hoisted(standard: bool = False) -> Hoisted:
    return Hoisted.of(SOUND, Variant(standard=standard, padded=standard))


def received_with(dialog: dict[str, Any]) -> Any:
    received = receive(document(dialog=[dialog]), POLICY)
    return received.data["dialog"][0], [finding.code for finding in received.findings]


def test_a_body_moved_aside_stays_as_it_is() -> None:
    body = hoisted()
    dialog, found = received_with({**RECORDING, "mediatype": "audio/x-wav", "encoding": "base64url", "body": body})
    assert (dialog["body"] is body, found) == (True, [])


@pytest.mark.parametrize("encoding", ["base64", None, "base64url"])
def test_a_body_moved_aside_is_base64url_however_it_was_written(encoding: str | None) -> None:
    recording = {**RECORDING, "mediatype": "audio/x-wav", "body": hoisted(standard=True)}
    dialog, found = received_with({**recording, **({"encoding": encoding} if encoding else {})})
    assert (dialog["encoding"], "base64_normalised" in found) == ("base64url", True)


def test_a_text_that_looks_like_base64_is_a_text_again() -> None:
    dialog, found = received_with(message(body=hoisted()))
    assert (dialog["body"], found) == (hoisted().text(), [])


def test_the_hash_of_a_body_moved_aside_is_checked() -> None:
    recording = {**RECORDING, "mediatype": "audio/x-wav", "encoding": "base64url", "body": hoisted()}
    assert received_with({**recording, "content_hash": hoisted().token})[1] == []
    assert received_with({**recording, "content_hash": HASH})[1] == ["hash_mismatch"]


def test_a_body_moved_aside_that_is_no_recording_is_told() -> None:
    playlist = Hoisted.of(b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    recording = {**RECORDING, "mediatype": "audio/x-mp3", "encoding": "base64url", "body": playlist}
    assert received_with(recording)[1] == ["undecodable_media"]
