"""Committing: changes come true as the very next revision of their document, or not at all.

Belongs here: the attempts at a commit, and what is done again when somebody else was quicker. Not here: what a commit
is (``commits.py``), reading (``documents.py``), the script (``lua/commit.lua``).

The order of one attempt: the record goes to the archive as the revision after the one in hand; the script makes it so
in Redis if that is still the newest; a record whose commit was refused is deleted. So whoever was told of a commit can
lose Redis and have it back, and the archive's revisions are consecutive.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Protocol

from vcon_platform.store import keys, scripts
from vcon_platform.store.archive import SNAPSHOT_EVERY, Archive, Tip, meta_of
from vcon_platform.store.calls import Argument, Calls, Part
from vcon_platform.store.commits import GONE, Commit, Committed, commit_part, is_row, media_of, revises
from vcon_platform.store.connection import is_answer
from vcon_platform.store.media import tokens_of
from vcon_platform.store.records import Record
from vcon_platform.store.search_fields import after, fields
from vcon_platform.vcon.document import ARRAYS, Append, Vcon

if TYPE_CHECKING:
    from redis import Redis

TRIES = 60
"""Of a commit of appends that keeps meeting others' revisions: eight writers on one vCon need about ten."""


class Reader(Protocol):
    """What a commit that must be made again needs of the store."""

    def read(self, uuids: Sequence[str]) -> dict[str, Vcon]: ...

    def tip(self, uuid: str) -> Tip | None: ...

    def read_through(self, uuid: str, tip: Tip) -> bool: ...


@dataclass(slots=True)
class _Try:
    """A commit under way: the document in hand, and the record that was written for it."""

    commit: Commit
    vcon: Vcon
    record: Record | None = None


@dataclass(frozen=True, slots=True)
class Begun:
    """Commits on their way to Redis. ``calls`` is to be closed by whoever does not wait for the outcomes."""

    waiting: Sequence[_Try]
    calls: Calls


class Committing:
    """Commits to one Redis and its archive; the options are :class:`DocumentStore`'s."""

    def __init__(
        self, client: Redis, archive: Archive, reader: Reader, *, live_seconds: int, region: str | None
    ) -> None:
        self._client = client
        self._archive = archive
        self._reader = reader
        self._live = live_seconds
        self._region = region
        self._commit = scripts.script(client, "commit")

    def begin(self, commits: Sequence[Commit]) -> Begun:
        """Begin to make these commits: when it returns they are in the archive and on their way to Redis."""
        return self._begin([_Try(commit, commit.vcon) for commit in commits])

    def finish(self, begun: Begun) -> Iterator[tuple[Commit, Committed]]:
        """The outcome of each; those that may be made again are."""
        waiting = begun.waiting
        for attempt in range(TRIES):
            if attempt:
                begun = self._begin(waiting)
            again = []
            for each, outcome in self._outcomes(begun):
                if outcome is None:
                    again.append(each)
                else:
                    yield each.commit, outcome
            if not again:
                break
            if attempt:
                time.sleep(random.uniform(0, min(0.05, 0.001 * 2**attempt)))  # noqa: S311 - others want a turn
            waiting = list(self._rebased(again))
            for each in [each for each in again if all(each.commit is not other.commit for other in waiting)]:
                yield each.commit, Committed.MISSING
        else:
            for each in waiting:
                yield each.commit, Committed.CONFLICT

    def _begin(self, waiting: Sequence[_Try]) -> Begun:
        revising = [each for each in waiting if revises(each.commit, each.vcon)]
        for each, record in zip(revising, self._archive.keep([self._record(each) for each in revising]), strict=True):
            each.record = record
        calls = Calls(self._commit, self._client, keys=[keys.OUTBOX])
        try:
            for each in waiting:
                calls.put(self._part(each))
            calls.send()
        except BaseException:
            calls.close()
            raise
        return Begun(waiting, calls)

    def _outcomes(self, begun: Begun) -> Iterator[tuple[_Try, Committed | None]]:
        """One attempt for each; None: it met somebody else's revision, or an expired document, and may try again."""
        waiting = begun.waiting
        replies, failure = begun.calls.answers()
        repeated = begun.calls.repeated
        if not repeated:
            done = [is_answer(reply) and reply[0] == b"ok" for reply in replies]
            self._archive.forget(each.record for each, ok in zip(waiting, done, strict=False) if each.record and not ok)
        answered = takewhile(is_answer, replies)
        told = [(each, _outcome(each, reply[0]), reply[0]) for each, reply in zip(waiting, answered, strict=False)]
        for each, outcome, answer in told:
            uuid = each.vcon.uuid
            if repeated and outcome is not Committed.OK and self._came_true(each.record):
                yield each, Committed.OK
            elif (
                outcome is Committed.MISSING
                and answer != GONE
                and (tip := self._reader.tip(uuid)) is not None
                and self._reader.read_through(uuid, tip)
            ):
                yield each, None
            else:
                yield each, outcome
        if failure is not None:
            raise failure

    def _came_true(self, record: Record | None) -> bool:
        """Of a commit that was sent twice and refused the second time: whether the first one is in the history, with
        somebody else's revision on top of it."""
        if record is None or (tip := self._reader.tip(record.uuid)) is None:
            return False
        history = self._archive.history(record.uuid, tip=tip)
        return history is not None and any(each.commit == record.commit for each in history.records)

    def _record(self, each: _Try) -> Record:
        vcon, posted = each.vcon, each.commit.posted
        if posted is None and not vcon.commit:  # other software's document: its history begins here
            return Record(
                uuid=vcon.uuid, revision=vcon.revision + 1, view=vcon.to_bytes(), meta=meta_of(each.commit.meta)
            )
        return Record(
            uuid=vcon.uuid,
            revision=vcon.revision + 1,
            previous=vcon.commit,
            meta=meta_of(each.commit.meta),
            view=posted.view if posted else None,
            original=posted.original if posted else None,
            changes=tuple(vcon.changes),
            snapshot=vcon.to_bytes() if (vcon.revision + 1) % SNAPSHOT_EVERY == 0 else None,
        )

    def _part(self, each: _Try) -> Part:
        commit, vcon, record = each.commit, each.vcon, each.record
        search: Mapping[str, Argument] = {}
        tokens: set[str] = set()
        if commit.posted is not None and record is not None:
            search, tokens = fields(vcon.data, commit.meta, region=self._region), media_of(vcon.data, record)
        elif vcon.changes:
            search = after(vcon.data, [change for change in vcon.changes if not is_row(change)], region=self._region)
            for change in vcon.changes:
                if isinstance(change, Append) or change.member in ARRAYS:
                    tokens |= tokens_of({"attachments": [change.value]})
        return commit_part(commit, vcon, record.commit if record else "", self._live, search, tokens)

    def _rebased(self, again: Sequence[_Try]) -> Iterator[_Try]:
        """The same changes on top of what is there now; a document that is gone is left out. Content that takes the
        document's place stands on nothing: it is offered again as it is, for the revision that it was made for."""
        for each in again:
            fresh = self._reader.read([each.vcon.uuid]).get(each.vcon.uuid)
            if fresh is not None and each.commit.posted is not None:
                yield _Try(each.commit, each.vcon)
            elif fresh is not None:
                for change in each.vcon.changes:
                    fresh.apply(change)
                yield _Try(each.commit, fresh)


def _outcome(each: _Try, answer: bytes) -> Committed | None:
    """What the script's answer means; None: appends met somebody else's revision, and may be made on top of it."""
    if answer == GONE:
        return Committed.MISSING
    if answer != b"behind":
        return Committed(answer.decode())
    merges = each.commit.posted is None and all(isinstance(change, Append) for change in each.vcon.changes)
    return None if merges else Committed.CONFLICT
