"""What the tests of the API share: one application and its servers for all tests of a file that asks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from redis import Redis

from tests.conftest import _TEMPLATE, _execute
from vcon_platform.access.keys import KeyStore
from vcon_platform.api import reads
from vcon_platform.api.app import create_app
from vcon_platform.api.py_vcon import routes
from vcon_platform.processors.registry import Registry, load_processors
from vcon_platform.services.postgres import PostgresServer
from vcon_platform.services.redis import RedisServer
from vcon_platform.settings import Settings
from vcon_platform.vcon.uuids import new_uuid


@pytest.fixture(autouse=True)
def _no_late_notes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Readings are written down when they are asked for, never into the Redis of the next test."""
    monkeypatch.setattr(reads, "EVERY", 3600.0)


_FEW_PROCESSORS = ("create_amended", "jq", "queue_job", "set_parameters")
_ALL_PROCESSORS = {"auth", "client_sessions", "contract", "health", "integrity", "processors", "scan"}
"""Files about routes that each processor has. They are half of the work of making an application; the others do without
them."""


@pytest.fixture(autouse=True, scope="module")
def _few_routes_of_processors(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if request.path.stem.removeprefix("test_") not in _ALL_PROCESSORS:
            classes = load_processors().classes
            few = Registry(MappingProxyType({name: classes[name] for name in _FEW_PROCESSORS}))
            patch.setattr(routes, "load_processors", lambda: few)
        yield


@pytest.fixture
def all_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """With every processor's routes, in a file that has few."""
    monkeypatch.setattr(routes, "load_processors", load_processors)


@dataclass(frozen=True)
class Shared:
    """An installation that the tests of a file share; each works on vCons of its own."""

    settings: Settings
    app: FastAPI
    redis: Redis
    admin: TestClient

    def client(self, *scopes: str, **rest: Any) -> TestClient:
        """A client with a key of these scopes."""
        _, text = KeyStore(self.redis).create("x", list(scopes), **rest)
        return TestClient(self.app, headers={"Authorization": f"Bearer {text}"})


@pytest.fixture(scope="module")
def shared(
    redis_server: RedisServer, postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shared]:
    name = f"shared_{uuid4().hex}"
    _execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}")
    with Redis.from_url(redis_server.url) as client:
        client.flushall()
        settings = Settings(
            _env_file=None,
            data_dir_setting=tmp_path_factory.mktemp("data"),
            redis_url_setting=redis_server.url,
            postgres_url_setting=postgres_server.url(name),
        )
        app = create_app(settings)
        key = settings.secret_path("api_key").read_text().strip()
        yield Shared(settings, app, client, TestClient(app, headers={"Authorization": f"Bearer {key}"}))
    _execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def document() -> Callable[..., dict[str, Any]]:
    """Makes a small vCon that nobody has."""

    def make(**members: Any) -> dict[str, Any]:
        given = {"uuid": new_uuid(), "created_at": "2026-11-02T09:00:00Z", "parties": [{"tel": "+15550100"}]}
        return {**given, **members}

    return make
