"""From what an adapter found to stored, queued and recorded vCons. The one way in for every adapter.

Idempotent at every point: the uuid is derived from the source's id, the vCon with its queue entries and its ledger
event appears in one transaction, and only then the source item is remembered as seen. A crash in between means that
the item is offered once more and found known.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.adapters.base import Adapter, Capture, Problem
from vcon_platform.ingress.answer import Source
from vcon_platform.ingress.door import Door
from vcon_platform.ledger.events import EventKind, LedgerEvent
from vcon_platform.store import keys
from vcon_platform.store.commits import Commit, Committed, Created, NewVcon
from vcon_platform.store.jobs import new_job
from vcon_platform.store.opening import Store
from vcon_platform.vcon.faults import Rejected
from vcon_platform.vcon.media import content_hash_of, decode_base64url

if TYPE_CHECKING:
    pass

logger = logging.getLogger(__name__)

CHUNK = 50
"""Captures per transaction pipeline: large enough to be quick, small enough that a time box is kept."""
_CONTENT = ("body", "encoding", "url", "content_hash")
_OF_THE_OLD = (*_CONTENT, "mediatype", "filename", "disposition")
"""Members of a dialog that a recording replaces: an incomplete call that has a recording now has no disposition."""


@dataclass(slots=True)
class Taken:
    """What an intake did. ``days``: created vCons per UTC day."""

    created: int = 0
    known: int = 0
    revised: int = 0
    problems: list[Problem] = field(default_factory=list)
    days: dict[str, int] = field(default_factory=dict)
    full: tuple[str, ...] = ()
    """Queues that had no room for more; what was not taken is found again at the next look."""

    @property
    def looked_at(self) -> int:
        """How many source items there were."""
        return self.created + self.known + self.revised + len(self.problems)


class Intake:
    """Stores what one adapter captured."""

    def __init__(self, store: Store, adapter: Adapter) -> None:
        self._client = store.client
        self._documents = store.documents
        self._media = store.media
        self._door = Door(store.documents, store.media)
        self._name = adapter.settings.name
        self._queues = adapter.settings.queues
        self._strict = adapter.settings.strict

    def seen(self) -> dict[str, str]:
        """Source items taken so far, with their fingerprints."""
        found = cast("Mapping[bytes, bytes]", self._client.hgetall(keys.seen(self._name)))
        return {item.decode(): fingerprint.decode() for item, fingerprint in found.items()}

    def take(
        self,
        found: Iterable[Capture | Problem],
        *,
        remember: bool,
        time_is_up: Callable[[], bool] = lambda: False,
        room: Callable[[], Mapping[str, int]] = dict,
    ) -> Taken:
        """Store what was found, until ``time_is_up`` (asked between chunks; the rest is found again next time).

        ``remember``: keep the items' fingerprints, so that the next look passes them over (a spool that is looked at
        every few seconds); an archive that is read by day needs none. ``room``: how many more jobs each queue that has
        a limit may hold, asked before each chunk; no more is taken than fits into all of them.
        """
        taken = Taken()
        items = iter(found)
        while True:
            rooms = room()
            size = min([CHUNK, *rooms.values()])
            if size <= 0:
                # Only a source that has something left is held up.
                if next(items, None) is not None:
                    taken.full = tuple(sorted(name for name, left in rooms.items() if left <= 0))
                break
            chunk = list(islice(items, size))
            if not chunk:
                break
            problems = [item for item in chunk if isinstance(item, Problem)]
            found_here = [item for item in chunk if isinstance(item, Capture)]
            captures, refused = self._store(found_here, taken, compare_known=remember)
            problems += refused
            taken.problems += problems
            for problem in problems:
                self._client.hset(
                    keys.problems(self._name),
                    problem.key,
                    orjson.dumps({"code": problem.code, "message": problem.message}),
                )
            if remember:
                claims = {key: value for capture in captures for key, value in capture.claims.items()}
                claims |= {problem.key: problem.fingerprint for problem in problems}
                if claims:
                    pairs = [part for pair in claims.items() for part in pair]
                    self._client.hset(keys.seen(self._name), items=pairs)
            if time_is_up():
                break
        return taken

    def _store(
        self, captures: list[Capture], taken: Taken, *, compare_known: bool
    ) -> tuple[list[Capture], list[Problem]]:
        """Store what is new; gives the captures that are dealt with, and what the gates refused. One whose recording
        vanished since it was found is left for the next look, and stops no other."""
        known = self._documents.known([capture.vcon.uuid for capture in captures])
        fresh: list[NewVcon] = []
        done: list[Capture] = []
        refused: list[Problem] = []
        for capture in captures:
            try:
                if capture.vcon.uuid not in known:
                    fresh.append(self._new(capture))
                elif compare_known and self._revise(capture):
                    taken.revised += 1
                else:
                    taken.known += 1
            except Rejected as rejected:
                refused += [
                    Problem(key, fingerprint, rejected.code, str(rejected))
                    for key, fingerprint in (capture.claims or {capture.source_id: ""}).items()
                ]
                continue
            except OSError as error:
                logger.warning("%s: a recording cannot be read (%s); looking again later", self._name, error.strerror)
                continue
            done.append(capture)
        outcomes = dict(self._documents.create(fresh))
        for capture in done:
            if capture.vcon.uuid in known:
                continue
            if outcomes[capture.vcon.uuid] is Created.CREATED:
                taken.created += 1
                day = capture.day.isoformat()
                taken.days[day] = taken.days.get(day, 0) + 1
            else:  # somebody else was quicker
                taken.known += 1
        return done, refused

    def _content(self, capture: Capture) -> dict[int, dict[str, str]]:
        return {index: self._media.keep_file(path) for index, path in capture.recordings.items()}

    def _new(self, capture: Capture) -> NewVcon:
        source = Source(self._name, self._queues, self._strict, meta={"source_id": capture.source_id})
        meta = self._door.judge(capture.vcon.data, source)
        for index, content in self._content(capture).items():
            capture.vcon.dialog[index].update(content)
        event = LedgerEvent(
            vcon_uuid=capture.vcon.uuid,
            event=EventKind.CREATED,
            revision=1,
            detail={"adapter": self._name, "source_id": capture.source_id, "queues": list(self._queues)},
        )
        return NewVcon(vcon=capture.vcon, queues=self._queues, events=[event.to_bytes()], meta=meta)

    def _revise(self, capture: Capture) -> bool:
        """A known call whose recording came late or was replaced becomes a new revision. The first recording enters
        the queues; a replaced one does not: what was made from the old one stays until somebody re-executes."""
        stored = self._documents.read_one(capture.vcon.uuid)
        first = False
        for index, content in self._content(capture).items():
            if index >= len(stored.dialog):
                continue
            old = stored.dialog[index]
            if _hash_of(old) == _hash_of(content):
                continue
            first = first or _hash_of(old) is None
            kept = {name: value for name, value in old.items() if name not in _OF_THE_OLD}
            stored.put("dialog", {**kept, **capture.vcon.dialog[index], **content}, index)
        if not stored.changes:
            return False
        event = LedgerEvent(
            vcon_uuid=stored.uuid,
            event=EventKind.REVISED,
            revision=stored.revision + 1,
            detail={"adapter": self._name, "reason": "recording arrived" if first else "recording replaced"},
        )
        queues = self._queues if first else ()
        pushes = [(keys.queue(queue), new_job(stored.uuid).to_bytes()) for queue in queues]
        outcomes = [
            outcome for _, outcome in self._documents.commit([Commit(stored, pushes=pushes, events=[event.to_bytes()])])
        ]
        if outcomes == [Committed.CONFLICT]:  # somebody wrote meanwhile: look at it afresh
            return self._revise(capture)
        return outcomes == [Committed.OK]


def _hash_of(content: Mapping[str, Any]) -> str | None:
    """The content hash that a dialog's members name or hold; None without content."""
    token = content.get("content_hash")
    if isinstance(token, str):
        return token
    body = content.get("body")
    return content_hash_of(decode_base64url(body)) if isinstance(body, str) else None
