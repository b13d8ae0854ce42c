"""One call of Deepgram's prerecorded endpoint, and what each of its failures means.

Belongs here: the client, its address and key, faults. Not here: which recordings are sent and what becomes of the
answer (``deepgram.py``).

The SDK's own retries are off: the engine retries, knows the limits, and writes it down. Of an error only status and
code are told. Addresses of recordings are never given away: the bytes are sent.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from vcon_platform.processors.base import PermanentError, ProcessorError, TransientError
from vcon_platform.processors.retry_after import seconds_in

if TYPE_CHECKING:
    from deepgram import DeepgramClient
    from deepgram.core.api_error import ApiError

SECONDS = 300.0
"""For one recording: Deepgram answers within minutes or not at all."""


class Listening:
    """Calls with one client per address and key, shared by threads."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, str | None], DeepgramClient] = {}
        self._lock = threading.Lock()

    def listen(
        self,
        audio: bytes,
        wanted: Mapping[str, Any],
        *,
        key: str,
        base_url: str | None,
        where: str,
        seconds: float | None = None,
    ) -> dict[str, Any]:
        """The whole reply. ``where`` names the recording in messages. Raises TransientError or PermanentError."""
        import httpx
        from deepgram.core.api_error import ApiError
        from deepgram.core.parse_error import ParsingError

        timeout = SECONDS if seconds is None else max(0.1, min(seconds, SECONDS))
        options: Any = {"timeout": timeout, "max_retries": 0, "additional_query_parameters": dict(wanted)}
        try:
            media = self._client(key, base_url).listen.v1.media.with_raw_response
            reply = media.transcribe_file(request=audio, request_options=options)
        except ApiError as error:
            raise _fault(error, where) from None
        except ParsingError:
            raise TransientError(f"{where}: Deepgram's answer is no transcription") from None
        except httpx.TimeoutException:
            raise TransientError(f"{where}: Deepgram did not answer within {timeout:g} s") from None
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
    if status == 413:
        return PermanentError(f"{where} is too large for Deepgram ({told})")
    return PermanentError(
        f"{where}: Deepgram refuses it ({told}); check that it is audio, and model, language and additional options"
    )
