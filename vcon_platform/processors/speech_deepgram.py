"""The engine ``deepgram`` of ``transcribe``: Deepgram's reply as segments.

Belongs here: what is asked of Deepgram for ``transcribe``. Not here: the call (``deepgram_calls.py``), the processor
``deepgram``, which keeps the reply as it is (``deepgram.py``).

A recording whose channels differ is sent with ``multichannel``: then each voice is a channel's and so a party's. On
one channel voices are told apart by ``diarize``. Options of the definition go before both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from vcon_platform.processors.audio import AudioError, survey
from vcon_platform.processors.base import Usage
from vcon_platform.processors.deepgram_calls import seconds_used, shared_listening
from vcon_platform.processors.speech import AUTO, Recording, Transcription, in_time_order, now, within
from vcon_platform.processors.speech_replies import segments_in
from vcon_platform.vcon.pieces import number, objects


class DeepgramEngine:
    """A :class:`~vcon_platform.processors.speech.SpeechEngine`. ``options``: query parameters of ``/v1/listen``."""

    name = vendor = "deepgram"
    version = ""

    def __init__(
        self, model: str, options: Mapping[str, Any], *, key: str, base_url: str | None, seconds: float
    ) -> None:
        self.model = model
        self._options = dict(options)
        self._key = key
        self._base_url = base_url
        self._seconds = seconds

    def hear(self, recording: Recording, language: str, *, mix: bool = False) -> Transcription:
        query: dict[str, Any] = {"model": self.model, "punctuate": True, "smart_format": True}
        query |= {"detect_language": True} if language == AUTO else {"language": language}

        def call() -> tuple[Any, Usage]:
            source: bytes | str = recording.url or recording.read()
            two = not mix and isinstance(source, bytes) and _channels(source) > 1
            reply = shared_listening().listen(
                source,
                {**query, "diarize": not two, "multichannel": two, **self._options},
                key=self._key,
                base_url=self._base_url,
                where=recording.where,
                seconds=within(self._seconds, recording.seconds()),
            )
            return {"reply": reply, "processed_at": now()}, Usage("deepgram", self.model, seconds=seconds_used(reply))

        asked = orjson.dumps({**query, **self._options}, option=orjson.OPT_SORT_KEYS).decode()
        by = "bytes" if recording.url is None else hashlib.sha256(recording.url.encode()).hexdigest()
        kept = recording.buy((self.name, asked, "mixed" if mix else "channels", by, self._base_url or ""), call)
        return _read(kept["reply"], language, kept["processed_at"])


def _channels(audio: bytes) -> int:
    """Channels that differ; 1 where we cannot read what Deepgram perhaps can."""
    try:
        return survey(audio).channels
    except AudioError:
        return 1


def _read(reply: dict[str, Any], language: str, processed_at: str) -> Transcription:
    channels = objects(reply["results"]["channels"])
    metadata = reply.get("metadata")
    detected = next((found for each in channels if isinstance(found := each.get("detected_language"), str)), None)
    return Transcription(
        language=detected or ("" if language == AUTO else language),
        duration=number(metadata.get("duration") if isinstance(metadata, dict) else None) or 0.0,
        channels=max(1, len(channels)),
        segments=in_time_order(segments_in(reply)),
        reply=reply,
        processed_at=processed_at,
    )
