"""Comparing what Redis, the archive and the media store say of each vCon. Finds and names; mends nothing.

Belongs here: the comparison. Not here: filling Redis (``rebuild.py``), deleting what nobody needs
(``media_sweep.py``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import batched
from typing import TYPE_CHECKING, cast

import orjson

from vcon_platform.store import keys
from vcon_platform.store.archive import Archive, History
from vcon_platform.store.connection import explained
from vcon_platform.store.media import MediaError, MediaStore, tokens_of
from vcon_platform.store.originals import original_bytes
from vcon_platform.store.records import RecordBroken

if TYPE_CHECKING:
    from redis import Redis

ROUND = 100
UNDER_WAY = timedelta(minutes=10)
"""A record younger than this may belong to a commit that is just being made."""


class Fault(StrEnum):
    """What may differ."""

    NOT_ARCHIVED = "not_archived"
    NOT_IN_REDIS = "not_in_redis"
    EXPIRED = "expired"
    REVISION = "revision_differs"
    CONTENT = "content_differs"
    BROKEN = "record_broken"
    GAP = "history_gap"
    ORPHAN = "orphan_record"
    MEDIA = "media_missing"
    MEDIA_BYTES = "media_broken"
    ORIGINAL = "original_broken"
    NOT_LISTED = "not_listed"
    NOT_SEARCHABLE = "not_searchable"


SOUND = frozenset({Fault.EXPIRED, Fault.ORPHAN})
"""Told for completeness: a document that left Redis is read from the archive, an orphan never came true."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be. ``message`` says what to do."""

    uuid: str
    fault: Fault
    message: str


def check(client: Redis, archive: Archive, media: MediaStore, *, deep: bool = False) -> Iterator[Difference | str]:
    """Compare everything with everything. Gives each difference, and the uuid of each vCon that was looked at (so that
    a caller can show how far it is). ``deep``: read every medium and put every original together again."""
    for uuids in batched(archive.uuids(), ROUND):
        for uuid, seen in zip(uuids, _seen(client, uuids), strict=True):
            yield from _compared(archive, media, uuid, seen, deep)
            yield uuid
    for key in cast("Iterator[bytes]", client.scan_iter(match=keys.document("*"), count=1000)):
        uuid = key.decode().removeprefix(keys.document(""))
        if not archive.refs(uuid):
            yield Difference(
                uuid,
                Fault.NOT_ARCHIVED,
                "Redis has it and the archive has not: it was written by other software. Post it to the API once.",
            )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What Redis holds of a vCon."""

    document: bytes | None
    revision: int | None
    commit: str
    listed: bool
    searchable: bool


def _seen(client: Redis, uuids: Sequence[str]) -> list[_Seen]:
    pipeline = client.pipeline(transaction=True)
    for uuid in uuids:
        pipeline.execute_command("JSON.GET", keys.document(uuid))  # type: ignore[no-untyped-call]
        pipeline.hmget(keys.meta(uuid), ("revision", "commit"))
        pipeline.zscore(keys.LISTING, keys.document(uuid))
        pipeline.exists(keys.search(uuid))
    with explained():
        replies = pipeline.execute()
    return [
        _Seen(document, int(revision) if revision else None, (commit or b"").decode(), score is not None, bool(search))
        for document, (revision, commit), score, search in batched(replies, 4)
    ]


def _compared(archive: Archive, media: MediaStore, uuid: str, seen: _Seen, deep: bool) -> Iterator[Difference]:
    def told(fault: Fault, message: str) -> Difference:
        return Difference(uuid, fault, message)

    try:
        history = archive.history(uuid, tip=seen.commit)
        if history is None:
            return
        vcon = history.vcon()
    except RecordBroken as broken:
        yield told(Fault.BROKEN, f"{broken}. Restore the object from a backup of the object store.")
        return
    if history.gap:
        yield told(Fault.GAP, "a revision is missing from the archive. Restore it from a backup of the object store.")
    yield from (told(Fault.ORPHAN, message) for message in _orphans(history))
    if seen.revision is None:
        yield told(Fault.NOT_IN_REDIS, "Redis knows nothing of it. Run 'vcon-platform store rebuild'.")
    elif seen.revision != vcon.revision:
        yield told(
            Fault.REVISION,
            f"Redis is at revision {seen.revision}, the archive at {vcon.revision}. "
            + (
                "Redis lost its newest writes: delete its key and run 'vcon-platform store rebuild'."
                if seen.revision < vcon.revision
                else "The archive lost objects: restore them from a backup of the object store."
            ),
        )
    elif seen.document is None:
        yield told(Fault.EXPIRED, "its document left Redis; it is read from the archive when somebody wants it.")
    elif orjson.loads(seen.document) != vcon.data:
        yield told(Fault.CONTENT, "Redis' document was changed past the store, by other software.")
    if seen.revision is not None and not seen.listed:
        yield told(Fault.NOT_LISTED, "the listing by time lacks it. Run 'vcon-platform store reindex'.")
    if seen.revision is not None and not seen.searchable:
        yield told(Fault.NOT_SEARCHABLE, "the search index lacks it. Run 'vcon-platform store reindex'.")
    yield from (told(fault, message) for fault, message in _media(history, media, tokens_of(vcon.data), deep))


def _orphans(history: History) -> Iterator[str]:
    if not history.orphans:
        return
    if datetime.now(UTC) - datetime.fromisoformat(history.tip.at) > UNDER_WAY:
        yield f"{len(history.orphans)} records are of commits that never came true (a writer died). They do no harm."


def _media(history: History, media: MediaStore, tokens: set[str], deep: bool) -> Iterator[tuple[Fault, str]]:
    for token in sorted(tokens):
        try:
            if not media.has(token):
                yield Fault.MEDIA, f"the media store lacks {token[:23]}…. Restore it from a backup of the object store."
            elif deep and not _intact(media, token):
                yield Fault.MEDIA_BYTES, f"the bytes of {token[:23]}… are not those of its hash. Restore them."
        except MediaError as error:
            yield Fault.MEDIA, str(error)
    if deep:
        for record in history.records:
            if record.original is not None:
                try:
                    for _ in original_bytes(record.original, media):
                        pass
                except MediaError as error:
                    yield Fault.ORIGINAL, f"the original of revision {record.revision}: {error}"


def _intact(media: MediaStore, token: str) -> bool:
    from vcon_platform.vcon.media import content_hash

    digest = hashlib.sha512()
    for piece in media.open(token):
        digest.update(piece)
    return content_hash(digest.digest()) == token
