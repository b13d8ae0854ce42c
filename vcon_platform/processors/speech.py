"""What every speech engine gives, what it is given, and what it must be able to do.

Belongs here: the result's shape, the recording as an engine sees it. Not here: how an engine works (``speech_*.py``),
which engine a name means (``speech_engines.py``), or what becomes of the result (``transcribe.py``).

An engine is handed the recording's bytes as they are, because a service wants the file and the local model wants
samples; it is handed a way to read them and not the bytes, because a result that was bought before needs no audio. It
knows channels, never parties: the same audio in another vCon is the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from vcon_platform.processors.base import Usage

AUTO = "auto"
"""In place of a language: whichever is spoken."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word. Times in seconds from the start of the recording; confidence from 0 to 1, None where the engine does
    not say how sure it is."""

    text: str
    start: float
    end: float
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Segment:
    """What was said in one go on one channel. ``speaker`` is who the engine says it was, where it can tell voices
    apart within a channel. ``text`` is kept beside the words because not every language puts blanks between them.
    ``start``, ``end`` and ``confidence`` are those of the words where there are any; else what the engine says, None
    where it does not."""

    channel: int
    text: str
    words: tuple[SpokenWord, ...] = ()
    speaker: str | None = None
    start: float | None = None
    end: float | None = None
    confidence: float | None = None

    def __post_init__(self) -> None:
        """Take from the words what is not said."""
        if not self.words:
            return
        sure = [word.confidence for word in self.words if word.confidence is not None]
        told = {
            "start": self.words[0].start,
            "end": max(word.end for word in self.words),
            "confidence": sum(sure) / len(sure) if sure else None,
        }
        for name, value in told.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class Transcription:
    """What an engine heard: segments in time order. No segments: nobody spoke.

    ``language`` as far as it is known, ``channels`` counts the channels that were told apart; ``duration`` is in
    seconds. ``reply``: the service's answer as it came, None where there is none. ``processed_at``: when it was heard;
    no part of the result.
    """

    language: str
    duration: float
    channels: int
    segments: tuple[Segment, ...]
    reply: Any = None
    processed_at: str = field(default="", compare=False)

    @property
    def confidence(self) -> float | None:
        """The mean confidence of the words, else of the segments; None where the engine gives none, or nobody
        spoke."""
        sure = [word.confidence for segment in self.segments for word in segment.words if word.confidence is not None]
        sure = sure or [segment.confidence for segment in self.segments if segment.confidence is not None]
        return sum(sure) / len(sure) if sure else None

    def to_json(self) -> dict[str, Any]:
        """As the result cache keeps it."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Transcription:
        """Back from the result cache."""
        segments = tuple(
            Segment(**{**segment, "words": tuple(SpokenWord(**word) for word in segment["words"])})
            for segment in value["segments"]
        )
        return cls(**{**value, "segments": segments})


def now() -> str:
    """The moment, as ``processed_at`` has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def within(most: float, left: float | None) -> float:
    """Seconds to wait for an answer: ``most``, or what is left for the conversation, if that is less."""
    return most if left is None else max(0.1, min(most, left))


def in_time_order(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Segments of all channels one after the other; one without a time follows the one before it on its channel."""
    latest: dict[int, float] = {}
    timed: list[tuple[float, Segment]] = []
    for segment in segments:
        latest[segment.channel] = segment.start if segment.start is not None else latest.get(segment.channel, 0.0)
        timed.append((latest[segment.channel], segment))
    timed.sort(key=lambda entry: (entry[0], entry[1].channel))
    return tuple(segment for _, segment in timed)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recording as an engine sees it.

    ``where`` names it in messages. ``read`` gives its bytes: call it only when a result must be bought. ``buy`` is
    ``ProcessorIO.buy`` for this recording (its content hash is among the parts already); ``keep`` the same for what
    costs nothing by itself, because it is made of things that were bought. ``seconds``: those that are left for this
    conversation, None: no limit. ``url``: the address that may be given to a service in place of the bytes, None: it
    may not.
    """

    where: str
    read: Callable[[], bytes]
    buy: Callable[[tuple[str, ...], Callable[[], tuple[Any, Usage]]], Any]
    keep: Callable[[tuple[str, ...], Callable[[], Any]], Any]
    seconds: Callable[[], float | None] = lambda: None
    url: str | None = None


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
        """The version of the model, for the analysis: changes whenever the same audio may give another text; empty
        where a service does not say."""
        ...

    def hear(self, recording: Recording, language: str, *, mix: bool = False) -> Transcription:
        """Hear a recording, in ``language`` (ISO 639 code, or ``auto``: found out). Channels are heard one by one, as
        one with ``mix``. Raises AudioError when it is no audio, TransientError or PermanentError when the engine
        cannot do it."""
        ...
