"""OpenAI's /v1/chat/completions as it is documented: keys, models, refusals, and answers that a test chooses."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import orjson

from tests.fakes.services import Answer, Asked, Service, service

KEY = "sk-test"
Say = Callable[[dict[str, Any]], str]


def refusal(status: int, code: str | None = None, param: str | None = None, **headers: str) -> Answer:
    """An error object as OpenAI sends it."""
    kind = "invalid_request_error" if status < 429 else "server_error"
    error = {"message": "refused: you said 'my name is Alice'", "type": kind, "param": param, "code": code}
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
def fake_openai(say: Say | str = "All is well.", *, newer: bool = False) -> Iterator[Service]:
    """Run one on 127.0.0.1: its address is ``url`` + /v1. ``say``: the answer, or what makes it of a request.
    ``newer``: its models know max_completion_tokens and their own temperature only."""

    def well(asked: Asked) -> Answer:
        if asked.path != "/v1/chat/completions":
            return refusal(404)
        if asked.headers.get("authorization") != f"Bearer {KEY}":
            return refusal(401, "invalid_api_key")
        request = orjson.loads(asked.body)
        if request["model"] == "no-such-model":
            return refusal(404, "model_not_found")
        if newer and "max_tokens" in request:
            return refusal(400, "unsupported_parameter", "max_tokens")
        if newer and request.get("temperature", 1) != 1:
            return refusal(400, "unsupported_value", "temperature")
        if request.get("response_format") == {"type": "json_object"} and not any(
            "json" in message["content"].lower() for message in request["messages"]
        ):
            return refusal(400, None, "messages")  # documented: the word must occur in the messages
        return completion(say if isinstance(say, str) else say(request), model=request["model"])

    with service(well) as fake:
        yield fake
