"""One call of an audio endpoint that speaks OpenAI's protocol, and what each of its failures means.

Belongs here: the request as the SDK sends it, faults. Not here: what is sent (``speech_openai.py``), the client
(``openai_calls.py``). The SDK's own retries are off: the engine retries, knows the limits, and writes it down.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson

from vcon_platform.processors.base import PermanentError, TransientError
from vcon_platform.processors.openai_calls import ChatService, shared_calls
from vcon_platform.processors.speech_faults import no_transcription, refusal

_OURS = (
    "model", "language", "response_format", "timestamp_granularities", "include", "chunking_strategy", "prompt",
    "temperature", "known_speaker_names", "known_speaker_references",
)  # fmt: skip
"""Members that the SDK knows; others are sent as they are."""


def transcription_of(
    audio: bytes,
    name: str,
    request: Mapping[str, Any],
    service: ChatService,
    *,
    where: str,
    seconds: float,
) -> dict[str, Any]:
    """The answer on this file, as it came: an object with ``text``. ``name`` tells its kind; ``where`` names the
    recording in messages; ``seconds``: how long the answer may take. Raises TransientError or PermanentError."""
    import openai

    known = {key: value for key, value in request.items() if key in _OURS}
    other = {key: value for key, value in request.items() if key not in _OURS}
    try:
        # as text: the SDK would take any JSON for a transcription, and write numbers anew
        create: Callable[..., Any] = shared_calls().client(service).audio.transcriptions.with_raw_response.create
        text = create(file=(name, audio), **known, extra_body=other or None, timeout=seconds).text
    except openai.APITimeoutError:
        raise TransientError(f"{where}: {service.name} did not answer within {seconds:g} s") from None
    except openai.APIStatusError as error:
        raise refusal(
            service.name,
            error.status_code,
            where=where,
            key_from=service.key_from,
            model=str(request["model"]),
            code=error.code,
            headers=error.response.headers,
        ) from None
    except openai.APIConnectionError as error:
        kind = type(error.__cause__ or error).__name__
        raise TransientError(f"{where}: {service.name} cannot be reached, or the connection broke ({kind})") from None
    except openai.OpenAIError as error:
        raise PermanentError(f"{service.name} cannot be asked ({type(error).__name__})") from None
    try:
        reply = orjson.loads(text() if callable(text) else text)
    except orjson.JSONDecodeError:
        reply = None
    if not isinstance(reply, dict) or not isinstance(reply.get("text"), str):
        raise no_transcription(service.name, where, "the service's address")
    return reply
