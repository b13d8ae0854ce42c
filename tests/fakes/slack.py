"""Slack's Web API on this machine, as far as ``chat.postMessage`` goes: checks the token, keeps what is posted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.fakes.services import Answer, Asked, Service, service

TOKEN = "xoxb-test"


@dataclass(slots=True)
class FakeSlack:
    """``posted``: the messages, as they were asked for. ``channels``: those that the app is in."""

    service: Service
    posted: list[dict[str, Any]] = field(default_factory=list)
    channels: tuple[str, ...] = ("#quality",)

    @property
    def url(self) -> str:
        return f"{self.service.url}/api/"

    def answer(self, asked: Asked) -> Answer:
        if asked.path != "/api/chat.postMessage":
            return Answer(200, {"ok": False, "error": "unknown_method"})
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return Answer(200, {"ok": False, "error": "invalid_auth"})
        message = orjson.loads(asked.body)
        if message.get("channel") not in self.channels:
            return Answer(200, {"ok": False, "error": "channel_not_found"})
        if fault := _fault(message):
            return Answer(200, {"ok": False, "error": "invalid_blocks", "response_metadata": {"messages": [fault]}})
        self.posted.append(message)
        return Answer(200, {"ok": True, "channel": "C123", "ts": "1503435956.000247", "message": {}})


def _fault(message: dict[str, Any]) -> str:
    """What Slack would not take of the blocks that we make."""
    for block in message.get("blocks", ()):
        match block["type"]:
            case "section" if not 0 < len(block["text"]["text"]) <= 3000:
                return "text must be 1 to 3000 characters"
            case "actions" if any(len(each["text"]["text"]) > 75 for each in block["elements"]):
                return "a button's text has 75 characters at most"
            case "section" | "actions" | "context":
                pass
            case _:
                return "unsupported type"
    return ""


@contextlib.contextmanager
def fake_slack() -> Iterator[FakeSlack]:
    """Run one on 127.0.0.1 while the block runs."""
    with service(lambda asked: fake.answer(asked)) as running:
        fake = FakeSlack(running)
        yield fake
