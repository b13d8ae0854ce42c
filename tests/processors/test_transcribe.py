"""``transcribe``: one analysis per recording, each word with its times, each channel put down to its party."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from tests.processors.support import (
    TWO_CHANNELS,
    WHICH_PRODUCT,
    Account,
    MediaInMemory,
    ResultsInMemory,
    document,
    encoded,
    io_of,
    recording,
)
from vcon_platform.processors.audio import survey
from vcon_platform.processors.base import (
    NotApplicable,
    PermanentError,
    ProcessorIO,
    TransientError,
    Usage,
)
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.speech import Recording, Segment, SpokenWord, Transcription
from vcon_platform.processors.speech_engines import SERVICES
from vcon_platform.processors.testing import processor_tests
from vcon_platform.processors.transcribe import Transcribe
from vcon_platform.processors.transcribe_options import TranscribeOptions
from vcon_platform.store.fetch import FetchFailed
from vcon_platform.vcon.media import content_hash_of
from vcon_platform.vcon.turns import transcript_text, turns


class ScriptedEngine:
    """Hears what it was told to hear, and counts how often it is asked."""

    name, vendor, model, version = "local", "scripted", "script-1", "1"

    def __init__(self, *segments: Segment, channels: int = 1, reply: Any = None) -> None:
        self._heard = Transcription("en", 10.0, channels, segments, reply)
        self.asked = 0

    def hear(self, recording: Recording, language: str, *, mix: bool = False) -> Transcription:
        def call() -> tuple[Any, Usage]:
            survey(recording.read())
            self.asked += 1
            return self._heard.to_json(), Usage("scripted", "script-1", seconds=10)

        return Transcription.from_json(recording.buy((language, str(mix)), call))


def says(text: str, start: float, channel: int = 0, speaker: str | None = None) -> Segment:
    words = tuple(SpokenWord(word, start + i, start + i + 0.5, 0.9) for i, word in enumerate(text.split()))
    return Segment(channel=channel, text=text, words=words, speaker=speaker)


def run(io: ProcessorIO, engine: ScriptedEngine | None = None, **options: Any) -> ProcessorIO:
    processor = Transcribe() if engine is None else Transcribe(lambda _: engine)
    return processor.process(io, TranscribeOptions.model_validate(options))


def one_call(parties: Any = (0, 1)) -> ProcessorIO:
    return io_of(document(dialog=[recording(WHICH_PRODUCT, parties)]))


def broken_call() -> ProcessorIO:
    return io_of(document(dialog=[recording(WHICH_PRODUCT), recording(b"ID3 broken beyond repair")]))


TestTranscribeStandard = processor_tests(
    Transcribe,
    example_io=one_call,
    failing_io=broken_call,
    make=lambda: Transcribe(lambda _: ScriptedEngine(says("hello there", 0))),  # hearing it each time takes seconds
)


@pytest.fixture(scope="module")
def really_heard() -> tuple[ProcessorIO, Account]:
    """The example heard by the engine on this machine, and what was used."""
    io, account = one_call(), Account()
    io.context = replace(io.context, purchases=account)
    return run(io), account


def test_a_recording_gets_one_wtf_transcript_with_every_word_timed(really_heard: tuple[ProcessorIO, Account]) -> None:
    (analysis,) = really_heard[0].vcon.analysis
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
    engine = ScriptedEngine(says("this is Charles Ward", 0), says("a return", 5, channel=1), channels=2)
    table = turns(run(io_of(document(dialog=[recording(TWO_CHANNELS, (1, 0))])), engine).vcon)
    assert [(turn.party, turn.channel, turn.text) for turn in table] == [
        (1, 0, "this is Charles Ward"),
        (0, 1, "a return"),
    ]


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
    engine, results = ScriptedEngine(says("hello", 0)), ResultsInMemory()
    with pytest.raises(PermanentError):
        run(io_of(document(dialog=[recording(b"broken")]), results=results), engine)
    assert run(io_of(document(dialog=[recording(WHICH_PRODUCT)]), results=results), engine).vcon.analysis


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


# --- whose words ------------------------------------------------------------------------------------------------


def parties_of(io: ProcessorIO) -> list[int | None]:
    return [turn.party for turn in turns(io.vcon)]


TWO_VOICES = (says("hello", 0, speaker="A"), says("hi", 3, speaker="B"), says("well", 6, speaker="A"))


def test_a_voice_on_one_channel_is_nobodys_unless_a_rule_says_whose() -> None:
    (analysis,) = run(one_call(), ScriptedEngine(*TWO_VOICES)).vcon.analysis
    assert [(s["speaker"], s.get("party")) for s in analysis["body"]["segments"]] == [
        ("A", None),
        ("B", None),
        ("A", None),
    ]


def test_voices_may_be_taken_in_the_order_of_the_parties() -> None:
    assert parties_of(run(one_call((1, 0)), ScriptedEngine(*TWO_VOICES), voices="in_order")) == [1, 0, 1]


@pytest.mark.parametrize(("originator", "expected"), [(None, [1, 0, 1]), (1, [0, 1, 0]), (7, [1, 0, 1])])
def test_of_two_voices_who_was_called_may_be_taken_to_speak_first(originator: Any, expected: list[int]) -> None:
    members = {} if originator is None else {"originator": originator}
    io = io_of(document(dialog=[recording(WHICH_PRODUCT, (0, 1), **members)]))
    assert parties_of(run(io, ScriptedEngine(*TWO_VOICES), voices="answering_first")) == expected


@pytest.mark.parametrize("rule", ["in_order", "answering_first"])
@pytest.mark.parametrize("parties", [(0, 1, 2), ("x", None), None])
def test_a_rule_says_nothing_where_there_are_more_parties_than_voices(rule: str, parties: Any) -> None:
    io = run(one_call(parties), ScriptedEngine(*TWO_VOICES), voices=rule)
    assert parties_of(io) == [None, None, None]


def test_a_definition_may_say_whose_a_voice_is() -> None:
    io = run(one_call(), ScriptedEngine(*TWO_VOICES), voices="in_order", voice_parties={"B": 0})
    assert parties_of(io) == [0, 0, 0]


# --- which recordings -------------------------------------------------------------------------------------------


def test_a_recording_that_is_too_short_is_passed_over_unheard() -> None:
    engine = ScriptedEngine(says("hello", 0))
    short, long = recording(WHICH_PRODUCT, duration=5), recording(WHICH_PRODUCT, duration=60)
    io = run(io_of(document(dialog=[short, long])), engine, minimum_duration=30)
    assert [analysis["dialog"] for analysis in io.vcon.analysis] == [1]
    with pytest.raises(NotApplicable, match="no recording lasts 30 s or longer"):
        run(io_of(document(dialog=[short])), engine, minimum_duration=30)


@pytest.mark.parametrize(("least", "passes"), [(8, True), (9, False)])
def test_a_length_that_the_dialog_does_not_say_is_measured(least: float, passes: bool) -> None:
    try:
        run(one_call(), ScriptedEngine(), minimum_duration=least)
    except NotApplicable:
        assert not passes
    else:
        assert passes


def test_what_an_engine_is_not_sure_of_is_not_written() -> None:
    io = one_call()
    with pytest.raises(NotApplicable, match=r"no transcript has a confidence of 0\.95 or more"):
        run(io, ScriptedEngine(says("hello", 0)), minimum_confidence=0.95)
    assert run(io, ScriptedEngine(says("hello", 0)), minimum_confidence=0.85).vcon.analysis


@pytest.mark.parametrize("segments", [(), (Segment(0, "hello", start=0.0, end=1.0),)])
def test_silence_and_engines_that_do_not_say_how_sure_they_are_pass(segments: tuple[Segment, ...]) -> None:
    assert run(one_call(), ScriptedEngine(*segments), minimum_confidence=1).vcon.analysis


# --- what is written --------------------------------------------------------------------------------------------


def test_wtf_is_written_on_request_with_the_same_body() -> None:
    io = run(one_call(), ScriptedEngine(says("hello", 0)), outputs=["transcript", "wtf"])
    first, second = io.vcon.analysis
    assert (second["type"], second["schema"], second["body"]) == ("wtf_transcription", "wtf-1.0", first["body"])
    assert (first["type"], first["schema"]) == ("transcript", "wtf")


def test_where_only_wtf_is_asked_for_another_transcript_does_not_count() -> None:
    old = {"type": "transcript", "dialog": 0, "vendor": "other", "body": "Hello"}
    io = io_of(document(dialog=[recording(WHICH_PRODUCT)], analysis=[old]))
    run(io, ScriptedEngine(says("hello", 0)), outputs=["wtf"])
    assert [a["type"] for a in io.vcon.analysis] == ["transcript", "wtf_transcription"]
    with pytest.raises(NotApplicable, match="already"):
        run(io, ScriptedEngine(says("hello", 0)), outputs=["wtf"])


def test_a_services_reply_is_kept_whole_unless_it_is_not_wanted() -> None:
    engine = ScriptedEngine(says("hello", 0), reply={"words": [1, 2], "odd": None})
    (kept,) = run(one_call(), engine).vcon.analysis
    (bare,) = run(one_call(), engine, keep_reply=False).vcon.analysis
    assert kept["body"].pop("extensions") == {"scripted": {"words": [1, 2], "odd": None}}
    assert kept["body"] == bare["body"]


def test_what_an_engine_does_not_say_is_left_out() -> None:
    io = run(one_call(), ScriptedEngine(Segment(0, "hello there", start=1.0, end=2.0)))
    (analysis,) = io.vcon.analysis
    assert analysis["body"]["segments"] == [{"id": 0, "start": 1.0, "end": 2.0, "text": "hello there", "words": []}]
    assert "confidence" not in analysis["body"]["transcript"]
    assert [turn.text for turn in turns(io.vcon)] == ["hello there"]


# --- options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"engine_options": {"x": 1}}, "the engine local has none"),
        ({"model": "base"}, "set engine to faster_whisper"),
        ({"engine": "faster_whisper", "model": "a/b"}, "plain name"),
        ({"engine": "faster_whisper", "model": "a..b"}, "plain name"),
        ({"engine": "deepgram", "engine_options": {"callback": "https://x"}}, "may not hold 'callback'"),
        ({"engine": "openai", "engine_options": {"base_url": "https://x"}}, "may not hold 'base_url'"),
        ({"engine": "hugging_face", "model": "a/../b"}, "may not hold"),
        ({"engine": "deepgram", "api_key": "env:OPENAI_API_KEY"}, "only DEEPGRAM_"),
        ({"engine": "groq", "base_url": "https://elsewhere.example.org"}, "write env:NAME"),
        ({"engine": "groq", "azure_endpoint": "env:VCON_SECRET_A"}, "engine openai"),
        ({"outputs": []}, "at least one"),
        ({"language": "English"}, "language"),
        ({"language": "multi"}, "set auto"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        TranscribeOptions.model_validate(options)


@pytest.mark.parametrize(("engine", "told"), [("local", "en"), ("openai", "en"), ("deepgram", "en-GB")])
def test_only_deepgram_is_told_the_region_of_a_language(engine: str, told: str) -> None:
    assert TranscribeOptions.model_validate({"engine": engine, "language": "en-GB"}).spoken == told


@pytest.mark.parametrize("name", [name for name in SERVICES if name != "vfun"])
def test_a_service_without_its_key_says_what_to_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SERVICES[name].key.removeprefix("env:"), raising=False)
    with pytest.raises(NotConfigured, match=SERVICES[name].key.removeprefix("env:")):
        Transcribe().process(one_call(), TranscribeOptions.model_validate({"engine": name}))


def test_an_address_that_is_named_and_not_set_sends_no_key_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GROQ_API_KEY", "g")
    with pytest.raises(NotConfigured, match="VCON_SECRET_GROQ_ADDRESS"):
        Transcribe().process(one_call(), TranscribeOptions(engine="groq", base_url="env:VCON_SECRET_GROQ_ADDRESS"))


def test_only_a_service_is_waited_for_and_has_a_pool() -> None:
    local, deepgram = TranscribeOptions(), TranscribeOptions(engine="deepgram")
    assert (Transcribe.waits(local), Transcribe.pool_of(local)) == (False, None)
    assert (Transcribe.waits(deepgram), Transcribe.pool_of(deepgram)) == (True, "deepgram")


def test_minutes_are_bought_and_told(really_heard: tuple[ProcessorIO, Account]) -> None:
    (usage,) = really_heard[1].used
    assert (usage.service, usage.model) == ("local", "whisper-tiny.en")
    assert usage.seconds == pytest.approx(8.4, abs=0.1)
