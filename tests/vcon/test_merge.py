"""New content under a known uuid: what was added since the old content was posted is carried over, where it fits."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vcon_platform.vcon.document import Append, Put, Vcon
from vcon_platform.vcon.merge import carried_over


def _document(**members: Any) -> dict[str, Any]:
    return {
        "uuid": "018f3a2b-4c5d-8e6f-9012-3456789abcde",
        "created_at": "2026-11-02T09:00:00Z",
        "parties": [{"tel": "+15550100"}],
        "dialog": [{"type": "recording", "start": "2026-11-02T09:00:00Z", "content_hash": "sha512-a"}],
        **members,
    }


TRANSCRIPT = {"type": "transcript", "dialog": 0, "vendor": "us", "body": {"segments": []}}


def _merged(posted: dict[str, Any], ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[dict[str, Any], int]:
    changes, left = carried_over(posted, ours, theirs)
    return Vcon(copy.deepcopy(theirs), changes=changes).data, left


def test_a_transcript_that_was_bought_survives_new_content() -> None:
    merged, left = _merged(_document(), _document(analysis=[TRANSCRIPT]), _document(subject="now with a subject"))
    assert (merged["analysis"], merged["subject"], left) == ([TRANSCRIPT], "now with a subject", 0)


def test_an_analysis_that_the_new_content_brings_itself_is_not_doubled() -> None:
    theirs = _document(analysis=[TRANSCRIPT], subject="x")
    assert carried_over(_document(), _document(analysis=[TRANSCRIPT]), theirs) == ([], 0)


def test_an_analysis_moves_with_its_dialog() -> None:
    [call] = _document()["dialog"]
    greeting = {"type": "text", "start": "2026-11-02T08:59:00Z", "body": "hello"}
    merged, _ = _merged(_document(), _document(analysis=[TRANSCRIPT]), _document(dialog=[greeting, call]))
    assert merged["analysis"] == [{**TRANSCRIPT, "dialog": 1}]


def test_an_analysis_of_a_recording_that_was_exchanged_is_left_behind() -> None:
    theirs = _document(dialog=[{**_document()["dialog"][0], "content_hash": "sha512-b"}])
    merged, left = _merged(_document(), _document(analysis=[TRANSCRIPT]), theirs)
    assert ("analysis" in merged, left) == (False, 1)


def test_a_dialog_that_only_gained_a_member_is_still_the_same() -> None:
    theirs = _document(dialog=[{**_document()["dialog"][0], "filename": "call.wav"}])
    merged, left = _merged(_document(), _document(analysis=[TRANSCRIPT]), theirs)
    assert (merged["analysis"], left) == ([TRANSCRIPT], 0)


def test_what_was_taken_out_on_purpose_stays_out() -> None:
    posted = _document(attachments=[{"purpose": "note", "body": "old"}])
    assert carried_over(posted, posted, _document()) == ([], 0)


def test_a_member_that_we_changed_and_they_did_not_keeps_our_value() -> None:
    assert carried_over(_document(), _document(subject="ours"), _document()) == ([Put("subject", None, "ours")], 0)


def test_a_member_that_both_changed_is_theirs() -> None:
    assert carried_over(_document(subject="a"), _document(subject="ours"), _document(subject="theirs")) == ([], 0)


def test_an_element_that_we_replaced_is_replaced_again() -> None:
    ours = _document(parties=[{"tel": "+15550100", "name": "Ann"}])
    changes, _ = carried_over(_document(), ours, _document(subject="x"))
    assert changes == [Put("parties", 0, {"tel": "+15550100", "name": "Ann"})]


def test_an_analysis_of_an_attachment_of_ours_points_at_its_new_place() -> None:
    note = {"purpose": "note", "body": "ours"}
    ours = _document(attachments=[note], analysis=[{"type": "summary", "attachment": [0]}])
    theirs = _document(attachments=[{"purpose": "theirs"}])
    changes, _ = carried_over(_document(), ours, theirs)
    assert changes == [Append("attachments", note), Append("analysis", {"type": "summary", "attachment": [1]})]


_elements = st.lists(st.fixed_dictionaries({"type": st.sampled_from("abc")}, optional={"dialog": st.integers(0, 3)}))
_contents = st.fixed_dictionaries(
    {}, optional={"dialog": _elements, "analysis": _elements, "attachments": _elements, "subject": st.text(max_size=3)}
)


@given(posted=_contents, added=_elements, theirs=_contents)
def test_carrying_over_twice_adds_nothing(posted: dict[str, Any], added: list[Any], theirs: dict[str, Any]) -> None:
    ours = copy.deepcopy(posted)
    ours["analysis"] = [*ours.get("analysis", []), *added]
    once, _ = _merged(posted, ours, theirs)
    assert once == _merged(posted, ours, once)[0]


@given(posted=_contents, added=_elements, theirs=_contents)
def test_an_addition_that_points_at_nothing_is_always_carried_over(
    posted: dict[str, Any], added: list[Any], theirs: dict[str, Any]
) -> None:
    ours = copy.deepcopy(posted)
    ours["analysis"] = [*ours.get("analysis", []), *added]
    merged, _ = _merged(posted, ours, theirs)
    assert all(each in merged["analysis"] for each in added if "dialog" not in each)
