"""Rows, and looking at what stands in a database: what the Postgres tests are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Engine, create_engine, text

from tests.projections.examples import projection
from vcon_platform.projections.destination import Written
from vcon_platform.projections.destinations.postgres.destination import PostgresDestination
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet
from vcon_platform.vcon.uuids import new_uuid

DAY = "2026-03-02"
UUID = {"name": "uuid", "type": "text", "from": "uuid"}


def select(engine: Engine, query: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def run(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(statement))


def row(uuid: str | None = None, day: str = DAY, **values: Any) -> RowSet:
    """A set of one row."""
    return RowSet(uuid=uuid or new_uuid(), day=day, rows=(values,), hash=digest("0"))


def digest(of: str, rows: int = 1) -> str:
    return f"{'0' * 12}-{of * 16}-{rows}"


def changed(one: RowSet, *rows: dict[str, Any]) -> RowSet:
    """The same conversation with these rows."""
    return replace(one, rows=rows, hash=digest("1", len(rows)))


def write(
    destination: PostgresDestination, declared: Projection, sets: Sequence[RowSet], days: Sequence[str] = (DAY,)
) -> Written:
    with destination.session(declared, days) as session:
        return session.write(sets)


def delete(destination: PostgresDestination, uuids: Sequence[str], days: Sequence[str] = (DAY,)) -> list[str]:
    with destination.session(projection(), days) as session:
        return session.delete(uuids)


def run_alone(url: str, statement: str) -> None:
    """A statement that stands in no transaction."""
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()
