"""One call of Deepgram's prerecorded endpoint, and what each of its failures means.

Belongs here: the client, its address and key, faults. Not here: which recordings are sent, as bytes or by their
address, and what becomes of the answer (``deepgram.py``, ``speech_deepgram.py``).

The SDK's own retries are off: the engine retries, knows the limits, and writes it down. Of an error only status and
code are told. The bytes go out in one piece: of a stream, a second attempt would send nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from vcon_platform.processors.base import PermanentError, ProcessorError, TransientError
from vcon_platform.store.retry_after import seconds_in
from vcon_platform.vcon.pieces import number, objects

if TYPE_CHECKING:
    from deepgram import DeepgramClient
    from deepgram.core.api_error import ApiError


@lru_cache(maxsize=1)
def shared_listening() -> Listening:
    """The clients of this process: connections are kept whichever processor asks."""
    return Listening()


class Listening:
    """Calls with one client per address and key, shared by threads."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, str | None], DeepgramClient] = {}
        self._lock = threading.Lock()

    def listen(
        self,
        source: bytes | str,
        wanted: Mapping[str, Any],
        *,
        key: str,
        base_url: str | None,
        where: str,
        seconds: float,
    ) -> dict[str, Any]:
        """The whole reply. ``source``: the recording's bytes, or the address from which Deepgram is to fetch it.
        ``where`` names the recording in messages; ``seconds``: how long the answer may take. Raises TransientError or
        PermanentError."""
        import httpx
        from deepgram.core.api_error import ApiError
        from deepgram.core.parse_error import ParsingError

        options: Any = {"timeout": seconds, "max_retries": 0, "additional_query_parameters": _listed(wanted)}
        try:
            media = self._client(key, base_url).listen.v1.media.with_raw_response
            reply = (
                media.transcribe_url(url=source, request_options=options)
                if isinstance(source, str)
                else media.transcribe_file(request=source, request_options=options)
            )
        except ApiError as error:
            raise _fault(error, where) from None
        except ParsingError:
            raise TransientError(f"{where}: Deepgram's answer is no transcription") from None
        except httpx.TimeoutException:
            raise TransientError(f"{where}: Deepgram did not answer within {seconds:g} s") from None
        except httpx.HTTPError as error:
            kind = type(error).__name__
            raise TransientError(f"{where}: Deepgram cannot be reached, or the connection broke ({kind})") from None
        body = reply._response.json()  # a private name, but the SDK's own models write times and numbers anew
        results = body.get("results") if isinstance(body, dict) else None
        if not isinstance(results, dict) or not isinstance(results.get("channels"), list):
            raise TransientError(
                f"{where}: Deepgram's answer is no transcription; check DEEPGRAM_BASE_URL if this lasts"
            )
        return dict(body)

    def _client(self, key: str, base_url: str | None) -> DeepgramClient:
        from deepgram import DeepgramClient
        from deepgram.environment import DeepgramClientEnvironment

        with self._lock:
            if (key, base_url) not in self._clients:
                places: dict[str, Any] = {}
                if base_url:
                    base = base_url.rstrip("/")
                    socket = base.replace("http", "ws", 1)
                    places["environment"] = DeepgramClientEnvironment(
                        base=base, production=socket, agent=socket, agent_rest=base
                    )
                self._clients[key, base_url] = DeepgramClient(api_key=key, max_retries=0, **places)
            return self._clients[key, base_url]


def _listed(query: Mapping[str, Any]) -> dict[str, Any]:
    """As a query has it: true and false in small letters, a list as one parameter for each."""
    return {name: _text(value) for name, value in query.items()}


def _text(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_text(item) for item in value]
    return str(value).lower() if isinstance(value, bool) else value


def seconds_used(reply: Mapping[str, Any]) -> float:
    """Seconds of audio that are paid for: each channel's, where they were heard one by one."""
    metadata = reply.get("metadata")
    told = metadata if isinstance(metadata, dict) else {}
    channels = max(1, len(objects(reply["results"]["channels"])))
    return round((number(told.get("duration")) or 0.0) * channels, 3)


def _fault(error: ApiError, where: str) -> ProcessorError:
    status = error.status_code or 0
    code = error.body.get("err_code") if isinstance(error.body, dict) else None
    told = f"{status}{f' {code}' if isinstance(code, str) and re.fullmatch(r'[A-Za-z0-9_ -]{1,60}', code) else ''}"
    if 200 <= status < 300:
        return TransientError(f"{where}: Deepgram's answer is no JSON; a proxy may have answered in its place")
    if status == 401:
        return PermanentError(f"Deepgram refuses the key ({told}); set a valid one in DEEPGRAM_KEY and re-execute")
    if status == 402:
        return PermanentError(f"Deepgram: the account's credit is used up ({told}); top it up and re-execute")
    if status == 403:
        return PermanentError(f"Deepgram does not give this model to this key ({told}); choose another model")
    if status in (408, 409, 425, 429) or status >= 500:
        return TransientError(
            f"{where}: Deepgram cannot answer just now ({told})", retry_after=seconds_in(error.headers or {})
        )
    if code == "REMOTE_CONTENT_ERROR":
        return PermanentError(
            f"{where}: Deepgram cannot fetch it from its address ({told}); check that the address still holds, or set "
            "send to bytes"
        )
    if status == 413:
        return PermanentError(f"{where} is too large for Deepgram ({told})")
    return PermanentError(
        f"{where}: Deepgram refuses it ({told}); check that it is audio, and model, language and further options"
    )
