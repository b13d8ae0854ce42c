"""Rows in BigQuery: the standard suite against the emulator by Google's own client, tables, values, faults."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as google

from tests.fakes.bigquery import bigquery
from tests.fakes.google_login import service_account
from tests.fakes.services import Answer, service
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
    with_columns,
)
from vcon_platform.projections.destination import Connections, Faults
from vcon_platform.projections.destinations.bigquery.client import Warehouse
from vcon_platform.projections.destinations.bigquery.destination import BigQueryDestination
from vcon_platform.projections.destinations.bigquery.schema import plan_table
from vcon_platform.projections.destinations.bigquery.values import value
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
    examples = 2
    big = 500

    @pytest.fixture
    def stored(self, client: google.Client, destination: BigQueryDestination, projection: Projection) -> Stored:
        return lambda: select(client, f"SELECT * FROM `{destination.target(projection)}`")

    @pytest.fixture
    def lose_one_row(
        self, client: google.Client, destination: BigQueryDestination, projection: Projection
    ) -> Callable[[str], None]:
        def lose(uuid: str) -> None:
            table = destination.target(projection)
            client.query(f"DELETE FROM `{table}` WHERE uuid = '{uuid}' AND position = 0").result()

        return lose

    @pytest.fixture
    def unreachable(
        self, destination: BigQueryDestination, projection: Projection, monkeypatch: pytest.MonkeyPatch
    ) -> BigQueryDestination:
        monkeypatch.setenv("BIGQUERY_TEST_ENDPOINT", "http://127.0.0.1:9")
        return connect(projection)

    @pytest.fixture
    def refused(
        self, destination: BigQueryDestination, projection: Projection, monkeypatch: pytest.MonkeyPatch
    ) -> Iterator[BigQueryDestination]:
        refusal = {"error": {"code": 403, "message": SECRET, "errors": [{"reason": "accessDenied"}]}}
        with service(lambda _: Answer(403, refusal)) as fake:
            monkeypatch.setenv("BIGQUERY_TEST_KEY", service_account(fake.url, SECRET))
            monkeypatch.setenv("BIGQUERY_TEST_ENDPOINT", fake.url)
            yield connect(declared(credentials="env:BIGQUERY_TEST_KEY"))


# Tables.


def fields(client: google.Client, projection: Projection) -> dict[str, tuple[str, str]]:
    table = client.get_table(BigQueryDestination.target(projection))
    return {each.name: (each.field_type, each.mode) for each in table.schema}


def test_a_table_is_made_by_day_and_said_whose_it_is(destination: BigQueryDestination, client: google.Client) -> None:
    made = declared("made", cluster=["position", "note"], labels={"team": "care"}, location="US")
    made = with_columns(made, description="What was said", key=["uuid", "position"])
    planned = [step.statement for step in destination.plan(made)]
    destination.ensure(made)
    assert planned[-1].startswith(f"CREATE TABLE `{PROJECT}.calls.made` (`uuid` STRING NOT NULL, `position` INT64")
    assert planned[-1].endswith("PARTITION BY _day CLUSTER BY `position`, `note`")
    table = client.get_table(f"{PROJECT}.calls.made")
    assert (table.time_partitioning.field, table.time_partitioning.type_) == ("_day", "DAY")
    assert (table.clustering_fields, table.labels) == (["position", "note"], {"team": "care"})
    assert table.description == ("What was said\nvcon-platform projection=suite columns=uuid,position,note,seconds,at")
    assert destination.plan(made) == []


def test_a_table_grows_with_its_declaration(destination: BigQueryDestination, client: google.Client) -> None:
    before = declared("growing")
    Declared(before, [a_set(before, A, DAYS[0])]).land(destination)
    who = {"name": "who", "type": "text", "from": "customer.name", "description": "Who called", "pii": True}
    after = with_columns(before, who, {"name": "words", "type": "text[]", "from": "subject"}, key=["uuid"])
    steps = [step.statement.rpartition("`growing` ")[2] or step.statement for step in destination.plan(after)]
    assert any("ALTER COLUMN `position` DROP NOT NULL" in each for each in steps)
    assert any("ADD COLUMN `words` ARRAY<STRING>" in each for each in steps)
    Declared(after, [a_set(after, A, DAYS[0], row() | {"who": "Ada", "words": ["a", "b"]})]).land(destination)
    found = fields(client, after)
    assert (found["position"], found["words"]) == (("INT64", "NULLABLE"), ("STRING", "REPEATED"))
    (there,) = select(client, f"SELECT * FROM `{PROJECT}.calls.growing`")
    assert (there["who"], there["words"]) == ("Ada", ["a", "b"])
    described = {each.name: each.description for each in client.get_table(f"{PROJECT}.calls.growing").schema}
    assert described["who"] == "Who called (from customer.name; personal data)"
    assert destination.plan(after) == []


def test_people_may_add_columns_of_their_own(destination: BigQueryDestination, client: google.Client) -> None:
    mine = declared("shared")
    destination.ensure(mine)
    table = client.get_table(f"{PROJECT}.calls.shared")
    table.schema = [*table.schema, google.SchemaField("my_own", "STRING")]
    client.update_table(table, ["schema"])
    assert Declared(mine, [a_set(mine, A, DAYS[0])]).land(destination).rows[DAYS[0]] == 1
    assert "my_own" in fields(client, mine)


def test_what_could_lose_values_is_refused_with_the_statement(
    destination: BigQueryDestination, client: google.Client
) -> None:
    before = declared("kept")
    destination.ensure(before)
    for after, told in (
        (with_columns(before, without="note"), r"column note .* no longer declared.*DROP COLUMN `note`"),
        (
            with_columns(before, {"name": "note", "type": "date", "from": "start"}, without="note"),
            "column note .* is STRING, projection suite says DATE.*SET DATA TYPE DATE",
        ),
        (before.model_copy(update={"name": "other"}), "kept by projection suite"),
    ):
        with pytest.raises(SchemaConflict, match=told):
            destination.ensure(after)
        assert any(step.refused for step in destination.plan(after))
    client.create_table(google.Table(f"{PROJECT}.calls.theirs", schema=[google.SchemaField("x", "STRING")]))
    with pytest.raises(SchemaConflict, match="was not made for a projection"):
        destination.ensure(declared("theirs"))


def test_whole_numbers_become_decimals_without_loss(destination: BigQueryDestination, client: google.Client) -> None:
    before = with_columns(declared("widened"), {"name": "score", "type": "integer", "from": "duration_seconds"})
    Declared(before, [a_set(before, A, DAYS[0], row() | {"score": 4})]).land(destination)
    after = with_columns(declared("widened"), {"name": "score", "type": "numeric", "from": "duration_seconds"})
    assert [step.statement for step in destination.plan(after)] == [
        f"ALTER TABLE `{PROJECT}.calls.widened` ALTER COLUMN `score` SET DATA TYPE NUMERIC"
    ]
    destination.ensure(after)
    narrower = with_columns(
        declared("widened"), {"name": "seconds", "type": "integer", "from": "duration_seconds"}, without="seconds"
    )
    with pytest.raises(SchemaConflict, match="no longer declared"):
        destination.ensure(narrower)


def test_a_dataset_elsewhere_is_told(destination: BigQueryDestination, client: google.Client) -> None:
    there = declared("elsewhere", location="EU")
    destination.ensure(there)
    told = client.get_table(f"{PROJECT}.calls.elsewhere").to_api_repr() | {"location": "US"}

    class Us:
        def table(self, name: object) -> google.Table:
            return google.Table.from_api_repr(told)

    (step,) = plan_table(Us(), there)  # type: ignore[arg-type]
    assert "is in US, projection suite says EU" in step.refused


# Rows.


def test_every_type_lands(destination: BigQueryDestination, client: google.Client) -> None:
    values: dict[str, tuple[str, Any]] = {
        "order": ("bigint", 2**53 + 1),
        "c0": ("numeric", "12345678901234567890123456789.123456789"),
        "op": ("double", 1.5),
        "ok": ("boolean", True),
        "on_day": ("date", "0001-01-01"),
        "at": ("timestamptz", "2026-03-01T12:00:00.123456+02:00"),
        "body": ("jsonb", {"a": ["=1+1", None], "big": 2**60}),
        "said": ("jsonb", "a text"),
        "tags": ("text[]", ["a", '"', "é"]),
        "numbers": ("bigint[]", [1, 2**62]),
        "amounts": ("numeric[]", ["1.50"]),
        "nothing": ("text[]", None),
    }
    columns = [{"name": name, "type": kind, "from": "subject"} for name, (kind, _) in values.items()]
    every = with_columns(declared("every"), *columns, without="at")
    every = every.model_copy(update={"columns": [each for each in every.columns if each.name != "seconds"]})
    expected = Declared(every, [a_set(every, A, DAYS[0], row() | {name: each for name, (_, each) in values.items()})])
    assert expected.land(destination).rejected == ()
    json_as_text = "TO_JSON_STRING(body) AS body, TO_JSON_STRING(said) AS said"
    (found,) = select(client, f"SELECT * REPLACE ({json_as_text}) FROM `{PROJECT}.calls.every`")
    assert (found["order"], found["op"], found["ok"]) == (2**53 + 1, 1.5, True)
    assert format(found["c0"], "f") == values["c0"][1]
    assert (found["on_day"].isoformat(), found["at"].isoformat()) == ("0001-01-01", "2026-03-01T10:00:00.123456+00:00")
    assert (json.loads(found["body"])["a"], found["said"]) == (["=1+1", None], '"a text"')
    assert (found["tags"], found["numbers"], found["nothing"]) == (["a", '"', "é"], [1, 2**62], [])


@pytest.mark.parametrize(
    ("given", "kind", "told"),
    [
        (["a", None], "text[]", "an element is empty"),
        ("1e29", "numeric", "more than 29 digits"),
    ],
)
def test_what_bigquery_does_not_hold_is_a_misfit(given: Any, kind: Any, told: str) -> None:
    with pytest.raises(Misfit, match=told):
        value(given, kind)


def test_numbers_are_rounded_to_nine_places() -> None:
    assert value("0.1234567894", "numeric") == "0.123456789"
    assert value(1e20, "numeric") == "100000000000000000000"
    assert value("-0.0000000000001", "numeric") == "-0"


def test_rows_that_were_doubled_by_hand_are_told_and_mended(
    destination: BigQueryDestination, client: google.Client
) -> None:
    doubled = declared("doubled")
    expected = Declared(doubled, [a_set(doubled, A, DAYS[0], row(0), row(1)), a_set(doubled, B, DAYS[0])])
    expected.land(destination)
    assert destination.faults(doubled, DAYS) == Faults()
    table = f"`{PROJECT}.calls.doubled`"
    client.query(f"INSERT INTO {table} SELECT * FROM {table} WHERE uuid = '{A}'").result()
    assert destination.faults(doubled, DAYS) == Faults(duplicates=2)
    assert set(expected.land(destination).written) == {A}
    assert destination.faults(doubled, DAYS) == Faults()


def test_a_landing_says_what_it_cost_and_leaves_nothing_behind(
    destination: BigQueryDestination, client: google.Client
) -> None:
    tidy = declared("tidy")
    landed = Declared(tidy, [a_set(tidy, A, DAYS[0])]).land(destination)
    assert landed.told.keys() == {
        "bigquery_bytes_loaded",
        "bigquery_bytes_processed",
        "bigquery_bytes_billed",
        "bigquery_queries",
    }
    assert int(landed.told["bigquery_bytes_loaded"]) > 100
    assert not [each.table_id for each in client.list_tables("calls") if "staging" in each.table_id]


# The wire.


@pytest.mark.parametrize(
    ("code", "reason", "kind", "told"),
    [
        (401, "authError", DestinationError, "refuses the credentials"),
        (403, "accessDenied", DestinationError, "it needs the roles"),
        (403, "quotaExceeded", DestinationUnavailable, "quota"),
        (429, "rateLimitExceeded", DestinationUnavailable, "quota"),
        (503, "backendError", DestinationUnavailable, "does not answer"),
        (400, "invalidQuery", DestinationError, "400, invalidQuery"),
        (409, "duplicate", DestinationError, "409, duplicate"),
    ],
)
def test_a_fault_says_what_to_do_and_quotes_nothing(
    monkeypatch: pytest.MonkeyPatch, code: int, reason: str, kind: type[Exception], told: str
) -> None:
    body = {"error": {"code": code, "message": "+49301", "errors": [{"reason": reason, "message": "+49301"}]}}
    with service(lambda _: Answer(code, body)) as fake:
        monkeypatch.setenv("BIGQUERY_TEST_ENDPOINT", fake.url)
        with pytest.raises(kind, match=told) as error:
            connect(declared()).held(declared(), DAYS)
    assert type(error.value) is kind
    assert "+49301" not in str(error.value)
    assert str(error.value).startswith("projection suite: ")


@pytest.mark.parametrize(
    "answer", [Answer(200, {"a": 1}, cut=True), Answer(200, b"<html>")], ids=["cut off", "no JSON"]
)
def test_an_answer_that_is_none_is_waited_out(monkeypatch: pytest.MonkeyPatch, answer: Answer) -> None:
    with service(lambda _: answer) as fake:
        monkeypatch.setenv("BIGQUERY_TEST_ENDPOINT", fake.url)
        with pytest.raises(DestinationUnavailable):
            connect(declared()).ensure(declared())


# Options.


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"project": "My Project"}, "/destinations/0/bigquery/project must be a project's id"),
        ({"dataset": "a`b"}, "/destinations/0/bigquery/dataset must be"),
        ({"table": "a.b"}, "/destinations/0/bigquery/table .* is no identifier"),
        ({"cluster": ["nope"]}, "/destinations/0/bigquery/cluster/0 'nope' is not a column"),
        ({"labels": {"Team": "x"}}, "/destinations/0/bigquery/labels 'Team' is no label"),
        ({"credentials": "{...}"}, "/destinations/0/bigquery/credentials must be a reference"),
        ({"endpoint": "http://evil.example"}, "/destinations/0/bigquery/endpoint must be a reference"),
    ],
)
def test_options_are_checked_with_their_place(options: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionInvalid, match=told):
        BigQueryDestination.check(declared(**options))


def test_columns_that_bigquery_does_not_allow_are_refused() -> None:
    wrong = with_columns(declared(), {"name": "_partition_of", "type": "text", "from": "subject"})
    with pytest.raises(ProjectionInvalid, match="/columns/5/name '_partition_of' is no name"):
        BigQueryDestination.check(wrong)
    BigQueryDestination.check(declared(cluster=["note"]))
    with pytest.raises(ProjectionInvalid, match="cannot be clustered by 'd'"):
        BigQueryDestination.check(
            with_columns(declared(cluster=["d"]), {"name": "d", "type": "double", "from": "duration_seconds"})
        )
