"""Rows of a projection for analysts: as a pandas DataFrame, and one after the other.

Belongs here: from a projection's name and days to rows, with this installation's settings. Not here: what a destination
does to read (``Destination.read``), writing files (``exporting.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from typing import TYPE_CHECKING, Any

from vcon_platform.projections.catalogue import load_projections
from vcon_platform.projections.destination import Connections, Destination, destination_kind
from vcon_platform.projections.errors import ProjectionError
from vcon_platform.projections.explain import choose
from vcon_platform.projections.model import Projection
from vcon_platform.projections.values import ColumnType
from vcon_platform.settings import Settings, load_settings

if TYPE_CHECKING:
    import pandas as pd

_DTYPES: dict[ColumnType, str] = {
    "text": "string",
    "integer": "Int32",
    "bigint": "Int64",
    "numeric": "Float64",
    "double": "Float64",
    "boolean": "boolean",
    "timestamptz": "datetime64[us, UTC]",
    "date": "datetime64[s]",
}
"""What a column becomes; JSON and lists stay Python objects. All of them hold nothing as pandas' own missing value."""
_READABLE = ("postgres", "parquet", "duckdb")
Day = date | str


def connections_of(settings: Settings) -> Connections:
    """What this installation is connected to; each opens when it is first asked for."""
    from sqlalchemy import create_engine

    from vcon_platform.store.connection import connect
    from vcon_platform.store.objects import open_objects

    return Connections(
        postgres=cache(lambda: create_engine(settings.postgres_url(), pool_pre_ping=True, pool_size=2)),
        redis=cache(lambda: connect(settings.redis_url())),
        objects=cache(lambda: open_objects(settings.objects_url)),
        data_dir=settings.data_dir,
    )


def declared(name: str, settings: Settings) -> Projection:
    """The projection of this name. Raises :class:`ProjectionError`: there is none, or its file is broken."""
    found = load_projections(settings.pipelines_dir / "projections")
    if name in found:
        return found[name]
    for file, error in found.broken.items():
        if file.partition(".")[0] == name:
            raise error
    raise ProjectionError(choose(name, found, "a projection"))


def destination_to_read(projection: Projection, kind: str, connections: Connections) -> Destination:
    """The projection's destination of this kind; "" takes the first of those that rows can be read from. Raises
    :class:`ProjectionError`."""
    kinds = [ref.kind for ref in projection.destinations]
    wanted = kind or next((each for each in _READABLE if each in kinds), kinds[0])
    if wanted not in kinds:
        raise ProjectionError(choose(wanted, kinds, f"a destination of projection {projection.name}"))
    return destination_kind(wanted).connect(projection, connections)


def days_of(day_from: Day, day_to: Day) -> tuple[str, str]:
    """Both days, ISO. Raises :class:`ProjectionError`."""
    try:
        first, last = (
            date.fromisoformat(day) if isinstance(day, str) else date(day.year, day.month, day.day)
            for day in (day_from, day_to)
        )
    except ValueError:
        raise ProjectionError("days look like 2026-01-31") from None
    if last < first:
        raise ProjectionError(f"the days end ({last}) before they begin ({first})")
    return first.isoformat(), last.isoformat()


def read_projection(
    name: str,
    day_from: Day,
    day_to: Day,
    *,
    destination: str = "",
    columns: Sequence[str] | None = None,
) -> pd.DataFrame:
    """The rows of a projection on these UTC days (both included; dates or ISO text) as a DataFrame, from where they
    have landed: ``destination`` is postgres, parquet or duckdb, by default the first of them that the projection has.

    ``columns`` chooses and orders columns. Types are pandas' nullable ones; ``numeric`` becomes Float64, times are in
    UTC, a date is the moment it begins, JSON and lists are Python objects. Reads where this installation's settings say
    (``POSTGRES_URL``, ``VCON_DATA_DIR`` …). Raises :class:`~vcon_platform.errors.PlatformError`.
    """
    settings = load_settings()
    projection = declared(name, settings)
    known = [column.name for column in projection.columns]
    for column in columns or ():
        if column not in known:
            raise ProjectionError(choose(column, known, f"a column of projection {name}"))
    opened = destination_to_read(projection, destination, connections_of(settings))
    return frame(projection, opened.read(projection, *days_of(day_from, day_to)), columns)


def frame(
    projection: Projection, rows: Iterator[list[tuple[Any, ...]]], columns: Sequence[str] | None = None
) -> pd.DataFrame:
    """Rows in the order of ``projection.columns`` as a DataFrame."""
    import pandas as pd

    found: list[list[Any]] = [[] for _ in projection.columns]
    for some in rows:
        for values, more in zip(found, zip(*some, strict=True), strict=True):
            values.extend(more)
    made = {
        column.name: pd.Series(_plain(column.type, values), dtype=_DTYPES.get(column.type, "object"))
        for column, values in zip(projection.columns, found, strict=True)
    }
    return pd.DataFrame({name: made[name] for name in columns or made})


def _plain(column_type: ColumnType, values: list[Any]) -> list[Any]:
    if column_type == "numeric":
        return [None if value is None else float(value) for value in values]
    return values
