"""What operators, adapters and the API do with queues: enter, withdraw, bring back; and how much room there is.

Belongs here: the ledger's events of such moves, and which queues mean something in this installation. Not here: moving
jobs (``store/``), turning what waits into runs (``dispatch.py``), copying from feeds (``feeding.py``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vcon_platform.errors import PlatformError
from vcon_platform.ledger.events import EventForm, EventKind
from vcon_platform.pipelines.catalogue import Catalogue
from vcon_platform.pipelines.definition import Definition
from vcon_platform.pipelines.faults import did_you_mean
from vcon_platform.store import keys
from vcon_platform.store.documents import DocumentStore
from vcon_platform.store.jobs import DeadJob, Job, Priority, new_job
from vcon_platform.store.leases import Queues
from vcon_platform.store.waiting import Events, QueueState


class UnknownQueue(PlatformError):
    """A queue that nothing in this installation reads or writes."""


class UnknownVcons(PlatformError):
    """Jobs were to be queued for vCons that are not in the store. ``uuids``: which."""

    def __init__(self, uuids: Sequence[str]) -> None:
        named = ", ".join(uuids[:20]) + (f" and {len(uuids) - 20} more" if len(uuids) > 20 else "")
        super().__init__(f"not in the store: {named}. Nothing was queued; add these vCons first, or leave them out")
        self.uuids = tuple(uuids)


class QueueFull(PlatformError):
    """More jobs wait in a queue than its pipeline allows for."""


def queued(by: str) -> Events:
    """The events of jobs that ``by`` (``operator``, ``api``, ``feed:…``) enters into a queue."""
    return _events(EventKind.QUEUED, by)


def withdrawn(by: str) -> Events:
    """The events of jobs that ``by`` takes out of a queue."""
    return _events(EventKind.WITHDRAWN, by)


def redriven(by: str) -> Events:
    """The events of dead jobs that ``by`` lets begin again in a queue."""
    return _events(EventKind.REDRIVEN, by)


def _events(kind: EventKind, by: str) -> Events:
    form = EventForm(kind)

    def events(queue: str, job: Job) -> list[bytes]:
        return [form.event(uuid, queue=queue, job=job.id, by=by) for uuid in job.vcon_uuids]

    return events


def new_jobs(
    uuids: Sequence[str],
    *,
    together: bool = False,
    priority: Priority = "normal",
    delay: float = 0.0,
    dedupe: bool | str = False,
    parameters: Mapping[str, Any] | None = None,
    origin: str = "",
) -> list[Job]:
    """One job for each of these vCons, or one for all of them ``together``. ``delay``: seconds before which it is not
    leased. ``dedupe``: true stands for a text made of the job's uuids."""
    groups = [tuple(uuids)] if together else [(uuid,) for uuid in dict.fromkeys(uuids)]
    not_before = time.time() + delay if delay else 0.0
    return [
        new_job(
            *group,
            parameters=parameters,
            priority=priority,
            not_before=not_before,
            dedupe=dedupe if isinstance(dedupe, str) else ",".join(group) if dedupe else "",
            origin=origin,
        )
        for group in groups
    ]


def limits_of(definitions: Iterable[Definition]) -> dict[str, int]:
    """Most jobs that may wait, by queue: a pipeline's ``max_waiting``, which holds for its feeds too (the smallest,
    where a feed serves several). Queues without a limit are left out."""
    limits: dict[str, int] = {}
    for definition in definitions:
        most = definition.options.max_waiting
        if most is not None:
            for queue in (definition.name, *definition.options.feeds):
                limits[queue] = min(most, limits.get(queue, most))
    return limits


def room(queues: Queues, names: Sequence[str], limits: Mapping[str, int]) -> dict[str, int]:
    """How many more jobs may enter each of these queues (0: it is full); those without a limit are left out."""
    limited = [name for name in names if name in limits]
    if not limited:
        return {}
    states = queues.state(limited)
    return {name: max(0, limits[name] - states[name].waiting) for name in limited}


@dataclass(frozen=True, slots=True)
class QueueOverview:
    """A queue as an operator sees it. ``known``: some definition names it. ``dead``: failed jobs of its pipeline."""

    name: str
    state: QueueState
    dead: int
    limit: int | None
    pipeline: bool
    known: bool


class QueueDesk:
    """Queues as the command line and the REST API serve them. ``by``: who it is that asks, for the ledger."""

    def __init__(
        self, queues: Queues, documents: DocumentStore, catalogue: Callable[[], Catalogue], *, by: str
    ) -> None:
        self.queues = queues
        self._documents = documents
        self._catalogue = catalogue
        self._by = by

    def names(self) -> list[str]:
        """Every queue that a definition names or that anything ever entered."""
        return sorted(self._catalogue().queues() | set(self.queues.names()))

    def check(self, names: Sequence[str]) -> None:
        """May a new vCon enter these queues? Raises :class:`NameRefused`, :class:`UnknownQueue` for a queue that no
        definition names, :class:`QueueFull` for one without room."""
        catalogue = self._catalogue()
        known = catalogue.queues()
        for name in names:
            keys.queue(name)
            if name not in known:
                raise UnknownQueue(
                    f"queue {name!r}: no pipeline has it as its own queue, feed, success or failure queue"
                    f"{did_you_mean(name, known)}; there are {', '.join(sorted(known)) or 'none'}"
                )
        limits = limits_of(catalogue.pipelines.values())
        if full := [name for name, left in room(self.queues, names, limits).items() if not left]:
            raise QueueFull(
                f"queue {full[0]!r} is full: {limits[full[0]]} jobs wait (max_waiting). Nothing was kept; come again "
                "later"
            )

    def overview(self, names: Sequence[str] | None = None) -> list[QueueOverview]:
        """What these queues hold (default: all)."""
        catalogue = self._catalogue()
        chosen = list(names) if names is not None else self.names()
        known = catalogue.queues()
        limits = limits_of(catalogue.pipelines.values())
        states, dead = self.queues.state(chosen), self.queues.dead_count(chosen)
        pipelines = {*catalogue.pipelines, *catalogue.broken}
        return [
            QueueOverview(name, states[name], dead[name], limits.get(name), name in pipelines, name in known)
            for name in chosen
        ]

    def one(self, name: str) -> QueueOverview:
        """One queue. Raises :class:`UnknownQueue` for a name that was never heard of."""
        if name not in (names := self.names()):
            raise UnknownQueue(f"there is no queue {name!r}{did_you_mean(name, names)}")
        return self.overview([name])[0]

    def push(self, queue: str, jobs: Sequence[Job]) -> int:
        """Enter jobs, whatever the queue's limit; how many entered (one that is a duplicate on request does not).
        Raises :class:`UnknownQueue`, :class:`UnknownVcons`; nothing is queued then."""
        self.one(queue)
        wanted = list(dict.fromkeys(uuid for job in jobs for uuid in job.vcon_uuids))
        known = self._documents.known(wanted)
        if missing := [uuid for uuid in wanted if uuid not in known]:
            raise UnknownVcons(missing)
        return self.queues.push(queue, jobs, events=queued(self._by))

    def withdraw(self, queue: str, job_ids: Collection[str]) -> list[Job]:
        """Take these jobs out of a queue for good; those that were still there."""
        return self.queues.withdraw(queue, job_ids, events=withdrawn(self._by))

    def purge(self, queue: str, origin: str | None = None) -> int:
        """Take out all that waits in a queue, or what has this origin; how many."""
        return self.queues.purge(queue, origin, events=withdrawn(self._by))

    def redrive(self, name: str, job_ids: Collection[str] | None = None) -> list[Job]:
        """Let failed jobs begin again, these or all: those in ``dead:{name}``, and, where ``name`` is a failure queue
        without a pipeline of its own, those that stand in it, each in the queue of the pipeline in which it failed."""
        events = redriven(self._by)
        moved = self.queues.requeue_dead(name, job_ids, events=events)
        catalogue = self._catalogue()
        if name not in catalogue.pipelines and name not in catalogue.broken:
            moved += self.queues.requeue_failed(name, None, job_ids, events=events)
        return moved

    def dead(self, name: str, start: int = 0, count: int = 100) -> list[DeadJob]:
        """Failed jobs of a pipeline, or in a failure queue, oldest first."""
        catalogue = self._catalogue()
        found = self.queues.dead(name, start, count)
        if not found and name not in catalogue.pipelines and name not in catalogue.broken:
            found = self.queues.failed(name, start, count)
        return found
