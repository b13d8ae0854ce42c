"""Creating: new vCons come true, each whole or not at all.

Belongs here: a chunk of new vCons on its way into archive and Redis. Not here: what is stored (``commits.py``), later
revisions (``committing.py``), the script (``lua/create.lua``), gates (the room ``ingress/``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Self

from vcon_platform.errors import PlatformError
from vcon_platform.store import keys, scripts
from vcon_platform.store.archive import Archive, meta_of
from vcon_platform.store.calls import Argument, Calls, Part
from vcon_platform.store.commits import (
    Created,
    NewVcon,
    created_seconds,
    event_array,
    facts,
    media_of,
    posted_as_is,
)
from vcon_platform.store.connection import is_answer
from vcon_platform.store.identity import identify
from vcon_platform.store.jobs import new_job
from vcon_platform.store.records import Record
from vcon_platform.store.search_fields import fields

if TYPE_CHECKING:
    from redis import Redis


class Creator:
    """Creates in one Redis and its archive; the options are :class:`DocumentStore`'s."""

    def __init__(self, client: Redis, archive: Archive, *, live_seconds: int, region: str | None) -> None:
        self.client = client
        self.archive = archive
        self._live = live_seconds
        self._region = region
        self._script = scripts.script(client, "create")

    def begin(self, chunk: Sequence[NewVcon]) -> Creating:
        """See :meth:`DocumentStore.begin`."""
        items = [_with_queues(item) for item in chunk]
        posted = [item.posted or posted_as_is(item.vcon) for item in items]
        records = self.archive.keep(
            [
                Record(
                    uuid=item.vcon.uuid,
                    revision=1,
                    meta=meta_of(item.meta),
                    view=content.view,
                    original=content.original,
                )
                for item, content in zip(items, posted, strict=True)
            ]
        )
        return Creating(self, items, records)

    def send(self, items: Sequence[NewVcon], records: Sequence[Record]) -> Calls:
        """Have the script run over all of them."""
        calls = Calls(self._script, self.client, keys=[keys.OUTBOX, keys.LISTING, keys.IDENTITY], args=[self._live])
        try:
            for item, record in zip(items, records, strict=True):
                calls.put(self._part(item, record))
            calls.send()
        except BaseException:
            calls.close()
            raise
        return calls

    def _part(self, item: NewVcon, record: Record) -> Part:
        uuid, data = item.vcon.uuid, item.vcon.data
        assert record.original is not None and record.view is not None  # noqa: S101,PT018 - every creation has both
        args: list[Argument] = [
            uuid,
            record.view,
            record.commit,
            record.original.sha256,
            created_seconds(data),
            facts(item.meta, fields(data, item.meta, region=self._region), media_of(data, record)),
            len(item.queues),
        ]
        for queue in item.queues:
            args += [keys.queue(queue), new_job(uuid).to_bytes()]
        args.append(event_array(item.events))
        return Part((keys.document(uuid), keys.meta(uuid), keys.search(uuid)), args, len(record.view))


class Creating:
    """New vCons that are on their way. A context manager: leaving it without having asked gives the connection back,
    and leaves in doubt what was stored."""

    def __init__(self, creator: Creator, items: Sequence[NewVcon], records: list[Record]) -> None:
        self._creator = creator
        self._items = items
        self._records = records
        self._calls = creator.send(items, records)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back."""
        self._calls.close()

    def outcomes(self) -> Iterator[tuple[str, Created]]:
        """(uuid, outcome) in the given order. Raises :class:`StoreUnavailable` after the last one that is known."""
        replies, failure = self._calls.answers()
        if any(is_answer(reply) and reply[0] == b"strange" for reply in replies):
            try:
                identify(self._creator.client, self._creator.archive.objects)  # a new store's first vCon
            except PlatformError:  # it is another's, or was emptied: nothing of this came true
                self._creator.archive.forget(self._records)
                raise
            self._calls = self._creator.send(self._items, self._records)
            replies, failure = self._calls.answers()
        if not self._calls.repeated:  # else one that is known may be known by this very record
            refused = [not is_answer(reply) or reply[0] != b"created" for reply in replies]
            self._creator.archive.forget(record for record, no in zip(self._records, refused, strict=False) if no)
        for item, reply in zip(self._items, takewhile(is_answer, replies), strict=False):
            if reply[0] == b"created":
                yield item.vcon.uuid, Created.CREATED
            else:
                yield item.vcon.uuid, Created.SAME if reply[2] else Created.KNOWN
        if failure is not None:
            raise failure


def _with_queues(item: NewVcon) -> NewVcon:
    """Where a vCon was to go is written down with it: a store that lost its queues can be asked who still waits."""
    return replace(item, meta={**item.meta, "queues": ",".join(item.queues)}) if item.queues else item
