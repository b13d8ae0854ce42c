"""What a writer hands to the store, and what it is told: creations, commits, and the arguments of their scripts.

Belongs here: plain values. Not here: writing them (``documents.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import orjson

from vcon_platform.store import keys
from vcon_platform.store.calls import Argument, Part
from vcon_platform.store.media import tokens_of
from vcon_platform.store.records import Original, Record
from vcon_platform.vcon.document import Append, Change, Vcon


class Created(StrEnum):
    """What became of a new vCon."""

    CREATED = "created"
    KNOWN = "known"
    """There is one of this uuid with other content; nothing was written."""
    SAME = "same"
    """These very bytes are kept already; nothing was written."""


class Committed(StrEnum):
    """What became of a commit."""

    OK = "ok"
    LOST = "lost"
    """The batch's lease went to another run: nothing was written, the other one does the work."""
    MISSING = "missing"
    CONFLICT = "conflict"
    """A member was to be replaced that somebody changed meanwhile: read again, change again, commit again."""


GONE = b"gone"
"""What ``commit.lua`` says of changes to a vCon that was removed and posted anew: they belong to none any more."""


class Restored(StrEnum):
    """What became of putting a document back into Redis."""

    RESTORED = "restored"
    THERE = "there"
    AHEAD = "ahead"
    """Redis knows of a newer revision than the archive has: nothing was written."""
    REMOVED = "removed"
    """It was removed, and stays so."""
    UNKNOWN = "unknown"
    """The archive knows no such vCon."""


@dataclass(frozen=True, slots=True)
class Posted:
    """Content as somebody posted it: ``view`` is the migrated document (JSON), ``original`` what the archive needs to
    give the exact bytes back."""

    view: bytes
    original: Original


def posted_as_is(vcon: Vcon) -> Posted:
    """A document that was made here and has no other form: its own bytes are the original."""
    raw = vcon.to_bytes()
    return Posted(view=raw, original=Original(hashlib.sha256(raw).hexdigest(), len(raw), raw))


@dataclass(frozen=True, slots=True)
class NewVcon:
    """A vCon to be stored, the queues it enters and its ledger events (JSON each). ``meta`` is kept beside it."""

    vcon: Vcon
    queues: Sequence[str] = ()
    events: Sequence[bytes] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    posted: Posted | None = None


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
    """One vCon's changes and everything that is to happen with them, or not at all.

    ``posted``: new content of the same uuid takes the document's place, and ``vcon`` is that content with what is
    carried over from before as its changes; ``vcon.revision`` is the revision that it takes the place of.
    """

    vcon: Vcon
    fence: Fence | None = None
    rows: Sequence[RowMark] = ()
    pushes: Sequence[tuple[str, bytes]] = ()
    channels: Sequence[str] = ()
    events: Sequence[bytes] = ()
    meta: Mapping[str, str] = field(default_factory=dict)
    posted: Posted | None = None


def revises(commit: Commit, vcon: Vcon) -> bool:
    """True if the commit makes a revision of its document."""
    return commit.posted is not None or bool(vcon.changes)


def commit_part(
    commit: Commit, vcon: Vcon, commit_id: str, live: int, search: Mapping[str, Argument], tokens: Iterable[str]
) -> Part:
    """What ``commit.lua`` takes for ``commit`` with the document in hand (``commit.vcon``, or a rebased one)."""
    fence, uuid = commit.fence or _NO_FENCE, vcon.uuid
    args: list[Argument] = [uuid, fence.owner, fence.job_id, vcon.revision, commit_id, live]
    weight = 0
    if commit.posted is not None:
        document = vcon.to_bytes()
        weight = len(document)
        args += [created_seconds(vcon.data), 1, "put", "$", document]
    else:
        groups = _grouped(vcon)
        args += ["", len(groups)]
        for head, values in groups:
            args += head
            for value in values:
                written = orjson.dumps(value)
                weight += len(written)
                args.append(written)
    args += [facts(commit.meta, search, tokens) if commit.meta or search or tokens else "", len(commit.rows)]
    for row in commit.rows:
        args += [row.projection, row.day, row.uuid, row.hash]
    args.append(len(commit.pushes))
    for target, entry in commit.pushes:
        args += [target, entry]
    args += [len(commit.channels), *commit.channels, event_array(commit.events)]
    batch = fence.batch_id
    return Part(
        (keys.document(uuid), keys.meta(uuid), keys.search(uuid), keys.batch(batch), keys.batch_jobs(batch)),
        args,
        weight,
    )


_NO_FENCE = Fence("", "")
_MOST_VALUES = 500
"""Appended by one command: Lua hands on no more than some thousand arguments."""


def _grouped(vcon: Vcon) -> list[tuple[list[Argument], list[Any]]]:
    """The changes as the script takes them: what is appended to one array one after the other is one command."""
    groups: list[tuple[list[Argument], list[Any]]] = []
    array = None
    for change in vcon.changes:
        if isinstance(change, Append):
            if change.array == array and len(groups[-1][1]) < _MOST_VALUES:
                groups[-1][1].append(change.value)
                continue
            array = change.array
            groups.append((["append", array, 0], [change.value]))
        else:
            array = None
            path = f"$.{change.member}" if change.index is None else f"$.{change.member}[{change.index}]"
            groups.append((["put", path], [change.value]))
    for head, values in groups:
        if head[0] == "append":
            head[2] = len(values)
            if len(vcon.data[str(head[1])]) == len(values):  # nothing was in it
                head[0] = "begin"
    return groups


def facts(
    meta: Mapping[str, str],
    search: Mapping[str, Argument],
    media: Iterable[str],
    rows: Sequence[Sequence[str]] = (),
) -> bytes:
    """What is kept beside a document, as the scripts take it: JSON of ``{meta: [member, value, ...], search: [member,
    value, ...], media: [token, ...], rows: [[projection, day, hash], ...]}``. One argument, because sixty cost the
    sender more than all the rest."""
    return orjson.dumps(
        {
            "meta": [part for pair in meta.items() for part in pair],
            "search": [part if isinstance(part, str) else str(part) for pair in search.items() for part in pair],
            "media": list(media),
            "rows": rows,
        }
    )


def event_array(events: Sequence[bytes]) -> bytes:
    """Ledger events as one JSON array; nothing for none."""
    return b"[" + b",".join(events) + b"]" if events else b""


def created_seconds(data: Mapping[str, Any]) -> float:
    """``created_at`` in epoch seconds, for the listing; 0 where it cannot be read (an opaque vCon)."""
    try:
        moment = datetime.fromisoformat(data["created_at"])
    except (KeyError, TypeError, ValueError):
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def is_row(change: Change) -> bool:
    """True for a projection's row, which nobody searches: most commits change nothing else."""
    member = change.array if isinstance(change, Append) else change.member
    return member == "attachments" and isinstance(change.value, dict) and change.value.get("purpose") == "projection"


def media_of(data: Mapping[str, Any], record: Record) -> set[str]:
    """Every medium that a revision needs: those its document names, and those its original is made of."""
    tokens = tokens_of(data)
    if record.original is not None:
        tokens.update(str(splice[1]) for splice in record.original.splices)
        if record.original.apart:
            tokens.add(record.original.apart)
    return tokens
