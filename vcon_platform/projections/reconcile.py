"""Makes a destination hold what it should on chosen days, and nothing else.

The whole idea of landing is in :func:`compare`: what a destination holds, as (uuid, hash of its rows), against what it
should hold. Nothing here remembers what was sent before, so it does not matter which runs died, which ticks were
lost or came twice, or who else wrote: the next reconcile mends it. The same call serves a sensor's tick, which
changes a handful of conversations, and a year's backfill.

Afterwards the destination is asked again what it holds: what it was told to do is not taken for done.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import batched

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

    ``written`` (new or changed) and ``deleted`` are uuids; ``unchanged`` conversations stood there as they should;
    ``rows`` is how many rows the destination now holds on each of the days; ``rejected`` rows do not fit the columns;
    ``missing`` were expected but are not of these days any more (erased or moved meanwhile), so they were deleted
    instead. ``wrong`` are uuids that the destination, asked again, does not hold as it should: others write there too,
    or it does not do what it says. ``told`` is what it told of the session.
    """

    written: tuple[str, ...]
    deleted: tuple[str, ...]
    unchanged: int
    rows: Mapping[str, int]
    rejected: tuple[Rejected, ...] = ()
    missing: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    held: Mapping[str, str] = field(default_factory=dict, repr=False)
    """uuid to hash of what stands on the days now."""
    hashes: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Of what was written, uuid to hash."""
    told: Mapping[str, float | str] = field(default_factory=dict)


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
    *,
    held: Mapping[str, str] | None = None,
) -> Landed:
    """Let ``destination`` hold on ``days`` (ISO dates) exactly the sets ``expected`` (uuid to hash).

    ``read_rows`` is asked only for what differs, at most :data:`CHUNK` at a time, and leaves out what no longer
    exists. ``held``: what the destination holds there, from the caller who has asked (and called ``ensure``) already.
    One session: it is done as a whole where the destination can do that. Idempotent, and safe to break off at any
    point: calling again does the rest. Raises what the destination and ``read_rows`` raise.
    """
    if held is None:
        destination.ensure(projection)
        held = destination.held(projection, days)
    plan = compare(held, expected)
    standing = {uuid: digest for uuid, digest in expected.items() if held.get(uuid) == digest}
    written: dict[str, str] = {}
    deleted: list[str] = []
    rejected: list[Rejected] = []
    missing: list[str] = []
    told: Mapping[str, float | str] = {}
    wrong: tuple[str, ...] = ()
    if plan.read or plan.delete:
        with destination.session(projection, days) as session:
            if plan.delete:
                deleted += session.delete(plan.delete)
            for wanted in batched(plan.read, CHUNK):
                sets = {each.uuid: each for each in read_rows(wanted) if each.day in days}
                done = session.write([sets[uuid] for uuid in wanted if uuid in sets])
                written |= {uuid: sets[uuid].hash for uuid in done.changed}
                rejected += done.rejected
                missing += (uuid for uuid in wanted if uuid not in sets)
                standing |= {uuid: each.hash for uuid, each in sets.items()}
            if missing:
                deleted += session.delete(missing)
        told = dict(session.told)
        held = destination.held(projection, days)
        wrong = _wrong(held, standing, {each.uuid for each in rejected})
    return Landed(
        written=tuple(written),
        deleted=tuple(deleted),
        unchanged=plan.unchanged,
        rows=dict.fromkeys(days, 0) | destination.count(projection, days),
        rejected=tuple(rejected),
        missing=tuple(missing),
        wrong=wrong,
        held=held,
        hashes=written,
        told=told,
    )


def _wrong(held: Mapping[str, str], standing: Mapping[str, str], rejected: set[str]) -> tuple[str, ...]:
    """The uuids that are there and should not be, or are not as they should be. A set of which a row was rejected is
    never whole."""
    plan = compare(held, standing)
    return tuple(uuid for uuid in (*plan.read, *plan.delete) if uuid not in rejected)
