"""``whisper_base``: the analyses of py_vcon_server, and captions word by word."""

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.processors.support import TWO_CHANNELS, WHICH_PRODUCT, document, io_of, recording
from tests.processors.test_transcribe import ScriptedEngine, broken_call, says
from vcon_platform.processors.base import NotApplicable, ProcessorIO
from vcon_platform.processors.speech import Segment, SpokenWord, Transcription
from vcon_platform.processors.speech_captions import spaced, word_ass, word_srt
from vcon_platform.processors.testing import processor_tests
from vcon_platform.processors.whisper_base import WhisperBase, WhisperBaseOptions
from vcon_platform.vcon.turns import turns

SCRIPT = (says("Hello there.", 0), says("Hi {you} \\N", 3, channel=1))


def call(**members: Any) -> ProcessorIO:
    return io_of(document(dialog=[recording(TWO_CHANNELS, (1, 0))], **members))


def run(io: ProcessorIO, engine: ScriptedEngine | None = None, **options: Any) -> ProcessorIO:
    made = engine or ScriptedEngine(*SCRIPT, channels=2)
    return WhisperBase(lambda _: made).process(io, WhisperBaseOptions.model_validate(options))


TestWhisperBaseStandard = processor_tests(
    WhisperBase,
    example_io=call,
    failing_io=broken_call,
    make=lambda: WhisperBase(lambda _: ScriptedEngine(*SCRIPT, channels=2)),
)


def test_a_recording_gets_the_three_analyses_under_their_names() -> None:
    written = [
        {name: analysis[name] for name in ("type", "vendor", "product", "schema", "encoding")}
        for analysis in run(call()).vcon.analysis
    ]
    assert written == [
        {"type": "transcript", "vendor": "openai", "product": "whisper", "schema": schema, "encoding": encoding}
        for schema, encoding in [
            ("whisper_word_timestamps", "json"),
            ("whisper_word_srt", "none"),
            ("whisper_word_ass", "none"),
        ]
    ]


def test_the_words_are_as_whisper_writes_them() -> None:
    body = run(call()).vcon.analysis[0]["body"]
    assert body["text"] == " Hello there. Hi {you} \\N"
    assert body["segments"][0]["words"] == [
        {"word": " Hello", "start": 0, "end": 0.5, "probability": 0.9},
        {"word": " there.", "start": 1, "end": 1.5, "probability": 0.9},
    ]


def test_the_turn_table_takes_the_words_and_knows_the_parties() -> None:
    table = turns(run(call()).vcon)
    assert [(turn.party, turn.channel, turn.text) for turn in table] == [(1, 0, "Hello there."), (0, 1, "Hi {you} \\N")]
    assert all(turn.words for turn in table)


def test_only_what_is_missing_is_written() -> None:
    engine = ScriptedEngine(*SCRIPT, channels=2)
    io = run(call(), engine, output_types=["vendor"])
    io = run(io, engine)
    assert [a["schema"] for a in io.vcon.analysis] == [
        "whisper_word_timestamps",
        "whisper_word_srt",
        "whisper_word_ass",
    ]
    assert engine.asked == 1
    with pytest.raises(NotApplicable, match="already"):
        run(io, engine)


def test_another_makers_transcript_does_not_count() -> None:
    old = {"type": "transcript", "dialog": 0, "vendor": "deepgram", "body": "Hello"}
    assert len(run(call(analysis=[old])).vcon.analysis) == 4


def test_only_the_dialogs_that_are_asked_for_are_heard() -> None:
    io = io_of(document(dialog=[recording(WHICH_PRODUCT), recording(TWO_CHANNELS)]))
    run(io, input_dialogs="1", output_types=["vendor"])
    assert [a["dialog"] for a in io.vcon.analysis] == [1]


@pytest.mark.parametrize(("dialogs", "outputs"), [([], ["vendor"]), ("0:", [])])
def test_where_nothing_is_asked_for_nothing_is_done(dialogs: Any, outputs: list[str]) -> None:
    with pytest.raises(NotApplicable):
        run(call(), input_dialogs=dialogs, output_types=outputs)


# --- captions ---------------------------------------------------------------------------------------------------


def test_srt_has_a_caption_for_each_word() -> None:
    assert word_srt(Transcription("en", 10, 1, SCRIPT[:1])) == (
        "1\n00:00:00,000 --> 00:00:00,500\nHello\n\n2\n00:00:01,000 --> 00:00:01,500\nthere.\n"
    )


def test_ass_colours_the_word_that_is_spoken_and_takes_no_commands_from_it() -> None:
    lines = word_ass(Transcription("en", 10, 2, SCRIPT)).splitlines()
    assert lines[-5] == r"Dialogue: 0,0:00:00.00,0:00:00.50,Default,,0,0,0,,{\1c&H0000FF00&} Hello{\r} there."
    assert lines[-1] == r"Dialogue: 0,0:00:05.00,0:00:05.50,Default,,0,0,0,,Hi (you){\1c&H0000FF00&} /N{\r}"


@pytest.mark.parametrize("output", ["word_srt", "word_ass"])
def test_captions_alone_give_a_turn_table_too(output: str) -> None:
    table = turns(run(call(), output_types=[output]).vcon)
    assert " ".join(turn.text for turn in table).startswith("Hello there.")
    assert (table[0].start, table[-1].end) == (0, 5.5)
    assert [turn.text for turn in table if output == "word_ass"] in ([], ["Hello there.", "Hi (you) /N"])


def test_times_beyond_an_hour_and_at_the_edge_of_a_second_are_clocks() -> None:
    late = Segment(0, "late", (SpokenWord("late", 3661.9996, 36_000.25, None),))
    heard = Transcription("en", 1, 1, (late,))
    assert "01:01:02,000 --> 10:00:00,250" in word_srt(heard)
    assert "0,1:01:02.00,10:00:00.25," in word_ass(heard)


@settings(max_examples=50, deadline=None)
@given(st.text(alphabet="ab .\u4f60\u597d", min_size=1, max_size=30))
def test_words_with_their_blanks_are_the_text_whether_or_not_there_are_blanks(text: str) -> None:
    text = " ".join(text.split()) or "a"
    pieces = re.findall(r"[ab.]+|[\u4f60\u597d]", text)
    words = tuple(SpokenWord(piece, n, n + 1, None) for n, piece in enumerate(pieces))
    assert "".join(shown for _, shown in spaced(Segment(0, text, words))) == f" {text}"
