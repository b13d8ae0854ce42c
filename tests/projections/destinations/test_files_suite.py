"""The standard suite against files in folders: a folder of this machine for every kind, S3 for one."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import obstore
import pytest
from obstore.store import LocalStore
from redis import Redis

from tests.fakes.s3 import FakeS3, fake_s3
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
from tests.support import free_port
from vcon_platform.projections.destination import Connections, Destination, Faults
from vcon_platform.projections.destinations.duckdb import DuckDbDestination
from vcon_platform.projections.destinations.files.base import FilesDestination
from vcon_platform.projections.destinations.files.csv import CsvDestination
from vcon_platform.projections.destinations.files.ndjson import NdjsonDestination
from vcon_platform.projections.destinations.files.object_store import ObjectStoreDestination
from vcon_platform.projections.destinations.files.parquet import ParquetDestination
from vcon_platform.projections.model import Projection


def nobody() -> Any:
    raise AssertionError("not asked for")


class FilesSuite(DestinationSuite):
    """A kind of files in a folder of this machine."""

    examples = 4
    big = 1_000

    made: ClassVar[type[FilesDestination]]
    given: ClassVar[dict[str, Any]] = {}

    @pytest.fixture
    def projection(self) -> Projection:
        return suite_projection(self.made.kind, **self.given)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        return tmp_path / "objects" / "projections" / self.made.kind / "suite"

    @pytest.fixture
    def connections(self, tmp_path: Path, redis_client: Redis) -> Connections:
        (tmp_path / "objects").mkdir()
        objects = LocalStore(str(tmp_path / "objects"))
        return Connections(postgres=nobody, redis=lambda: redis_client, objects=lambda: objects, data_dir=tmp_path)

    @pytest.fixture
    def destination(self, connections: Connections, projection: Projection) -> Destination:
        return self.made.connect(projection, connections)

    @pytest.fixture
    def stored(self, folder: Path, projection: Projection) -> Stored:
        return lambda: [
            row
            for path in sorted(folder.glob("day=*/*"))
            for row in self.rows_in(path.read_bytes())
            if path.parent.name == f"day={row.get('_day', path.parent.name[4:])}"
        ]

    @pytest.fixture
    def lose_one_row(self, folder: Path) -> Callable[[str], None]:
        def lose(uuid: str) -> None:
            for path in folder.glob("day=*/*"):
                rows = self.rows_in(path.read_bytes())
                gone = next((row for row in rows if row["uuid"] == uuid), None)
                if gone is not None:
                    self.put_back(path, [row for row in rows if row is not gone])

        return lose

    def rows_in(self, data: bytes) -> list[dict[str, Any]]:
        raise NotImplementedError

    def put_back(self, path: Path, rows: list[dict[str, Any]]) -> None:
        """As a person would who edits the file."""
        raise NotImplementedError


class DailyFilesSuite(FilesSuite):
    """A kind that has a file per day."""

    def test_what_people_doubled_or_emptied_is_told(
        self, destination: Destination, projection: Projection, folder: Path
    ) -> None:
        sets = [a_set(projection, A, DAYS[0], row(0, note=""), row(1)), a_set(projection, B, DAYS[1])]
        Declared(projection, sets).land(destination)
        assert destination.faults(projection, DAYS) == Faults()
        [path] = folder.glob(f"day={DAYS[0]}/*")
        first, second = self.rows_in(path.read_bytes())
        self.put_back(path, [first, first, second | {"position": None}])
        assert destination.faults(projection, DAYS) == Faults(duplicates=1, empty={"position": 1})
        assert destination.faults(projection, DAYS[1:]) == Faults()


class TestParquet(DailyFilesSuite):
    made = ParquetDestination

    def rows_in(self, data: bytes) -> list[dict[str, Any]]:
        import pyarrow.parquet as pq

        rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(data)).to_pylist()
        return rows

    def put_back(self, path: Path, rows: list[dict[str, Any]]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows, schema=pq.read_schema(path)), path)


class TestCsv(DailyFilesSuite):
    made = CsvDestination

    def kept_text(self, text: str) -> str:
        plain = text.replace("\0", "")
        return f"'{plain}" if plain.startswith(("=", "+", "-", "@", "\t", "\r")) else plain

    def rows_in(self, data: bytes) -> list[dict[str, Any]]:
        return list(csv.DictReader(io.StringIO(data.decode(), newline="")))

    def put_back(self, path: Path, rows: list[dict[str, Any]]) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


class TestNdjson(DailyFilesSuite):
    made = NdjsonDestination

    def rows_in(self, data: bytes) -> list[dict[str, Any]]:
        return [json.loads(line, parse_float=Decimal) for line in data.decode().split("\n") if line]

    def put_back(self, path: Path, rows: list[dict[str, Any]]) -> None:
        path.write_text("".join(json.dumps(row, default=float) + "\n" for row in rows))


class TestObjectStore(FilesSuite):
    """A file per conversation, so a big landing is many files."""

    made = ObjectStoreDestination
    big = 200

    def rows_in(self, data: bytes) -> list[dict[str, Any]]:
        found = json.loads(data)
        return [row | {"_day": found["day"]} for row in found["rows"]]

    def put_back(self, path: Path, rows: list[dict[str, Any]]) -> None:
        path.write_text(json.dumps(json.loads(path.read_bytes()) | {"rows": rows}))


class TestCompressedCsvVerbatimOnS3(TestCsv):
    """In a bucket: what differs is the store and how a file is packed, so a few examples do."""

    given: ClassVar[dict[str, Any]] = {"compression": "gzip", "formulas": "verbatim"}
    examples = 2
    big = 200

    def kept_text(self, text: str) -> str:
        return text.replace("\0", "")

    def rows_in(self, data: bytes) -> list[dict[str, Any]]:
        return super().rows_in(gzip.decompress(data))

    @pytest.fixture(scope="class")
    def s3(self) -> Iterator[FakeS3]:
        with fake_s3("lake") as running:
            yield running

    @pytest.fixture
    def projection(self, s3: FakeS3, monkeypatch: pytest.MonkeyPatch) -> Projection:
        monkeypatch.setenv("AWS_LAKE_KEY", "a-key")
        monkeypatch.setenv("AWS_LAKE_SECRET", "a-secret")
        url = s3.url("lake", "here").replace("TEST_KEY", "AWS_LAKE_KEY").replace("TEST_SECRET", "AWS_LAKE_SECRET")
        return suite_projection("csv", **self.given, url=url)

    @pytest.fixture
    def stored(self, s3: FakeS3, projection: Projection) -> Stored:
        objects = s3.objects("lake", "here")

        def read() -> list[dict[str, Any]]:
            paths = [meta["path"] for chunk in obstore.list(objects, "suite/") for meta in chunk]
            return [row for path in paths for row in self.rows_in(bytes(obstore.get(objects, path).bytes()))]

        return read

    @pytest.fixture
    def folder(self) -> Path:
        pytest.skip("as in a folder")

    @pytest.fixture
    def refused(self, s3: FakeS3, connections: Connections, monkeypatch: pytest.MonkeyPatch) -> Destination:
        monkeypatch.setenv("AWS_LAKE_SECRET", SECRET)
        url = s3.url("of-somebody-else").replace("TEST_KEY", "AWS_LAKE_KEY").replace("TEST_SECRET", "AWS_LAKE_SECRET")
        return CsvDestination.connect(suite_projection("csv", **self.given, url=url), connections)

    @pytest.fixture
    def unreachable(self, connections: Connections) -> Destination:
        url = f"s3://bucket/x?endpoint=http://127.0.0.1:{free_port()}&region=eu&allow_http=true&skip_signature=true"
        return CsvDestination.connect(suite_projection("csv", **self.given, url=url), connections)


class TestDuckDb(DestinationSuite):
    """DuckDB takes longest to start, so it is kept running from call to call; ``test_files.py`` has it opened anew."""

    examples = 4
    big = 1_000

    @pytest.fixture
    def projection(self) -> Projection:
        return suite_projection("duckdb")

    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        return tmp_path / "rows.duckdb"

    @pytest.fixture
    def destination(self, file: Path) -> Iterator[DuckDbDestination]:
        import duckdb

        with duckdb.connect(str(file)):
            yield DuckDbDestination(file)

    @pytest.fixture
    def stored(self, file: Path) -> Stored:
        import duckdb

        def read() -> list[dict[str, Any]]:
            with duckdb.connect(str(file)) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                found = connection.execute('SELECT uuid, position, note, seconds, "at"::VARCHAR AS "at" FROM suite')
                names = [name for name, *_ in found.description]
                return [dict(zip(names, row, strict=True)) for row in found.fetchall()]

        return read

    @pytest.fixture
    def lose_one_row(self, file: Path) -> Callable[[str], None]:
        import duckdb

        def lose(uuid: str) -> None:
            with duckdb.connect(str(file)) as connection:
                connection.execute("DELETE FROM suite WHERE uuid = ? AND position = 0", [uuid])

        return lose

    def test_what_people_doubled_or_emptied_is_told(
        self, destination: DuckDbDestination, projection: Projection, file: Path
    ) -> None:
        import duckdb

        assert destination.faults(projection, DAYS) == Faults()
        Declared(projection, [a_set(projection, A, DAYS[0], row(0), row(1)), a_set(projection, B, DAYS[1])]).land(
            destination
        )
        assert destination.faults(projection, DAYS) == Faults()
        with duckdb.connect(str(file)) as connection:
            connection.execute("INSERT INTO suite SELECT * FROM suite WHERE position = 1")
            connection.execute("UPDATE suite SET position = NULL WHERE uuid = ? AND position = 0", [A])
        assert destination.faults(projection, DAYS) == Faults(duplicates=1, empty={"position": 1})
        assert destination.faults(projection, DAYS[1:]) == Faults()

    @pytest.fixture
    def unreachable(self, tmp_path: Path) -> Iterator[Destination]:
        """Another program has the file open."""
        import subprocess
        import sys

        file = tmp_path / "of_another.duckdb"
        program = (
            f"import duckdb, sys; held = duckdb.connect({str(file)!r}); print('open', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
        ) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"open\n"
            yield DuckDbDestination(file, wait_seconds=0.3)
            other.communicate(b"")
