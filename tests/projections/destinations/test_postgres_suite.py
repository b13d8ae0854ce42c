"""The standard suite against a real Postgres."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from sqlalchemy import Engine, create_engine

from tests.projections.destination_suite import SECRET, DestinationSuite, Stored, suite_projection
from tests.projections.postgres_rows import run, run_alone, select
from tests.support import free_port
from vcon_platform.projections.destinations.postgres.destination import PostgresDestination
from vcon_platform.projections.model import Projection


class TestPostgres(DestinationSuite):
    @pytest.fixture
    def projection(self) -> Projection:
        return suite_projection("postgres", table="suite")

    @pytest.fixture
    def destination(self, database_engine: Engine) -> PostgresDestination:
        return PostgresDestination(database_engine)

    @pytest.fixture
    def stored(self, database_engine: Engine) -> Stored:
        names = ("uuid", "position", "note", "seconds", "at")

        def read() -> list[dict[str, object]]:
            return [
                dict(zip(names, row, strict=True))
                for row in select(database_engine, f"SELECT {', '.join(names)} FROM suite")
            ]

        return read

    @pytest.fixture
    def unreachable(self) -> PostgresDestination:
        return PostgresDestination(f"postgresql+psycopg2://nobody:secret@127.0.0.1:{free_port()}/none")

    @pytest.fixture
    def refused(self, database: str, database_engine: Engine) -> PostgresDestination:
        run_alone(database, f"DROP ROLE IF EXISTS suite_guest; CREATE ROLE suite_guest LOGIN PASSWORD '{SECRET}'")
        url = database_engine.url.set(username="suite_guest", password=SECRET)
        run(database_engine, "DROP TABLE IF EXISTS suite")
        return PostgresDestination(create_engine(url))

    @pytest.fixture
    def lose_one_row(self, database_engine: Engine) -> Callable[[str], None]:
        def lose(uuid: str) -> None:
            run(database_engine, f"DELETE FROM suite WHERE uuid = '{uuid}' AND position = 0")

        return lose
