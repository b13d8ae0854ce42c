"""What ``transcribe`` can be told, and which options go together.

Belongs here: the options. Not here: what is done with them (``transcribe.py``), which engine needs what
(``speech_engines.py``).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, Field, StrictInt, model_validator

from vcon_platform.processors.hearing_options import HearingOptions
from vcon_platform.processors.references import reference
from vcon_platform.processors.speech_engines import LOCAL, SERVICES, EngineName

Voices = Literal["unknown", "in_order", "answering_first"]
"""Whose voices are, where a service tells them apart on one channel (``speech_voices.py``)."""
Output = Literal["transcript", "wtf"]
"""Analyses that can be written for a recording."""

_PREFIXES = tuple(dict.fromkeys(prefix for service in SERVICES.values() for prefix in service.prefixes))
_Reference = Annotated[str, AfterValidator(reference(*_PREFIXES))]
_MOST_BYTES = 200_000
"""Of ``engine_options`` as JSON: samples of voices may be among them."""


def _outputs(value: tuple[Output, ...]) -> tuple[Output, ...]:
    if not value or len(set(value)) != len(value):
        raise ValueError("must name at least one of transcript and wtf, each once")
    return value


class TranscribeOptions(HearingOptions):
    """What ``transcribe`` can be told."""

    engine: EngineName = Field(
        default="local",
        title="Engine",
        description="What listens. local: Whisper on this machine, without network, key or fee; faster_whisper: the "
        "same with a model of your own; deepgram, openai, groq, hugging_face, vfun: that service.",
    )
    model: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9][A-Za-z0-9._:/-]{0,199})?$",
        title="Model",
        description="The service's name of the model; for faster_whisper the name of a folder in "
        "VCON_WHISPER_MODELS. Empty: the engine's usual one.",
    )
    language: str = Field(
        default="en",
        pattern=r"^(auto|[a-z]{2,3}(-[A-Za-z0-9]{2,8})?)$|^multi$",
        title="Language",
        description="The language that is spoken, as an ISO 639 code (Deepgram takes en-GB and multi too); auto: "
        "whichever it is. The model shipped with the platform knows en.",
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
    channels: Literal["split", "mix"] = Field(
        default="split",
        title="Channels",
        description="Of a recording with two channels. split: each is heard by itself and is one party's, which "
        "services bill twice; mix: both are heard as one. hugging_face and vfun are sent the recording as it is.",
    )
    voices: Voices = Field(
        default="unknown",
        title="Voices",
        description="Whose the voices are that a service tells apart on one channel. unknown: nobody's; in_order: they "
        "begin to speak in the order of the dialog's parties; answering_first: of two, who was called speaks first.",
    )
    voice_parties: dict[str, StrictInt] = Field(
        default_factory=dict,
        title="Parties of voices",
        description="A service's name for a voice to the index of its party, e.g. {agent: 1}; goes before voices.",
    )
    outputs: Annotated[tuple[Output, ...], AfterValidator(_outputs)] = Field(
        default=("transcript",),
        title="Written",
        description="transcript: an analysis of type transcript; wtf: one of type wtf_transcription, as "
        "draft-howe-vcon-wtf-extension has it. Both have the same body.",
    )
    keep_reply: bool = Field(
        default=True,
        title="Keep the reply",
        description="Keep a service's whole answer in the body's member extensions, under the service's name.",
    )
    engine_options: dict[str, Any] = Field(
        default_factory=dict,
        title="Engine's options",
        description="Further parameters of the service's request, as it documents them: keyterm, utterances; prompt, "
        "temperature; return_timestamps; diarize.",
    )
    max_chunk_duration: float | None = Field(
        default=None,
        ge=30,
        le=700,
        title="Longest piece",
        description="openai, groq: seconds of a recording that are sent at once; longer ones are cut where it is "
        "quiet. Unset: 480, or 700 for models that tell voices apart.",
    )
    api_key: _Reference = Field(
        default="",
        title="Key",
        description="The variable that holds the service's key. Empty: env:DEEPGRAM_KEY, env:OPENAI_API_KEY, "
        "env:GROQ_API_KEY, env:HUGGINGFACE_API_KEY, env:VFUN_API_KEY.",
        json_schema_extra={"secret": True},
    )
    base_url: _Reference = Field(
        default="",
        title="Address",
        description="The variable that holds the service's address, never the address itself, for the key goes there. "
        "Empty: env:DEEPGRAM_BASE_URL, env:OPENAI_BASE_URL, env:GROQ_BASE_URL, env:HUGGINGFACE_API_URL, "
        "env:VFUN_SERVER_URL; where that is not set, the service's own.",
    )
    azure_endpoint: _Reference = Field(
        default="",
        title="Azure endpoint",
        description="openai: the variable that holds the endpoint of an Azure OpenAI resource, e.g. "
        "env:AZURE_OPENAI_ENDPOINT; then model is the deployment's name and api_key the resource's.",
    )
    api_version: str = Field(
        default="2025-03-01-preview",
        pattern=r"^[0-9A-Za-z.-]{1,40}$",
        title="API version",
        description="Azure's version of the protocol.",
    )

    @property
    def spoken(self) -> str:
        """The language as the engine takes it: only Deepgram knows regions."""
        return self.language if self.engine == "deepgram" else self.language.partition("-")[0]

    @property
    def longest_piece(self) -> float:
        """Seconds of a piece: names of voices hold for one piece only, so those are as long as they may be."""
        return self.max_chunk_duration or (700.0 if "diarize" in self.model else 480.0)

    @model_validator(mode="after")
    def _go_together(self) -> Self:
        if self.language == "multi" and self.engine != "deepgram":
            raise ValueError("language: multi is for the engine deepgram; set auto")
        if self.engine in LOCAL:
            if self.engine_options:
                raise ValueError(f"engine_options: the engine {self.engine} has none")
            if self.engine == "local" and self.model:
                raise ValueError("model: the engine local has one only; to name another, set engine to faster_whisper")
            if self.engine == "faster_whisper" and (set("/:") & set(self.model) or ".." in self.model):
                raise ValueError("model: must be the plain name of a folder in VCON_WHISPER_MODELS")
            return self
        service = SERVICES[self.engine]
        if taken := sorted(self.engine_options.keys() & set(service.reserved)):
            raise ValueError(
                f"engine_options: may not hold {taken[0]!r}: it has an option of its own, or leads elsewhere"
            )
        if len(orjson.dumps(self.engine_options)) > _MOST_BYTES:
            raise ValueError(f"engine_options: are larger than {_MOST_BYTES:,} bytes")
        if ".." in self.model:
            raise ValueError("model: may not hold '..'")
        for name in ("api_key", "base_url", "azure_endpoint"):
            try:
                reference(*service.prefixes)(getattr(self, name))
            except ValueError as error:
                raise ValueError(f"{name}: {error} with engine {self.engine}") from None
        if self.azure_endpoint and self.engine != "openai":
            raise ValueError("azure_endpoint: is for the engine openai")
        return self
