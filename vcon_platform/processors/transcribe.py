"""The processor ``transcribe``: every recording gets a transcript with a time and a confidence for each word.

Belongs here: which dialogs are transcribed, whose channel is whose, the analysis that is written. Not here: how
speech is heard (``speech.py`` and the engines behind it), or how bytes become samples (``audio.py``).

The analysis' body is WTF-shaped (draft-howe-vcon-wtf-extension), because that is the one published shape with words,
confidences and speakers that no vendor owns: readers of it need not know which engine heard the call. Two members
are added to its segments: ``channel``, and ``party`` where the dialog says whose channel it is.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from pydantic import Field

from vcon_platform.processors.audio import AudioError
from vcon_platform.processors.base import (
    Effects,
    NotApplicable,
    PermanentError,
    Processor,
    ProcessorContext,
    ProcessorIO,
    ProcessorOptions,
)
from vcon_platform.processors.recordings import own_hash, reading, recordings
from vcon_platform.processors.speech import EngineName, Segment, SpeechEngine, Transcription, engine_named
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.turns import has_transcript, parties_by_channel


class TranscribeOptions(ProcessorOptions):
    """What ``transcribe`` can be told."""

    engine: EngineName = Field(
        default="local",
        title="Engine",
        description="What listens. local: Whisper on this machine, without network, key or fee.",
    )
    language: str = Field(
        default="en",
        pattern="^[a-z]{2,3}$",
        title="Language",
        description="The language that is spoken, as an ISO 639 code. The model shipped with the platform knows en.",
    )
    dialogs: tuple[int, ...] | None = Field(
        default=None,
        title="Dialogs",
        description="Indexes of the dialogs to transcribe. Unset: every recording.",
    )
    overwrite: bool = Field(
        default=False,
        title="Overwrite",
        description="True: recordings that have a transcript are transcribed too; one made by this engine and model "
        "before is replaced. False: they are passed over.",
    )


class Transcribe(Processor[TranscribeOptions]):
    """Speech to text for recordings."""

    name = "transcribe"
    version = "1.0.0"
    title = "Transcribe"
    description = (
        "Speech to text: adds one analysis of type transcript per recording, with start, end and confidence of every "
        "word. Channels are heard one by one and put down to the dialog's parties."
    )
    effects = Effects(costs=True, changes=True)
    options = TranscribeOptions

    def __init__(self, engine_for: Callable[[EngineName], SpeechEngine] = engine_named) -> None:
        self._engine_for = engine_for

    def process(self, io: ProcessorIO, options: TranscribeOptions) -> ProcessorIO:
        """Raises NotApplicable where there is no recording, or each has its transcript; PermanentError naming the
        dialog whose recording cannot be read. Nothing is written unless every dialog could be heard."""
        wanted = list(recordings(io.vcon, options.dialogs))
        if not wanted:
            raise NotApplicable("no recording to transcribe")
        if not options.overwrite:
            wanted = [(i, dialog) for i, dialog in wanted if not has_transcript(io.vcon, i)]
            if not wanted:
                raise NotApplicable("every recording has a transcript already")
        engine = self._engine_for(options.engine)
        heard = [
            _analysis(index, dialog, engine, *self._hear(io.context, index, dialog, engine, options.language))
            for index, dialog in wanted
        ]
        for analysis in heard:
            _write(io.vcon, analysis, options)
        return io

    def _hear(
        self, context: ProcessorContext, index: int, dialog: dict[str, Any], engine: SpeechEngine, language: str
    ) -> tuple[Transcription, str]:
        """The transcription, and when it was made: by the result cache, so that the same audio is heard once."""

        def compute() -> dict[str, Any]:
            audio = context.media.body(dialog)
            try:
                found = engine.transcribe(audio, language=language)
            except AudioError as error:
                raise PermanentError(
                    f"recording of dialog {index} cannot be decoded as audio ({error}); "
                    "replace the recording and re-execute"
                ) from None
            return {"transcription": found.to_json(), "processed_at": datetime.now(UTC).isoformat(timespec="seconds")}

        with reading(index):
            key = own_hash(context.media, dialog), self.name, self.version
            kept = context.results.get_or_compute((*key, engine.name, engine.model, engine.version, language), compute)
        return Transcription.from_json(kept["transcription"]), kept["processed_at"]


def _write(vcon: Vcon, analysis: dict[str, Any], options: TranscribeOptions) -> None:
    """Append the analysis, or put it in the place of the one it succeeds."""
    same = ("type", "dialog", "vendor", "product", "schema")
    for index, old in enumerate(vcon.analysis) if options.overwrite else ():
        if isinstance(old, dict) and all(old.get(member) == analysis[member] for member in same):
            if old != analysis:
                vcon.put("analysis", analysis, index)
            return
    vcon.append("analysis", analysis)


def _analysis(
    index: int, dialog: dict[str, Any], engine: SpeechEngine, heard: Transcription, processed_at: str
) -> dict[str, Any]:
    return {
        "type": "transcript",
        "dialog": index,
        "vendor": engine.vendor,
        "product": engine.model,
        "schema": "wtf",
        "mediatype": "application/json",
        "encoding": "json",
        "body": wtf_body(heard, dialog, engine, processed_at),
    }


def wtf_body(
    heard: Transcription, dialog: dict[str, Any], engine: SpeechEngine, processed_at: str = ""
) -> dict[str, Any]:
    """The transcription as a WTF value. Confidence is 0 where nothing was said: there is nothing to be sure of."""
    owners = parties_by_channel(dialog.get("parties"), heard.channels)
    segments: list[dict[str, Any]] = []
    words: list[dict[str, Any]] = []
    for segment in heard.segments:
        who = _who(segment, heard.channels, owners)
        first = len(words)
        words += [
            {
                "id": first + place,
                "start": word.start,
                "end": word.end,
                "text": word.text,
                "confidence": word.confidence,
                **({"speaker": who["speaker"]} if "speaker" in who else {}),
            }
            for place, word in enumerate(segment.words)
        ]
        segments.append(
            {
                "id": len(segments),
                "start": segment.start,
                "end": segment.end,
                "text": segment.text,
                "confidence": round(segment.confidence, 4),
                **who,
                "words": list(range(first, len(words))),
            }
        )
    confidences = [word["confidence"] for word in words]
    metadata = {
        "created_at": dialog.get("start"),
        "processed_at": processed_at,
        "provider": engine.vendor,
        "model": engine.model,
        "model_version": engine.version,
        "audio": {"duration": heard.duration, "channels": heard.channels},
    }
    return {
        "transcript": {
            "text": " ".join(segment.text for segment in heard.segments),
            "language": heard.language,
            "duration": heard.duration,
            "confidence": round(sum(confidences) / len(confidences), 4) if confidences else 0.0,
        },
        "segments": segments,
        "words": words,
        "metadata": {member: value for member, value in metadata.items() if value},
    }


def _who(segment: Segment, channels: int, owners: list[int | None]) -> dict[str, Any]:
    """The voice of a segment: its party if the dialog says whose channel it is, else the engine's or the channel's
    name for it, else nothing: on one channel with several parties nobody knows."""
    who: dict[str, Any] = {"channel": segment.channel} if channels > 1 else {}
    party = owners[segment.channel]
    if party is not None:
        return {**who, "speaker": party, "party": party}
    if segment.speaker is not None:
        return {**who, "speaker": segment.speaker}
    return {**who, "speaker": f"channel-{segment.channel}"} if channels > 1 else who
