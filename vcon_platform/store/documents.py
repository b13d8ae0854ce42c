"""Documents: create, read, commit. Every write is one Lua script (``lua/``), many of them travel in one pipeline.

Promises: a new vCon, its place in the queues and its ledger event appear together or not at all; a commit never
overwrites another writer's work; a commit by a run that lost its lease changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import batched
from typing import TYPE_CHECKING, Any

import orjson

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys, scripts
from vcon_platform.store.jobs import new_job
from vcon_platform.vcon.document import Append, Vcon

if TYPE_CHECKING:
    from redis import Redis

CHUNK = 100
"""Commands per pipeline: ten already give most of the gain, a thousand give no more (reference/throughput.md)."""


class Missing(PlatformError):
    """No such vCon."""


class Created(StrEnum):
    """What became of a new vCon."""

    CREATED = "created"
    KNOWN = "known"


class Committed(StrEnum):
    """What became of a commit."""

    OK = "ok"
    LOST = "lost"
    """The batch's lease went to another run: nothing was written, the other one does the work."""
    MISSING = "missing"
    CONFLICT = "conflict"
    """A member was to be replaced that somebody changed meanwhile: read again, change again, commit again."""


@dataclass(frozen=True, slots=True)
class NewVcon:
    """A vCon to be stored, the queues it enters and its ledger events (JSON each). ``meta`` is kept beside it."""

    vcon: Vcon
    queues: Sequence[str] = ()
    events: Sequence[bytes] = ()
    meta: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowMark:
    """A projection's row of a vCon changed: its day and new hash (empty: no row any more)."""

    projection: str
    day: str
    uuid: str
    hash: str


@dataclass(frozen=True, slots=True)
class Fence:
    """The lease under which a commit is allowed, and the job that it settles (empty: none yet)."""

    batch_id: str
    owner: str
    job_id: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """One vCon's changes and everything that is to happen with them, or not at all."""

    vcon: Vcon
    fence: Fence | None = None
    rows: Sequence[RowMark] = ()
    pushes: Sequence[tuple[str, bytes]] = ()
    channels: Sequence[str] = ()
    events: Sequence[bytes] = ()

    def arguments(self) -> list[str | bytes | int]:
        """ARGV of ``commit.lua``."""
        fence = self.fence or Fence("", "")
        argv: list[str | bytes | int] = [fence.owner, fence.job_id, self.vcon.revision, len(self.vcon.changes)]
        for change in self.vcon.changes:
            if isinstance(change, Append):
                argv += ["append", change.array, orjson.dumps(change.value)]
            else:
                path = f"$.{change.member}" if change.index is None else f"$.{change.member}[{change.index}]"
                argv += ["put", path, orjson.dumps(change.value)]
        argv.append(len(self.rows))
        for row in self.rows:
            argv += [row.projection, row.day, row.uuid, row.hash]
        argv.append(len(self.pushes))
        for target, entry in self.pushes:
            argv += [target, entry]
        argv += [len(self.channels), *self.channels, self.vcon.uuid, _array(self.events)]
        return argv


def _array(events: Sequence[bytes]) -> bytes:
    return b"[" + b",".join(events) + b"]" if events else b""


class DocumentStore:
    """The vCons in Redis."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._create = scripts.script(client, "create")
        self._commit = scripts.script(client, "commit")

    def create(self, new: Iterable[NewVcon]) -> Iterator[tuple[str, Created]]:
        """Store new vCons; one that is known already is left as it is. Gives (uuid, outcome) in the given order."""
        for chunk in batched(new, CHUNK):
            pipeline = self._client.pipeline(transaction=False)
            for item in chunk:
                uuid = item.vcon.uuid
                jobs = [new_job(uuid).to_bytes() for _ in item.queues]
                meta = [part for pair in item.meta.items() for part in pair]
                self._create(
                    keys=[keys.document(uuid), keys.meta(uuid), keys.OUTBOX, *map(keys.queue, item.queues)],
                    args=[uuid, item.vcon.to_bytes(), *meta, "--", *jobs, _array(item.events)],
                    client=pipeline,
                )
            for item, (answer, _) in zip(chunk, pipeline.execute(), strict=True):
                yield item.vcon.uuid, Created(answer.decode())

    def known(self, uuids: Sequence[str]) -> set[str]:
        """Those of ``uuids`` that are stored."""
        found: set[str] = set()
        for chunk in batched(uuids, 1000):
            pipeline = self._client.pipeline(transaction=False)
            for uuid in chunk:
                pipeline.exists(keys.document(uuid))
            found.update(uuid for uuid, exists in zip(chunk, pipeline.execute(), strict=True) if exists)
        return found

    def read(self, uuids: Sequence[str]) -> dict[str, Vcon]:
        """The documents of ``uuids`` with their revisions, read in pipelines; missing ones are left out."""
        documents: dict[str, Vcon] = {}
        for chunk in batched(uuids, CHUNK):
            pipeline = self._client.pipeline(transaction=True)
            for uuid in chunk:
                # The bare path: one JSON text, no array around it, and no parsing by redis-py.
                pipeline.execute_command("JSON.GET", keys.document(uuid))  # type: ignore[no-untyped-call]
                pipeline.hget(keys.meta(uuid), "revision")
            answers = pipeline.execute()
            for position, uuid in enumerate(chunk):
                raw, revision = answers[2 * position], answers[2 * position + 1]
                if raw is not None:
                    documents[uuid] = Vcon(orjson.loads(raw), revision=int(revision or 0))
        return documents

    def read_one(self, uuid: str) -> Vcon:
        """One document. Raises :class:`Missing`."""
        try:
            return self.read([uuid])[uuid]
        except KeyError:
            raise Missing(f"vCon {uuid} is not in the store") from None

    def meta(self, uuid: str) -> dict[str, str]:
        """What is kept beside a document (revision, adapter, source id)."""
        found: Mapping[bytes, bytes] = self._client.hgetall(keys.meta(uuid))  # type: ignore[assignment]
        return {name.decode(): value.decode() for name, value in found.items()}

    def commit(self, commits: Iterable[Commit]) -> Iterator[tuple[Commit, Committed]]:
        """Commit changes in pipelines; each commit by itself is all or nothing. Gives each with its outcome."""
        for chunk in batched(commits, CHUNK):
            pipeline = self._client.pipeline(transaction=False)
            for item in chunk:
                uuid, batch_id = item.vcon.uuid, item.fence.batch_id if item.fence else ""
                self._commit(
                    keys=[
                        keys.document(uuid),
                        keys.meta(uuid),
                        keys.OUTBOX,
                        keys.batch(batch_id),
                        keys.batch_jobs(batch_id),
                    ],
                    args=item.arguments(),
                    client=pipeline,
                )
            for item, answer in zip(chunk, pipeline.execute(), strict=True):
                yield item, Committed(answer[0].decode())

    def attachment_bodies(self, uuids: Sequence[str], purpose: str) -> Iterator[tuple[str, list[Any]]]:
        """The bodies of the attachments of one purpose, read by path: the rest of the document stays in Redis."""
        path = f'$.attachments[?(@.purpose=="{purpose}")].body'
        for chunk in batched(uuids, CHUNK):
            pipeline = self._client.pipeline(transaction=False)
            for uuid in chunk:
                pipeline.execute_command("JSON.GET", keys.document(uuid), path)  # type: ignore[no-untyped-call]
            for uuid, raw in zip(chunk, pipeline.execute(), strict=True):
                yield uuid, orjson.loads(raw) if raw is not None else []
