"""``/v1/vcons``: documents in and out.

Belongs here: turning requests into calls of the door and the store. Not here: what the answers mean
(``ingress/answer.py``), any rule about documents.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.paths import uuid_in
from vcon_platform.api.queues import desk_of
from vcon_platform.api.visibility import must_see
from vcon_platform.ingress.answer import Answer, Source
from vcon_platform.ingress.door import Door
from vcon_platform.ingress.opening import open_door, zone_of
from vcon_platform.ingress.reports import report_of
from vcon_platform.settings import Settings
from vcon_platform.store.connection import explained
from vcon_platform.store.media_documents import write_document
from vcon_platform.store.opening import Store, open_store
from vcon_platform.store.originals import find_original, original_bytes
from vcon_platform.vcon.export import ExportVersion, export
from vcon_platform.vcon.faults import Fault, Rejected

SPOOLED = 1 << 20
"""Bytes of a request's body that are kept in memory; more goes to disk while it comes in."""
_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}


class FindingOut(BaseModel):
    """What a reader should know of a document that was kept."""

    code: str
    pointer: str = Field(description="JSON pointer (RFC 6901) into the document.")
    message: str


class AnswerOut(BaseModel):
    """What became of a posted document."""

    uuid: str
    outcome: str = Field(description="``created``, ``revised``, or ``known`` (these very bytes were kept already).")
    revision: int
    form: str = Field(description="``unsigned``, ``signed`` or ``encrypted``.")
    state: str = Field(
        description="``ready``, ``opaque`` (encrypted, no key), or ``parked`` (unknown critical extension)."
    )
    findings: list[FindingOut]
    left_behind: int = Field(description="Analyses of the earlier revision that speak of what is not there any more.")


class Parts:
    """The store and the door of this process, opened by the first request that needs them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._store: Store | None = None
        self._door: Door | None = None
        self.lease_seconds = settings.lease_seconds
        self._desk = desk_of(settings, lambda: self.store)

    def check_queues(self, queues: list[str]) -> None:
        """Whether a new vCon may enter these queues, before anything of it is read. Raises what the answer says."""
        if queues:
            with explained():
                self._desk().check(queues)

    @property
    def store(self) -> Store:
        self._store = self._store or open_store(self._settings)
        return self._store

    @property
    def door(self) -> Door:
        self._door = self._door or open_door(self._settings, self.store)
        return self._door


def router(settings: Settings, gate: Gate, parts: Parts) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter(prefix="/v1/vcons", tags=["vCons"])

    @routes.post(
        "",
        dependencies=gate(),  # which scope is needed depends on the queues
        summary="Take a vCon in",
        status_code=201,
        openapi_extra={"requestBody": {"content": {"application/vcon": {}, "application/vcon+gzip": {}}}},
        responses={
            200: {"model": AnswerOut, "description": "Known: the same bytes (nothing done), or a new revision"},
            202: {"model": AnswerOut, "description": "New, with findings; or it cannot be read, or not be processed"},
            422: {
                "description": "Refused; each fault has a code, a JSON pointer and a sentence. Or a queue is unknown"
            },
            429: {"description": "A queue is full; come again after ``Retry-After`` seconds"},
        },
    )
    async def post(
        request: Request,
        response: Response,
        who: WhoAsks,
        queue: Annotated[list[str], Query(description="Pipelines whose queues it enters; may be repeated.")] = [],  # noqa: B006
        source: Annotated[
            str, Query(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Names where it comes from.")
        ] = "api",
        strict: Annotated[bool, Query(description="Refuse what would otherwise be a finding.")] = False,
        require_signature: Annotated[bool, Query(description="Refuse it unless its signature is valid.")] = False,
    ) -> AnswerOut:
        """The document is in the archive and in Redis when the answer is sent. A body of any size is streamed."""
        for name in queue:
            who.need(f"ingest:{name}")
        if not queue:
            who.need("ingest")
        origin = Source(source, tuple(dict.fromkeys(queue)), strict, require_signature, zone=zone_of(settings))
        answer = await take_in(settings, parts, request, origin, request.headers.get("content-type"))
        response.status_code = answer.status
        response.headers["Location"] = f"/v1/vcons/{answer.uuid}"
        return _told(answer)

    @routes.get("/{uuid}", dependencies=gate("read"), summary="A vCon", response_class=StreamingResponse)
    def get(
        uuid: str,
        who: WhoAsks,
        version: Annotated[ExportVersion, Query(description="The form to write it in.")] = "current",
        media: Annotated[bool, Query(description="False: long bodies stay references.")] = True,
    ) -> StreamingResponse:
        """The document with its bodies, streamed."""
        vcon = parts.store.documents.read_one(uuid_in(uuid))
        must_see(who, parts.store.documents, vcon.uuid, vcon)
        data = vcon.data if version == "current" else export(vcon.data, version)
        pieces = write_document(parts.store.media, data) if media else iter((vcon.to_bytes(),))
        return _streamed(pieces, "application/vcon", {"ETag": f'"{vcon.revision}"'})

    @routes.get(
        "/{uuid}/original",
        dependencies=gate("read"),
        summary="The bytes exactly as they were posted",
        response_class=StreamingResponse,
    )
    def original(
        uuid: str,
        who: WhoAsks,
        revision: Annotated[
            int | None, Query(ge=1, description="Which of the posted revisions; default: the last.")
        ] = None,
    ) -> StreamingResponse:
        """Byte for byte what came, gzip included; ``Repr-Digest`` is its SHA-256 (RFC 9530)."""
        must_see(who, parts.store.documents, uuid_in(uuid))
        found = find_original(parts.store.documents, uuid_in(uuid), revision=revision)
        media_type = "application/vcon+gzip" if found.apart else "application/vcon"
        return _streamed(
            original_bytes(found, parts.store.media),
            media_type,
            {"Repr-Digest": f"sha-256=:{b64encode(bytes.fromhex(found.sha256)).decode()}:"},
        )

    @routes.get("/{uuid}/report", dependencies=gate("read"), summary="The conformance report")
    def report(uuid: str, who: WhoAsks) -> dict[str, Any]:
        """What the current draft would say of the document that was posted last: schema errors, missing members,
        external content, signature, and everything that was found while it was taken in."""
        must_see(who, parts.store.documents, uuid_in(uuid))
        return report_of(parts.store, uuid_in(uuid)).to_json()

    return routes


async def take_in(
    settings: Settings, parts: Parts, request: Request, origin: Source, media_type: str | None = None
) -> Answer:
    """Take a request's body in: its queues are looked at first, then the body is streamed. Raises Rejected,
    UnknownQueue, QueueFull, and what the store raises."""
    await run_in_threadpool(parts.check_queues, list(origin.queues))
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
        return await run_in_threadpool(parts.door.take, content, origin, media_type=media_type)


def _too_large(limit: int) -> Fault:
    return Fault("too_large", "", f"the document has more than {limit} bytes; raise VCON_DOCUMENT_BYTES", 413)


def _streamed(pieces: Iterator[bytes], media_type: str, headers: dict[str, str]) -> StreamingResponse:
    headers = {**_SAFE, **headers, "Content-Disposition": "attachment"}
    return StreamingResponse(pieces, media_type=media_type, headers=headers)


def _told(answer: Answer) -> AnswerOut:
    return AnswerOut(
        uuid=answer.uuid,
        outcome=str(answer.outcome),
        revision=answer.revision,
        form=answer.form,
        state=answer.state,
        findings=[FindingOut(code=each.code, pointer=each.pointer, message=each.message) for each in answer.findings],
        left_behind=answer.left_behind,
    )
