"""What each file of a folder of rows holds, remembered so that no file is read twice.

Belongs here: the memory. Not here: listing and reading files (``folder.py``).

The files are the truth: an entry counts only while the file's e_tag, as the object store lists it, is the one that was
read. So this may be lost, or be another machine's, and everything stays right; only more is read. It is an SQLite file
in the data folder, because a conversation that moves to another day has to be found among all days.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

_VERSION = 1
_TABLES = f"""
CREATE TABLE meta (target TEXT NOT NULL, complete INTEGER NOT NULL);
CREATE TABLE files (path TEXT PRIMARY KEY, day TEXT NOT NULL, e_tag TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE sets (path TEXT NOT NULL, uuid TEXT NOT NULL, hash TEXT NOT NULL, rows INTEGER NOT NULL,
  PRIMARY KEY (path, uuid)) WITHOUT ROWID;
CREATE INDEX sets_by_uuid ON sets (uuid);
CREATE INDEX files_by_day ON files (day);
PRAGMA user_version = {_VERSION};
"""


@dataclass(frozen=True, slots=True)
class Stand:
    """Where rows of a conversation stand: ``hash`` is "" where they are of different sets."""

    uuid: str
    path: str
    day: str
    hash: str
    rows: int


@dataclass(frozen=True, slots=True)
class File:
    """What a file holds: uuid to (hash, number of rows)."""

    path: str
    day: str
    e_tag: str
    sets: Mapping[str, tuple[str, int]]


class FolderIndex:
    """One folder's memory. Usable by many threads and processes; each call is a transaction."""

    def __init__(self, file: Path, target: str) -> None:
        self._file, self._target = file, target

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with closing(self._connected()) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _connected(self, begin_anew: bool = True) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(self._file, timeout=60, isolation_level=None)
        try:
            self._prepare(connection)
        except sqlite3.DatabaseError as error:
            connection.close()
            if not begin_anew or isinstance(error, sqlite3.OperationalError):  # locked, disk full: no broken file
                raise
            self._file.unlink(missing_ok=True)
            return self._connected(begin_anew=False)
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == _VERSION and connection.execute("SELECT target FROM meta").fetchone() == (self._target,):
            return
        connection.execute("BEGIN IMMEDIATE")
        (version,) = connection.execute("PRAGMA user_version").fetchone()  # another may have been quicker
        if version != _VERSION or connection.execute("SELECT target FROM meta").fetchone() != (self._target,):
            for name in ("meta", "files", "sets"):
                connection.execute(f"DROP TABLE IF EXISTS {name}")
            for statement in _TABLES.split(";\n"):
                connection.execute(statement)
            connection.execute("INSERT INTO meta VALUES (?, 0)", (self._target,))
        connection.execute("COMMIT")

    def complete(self) -> bool:
        """Whether every file of the folder was listed once."""
        with self._open() as connection:
            return bool(connection.execute("SELECT complete FROM meta").fetchone()[0])

    def differs(self, listed: Mapping[str, str], days: Sequence[str] | None) -> list[str]:
        """Forget the files that are not among ``listed`` (path to e_tag; of these days, or all there are), and say
        which of them have to be read."""
        with self._open() as connection:
            known = dict(
                connection.execute("SELECT path, e_tag FROM files")
                if days is None
                else connection.execute(
                    "SELECT path, e_tag FROM files WHERE day IN (SELECT value FROM json_each(?))", (json.dumps(days),)
                )
            )
            _forget(connection, [path for path in known if path not in listed])
            if days is None:
                connection.execute("UPDATE meta SET complete = 1")
        return [path for path, e_tag in listed.items() if known.get(path) != e_tag]

    def put(self, files: Iterable[File]) -> None:
        """Remember what these files hold. Writes only what differs: of a big day little does."""
        with self._open() as connection:
            for file in files:
                found = connection.execute("SELECT uuid, hash, rows FROM sets WHERE path = ?", (file.path,))
                known = {uuid: (digest, rows) for uuid, digest, rows in found}
                gone = [(file.path, uuid) for uuid in known.keys() - file.sets.keys()]
                new = [(file.path, uuid, *told) for uuid, told in file.sets.items() if known.get(uuid) != told]
                connection.execute("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", (file.path, file.day, file.e_tag))
                connection.executemany("DELETE FROM sets WHERE path = ? AND uuid = ?", gone)
                connection.executemany("INSERT OR REPLACE INTO sets VALUES (?, ?, ?, ?)", new)

    def forget(self, paths: Iterable[str]) -> None:
        """Forget files."""
        with self._open() as connection:
            _forget(connection, list(paths))

    def on(self, days: Sequence[str]) -> list[Stand]:
        """Everything that stands on these days."""
        return self._stands("f.day IN (SELECT value FROM json_each(?))", days)

    def of(self, uuids: Sequence[str]) -> list[Stand]:
        """Everything that stands of these conversations, on whatever day."""
        return self._stands("s.uuid IN (SELECT value FROM json_each(?))", uuids)

    def _stands(self, where: str, values: Sequence[str]) -> list[Stand]:
        query = f"SELECT s.uuid, s.path, f.day, s.hash, s.rows FROM sets s JOIN files f USING (path) WHERE {where}"  # noqa: S608 - of this file
        with self._open() as connection:
            return [Stand(*row) for row in connection.execute(query, (json.dumps(list(values)),))]

    def within(self, paths: Sequence[str]) -> dict[str, dict[str, tuple[str, int]]]:
        """What these files hold, each: uuid to (hash, number of rows)."""
        found: dict[str, dict[str, tuple[str, int]]] = {path: {} for path in paths}
        query = "SELECT path, uuid, hash, rows FROM sets WHERE path IN (SELECT value FROM json_each(?))"
        with self._open() as connection:
            for path, uuid, digest, rows in connection.execute(query, (json.dumps(list(paths)),)):
                found[path][uuid] = (digest, rows)
        return found

    def paths(self, first: str, last: str) -> list[str]:
        """The files of the days from first to last, in this order."""
        with self._open() as connection:
            found = connection.execute(
                "SELECT path FROM files WHERE day BETWEEN ? AND ? ORDER BY day, path", (first, last)
            )
            return [path for (path,) in found]

    def rows(self) -> dict[str, int]:
        """Rows per day."""
        with self._open() as connection:
            return dict(
                connection.execute("SELECT f.day, sum(s.rows) FROM sets s JOIN files f USING (path) GROUP BY f.day")
            )


def _forget(connection: sqlite3.Connection, paths: Sequence[str]) -> None:
    told = json.dumps(paths)
    connection.execute("DELETE FROM sets WHERE path IN (SELECT value FROM json_each(?))", (told,))
    connection.execute("DELETE FROM files WHERE path IN (SELECT value FROM json_each(?))", (told,))
