"""The processor ``whisper_base``: Whisper on this machine, with the analyses that py_vcon_server writes.

Belongs here: the analyses under their names there. Not here: how speech is heard (``speech_local.py``); what a pipeline
of ours would rather use (``transcribe.py``: words put down to parties, one shape whichever engine).

There the name stands for Whisper's model "base". Here it is the model of this installation, which is the smaller
tiny.en unless a setting names another (``speech_settings.py``); the analyses' product and schema are what readers go
by, so they stay as they are there, and ``model`` says which it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from vcon_platform.processors.base import Effects, NotApplicable, Processor, ProcessorIO, ProcessorOptions
from vcon_platform.processors.dialog_choice import InputDialogs, chosen
from vcon_platform.processors.recordings import reading, recording_of, recordings
from vcon_platform.processors.speech import SpeechEngine, Transcription
from vcon_platform.processors.speech_captions import spaced, word_ass, word_srt
from vcon_platform.processors.speech_voices import owners
from vcon_platform.vcon.document import Vcon

OutputType = Literal["vendor", "word_srt", "word_ass"]

_SCHEMAS: dict[OutputType, str] = {
    "vendor": "whisper_word_timestamps",
    "word_srt": "whisper_word_srt",
    "word_ass": "whisper_word_ass",
}
_MEDIATYPES: dict[OutputType, str] = {
    "vendor": "application/json",
    "word_srt": "application/x-subrip",
    "word_ass": "text/x-ssa",
}


def _each_once(value: tuple[OutputType, ...]) -> tuple[OutputType, ...]:
    return tuple(dict.fromkeys(value))


class WhisperBaseOptions(ProcessorOptions):
    """What ``whisper_base`` can be told."""

    language: str = Field(
        default="en",
        pattern="^(auto|[a-z]{2,3})$",
        title="Language",
        description="The language that is spoken, as an ISO 639 code; auto: whichever it is. The model shipped with "
        "the platform knows en.",
    )
    input_dialogs: InputDialogs = Field(
        default="0:",
        title="Dialogs",
        description="Which dialogs are heard: '0:' all, 'n' one, 'n:m' or 'n:m:i' a slice, or a list of indexes.",
    )
    output_types: Annotated[tuple[OutputType, ...], AfterValidator(_each_once)] = Field(
        default=("vendor", "word_srt", "word_ass"),
        title="Written",
        description="Analyses that are written for a recording: vendor: segments and words with their times, as JSON; "
        "word_srt and word_ass: captions word by word.",
    )
    model: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]{0,99})?$",
        title="Model",
        description="Name of a folder in VCON_WHISPER_MODELS, e.g. base. Empty: the installation's usual model.",
    )


def _engine_for(model: str) -> SpeechEngine:
    from vcon_platform.processors.speech_local import local_engine, model_engine

    return model_engine(model) if model else local_engine()


class WhisperBase(Processor[WhisperBaseOptions]):
    """Whisper's analyses as py_vcon_server knows them."""

    name = "whisper_base"
    version = "1.0.0"
    title = "Transcribe with Whisper"
    description = (
        "Speech to text by Whisper on this machine: adds up to three analyses of type transcript per recording, as "
        "py_vcon_server does: words with times, and captions in SRT and ASS. Those that are there already are passed "
        "over."
    )
    effects = Effects(costs=True, changes=True, purpose="transcription")
    options = WhisperBaseOptions

    def __init__(self, engine_for: Callable[[str], SpeechEngine] = _engine_for) -> None:
        self._engine_for = engine_for

    def process(self, io: ProcessorIO, options: WhisperBaseOptions) -> ProcessorIO:
        """Raises NotApplicable where there is no recording, or each has all of it; PermanentError naming the dialog
        whose recording cannot be read. Nothing is written unless every recording could be heard."""
        if not options.output_types:
            raise NotApplicable("output_types names nothing to write")
        found = list(recordings(io.vcon, chosen(options.input_dialogs, len(io.vcon.dialog))))
        if not found:
            raise NotApplicable("no recording to transcribe")
        missing = [
            (index, dialog, absent)
            for index, dialog in found
            if (absent := [each for each in options.output_types if not _has_one(io.vcon, index, _SCHEMAS[each])])
        ]
        if not missing:
            raise NotApplicable("every recording has Whisper's transcript already")
        engine = self._engine_for(options.model)
        heard = [
            (index, dialog, absent, self._hear(io, index, dialog, engine, options.language))
            for index, dialog, absent in missing
        ]
        for index, dialog, absent, what in heard:
            for each in absent:
                io.vcon.append("analysis", _analysis(each, index, dialog, what, engine))
        return io

    def _hear(
        self, io: ProcessorIO, index: int, dialog: dict[str, Any], engine: SpeechEngine, language: str
    ) -> Transcription:
        with reading(index):
            return engine.hear(recording_of(io, self, index, dialog), language)


def _has_one(vcon: Vcon, dialog: int, schema: str) -> bool:
    return any(
        isinstance(entry, dict)
        and (entry.get("vendor"), entry.get("product"), entry.get("schema")) == ("openai", "whisper", schema)
        and dialog in (about if isinstance(about := entry.get("dialog"), list) else [about])
        for entry in vcon.analysis
    )


def _analysis(
    output: OutputType, index: int, dialog: dict[str, Any], heard: Transcription, engine: SpeechEngine
) -> dict[str, Any]:
    bodies: dict[OutputType, Callable[[], Any]] = {
        "vendor": lambda: whisper_body(heard, dialog),
        "word_srt": lambda: word_srt(heard),
        "word_ass": lambda: word_ass(heard),
    }
    return {
        "type": "transcript",
        "dialog": index,
        "vendor": "openai",
        "product": "whisper",
        "schema": _SCHEMAS[output],
        "mediatype": _MEDIATYPES[output],
        "encoding": "json" if output == "vendor" else "none",
        "model": engine.model,
        "body": bodies[output](),
    }


def whisper_body(heard: Transcription, dialog: dict[str, Any]) -> dict[str, Any]:
    """The transcription as Whisper's JSON, in time order over all channels; a segment says whose it is, if that is
    known."""
    who = owners(heard, dialog, "unknown", {})
    segments = [
        {
            "id": number,
            "start": segment.start,
            "end": segment.end,
            "text": f" {segment.text}",
            "words": [
                {"word": text, "start": word.start, "end": word.end, "probability": word.confidence}
                for word, text in spaced(segment)
            ],
            **members,
        }
        for number, (segment, members) in enumerate(zip(heard.segments, who, strict=True))
    ]
    return {"text": "".join(str(each["text"]) for each in segments), "segments": segments, "language": heard.language}
