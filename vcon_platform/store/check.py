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
from math import isclose
from typing import TYPE_CHECKING, Any, cast

import orjson

from vcon_platform.store import keys
from vcon_platform.store.archive import Archive, History, Ref, Tip
from vcon_platform.store.connection import explained
from vcon_platform.store.media import MediaError, MediaStore, tokens_of
from vcon_platform.store.originals import original_bytes
from vcon_platform.store.records import RecordBroken

if TYPE_CHECKING:
    from redis import Redis

ROUND = 100
_REBUILD = "Run 'vcon-platform store rebuild'."
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
    REMOVAL = "removal_unfinished"


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
    for walked in batched(archive.walk(), ROUND):
        for (uuid, refs), seen in zip(walked, _seen(client, [uuid for uuid, _ in walked]), strict=True):
            yield from _compared(archive, media, uuid, refs, seen, deep)
            yield uuid
    everything = cast("Iterator[bytes]", client.scan_iter(match=keys.document("*"), count=1000))
    for found in batched(everything, ROUND):
        uuids = [key.decode().removeprefix(keys.document("")) for key in found]
        for uuid, seen in zip(uuids, _seen(client, uuids), strict=True):
            if seen.revision is None or not archive.has(uuid, Ref(seen.revision, seen.commit)):
                yield Difference(
                    uuid,
                    Fault.NOT_ARCHIVED,
                    "Redis has it and the archive has not: other software wrote it, or the archive lost it. Post it to "
                    "the API once.",
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


def _compared(
    archive: Archive, media: MediaStore, uuid: str, refs: Sequence[Ref], seen: _Seen, deep: bool
) -> Iterator[Difference]:
    def told(fault: Fault, message: str) -> Difference:
        return Difference(uuid, fault, message)

    try:
        tip = Tip(seen.revision, seen.commit) if seen.revision is not None else None
        history = archive.history(uuid, tip=tip, refs=refs)
        if history is None:
            return
        if history.left:
            left = len(history.left)
            yield told(Fault.REMOVAL, f"it was removed, and {left} records of it are left in the archive. {_REBUILD}")
        if history.ended:
            return
        vcon = history.vcon()
    except RecordBroken as broken:
        yield told(Fault.BROKEN, f"{broken}. Restore the object from a backup of the object store.")
        return
    if history.gap:
        yield told(Fault.GAP, "a revision is missing from the archive. Restore it from a backup of the object store.")
    yield from (told(fault, message) for fault, message in _orphans(history, archive))
    if seen.revision is None:
        yield told(Fault.NOT_IN_REDIS, "Redis knows nothing of it. Run 'vcon-platform store rebuild'.")
    elif seen.revision != vcon.revision:
        yield told(Fault.REVISION, f"Redis is at revision {seen.revision}, the archive at {vcon.revision}. {_REBUILD}")
    elif seen.document is None:
        yield told(Fault.EXPIRED, "its document left Redis; it is read from the archive when somebody wants it.")
    elif not alike(orjson.loads(seen.document), vcon.data):
        yield told(Fault.CONTENT, "Redis' document was changed past the store, by other software.")
    if seen.revision is not None and not seen.listed:
        yield told(Fault.NOT_LISTED, "the listing by time lacks it. Run 'vcon-platform store reindex'.")
    if seen.revision is not None and not seen.searchable:
        yield told(Fault.NOT_SEARCHABLE, "the search index lacks it. Run 'vcon-platform store reindex'.")
    yield from (told(fault, message) for fault, message in _media(history, media, tokens_of(vcon.data), deep))


def alike(one: Any, other: Any) -> bool:
    """Equal but for the last bit of a fraction: RedisJSON 2.8 gives 0.40000000000000213 back as 0.4000000000000022."""
    if one == other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    return isinstance(one, float) and isinstance(other, int | float) and isclose(one, other, rel_tol=1e-12)


def _orphans(history: History, archive: Archive) -> Iterator[tuple[Fault, str]]:
    """Records that Redis knows nothing of: it lost them, or they never came true."""
    if not history.orphans or datetime.now(UTC) - datetime.fromisoformat(history.tip.at) < UNDER_WAY:
        return
    newest = history.orphans[-1]
    newer = newest.revision - history.tip.revision
    if newer > 0 and archive.is_removal(history.uuid, newest):
        yield (
            Fault.REMOVAL,
            "somebody began to remove it and was cut off. Remove it again, or let a pipeline change it.",
        )
    elif newer > 0:
        yield Fault.REVISION, f"the archive is {newer} revisions ahead: Redis lost its newest writes. {_REBUILD}"
    else:
        yield Fault.ORPHAN, f"{len(history.orphans)} records never came true (their writer died). They do no harm."


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
