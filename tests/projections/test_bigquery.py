"""Rows in BigQuery: the standard suite against the emulator by Google's own client, tables, values, faults."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as google

from tests.fakes.bigquery import bigquery
from tests.fakes.services import Answer, Asked, service
from tests.projections.destination_suite import (
    DAYS,
    SECRET,
    A,
    B,
    Declared,
    DestinationSuite,
    Stored,
    a_set,
    row,
    suite_projection,
)
from vcon_platform.projections.bigquery import BigQueryDestination
from vcon_platform.projections.bigquery_client import Warehouse
from vcon_platform.projections.bigquery_values import value
from vcon_platform.projections.destination import Connections, Faults
from vcon_platform.projections.errors import (
    DestinationError,
    DestinationUnavailable,
    ProjectionInvalid,
    SchemaConflict,
)
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import Misfit

PROJECT = "demo-project"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bigquery(tmp_path_factory.mktemp("bigquery") / "log") as running:
        yield running


@pytest.fixture(scope="module")
def client(address: str) -> google.Client:
    anonymous = AnonymousCredentials()  # type: ignore[no-untyped-call]
    return google.Client(project=PROJECT, credentials=anonymous, client_options=ClientOptions(api_endpoint=address))


def declared(table: str = "suite", **options: Any) -> Projection:
    given = {"project": PROJECT, "dataset": "calls", "table": table, "endpoint": "env:BIGQUERY_TEST_ENDPOINT"}
    return suite_projection("bigquery", **(given | options))


def connect(projection: Projection) -> BigQueryDestination:
    nothing: Any = None
    made = BigQueryDestination.connect(projection, Connections(nothing, nothing, nothing, Path("/nowhere")))
    made._warehouse = lambda *given, **options: Warehouse(*given, **options, patience=0.5)
    return made


@pytest.fixture
def projection() -> Projection:
    return declared()


@pytest.fixture
def destination(address: str, projection: Projection, monkeypatch: pytest.MonkeyPatch) -> BigQueryDestination:
    monkeypatch.setenv("BIGQUERY_TEST_ENDPOINT", address)
    return connect(projection)


def select(client: google.Client, statement: str) -> list[dict[str, Any]]:
    return [dict(row.items()) for row in client.query(statement, job_retry=None).result()]


class TestBigQuery(DestinationSuite):
    examples = 3

    @pytest.fixture
    def stored(self, client: google.Client, destination: BigQueryDestination, projection: Projection) -> Stored:
        return lambda: select(client, f"SELECT * FROM `{destination.target(projection)}`")

    @pytest.fixture
    def lose_one_row(
        self, client: google.Client, destination: BigQueryDestination, projection: Projection
    ) -> Callable[[str], None]:
        table = destination.target(projection)
        return lambda uuid: (
            client.query(f"DELETE FROM `{table}` WHERE uuid = '{uuid}' AND position = 0").result() and None
        )

    @pytest.fixture
    def unreachable(
        self, destination: BigQueryDestination, projection: Projection, monkeypatch: pytest.MonkeyPatch
    ) -> BigQueryDestination:
        monkeypatch.setenv("BIGQUERY_TEST_ENDPOINT", "http://127.0.0.1:9")
        return connect(projection)
