"""Creating: new vCons come true, each whole or not at all.

Belongs here: a chunk of new vCons on its way into archive and Redis. Not here: what is stored (``commits.py``), later
revisions (``committing.py``), the script (``lua/create.lua``), gates (the room ``ingress/``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Any, Self

import orjson

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
from vcon_platform.store.connection import StoreUnavailable, is_answer
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
        return Creating(self, items, self.keep(items, {}))

    def keep(self, items: Sequence[NewVcon], after: Mapping[str, int]) -> list[Record]:
        """Write down their first revisions: 1, or the one ``after`` that at which there was such a vCon before."""
        posted = [item.posted or posted_as_is(item.vcon) for item in items]
        return self.archive.keep(
            [
                Record(
                    uuid=item.vcon.uuid,
                    revision=after.get(item.vcon.uuid, 0) + 1,
                    meta=meta_of(item.meta),
                    view=content.view,
                    original=content.original,
                )
                for item, content in zip(items, posted, strict=True)
            ]
        )

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
        search = fields(data, item.meta, region=self._region)
        text = search.pop("text")
        args: list[Argument] = [
            uuid,
            record.view,
            record.revision,
            record.commit,
            record.original.sha256,
            created_seconds(data),
            facts(item.meta, search, media_of(data, record)),
            text,
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
        self.after: dict[str, int] = {}
        """Of those that there were before: the revision at which they were removed. They begin with the next."""

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
        if any(is_answer(reply) and reply[0] == b"removed" for reply in replies):
            replies, failure = self._begun_anew(replies, failure)
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

    def _begun_anew(
        self, replies: Sequence[Any], failure: StoreUnavailable | None
    ) -> tuple[list[Any], StoreUnavailable | None]:
        """What was removed once and is brought again is a new vCon, whose revisions go on after the old one's: so no
        change that was meant for the old one can come true on it, and no revision is ever given out twice."""
        told = list(replies)
        places = [place for place, reply in enumerate(told) if is_answer(reply) and reply[0] == b"removed"]
        self.after |= {self._items[place].vcon.uuid: int(told[place][1]) for place in places}
        self._creator.archive.forget(self._records[place] for place in places)
        items = [_anew(self._items[place], self.after) for place in places]
        records = self._creator.keep(items, self.after)
        for place, record in zip(places, records, strict=True):
            self._records[place] = record
        self._calls = self._creator.send(items, records)
        again, later = self._calls.answers()
        for place, reply in zip(places, again, strict=False):
            told[place] = reply
        if later is not None and not again:  # in doubt are these, and all behind the first of them
            del told[places[0] :]
        return told, failure or later


def _anew(item: NewVcon, after: Mapping[str, int]) -> NewVcon:
    first = after[item.vcon.uuid] + 1
    events = [orjson.dumps({**orjson.loads(event), "revision": first}) for event in item.events]
    return replace(item, events=events, meta={**item.meta, "begun": str(first)})


def _with_queues(item: NewVcon) -> NewVcon:
    """Where a vCon was to go is written down with it: a store that lost its queues can be asked who still waits."""
    return replace(item, meta={**item.meta, "queues": ",".join(item.queues)}) if item.queues else item
