"""One call of OpenAI's chat completions, and what each of its failures means.

Belongs here: the client, its address and key, faults. Not here: what is asked and what becomes of the answer
(``openai_chat_completion.py``).

The SDK's own retries are off: the engine retries, knows the limits, and writes it down. Of an error only status and
code are told, because its text may repeat what was sent.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.processors.base import PermanentError, ProcessorError, TransientError
from vcon_platform.processors.retry_after import seconds_in

if TYPE_CHECKING:
    import openai

SECONDS = 120.0
"""For one answer."""
_RENAMED = {"max_tokens": "max_completion_tokens"}
"""Newer models know this by another name."""
_OPTIONAL = ("temperature",)
"""Newer models take their own."""


class ChatCompletions:
    """Calls with one client per address and key, shared by threads."""

    def __init__(self) -> None:
        self._clients: dict[tuple[str, str | None], openai.OpenAI] = {}
        self._refused: dict[str, frozenset[str]] = {}  # by model, what it does not take
        self._lock = threading.Lock()

    def create(
        self, request: Mapping[str, Any], *, key: str, base_url: str | None, seconds: float | None = None
    ) -> dict[str, Any]:
        """The completion object. Raises TransientError or PermanentError."""
        client = self._client(key, base_url)
        model = str(request["model"])
        for _ in range(1 + len(_RENAMED) + len(_OPTIONAL)):
            refused = self._refused.get(model, frozenset())
            asked = {
                _RENAMED.get(name, name) if name in refused else name: value
                for name, value in request.items()
                if name not in refused or name in _RENAMED
            }
            unknown = self._ask(client, asked, seconds)
            if isinstance(unknown, dict):
                return unknown
            if unknown in refused:
                break
            self._refused[model] = refused | {unknown}
        raise PermanentError(f"OpenAI: model {model} takes no such request; choose another model")

    def _client(self, key: str, base_url: str | None) -> openai.OpenAI:
        import openai

        with self._lock:
            if (key, base_url) not in self._clients:
                self._clients[key, base_url] = openai.OpenAI(api_key=key, base_url=base_url, max_retries=0)
            return self._clients[key, base_url]

    @staticmethod
    def _ask(client: openai.OpenAI, request: dict[str, Any], seconds: float | None) -> dict[str, Any] | str:
        """The completion, or the name of the argument that the model does not take."""
        import openai

        timeout = SECONDS if seconds is None else max(0.1, min(seconds, SECONDS))
        try:
            # as text: the SDK would take any JSON for a completion
            text = client.chat.completions.with_raw_response.create(**request, timeout=timeout).text
        except openai.APITimeoutError:
            raise TransientError(f"OpenAI did not answer within {timeout:g} s") from None
        except openai.BadRequestError as error:
            if error.param in (*_RENAMED, *_OPTIONAL) and str(error.code).startswith("unsupported"):
                return str(error.param)
            raise _fault(error, str(request["model"])) from None
        except openai.APIStatusError as error:
            raise _fault(error, str(request["model"])) from None
        except openai.APIConnectionError as error:
            kind = type(error.__cause__ or error).__name__
            raise TransientError(f"OpenAI cannot be reached, or the connection broke ({kind})") from None
        except openai.OpenAIError as error:
            raise PermanentError(f"OpenAI cannot be asked ({type(error).__name__})") from None
        return _completion(text() if callable(text) else text)


def _completion(text: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise TransientError("OpenAI's answer is no JSON; a proxy may have answered in its place") from None
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise TransientError("OpenAI's answer is no completion; check OPENAI_BASE_URL if this lasts")
    return dict(value)


def _fault(error: openai.APIStatusError, model: str) -> ProcessorError:
    status, code = error.status_code, error.code if isinstance(error.code, str) else None
    told = f"{status}{f' {code}' if code and code.replace('_', '').isalnum() else ''}"
    if status == 401:
        return PermanentError(f"OpenAI refuses the key ({told}); set a valid one in OPENAI_API_KEY and re-execute")
    if status == 429 and code == "insufficient_quota":
        return PermanentError(f"OpenAI: the account's quota is used up ({told}); raise it and re-execute")
    if status in (408, 409, 429) or status >= 500:
        return TransientError(f"OpenAI cannot answer just now ({told})", retry_after=seconds_in(error.response.headers))
    if status in (403, 404):
        return PermanentError(f"OpenAI does not give model {model} ({told}); choose a model that the key may use")
    if code == "context_length_exceeded":
        return PermanentError(f"the conversation is too long for model {model} ({told}); choose a larger model")
    return PermanentError(f"OpenAI refuses the request ({told}); check model, max_tokens and temperature")
