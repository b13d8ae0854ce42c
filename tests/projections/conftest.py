"""A Postgres database for a whole file of tests: a new one per test would take longer than the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, create_engine

from tests.projections.postgres_rows import run, run_alone
from vcon_platform.services.postgres import PostgresServer


@pytest.fixture(scope="module")
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """Address of a database of this file's own."""
    for statement in ("DROP DATABASE IF EXISTS of_this_file WITH (FORCE)", "CREATE DATABASE of_this_file"):
        run_alone(postgres_server.url(), statement)
    yield postgres_server.url("of_this_file")
    run_alone(postgres_server.url(), "DROP DATABASE of_this_file WITH (FORCE)")


@pytest.fixture(scope="module")
def database_engine(database: str) -> Iterator[Engine]:
    """An engine for it."""
    made = create_engine(database)
    yield made
    made.dispose()


@pytest.fixture
def engine(database_engine: Engine) -> Engine:
    """An engine for it, with nothing in it."""
    run(database_engine, 'DROP SCHEMA IF EXISTS public, fresh, "order" CASCADE; CREATE SCHEMA public')
    return database_engine
