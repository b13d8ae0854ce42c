"""Folders of files, beyond the standard suite: two writers, broken files, columns that come and go, options."""

from __future__ import annotations

import builtins
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from obstore.store import LocalStore
from redis import Redis

from tests.projections.examples import projection
from tests.projections.postgres_rows import DAY, UUID, digest, row
from vcon_platform.projections.catalogue import parse_projection
from vcon_platform.projections.destination import Connections, Destination, Faults
from vcon_platform.projections.destinations.duckdb import DuckDbDestination
from vcon_platform.projections.destinations.files.csv import CsvDestination
from vcon_platform.projections.destinations.files.folder import Folder
from vcon_platform.projections.destinations.files.ndjson import NdjsonDestination
from vcon_platform.projections.destinations.files.object_store import ObjectStoreDestination
from vcon_platform.projections.destinations.files.parquet import ParquetDestination
from vcon_platform.projections.errors import (
    DestinationError,
    DestinationUnavailable,
    ProjectionInvalid,
    SchemaConflict,
)
from vcon_platform.projections.model import Projection


def table(kind: str, options: Mapping[str, Any] = {}, **columns: str) -> Projection:
    """A projection with these columns (name to type) in a destination of this kind."""
    declared = [UUID, *({"name": name, "type": form, "from": "subject"} for name, form in columns.items())]
    return projection(columns=declared, destinations=[{kind: dict(options)}])


@pytest.fixture
def connections(tmp_path: Path, redis_client: Redis) -> Connections:
    (tmp_path / "objects").mkdir()
    objects = LocalStore(str(tmp_path / "objects"))
    return Connections(
        postgres=lambda: pytest.fail("not asked for"),
        redis=lambda: redis_client,
        objects=lambda: objects,
        data_dir=tmp_path,
    )


def put(destination: Destination, declared: Projection, *sets: Any) -> None:
    destination.ensure(declared)
    with destination.session(declared, [DAY]) as session:
        assert session.write(sets).rejected == ()


def file_of(tmp_path: Path, kind: str, name: str) -> Path:
    return tmp_path / "objects" / "projections" / kind / "calls" / f"day={DAY}" / name


def test_two_sessions_on_one_day_do_not_undo_each_others_work(connections: Connections) -> None:
    declared = table("ndjson", value="text")
    together = threading.Barrier(4)
    failures: list[Exception] = []

    def write(writer: int) -> None:
        try:
            mine = NdjsonDestination.connect(declared, connections)
            with mine.session(declared, [DAY]) as session:
                session.write([row(f"{writer}-{number}", value="x") for number in range(5)])
                together.wait()  # all have read the folder, and all write it now
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(NdjsonDestination.connect(declared, connections).held(declared, [DAY])) == 20


def test_a_folder_that_another_holds_is_unavailable_for_a_while(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vcon_platform.projections.destinations.files.folder.WAIT_SECONDS", 0.1)
    declared = table("ndjson", value="text")
    destination = NdjsonDestination.connect(declared, connections)
    folder: Folder = destination._folder(declared)
    with folder.changing(), pytest.raises(DestinationUnavailable, match=r"another landing has held projections/ndjson"):
        put(destination, declared, row("a", value="x"))
    put(destination, declared, row("a", value="x"))


def test_an_empty_text_in_a_csv_is_not_taken_for_nothing(connections: Connections, tmp_path: Path) -> None:
    value = {"name": "value", "type": "text", "from": "subject", "required": True}
    declared = projection(columns=[UUID, value], destinations=[{"csv": {}}])
    destination = CsvDestination.connect(declared, connections)
    put(destination, declared, row("a", value=""), row("b", value='a ",, b'))
    assert destination.faults(declared, [DAY]) == Faults()
    file = file_of(tmp_path, "csv", "rows.csv")
    file.write_text(file.read_text().replace('""', "", 1))
    assert destination.faults(declared, [DAY]) == Faults(empty={"value": 1})


@pytest.mark.parametrize(
    ("kind", "made", "name"),
    [
        ("parquet", ParquetDestination, "rows.parquet"),
        ("csv", CsvDestination, "rows.csv"),
        ("ndjson", NdjsonDestination, "rows.ndjson"),
        ("object_store", ObjectStoreDestination, "a.json"),
    ],
)
def test_a_file_that_somebody_broke_holds_nothing_and_is_replaced(
    connections: Connections, tmp_path: Path, kind: str, made: type[Destination], name: str
) -> None:
    declared = table(kind, value="text")
    destination = made.connect(declared, connections)
    put(destination, declared, row("a", value="x"))
    file_of(tmp_path, kind, name).write_bytes(b"\xff\x00 no such file")
    file_of(tmp_path, kind, "mine.txt").write_text("not the platform's")
    assert destination.held(declared, [DAY]) == {}
    put(destination, declared, row("a", value="x"))
    assert destination.held(declared, [DAY]) == {"a": digest("0")}
    assert file_of(tmp_path, kind, "mine.txt").exists()


@pytest.mark.parametrize("memory", ["lost", "broken"])
def test_without_its_memory_a_folder_is_read_again(connections: Connections, tmp_path: Path, memory: str) -> None:
    declared = table("ndjson", value="text")
    put(NdjsonDestination.connect(declared, connections), declared, row("a", value="x"))
    (remembered,) = (tmp_path / "projections").glob("*.sqlite")
    for path in (tmp_path / "projections").glob("*.sqlite*"):
        path.unlink()
    if memory == "broken":
        remembered.write_bytes(b"no database" * 1000)
    assert NdjsonDestination.connect(declared, connections).held(declared, [DAY]) == {"a": digest("0")}


@pytest.mark.parametrize(
    ("kind", "made"), [("parquet", ParquetDestination), ("csv", CsvDestination), ("ndjson", NdjsonDestination)]
)
def test_columns_come_and_go_and_the_rows_of_others_stay(
    connections: Connections, tmp_path: Path, kind: str, made: type[Destination]
) -> None:
    before, after = table(kind, value="text", old="text"), table(kind, new="bigint", value="text")
    put(made.connect(before, connections), before, row("a", value="x", old="y"))
    destination = made.connect(after, connections)
    put(destination, after, row("b", value="z", new=7))
    path = file_of(tmp_path, kind, f"rows.{kind}")
    read = {"parquet": pd.read_parquet, "csv": pd.read_csv, "ndjson": lambda path: pd.read_json(path, lines=True)}[kind]
    frame = read(path)
    assert list(frame.columns)[:3] == ["uuid", "new", "value"]
    assert "old" not in frame
    assert (frame["value"].tolist(), frame["new"].isna().tolist()) == (["x", "z"], [True, False])
    assert set(destination.held(after, [DAY])) == {"a", "b"}


def test_a_parquet_column_of_another_type_is_refused_while_old_values_would_not_fit(connections: Connections) -> None:
    before, after = table("parquet", value="text"), table("parquet", value="bigint")
    put(ParquetDestination.connect(before, connections), before, row("a", value="x"))
    destination = ParquetDestination.connect(after, connections)
    with pytest.raises(SchemaConflict, match=r"column value of a Parquet file holds values that are no int64: give"):
        put(destination, after, row("b", value=7))
    put(destination, after, row("a", value=7))  # the day's rows made anew


def test_a_number_that_has_no_room_is_told_and_a_finer_one_is_rounded(connections: Connections) -> None:
    declared = table("parquet", value="numeric")
    destination = ParquetDestination.connect(declared, connections)
    with destination.session(declared, [DAY]) as session:
        written = session.write([row("a", value="1e20"), row("b", value="0.1234567890123456789")])
    assert [(each.uuid, each.column, each.reason) for each in written.rejected] == [
        ("a", "value", "has more than 20 digits before the point")
    ]
    ((_, value),) = next(destination.read(declared, DAY, DAY))
    assert str(value) == "0.123456789012345679"


def test_a_whole_vcon_is_delivered_where_a_column_asks_for_it(connections: Connections, tmp_path: Path) -> None:
    declared = table("object_store", document="jsonb")
    put(ObjectStoreDestination.connect(declared, connections), declared, row("a", document={"vcon": "0.4.0"}))
    frame = pd.read_json(file_of(tmp_path, "object_store", "a.json"))
    assert frame["rows"][0] == {"uuid": "a", "document": {"vcon": "0.4.0"}}


def test_a_uuid_never_leads_out_of_its_folder(connections: Connections, tmp_path: Path) -> None:
    declared = table("object_store", value="text")
    destination = ObjectStoreDestination.connect(declared, connections)
    hostile = "../../../../evil"
    put(destination, declared, row(hostile, value="x"))
    assert destination.held(declared, [DAY]) == {hostile: digest("0")}
    assert [path.name for path in tmp_path.rglob("*evil*")] == [
        path.name for path in file_of(tmp_path, "object_store", "").iterdir()
    ]
    assert destination.erase(declared, [hostile]) == [hostile]


def test_a_relative_folder_is_in_the_data_folder(connections: Connections, tmp_path: Path) -> None:
    declared = table("csv", {"url": "lake", "folder": "of/calls"}, value="text")
    put(CsvDestination.connect(declared, connections), declared, row("a", value="x"))
    assert (tmp_path / "lake" / "of" / "calls" / f"day={DAY}" / "rows.csv").is_file()
    assert CsvDestination.target(declared) == "lake/of/calls"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{url: 'ftp://x/y'}", "/destinations/0/csv/url must be a folder, file:///folder or s3://"),
        ("{url: 's3://me:hidden@x/y'}", "must hold no credentials"),
        ("{url: 's3://x/y?secret_access_key=hidden'}", "holds secret_access_key, where everybody sees it"),
        ("{url: 's3://x/y?access_key_id=env:POSTGRES_URL'}", "may not name the variable POSTGRES_URL"),
        ("{folder: '../x'}", "/destinations/0/csv/folder must be a path"),
        ("{formulas: run}", "/destinations/0/csv/formulas"),
        ("{compresion: gzip}", "/destinations/0/csv/compresion"),
    ],
)
def test_options_that_cannot_be_used_are_named_with_their_place(options: str, message: str) -> None:
    text = f"""
name: calls
pipelines: [recall]
rows: conversation
columns: [{{name: uuid, type: text, from: uuid}}]
destinations: [{{csv: {options}}}]
"""
    with pytest.raises(ProjectionInvalid) as told:
        parse_projection(text, "calls.yaml")
    assert message in str(told.value)
    assert "hidden" not in str(told.value)


@pytest.mark.parametrize(
    ("package", "made", "command"),
    [
        ("pyarrow", ParquetDestination, r"pip install 'vcon-platform\[parquet\]'"),
        ("duckdb", DuckDbDestination, r"pip install 'vcon-platform\[duckdb\]'"),
    ],
)
def test_a_package_that_is_missing_is_named_with_the_command(
    connections: Connections, monkeypatch: pytest.MonkeyPatch, package: str, made: type[Destination], command: str
) -> None:
    given = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name == package:
            raise ImportError(name)
        return given(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(DestinationError, match=command):
        made.connect(table(made.kind, value="text"), connections)


def test_a_duckdb_table_grows_and_refuses_what_could_lose_values(tmp_path: Path) -> None:
    destination = DuckDbDestination(tmp_path / "x.duckdb")
    first = table("duckdb", value="integer")
    put(destination, first, row("a", value=7))
    wider = table("duckdb", value="bigint", more="text[]")
    put(destination, wider, row("b", value=2**40, more=["x"]))
    assert [each for some in destination.read(wider, DAY, DAY) for each in some] == [
        ("a", 7, None),
        ("b", 2**40, ["x"]),
    ]
    with pytest.raises(SchemaConflict, match=r"column value of .* is BIGINT, projection calls says BOOLEAN"):
        destination.ensure(table("duckdb", value="boolean", more="text[]"))
    with pytest.raises(SchemaConflict, match=r"column more of .* is no longer declared"):
        destination.ensure(table("duckdb", value="bigint"))
    with pytest.raises(SchemaConflict, match="is kept by projection calls"):
        destination.ensure(
            wider.model_copy(
                update={"name": "other", "destinations": table("duckdb", {"table": "calls"}, v="text").destinations}
            )
        )


def test_what_a_landing_would_change_of_a_duckdb_table_is_told_and_not_done(tmp_path: Path) -> None:
    destination, first = DuckDbDestination(tmp_path / "x.duckdb"), table("duckdb", value="integer")
    assert [step.statement.partition("(")[0] for step in destination.plan(first)][:2] == [
        'CREATE SCHEMA IF NOT EXISTS "main"',
        'CREATE TABLE "main"."calls" ',
    ]
    assert not (tmp_path / "x.duckdb").exists()
    destination.ensure(first)
    assert destination.plan(first) == []
    wider = table("duckdb", value="bigint", more="text[]")
    statements = [step.statement.partition(" IS ")[0] for step in destination.plan(wider)]
    assert statements == [
        'ALTER TABLE "main"."calls" ALTER COLUMN "value" TYPE BIGINT',
        'ALTER TABLE "main"."calls" ADD COLUMN "more" VARCHAR[]',
        'COMMENT ON TABLE "main"."calls"',
    ]
    assert [step.statement for step in destination.plan(table("duckdb", value="boolean")) if step.refused] == [
        'ALTER TABLE "main"."calls" ALTER COLUMN "value" TYPE BOOLEAN'
    ]


def test_a_file_that_is_no_duckdb_file_is_not_written_to(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    path.write_text("a letter to my aunt, which is longer than it seems" * 100)
    with pytest.raises(DestinationError, match="is it one"):
        DuckDbDestination(path).ensure(table("duckdb", value="text"))
    assert path.read_text().startswith("a letter")
