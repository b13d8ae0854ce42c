"""DataTrails' API on this machine: tokens for a client, assets, events."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import orjson

from tests.fakes.services import Answer, Asked, Service, service

CLIENT, SECRET = "client-1", "s3cr3t"
BASE = "/archivist"


@dataclass(slots=True)
class FakeDataTrails:
    """``events``: what was recorded, with the path it was recorded at. ``tokens``: how many were given; only the newest
    is good."""

    service: Service
    events: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    assets: list[dict[str, Any]] = field(default_factory=list)
    tokens: int = 0
    lasts: int = 3600

    @property
    def url(self) -> str:
        return f"{self.service.url}{BASE}"

    def answer(self, asked: Asked) -> Answer:
        if asked.path == f"{BASE}/iam/v1/appidp/token":
            form = {name: values[0] for name, values in parse_qs(asked.body.decode()).items()}
            if form != {"grant_type": "client_credentials", "client_id": CLIENT, "client_secret": SECRET}:
                return Answer(401, {"error": "invalid_client"})
            self.tokens += 1
            return Answer(
                200, {"access_token": f"token-{self.tokens}", "expires_in": self.lasts, "token_type": "Bearer"}
            )
        if asked.headers.get("authorization") != f"Bearer token-{self.tokens}":
            return Answer(401, {"error": "unauthorized"})
        path = asked.path.removeprefix(BASE)
        if path == "/v2/assets" and not asked.body:
            wanted = {name.removeprefix("attributes."): values[0] for name, values in asked.query.items()}
            return Answer(200, {"assets": [each for each in self.assets if each["attributes"] == wanted]})
        content = orjson.loads(asked.body)
        if path == "/v2/assets":
            self.assets.append({**content, "identity": f"assets/{len(self.assets)}"})
            return Answer(201, self.assets[-1])
        self.events.append((path, content))
        return Answer(201, {"identity": f"events/{len(self.events)}"})


@contextlib.contextmanager
def fake_datatrails() -> Iterator[FakeDataTrails]:
    """Run one on 127.0.0.1 while the block runs."""
    with service(lambda asked: fake.answer(asked)) as running:
        fake = FakeDataTrails(running)
        yield fake
