"""Makes a destination hold what it should on chosen days, and nothing else.

The whole idea of landing is in :func:`compare`: what a destination holds, as (uuid, row hash), against what it
should hold. Nothing here remembers what was sent before, so it does not matter which runs died, which ticks were
lost or came twice, or who else wrote: the next reconcile mends it. The same call serves a sensor's tick, which
changes a handful of rows, and a year's backfill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vcon_platform.projections.destination import Destination, Rejected
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import Row

CHUNK = 2_000
"""Rows read and written at a time: enough to make the round trips cheap, little enough to hold in memory."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a destination needs: rows to ``read`` and write, rows to ``delete``; ``unchanged`` is how many stand."""

    read: tuple[str, ...]
    delete: tuple[str, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class Landed:
    """What a reconcile did.

    ``written`` and ``deleted`` are uuids; ``unchanged`` is a number; ``rows`` is how many rows the destination now
    holds on each of the days; ``rejected`` rows do not fit the columns; ``missing`` were expected but could not be
    read any more (erased meanwhile), so they were deleted instead.
    """

    written: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int
    rows: Mapping[str, int]
    rejected: tuple[Rejected, ...] = ()
    missing: tuple[str, ...] = ()


def compare(held: Mapping[str, str], expected: Mapping[str, str]) -> Plan:
    """What to do so that ``held`` becomes ``expected`` (both: uuid to row hash). Pure; sorted, so that two runs
    over the same rows meet the database's locks in the same order."""
    read = sorted(uuid for uuid, row_hash in expected.items() if held.get(uuid) != row_hash)
    delete = sorted(uuid for uuid in held if uuid not in expected)
    return Plan(read=tuple(read), delete=tuple(delete), unchanged=len(expected) - len(read))


def reconcile(
    projection: Projection,
    destination: Destination,
    days: Sequence[str],
    expected: Mapping[str, str],
    read_rows: Callable[[Sequence[str]], Iterable[Row]],
) -> Landed:
    """Let ``destination`` hold on ``days`` (ISO dates) exactly the rows ``expected`` (uuid to row hash).

    ``read_rows`` is asked only for rows that differ, at most :data:`CHUNK` at a time, and leaves out what no longer
    exists. Idempotent, and safe to break off at any point: what was done stays done, calling again does the rest.
    Deletes come first, so that what must be gone is gone even if writing fails. Raises what the destination and
    ``read_rows`` raise.
    """
    destination.ensure(projection)
    plan = compare(destination.held(projection, days), expected)
    deleted = list(destination.delete(projection, plan.delete, days)) if plan.delete else []
    written: list[str] = []
    rejected: list[Rejected] = []
    missing: list[str] = []
    for at in range(0, len(plan.read), CHUNK):
        wanted = plan.read[at : at + CHUNK]
        rows = {row.uuid: row for row in read_rows(wanted)}
        done = destination.write(projection, [rows[uuid] for uuid in wanted if uuid in rows])
        written += done.changed
        rejected += done.rejected
        missing += (uuid for uuid in wanted if uuid not in rows)
    if missing:
        deleted += destination.delete(projection, missing, days)
    return Landed(
        written=tuple(written),
        deleted=tuple(deleted),
        unchanged=len(expected) - len(written) - len(rejected) - len(missing),
        rows=dict.fromkeys(days, 0) | destination.count(projection, days),
        rejected=tuple(rejected),
        missing=tuple(missing),
    )
