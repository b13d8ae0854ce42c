"""The processor ``transcribe``: every recording gets a transcript with a time and a confidence for each word.

Belongs here: which dialogs are transcribed, the analyses that are written. Not here: how speech is heard (``speech.py``
and the engines behind it), whose words they are (``speech_voices.py``), the body (``speech_wtf.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vcon_platform.processors.base import Effects, NotApplicable, Processor, ProcessorIO
from vcon_platform.processors.recordings import long_ones, reading, recording_of, recordings
from vcon_platform.processors.speech import SpeechEngine, Transcription
from vcon_platform.processors.speech_engines import LOCAL, engine_for, shareable_url
from vcon_platform.processors.speech_voices import owners
from vcon_platform.processors.speech_wtf import wtf_body
from vcon_platform.processors.transcribe_options import Output, TranscribeOptions
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.turns import has_transcript

_WRITTEN: dict[Output, tuple[str, str]] = {"transcript": ("transcript", "wtf"), "wtf": ("wtf_transcription", "wtf-1.0")}
"""Type and schema of each output."""


class Transcribe(Processor[TranscribeOptions]):
    """Speech to text for recordings."""

    name = "transcribe"
    version = "1.1.0"
    title = "Transcribe"
    description = (
        "Speech to text: adds one analysis of type transcript per recording, with start, end and confidence of every "
        "word. Channels are heard one by one and put down to the dialog's parties. On this machine, or by a service."
    )
    effects = Effects(costs=True, network=True, changes=True, purpose="transcription")
    options = TranscribeOptions

    def __init__(self, engine_for: Callable[[TranscribeOptions], SpeechEngine] = engine_for) -> None:
        self._engine_for = engine_for

    @classmethod
    def waits(cls, options: TranscribeOptions) -> bool:
        """On this machine it computes, and waits for nobody."""
        return options.engine not in LOCAL

    @classmethod
    def pool_of(cls, options: TranscribeOptions) -> str | None:
        """Each service's limit is shared with whatever else calls it."""
        return options.engine if options.engine not in LOCAL else None

    def process(self, io: ProcessorIO, options: TranscribeOptions) -> ProcessorIO:
        """Raises NotApplicable where there is no recording to write a transcript of, and why; PermanentError naming the
        dialog whose recording cannot be read; NotConfigured, and what the engine raises. Nothing is written unless
        every dialog could be heard."""
        wanted = list(recordings(io.vcon, options.dialogs))
        if not wanted:
            raise NotApplicable("no recording to transcribe")
        if not options.overwrite:
            wanted = [(i, dialog) for i, dialog in wanted if not _has_one(io.vcon, i, options)]
            if not wanted:
                raise NotApplicable("every recording has a transcript already")
        wanted = long_ones(io.context.media, wanted, options.minimum_duration)
        engine = self._engine_for(options)
        heard = [(index, dialog, self._hear(io, index, dialog, engine, options)) for index, dialog in wanted]
        sure = [each for each in heard if _sure(each[2]) >= options.minimum_confidence]
        if not sure:
            raise NotApplicable(f"no transcript has a confidence of {options.minimum_confidence:g} or more")
        for index, dialog, found in sure:
            who = owners(found, dialog, options.voices, options.voice_parties)
            body = wtf_body(found, who, engine, created_at=dialog.get("start"), keep_reply=options.keep_reply)
            for output in options.outputs:
                _write(io.vcon, _analysis(output, index, engine, body), options)
        return io

    def _hear(
        self, io: ProcessorIO, index: int, dialog: dict[str, Any], engine: SpeechEngine, options: TranscribeOptions
    ) -> Transcription:
        """The transcription, by the result cache: the same audio is heard once."""
        url = shareable_url(dialog) if options.send == "url" and options.engine == "deepgram" else None
        with reading(index):
            recording = recording_of(io, self, index, dialog, url=url)
            return engine.hear(recording, options.spoken, mix=options.channels == "mix")


def _has_one(vcon: Vcon, index: int, options: TranscribeOptions) -> bool:
    """Whether a recording has a transcript, whoever made it; where only WTF is asked for, one of that type."""
    if options.outputs != ("wtf",):
        return has_transcript(vcon, index)
    kind, _ = _WRITTEN["wtf"]
    return any(
        entry.get("type") == kind and index in (about if isinstance(about := entry.get("dialog"), list) else [about])
        for entry in vcon.analysis
    )


def _sure(heard: Transcription) -> float:
    """How sure the engine is; quite, where it does not say, and of silence."""
    return 1.0 if heard.confidence is None else heard.confidence


def _write(vcon: Vcon, analysis: dict[str, Any], options: TranscribeOptions) -> None:
    """Append the analysis, or put it in the place of the one it succeeds."""
    same = ("type", "dialog", "vendor", "product", "schema")
    for index, old in enumerate(vcon.analysis) if options.overwrite else ():
        if isinstance(old, dict) and all(old.get(member) == analysis[member] for member in same):
            if old != analysis:
                vcon.put("analysis", analysis, index)
            return
    vcon.append("analysis", analysis)


def _analysis(output: Output, index: int, engine: SpeechEngine, body: dict[str, Any]) -> dict[str, Any]:
    kind, schema = _WRITTEN[output]
    return {
        "type": kind,
        "dialog": index,
        "vendor": engine.vendor,
        "product": engine.model,
        "schema": schema,
        "mediatype": "application/json",
        "encoding": "json",
        "body": body,
    }
