"""Rows for analysts: DataFrames and exported files, from each destination that rows can be read from."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import orjson
import pandas as pd
import pytest
from obstore.store import MemoryStore
from redis import Redis
from sqlalchemy import Engine

import vcon_platform
from tests.projections.examples import projection
from tests.projections.postgres_rows import DAY, UUID, row
from vcon_platform.projections import reading
from vcon_platform.projections.destination import Connections, Destination, destination_kind
from vcon_platform.projections.errors import DestinationError, ProjectionError
from vcon_platform.projections.exporting import write_csv, write_ndjson, write_parquet
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType
from vcon_platform.settings import Settings

KINDS = ("postgres", "parquet", "duckdb")
VALUES: dict[str, Any] = {
    "text": "=1+1",
    "integer": -7,
    "bigint": 2**60,
    "numeric": "12.345",
    "double": 0.1,
    "boolean": True,
    "timestamptz": "2026-03-02T10:00:00+02:00",
    "date": "2026-03-02",
    "jsonb": {"a": [1, None, "=x"]},
    "text[]": ["a", None, '"'],
    "bigint[]": [1, None],
    "numeric[]": ["0.5", None],
}


def named(kind: str) -> str:
    return f"a_{kind.replace('[]', 's')}"


TABLE: Projection = projection(
    name="typed",
    columns=[UUID, *({"name": named(kind), "type": kind, "from": "subject"} for kind in get_args(ColumnType))],
    destinations=[{"postgres": {"table": "typed"}}, {"parquet": {}}, {"duckdb": {}}, {"csv": {}}],
)


@pytest.fixture
def connections(engine: Engine, redis_client: Redis, tmp_path: Path) -> Connections:
    objects = MemoryStore()
    return Connections(postgres=lambda: engine, redis=lambda: redis_client, objects=lambda: objects, data_dir=tmp_path)


def landed(kind: str, connections: Connections) -> Destination:
    """A destination with a full row, an empty one, and one of another day."""
    destination = destination_kind(kind).connect(TABLE, connections)
    destination.ensure(TABLE)
    sets = [
        row("a", **{named(kind): value for kind, value in VALUES.items()}),
        row("b"),
        row("c", day="2026-03-09"),
    ]
    with destination.session(TABLE, [DAY, "2026-03-09"]) as session:
        assert session.write(sets).rejected == ()
    return destination


def read(destination: Destination) -> Iterator[list[tuple[Any, ...]]]:
    return destination.read(TABLE, "2026-03-01", "2026-03-08")


@pytest.mark.parametrize("kind", KINDS)
def test_every_type_comes_back_as_python_has_it(kind: str, connections: Connections) -> None:
    full, empty = [each for some in read(landed(kind, connections)) for each in some]
    assert full == (
        "a",
        "=1+1",
        -7,
        2**60,
        Decimal("12.345"),
        0.1,
        True,
        datetime(2026, 3, 2, 8, tzinfo=UTC),
        date(2026, 3, 2),
        {"a": [1, None, "=x"]},
        ["a", None, '"'],
        [1, None],
        [Decimal("0.5"), None],
    )
    assert empty == ("b", *[None] * len(VALUES))


@pytest.mark.parametrize("kind", KINDS)
def test_before_anything_landed_there_is_a_frame_without_rows(kind: str, connections: Connections) -> None:
    destination = destination_kind(kind).connect(TABLE, connections)
    if kind == "postgres":
        destination.ensure(TABLE)
    frame = reading.frame(TABLE, read(destination))
    assert (len(frame), str(frame.dtypes["a_timestamptz"])) == (0, "datetime64[us, UTC]")


def test_a_frame_has_types_to_compute_with_and_its_own_nothing(connections: Connections) -> None:
    frame = reading.frame(TABLE, read(landed("postgres", connections)))
    assert {name: str(kind) for name, kind in frame.dtypes.items()} == {
        "uuid": "string",
        "a_text": "string",
        "a_integer": "Int32",
        "a_bigint": "Int64",
        "a_numeric": "Float64",
        "a_double": "Float64",
        "a_boolean": "boolean",
        "a_timestamptz": "datetime64[us, UTC]",
        "a_date": "datetime64[s]",
        "a_jsonb": "object",
        "a_texts": "object",
        "a_bigints": "object",
        "a_numerics": "object",
    }
    assert frame["a_bigint"].tolist() == [2**60, pd.NA]
    assert frame["a_timestamptz"][0] == pd.Timestamp("2026-03-02T08:00:00Z")


def test_what_keeps_rows_in_a_form_of_its_own_says_where_to_read_them(connections: Connections) -> None:
    with pytest.raises(DestinationError, match=r"cannot be read back from CSV here.*postgres, parquet, duckdb"):
        destination_kind("csv").connect(TABLE, connections).read(TABLE, DAY, DAY)


def test_a_csv_export_is_safe_in_a_spreadsheet_unless_asked_otherwise(connections: Connections) -> None:
    destination = landed("postgres", connections)
    safe, verbatim = io.BytesIO(), io.BytesIO()
    assert write_csv(TABLE, read(destination), safe, safe=True) == 2
    write_csv(TABLE, read(destination), verbatim, safe=False)
    header, full, empty = safe.getvalue().decode().splitlines()
    assert header.startswith('"uuid","a_text"')
    assert full == (
        '"a","\'=1+1","-7","1152921504606846976","12.345","0.1","true","2026-03-02T08:00:00+00:00","2026-03-02",'
        '"{""a"":[1,null,""=x""]}","[""a"",null,""\\""""]","[1,null]","[0.5,null]"'
    )
    assert empty == '"b"' + "," * len(VALUES)
    assert '"=1+1"' in verbatim.getvalue().decode()


def test_an_ndjson_export_keeps_every_digit(connections: Connections) -> None:
    out = io.BytesIO()
    assert write_ndjson(TABLE, read(landed("postgres", connections)), out) == 2
    line = out.getvalue().splitlines()[0]
    assert b'"a_numeric":12.345,' in line
    assert orjson.loads(line)["a_jsonb"] == VALUES["jsonb"]


def test_a_parquet_export_opens_in_pandas(connections: Connections) -> None:
    out = io.BytesIO()
    assert write_parquet(TABLE, read(landed("postgres", connections)), out) == 2
    frame = pd.read_parquet(io.BytesIO(out.getvalue()))
    assert frame["a_numeric"][0] == Decimal("12.345")
    assert frame["a_timestamptz"][0] == pd.Timestamp("2026-03-02T08:00:00Z")
    assert list(frame["a_texts"][0]) == ["a", None, '"']


def test_a_projection_is_read_by_its_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, connections: Connections
) -> None:
    (tmp_path / "projections").mkdir()
    (tmp_path / "projections" / "typed.json").write_bytes(orjson.dumps(TABLE.model_dump(mode="json", by_alias=True)))
    monkeypatch.setattr(
        reading, "load_settings", lambda: settings.model_copy(update={"pipelines_dir_setting": tmp_path})
    )
    monkeypatch.setattr(reading, "connections_of", lambda _: connections)
    landed("duckdb", connections)
    read_projection = vcon_platform.read_projection
    frame = read_projection("typed", date(2026, 3, 1), "2026-03-09", destination="duckdb", columns=["a_text", "uuid"])
    assert (list(frame.columns), frame["uuid"].tolist()) == (["a_text", "uuid"], ["a", "b", "c"])
    days = {"name": "typed", "day_from": "2026-03-01", "day_to": "2026-03-09"}
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": "typde"}, "did you mean 'typed'"),
        ({"columns": ["a_txt"]}, "did you mean 'a_text'"),
        ({"destination": "bigquery"}, "not a destination of projection typed"),
        ({"day_to": "2026-02-30"}, "days look like"),
        ({"day_to": "2026-02-01"}, "before they begin"),
    ]
    for given, message in wrong:
        with pytest.raises(ProjectionError, match=message):
            read_projection(**{**days, **given})
