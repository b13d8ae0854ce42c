"""The options that processors have in common which hear recordings by a service.

Belongs here: the options. Not here: what each processor has of its own (``transcribe_options.py``, ``deepgram.py``),
passing over what is too short (``recordings.py``).
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from vcon_platform.processors.base import ProcessorOptions


class HearingOptions(ProcessorOptions):
    """Subclass it."""

    minimum_duration: float = Field(
        default=0.0,
        ge=0,
        title="Least length",
        description="Seconds that a recording must last; shorter ones are passed over.",
    )
    minimum_confidence: float = Field(
        default=0.0,
        ge=0,
        le=1,
        title="Least confidence",
        description="From 0 to 1: a transcript of which the engine is less sure on the whole is not written. Engines "
        "that do not say how sure they are always pass.",
    )
    send: Literal["bytes", "url"] = Field(
        default="bytes",
        title="Send",
        description="What Deepgram is given: bytes, or the address of a recording that is kept outside, if its host is "
        "one of VCON_SPEECH_URL_HOSTS; else the bytes.",
    )
    answer_within: float = Field(
        default=300.0,
        gt=0,
        le=3600,
        title="Answer within",
        description="Seconds that a service may take for one request; then it is tried again later.",
    )
