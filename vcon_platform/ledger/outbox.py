"""The outbox: how events get from Redis to Postgres, each exactly once.

The script that commits a change to a vCon adds the change's events to a Redis stream in the same transaction, so an
effect without its event cannot be. From there :func:`ship` takes them to Postgres and only then off the stream. If it
dies in between, the next one ships them again and ``event_id`` keeps them single; so any number may ship at once, and
an outage of Postgres costs nothing but memory in Redis.

An event that can never be stored must neither be lost nor hold up those behind it: it moves to a second stream,
with the reason. ``redrive_rejected`` brings such events back when the cause is mended.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.ledger.errors import EventRefused
from vcon_platform.ledger.events import LedgerEvent, read_event
from vcon_platform.ledger.store import Ledger

if TYPE_CHECKING:
    from redis import Redis

OUTBOX = "ledger:outbox"
"""Stream. Each entry's field ``events`` is a JSON array of events."""
REJECTED = "ledger:rejected"
"""Stream. The same entries, with the fields ``reason`` and ``entry`` (its id in the outbox)."""

# Moving is one step: of two that see the same bad entry, only the one that takes it away writes it down.
_MOVE = """
if redis.call('XDEL', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('XADD', KEYS[2], '*', unpack(ARGV, 2))
return 1
"""


def ship(client: Redis, ledger: Ledger, limit: int = 1_000) -> int:
    """Bring up to ``limit`` entries from the head of the outbox into the ledger; gives how many were taken off, 0
    when the outbox is empty. Raises :class:`LedgerUnavailable` when Postgres is away: everything stays."""
    entries = cast("Sequence[tuple[Any, Mapping[Any, Any]]]", client.xrange(OUTBOX, count=limit))
    if not entries:
        return 0
    events: list[LedgerEvent] = []
    homes: dict[str, Any] = {}  # event id to entry id
    bad: dict[Any, list[tuple[Any, str]]] = {}  # entry id to (event, reason)
    unreadable: dict[Any, str] = {}
    for entry, fields in entries:
        try:
            values = _events_in(fields)
        except EventRefused as refused:
            unreadable[entry] = str(refused)
            continue
        for value in values:
            try:
                event = read_event(value)
            except EventRefused as refused:
                bad.setdefault(entry, []).append((value, str(refused)))
            else:
                events.append(event)
                homes[event.event_id] = entry
    for event, reason in _append(ledger, events):
        bad.setdefault(homes[event.event_id], []).append((event, reason))
    for entry, fields in entries:
        if entry in unreadable:
            _reject(client, entry, fields, unreadable[entry])
        elif entry in bad:
            reasons = "; ".join(dict.fromkeys(reason for _, reason in bad[entry]))
            _reject(client, entry, {"events": orjson.dumps([event for event, _ in bad[entry]])}, reasons)
    done = [entry for entry, _ in entries if entry not in unreadable and entry not in bad]
    if done:
        client.xdel(OUTBOX, *done)
    return len(entries)


def ship_all(client: Redis, ledger: Ledger, *, within: float = inf) -> int:
    """Ship what stands in the outbox now, however much; what comes in meanwhile may stay for the next call, and so may
    what is left after ``within`` seconds. Gives the number of entries taken off. Raises what :func:`ship` raises."""
    left, deadline = waiting(client), time.monotonic() + within
    shipped = 0
    while shipped < left and time.monotonic() < deadline and (taken := ship(client, ledger)):
        shipped += taken
    return shipped


def waiting(client: Redis) -> int:
    """How many entries wait in the outbox."""
    return client.xlen(OUTBOX)


def rejected(client: Redis) -> int:
    """How many entries hold events that could not be stored."""
    return client.xlen(REJECTED)


def redrive_rejected(client: Redis, limit: int = 1_000) -> int:
    """Put up to ``limit`` rejected entries back into the outbox, for when the cause is mended (an older version met
    the events of a newer one, say). Gives how many; entries that hold no ``events`` stay."""
    moved = 0
    move = client.register_script(_MOVE)
    for entry, fields in cast("Sequence[tuple[Any, Mapping[Any, Any]]]", client.xrange(REJECTED, count=limit)):
        events = _field(fields, "events")
        if events is not None:
            moved += cast("int", move(keys=[REJECTED, OUTBOX], args=[entry, "events", events]))
    return moved


def _field(fields: Mapping[Any, Any], name: str) -> Any:
    return fields.get(name.encode(), fields.get(name))


def _events_in(fields: Mapping[Any, Any]) -> list[Any]:
    raw = _field(fields, "events")
    if raw is None:
        raise EventRefused("the entry has no field 'events'")
    try:
        values = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise EventRefused("the field 'events' is not JSON") from None
    if not isinstance(values, list):
        raise EventRefused("the field 'events' is no JSON array")
    return values


def _append(ledger: Ledger, events: Sequence[LedgerEvent]) -> list[tuple[LedgerEvent, str]]:
    """Store these events; the ones that Postgres will not hold are found by halving and given back."""
    try:
        ledger.append_read(events)
    except EventRefused as refused:
        if len(events) == 1:
            return [(events[0], str(refused))]
        middle = len(events) // 2
        return _append(ledger, events[:middle]) + _append(ledger, events[middle:])
    return []


def _reject(client: Redis, entry: Any, fields: Mapping[Any, Any], reason: str) -> None:
    pairs = [part for pair in fields.items() for part in pair]
    client.register_script(_MOVE)(keys=[OUTBOX, REJECTED], args=[entry, *pairs, "reason", reason, "entry", entry])
