"""Base of the destinations that keep rows in files of a folder: which file holds which rows, and sessions.

Belongs here: what is the same for a file per day and for a file per conversation. Not here: the folder itself
(``folder.py``), and how rows are written into a file (one module per kind).

A session gathers what is written and deleted, and changes the files when it ends: each day's file is read, its rows of
the conversations in question are taken out, the new ones are put in, and it is replaced. Files with new rows come
first, so a conversation that moves to another day is never missing in between.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast
from urllib.parse import quote, urlsplit

from pydantic import BaseModel

from vcon_platform.projections.destination import Connections, Destination, Faults, Session, Written
from vcon_platform.projections.destinations.files.folder import Folder, found_on
from vcon_platform.projections.destinations.files.folder_index import FolderIndex, Stand
from vcon_platform.projections.destinations.files.options import FolderOptions
from vcon_platform.projections.errors import DestinationError
from vcon_platform.projections.fitting import FittedRow, fitted
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import count_of
from vcon_platform.projections.values import ColumnType
from vcon_platform.store.objects import SETTING, ObjectsUnavailable, open_objects

if TYPE_CHECKING:
    from obstore.store import ObjectStore
    from redis import Redis

    from vcon_platform.projections.rows import RowSet

OWN_PLACE = "projections"
"""Where rows are in the platform's own object store."""

Row = FittedRow[Any]


class FilesDestination(Destination):
    """Rows in files. A kind says how they are written: :meth:`suffix`, :meth:`value`, :meth:`sets_in`, :meth:`made`."""

    options: ClassVar[type[BaseModel]] = FolderOptions
    workers: ClassVar[int] = 4
    """Files that are read or written at once."""
    per_conversation: ClassVar[bool] = False
    """A file per conversation: its name is the uuid's. Else there is one file per day, named ``rows``."""

    def __init__(
        self, objects: ObjectStore, redis: Callable[[], Redis], data_dir: Path, *, own_url: bool = False
    ) -> None:
        self._objects, self._redis, self._data_dir, self._own_url = objects, redis, data_dir, own_url

    @classmethod
    def connect(cls, projection: Projection, connections: Connections) -> Self:
        url = cls.options_of(projection).url
        if not url:
            return cls(connections.objects(), connections.redis, connections.data_dir)
        if not urlsplit(url).scheme:
            url = (connections.data_dir / url).as_uri()
        try:
            objects = open_objects(url)
        except ObjectsUnavailable as error:
            told = str(error).replace(SETTING, "the destination's option 'url'")
            raise DestinationError(f"projection {projection.name}: {told}") from None
        return cls(objects, connections.redis, connections.data_dir, own_url=True)

    def _folder(self, projection: Projection) -> Folder:
        target = self.target(projection)
        return Folder(
            self._objects,
            self._place(projection),
            name=("" if self.per_conversation else "rows") + self.suffix(projection),
            target=target,
            projection=projection.name,
            index=FolderIndex(self._data_dir / OWN_PLACE / f"{projection.name}.{self.kind}.sqlite", target),
            redis=self._redis,
            contents=lambda data: self.sets_in(projection, data),
            workers=self.workers,
            own_url=self._own_url,
        )

    @classmethod
    def options_of(cls, projection: Projection) -> FolderOptions:
        """The projection's options for this kind."""
        return cast("FolderOptions", cls.options.model_validate(dict(projection.options_for(cls.kind))))

    @classmethod
    def _place(cls, projection: Projection) -> str:
        options = cls.options_of(projection)
        if options.folder:
            return options.folder if options.url else f"{OWN_PLACE}/{options.folder}"
        return projection.name if options.url else f"{OWN_PLACE}/{cls.kind}/{projection.name}"

    @classmethod
    def target(cls, projection: Projection) -> str:
        url = cls.options_of(projection).url.partition("?")[0].rstrip("/")
        return f"{url}/{cls._place(projection)}" if url else cls._place(projection)

    # What a kind of file says.

    @classmethod
    @abstractmethod
    def suffix(cls, projection: Projection) -> str:
        """How the file's name ends: ``.parquet``."""

    @classmethod
    @abstractmethod
    def value(cls, projection: Projection) -> Callable[[Any, ColumnType], Any]:
        """What fits a value for :meth:`made`."""

    @classmethod
    @abstractmethod
    def sets_in(cls, projection: Projection, data: bytes) -> Mapping[str, tuple[str, int]]:
        """What a file holds: uuid to (hash, number of rows), "" for one whose rows are of different sets. Raises
        ValueError, LookupError or TypeError where it is no such file."""

    @classmethod
    @abstractmethod
    def made(cls, projection: Projection, before: bytes | None, drop: Collection[str], rows: Sequence[Row]) -> bytes:
        """The file that holds what ``before`` held, but for the rows of ``drop``, and ``rows``; sorted by uuid."""

    # What is the same for all.

    def ensure(self, projection: Projection) -> None:
        """Nothing: a folder comes into being with its first file, and columns with the next."""

    def held(self, projection: Projection, days: Sequence[str]) -> dict[str, str]:
        folder = self._folder(projection)
        folder.refresh(list(days))
        return {uuid: _whole(stands) for uuid, stands in found_on(folder.index.on(days)).items()}

    def session(self, projection: Projection, days: Sequence[str]) -> Session:
        return _FilesSession(self, self._folder(projection), projection, days)

    def erase(self, projection: Projection, uuids: Sequence[str]) -> list[str]:
        folder = self._folder(projection)
        with folder.changing():
            folder.refresh(None)
            stands = folder.index.of(uuids)
            _change(self, folder, projection, {}, stands)
        there = {each.uuid for each in stands}
        return [uuid for uuid in uuids if uuid in there]

    def count(self, projection: Projection, days: Sequence[str] | None = None) -> dict[str, int]:
        folder = self._folder(projection)
        folder.refresh(None if days is None else list(days))
        rows = folder.index.rows()
        return rows if days is None else {day: rows[day] for day in days if day in rows}

    def files(self, projection: Projection, first: str, last: str) -> Iterator[bytes]:
        """What the files of the days from first to last hold, in the order of days."""
        folder = self._folder(projection)
        folder.refresh(None)
        for path in folder.index.paths(first, last):
            data = folder.read(path)
            if data is not None:
                yield data


class DailyFilesDestination(FilesDestination):
    """Rows in a file per day, which is few enough files to look into all of a landing's again."""

    @classmethod
    @abstractmethod
    def values_in(cls, projection: Projection, data: bytes, names: Sequence[str]) -> Iterable[Sequence[Any]]:
        """What stands in these columns of a file, row by row; None for nothing."""

    def faults(self, projection: Projection, days: Sequence[str]) -> Faults:
        folder = self._folder(projection)
        folder.refresh(list(days))
        files = map(folder.read, sorted({each.path for each in folder.index.on(days)}))
        names = projection.never_empty
        return Faults.among(
            projection, (row for data in files if data for row in self.values_in(projection, data, names))
        )


def _whole(stands: Sequence[Stand]) -> str:
    digests = {each.hash for each in stands}
    rows = sum(each.rows for each in stands)
    return next(iter(digests)) if len(digests) == 1 and count_of(stands[0].hash) == rows else ""


@dataclass(slots=True)
class _Waiting:
    """A conversation's rows until the session ends."""

    day: str
    hash: str
    rows: list[Row] = field(default_factory=list)


class _FilesSession(Session):
    def __init__(
        self, destination: FilesDestination, folder: Folder, projection: Projection, days: Sequence[str]
    ) -> None:
        self._destination, self._folder, self._projection = destination, folder, projection
        self._days = list(days)
        self._waiting: dict[str, _Waiting] = {}
        self._gone: set[str] = set()

    def __enter__(self) -> Self:
        self._refresh()
        return self

    def _refresh(self) -> None:
        """Look at what stands there: on these days, and on all where a look costs little or was never taken."""
        few = not self._destination.per_conversation or not self._folder.index.complete()
        self._folder.refresh(None if few else self._days)

    def write(self, sets: Sequence[RowSet]) -> Written:
        rows, rejected = fitted(self._projection, sets, self._destination.value(self._projection))
        new = {each.uuid: _Waiting(each.day, each.hash) for each in sets}
        for row in rows:
            new[row.uuid].rows.append(row)
        stands = found_on(self._folder.index.of(list(new)))
        changed = []
        for uuid, waiting in new.items():
            if uuid in self._waiting:
                before = self._waiting[uuid]
                there = [(before.day, before.hash, len(before.rows))] if before.rows else []
            else:
                there = [(each.day, each.hash, each.rows) for each in stands.get(uuid, ()) if uuid not in self._gone]
            if there != ([(waiting.day, waiting.hash, len(waiting.rows))] if waiting.rows else []):
                changed.append(uuid)
                self._waiting[uuid] = waiting
        return Written(changed=tuple(changed), rejected=tuple(rejected))

    def delete(self, uuids: Sequence[str]) -> list[str]:
        stands = found_on(self._folder.index.of(uuids))
        deleted = []
        for uuid in dict.fromkeys(uuids):
            if uuid in self._waiting:
                there = self._waiting[uuid].day in self._days and bool(self._waiting[uuid].rows)
                if there:
                    del self._waiting[uuid]
            else:
                there = uuid not in self._gone and any(each.day in self._days for each in stands.get(uuid, ()))
            if there:
                self._gone.add(uuid)
                deleted.append(uuid)
        return deleted

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None or not (self._waiting or self._gone):
            return
        with self._folder.changing():
            self._refresh()  # others may have written since
            stands = self._folder.index.of([*self._waiting, *self._gone])
            old = [each for each in stands if each.uuid in self._waiting or each.day in self._days]
            _change(self._destination, self._folder, self._projection, self._waiting, old)


def _change(
    destination: FilesDestination,
    folder: Folder,
    projection: Projection,
    waiting: Mapping[str, _Waiting],
    old: Sequence[Stand],
) -> None:
    """Take out what stood there (``old``), and put in what waits."""
    new: dict[str, list[Row]] = {}
    days: dict[str, str] = {}
    for uuid, each in waiting.items():
        if each.rows:
            name = quote(uuid, safe="") if destination.per_conversation else "rows"
            path = folder.path(each.day, f"{name}{destination.suffix(projection)}")
            new.setdefault(path, []).extend(each.rows)
            days[path] = each.day
    drop: dict[str, set[str]] = {}
    for stand in old:
        drop.setdefault(stand.path, set()).add(stand.uuid)
        days[stand.path] = stand.day

    held = folder.index.within(list({*new, *drop}))

    def make(path: str) -> tuple[bytes, Mapping[str, tuple[str, int]]]:
        rows = sorted(new.get(path, ()), key=lambda row: row.uuid)
        dropped = drop.get(path, set())
        sets = {uuid: told for uuid, told in held[path].items() if uuid not in dropped}
        before = folder.read(path) if sets else None
        data = destination.made(projection, before, dropped, rows)
        for row in rows:
            sets[row.uuid] = (row.hash, sets.get(row.uuid, ("", 0))[1] + 1)
        return data, sets

    emptied = [path for path in drop if path not in new and not held[path].keys() - drop[path]]
    shrunk = [path for path in drop if path not in new and path not in emptied]
    folder.replace([(path, days[path]) for path in sorted(new)], make)
    folder.replace([(path, days[path]) for path in shrunk], make)
    folder.remove(emptied)


def now() -> datetime:
    """When rows land."""
    return datetime.now(UTC)


def told(rows: Iterable[tuple[str, str]]) -> dict[str, tuple[str, int]]:
    """(uuid, hash) of each row of a file, as uuid to (hash, number of rows); "" where hashes differ."""
    found: dict[str, tuple[str, int]] = {}
    for uuid, digest in rows:
        before, number = found.get(uuid, (digest, 0))
        found[uuid] = (digest if digest == before else "", number + 1)
    return found
