"""What every speech engine gives, and what it must be able to do. Engines stand behind this interface.

Belongs here: the result's shape, its way through the result cache, and which engine a name means. Not here: how an
engine works (``speech_local.py``), or what becomes of the result (``transcribe.py``).

An engine is handed the recording's bytes as they are, because a service wants the file and the local model wants
samples. It knows channels, never parties: the same audio in another vCon is the same result.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

EngineName = Literal["local"]
"""The engines that can be asked for by name."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word. Times in seconds from the start of the recording; confidence from 0 to 1."""

    text: str
    start: float
    end: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Segment:
    """What was said in one go on one channel. ``speaker`` is who the engine says it was, where it can tell voices
    apart within a channel. ``text`` is kept beside the words because not every language puts blanks between them."""

    channel: int
    text: str
    words: tuple[SpokenWord, ...]
    speaker: str | None = None

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return max(word.end for word in self.words)

    @property
    def confidence(self) -> float:
        """The mean of its words' confidences."""
        return sum(word.confidence for word in self.words) / len(self.words)


@dataclass(frozen=True, slots=True)
class Transcription:
    """What an engine heard: segments in time order, each with at least one word. No segments: nobody spoke.

    ``channels`` counts the channels that were told apart; ``duration`` is in seconds.
    """

    language: str
    duration: float
    channels: int
    segments: tuple[Segment, ...]

    def to_json(self) -> dict[str, Any]:
        """As the result cache keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Transcription:
        """Back from the result cache."""
        return cls(
            language=value["language"],
            duration=value["duration"],
            channels=value["channels"],
            segments=tuple(
                Segment(
                    channel=segment["channel"],
                    text=segment["text"],
                    words=tuple(SpokenWord(**word) for word in segment["words"]),
                    speaker=segment["speaker"],
                )
                for segment in value["segments"]
            ),
        )


class SpeechEngine(Protocol):
    """Speech to text. One instance serves all threads of a process."""

    @property
    def name(self) -> str:
        """What options call it: ``local``."""
        ...

    @property
    def vendor(self) -> str:
        """Whose software it is, for the analysis: ``faster-whisper``."""
        ...

    @property
    def model(self) -> str:
        """The model, for the analysis: ``whisper-tiny.en``."""
        ...

    @property
    def version(self) -> str:
        """Changes whenever the same audio may give another text: software, weights, settings."""
        ...

    def transcribe(self, recording: bytes, *, language: str) -> Transcription:
        """Hear a recording. Raises AudioError when it is no audio, TransientError or PermanentError when the
        engine cannot do it."""
        ...


def engine_named(name: EngineName) -> SpeechEngine:
    """The engine of this name, the same instance at every call. Nothing is loaded before it transcribes."""
    from vcon_platform.processors.speech_local import local_engine

    engines = {"local": local_engine}
    return engines[name]()
