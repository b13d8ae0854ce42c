"""The local engine on real speech: the known words, with times that fit the recording."""

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.processors.support import DATA, TWO_CHANNELS, WHICH_PRODUCT, encoded, sound
from tests.processors.word_errors import word_errors
from vcon_platform.processors import speech_local
from vcon_platform.processors.audio import AudioError
from vcon_platform.processors.base import PermanentError
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.speech import Recording, Segment, Transcription
from vcon_platform.processors.speech_local import LocalEngine, local_engine, model_engine
from vcon_platform.processors.speech_settings import SpeechSettings

QUESTION = "I'm really sorry to hear that. Could you please tell me which product you're referring to?"
ANSWER = "It's the Heartbeats Heartworm Prevention Chewables for dogs."


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def heard_of(script: str, segments: Iterable[Segment]) -> float:
    """The share of the script's words that were heard."""
    said, heard = words_of(script), words_of(" ".join(segment.text for segment in segments))
    return sum(word in heard for word in said) / len(said)


@cache
def which_product() -> Transcription:
    """What is heard of the one recording that most tests ask for: heard once."""
    return hear(WHICH_PRODUCT.read_bytes())


def hear(recording: bytes, language: str = "en") -> Transcription:
    return local_engine().transcribe(recording, language=language)


def test_hears_the_known_words_with_times_and_confidences() -> None:
    heard = which_product()
    assert heard.channels == 1
    assert heard.duration == pytest.approx(8.4, abs=0.1)
    assert heard_of(f"{QUESTION} {ANSWER}", heard.segments) > 0.85
    words = [word for segment in heard.segments for word in segment.words]
    assert all(0 <= word.start <= word.end <= heard.duration + 0.2 for word in words)
    assert all(0 < (word.confidence or 0) <= 1 for word in words)
    product = next(word for word in words if word.text.lower().startswith("product"))
    assert product.start == pytest.approx(3.6, abs=0.6)


def test_a_whole_call_is_heard_with_few_words_wrong() -> None:
    """The docs tell the rate over all calls: 2.1 %."""
    call = DATA / "audio" / "payoff_call.mp3"
    script = " ".join(turn["text"] for turn in json.loads(call.with_suffix(".turns.json").read_text()))
    wrong, said = word_errors(script, " ".join(segment.text for segment in hear(call.read_bytes()).segments))
    assert wrong / said < 0.07


def test_tells_two_channels_apart_and_keeps_time_order() -> None:
    heard = hear(TWO_CHANNELS.read_bytes())
    agent = [segment for segment in heard.segments if segment.channel == 0]
    customer = [segment for segment in heard.segments if segment.channel == 1]
    assert heard.channels == 2
    assert heard_of("hello this is charles ward how may i assist you today", agent) > 0.85
    assert heard_of("i'm having an issue with a return i'm not sure how to proceed patterson", customer) > 0.85
    starts = [segment.start or 0.0 for segment in heard.segments]
    assert starts == sorted(starts)
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


def test_the_same_audio_gives_the_same_words_also_to_threads_that_share_a_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loads: list[Path | None] = []
    load = speech_local._load

    def counted(path: Path | None, settings: SpeechSettings) -> object:
        loads.append(path)
        return load(path, settings)

    monkeypatch.setattr(speech_local, "_load", counted)
    engine, recording = LocalEngine(), WHICH_PRODUCT.read_bytes()
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: engine.transcribe(recording, language="en"), range(2))
    assert loads == [None]
    assert first == second == which_product()


def test_a_transcription_survives_the_result_cache() -> None:
    heard = which_product()
    assert Transcription.from_json(heard.to_json()) == heard


def test_a_language_the_model_does_not_know_is_refused_with_the_cure() -> None:
    with pytest.raises(PermanentError, match="VCON_WHISPER_MODEL_PATH"):
        hear(WHICH_PRODUCT.read_bytes(), language="de")


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
    assert SpeechSettings().model_path == tmp_path


@pytest.fixture
def _asked_anew() -> Iterator[None]:
    """Engines by the settings of this test."""
    model_engine.cache_clear()
    yield
    model_engine.cache_clear()


@pytest.mark.usefixtures("_asked_anew")
def test_a_definition_names_one_of_the_operators_models_and_no_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.bin").write_bytes(b"weights")
    with pytest.raises(NotConfigured, match="VCON_WHISPER_MODELS"):
        model_engine("mine")
    monkeypatch.setenv("VCON_WHISPER_MODELS", str(tmp_path))
    assert (model_engine("mine").name, model_engine("mine").model) == ("faster_whisper", "whisper-mine")
    with pytest.raises(NotConfigured, match="no Whisper model 'yours'"):
        model_engine("yours")
    with pytest.raises(NotConfigured, match="VCON_WHISPER_MODEL_PATH"):
        model_engine("")


@pytest.mark.usefixtures("_asked_anew")
def test_how_it_computes_is_part_of_which_engine_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = LocalEngine().version
    monkeypatch.setenv("VCON_WHISPER_COMPUTE_TYPE", "float32")
    assert LocalEngine().version != usual


@pytest.mark.parametrize(("seconds", "sure", "believed"), [(0.16, 0.45, False), (0.16, 0.9, True), (2.0, 0.45, True)])
def test_a_phrase_that_nobody_could_have_spoken_is_not_believed(seconds: float, sure: float, believed: bool) -> None:
    text = ["thank", "you", "very", "much", "for", "joining", "us"]
    step = seconds / len(text)
    words = [
        SimpleNamespace(word=f" {word}", start=n * step, end=(n + 1) * step, probability=sure)
        for n, word in enumerate(text)
    ]
    assert speech_local._believed(words) is believed


# --- many and long recordings ----------------------------------------------------------------------------------


class SilentModel:
    """In Whisper's place: hears nothing, and remembers what it was given."""

    class model:  # noqa: N801 - as faster-whisper calls it
        is_multilingual = True

    def __init__(self) -> None:
        self.given: list[int] = []
        self.languages: list[str | None] = []

    def transcribe(
        self, samples: np.ndarray, *, language: str | None, **settings: object
    ) -> tuple[list[object], object]:
        self.given.append(len(samples))
        self.languages.append(language)
        return [], SimpleNamespace(language=language or "de")


def test_an_unknown_language_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = SilentModel()
    monkeypatch.setattr(speech_local, "_load", lambda *_: model)
    monkeypatch.setattr(speech_local, "PIECE_SECONDS", 5)
    heard = LocalEngine().transcribe(WHICH_PRODUCT.read_bytes(), language="auto")
    assert heard.language == "de"
    assert model.languages == [None, "de"]


def test_no_more_recordings_are_read_at_once_than_are_heard() -> None:
    engine, inside, most, lock = LocalEngine(), [0], [0], Lock()

    def read() -> bytes:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        return b"no audio"

    def buy(parts: tuple[str, ...], call: Callable[[], Any]) -> Any:
        try:
            call()
        except AudioError:
            with lock:
                inside[0] -= 1
        return Transcription("en", 0.0, 1, ()).to_json()

    recording = Recording("it", read, buy, buy)
    with ThreadPoolExecutor(12) as threads:
        list(threads.map(lambda _: engine.hear(recording, "en"), range(24)))
    assert most[0] <= speech_local._at_once()


_LONG = """
import io, resource, sys
import numpy as np, soundfile
sys.path.insert(0, {root!r})
from tests.processors.test_speech_local import SilentModel
from vcon_platform.processors import speech_local
from vcon_platform.processors.speech_local import LocalEngine
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1024 * 1024 if sys.platform == "darwin" else 1024)
minute = (np.random.default_rng(1).normal(0, 0.05, (8_000 * 60, 2)) * [1, 0.5]).astype(np.float32)
buffer = io.BytesIO()
with soundfile.SoundFile(buffer, "w", 8_000, 2, "ULAW", format="WAV") as file:
    for _ in range({minutes}):
        file.write(minute)
recording = buffer.getvalue()
del buffer
model = SilentModel()
speech_local._load = lambda *_: model
engine = LocalEngine()
engine.transcribe(recording[: 8_000 * 2 * 130], language="en")  # everything is imported and has its buffers
model.given.clear()
before = peak()
heard = engine.transcribe(recording, language="en")
print(round(heard.duration), heard.channels, sum(model.given), max(model.given), peak() - before)
"""


def test_memory_does_not_grow_with_a_recordings_length() -> None:
    """8 minutes on two channels are 31 MB of samples, 15 MB if only those of one channel were kept."""
    root = str(Path(__file__).parents[2])
    shown = subprocess.run(
        [sys.executable, "-c", _LONG.format(root=root, minutes=8)],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
    )
    duration, channels, samples, longest, grown = map(int, shown.stdout.split())
    assert (duration, channels) == (480, 2)
    assert samples == 2 * 480 * 16_000
    assert longest <= speech_local.PIECE_SECONDS * 16_000
    assert grown < 12
