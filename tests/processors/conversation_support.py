"""A conversation for the processors that ask what one was like, and a model that answers by its lines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest

from tests.fakes.model_api import KEY, fake_openai
from tests.fakes.services import Service
from tests.processors.support import document, io_of
from vcon_platform.processors import running
from vcon_platform.processors.base import Processor, ProcessorIO

SAID = (
    (0, "Green Paws, this is Alice speaking."),
    (1, "My bill is wrong, and I am angry."),
    (0, "I will send you a new one by Friday."),
    (1, "Thank you, goodbye."),
)
PARTIES = [{"name": "Alice", "role": "agent"}, {"name": "Bob", "role": "customer"}]
RECORDING = {"type": "recording", "start": "2026-09-01T12:00:00Z", "parties": [0, 1]}
MESSAGE = {"type": "text", "start": "2026-09-01T13:00:00Z", "parties": [1], "body": "It came, thanks."}


@dataclass(frozen=True, slots=True)
class Shown:
    """One line as the model is shown it."""

    number: int
    voice: int | None
    who: str
    text: str


@dataclass(slots=True)
class Question:
    """What the model was asked. ``lines``: those with a number; ``task``: the last system message."""

    lines: list[Shown]
    task: str
    request: dict[str, Any] = field(repr=False)

    @property
    def combines(self) -> bool:
        """It is asked to make one answer of several."""
        return "Each message of material is the answer" in self.task

    @property
    def answers(self) -> list[Any]:
        """The answers about parts that it is shown."""
        texts = [message["content"] for message in self.request["messages"] if message["role"] == "user"]
        return [orjson.loads(text.partition(": ")[2]) for text in texts]


_LINE = re.compile(r"#(\d+) (?:voice (\d+) )?(?:\[[^\]]*\] )?(.*?): (.*)", re.DOTALL)


def question(request: dict[str, Any]) -> Question:
    texts = [message["content"] for message in request["messages"] if message["role"] == "user"]
    found = [match for text in texts if (match := _LINE.fullmatch(text))]
    lines = [Shown(int(m[1]), int(m[2]) if m[2] else None, m[3], m[4]) for m in found]
    system = [message["content"] for message in request["messages"] if message["role"] == "system"]
    return Question(lines, system[-1], request)


@contextmanager
def asked(monkeypatch: pytest.MonkeyPatch, service: Service) -> Iterator[Service]:
    """The service as the one that is configured, with nothing asked yet."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", f"{service.url}/v1")
    service.asked.clear()
    service.next.clear()
    yield service


def questions(service: Service) -> list[Question]:
    return [question(orjson.loads(each.body)) for each in service.asked]


def call(*said: tuple[int | None, str], **members: Any) -> ProcessorIO:
    """One recording, a turn every ten seconds."""
    body = [
        {**({} if party is None else {"party": party}), "text": text, "start": 10.0 * n, "end": 10.0 * n + 5}
        for n, (party, text) in enumerate(said or SAID)
    ]
    transcript = {"type": "transcript", "dialog": 0, "vendor": "test", "body": body}
    return io_of(document(**{"parties": PARTIES, "dialog": [RECORDING], "analysis": [transcript], **members}))


def long_call(turns: int = 40) -> ProcessorIO:
    """About 30 estimated tokens in each turn."""
    words = "one two three four five six seven eight nine ten"
    return call(*((n % 2, f"Turn {n}: {words}") for n in range(turns)))


def run(processor: type[Processor[Any]], io: ProcessorIO | None = None, **options: Any) -> ProcessorIO:
    return running.run(processor(), io or call(), processor.options.model_validate(options))


def made(io: ProcessorIO) -> dict[str, Any]:
    """The analysis that was added."""
    return io.vcon.analysis[-1]


__all__ = ["MESSAGE", "RECORDING", "asked", "call", "fake_openai", "long_call", "made", "question", "questions", "run"]
