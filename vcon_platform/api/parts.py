"""What the routes of all three APIs share: the store and the door of this process, documents taken in and read.

Small documents are taken in together with those that come at the same time, and read so (``gathered.py``); a large one
goes its own way, in pieces, through the disk.

Belongs here: that. Not here: routes, what an answer means (``ingress/answer.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from vcon_platform.access.caller import Caller
from vcon_platform.api.gathered import Gathered
from vcon_platform.api.queues import desk_of
from vcon_platform.api.quick import QuickRoutes
from vcon_platform.api.reads import Reads
from vcon_platform.api.visibility import must_see
from vcon_platform.errors import PlatformError
from vcon_platform.ingress.answer import ALWAYS, UUID_TAKEN, Answer, Condition, Offered, Outcome, Source
from vcon_platform.ingress.door import Door
from vcon_platform.ingress.opening import open_door, zone_of
from vcon_platform.pipelines.removal import remove
from vcon_platform.settings import Settings
from vcon_platform.store.connection import explained
from vcon_platform.store.documents import Missing
from vcon_platform.store.media import tokens_of
from vcon_platform.store.media_documents import write_document
from vcon_platform.store.opening import Store, open_store
from vcon_platform.vcon.document import Vcon
from vcon_platform.vcon.faults import Fault, Rejected
from vcon_platform.vcon.tags import tags

SPOOLED = 1 << 20
"""Bytes of a request's body that are kept in memory; more goes to disk while it comes in."""
SMALL = 64 << 10
"""Bytes of a body that is taken in together with others: a larger one would let them wait."""
_ALL = Caller("", "the platform itself", frozenset())


@dataclass(frozen=True, slots=True)
class Found:
    """A stored vCon, with what is kept beside it."""

    vcon: Vcon
    meta: Mapping[str, str]


class Parts:
    """The store and the door of this process, opened by the first request that needs them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._store: Store | None = None
        self._door: Door | None = None
        self.lease_seconds = settings.lease_seconds
        self.quick = QuickRoutes()
        self._desk = desk_of(settings, lambda: self.store)
        self.small: Gathered[Offered, Answer] = Gathered("door", self._take)
        self._reads: Gathered[tuple[str, bool], Found] = Gathered("read", self._read)
        self.reads = Reads(lambda: self.store.client)

    @property
    def store(self) -> Store:
        self._store = self._store or open_store(self.settings)
        return self._store

    @property
    def door(self) -> Door:
        self._door = self._door or open_door(self.settings, self.store)
        return self._door

    def check_queues(self, queues: Sequence[str]) -> None:
        """Whether a new vCon may enter these queues, before anything of it is read. Raises what the answer says."""
        if queues:
            with explained():
                self._desk().check(queues)

    async def found(self, who: Caller, uuid: str, *, meta: bool = False) -> Found:
        """A vCon that this caller may see; ``meta``: with what is kept beside it. Raises :class:`Missing`."""
        visible = who.visible
        found = await self._reads.ask((uuid, meta or bool(visible.adapters)))
        if not visible.everything:
            held = [f"{name}:{value}" for name, value in tags(found.vcon)]
            if not visible.shows(found.meta.get("adapter"), held):
                raise Missing(f"vCon {uuid} is not in the store")
        return found

    async def kept(self, who: Caller, answer: Answer) -> Vcon:
        """A vCon as it is stored, for whoever just brought it. Raises Rejected where these bytes are an earlier
        revision of one that is hidden from them by now."""
        if answer.made is not None:
            return Vcon(dict(answer.made), answer.revision)
        try:
            return (await self.found(who if answer.outcome is Outcome.KNOWN else _ALL, answer.uuid)).vcon
        except Missing:
            raise Rejected(UUID_TAKEN) from None

    def _take(self, group: Sequence[Offered]) -> Iterator[Answer | Exception]:
        refused = {queues: self._refused(queues) for queues in {each.source.queues for each in group}}
        answers = self.door.take_offered(each for each in group if refused[each.source.queues] is None)
        for each in group:
            yield refused[each.source.queues] or next(answers)
        next(answers, None)

    def _refused(self, queues: tuple[str, ...]) -> PlatformError | None:
        try:
            self.check_queues(queues)
        except PlatformError as error:
            return error
        return None

    def _read(self, group: Sequence[tuple[str, bool]]) -> list[Found | Exception]:
        documents = self.store.documents
        vcons = documents.read(list(dict.fromkeys(uuid for uuid, _ in group)))
        beside = [uuid for uuid in dict.fromkeys(uuid for uuid, meta in group if meta) if uuid in vcons]
        metas = dict(zip(beside, documents.metas(beside), strict=True)) if beside else {}
        return [
            Found(vcons[uuid], metas.get(uuid, {})) if uuid in vcons else Missing(f"vCon {uuid} is not in the store")
            for uuid, _ in group
        ]


def need_ingest(who: Caller, queues: Sequence[str]) -> None:
    """Raise NotAllowed unless they may post into these queues, or, without any, at all."""
    for queue in queues:
        who.need(f"ingest:{queue}")
    if not queues:
        who.need("ingest")


def source_of(
    settings: Settings,
    who: Caller,
    name: str,
    queues: Sequence[str] = (),
    *,
    strict: bool = False,
    require_signature: bool = False,
) -> Source:
    """Where a document comes from that this caller brings. What their key hides they cannot revise."""
    return Source(
        name,
        tuple(dict.fromkeys(queues)),
        strict,
        require_signature,
        zone=zone_of(settings),
        by=who.alias,
        sees=None if who.visible.everything else who.visible.shows,
    )


async def take_in(
    parts: Parts, request: Request, origin: Source, media_type: str | None = None, condition: Condition = ALWAYS
) -> Answer:
    """Take a request's body in. One that is large is streamed, after its queues were looked at. Raises Rejected,
    UnknownQueue, QueueFull, and what the store raises."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) <= SMALL:
        return await parts.small.ask(Offered(await _small_body(request), origin, media_type, condition=condition))
    await run_in_threadpool(parts.check_queues, origin.queues)
    settings = parts.settings
    settings.spool_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    with SpooledTemporaryFile(max_size=SPOOLED, dir=str(settings.spool_dir)) as spool:
        size = 0
        async for piece in request.stream():
            size += len(piece)
            if size > settings.document_bytes:
                raise Rejected(_too_large(settings.document_bytes))
            spool.write(piece)
        spool.seek(0)
        content = spool.read() if size <= SPOOLED else spool
        return await run_in_threadpool(parts.door.take, content, origin, media_type=media_type, condition=condition)


async def _small_body(request: Request) -> bytes:
    """As ``request.body()``, past its generator: nearly all of these come in one piece."""
    pieces: list[bytes] = []
    while True:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def removed(parts: Parts, who: Caller, uuid: str, expect: int | None = None) -> None:
    """Remove a vCon that this caller may see. Raises Missing, RevisionChanged, and what the store raises."""

    def work() -> None:
        if not who.visible.everything:
            must_see(who, parts.store.documents, uuid)
        remove(parts.store, uuid, by=who.alias, expect=expect)

    await run_in_threadpool(work)


async def written(
    parts: Parts,
    data: Mapping[str, Any],
    media_type: str,
    headers: Mapping[str, str],
    *,
    status: int = 200,
    bodies: bool = True,
) -> Response:
    """A document as an answer, with its ``bodies``; streamed if some of them are in the media store."""
    if not bodies or not tokens_of(data):
        return Response(orjson.dumps(data), status, dict(headers), media_type=media_type)
    pieces = await run_in_threadpool(write_document, parts.store.media, data)
    return StreamingResponse(pieces, status, dict(headers), media_type=media_type)


def _too_large(limit: int) -> Fault:
    return Fault("too_large", "", f"the document has more than {limit} bytes; raise VCON_DOCUMENT_BYTES", 413)
