"""``redact_audio``: what was said and is personal is not to be heard any more, in any kind of file, on any channel."""

from __future__ import annotations

import io as memory
from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.processors.support import DATA, MediaInMemory, document, encoded, io_of, m4a, recording, sound, told_by
from tests.processors.test_redact_text import segment
from vcon_platform.processors.audio import blocks
from vcon_platform.processors.base import NotApplicable, PermanentError, ProcessorIO, Usage
from vcon_platform.processors.redact_audio import RedactAudio, RedactAudioOptions
from vcon_platform.processors.redact_audio_file import joined, redacted_file
from vcon_platform.processors.redact_text import RedactText, RedactTextOptions
from vcon_platform.processors.speech import Recording, Segment, SpokenWord, Transcription
from vcon_platform.processors.testing import processor_tests
from vcon_platform.processors.transcribe import Transcribe
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.media import decode_base64url
from vcon_platform.vcon.turns import transcript_text

PHONE_AND_EMAIL = DATA / "phone_and_email.mp3"
RATE = 8_000


def noise(seconds: float, channels: int = 1) -> Any:
    made = np.random.default_rng(7).uniform(-0.5, 0.5, (int(seconds * RATE), channels))
    return made if channels > 1 else made[:, 0]


TRANSCRIPT = {
    "type": "transcript", "dialog": 0, "encoding": "json",
    "body": {"segments": [segment(1, "Sure my number is four one five two two okay good bye then", 1.0)]},
}  # fmt: skip
"""The number is said from 3.0 to 5.4 s; "okay" begins at 5.5."""


def call(audio: bytes | None = None, **members: Any) -> dict[str, Any]:
    data = encoded(noise(8.0), RATE) if audio is None else audio
    dialog = recording(data, filename="torres.wav", content_hash="sha512-" + "A" * 86)
    return document(**{"dialog": [dialog], "analysis": [TRANSCRIPT], **members})


class SecondEar:
    """A speech engine that always hears "five six seven eight nine" from 5 to 6 s."""

    name, vendor, model, version = "second", "tests", "ear", "1"

    def hear(self, recording: Recording, language: str, *, mix: bool = False) -> Transcription:
        words = [
            SpokenWord(word, 5 + n * 0.2, 5.2 + n * 0.2, 0.9)
            for n, word in enumerate(["five", "six", "seven", "eight", "nine"])
        ]
        segment = Segment(channel=0, text="", words=tuple(words))
        made = Transcription("en", 8.0, 1, (segment,))
        return Transcription.from_json(
            recording.buy(("ear", language), lambda: (made.to_json(), Usage("tests", seconds=8.0)))
        )


def redacting() -> RedactAudio:
    return RedactAudio(SecondEar)


def redacted(data: dict[str, Any], **options: Any) -> Vcon:
    io = io_of(deepcopy(data))
    redacting().process(io, RedactAudioOptions(cover="silence", **options))
    return io.vcons[1]


def heard(copy: Vcon) -> tuple[Any, int]:
    samples, rate = soundfile.read(memory.BytesIO(decode_base64url(copy.dialog[0]["body"])), always_2d=True)
    return samples, rate


def without_transcript() -> ProcessorIO:
    return io_of(call(analysis=[]))


TestRedactAudioStandard = processor_tests(
    RedactAudio,
    example_io=lambda: io_of(call()),
    failing_io=without_transcript,
    options={"hear_again": True},
    make=redacting,
)


def test_the_words_are_covered_with_their_margins_and_the_rest_is_as_it_was() -> None:
    samples, _ = heard(redacted(call(), margin=0.2))
    original = noise(8.0)
    assert not samples[int(2.8 * RATE) : int(5.6 * RATE)].any()
    assert np.allclose(samples[: int(2.7 * RATE), 0], original[: int(2.7 * RATE)], atol=1e-3)
    assert np.allclose(samples[int(5.7 * RATE) :, 0], original[int(5.7 * RATE) :], atol=1e-3)
    assert len(samples) == len(original)


def test_a_gap_in_which_nothing_was_understood_is_covered_too() -> None:
    """Whisper drops digits it is not sure of."""
    said = deepcopy(TRANSCRIPT)
    for word in said["body"]["segments"][0]["words"][9:]:  # type: ignore[index]
        word["start"] += 0.5
        word["end"] += 0.5
    samples, _ = heard(redacted(call(analysis=[said])))
    assert not samples[int(2.8 * RATE) : int(6.0 * RATE)].any()


def test_a_number_in_one_word_is_covered_for_as_long_as_saying_it_takes() -> None:
    """The word "5678" is said to last 0.4 s."""
    said = {**TRANSCRIPT, "body": {"segments": [segment(1, "the number is 12345678 okay", 1.0)]}}
    samples, _ = heard(redacted(call(analysis=[said])))
    assert not samples[int(0.5 * RATE) : int(4.9 * RATE)].any()


def test_every_channel_is_covered() -> None:
    samples, _ = heard(redacted(call(encoded(noise(8.0, 2), RATE))))
    assert samples.shape[1] == 2
    assert not samples[int(2.8 * RATE) : int(5.6 * RATE)].any()
    assert samples[: int(2.7 * RATE)].any(axis=0).all()


def test_a_turn_whose_words_have_no_times_is_covered_whole() -> None:
    body = {"segments": [{"start": 2.0, "end": 5.0, "text": "my number is 415 222 5678", "speaker": 1}]}
    samples, _ = heard(redacted(call(analysis=[{**TRANSCRIPT, "body": body}])))
    assert not samples[int(1.8 * RATE) : int(5.2 * RATE)].any()


def test_a_turn_without_an_end_is_covered_up_to_the_next() -> None:
    body = {"segments": [{"start": 2.0, "text": "my number is 415 222 5678"}, {"start": 6.0, "text": "good bye"}]}
    samples, _ = heard(redacted(call(analysis=[{**TRANSCRIPT, "body": body}])))
    assert not samples[int(1.8 * RATE) : int(6.0 * RATE)].any()
    assert samples[int(7.0 * RATE) :].any()


def test_a_finding_without_any_time_is_refused() -> None:
    body = {"segments": [{"text": "my number is 415 222 5678"}]}
    with pytest.raises(PermanentError, match="has no time in the transcript"):
        redacted(call(analysis=[{**TRANSCRIPT, "body": body}]))


def test_the_transcript_of_another_recording_is_refused() -> None:
    with pytest.raises(PermanentError, match="another recording's"):
        redacted(call(encoded(noise(2.0), RATE)))


def test_a_recording_that_is_none_is_refused() -> None:
    with pytest.raises(PermanentError, match="recording of dialog 0 cannot be decoded"):
        redacted(call(b"not a recording"))


def test_without_recordings_there_is_nothing_to_do() -> None:
    with pytest.raises(NotApplicable):
        redacted(document())


def test_nothing_of_the_old_file_is_in_the_copy() -> None:
    tagged = encoded(noise(8.0), RATE) + b"LIST\x10\0\0\0INFOIART Torres 415"
    copy = redacted(call(tagged))
    whole = told_by(copy).encode() + decode_base64url(copy.dialog[0]["body"])
    assert not [secret for secret in (b"Torres", b"torres", b"sha512", b"415") if secret in whole]


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("WAV", "PCM_16"), ("WAV", "ULAW"), ("WAV", "ALAW"), ("WAV", "GSM610"), ("MP3", None), ("OGG", "VORBIS"),
     ("OGG", "OPUS"), ("FLAC", None), ("AU", "PCM_16"), ("AIFF", "PCM_16")],
)  # fmt: skip
def test_the_kind_of_the_source_is_kept(kind: str, subtype: str | None) -> None:
    source = encoded(noise(3.0), RATE, kind, subtype)
    made = redacted_file(source, [(1.0, 2.0)], "silence")
    old, new = soundfile.info(memory.BytesIO(source)), soundfile.info(memory.BytesIO(made.data))
    assert (new.format, new.subtype, new.channels) == (old.format, old.subtype, old.channels)
    assert made.duration == pytest.approx(3.0, abs=0.1)
    assert len(made.data) < 3 * len(source)


def test_m4a_stays_m4a() -> None:
    samples, rate = sound(seconds=3.0)
    made = redacted_file(m4a(samples, rate), [(1.0, 2.0)], "silence")
    assert made.mediatype == "audio/mp4"
    [channel] = [np.concatenate(parts) for parts in zip(*blocks(made.data), strict=True)]
    assert np.abs(channel[int(1.1 * 16_000) : int(1.9 * 16_000)]).max() < 50
    assert np.abs(channel[: 16_000 * 9 // 10]).max() > 1_000


def test_a_tone_is_heard_in_place_of_the_words() -> None:
    made = redacted_file(encoded(noise(3.0), RATE), [(1.0, 2.0)], "tone")
    samples, _ = soundfile.read(memory.BytesIO(made.data))
    spectrum = np.abs(np.fft.rfft(samples[int(1.0 * RATE) : int(2.0 * RATE)]))
    assert spectrum.argmax() == 1_000
    assert spectrum[1_000] > 50 * np.median(spectrum)


def test_stretches_in_any_order_are_put_together() -> None:
    assert joined([(5, 6), (1, 3), (2, 4), (-1, 0.5), (9, 8)]) == [(0.0, 0.5), (1, 4), (5, 6), (8, 9)]


def test_a_large_result_goes_to_the_media_store_where_there_is_one() -> None:
    class Store(MediaInMemory):
        inline_max = 1_000

        def keep_chunks(self, chunks: Any) -> str:
            self.kept["made"] = b"".join(chunks)
            return "sha512-made"

    store = Store()
    io = io_of(call(), media=store)
    RedactAudio().process(io, RedactAudioOptions())
    assert io.vcons[1].dialog[0]["url"] == "vcon-media:sha512-made"
    assert "body" not in io.vcons[1].dialog[0]
    assert store.kept["made"].startswith(b"RIFF")


def test_one_copy_holds_text_and_sound_in_either_order() -> None:
    def text(io: ProcessorIO) -> ProcessorIO:
        return RedactText().process(io, RedactTextOptions())

    def audio(io: ProcessorIO) -> ProcessorIO:
        return RedactAudio().process(io, RedactAudioOptions())

    for first, second in ((text, audio), (audio, text)):
        io = second(first(io_of(call())))
        [_, copy] = io.vcons
        assert copy.dialog[0]["body"]
        assert "[PHONE]" in transcript_text(copy)
        with pytest.raises(NotApplicable):
            RedactAudio().process(io, RedactAudioOptions())


@pytest.fixture(scope="module")
def spoken() -> ProcessorIO:
    """A real call, transcribed, redacted in text and sound."""
    dialog = recording(PHONE_AND_EMAIL, filename="katherine.mp3", mediatype="audio/mpeg")
    parties = [{"name": "Russell Miller"}, {"name": "Katherine Torres"}]
    io = io_of(document(parties=parties, dialog=[dialog]))
    Transcribe().process(io, Transcribe.options.model_validate({}))
    RedactText().process(io, RedactTextOptions())
    return RedactAudio().process(io, RedactAudioOptions(cover="silence"))


def test_what_was_said_is_not_heard_when_it_is_transcribed_again(spoken: ProcessorIO) -> None:
    original, copy = spoken.vcons
    before = transcript_text(original)
    assert "5678" in before
    assert "yogalove" in before.casefold()
    dialog = {**copy.dialog[0], "parties": [0, 1]}
    again = io_of(document(dialog=[dialog]))
    Transcribe().process(again, Transcribe.options.model_validate({}))
    after = transcript_text(again.vcons[0])
    assert not any(letter.isdigit() for letter in after)
    assert [
        secret for secret in ("therine", "yoga", "love", "four one five", "five six") if secret in after.casefold()
    ] == []
    assert "stock" in after
    whole = told_by(copy)
    assert [secret for secret in ("katherine", "catherine", "torres", "5678", "yogalove") if secret in whole] == []


def test_what_the_transcript_missed_is_heard_again_and_covered() -> None:
    body = {"segments": [segment(1, "can I have your phone number", 0.4)]}
    samples, _ = heard(redacted(call(analysis=[{**TRANSCRIPT, "body": body}]), hear_again=True))
    assert not samples[int(4.9 * RATE) : int(6.1 * RATE)].any()
    assert samples[: int(4.7 * RATE)].any()
