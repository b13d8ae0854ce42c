"""Makes a destination hold what it should on chosen days, and nothing else.

The whole idea of landing is in :func:`compare`: what a destination holds, as (uuid, hash of its rows), against what it
should hold. Nothing here remembers what was sent before, so it does not matter which runs died, which ticks were
lost or came twice, or who else wrote: the next reconcile mends it. The same call serves a sensor's tick, which
changes a handful of conversations, and a year's backfill.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from vcon_platform.projections.destination import Destination, Rejected
from vcon_platform.projections.model import Projection
from vcon_platform.projections.rows import RowSet

CHUNK = 2_000
"""Conversations read and written at a time: enough to make the round trips cheap, little enough to hold in memory."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a destination needs: conversations to ``read`` and write, others to ``delete``; ``unchanged`` is how many
    stand."""

    read: tuple[str, ...]
    delete: tuple[str, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class Landed:
    """What a reconcile did.

    ``written`` and ``deleted`` are uuids; ``unchanged`` is a number of conversations; ``rows`` is how many rows the
    destination now holds on each of the days; ``rejected`` rows do not fit the columns; ``missing`` were expected but
    could not be read any more (erased meanwhile), so they were deleted instead.
    """

    written: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int
    rows: Mapping[str, int]
    rejected: tuple[Rejected, ...] = ()
    missing: tuple[str, ...] = ()


def compare(held: Mapping[str, str], expected: Mapping[str, str]) -> Plan:
    """What to do so that ``held`` becomes ``expected`` (both: uuid to hash). Pure; sorted, so that two runs
    over the same rows meet the database's locks in the same order."""
    read = sorted(uuid for uuid, digest in expected.items() if held.get(uuid) != digest)
    delete = sorted(uuid for uuid in held if uuid not in expected)
    return Plan(read=tuple(read), delete=tuple(delete), unchanged=len(expected) - len(read))


def reconcile(
    projection: Projection,
    destination: Destination,
    days: Sequence[str],
    expected: Mapping[str, str],
    read_rows: Callable[[Sequence[str]], Iterable[RowSet]],
) -> Landed:
    """Let ``destination`` hold on ``days`` (ISO dates) exactly the sets ``expected`` (uuid to hash).

    ``read_rows`` is asked only for what differs, at most :data:`CHUNK` at a time, and leaves out what no longer
    exists. Idempotent, and safe to break off at any point: calling again does the rest. Raises what the destination and
    ``read_rows`` raise.
    """
    destination.ensure(projection)
    plan = compare(destination.held(projection, days), expected)
    written: list[str] = []
    deleted: list[str] = []
    rejected: list[Rejected] = []
    missing: list[str] = []
    if plan.read or plan.delete:
        with destination.session(projection, days) as session:
            if plan.delete:
                deleted += session.delete(plan.delete)
            for at in range(0, len(plan.read), CHUNK):
                wanted = plan.read[at : at + CHUNK]
                sets = {each.uuid: each for each in read_rows(wanted)}
                done = session.write([sets[uuid] for uuid in wanted if uuid in sets])
                written += done.changed
                rejected += done.rejected
                missing += (uuid for uuid in wanted if uuid not in sets)
            if missing:
                deleted += session.delete(missing)
    changed = len(plan.read) - len(missing)
    return Landed(
        written=tuple(written),
        deleted=tuple(deleted),
        unchanged=len(expected) - changed - len(missing),
        rows=dict.fromkeys(days, 0) | destination.count(projection, days),
        rejected=tuple(rejected),
        missing=tuple(missing),
    )
