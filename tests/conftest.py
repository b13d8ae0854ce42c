"""Real servers for the suite: one Redis and one Postgres per test process, empty for every test that asks.

``redis_url`` / ``redis_client`` empty Redis first; ``postgres_url`` is a fresh database with the platform's schemas;
``settings`` points at both, with its data under the test's own folder.
"""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
import pytest
import redis
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from xdist.scheduler import LoadFileScheduling

from tests.support import child, eventually, free_port
from vcon_platform.services import postgres_home
from vcon_platform.services.identity import server_identity
from vcon_platform.services.postgres import PostgresServer, create_schemas, libpq_url
from vcon_platform.services.postgres_home import runnable_install
from vcon_platform.services.redis import RedisServer
from vcon_platform.settings import ENV_FILE_VARIABLE, Settings

# No example is wrong because the machine is busy. What CI's own profile says otherwise (the same examples every time)
# stays.
hypothesis_settings.register_profile(
    "suite", parent=hypothesis_settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("suite")

_TEMPLATE = "vcon_template"
_numbers = count(1)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    """A short-named folder for server data that the servers' user may pass through."""
    folder = Path(tempfile.mkdtemp(prefix="vcon-test-", dir="/tmp"))
    folder.chmod(0o711)
    with pytest.MonkeyPatch.context() as patch:  # nothing of a test may stay on the machine
        patch.setattr(postgres_home, "FALLBACK_ROOT", folder / "fallback")
        yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def redis_server(server_folder: Path) -> Iterator[RedisServer]:
    """A running Redis with the JSON and search modules, quick because nothing in it has to outlive it."""
    folder = server_folder / "redis"
    server = RedisServer(folder, server_folder / "redis.conf", free_port(), "test-password", appendonly=False)
    server.prepare()
    with child(server.command(), server_folder / "redis.log") as process:
        eventually(lambda: server.why_not_ready(process.pid) is None, message="Redis is ready", interval=0.02)
        yield server


@pytest.fixture(scope="session")
def postgres_server(server_folder: Path) -> Iterator[PostgresServer]:
    """A running Postgres, quick because it does not care for power cuts."""
    identity = server_identity()
    server = PostgresServer(
        home=server_folder / "postgres",
        install=runnable_install(identity, server_folder / "install"),
        port=free_port(),
        password="test-password",
        identity=identity,
        options=("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=32MB"),
    )
    server.prepare(sync=False)
    with child(server.command(), server_folder / "postgres.log", stop_with=signal.SIGINT, identity=identity):
        eventually(lambda: server.why_not_ready() is None, message="Postgres is ready", interval=0.02)
        _execute(server, f"CREATE DATABASE {_TEMPLATE}")
        create_schemas(server.url(_TEMPLATE))
        yield server


def _execute(server: PostgresServer, statement: str) -> None:
    connection = psycopg2.connect(libpq_url(server.url()))
    connection.autocommit = True
    try:
        connection.cursor().execute(statement)
    finally:
        connection.close()


@dataclass
class _Database:
    """The database that the next test gets. To make one costs 150 ms of CPU, and most tests never ask for anything in
    it: one that nobody was connected to is given to the next test as well."""

    server: PostgresServer
    name: str = ""

    def ready(self) -> str:
        """Address of a database with the schemas ``dagster`` and ``ledger`` that no test was connected to."""
        if not self.name:
            self.name = f"test_{next(_numbers)}"
            _execute(self.server, f"CREATE DATABASE {self.name} TEMPLATE {_TEMPLATE} STRATEGY file_copy")
        return self.server.url(self.name)

    def drop_if_used(self) -> None:
        """Drop it if somebody is connected to it or was (a session is counted before its connection is gone)."""
        connection = psycopg2.connect(libpq_url(self.server.url()))
        connection.autocommit = True
        try:
            cursor = connection.cursor()
            cursor.execute("SELECT 1 FROM pg_stat_activity WHERE datname = %s LIMIT 1", (self.name,))
            used = cursor.fetchone() is not None
            if not used:  # in this order: who leaves in between is in the count
                cursor.execute("SELECT sessions FROM pg_stat_database WHERE datname = %s", (self.name,))
                used = cursor.fetchone() != (0,)
            if used:
                cursor.execute(f"DROP DATABASE {self.name} WITH (FORCE)")
                self.name = ""
        finally:
            connection.close()


@pytest.fixture(scope="session")
def _database(postgres_server: PostgresServer) -> _Database:
    return _Database(postgres_server)


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """Address of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as connection:
        connection.flushall()
    return redis_server.url


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of an empty Redis; replies are bytes."""
    with redis.Redis.from_url(redis_url) as connection:
        yield connection


@pytest.fixture
def postgres_url(_database: _Database) -> Iterator[str]:
    """Address of a fresh database with the schemas ``dagster`` and ``ledger``."""
    yield _database.ready()
    _database.drop_if_used()


@pytest.fixture
def data_dir(server_folder: Path) -> Path:
    """An empty data folder for an installation that starts its own servers (their user can reach it)."""
    folder = Path(tempfile.mkdtemp(prefix="data-", dir=server_folder))
    folder.chmod(0o711)
    return folder


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """The developer's own environment and .env must not decide what a test does."""
    for name in list(os.environ):
        if name.startswith("VCON_") or name in ("REDIS_URL", "POSTGRES_URL", "DAGSTER_HOME"):
            monkeypatch.delenv(name)
    monkeypatch.setenv(ENV_FILE_VARIABLE, "")


@pytest.fixture
def settings(tmp_path: Path, redis_url: str, postgres_url: str) -> Settings:
    """An installation of its own: both servers, data under ``tmp_path``, nothing from a ``.env``."""
    return Settings(
        _env_file=None,
        data_dir_setting=tmp_path / "data",
        redis_url_setting=redis_url,
        postgres_url_setting=postgres_url,
    )


@pytest.fixture
def deployed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The same as the environment, which is where commands and the resources of runs read it."""
    monkeypatch.setenv("REDIS_URL", settings.redis_url())
    monkeypatch.setenv("POSTGRES_URL", settings.postgres_url())
    monkeypatch.setenv("VCON_DATA_DIR", str(settings.data_dir))
    return settings


def pytest_configure() -> None:
    """Nothing that is imported and collected becomes garbage: to look for some takes a tenth of the time."""
    gc.disable()


def pytest_collection_finish() -> None:
    """The nine thousand tests and all modules stay until the end; nobody has to look through them again and again."""
    gc.enable()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


_LONGEST = ("tests/e2e/test_6", "tests/e2e", "tests/services")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first: they wait for clocks, and the others fill the time."""
    items.sort(key=lambda item: next((n for n, name in enumerate(_LONGEST) if item.nodeid.startswith(name)), 9))


class _Scheduling(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """A file is a worker's whole, and so are all files that share the one platform: to start one more costs more than
    what two workers would gain."""

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        return "tests/e2e" if file.startswith("tests/e2e/") and "test_6_" not in file else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadFileScheduling | None:
    """Spread by file, as ``--dist loadfile`` does."""
    return _Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None
