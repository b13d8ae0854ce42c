"""The engines ``openai`` and ``groq`` of ``transcribe``: services that speak OpenAI's audio protocol.

Belongs here: which pieces are sent, which kind of answer each model gives, answers as segments. Not here: the call
(``speech_openai_calls.py``), where a recording is cut (``audio_pieces.py``).

- These services take one file of 25 MB and no more than some minutes, and know nothing of channels. So a recording is
  cut where it is quiet, each channel by itself; pieces do not overlap, and each one's times are moved to its place. A
  short recording with one channel goes out as it is.
- Each piece is bought by itself: where the seventh fails, the first six are not paid for again.
- Only Whisper models give times of words; the newer ones give the text alone, and a piece is then one segment. The
  model that tells voices apart names them anew in each piece, so their names carry the piece's number.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from vcon_platform.processors.audio import Sound, survey
from vcon_platform.processors.audio_pieces import flac, pieces
from vcon_platform.processors.base import Usage
from vcon_platform.processors.openai_calls import ChatService
from vcon_platform.processors.speech import AUTO, Recording, Segment, Transcription, in_time_order, now, within
from vcon_platform.processors.speech_openai_calls import transcription_of
from vcon_platform.processors.speech_replies import segments_in
from vcon_platform.vcon.media import sniff
from vcon_platform.vcon.pieces import number, objects

SUFFIXES = {
    "audio/mpeg": "mp3",
    "audio/x-wav": "wav",
    "audio/ogg": "ogg",
    "audio/flac": "flac",
    "audio/mp4": "m4a",
    "audio/webm": "webm",
}
"""Kinds of file that are taken, by what they must be called."""

MOST_BYTES = 25_000_000
"""Of one file."""

SEARCH_SECONDS = 30.0
"""How much of a piece's end is searched for the quietest place to cut."""


@dataclass(frozen=True, slots=True)
class _Part:
    """What is sent at once. ``start`` and ``end``: seconds in the recording."""

    number: int
    channel: int
    start: float
    end: float
    name: str
    data: bytes


class OpenAIEngine:
    """A :class:`~vcon_platform.processors.speech.SpeechEngine`. ``options``: further parameters of the request;
    ``longest``: seconds of a piece;
    ``seconds``: how long an answer may take."""

    version = ""

    def __init__(
        self, name: str, model: str, options: Mapping[str, Any], service: ChatService, *, longest: float, seconds: float
    ) -> None:
        self.name = self.vendor = name
        self.model = model
        self._options = dict(options)
        self._service = service
        self._longest = longest
        self._seconds = seconds

    def hear(self, recording: Recording, language: str, *, mix: bool = False) -> Transcription:
        request = {**self._asked(), **({} if language == AUTO else {"language": language}), **self._options}
        asked = orjson.dumps(request, option=orjson.OPT_SORT_KEYS).decode()
        identity = self.name, asked, self._service.identity, f"{self._longest:g}", "mixed" if mix else "channels"
        kept = recording.keep(identity, lambda: self._heard(recording, request, identity, mix).to_json())
        return Transcription.from_json(kept)

    def _asked(self) -> dict[str, Any]:
        """What the model can be asked for, by its name."""
        if "diarize" in self.model:
            return {"model": self.model, "response_format": "diarized_json", "chunking_strategy": "auto"}
        if self.model.startswith("gpt-"):
            sure = {"include": ["logprobs"]} if self._service.azure_endpoint is None else {}
            return {"model": self.model, "response_format": "json", **sure}
        return {
            "model": self.model,
            "response_format": "verbose_json",
            "timestamp_granularities": ["word", "segment"],
        }

    def _heard(
        self, recording: Recording, request: dict[str, Any], identity: tuple[str, ...], mix: bool
    ) -> Transcription:
        data = recording.read()
        sound = survey(data)
        replies: list[tuple[_Part, dict[str, Any]]] = []
        segments: list[Segment] = []
        for part in self._parts(data, sound, mix):
            reply = recording.buy(
                (*identity, str(part.channel), f"{part.start:g}-{part.end:g}"),
                lambda part=part: self._bought(recording, request, part),  # type: ignore[misc]
            )
            replies.append((replace(part, data=b""), reply))  # its bytes are not needed again
        for part, reply in replies:
            segments += _segments(reply, part, None if len(replies) == 1 else part.number)
        told = (str(reply["language"]) for _, reply in replies if isinstance(reply.get("language"), str))
        return Transcription(
            language=request.get("language") or _code(next(told, "")),
            duration=round(sound.duration, 3),
            channels=1 if mix else sound.channels,
            segments=in_time_order(segments),
            reply=_joined(replies),
            processed_at=now(),
        )

    def _parts(self, data: bytes, sound: Sound, mix: bool) -> Iterator[_Part]:
        """What is sent, one after the other: made only when it is asked for, so that one is in memory at a time."""
        suffix = SUFFIXES.get(sniff(data[:16]) or "")
        one = mix or sound.channels == 1
        if suffix and one and sound.duration <= self._longest and len(data) <= MOST_BYTES:
            yield _Part(0, 0, 0.0, sound.duration, f"recording.{suffix}", data)
            return
        for place, piece in enumerate(pieces(data, sound, longest=self._longest, search=SEARCH_SECONDS, mix=mix)):
            if not piece.silent:
                yield _Part(place, piece.channel, piece.start, piece.end, "recording.flac", flac(piece.samples))

    def _bought(self, recording: Recording, request: dict[str, Any], part: _Part) -> tuple[Any, Usage]:
        reply = transcription_of(
            part.data,
            part.name,
            request,
            self._service,
            where=recording.where,
            seconds=within(self._seconds, recording.seconds()),
        )
        told = reply.get("usage")
        used = told if isinstance(told, dict) else {}
        return reply, Usage(
            self._service.usage_name,
            self.model,
            seconds=round(part.end - part.start, 3),
            input_tokens=int(number(used.get("input_tokens")) or 0),
            output_tokens=int(number(used.get("output_tokens")) or 0),
        )


def _segments(reply: dict[str, Any], part: _Part, named: int | None) -> list[Segment]:
    text = str(reply["text"]).strip()
    listed = [_with_confidence(segment) for segment in objects(reply.get("segments"))]
    found = segments_in({**reply, "segments": listed}, channel=part.channel, offset=part.start, part=named)
    if listed and any(segment.start is not None for segment in found):
        return found
    if not text:
        return []
    tokens = [_logarithm(token.get("logprob")) for token in objects(reply.get("logprobs"))]
    sure = [math.exp(each) for each in tokens if each is not None]
    confidence = sum(sure) / len(sure) if sure else None
    return [Segment(part.channel, text, start=part.start, end=part.end, confidence=confidence)]


def _with_confidence(segment: dict[str, Any]) -> dict[str, Any]:
    """Whisper says how sure it is as the mean logarithm of its tokens' probabilities."""
    mean = _logarithm(segment.get("avg_logprob"))
    return segment if mean is None else {**segment, "confidence": math.exp(mean)}


def _logarithm(value: Any) -> float | None:
    """The logarithm of a probability, if it is one."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0 else None


def _joined(replies: list[tuple[_Part, dict[str, Any]]]) -> Any:
    """The answer, or all of them with what each is about."""
    if len(replies) == 1 and replies[0][0].start == 0 and replies[0][0].channel == 0:
        return replies[0][1]
    return {
        "parts": [
            {"channel": part.channel, "start": part.start, "end": part.end, "reply": reply} for part, reply in replies
        ]
    }


_NAMED = {
    "english": "en", "german": "de", "french": "fr", "spanish": "es", "italian": "it", "portuguese": "pt",
    "dutch": "nl", "polish": "pl", "russian": "ru", "ukrainian": "uk", "turkish": "tr", "arabic": "ar",
    "hindi": "hi", "japanese": "ja", "korean": "ko", "chinese": "zh", "swedish": "sv", "danish": "da",
    "norwegian": "no", "finnish": "fi", "czech": "cs", "hungarian": "hu", "romanian": "ro", "greek": "el",
    "hebrew": "he", "vietnamese": "vi", "indonesian": "id", "thai": "th",
}  # fmt: skip
"""Whisper's names of the languages that are met most, as codes."""


def _code(language: str) -> str:
    """The code of a language; a name that is not known here stays."""
    return _NAMED.get(language.lower(), language.lower())
