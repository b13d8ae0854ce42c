"""The local engine on real speech: the known words, with times that fit the recording."""

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.processors.support import TWO_CHANNELS, WHICH_PRODUCT, encoded, sound
from vcon_platform.processors import speech_local
from vcon_platform.processors.audio import SAMPLE_RATE
from vcon_platform.processors.base import PermanentError
from vcon_platform.processors.speech import Segment, Transcription, engine_named
from vcon_platform.processors.speech_local import LocalEngine

QUESTION = "I'm really sorry to hear that. Could you please tell me which product you're referring to?"
ANSWER = "It's the Heartbeats Heartworm Prevention Chewables for dogs."


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def heard_of(script: str, segments: Iterable[Segment]) -> float:
    """The share of the script's words that were heard."""
    said, heard = words_of(script), words_of(" ".join(segment.text for segment in segments))
    return sum(word in heard for word in said) / len(said)


def hear(recording: bytes, language: str = "en") -> Transcription:
    return engine_named("local").transcribe(recording, language=language)


def test_hears_the_known_words_with_times_and_confidences() -> None:
    heard = hear(WHICH_PRODUCT.read_bytes())
    assert heard.channels == 1
    assert heard.duration == pytest.approx(8.4, abs=0.1)
    assert heard_of(f"{QUESTION} {ANSWER}", heard.segments) > 0.85
    words = [word for segment in heard.segments for word in segment.words]
    assert all(0 <= word.start <= word.end <= heard.duration + 0.2 for word in words)
    assert all(0 < word.confidence <= 1 for word in words)
    product = next(word for word in words if word.text.lower().startswith("product"))
    assert product.start == pytest.approx(3.6, abs=0.6)


def test_tells_two_channels_apart_and_keeps_time_order() -> None:
    heard = hear(TWO_CHANNELS.read_bytes())
    agent = [segment for segment in heard.segments if segment.channel == 0]
    customer = [segment for segment in heard.segments if segment.channel == 1]
    assert heard.channels == 2
    assert heard_of("hello this is charles ward how may i assist you today", agent) > 0.85
    assert heard_of("i'm having an issue with a return i'm not sure how to proceed patterson", customer) > 0.85
    assert [segment.start for segment in heard.segments] == sorted(segment.start for segment in heard.segments)
    assert [segment.channel for segment in heard.segments][-2:] == [0, 1]  # the name is asked for before it is given


def test_telephone_codecs_are_understood() -> None:
    samples, _ = sound(TWO_CHANNELS, seconds=5)
    heard = hear(encoded(samples[:, 0], 8_000, "WAV", "GSM610"))
    assert heard_of("hello this is charles ward how may i assist you today", heard.segments) > 0.75


@pytest.mark.parametrize("seconds", [0, 3])
def test_silence_is_an_empty_transcription(seconds: int) -> None:
    heard = hear(encoded(np.zeros(seconds * 8_000), 8_000))
    assert heard.segments == ()
    assert heard.duration == seconds


def test_noise_without_speech_is_not_turned_into_words() -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, 4 * 8_000)
    assert hear(encoded(noise, 8_000)).segments == ()


def test_the_same_audio_gives_the_same_words() -> None:
    recording = WHICH_PRODUCT.read_bytes()
    assert hear(recording) == hear(recording)


def test_threads_share_one_model_and_hear_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[Path | None] = []
    load = speech_local._load

    def counted(path: Path | None) -> object:
        loads.append(path)
        return load(path)

    monkeypatch.setattr(speech_local, "_load", counted)
    engine, recording = LocalEngine(), WHICH_PRODUCT.read_bytes()
    with ThreadPoolExecutor(3) as threads:
        first, *others = threads.map(lambda _: engine.transcribe(recording, language="en"), range(3))
    assert loads == [None]
    assert all(other == first for other in others)


def test_a_transcription_survives_the_result_cache() -> None:
    heard = hear(WHICH_PRODUCT.read_bytes())
    assert Transcription.from_json(heard.to_json()) == heard


def test_a_language_the_model_does_not_know_is_refused_with_the_cure() -> None:
    with pytest.raises(PermanentError, match="VCON_WHISPER_MODEL_PATH"):
        hear(WHICH_PRODUCT.read_bytes(), language="de")


def test_long_audio_is_cut_where_it_is_quiet_and_nothing_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_local, "PIECE_SECONDS", 4)
    monkeypatch.setattr(speech_local, "SEARCH_SECONDS", 2)
    loud = np.full(10 * SAMPLE_RATE, 1_000, dtype=np.int16)
    loud[3 * SAMPLE_RATE : 3 * SAMPLE_RATE + 3_200] = 0
    cut = list(speech_local._pieces(loud))
    assert cut[1][0] == pytest.approx(3.1 * SAMPLE_RATE, abs=1_600)
    assert np.array_equal(np.concatenate([piece for _, piece in cut]), loud)
    assert all(len(piece) <= 4 * SAMPLE_RATE for _, piece in cut)


def test_times_in_later_pieces_count_from_the_recordings_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_local, "PIECE_SECONDS", 6)
    monkeypatch.setattr(speech_local, "SEARCH_SECONDS", 2)
    heard = hear(WHICH_PRODUCT.read_bytes())
    assert heard_of(f"{QUESTION} {ANSWER}", heard.segments) > 0.8
    heartworm = next(w for s in heard.segments for w in s.words if w.text.lower().startswith("heartworm"))
    assert heartworm.start == pytest.approx(6.1, abs=0.7)


def test_weights_that_are_not_the_reviewed_ones_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech_local, "SHIPPED_SHA256", "0" * 64)
    with pytest.raises(PermanentError, match="not the reviewed ones"):
        LocalEngine().transcribe(WHICH_PRODUCT.read_bytes(), language="en")


def test_a_model_folder_without_a_model_is_refused_with_the_cure(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"model\.bin"):
        _ = LocalEngine(tmp_path).version


def test_a_model_of_ones_own_is_another_engine_to_the_result_cache(tmp_path: Path) -> None:
    (tmp_path / "whisper-mine").mkdir()
    (tmp_path / "whisper-mine" / "model.bin").write_bytes(b"weights")
    mine = LocalEngine(tmp_path / "whisper-mine")
    assert mine.version != LocalEngine().version
    assert mine.model != LocalEngine().model
    with pytest.raises(PermanentError, match="cannot be loaded"):
        mine.transcribe(WHICH_PRODUCT.read_bytes(), language="en")


def test_the_setting_names_the_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VCON_WHISPER_MODEL_PATH", str(tmp_path))
    assert speech_local.SpeechSettings().model_path == tmp_path
