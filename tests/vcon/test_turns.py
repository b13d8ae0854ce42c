"""The turn table: every shape of transcript in use becomes the same rows, and no document raises."""

import base64
import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.transcripts import pieces
from vcon_platform.vcon.turns import has_transcript, parties_by_channel, transcript_text, turns

START = "2026-09-01T12:00:00Z"
DEEPGRAM_WORDS = [
    {"word": "hello", "punctuated_word": "Hello.", "start": 0.5, "end": 0.9, "confidence": 0.99, "speaker": 0},
    {"word": "hi", "punctuated_word": "Hi.", "start": 1.5, "end": 1.9, "confidence": 0.9, "speaker": 1},
    {"word": "bob", "punctuated_word": "Bob.", "start": 2.0, "end": 2.2, "confidence": 0.8, "speaker": 1},
]
WTF = {
    "transcript": {"text": "Hello. Hi Bob.", "language": "en", "duration": 3.0, "confidence": 0.9},
    "segments": [
        {"id": 0, "start": 0.5, "end": 0.9, "text": "Hello.", "confidence": 0.99, "speaker": 0, "words": [0]},
        {"id": 1, "start": 1.5, "end": 2.2, "text": "Hi Bob.", "confidence": 0.85, "speaker": 1, "words": [1, 2, 3]},
    ],
    "words": [
        {"id": 0, "start": 0.5, "end": 0.9, "text": "Hello.", "confidence": 0.99},
        {"id": 1, "start": 1.5, "end": 1.9, "text": "Hi", "confidence": 0.9},
        {"id": 2, "start": 2.0, "end": 2.2, "text": "Bob.", "confidence": 0.8},
    ],
}
DEEPGRAM = {"metadata": {}, "results": {"channels": [{"alternatives": [{"transcript": "x", "words": DEEPGRAM_WORDS}]}]}}
PARAGRAPHS = [
    {"speaker": 0, "start": 0.5, "end": 0.9, "num_words": 1, "sentences": [{"text": "Hello."}]},
    {"speaker": 1, "start": 1.5, "end": 2.2, "num_words": 2, "sentences": [{"text": "Hi."}, {"text": "Bob."}]},
]
WHISPER: dict[str, Any] = {
    "text": "Hello. Hi Bob.",
    "language": "en",
    "segments": [
        {
            "id": 0,
            "start": 0.5,
            "end": 0.9,
            "text": " Hello.",
            "words": [{"word": " Hello.", "start": 0.5, "end": 0.9, "probability": 0.99}],
        },
        {
            "id": 1,
            "start": 1.5,
            "end": 2.2,
            "text": " Hi Bob.",
            "words": [
                {"word": " Hi", "start": 1.5, "end": 1.9, "probability": 0.9},
                {"word": " Bob.", "start": 2.0, "end": 2.2, "probability": 0.8},
            ],
        },
    ],
}


def document(*analysis: dict[str, Any], **members: Any) -> dict[str, Any]:
    return {
        "uuid": "018f3a2b-4c5d-8e6f-9012-3456789abcde",
        "parties": [{"name": "Alice Ray", "role": "agent"}, {"name": "Bob", "role": "customer"}],
        "dialog": [{"type": "recording", "start": START, "parties": [0, 1]}],
        "analysis": list(analysis),
        **members,
    }


def transcript(body: Any, **members: Any) -> dict[str, Any]:
    return {"type": "transcript", "dialog": 0, "vendor": "v", "body": body, **members}


def rows(data: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [(turn.party, turn.speaker, turn.start, turn.text) for turn in turns(data)]


# --- shapes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        WTF,
        WHISPER,
        DEEPGRAM,
        DEEPGRAM["results"]["channels"][0]["alternatives"][0],
        {"transcript": "x", "words": DEEPGRAM_WORDS, "paragraphs": {"transcript": "x", "paragraphs": PARAGRAPHS}},
        json.dumps(WTF),
        json.dumps(json.dumps(DEEPGRAM)),
    ],
    ids=["wtf", "whisper", "deepgram", "alternative", "paragraphs", "string", "string of a string"],
)
def test_shapes_with_word_times_give_the_same_turns(body: Any) -> None:
    first, second = turns(document(transcript(body)))
    assert (first.start, first.end, first.text) == (0.5, 0.9, "Hello.")
    assert (second.start, second.end) == (1.5, 2.2)
    assert second.text.replace(".", "") == "Hi Bob"
    assert [(word.start, word.end, word.confidence) for word in second.words] == [(1.5, 1.9, 0.9), (2.0, 2.2, 0.8)]
    assert (first.dialog, first.turn, second.turn) == (0, 0, 1)


@pytest.mark.parametrize(
    "body",
    [
        "Hello.\n\nHi Bob.\nHow are you?",
        {"transcript": "Hello.\n\nHi Bob. How are you?", "confidence": 0.99, "detected_language": "en"},
        [{"speaker": "Agent", "message": "Hello."}, {"speaker": "Customer", "message": "Hi Bob. How are you?"}],
        [{"role": "agent", "content": "Hello."}, {"role": "customer", "content": "Hi Bob. How are you?"}],
        {"turns": [{"party": 0, "text": "Hello."}, {"party": 1, "text": "Hi Bob. How are you?"}]},
        ["Hello.", "Hi Bob. How are you?"],
        {"text": "Hello.\n\nHi Bob. How are you?"},
        {"transcript": {"text": "Hello.\n\nHi Bob. How are you?"}},
        "Speaker 0: Hello.\n\nSpeaker 1: Hi Bob. How are you?",
    ],
)
def test_shapes_without_times_keep_their_order(body: Any) -> None:
    assert [turn.text for turn in turns(document(transcript(body)))] == ["Hello.", "Hi Bob. How are you?"]


def test_times_of_day_are_counted_from_the_dialogs_start() -> None:
    body = [{"parties": 1, "start": "2026-09-01T12:00:01.200000+00:00", "duration": 0.56, "text": "Hello."}]
    (turn,) = turns(document(transcript(body, type="transcript-redacted")))
    assert (turn.party, turn.start, turn.end) == (1, 1.2, 1.76)


def test_deepgram_channels_are_merged_in_time_order() -> None:
    channels = [{"alternatives": [{"words": [w for w in DEEPGRAM_WORDS if w["speaker"] == s]}]} for s in (1, 0)]
    table = turns(document(transcript({"results": {"channels": channels}})))
    assert [(turn.channel, turn.party, turn.text) for turn in table] == [(1, 1, "Hello."), (0, 0, "Hi. Bob.")]


def test_word_numbers_past_the_end_are_passed_over() -> None:
    assert len(turns(document(transcript(WTF)))[1].words) == 2


def test_words_that_no_segment_names_are_shared_out_by_time() -> None:
    segments = [{name: s[name] for name in ("start", "end", "text")} for s in WHISPER["segments"]]
    words = [word for segment in WHISPER["segments"] for word in segment["words"]]
    table = turns(document(transcript({"text": "x", "segments": segments, "words": words})))
    assert [[word.text for word in turn.words] for turn in table] == [["Hello."], ["Hi", "Bob."]]


def test_words_without_segments_take_the_text_with_its_punctuation() -> None:
    words = [{"word": "hello", "start": 0.5, "end": 0.9}, {"word": "bob", "start": 1.0, "end": 1.2}]
    (turn,) = turns(document(transcript({"text": "Hello, Bob!", "language": "english", "words": words})))
    assert (turn.text, turn.start, turn.end, len(turn.words)) == ("Hello, Bob!", 0.5, 1.2, 2)


def test_whisper_cpp_counts_milliseconds() -> None:
    body = {"transcription": [{"offsets": {"from": 500, "to": 900}, "text": " Hello."}]}
    assert rows(document(transcript(body))) == [(None, None, 0.5, "Hello.")]


@pytest.mark.parametrize("speakers", [{"1": {"label": "Bob (Customer)"}}, [{"id": 1, "name": "Bob"}], {"1": "bob"}])
def test_a_table_of_speakers_names_the_voices(speakers: Any) -> None:
    table = turns(document(transcript({**WTF, "speakers": speakers})))
    assert [turn.party for turn in table] == [None, 1]
    assert table[0].speaker == "0"


@pytest.mark.parametrize(
    "body",
    [
        "Alice Ray: Hello.\nBob: Hi.\nNote: all is well.",
        "Alice Ray:\nHello.\n\nBob:\nHi.\nNote: all is well.",
        "Agent: Hello.\n\nCustomer: Hi.\nNote: all is well.",
        "[00:01] Alice Ray: Hello.\n[00:02] Bob: Hi.\nNote: all is well.",
    ],
)
def test_a_line_that_begins_with_a_known_voice_begins_a_turn(body: str) -> None:
    found = [(turn.party, turn.text) for turn in turns(document(transcript(body)))]
    assert found == [(0, "Hello."), (1, "Hi. Note: all is well.")]


def test_unknown_names_are_voices_where_every_line_begins_with_one() -> None:
    assert rows(document(transcript("Sue: Hello.\nTom: Hi."))) == [
        (None, "Sue", None, "Hello."),
        (None, "Tom", None, "Hi."),
    ]
    assert rows(document(transcript("Sue: Hello.\nHi."))) == [(None, None, None, "Sue: Hello. Hi.")]


@pytest.mark.parametrize(
    "body",
    [
        "WEBVTT - x\n\nNOTE no --- turn\n\n00:01.500 --> 00:02.000 align:start\n<v Bob>Hi <b>you</b>\nall\n\n2\n"
        "00:03.000 --> 00:04.000\nBye",
        "1\r\n00:00:01,500 --> 00:00:02,000\r\nHi you\r\nall\r\n2\r\n00:00:03,000 --> 00:00:04,000\r\nBye\r\n",
    ],
    ids=["WebVTT", "SubRip without blank lines"],
)
def test_captions_are_turns(body: str) -> None:
    found = [(turn.start, turn.end, turn.text) for turn in turns(document(transcript(body)))]
    assert found == [(1.5, 2.0, "Hi you all"), (3.0, 4.0, "Bye")]


def test_a_hundred_thousand_words_take_linear_time() -> None:
    words = [{"word": f"w{i}", "start": i / 3, "end": i / 3 + 0.2} for i in range(100_000)]
    paragraphs = [{"start": i, "end": i + 1, "sentences": [{"text": "x"}]} for i in range(33_400)]
    begin = time.process_time()
    table = turns(document(transcript({"transcript": "x", "words": words, "paragraphs": {"paragraphs": paragraphs}})))
    assert sum(len(turn.words) for turn in table) == 100_000
    assert time.process_time() - begin < 20


# --- placements ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "entry"),
    [
        ("analysis", {"type": "wtf_transcription", "dialog": 0, "body": WTF}),
        ("attachments", {"purpose": "wtf_transcription", "dialog": 0, "body": WTF}),
        ("attachments", {"type": "wtf_transcription", "body": WTF}),
        ("analysis", {"type": "transcription", "dialog": 0, "body": json.dumps(WTF), "encoding": "json"}),
        ("analysis", {"type": "transcript", "dialog": [0], "body": WTF}),
        ("analysis", {"type": "diarized", "dialog": 0, "body": WTF}),
    ],
)
def test_a_transcript_is_found_wherever_it_is_placed(place: str, entry: dict[str, Any]) -> None:
    data = document(**{place: [entry]}) if place == "attachments" else document(entry)
    assert transcript_text(data) == "Hello.\nHi Bob."


def test_other_analyses_are_no_transcripts() -> None:
    assert turns(document({"type": "summary", "dialog": 0, "body": "They spoke of a recall."})) == []


def test_of_two_transcripts_of_one_dialog_the_richer_is_taken() -> None:
    assert transcript_text(document(transcript(WTF), transcript("Only text."))) == "Hello.\nHi Bob."


def test_of_two_equal_transcripts_the_later_is_taken() -> None:
    assert transcript_text(document(transcript("First."), transcript("Second."))) == "Second."


def test_an_empty_transcript_hides_no_other() -> None:
    assert transcript_text(document(transcript("Said."), transcript({"segments": [], "words": []}))) == "Said."


def test_a_transcript_that_names_no_dialog_stands_for_the_only_one() -> None:
    entry = {"type": "transcript", "body": "Hello."}
    assert turns(document(entry))[0].dialog == 0
    assert turns(document(entry, dialog=[{"type": "recording"}] * 2))[0].dialog is None
    assert has_transcript(document(entry), 0)


def test_the_empty_transcript_of_a_silent_recording_is_a_transcript() -> None:
    data = document(transcript({"segments": []}))
    assert has_transcript(data, 0)
    assert not has_transcript(data, 1)
    assert not has_transcript(document(), 0)


@pytest.mark.parametrize("encoding", ["base64url", "base64"])
def test_an_encoded_transcript_is_decoded(encoding: str) -> None:
    body = base64.urlsafe_b64encode(json.dumps(WTF).encode()).decode()
    assert transcript_text(document(transcript(body, encoding=encoding))) == "Hello.\nHi Bob."


def test_the_old_member_transcript_is_read_as_body() -> None:
    entry = {"type": "transcript", "dialog": 0, "transcript": WTF}
    assert transcript_text(document(entry)) == transcript_text(document({**entry, "body": None})) == "Hello.\nHi Bob."
    assert has_transcript(document(entry), 0)


def test_a_type_that_says_nothing_is_a_transcript_if_it_is_a_conversation() -> None:
    said = {"type": "analysis_info", "dialog": 0, "body": [{"speaker": "Agent", "message": "Hello."}]}
    assert rows(document(said)) == [(0, "Agent", None, "Hello.")]
    for body in ([], ["Hello."], {"turns": said["body"]}, [{"message": "Hello."}]):
        assert rows(document({**said, "body": body})) == []


def test_a_turn_says_who_transcribed_it() -> None:
    assert turns(document(transcript(WTF)))[0].vendor == "v"
    assert turns(document(transcript(WTF, vendor=[])))[0].vendor is None


# --- time ------------------------------------------------------------------------------------------------------


def chat(text: str, start: str | None, party: int = 0, **members: Any) -> dict[str, Any]:
    return {"type": "text", "start": start, "parties": [party], "body": text, "encoding": "none", **members}


def test_dialogs_are_put_into_time_order_whatever_their_place() -> None:
    data = document(
        transcript(WTF),
        dialog=[
            {"type": "recording", "start": START},
            chat("After.", "2026-09-01T12:05:00Z"),
            chat("Before.", "2026-09-01T13:59:00+02:00"),
            chat("Between.", "2026-09-01T12:00:01Z"),
        ],
    )
    assert transcript_text(data) == "Before.\nHello.\nBetween.\nHi Bob.\nAfter."


def test_a_dialog_without_a_readable_start_follows_the_one_before() -> None:
    data = document(dialog=[chat("One.", START), chat("Two.", "last Tuesday"), chat("Three.", None)])
    assert transcript_text(data) == "One.\nTwo.\nThree."


# --- text dialogs ----------------------------------------------------------------------------------------------


def test_a_message_is_its_authors_turn() -> None:
    data = document(dialog=[chat("Hi.", START, parties=[0, 1], originator=1), chat("Yes?", START, party=0)])
    assert rows(data) == [(1, None, 0.0, "Hi."), (0, None, 0.0, "Yes?")]


def test_a_message_goes_before_a_transcript_of_it() -> None:
    assert transcript_text(document(transcript("A copy."), dialog=[chat("The message.", START)])) == "The message."


def test_an_email_gives_its_plain_part() -> None:
    body = (
        "--b\r\nContent-Type: text/html\r\n\r\n<p>No</p>\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "\r\nPlease call.\r\n--b--\r\n"
    )
    mail = chat(body, START, mediatype='multipart/alternative; \n\tboundary="b"')
    assert transcript_text(document(dialog=[mail])) == "Please call."


def test_html_gives_what_a_reader_sees() -> None:
    page = "<style>p{}</style><p>Is my&nbsp;car <b>recalled</b>?</p><script>x()</script><div>Bye"
    assert transcript_text(document(dialog=[chat(page, START, mediatype="text/html")])) == "Is my car recalled?\nBye"


def test_an_encoded_message_is_decoded_and_a_picture_is_no_text() -> None:
    assert transcript_text(document(dialog=[chat("SGVsbG8", START, encoding="base64url")])) == "Hello"
    assert transcript_text(document(dialog=[chat("SGVsbG8", START, mediatype="image/png")])) == ""


# --- who -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("turn", "party"),
    [
        ({"party": 1}, 1),
        ({"parties": [1]}, 1),
        ({"speaker": "bob"}, 1),
        ({"speaker": "Agent"}, 0),
        ({"speaker": 1}, None),
        ({"speaker": "1"}, None),
        ({"party": 9}, None),
        ({"party": True}, None),
        ({}, None),
    ],
)
def test_the_party_is_set_only_where_the_document_says_who_it_was(turn: dict[str, Any], party: int | None) -> None:
    assert rows(document(transcript([{"text": "Hello.", **turn}])))[0][0] == party


def test_a_name_that_two_parties_share_is_nobodys() -> None:
    data = document(transcript([{"text": "Hi.", "speaker": "Bob"}]), parties=[{"name": "Bob"}, {"name": "bob"}])
    assert rows(data)[0][0] is None


@pytest.mark.parametrize(
    ("parties", "channels", "expected"),
    [
        (1, 1, [1]),
        ([1], 2, [1, 1]),
        ([0, 1], 2, [0, 1]),
        ([0, 1], 1, [None]),
        ([[0, 1], None], 2, [None, None]),
        ([[0], [1, 3]], 2, [0, None]),
        ([0, 1, 2], 2, [None, None]),
        (None, 2, [None, None]),
        (True, 1, [None]),
    ],
)
def test_parties_are_taken_per_channel_only_if_they_fit(parties: Any, channels: int, expected: list[Any]) -> None:
    assert parties_by_channel(parties, channels) == expected


# --- anything --------------------------------------------------------------------------------------------------

MEMBERS = [
    "text",
    "message",
    "transcript",
    "words",
    "segments",
    "turns",
    "utterances",
    "results",
    "channels",
    "alternatives",
    "paragraphs",
    "sentences",
    "start",
    "end",
    "duration",
    "confidence",
    "speaker",
    "party",
    "parties",
    "channel",
    "id",
    "word",
    "punctuated_word",
    "type",
    "purpose",
    "body",
    "dialog",
    "role",
    "name",
    "encoding",
    "mediatype",
    "originator",
]
VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=12)
    | st.sampled_from(["transcript", "wtf_transcription", "text", "recording", "0", "1.5", "{}", "[1]", '"x"', START])
    | st.sampled_from(["Fri, 30 Feb 2024 99:99", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "text/html"])
    | st.just(10**400)
)
ANYTHING = st.recursive(
    VALUES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(MEMBERS), inner, max_size=6)
        | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=25,
)
TRANSCRIPTS = st.fixed_dictionaries({"type": st.just("transcript"), "body": ANYTHING}, optional={"dialog": ANYTHING})
MESSAGES = st.fixed_dictionaries({"type": st.just("text"), "body": ANYTHING}, optional={"mediatype": ANYTHING})


@settings(max_examples=400, deadline=None)
@given(ANYTHING)
def test_no_body_raises(body: Any) -> None:
    for piece in pieces(body):
        assert piece.text.strip()


DOCUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "parties": ANYTHING,
        "dialog": st.lists(MESSAGES | ANYTHING, max_size=3) | ANYTHING,
        "analysis": st.lists(TRANSCRIPTS | ANYTHING, max_size=3) | ANYTHING,
        "attachments": ANYTHING,
    },
)


@settings(max_examples=300, deadline=None)
@given(DOCUMENTS)
def test_no_document_raises_and_every_turn_is_in_bounds(data: dict[str, Any]) -> None:
    dialogs, parties = data.get("dialog"), data.get("parties")
    for turn in turns(data):
        assert isinstance(turn.text, str)
        assert turn.text
        assert turn.dialog is None or (isinstance(dialogs, list) and 0 <= turn.dialog < len(dialogs))
        assert turn.party is None or (isinstance(parties, list) and 0 <= turn.party < len(parties))
    assert isinstance(transcript_text(data), str)
    assert has_transcript(data, 0) in (True, False)


def test_reading_changes_nothing() -> None:
    data = document(transcript(WTF))
    before = json.dumps(data)
    vcon = Vcon(data)
    assert turns(vcon) == turns(data)
    assert json.dumps(data) == before
    assert vcon.changes == []


def test_the_text_of_a_chat_is_that_of_its_turns() -> None:
    dialogs = [
        {
            "type": "text",
            "start": f"2026-11-02T09:0{minute}:00Z",
            "parties": 0,
            "encoding": "none",
            "body": f"at {minute}",
        }
        for minute in (3, 1, 2)
    ]
    data = {"dialog": [*dialogs, {"type": "text", "encoding": "none", "body": "without a time"}]}
    assert transcript_text(data) == "\n".join(turn.text for turn in turns(data))


@settings(max_examples=100, deadline=None)
@given(DOCUMENTS)
def test_turns_without_words_are_the_same_in_all_else(data: dict[str, Any]) -> None:
    assert turns(data, words=False) == [replace(turn, words=()) for turn in turns(data)]
