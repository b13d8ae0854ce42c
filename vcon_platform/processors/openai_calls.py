"""One call of a chat model that speaks OpenAI's protocol, and what each of its failures means.

Belongs here: the client, whose service it is, faults, arguments that a model does not take. Not here: what is asked
and what becomes of the answer (``model_question.py``).

The SDK's own retries are off: the engine retries, knows the limits, and writes it down. Of an error only status and
code are told, because its text may repeat what was sent; it is looked at for two things that some servers say nowhere
else: that the conversation is too long, and that they know no JSON mode.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.processors.base import PermanentError, ProcessorError, TransientError
from vcon_platform.store.retry_after import seconds_in

if TYPE_CHECKING:
    import openai

SECONDS = 120.0
"""For one answer, where nothing else is said."""
_RENAMED = {"max_tokens": "max_completion_tokens"}
"""Newer models know this by another name."""
_OPTIONAL = ("temperature",)
"""Newer models take their own."""
_TOO_LONG = re.compile(r"context (length|size|window)|too many tokens|reduce the length", re.IGNORECASE)
_NOT_TAKEN = re.compile(r"unsupported|not support(ed)?\b|does not support", re.IGNORECASE)
_NO_FORMAT = re.compile(r"response_format|json_schema|json mode", re.IGNORECASE)


class TooLong(PermanentError):
    """The conversation does not fit into what the model can read at once."""

    code = "too_long"


@dataclass(frozen=True, slots=True)
class ChatService:
    """Whose model is asked, and how it is reached. ``key_from``: the variable that holds the key, for messages."""

    key: str = field(repr=False)
    base_url: str | None = None
    azure_endpoint: str | None = None
    api_version: str = ""
    organization: str | None = None
    project: str | None = None
    name: str = "OpenAI"
    usage_name: str = "openai"
    key_from: str = "OPENAI_API_KEY"

    @property
    def identity(self) -> str:
        """What tells its answers from those of another: not the key, which is changed now and then."""
        if self.azure_endpoint is not None:
            return f"{self.azure_endpoint} {self.api_version}"
        return self.base_url or ""


class ChatCompletions:
    """Calls with one client per service, shared by threads."""

    def __init__(self) -> None:
        self._clients: dict[ChatService, openai.OpenAI] = {}
        self._refused: dict[tuple[str, str], frozenset[str]] = {}  # by service and model, what it does not take
        self._lock = threading.Lock()

    def create(
        self,
        request: Mapping[str, Any],
        service: ChatService,
        *,
        seconds: float | None = None,
        most: float | None = None,
    ) -> dict[str, Any]:
        """The completion object. ``request`` is sent as it is, as far as the model takes it. It is waited for ``most``
        seconds (unset: :data:`SECONDS`), and no longer than ``seconds``, which are left for the conversation. Raises
        TransientError or PermanentError, :class:`TooLong` among them."""
        limit = SECONDS if most is None else most
        timeout = limit if seconds is None else max(0.1, min(seconds, limit))
        client = self.client(service)
        model = service.identity, str(request["model"])
        for _ in range(2 + len(_RENAMED) + len(_OPTIONAL) + 1):
            refused = self._refused.get(model, frozenset())
            unknown = self._ask(client, _without(request, refused), service, timeout)
            if isinstance(unknown, dict):
                return unknown
            if unknown in refused:
                break
            self._refused[model] = refused | {unknown}
        raise PermanentError(f"{service.name}: model {model[1]} takes no such request; choose another model")

    def client(self, service: ChatService) -> openai.OpenAI:
        """The SDK's client of a service, kept; speech to text asks by it too."""
        import openai

        with self._lock:
            if service not in self._clients:
                common: dict[str, Any] = {
                    "api_key": service.key,
                    "organization": service.organization,
                    "project": service.project,
                    "max_retries": 0,
                }
                self._clients[service] = (
                    openai.OpenAI(base_url=service.base_url, **common)
                    if service.azure_endpoint is None
                    else openai.AzureOpenAI(
                        azure_endpoint=service.azure_endpoint, api_version=service.api_version, **common
                    )
                )
            return self._clients[service]

    @staticmethod
    def _ask(
        client: openai.OpenAI, request: dict[str, Any], service: ChatService, timeout: float
    ) -> dict[str, Any] | str:
        """The completion, or the name of the argument that the model does not take."""
        import openai

        name = service.name
        create: Callable[..., Any] = client.chat.completions.with_raw_response.create
        try:
            # All but the model goes past the SDK's own look at each message, which takes 0.2 ms of each; and the answer
            # is taken as text, for the SDK would take any JSON for a completion.
            body = {key: value for key, value in request.items() if key != "model"}
            text = create(model=request["model"], messages=[], extra_body=body, timeout=timeout).text
        except openai.APITimeoutError:
            raise TransientError(f"{name} did not answer within {timeout:g} s") from None
        except openai.APIStatusError as error:
            if error.status_code in (400, 422) and (unknown := _not_taken(error, request)):
                return unknown
            raise _fault(error, str(request["model"]), service) from None
        except openai.APIConnectionError as error:
            kind = type(error.__cause__ or error).__name__
            raise TransientError(f"{name} cannot be reached, or the connection broke ({kind})") from None
        except openai.OpenAIError as error:
            raise PermanentError(f"{name} cannot be asked ({type(error).__name__})") from None
        return _completion(text() if callable(text) else text, name)


@lru_cache(maxsize=1)
def shared_calls() -> ChatCompletions:
    """The clients of this process: connections are kept whichever processor asks."""
    return ChatCompletions()


# --- what a model does not take --------------------------------------------------------------------------------


def _without(request: Mapping[str, Any], refused: frozenset[str]) -> dict[str, Any]:
    """The request in the model's own terms. A schema that it does not take becomes plain JSON, then nothing: the
    schema stands in the messages too, and the answer is checked against it in any case."""
    asked = {
        _RENAMED.get(name, name) if name in refused else name: value
        for name, value in request.items()
        if name not in refused or name in _RENAMED
    }
    if _format_name(asked) in refused:
        asked["response_format"] = {"type": "json_object"}
    if _format_name(asked) in refused:
        del asked["response_format"]
    return asked


def _format_name(request: Mapping[str, Any]) -> str:
    """A response format as a thing that may be refused: of schemas each by itself, for a model may take others."""
    wanted = request.get("response_format")
    if not wanted:
        return ""
    if wanted["type"] != "json_schema":
        return f"response_format {wanted['type']}"
    return hashlib.sha256(orjson.dumps(wanted, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _not_taken(error: openai.APIStatusError, request: Mapping[str, Any]) -> str | None:
    """What the model does not take, as far as it says."""
    param, code = error.param or "", str(error.code)
    if param in (*_RENAMED, *_OPTIONAL) and code.startswith("unsupported"):
        return param
    text = "" if param else _text(error)  # proxies say it in the text alone
    if _NOT_TAKEN.search(text) and (named := next((name for name in (*_RENAMED, *_OPTIONAL) if name in text), None)):
        return named
    if _format_name(request) and (param.startswith("response_format") or _NO_FORMAT.search(text)):
        return _format_name(request)
    return None


def _text(error: openai.APIStatusError) -> str:
    """The error's text, cut: only for looking at, never shown."""
    return str(error.message)[:4000]


# --- answers and faults ----------------------------------------------------------------------------------------


def _completion(text: str, name: str) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise TransientError(f"{name}'s answer is no JSON; a proxy may have answered in its place") from None
    choices = value.get("choices") if isinstance(value, dict) else None
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise TransientError(f"{name}'s answer is no completion; check the address of the service if this lasts")
    return dict(value)


def _fault(error: openai.APIStatusError, model: str, service: ChatService) -> ProcessorError:
    status, code, name = error.status_code, error.code if isinstance(error.code, str) else None, service.name
    told = f"{status}{f' {code}' if code and code.replace('_', '').isalnum() else ''}"
    if status == 401:
        return PermanentError(f"{name} refuses the key ({told}); set a valid one in {service.key_from} and re-execute")
    if status == 402 or (status == 429 and code == "insufficient_quota"):
        return PermanentError(f"{name}: the account's quota is used up ({told}); raise it and re-execute")
    if status in (408, 409, 429) or status >= 500:
        return TransientError(f"{name} cannot answer just now ({told})", retry_after=seconds_in(error.response.headers))
    if status in (403, 404):
        return PermanentError(f"{name} does not give model {model} ({told}); choose a model that the key may use")
    if code in ("content_filter", "content_policy_violation"):
        return PermanentError(f"{name} declines to read this conversation ({told}); see its content filter")
    if code == "context_length_exceeded" or status == 413 or _TOO_LONG.search(_text(error)):
        return TooLong(
            f"the conversation is too long for model {model} ({told}); choose a larger model, or say in context_tokens "
            "what it holds"
        )
    return PermanentError(
        f"{name} refuses the request ({told}); check model, max_tokens, temperature and additional; a model that takes "
        "one system and one user message only needs messages: single"
    )
