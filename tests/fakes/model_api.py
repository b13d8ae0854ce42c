"""OpenAI's /v1/chat/completions as it is documented: keys, models, refusals, and answers that a test chooses."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Collection, Iterator
from typing import Any

import orjson

from tests.fakes.services import Answer, Asked, Service, service

KEY = "sk-test"
_WORD = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
Say = Callable[[dict[str, Any]], str]


def refusal(
    status: int, code: str | None = None, param: str | None = None, message: str = "", **headers: str
) -> Answer:
    """An error object as OpenAI sends it; its message repeats what was said, unless it is given."""
    kind = "invalid_request_error" if status < 429 else "server_error"
    error = {"message": message or "refused: you said 'my name is Alice'", "type": kind, "param": param, "code": code}
    return Answer(status, {"error": error}, {name.replace("_", "-"): value for name, value in headers.items()})


def completion(content: str | None, *, model: str = "gpt-test", finish: str = "stop", **message: Any) -> Answer:
    """A completion object with this content."""
    said = {"role": "assistant", "content": content, "refusal": None, **message}
    words = len((content or "").split())
    return Answer(
        200,
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1_790_000_000,
            "model": model,
            "choices": [{"index": 0, "message": said, "logprobs": None, "finish_reason": finish}],
            "usage": {"prompt_tokens": 20, "completion_tokens": words, "total_tokens": 20 + words},
        },
    )


@contextlib.contextmanager
def fake_openai(
    say: Say | str = "All is well.",
    *,
    newer: bool = False,
    formats: Collection[str] = ("json_object", "json_schema"),
    holds: int | None = None,
    alternate: bool = False,
) -> Iterator[Service]:
    """Run one on 127.0.0.1: its address is ``url`` + /v1, as an Azure resource ``url``. ``say``: the answer, or what
    makes it of a request. ``newer``: its models know max_completion_tokens and their own temperature only. ``formats``:
    the kinds of response_format that it knows. ``holds``: four times as many characters, answer included, are its
    models' context. ``alternate``: one system message, then a user's and an assistant's by turns, as the templates of
    some models have it."""

    def well(asked: Asked) -> Answer:
        azure = re.fullmatch(r"/openai/deployments/([^/]+)/chat/completions", asked.path)
        if not azure and asked.path != "/v1/chat/completions":
            return refusal(404)
        if azure and not asked.query.get("api-version"):
            return Answer(404, {"error": {"code": "404", "message": "Resource not found"}})
        if asked.headers.get("api-key" if azure else "authorization") != (KEY if azure else f"Bearer {KEY}"):
            return refusal(401, "invalid_api_key")
        request = orjson.loads(asked.body)
        if (azure[1] if azure else request["model"]) == "no-such-model":
            return refusal(404, "model_not_found")
        if newer and "max_tokens" in request:
            return refusal(400, "unsupported_parameter", "max_tokens")
        if newer and request.get("temperature", 1) != 1:
            return refusal(400, "unsupported_value", "temperature")
        return _limits(request) or completion(say if isinstance(say, str) else say(request), model=request["model"])

    def _limits(request: dict[str, Any]) -> Answer | None:
        messages = request["messages"]
        if len(messages) > 2048:
            return refusal(400, "array_above_max_length", "messages")
        roles = [message["role"] for message in messages]
        if alternate and roles != ["system", *("assistant" if n % 2 else "user" for n in range(len(roles) - 1))]:
            return Answer(400, {"object": "error", "message": "Conversation roles must alternate", "code": 400})
        tokens = sum(len(message["content"]) for message in messages) // 4
        if holds is not None and tokens + request.get("max_tokens", request.get("max_completion_tokens", 0)) > holds:
            return refusal(400, "context_length_exceeded", "messages")
        return _format(request.get("response_format", {"type": "text"}), messages)

    def _format(wanted: dict[str, Any], messages: list[dict[str, Any]]) -> Answer | None:
        kind = wanted["type"]
        if kind != "text" and kind not in formats:
            return refusal(400, "unsupported_value", "response_format.type")
        if kind == "json_object" and not any("json" in message["content"].lower() for message in messages):
            return refusal(400, None, "messages", _WORD)
        if kind == "json_schema":
            schema = wanted["json_schema"]["schema"]
            if schema.get("type") != "object" or (
                wanted["json_schema"].get("strict") and schema.get("additionalProperties") is not False
            ):
                return refusal(400, "invalid_json_schema", "response_format")
        return None

    with service(well) as fake:
        yield fake
