"""``/v1/bulk``: many vCons in one request, as lines of JSON (NDJSON), streamed both ways.

Belongs here: lines into documents and answers into lines, without holding more than a hundred of them. Not here: what
becomes of a document (``ingress/``).

An import is taken in while it comes, and answered when all of it has come: many clients read nothing before they have
sent everything. One whose connection broke sends all of it again; what is known is only told so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from itertools import batched, chain
from tempfile import SpooledTemporaryFile
from typing import IO, Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from starlette.concurrency import run_in_threadpool

from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.parts import SPOOLED, Parts, source_of
from vcon_platform.api.problems import Problem
from vcon_platform.api.vcons_search import moment
from vcon_platform.ingress.answer import Answer
from vcon_platform.settings import Settings
from vcon_platform.store.media_documents import write_document
from vcon_platform.store.search_query import SearchQuery
from vcon_platform.vcon.export import ExportVersion, export
from vcon_platform.vcon.faults import Rejected

AT_ONCE = 100
"""Lines that are taken in together."""
LONGEST_LINE = 64 << 20
"""Bytes of one line. A longer document: POST /v1/vcons."""
TOGETHER = 32 << 20
"""Bytes that are taken in together, about."""
_PAGE = 200
NDJSON = "application/x-ndjson"


def router(settings: Settings, gate: Gate, parts: Parts) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter(prefix="/v1/bulk", tags=["Bulk"])

    @routes.post(
        "/vcons",
        dependencies=gate("ingest"),
        summary="Take many vCons in",
        response_class=StreamingResponse,
        openapi_extra={"requestBody": {"content": {NDJSON: {}}}},
        responses={200: {"content": {NDJSON: {}}, "description": "One line for each line: what became of it"}},
    )
    async def take_in(
        request: Request,
        who: WhoAsks,
        queue: Annotated[list[str], Query(description="Pipelines whose queues they enter; may be repeated.")] = [],  # noqa: B006
        source: Annotated[
            str, Query(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Names where they come from.")
        ] = "api",
        strict: Annotated[bool, Query(description="Refuse what would otherwise be a finding.")] = False,
    ) -> StreamingResponse:
        """Lines are answered in their order: ``{"line", "uuid", "outcome", "revision"}``, or ``{"line", "code",
        "faults"}`` for one that was refused; the others are in. Whoever is cut off may send everything again."""
        await run_in_threadpool(parts.check_queues, queue)
        origin = source_of(settings, who, source, queue, strict=strict)

        def taken(first: int, some: list[bytes]) -> bytes:
            answers = parts.door.take_many(some, origin)
            return b"".join(_told(first + place, answer) for place, answer in enumerate(answers))

        settings.spool_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        answers = SpooledTemporaryFile(max_size=SPOOLED, dir=str(settings.spool_dir))  # noqa: SIM115 - _pieces closes it
        try:
            number = 1
            async for some in _hundreds(request.stream()):
                answers.write(await run_in_threadpool(taken, number, some))
                number += len(some)
        except BaseException:
            answers.close()
            raise
        return StreamingResponse(_pieces(answers), media_type=NDJSON)

    @routes.get(
        "/vcons",
        dependencies=gate("read"),
        summary="Give many vCons out",
        response_class=StreamingResponse,
        responses={200: {"content": {NDJSON: {}}, "description": "A vCon on each line, newest first"}},
    )
    def give_out(
        who: WhoAsks,
        tag: Annotated[str | None, Query(description="A tag, as name:value.")] = None,
        adapter: Annotated[str | None, Query(description="Where they came from.")] = None,
        since: Annotated[str | None, Query(description="Created at or after this day or moment.")] = None,
        until: Annotated[str | None, Query(description="Created before this day or moment.")] = None,
        version: Annotated[ExportVersion, Query(description="The form to write them in.")] = "current",
        media: Annotated[bool, Query(description="False: long bodies stay references.")] = True,
    ) -> StreamingResponse:
        """Streamed: memory does not depend on how many there are."""
        query = SearchQuery(
            tag=tag,
            adapter=adapter,
            created_from=moment("since", since),
            created_to=moment("until", until),
            adapters=who.visible.adapters,
            tags=who.visible.tags,
            limit=_PAGE,
        )
        pages = _pages(parts, query)
        first = next(pages, ())  # a question that cannot be asked is told before the answer begins

        def lines() -> Iterator[bytes]:
            store = parts.store
            for page in chain((first,), pages):
                for uuids in batched(page, AT_ONCE):
                    vcons = store.documents.read(uuids)
                    parts.reads.note_all(who, vcons, "export")
                    for vcon in vcons.values():
                        data = vcon.data if version == "current" else export(vcon.data, version)
                        yield from write_document(store.media, data) if media else iter((orjson.dumps(data),))
                        yield b"\n"

        return StreamingResponse(lines(), media_type=NDJSON)

    return routes


def _pieces(answers: IO[bytes]) -> Iterator[bytes]:
    with answers:
        answers.seek(0)
        while piece := answers.read(SPOOLED):
            yield piece


def _pages(parts: Parts, query: SearchQuery) -> Iterator[tuple[str, ...]]:
    while True:
        page = parts.store.index.search(query)
        yield page.uuids
        if page.cursor is None:
            return
        query = replace(query, cursor=page.cursor)


async def _hundreds(stream: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """The body's lines, about a hundred at a time."""
    some: list[bytes] = []
    size = 0
    async for line in _lines(stream):
        some.append(line)
        size += len(line)
        if len(some) >= AT_ONCE or size >= TOGETHER:
            yield some
            some, size = [], 0
    if some:
        yield some


async def _lines(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Lines without their ends; empty ones are no lines. Raises Problem for one that has no end."""
    rest: list[bytes] = []
    length = 0
    async for piece in stream:
        *whole, last = piece.split(b"\n")
        for line in whole:
            complete = b"".join((*rest, line)).strip()
            rest, length = [], 0
            if complete:
                yield complete
        rest.append(last)
        length += len(last)
        if length > LONGEST_LINE:
            raise Problem(
                413, "too_large", f"A line has more than {LONGEST_LINE >> 20} MiB. Post such a vCon to /v1/vcons."
            )
    if complete := b"".join(rest).strip():
        yield complete


def _told(line: int, answer: Answer | Rejected) -> bytes:
    told: dict[str, Any] = {"line": line}
    if isinstance(answer, Rejected):
        told["code"] = answer.code
        told["faults"] = [
            {"code": each.code, "pointer": each.pointer, "message": each.message} for each in answer.faults
        ]
    else:
        told |= {"uuid": answer.uuid, "outcome": str(answer.outcome), "revision": answer.revision}
    return orjson.dumps(told) + b"\n"
