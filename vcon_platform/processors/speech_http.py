"""The engines ``hugging_face`` and ``vfun`` of ``transcribe``: services that take a recording in one HTTP request.

Belongs here: the two requests, their faults, their answers as segments. Not here: the engines with an SDK
(``speech_deepgram.py``, ``speech_openai.py``).

- Hugging Face takes the bytes as they are, or, where parameters are given, as base64 within JSON.
- vfun takes a form and answers in WTF (draft-howe-vcon-wtf-extension), as the conserver's wtf_transcribe has it.
- Both are asked for the whole recording at once. Redirects are not followed: the key would go along.
"""

from __future__ import annotations

import base64
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson

from vcon_platform.processors.audio import AudioError, survey
from vcon_platform.processors.base import TransientError, Usage
from vcon_platform.processors.speech import AUTO, Recording, Segment, Transcription, in_time_order, now, within
from vcon_platform.processors.speech_faults import no_transcription, refusal
from vcon_platform.processors.speech_openai import SUFFIXES
from vcon_platform.processors.speech_replies import segments_in
from vcon_platform.vcon.media import sniff
from vcon_platform.vcon.pieces import number, objects


class _Posted(ABC):
    """A service that is asked by one POST."""

    version = ""
    title: ClassVar[str]

    def __init__(
        self,
        name: str,
        model: str,
        options: Mapping[str, Any],
        *,
        key: str | None,
        key_from: str,
        address: str,
        address_from: str,
        seconds: float,
    ) -> None:
        self.name = self.vendor = name
        self.model = model
        self._options = dict(options)
        self._key = key
        self._key_from = key_from
        self._address = address
        self._address_from = address_from
        self._seconds = seconds

    def hear(self, recording: Recording, language: str, *, mix: bool = False) -> Transcription:  # noqa: ARG002
        def call() -> tuple[Any, Usage]:
            audio = recording.read()
            try:
                duration = survey(audio).duration
            except AudioError:  # the service perhaps can
                duration = 0.0
            reply = self._ask(self._request(audio, language), recording)
            kept = {"reply": reply, "duration": duration, "processed_at": now()}
            return kept, Usage(self.name, self.model, seconds=round(duration, 3))

        asked = orjson.dumps([self.model, language, self._options], option=orjson.OPT_SORT_KEYS).decode()
        kept = recording.buy((self.name, asked, self._address), call)
        segments, told = self._read(kept["reply"], kept["duration"])
        return Transcription(
            language="" if language == AUTO and not told else told or language,
            duration=round(kept["duration"], 3),
            channels=1 + max((segment.channel for segment in segments), default=0),
            segments=in_time_order(segments),
            reply=kept["reply"],
            processed_at=kept["processed_at"],
        )

    @abstractmethod
    def _request(self, audio: bytes, language: str) -> dict[str, Any]:
        """What ``httpx.post`` is given."""

    @abstractmethod
    def _read(self, reply: dict[str, Any], duration: float) -> tuple[list[Segment], str]:
        """The segments of an answer, and the language that it names or ""."""

    @abstractmethod
    def _is_one(self, reply: Any) -> bool:
        """Whether an answer is a transcription."""

    def _ask(self, request: dict[str, Any], recording: Recording) -> dict[str, Any]:
        import httpx

        timeout = within(self._seconds, recording.seconds())
        headers = {**request.pop("headers", {}), **({"Authorization": f"Bearer {self._key}"} if self._key else {})}
        try:
            answer = httpx.post(self._address, headers=headers, timeout=timeout, follow_redirects=False, **request)
        except httpx.TimeoutException:
            raise TransientError(f"{recording.where}: {self.title} did not answer within {timeout:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(
                f"{recording.where}: {self.title} cannot be reached, or the connection broke "
                f"({type(error).__name__}); check {self._address_from} if this lasts"
            ) from None
        try:
            reply = orjson.loads(answer.content)
            reply = orjson.loads(reply) if isinstance(reply, str) else reply  # vfun may encode twice
        except orjson.JSONDecodeError:
            reply = None
        if not answer.is_success:
            told = reply if isinstance(reply, dict) else {}
            raise refusal(
                self.title,
                answer.status_code,
                where=recording.where,
                key_from=self._key_from,
                model=self.model,
                headers=answer.headers,
                retry_after=number(told.get("estimated_time")),  # Hugging Face, while it loads the model
            )
        if not self._is_one(reply):
            raise no_transcription(self.title, recording.where, self._address_from)
        return dict(reply)


class HuggingFaceEngine(_Posted):
    """A :class:`~vcon_platform.processors.speech.SpeechEngine`. ``options``: parameters of the task automatic speech
    recognition, ``return_timestamps`` among them. Bytes cannot say their language: the model finds it out, unless
    ``generation_parameters`` name it."""

    title = "Hugging Face"

    def _request(self, audio: bytes, language: str) -> dict[str, Any]:  # noqa: ARG002
        if not self._options:
            kind = sniff(audio[:16]) or "application/octet-stream"
            return {"content": audio, "headers": {"Content-Type": {"audio/x-wav": "audio/wav"}.get(kind, kind)}}
        return {"json": {"inputs": base64.b64encode(audio).decode(), "parameters": self._options}}

    def _is_one(self, reply: Any) -> bool:
        return isinstance(reply, dict) and isinstance(reply.get("text"), str)

    def _read(self, reply: dict[str, Any], duration: float) -> tuple[list[Segment], str]:
        chunks = [_timed(chunk) for chunk in objects(reply.get("chunks"))]
        if self._options.get("return_timestamps") == "word" and chunks:
            return segments_in({"text": reply["text"], "words": chunks}), ""
        if chunks:
            return segments_in({"segments": chunks}), ""
        text = reply["text"].strip()
        return ([Segment(0, text, start=0.0, end=duration or None)] if text else []), ""


def _timed(chunk: dict[str, Any]) -> dict[str, Any]:
    """A chunk with its times by name; the last one's end may be open."""
    times = chunk.get("timestamp")
    start, end = times if isinstance(times, list) and len(times) == 2 else (None, None)
    return {"text": chunk.get("text"), "start": start, "end": start if end is None else end}


class VfunEngine(_Posted):
    """A :class:`~vcon_platform.processors.speech.SpeechEngine`. ``options``: further fields of the form; ``diarize``
    is one."""

    title = "vfun"

    def _request(self, audio: bytes, language: str) -> dict[str, Any]:
        suffix = SUFFIXES.get(sniff(audio[:16]) or "", "wav")
        form = {"diarize": False, **self._options, **({} if language == AUTO else {"language": language})}
        fields = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in form.items()}
        # never the dialog's own file name: it may be somebody's
        return {"files": {"file-binary": (f"recording.{suffix}", audio)}, "data": fields}

    def _is_one(self, reply: Any) -> bool:
        return isinstance(reply, dict) and isinstance(reply.get("transcript"), dict)

    def _read(self, reply: dict[str, Any], duration: float) -> tuple[list[Segment], str]:  # noqa: ARG002
        told = reply["transcript"].get("language")
        return segments_in(reply), told if isinstance(told, str) else ""
