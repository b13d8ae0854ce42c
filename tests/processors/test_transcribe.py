"""``transcribe``: one analysis per recording, each word with its times, each channel put down to its party."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from tests.processors.support import (
    TWO_CHANNELS,
    WHICH_PRODUCT,
    MediaInMemory,
    ResultsInMemory,
    document,
    encoded,
    io_of,
    recording,
)
from vcon_platform.processors.base import NotApplicable, PermanentError, ProcessorIO, TransientError
from vcon_platform.processors.speech import Segment, SpokenWord, Transcription
from vcon_platform.processors.testing import processor_tests
from vcon_platform.processors.transcribe import Transcribe, TranscribeOptions
from vcon_platform.store.fetch import FetchFailed
from vcon_platform.vcon.media import content_hash_of
from vcon_platform.vcon.turns import transcript_text, turns


class ScriptedEngine:
    """Hears what it was told to hear, and counts how often it is asked."""

    name, vendor, model, version = "local", "scripted", "script-1", "1"

    def __init__(self, *segments: Segment, channels: int = 1) -> None:
        self._heard = Transcription("en", 10.0, channels, segments)
        self.asked = 0

    def transcribe(self, recording: bytes, *, language: str) -> Transcription:
        self.asked += 1
        return self._heard


def says(text: str, start: float, channel: int = 0, speaker: str | None = None) -> Segment:
    words = tuple(SpokenWord(word, start + i, start + i + 0.5, 0.9) for i, word in enumerate(text.split()))
    return Segment(channel=channel, text=text, words=words, speaker=speaker)


def run(io: ProcessorIO, engine: ScriptedEngine | None = None, **options: Any) -> ProcessorIO:
    processor = Transcribe() if engine is None else Transcribe(lambda _: engine)
    return processor.process(io, TranscribeOptions(**options))


def one_call(parties: Any = (0, 1)) -> ProcessorIO:
    return io_of(document(dialog=[recording(WHICH_PRODUCT, parties)]))


def broken_call() -> ProcessorIO:
    return io_of(document(dialog=[recording(WHICH_PRODUCT), recording(b"ID3 broken beyond repair")]))


TestTranscribeStandard = processor_tests(Transcribe, example_io=one_call, failing_io=broken_call)


def test_a_recording_gets_one_wtf_transcript_with_every_word_timed() -> None:
    (analysis,) = run(one_call()).vcon.analysis
    body = analysis["body"]
    assert {k: analysis[k] for k in ("type", "dialog", "vendor", "product", "schema", "encoding", "mediatype")} == {
        "type": "transcript",
        "dialog": 0,
        "vendor": "faster-whisper",
        "product": "whisper-tiny.en",
        "schema": "wtf",
        "encoding": "json",
        "mediatype": "application/json",
    }
    assert "which product" in body["transcript"]["text"]
    assert "Heartworm" in body["transcript"]["text"]
    assert body["transcript"]["language"] == "en"
    assert 0.5 < body["transcript"]["confidence"] <= 1
    assert [word["id"] for word in body["words"]] == list(range(len(body["words"])))
    assert all(0 <= w["start"] <= w["end"] <= 8.6 and 0 < w["confidence"] <= 1 and w["text"] for w in body["words"])
    assert [i for segment in body["segments"] for i in segment["words"]] == list(range(len(body["words"])))


def test_each_channel_is_put_down_to_the_party_that_the_dialog_names() -> None:
    io = run(io_of(document(dialog=[recording(TWO_CHANNELS, (1, 0))])))
    table = turns(io.vcon)
    agent = " ".join(turn.text for turn in table if turn.party == 1)
    customer = " ".join(turn.text for turn in table if turn.party == 0)
    assert "Charles Ward" in agent
    assert "issue with a return" in customer
    assert {turn.channel for turn in table} == {0, 1}
    assert [turn.start for turn in table] == sorted(turn.start or 0 for turn in table)


@pytest.mark.parametrize(
    ("parties", "expected"),
    [
        ((1, 0), [(1, 1), (0, 0)]),
        (([1], [0]), [(1, 1), (0, 0)]),
        (([0, 1], None), [(None, "channel-0"), (None, "channel-1")]),
        ((1, None), [(1, 1), (None, "channel-1")]),
        (0, [(0, 0), (0, 0)]),
        ((0, 1, 0), [(None, "channel-0"), (None, "channel-1")]),
        ("all", [(None, "channel-0"), (None, "channel-1")]),
    ],
)
def test_parties_may_be_an_index_a_list_or_null_per_channel(parties: Any, expected: list[Any]) -> None:
    engine = ScriptedEngine(says("hello there", 0), says("hi", 3, channel=1), channels=2)
    (analysis,) = run(one_call(parties), engine).vcon.analysis
    assert [(s.get("party"), s["speaker"]) for s in analysis["body"]["segments"]] == expected


def test_on_one_channel_with_two_parties_nobody_is_named() -> None:
    (analysis,) = run(one_call(), ScriptedEngine(says("hello", 0))).vcon.analysis
    assert not {"speaker", "party", "channel"} & set(analysis["body"]["segments"][0])


def test_on_one_channel_with_one_party_it_is_that_party() -> None:
    io = run(one_call((1,)), ScriptedEngine(says("hello", 0)))
    assert [turn.party for turn in turns(io.vcon)] == [1]


def test_a_silent_recording_gets_an_empty_transcript() -> None:
    io = run(io_of(document(dialog=[recording(encoded(np.zeros(16_000), 8_000))])))
    body = io.vcon.analysis[0]["body"]
    assert (body["transcript"]["text"], body["segments"], body["words"]) == ("", [], [])
    assert transcript_text(io.vcon) == ""


@pytest.mark.parametrize(
    "dialog",
    [
        [],
        [{"type": "text", "body": "hello"}],
        [{"type": "incomplete", "disposition": "no-answer"}],
        [{"type": "recording", "parties": [0]}],
    ],
)
def test_without_a_recording_there_is_nothing_to_do(dialog: list[Any]) -> None:
    with pytest.raises(NotApplicable, match="no recording to transcribe"):
        run(io_of(document(dialog=dialog)))


def test_a_recording_that_has_a_transcript_is_passed_over() -> None:
    engine = ScriptedEngine(says("hello", 0))
    io = run(one_call(), engine)
    with pytest.raises(NotApplicable, match="already"):
        run(io, engine)
    assert len(io.vcon.analysis) == 1
    assert engine.asked == 1


def test_another_makers_transcript_counts_unless_overwrite_is_asked_for() -> None:
    old = {"type": "transcript", "dialog": 0, "vendor": "other", "body": "Hello"}
    io = io_of(document(dialog=[recording(WHICH_PRODUCT)], analysis=[old]))
    with pytest.raises(NotApplicable):
        run(io, ScriptedEngine())
    run(io, ScriptedEngine(says("hello", 0)), overwrite=True)
    assert [a["vendor"] for a in io.vcon.analysis] == ["other", "scripted"]


def test_overwrite_replaces_the_transcript_of_the_same_engine() -> None:
    io = run(one_call(), ScriptedEngine(says("hello", 0)))
    io.context = io_of({}).context  # another day: the result cache is empty
    run(io, ScriptedEngine(says("good evening", 0)), overwrite=True)
    assert [a["body"]["transcript"]["text"] for a in io.vcon.analysis] == ["good evening"]


def test_only_the_dialogs_asked_for_are_transcribed() -> None:
    io = io_of(document(dialog=[recording(WHICH_PRODUCT), recording(WHICH_PRODUCT)]))
    run(io, ScriptedEngine(says("hello", 0)), dialogs=[1])
    assert [a["dialog"] for a in io.vcon.analysis] == [1]


def test_the_same_audio_is_heard_once_whatever_vcon_it_is_in() -> None:
    engine, results = ScriptedEngine(says("hello", 0)), ResultsInMemory()
    first = run(io_of(document(dialog=[recording(WHICH_PRODUCT, (0,))]), results=results), engine)
    second = run(io_of(document(dialog=[recording(WHICH_PRODUCT, (1,))]), results=results), engine)
    assert engine.asked == 1
    assert [turns(io.vcon)[0].party for io in (first, second)] == [0, 1]


def test_a_result_that_is_kept_needs_no_audio() -> None:
    audio = WHICH_PRODUCT.read_bytes()
    stored = {"type": "recording", "url": "vcon-media:x", "content_hash": content_hash_of(audio)}
    media, results, engine = MediaInMemory({"vcon-media:x": audio}), ResultsInMemory(), ScriptedEngine(says("hi", 0))
    run(io_of(document(dialog=[dict(stored)]), media=media, results=results), engine)
    assert media.reads == 1
    run(io_of(document(dialog=[dict(stored)]), media=media, results=results), engine)
    assert media.reads == 1


def test_a_false_hash_beside_an_inline_body_does_not_fetch_another_calls_words() -> None:
    results, engine = ResultsInMemory(), ScriptedEngine(says("hello", 0))
    run(io_of(document(dialog=[recording(WHICH_PRODUCT)]), results=results), engine)
    claimed = recording(TWO_CHANNELS, content_hash=content_hash_of(WHICH_PRODUCT.read_bytes()))
    run(io_of(document(dialog=[claimed]), results=results), engine)
    assert engine.asked == 2


def test_another_language_is_another_result() -> None:
    results, engine = ResultsInMemory(), ScriptedEngine(says("hello", 0))
    for language in ("en", "de"):
        run(io_of(document(dialog=[recording(WHICH_PRODUCT)]), results=results), engine, language=language)
    assert engine.asked == 2


def test_broken_audio_names_the_dialog_the_cause_and_the_cure_and_changes_nothing() -> None:
    io = broken_call()
    with pytest.raises(PermanentError) as failed:
        run(io)
    assert str(failed.value) == (
        "recording of dialog 1 cannot be decoded as audio (its first bytes say mp3, but what follows is damaged); "
        "replace the recording and re-execute"
    )
    assert io.vcon.changes == []
    assert io.vcon.analysis == []


def test_broken_audio_is_tried_again_once_it_is_repaired() -> None:
    results = ResultsInMemory()
    with pytest.raises(PermanentError):
        run(io_of(document(dialog=[recording(b"broken")]), results=results))
    assert run(io_of(document(dialog=[recording(WHICH_PRODUCT)]), results=results)).vcon.analysis


def test_a_body_that_is_not_there_names_the_dialog() -> None:
    with pytest.raises(PermanentError, match="recording of dialog 0 cannot be read: its body is not in the media"):
        run(io_of(document(dialog=[{"type": "recording", "url": "vcon-media:gone"}])))


def test_a_recording_that_cannot_be_fetched_just_now_is_worth_another_try() -> None:
    class Away(MediaInMemory):
        def content_hash(self, entry: Mapping[str, Any]) -> str:
            raise FetchFailed("media.example.org answered with status 503", transient=self.transient)

        transient = True

    data = document(dialog=[{"type": "recording", "parties": 0, "url": "https://media.example.org/a.wav"}])
    away = Away()
    with pytest.raises(TransientError, match=r"recording of dialog 0 cannot be had just now: media\.example\.org"):
        run(io_of(data, media=away))
    away.transient = False
    with pytest.raises(PermanentError, match="recording of dialog 0"):
        run(io_of(data, media=away))
