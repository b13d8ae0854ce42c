"""Reprocessing: a day's conversations go through a pipeline again, those whose result is missing or not of its version.

Belongs here: which ones those are, what that will cost, and entering them. Not here: how far
they have come (``reprocess_progress.py``), Dagster (``assets/reprocess.py``), the command line.

Jobs enter the pipeline's queue with low priority: what arrives today goes first. They carry the reprocessing they
belong to as their origin, by which they can be counted, and withdrawn while they wait. One that is asked for twice is
entered once: it is left out while the conversation waits or is worked on, and ``dedupe`` keeps out what comes between
looking and entering. Left out as well is what stands in the dead queue: its job has not ended, and re-executing the
run that failed takes it up.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from itertools import batched
from typing import Any

from vcon_platform.ledger.outbox import ship_all
from vcon_platform.ledger.store import Ledger
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.queueing import QueueFull, limits_of, queued, room
from vcon_platform.pipelines.rates import read_rates
from vcon_platform.pipelines.reprocess_progress import count
from vcon_platform.store.jobs import new_job
from vcon_platform.store.leases import Queues
from vcon_platform.store.listing import Listing
from vcon_platform.store.opening import Store
from vcon_platform.store.search_query import SearchQuery
from vcon_platform.vcon.turns import has_transcript

PAGE = 1_000
SAMPLE = 1_000
"""Documents read to tell the seconds of audio; of more, so many are taken as typical."""
ROOM_SHARE = 0.5
"""How much of ``max_waiting`` may be filled by reprocessing: adapters and the API need the rest."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of a day's conversations. ``missing``: also those that never came to an end in this pipeline. ``force``:
    also those that have a result of its present version. ``adapter``, ``tag`` (``name:value``), ``text``: only those
    that the search finds by it."""

    force: bool = False
    missing: bool = True
    adapter: str = ""
    tag: str = ""
    text: str = ""

    @property
    def searches(self) -> bool:
        return bool(self.adapter or self.tag or self.text)


@dataclass(slots=True)
class Survey:
    """What reprocessing a day comes to. ``found`` conversations are of it and fit; of these ``current`` have a result
    of the present version, ``unknown`` never ended here (and were not asked for), ``under_way`` wait or are worked on,
    ``dead`` failed and wait for an operator; ``chosen`` are left.

    ``seconds``: the time they are expected to take, None before the first measured run of this version.
    ``audio_seconds``: of their recordings that have no transcript; None where no processor costs anything.
    ``sampled``: that figure is from a part of them. ``paid``: processor to the most calls it can make; what the result
    cache knows is not paid again."""

    found: int = 0
    current: int = 0
    unknown: int = 0
    under_way: int = 0
    dead: int = 0
    chosen: list[str] = field(default_factory=list)
    seconds: float | None = None
    audio_seconds: float | None = None
    sampled: bool = False
    paid: dict[str, int] = field(default_factory=dict)

    def add(self, other: Survey) -> None:
        """The figures of another day as well."""
        for name in ("found", "current", "unknown", "under_way", "dead"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.chosen += other.chosen
        self.sampled |= other.sampled
        if other.seconds is not None:
            self.seconds = (self.seconds or 0.0) + other.seconds
        if other.audio_seconds is not None:
            self.audio_seconds = (self.audio_seconds or 0.0) + other.audio_seconds
        for processor, calls in other.paid.items():
            self.paid[processor] = self.paid.get(processor, 0) + calls

    def to_json(self) -> dict[str, Any]:
        """The figures, for people."""
        figures: dict[str, Any] = {
            "found": self.found,
            "have_current_result": self.current,
            "under_way_already": self.under_way,
            "in_dead_queue": self.dead,
            "to_process": len(self.chosen),
        }
        if self.unknown:
            figures["never_processed_left_out"] = self.unknown
        if self.seconds is not None:
            figures["expected_seconds"] = round(self.seconds, 1)
        if self.audio_seconds is not None:
            figures["audio_seconds_without_transcript"] = round(self.audio_seconds)
            figures["audio_from_sample"] = self.sampled
        for processor, calls in sorted(self.paid.items()):
            figures[f"most_calls_of_{processor}"] = calls
        return figures


class Reprocessing:
    """One reprocessing of a pipeline. ``origin`` is what its jobs carry: ``reprocess:{id}``."""

    def __init__(self, definition: Definition, store: Store, queues: Queues, ledger: Ledger, *, id: str) -> None:
        self.definition = definition
        self.origin = f"reprocess:{id}"
        self._store = store
        self._queues = queues
        self._ledger = ledger
        self._listing = Listing(store.client)

    @cached_property
    def _under_way(self) -> set[str]:
        return self._queues.unsettled(self.definition.name)

    @cached_property
    def _dead(self) -> set[str]:
        return {uuid for dead in self._queues.dead(self.definition.name) for uuid in dead.job.vcon_uuids}

    # --- looking ------------------------------------------------------------------------------------------------

    def survey(self, day: date, selection: Selection) -> Survey:
        """Which conversations of this UTC day would be processed, and what that would cost. Raises LedgerUnavailable
        and StoreUnavailable."""
        # In this order: what neither waits nor is worked on has ended, so its event is in the outbox at the latest.
        under_way, dead = self._under_way, self._dead
        ship_all(self._store.client, self._ledger)
        survey = Survey()
        for chunk in batched(self._of(day, selection), PAGE):
            versions = self._ledger.results_of(self.definition.name, chunk)
            for uuid in chunk:
                survey.found += 1
                if uuid in under_way:
                    survey.under_way += 1
                elif uuid in dead:
                    survey.dead += 1
                elif not selection.force and versions.get(uuid) == self.definition.version:
                    survey.current += 1
                elif not selection.missing and uuid not in versions:
                    survey.unknown += 1
                else:
                    survey.chosen.append(uuid)
        self._estimate(survey)
        return survey

    def _of(self, day: date, selection: Selection) -> Iterator[str]:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        end = start + timedelta(days=1)
        query = SearchQuery(
            adapter=selection.adapter or None,
            tag=selection.tag or None,
            text=selection.text or None,
            created_from=start,
            created_to=end,
            limit=PAGE,
        )
        cursor = None
        while True:
            if selection.searches:
                page = self._store.index.search(replace(query, cursor=cursor))
            else:
                page = self._listing.page(
                    created_from=start, created_to=end, newest_first=False, limit=PAGE, cursor=cursor
                )
            yield from page.uuids
            cursor = page.cursor
            if cursor is None:
                return

    def _estimate(self, survey: Survey) -> None:
        rate = read_rates(self._store.client, [self.definition]).get(self.definition.name)
        if rate:
            survey.seconds = len(survey.chosen) / rate
        paid = [step for step in self.definition.steps if step.processor.effects.costs and step.options.should_process]
        if not paid:
            return
        survey.paid = {step.name: len(survey.chosen) for step in paid}
        every = max(1, -(-len(survey.chosen) // SAMPLE))
        sample = survey.chosen[::every]
        seconds = sum(_untranscribed(vcon) for vcon in self._store.documents.read(sample).values())
        survey.sampled = every > 1
        survey.audio_seconds = seconds * len(survey.chosen) / max(1, len(sample))

    # --- entering -----------------------------------------------------------------------------------------------

    def enter(self, uuids: Sequence[str], first: date, last: date) -> int:
        """Queue these conversations; how many entered. May be broken off, and repeated. Raises :class:`QueueFull` when
        the queue may not take more: what entered stays."""
        entered = 0
        for chunk in batched(uuids, PAGE):
            self._check_room(len(chunk))
            jobs = [new_job(uuid, priority="low", dedupe=uuid, origin=self.origin) for uuid in chunk]
            more = self._queues.push(self.definition.name, jobs, events=queued(self.origin))
            count(self._store.client, self.origin, self.definition.name, more, first, last)
            entered += more
        return entered

    def _check_room(self, more: int) -> None:
        limits = limits_of([self.definition])
        left = room(self._queues, [self.definition.name], limits).get(self.definition.name)
        if left is not None and left - more < limits[self.definition.name] * (1 - ROOM_SHARE):
            raise QueueFull(
                f"queue {self.definition.name} has max_waiting {limits[self.definition.name]}, half of which is for "
                "reprocessing and is used up. What was queued is processed; repeat these days when fewer jobs wait, "
                "or raise max_waiting"
            )


def _untranscribed(vcon: Any) -> float:
    """Seconds of this conversation's recordings that nobody has transcribed."""
    return sum(
        float(dialog["duration"])
        for index, dialog in enumerate(vcon.dialog)
        if isinstance(dialog, dict)
        and dialog.get("type") == "recording"
        and isinstance(dialog.get("duration"), int | float)
        and not has_transcript(vcon, index)
    )
