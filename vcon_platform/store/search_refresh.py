"""Making the hashes that are searched again from the documents: after a change of what is in them, or if some are lost.

Belongs here: finding the outdated ones, and writing them so that no other writer's work is undone. Not here: what is in
them (``search_fields.py``).

Everything goes on while this runs. A hash is only written if its document is still at the revision that was read
(``lua/search_refresh.lua``); if not, whoever made the new revision is asked for again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import TYPE_CHECKING, Any, cast

from vcon_platform.store import keys, scripts
from vcon_platform.store.commits import created_seconds
from vcon_platform.store.connection import explained
from vcon_platform.store.search_fields import INPUTS, META, fields
from vcon_platform.vcon.document import Vcon

if TYPE_CHECKING:
    from redis import Redis

ROUND = 50
"""Documents read at once."""
TRIES = 5

Read = Callable[[Sequence[str]], Mapping[str, Vcon]]
"""``DocumentStore.read``."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """``written``: hashes made again. ``gone``: hashes without a document, deleted. ``left``: vCons that somebody kept
    changing, or whose document could not be read; run it again."""

    written: int
    gone: int
    left: int


def refresh(client: Redis, read: Read, uuids: Iterable[str] | None = None, *, region: str | None = None) -> Refreshed:
    """Make the hashes of these vCons again, and list them by time where they are not; without ``uuids``: of those whose
    hash an older version of the code made. Raises :class:`StoreUnavailable` and what ``read`` raises."""
    written = gone = left = 0
    for chunk in batched(outdated(client) if uuids is None else uuids, ROUND):
        waiting: Sequence[str] = chunk
        for _ in range(TRIES):
            outcomes = _refresh(client, read, waiting, region)
            written += sum(outcome == b"written" for outcome in outcomes.values())
            gone += sum(outcome == b"gone" for outcome in outcomes.values())
            waiting = [uuid for uuid, outcome in outcomes.items() if outcome == b"changed"]
            if not waiting:
                break
        left += len(waiting)
    return Refreshed(written, gone, left)


def outdated(client: Redis) -> Iterator[str]:
    """The vCons whose hash an older version of the code made. Reads all keys, whatever the index knows."""
    for batch in batched(client.scan_iter(match=keys.search("*"), count=1000), 1000):
        pipeline = client.pipeline(transaction=False)
        for key in batch:
            pipeline.hget(key, "v")
        with explained():
            versions = cast("list[bytes | None]", pipeline.execute())
        for key, version in zip(batch, versions, strict=True):
            if int(version or 0) < INPUTS:
                yield cast("bytes", key).decode().removeprefix(keys.search(""))


def everything(client: Redis) -> set[str]:
    """The vCons that Redis knows of in any way: by what it keeps beside them, by their document, by their hash."""
    return {
        key.decode().removeprefix(name(""))
        for name in (keys.meta, keys.document, keys.search)
        for key in cast("Iterator[bytes]", client.scan_iter(match=name("*"), count=1000))
    }


def _refresh(client: Redis, read: Read, uuids: Sequence[str], region: str | None) -> dict[str, bytes]:
    vcons = read(uuids)
    pipeline = client.pipeline(transaction=False)
    for uuid in uuids:
        pipeline.hmget(keys.meta(uuid), META)
    with explained():
        metas = cast("list[list[bytes | None]]", pipeline.execute())
    script = scripts.script(client, "search_refresh")
    pipeline = client.pipeline(transaction=False)
    for uuid, values in zip(uuids, metas, strict=True):
        vcon = vcons.get(uuid)
        meta = {name: value.decode() for name, value in zip(META, values, strict=True) if value is not None}
        made: Mapping[str, Any] = {} if vcon is None else fields(vcon.data, meta, region=region)
        script(
            keys=[keys.search(uuid), keys.meta(uuid), keys.document(uuid), keys.LISTING],
            args=[
                "" if vcon is None else vcon.revision,
                0 if vcon is None else created_seconds(vcon.data),
                *_counted({name: meta.get(name, "") for name in META}),
                *_counted(made),
            ],
            client=pipeline,
        )
    with explained():
        return dict(zip(uuids, cast("list[bytes]", pipeline.execute()), strict=True))


def _counted(pairs: Mapping[str, Any]) -> list[Any]:
    """The pairs behind their number, as the script takes them."""
    return [len(pairs), *(part for pair in pairs.items() for part in pair)]
