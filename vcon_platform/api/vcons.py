"""``/v1/vcons``: documents in and out.

Belongs here: turning requests into calls of the door and the store. Not here: what the answers mean
(``ingress/answer.py``), any rule about documents.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from vcon_platform.access.caller import Caller
from vcon_platform.api.auth import Gate, WhoAsks
from vcon_platform.api.conditions import condition_of, is_known, tag_of, wanted_revision
from vcon_platform.api.parts import Parts, need_ingest, removed, source_of, take_in, written
from vcon_platform.api.paths import uuid_in
from vcon_platform.api.visibility import must_see
from vcon_platform.ingress.answer import Answer
from vcon_platform.ingress.reports import report_of
from vcon_platform.settings import Settings
from vcon_platform.store.originals import find_original, original_bytes
from vcon_platform.vcon.export import ExportVersion, export

_SAFE = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Content-Disposition": "attachment"}


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


class PostAsked(BaseModel):
    """How a document is to be taken in."""

    queue: list[str] = Field([], description="Pipelines whose queues it enters; may be repeated.")
    source: str = Field("api", pattern=r"^[a-z][a-z0-9_]{0,62}$", description="Names where it comes from.")
    strict: bool = Field(False, description="Refuse what would otherwise be a finding.")
    require_signature: bool = Field(False, description="Refuse it unless its signature is valid.")


class GetAsked(BaseModel):
    """How a document is to be given."""

    version: ExportVersion = Field("current", description="The form to write it in.")
    media: bool = Field(True, description="False: long bodies stay references.")


def router(settings: Settings, gate: Gate, parts: Parts) -> APIRouter:
    """The routes. ``gate`` guards each."""
    routes = APIRouter(prefix="/v1/vcons", tags=["vCons"])

    async def take(request: Request, who: Caller, asked: PostAsked, _: str = "") -> Response:
        need_ingest(who, asked.queue)
        strictness = {"strict": asked.strict, "require_signature": asked.require_signature}
        origin = source_of(settings, who, asked.source, asked.queue, **strictness)
        answer = await take_in(parts, request, origin, request.headers.get("content-type"), condition_of(request))
        headers = {"Location": f"/v1/vcons/{answer.uuid}", "ETag": tag_of(answer.revision)}
        return Response(orjson.dumps(_told(answer)), answer.status, headers, media_type="application/json")

    async def give(request: Request, who: Caller, asked: GetAsked, uuid: str) -> Response:
        who.need("read")
        vcon = (await parts.found(who, uuid_in(uuid))).vcon
        tag = tag_of(vcon.revision)
        if is_known(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        parts.reads.note(who, vcon.uuid)
        data = vcon.data if asked.version == "current" else export(vcon.data, asked.version)
        headers = {**_SAFE, "ETag": tag}
        return await written(parts, data, "application/vcon", headers, bodies=asked.media)

    parts.quick.post("/v1/vcons", take, PostAsked)
    parts.quick.get("/v1/vcons", give, GetAsked)

    @routes.post(
        "",
        dependencies=gate(),  # which scope is needed depends on the queues
        summary="Take a vCon in",
        status_code=201,
        response_model=AnswerOut,
        openapi_extra={"requestBody": {"content": {"application/vcon": {}, "application/vcon+gzip": {}}}},
        responses={
            200: {"model": AnswerOut, "description": "Known: the same bytes (nothing done), or a new revision"},
            202: {"model": AnswerOut, "description": "New, with findings; or it cannot be read, or not be processed"},
            412: {"description": "The condition (If-Match, If-None-Match) is not met"},
            422: {
                "description": "Refused; each fault has a code, a JSON pointer and a sentence. Or a queue is unknown"
            },
            429: {"description": "A queue is full; come again after ``Retry-After`` seconds"},
        },
    )
    async def post(request: Request, who: WhoAsks, asked: Annotated[PostAsked, Query()]) -> Response:
        """The document is in the archive and in Redis when the answer is sent. A body of any size is streamed.
        ``If-None-Match: *`` takes it in as a new vCon only, ``If-Match`` as the revision after that one only."""
        return await take(request, who, asked)

    @routes.get("/{uuid}", dependencies=gate("read"), summary="A vCon", response_class=StreamingResponse)
    async def get(request: Request, uuid: str, who: WhoAsks, asked: Annotated[GetAsked, Query()]) -> Response:
        """The document with its bodies, streamed. ``ETag`` is its revision; 304 for ``If-None-Match`` of that."""
        return await give(request, who, asked, uuid)

    @routes.delete(
        "/{uuid}",
        dependencies=gate("erase"),
        summary="Remove a vCon",
        status_code=204,
        responses={
            404: {"description": "There is none (any more), or it is hidden from this key"},
            412: {"description": "It is not at the revision of If-Match"},
        },
    )
    async def delete(request: Request, uuid: str, who: WhoAsks) -> None:
        """It is gone from Redis, search, tables' rows and archive when the answer is sent, and no rebuild brings it
        back; recordings that nobody else refers to are swept later, destinations lose its rows when its day lands.
        What was sent to others stays there."""
        await removed(parts, who, uuid_in(uuid), wanted_revision(request))

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
        parts.reads.note(who, uuid_in(uuid), "original")
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


def _streamed(pieces: Iterator[bytes], media_type: str, headers: dict[str, str]) -> StreamingResponse:
    return StreamingResponse(pieces, media_type=media_type, headers={**_SAFE, **headers})


def _told(answer: Answer) -> dict[str, Any]:
    """What :class:`AnswerOut` describes."""
    return {
        "uuid": answer.uuid,
        "outcome": answer.outcome,
        "revision": answer.revision,
        "form": answer.form,
        "state": answer.state,
        "findings": [{"code": each.code, "pointer": each.pointer, "message": each.message} for each in answer.findings],
        "left_behind": answer.left_behind,
    }
