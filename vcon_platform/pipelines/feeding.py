"""Feeds: queues whose jobs go to every pipeline that lists them.

A feed waits while one of its pipelines has no room (``max_waiting``): its depth is then what adapters and API see, and
stop at. Copies are made by one script per round, so a job is never in some of its pipelines only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.queueing import queued
from vcon_platform.store.leases import Queues

ROUND = 1_000
"""Jobs copied by one call: some milliseconds of Redis."""


def feeds_of(definitions: Iterable[Definition]) -> dict[str, list[Definition]]:
    """Feed to the pipelines that list it, by name."""
    feeds: dict[str, list[Definition]] = {}
    for definition in sorted(definitions, key=lambda each: each.name):
        for feed in definition.options.feeds:
            feeds.setdefault(feed, []).append(definition)
    return feeds


def fan_out(queues: Queues, feeds: Mapping[str, Sequence[Definition]], *, limit: int) -> list[str]:
    """Hand what waits in these feeds on to their pipelines, at most ``limit`` jobs of each. Gives what is to be told
    of those that could not be emptied."""
    if not feeds:
        return []
    names = {definition.name for targets in feeds.values() for definition in targets}
    states = queues.state(sorted(names | feeds.keys()))
    depths = {name: states[name].ready for name in names}
    notes: list[str] = []
    for feed, targets in feeds.items():
        waiting = states[feed].ready
        if states[feed].paused:
            notes.append(f"feed {feed}: paused, {waiting} wait")
            continue
        rooms = {
            target.name: target.options.max_waiting - depths[target.name]
            for target in targets
            if target.options.max_waiting is not None
        }
        wanted = min([waiting, limit, *(max(0, room) for room in rooms.values())])
        moved, told = 0, queued(f"feed:{feed}")
        while moved < wanted:
            entered = queues.fan_out(
                feed, [target.name for target in targets], limit=min(ROUND, wanted - moved), events=told
            )
            if not entered:
                break
            moved += entered
        for target in targets:
            depths[target.name] += moved
        if full := [name for name, room in rooms.items() if room <= moved < waiting]:
            notes.append(f"feed {feed}: {waiting - moved} wait, no room in {', '.join(full)}")
    return notes
