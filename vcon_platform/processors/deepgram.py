"""The processor ``deepgram``: has recordings transcribed by Deepgram.

Belongs here: which recordings are sent with which options, the analysis that is written. Not here: the call
(``deepgram_calls.py``), how its reply is read as turns (``vcon/transcripts.py``).

The reply is kept whole, as py_vcon_server keeps it: its readers know it, and what was paid for is not thrown away.
Deepgram's speaker numbers count voices and are taken for no party's index (``vcon/turns.py``).
"""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from vcon_platform.processors.base import Effects, NotApplicable, Processor, ProcessorIO, Usage
from vcon_platform.processors.deepgram_calls import seconds_used, shared_listening
from vcon_platform.processors.dialog_choice import InputDialogs, chosen
from vcon_platform.processors.hearing_options import HearingOptions
from vcon_platform.processors.recordings import long_ones, reading, recording_of, recordings
from vcon_platform.processors.references import needed, reference, value_of
from vcon_platform.processors.speech import AUTO, within
from vcon_platform.processors.speech_engines import shareable_url
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.pieces import confidence, objects

Scalar = str | bool | int | float
_REFUSED = ("callback", "callback_method", "tag")
_OWN = ("model", "language", "punctuate", "smart_format", "diarize", "multichannel")


def _additional(value: dict[str, Any]) -> dict[str, Any]:
    for name in value:
        if name in _REFUSED:
            raise ValueError(f"{name}: is not allowed: the reply must come back here")
        if name in _OWN:
            raise ValueError(f"{name}: has an option of its own")
    return value


class DeepgramOptions(HearingOptions):
    """What ``deepgram`` can be told."""

    language: str = Field(
        default="en",
        pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*$",
        title="Language",
        description="What is spoken, e.g. en, en-GB, de, multi; auto: Deepgram finds it out.",
    )
    input_dialogs: InputDialogs = Field(
        default="0:",
        title="Dialogs",
        description="Which dialogs are heard: '0:' all, 'n' one, 'n:m' or 'n:m:i' a slice, or a list of indexes.",
    )
    model: str = Field(
        default="nova-3", min_length=1, max_length=100, title="Model", description="Deepgram's name of the model."
    )
    punctuate: bool = Field(default=True, title="Punctuate", description="Punctuation and capitals.")
    smart_format: bool = Field(
        default=True, title="Smart format", description="Dates, numbers and the like as one writes them; paragraphs."
    )
    diarize: bool = Field(default=True, title="Diarize", description="Tell voices on one channel apart.")
    multichannel: bool = Field(
        default=False, title="Channels", description="True: each channel is heard by itself, and is one party's."
    )
    additional: Annotated[dict[str, Scalar | tuple[Scalar, ...]], AfterValidator(_additional)] = Field(
        default_factory=dict,
        title="Additional options",
        description="Further query parameters of Deepgram's /v1/listen, e.g. keyterm, numerals, utterances.",
    )
    api_key: Annotated[str, AfterValidator(reference("DEEPGRAM_"))] = Field(
        default="env:DEEPGRAM_KEY",
        title="Key",
        description="The variable that holds the key.",
        json_schema_extra={"secret": True},
    )
    base_url: Annotated[str, AfterValidator(reference("DEEPGRAM_"))] = Field(
        default="env:DEEPGRAM_BASE_URL",
        title="Address",
        description="The variable that holds the address of a Deepgram of your own; not set: Deepgram's. Never the "
        "address itself, for the key goes there.",
    )

    @property
    def wanted(self) -> dict[str, Any]:
        """The query parameters of a request."""
        language = {"detect_language": True} if self.language == AUTO else {"language": self.language}
        switches = {name: getattr(self, name) for name in _OWN[2:]}
        return {"model": self.model, **language, **switches, **self.additional}


class Deepgram(Processor[DeepgramOptions]):
    """Speech to text by Deepgram."""

    name = "deepgram"
    version = "1.1.0"
    title = "Transcribe with Deepgram"
    description = (
        "Speech to text by Deepgram: adds its whole reply as one analysis of type transcript per recording. A "
        "recording that has one already is passed over."
    )
    effects = Effects(costs=True, network=True, changes=True, purpose="transcription")
    options = DeepgramOptions
    pool = "deepgram"

    def process(self, io: ProcessorIO, options: DeepgramOptions) -> ProcessorIO:
        """Raises NotApplicable where there is no recording to write a reply of, and why; NotConfigured without a key;
        and what the call raises. Nothing is written unless every recording could be heard."""
        wanted = list(recordings(io.vcon, chosen(options.input_dialogs, len(io.vcon.dialog))))
        if not wanted:
            raise NotApplicable("no recording to transcribe")
        wanted = [(index, dialog) for index, dialog in wanted if not _has_one(io.vcon, index)]
        if not wanted:
            raise NotApplicable("every recording has Deepgram's transcript already")
        wanted = long_ones(io.context.media, wanted, options.minimum_duration)
        key = needed(options.api_key, "Deepgram", "api_key")
        replies = [(index, self._hear(io, index, dialog, options, key)) for index, dialog in wanted]
        replies = [(index, reply) for index, reply in replies if _sure(reply) >= options.minimum_confidence]
        if not replies:
            raise NotApplicable(f"no transcript has a confidence of {options.minimum_confidence:g} or more")
        for index, reply in replies:
            io.vcon.append("analysis", _analysis(index, reply))
        return io

    def _hear(
        self, io: ProcessorIO, index: int, dialog: dict[str, Any], options: DeepgramOptions, key: str
    ) -> dict[str, Any]:
        base_url = value_of(options.base_url)
        url = shareable_url(dialog) if options.send == "url" else None
        with reading(index):
            recording = recording_of(io, self, index, dialog, url=url)

            def call() -> tuple[Any, Usage]:
                reply = shared_listening().listen(
                    recording.url or recording.read(),
                    options.wanted,
                    key=key,
                    base_url=base_url,
                    where=recording.where,
                    seconds=within(options.answer_within, recording.seconds()),
                )
                return reply, Usage("deepgram", options.model, seconds=seconds_used(reply))

            query = json.dumps(options.wanted, sort_keys=True)
            reply: dict[str, Any] = recording.buy((query, base_url or ""), call)
        return reply


def _sure(reply: dict[str, Any]) -> float:
    """How sure Deepgram is of the channel that it is least sure of; quite, where it does not say, and of silence."""
    best = [next(iter(objects(channel.get("alternatives"))), {}) for channel in objects(reply["results"]["channels"])]
    told = [confidence(each.get("confidence")) for each in best if each.get("transcript")]
    return min((each for each in told if each is not None), default=1.0)


def _has_one(vcon: Vcon, dialog: int) -> bool:
    for analysis in vcon.analysis:
        about = analysis.get("dialog")
        covered = about if isinstance(about, list) else [about]
        vendor = analysis.get("vendor")
        if (
            analysis.get("type") == "transcript"
            and isinstance(vendor, str)
            and vendor.lower() == "deepgram"
            and dialog in covered
        ):
            return True
    return False


def _analysis(dialog: int, reply: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "transcript",
        "dialog": dialog,
        "vendor": "deepgram",
        "product": "transcription",
        "schema": "deepgram_prerecorded",
        "mediatype": "application/json",
        "encoding": "json",
        "body": reply,
    }
