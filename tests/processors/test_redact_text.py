"""``redact_text``: a copy in which nothing is left that was not looked through or asked for."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.processors.support import document, io_of, recording, told_by
from vcon_platform.processors.base import NotApplicable, PermanentError, ProcessorIO
from vcon_platform.processors.redact_text import RedactText, RedactTextOptions
from vcon_platform.processors.redact_text_lines import word_places
from vcon_platform.processors.testing import processor_tests
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.lineage import Link, lineage_of
from vcon_platform.vcon.turns import Turn, Word, transcript_text, turns

CARD = "4111111111111111"
SECRETS = ("Katherine", "Torres", "katherine.t", "415", "5678", CARD, "4111", "call-katherine", "sha512-", "torres")


def words(text: str, start: float = 0.0) -> list[dict[str, Any]]:
    return [
        {"word": word, "start": start + n * 0.5, "end": start + n * 0.5 + 0.4, "confidence": 0.9}
        for n, word in enumerate(text.split())
    ]


def segment(speaker: int, text: str, start: float) -> dict[str, Any]:
    spoken = words(text, start)
    return {
        "start": start,
        "end": spoken[-1]["end"],
        "text": text,
        "speaker": speaker,
        "party": speaker,
        "words": spoken,
    }


SEGMENTS = [
    segment(0, "Thanks for calling, this is Russell. Your card number?", 0.0),
    segment(1, "It is 4111 1111", 6.0),
    segment(0, "Mm-hmm.", 9.0),
    segment(1, "1111 1111, and call me on 415 222 5678.", 10.0),
    segment(1, "I'm Katherine, mail katherine.t@yogalove.com please.", 15.0),
]


def call(**members: Any) -> dict[str, Any]:
    """A call that has personal data wherever it can be."""
    return document(
        subject="Katherine Torres, card 4111 1111 1111 1111",
        parties=[
            {"name": "Russell Miller", "role": "agent", "tel": "+14155550100", "validation": "SSN 536-90-4399"},
            {"name": "Katherine Torres", "tel": "+14152225678", "role": "customer",
             "mailto": "katherine.t@yogalove.com"},
        ],
        dialog=[
            recording(
                b"RIFF Katherine",
                filename="call-katherine-torres.wav",
                content_hash="sha512-" + "A" * 86,
                session_id={"local": "415-222-5678", "remote": ""},
                duration=20,
                originator=1,
            ),
            {
                "type": "text",
                "start": "2026-09-01T12:05:00Z",
                "parties": [1, 0],
                "mediatype": "text/html",
                "encoding": "none",
                "filename": "katherine.html",
                "body": "<p>My card is <b>4111</b> 1111 1111 1111, Katherine</p><!-- Torres -->",
            },
            {"type": "transfer", "transferee": 1, "url": "https://example.com/katherine"},
        ],
        analysis=[
            {"type": "transcript", "dialog": 0, "vendor": "Katherine", "body": {"segments": SEGMENTS}},
            {"type": "summary", "dialog": 0, "vendor": "x", "encoding": "none", "body": "Katherine Torres called."},
            {"type": "sentiment", "vendor": "x", "encoding": "json", "body": {"Katherine": 0.5, "tel": 4152225678}},
        ],
        attachments=[
            {"purpose": "tags", "body": ["customer:Torres", "queue:billing"], "encoding": "json", "party": 0},
            {"purpose": "notes", "body": "S2F0aGVyaW5l", "encoding": "base64url", "filename": "katherine.txt"},
        ],
        **members,
    )  # fmt: skip


def redacted(data: dict[str, Any] | None = None, **options: Any) -> Vcon:
    io = io_of(deepcopy(call() if data is None else data))
    RedactText().process(io, RedactTextOptions(**options))
    return io.vcons[1]


def silent_io() -> ProcessorIO:
    return io_of(document(dialog=[recording(b"RIFF")]))


TestRedactTextStandard = processor_tests(RedactText, example_io=lambda: io_of(call()), failing_io=silent_io)


@pytest.fixture(scope="module")
def copy() -> Vcon:
    return redacted()


def test_nothing_personal_is_anywhere_in_the_copy(copy: Vcon) -> None:
    whole = told_by(copy)
    assert [secret for secret in SECRETS if secret.casefold() in whole] == []


def test_what_is_asked_for_is_there_and_masked() -> None:
    copy = redacted(keep_analyses=["summary", "sentiment"], keep_attachments=["tags", "notes"], keep_party=["role"])
    whole = told_by(copy)
    assert [secret for secret in SECRETS if secret.casefold() in whole] == []
    assert copy.analysis[1]["body"] == "[PERSON] called."
    assert copy.analysis[2]["body"] == {"[PERSON]": 0.5, "tel": None}
    assert copy.attachments[0]["body"] == ["customer:[PERSON]", "queue:billing"]
    assert copy.attachments[1] == {}
    assert [party["role"] for party in copy.parties] == ["agent", "customer"]


def test_the_conversation_can_still_be_read(copy: Vcon) -> None:
    assert transcript_text(copy).splitlines() == [
        "Thanks for calling, this is [PERSON]. Your card number?",
        "It is [CARD]",
        "Mm-hmm.",
        "[CARD], and call me on [PHONE].",
        "I'm [PERSON], mail [EMAIL] please.",
        "My card is [CARD], [PERSON]",
    ]
    assert [turn.party for turn in turns(copy)] == [0, 1, 0, 1, 1, 1]


def test_words_keep_their_times_and_a_finding_is_one_word(copy: Vcon) -> None:
    turn = turns(copy)[3]
    assert [(word.text, word.start) for word in turn.words] == [
        ("[CARD]", 10.0), ("and", 11.0), ("call", 11.5), ("me", 12.0), ("on", 12.5), ("[PHONE]", 13.0),
    ]  # fmt: skip
    assert turn.words[-1].end == 14.4


def test_every_index_means_what_it_meant(copy: Vcon) -> None:
    assert [dialog["type"] for dialog in copy.dialog] == ["recording", "text", "transfer"]
    assert copy.dialog[0] == {
        "type": "recording", "start": "2026-09-01T12:00:00+00:00", "duration": 20, "parties": [0, 1], "originator": 1,
    }  # fmt: skip
    assert copy.analysis[:3] == [{}, {}, {}]
    assert copy.parties == [{"role": "agent", "name": "[PERSON]"}, {"role": "customer", "name": "[PERSON]"}]


def test_each_points_at_the_other() -> None:
    io = io_of(call())
    RedactText().process(io, RedactTextOptions(redaction_type_label="PCI"))
    original, copy = io.vcons
    assert copy.data["redacted"] == {"uuid": original.uuid, "type": "PCI"}
    assert Link("redacted", copy.uuid, "copy") in lineage_of(original.data)
    assert io.added == [copy]


def test_it_says_how_much_was_masked_and_nothing_of_it(copy: Vcon) -> None:
    assert copy.analysis[-1]["type"] == "redaction"
    assert copy.analysis[-1]["body"]["masked"]["CARD"] >= 4


def test_party_names_and_subject_can_be_left_out() -> None:
    copy = redacted(party_names="drop", subject=False)
    assert "subject" not in copy.data
    assert all("name" not in party for party in copy.parties)


def test_a_recording_without_transcript_is_refused_or_left_out() -> None:
    with pytest.raises(PermanentError, match="dialog 0 has no transcript"):
        redacted(document(dialog=[recording(b"RIFF")]))
    copy = redacted(document(dialog=[recording(b"RIFF")]), without_transcript="leave_out")
    assert "body" not in copy.dialog[0]


def test_a_transcript_in_another_language_is_refused_unless_it_is_wanted() -> None:
    body = {"transcript": {"text": "Guten Tag", "language": "de"}, "segments": [{"text": "Guten Tag", "start": 0}]}
    data = document(dialog=[recording(b"x")], analysis=[{"type": "transcript", "dialog": 0, "body": body}])
    with pytest.raises(PermanentError, match=r"^/analysis/0 says it is in another language"):
        redacted(data)
    assert transcript_text(redacted(data, other_languages="redact"))


@pytest.mark.parametrize("spelling", [str.lower, str.upper])
def test_a_transcript_without_capitals_is_refused_unless_it_is_wanted(spelling: Callable[[str], str]) -> None:
    body = [{"text": spelling("Hello, this is Katherine and my number is 415 222 5678. ") * 9, "start": 0, "end": 9}]
    data = document(dialog=[recording(b"x")], analysis=[{"type": "transcript", "dialog": 0, "body": body}])
    with pytest.raises(PermanentError, match="in letters of one case"):
        redacted(data)
    assert "5678" not in transcript_text(redacted(data, without_capitals="redact"))


def test_a_document_with_unknown_extensions_is_refused() -> None:
    with pytest.raises(PermanentError, match=r"cannot be redacted: .*extension"):
        redacted(call(extensions=["x_escrow"]))


def test_what_is_asked_for_may_not_bring_the_original_back() -> None:
    inner = {"uuid": "x", "parties": [{"name": "Katherine"}]}
    data = call()
    data["analysis"][1]["body"] = {"original": inner}
    with pytest.raises(PermanentError, match="cannot be redacted with what was asked for"):
        redacted(data, keep_analyses=["summary"])


def test_a_second_one_in_the_same_pipeline_has_nothing_to_do() -> None:
    io = io_of(call())
    RedactText().process(io, RedactTextOptions())
    with pytest.raises(NotApplicable):
        RedactText().process(io, RedactTextOptions())


@pytest.mark.parametrize("wrong", [{"keep_party": ["tel"]}, {"keep_party": ["name"]}, {"keep_analyses": ["transcript"]},
                                   {"find": []}, {"find": ["SHOES"]}, {"words": [" "]}])  # fmt: skip
def test_options_that_would_leak_or_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RedactTextOptions(**wrong)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=12, deadline=None)
@given(st.dictionaries(st.sampled_from(["note", "filename", "url", "x", "meta", "session_id", "application"]), JSON))
def test_no_member_that_nobody_asked_for_survives(members: dict[str, Any]) -> None:
    marker = "zebra415crossing"
    dirty = {name: [value, marker] for name, value in members.items()}
    text = {"type": "text", "parties": [0], "encoding": "none", "mediatype": "text/plain", "body": "hello"}
    data = document(
        parties=[{**dirty, "role": "agent"}], dialog=[{**dirty, **text}], analysis=[{**dirty, "type": "summary"}],
        attachments=[{**dirty, "purpose": "tags"}], **{f"top_{name}": value for name, value in dirty.items()},
    )  # fmt: skip
    assert marker.encode() not in redacted(data).to_bytes()


def test_words_that_do_not_fit_their_text_are_not_believed() -> None:
    def turn(text: str, *spoken: str) -> Turn:
        heard = tuple(Word(word, 0.0, 1.0, None) for word in spoken)
        return Turn(0, 0, None, None, None, 0.0, 1.0, text, None, heard)

    assert word_places(turn("My pin, 1234.", "My", "pin,", "1234.")) == [(0, 2), (3, 7), (8, 13)]
    assert word_places(turn("My pin 1234", "My", "1234")) is None
    assert word_places(turn("My pin 1234", "My", "pin")) is None
    assert word_places(turn("My pin", "My", "pan")) is None


def test_the_copy_is_json() -> None:
    assert orjson.loads(redacted().to_bytes())["uuid"]
