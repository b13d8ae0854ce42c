"""A receiver of a projection's webhook, as careful ones are: it verifies the signature, refuses what is old, drops what
it has seen (by ``webhook-id``), and keeps the rows it was told."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.fakes.services import Answer, Asked, Service, service


@dataclass(slots=True)
class Receiver:
    """``tables``: what it was told, by projection and uuid. ``seen``: ids in the order they came, again too."""

    service: Service
    secret: bytes | None = None
    tables: dict[str, dict[str, list[dict[str, Any]]]] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    """Uuids whose rows it cannot take."""

    @property
    def url(self) -> str:
        return f"{self.service.url}/in?key=path-secret"

    def answer(self, asked: Asked) -> Answer:
        key, moment = asked.headers["webhook-id"], asked.headers["webhook-timestamp"]
        if self.secret is not None:
            signed = hmac.new(self.secret, f"{key}.{moment}.".encode() + asked.body, hashlib.sha256).digest()
            if asked.headers.get("webhook-signature") != f"v1,{base64.b64encode(signed).decode()}":
                return Answer(401, {})
        if abs(time.time() - int(moment)) > 300 or asked.headers["idempotency-key"] != key:
            return Answer(401, {})
        told = orjson.loads(asked.body)
        if told["id"] != key:
            return Answer(401, {})
        if told["type"] == "rows.written" and told["uuid"] in self.refuses:
            return Answer(422, {"error": "cannot be taken"})
        known = key in self.seen
        self.seen.append(key)
        if known:
            return Answer(200, {"duplicate": True})
        table = self.tables.setdefault(told["projection"], {})
        if told["type"] == "rows.written":
            table[told["uuid"]] = told["rows"]
        else:
            table.pop(told["uuid"], None)
        return Answer(200, {})


@contextlib.contextmanager
def webhook_receiver(secret: bytes | None = None) -> Iterator[Receiver]:
    """Run one on 127.0.0.1 while the block runs."""
    with service(lambda asked: receiver.answer(asked)) as running:
        receiver = Receiver(running, secret)
        yield receiver
